"""A statement deletes a key and gives it to another row: the state before stays readable, branches keep the old row."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

STATEMENTS = {
    "delete, then another row's key is updated": (
        "WITH gone AS (DELETE FROM t WHERE id = 4 RETURNING *) UPDATE t SET id = 4 FROM gone WHERE t.id = 5"
    ),
    "delete and insert, both in WITH": (
        "WITH gone AS (DELETE FROM t WHERE id = 4 RETURNING *),"
        " new AS (INSERT INTO t SELECT 4, 'new' WHERE EXISTS (SELECT FROM gone) RETURNING id) SELECT * FROM new"
    ),
    "delete and update, both in WITH": (
        "WITH gone AS (DELETE FROM t WHERE id = 4 RETURNING *),"
        " moved AS (UPDATE t SET id = 4 WHERE id = 5 AND EXISTS (SELECT FROM gone) RETURNING id) SELECT * FROM moved"
    ),
    "merge that deletes and updates": (
        "MERGE INTO t USING (VALUES (4), (5)) AS s (id) ON t.id = s.id"
        " WHEN MATCHED AND s.id = 4 THEN DELETE WHEN MATCHED THEN UPDATE SET id = 4"
    ),
}


@pytest.mark.parametrize("where", ["main", "a real table of a branch"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_row_that_had_the_key_is_in_the_state_before(db: Database, where: str, statement: str) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text)")
    db.run("INSERT INTO t SELECT g, 'old ' || g FROM generate_series(1, 6) AS g")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    branch = "main"
    if where != "main":
        branch = "dev"
        db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    db.run("SELECT pggit.commit('before', %s, p_allow_empty => true)", branch)
    before = db.rows("SELECT * FROM t ORDER BY id")
    db.run("SELECT pggit.create_branch('other', %s, p_materialize => 'none')", branch)
    other = db.connect(branch="other")

    query(db.connect(branch=branch), STATEMENTS[statement])

    assert query(other, "SELECT * FROM t ORDER BY id").fetchall() == before, "the row is lost on another branch"
    assert db.rows("SELECT * FROM pggit.verify()") == []
