"""Where many keys changed, the log is read once instead of once a key: the rows are the same."""

from __future__ import annotations

import itertools
import random

import pytest

from fixtures.postgres import Database, query

CHANGES = "SELECT pggit._changes_sql(1, (SELECT c.at FROM pggit.commits AS c WHERE c.commit_id = %s), "
CHANGES += "(SELECT c.at FROM pggit.commits AS c WHERE c.commit_id = %s), %s)"


def change(db: Database, branch: str, number: int) -> str:
    """Several writes of each kind to keys of 1 to 300, some in one transaction, and a commit."""
    session = db.connect(branch=branch)
    for _ in range(3):
        low = random.randrange(150)
        query(
            session,
            f"""
            BEGIN;
            DELETE FROM t WHERE id % 7 = {random.randrange(7)} AND id > {low};
            INSERT INTO t SELECT g, 'new {number}', g FROM generate_series({low}, {low + 150}) AS g
             WHERE NOT EXISTS (SELECT FROM t WHERE t.id = g);
            UPDATE t SET v = v || {number} WHERE id % 3 = {random.randrange(3)};
            COMMIT;
            UPDATE t SET n = NULL WHERE id % 5 = {random.randrange(5)};
            """,
        )
    session.close()
    commit: str = db.value("SELECT pggit.commit(%s, %s)", f"number {number}", branch)
    return commit


@pytest.mark.parametrize("form", ["none", "all"])
def test_changes_are_the_same_read_at_once_and_looked_up(db: Database, form: str) -> None:
    random.seed(form)
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text, n numeric);
        INSERT INTO t SELECT g, 'v', g FROM generate_series(1, 300) AS g;
        SELECT pggit.track_schema('public');
    """)
    commits = [change(db, "main", number) for number in range(2)]
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", form)
    for number in range(2, 5):
        commits += [change(db, "side", number), change(db, "main", number + 10)]
    db.run("SET enable_nestloop = off; SET enable_memoize = off")
    for one, other in itertools.permutations(commits, 2):
        sets = [
            set(db.rows("SELECT change, o::text, n::text FROM (" + db.value(CHANGES, one, other, keys) + ") AS c"))
            for keys in (0, 10_000)
        ]
        assert sets[0] == sets[1]
        assert sets[0]
    db.run("RESET enable_nestloop; RESET enable_memoize")

    db.run("""SELECT pggit.merge('side', 'main', NULL, '{"on_conflict": "theirs"}')""")
    assert db.value("SELECT m.result FROM pggit.merges AS m") == "merged"
    db.run("""SELECT pggit.merge('main', 'side', NULL, '{"on_conflict": "theirs"}')""")
    assert db.value("SELECT count(*) FROM pggit.diff('main', 'side')") == 0
    assert query(db.connect(branch="side"), "SELECT * FROM t ORDER BY id").fetchall() == db.rows(
        "SELECT * FROM t ORDER BY id"
    )
    assert db.rows("SELECT * FROM pggit.verify()") == []
