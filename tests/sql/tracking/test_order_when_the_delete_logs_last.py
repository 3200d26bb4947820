"""A key deleted and inserted again by one statement existed before it, whichever part of the statement ends last."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

SETUP = """
    CREATE TABLE t (id integer PRIMARY KEY, a text);
    INSERT INTO t VALUES (1, 'old'), (2, 'two');
    CREATE TABLE u (k text PRIMARY KEY, n integer);
    INSERT INTO u VALUES ('t', 0);
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""
LIMITED = "WITH d AS (DELETE FROM t WHERE id = 1 RETURNING id) INSERT INTO t SELECT id, 'new' FROM d LIMIT 1"
MOVED = "WITH d AS (DELETE FROM t WHERE id = 1 RETURNING id) UPDATE t SET id = d.id FROM d WHERE t.id = 2"
MOVED_AWAY = "WITH d AS (UPDATE t SET id = 10 WHERE id = 1 RETURNING id) INSERT INTO t SELECT 1, 'new' FROM d LIMIT 1"


@pytest.mark.parametrize("statement", [LIMITED, MOVED, MOVED_AWAY])
@pytest.mark.parametrize("where", ["main", "none", "all"])
def test_the_commit_before_still_has_the_row(db: Database, where: str, statement: str) -> None:
    db.begin(SETUP)
    branch = "main"
    if where != "main":
        branch = "dev"
        db.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", where)
    session = db.connect(branch=branch)
    before = db.value("SELECT pggit.commit('here', %s, NULL, true)", branch)
    query(session, statement)
    assert db.rows("SELECT id, a FROM pggit.as_of(NULL::t, %s) ORDER BY id", before) == [(1, "old"), (2, "two")]


@pytest.mark.parametrize("statement", [LIMITED, MOVED_AWAY])
def test_with_a_row_trigger_that_counts_elsewhere(db: Database, statement: str) -> None:
    db.begin(SETUP)
    db.run("""
        CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO u VALUES ('t', 1) ON CONFLICT (k) DO UPDATE SET n = u.n + 1;
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END $$;
        CREATE TRIGGER counts BEFORE DELETE OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_it();
    """)
    db.run(statement)
    assert db.rows("SELECT id, a FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id") == [(1, "old"), (2, "two")]
    db.run("SELECT pggit.reset('main', 'HEAD')")
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, "old"), (2, "two")]
