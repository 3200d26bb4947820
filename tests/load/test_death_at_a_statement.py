"""A session that dies at any statement of a merge leaves the state before it, and the next merge works.

`--deaths 0` dies at every statement; otherwise at this many of them, evenly spread.
"""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query
from fixtures.ticking import make_ticking, run_until, statements_of

pytestmark = pytest.mark.by_turns

OPERATIONS = {
    "into main": 'SELECT pggit.merge(\'dev\', \'main\', p_options => \'{"rules": [{"rule": "sum", "column": "n"}]}\')',
    "into a view": "SELECT pggit.merge('main', 'dev', p_options => '{\"on_conflict\": \"theirs\"}')",
    "into a real table": "SELECT pggit.merge('main', 'real', p_options => '{\"on_conflict\": \"ours\"}')",
    "revert": "SELECT pggit.revert('main~1')",
    "reset": "SELECT pggit.reset('dev', 'dev~1')",
    "rebase": "SELECT pggit.rebase('real', 'main~1')",
    "stash": "SELECT pggit.stash('pending', 'dev')",
    "stash of main": "SELECT pggit.stash('pending', 'main')",
    "unstash": "SELECT pggit.unstash('stash-1', 'dev')",
    "unstash onto a real table": "SELECT pggit.unstash('stash-1', 'real')",
    "pick into main": "SELECT pggit.cherry_pick('dev', 'main')",
    "pick into a real table": "SELECT pggit.cherry_pick('main', 'real')",
    "reset main": "SELECT pggit.reset('main', 'main~1')",
    "rebase a view": "SELECT pggit.rebase('dev', 'main')",
}


@pytest.fixture
def parted(db: Database) -> Database:
    """main, dev (views) and real (real tables) have moved apart, with changes that are not committed."""
    db.run("""
        CREATE TABLE p (id integer PRIMARY KEY, s text UNIQUE);
        CREATE TABLE t (id integer PRIMARY KEY, p integer REFERENCES p, n integer, doc jsonb);
        INSERT INTO p SELECT n, 's' || n FROM generate_series(1, 5) AS n;
        INSERT INTO t SELECT n, 1 + n % 5, n, '{"a": 1}' FROM generate_series(1, 20) AS n;
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', p_materialize => 'none');
        SELECT pggit.create_branch('real', p_materialize => 'all');
    """)
    for branch in ("dev", "real"):
        session = db.connect(branch=branch)
        query(session, "INSERT INTO p SELECT n, 's' || n FROM generate_series(11, 13) AS n")
        query(session, "UPDATE t SET n = n + 1, p = 11 WHERE id < 8")
        query(session, "SELECT pggit.commit('work')")
        query(session, "DELETE FROM t WHERE id = 20")
        query(session, """UPDATE t SET doc = '{"a": 1, "b": 2}' WHERE id = 19""")
        session.close()
    db.run("UPDATE t SET n = n + 2 WHERE id < 4")
    db.run("SELECT pggit.commit('on main')")
    db.run("UPDATE p SET s = 'swapped' WHERE id = 5")
    db.run("SELECT pggit.commit('more')")
    db.run("SELECT pggit.stash('aside', 'dev')")
    query(db.connect(branch="dev"), "INSERT INTO t VALUES (40, 5, 0, NULL)")
    db.run("INSERT INTO t VALUES (30, 5, 0, NULL)")
    return db


STATE = """
SELECT (SELECT array_agg(ROW(b.name, b.head, b.head_at) ORDER BY b.name)::text FROM pggit.branches AS b),
       (SELECT array_agg(ROW(b.name, s.*) ORDER BY b.name, s.*)::text
          FROM pggit.branches AS b, pggit.status(b.name) AS s),
       (SELECT count(*) FROM pggit.merges), (SELECT count(*) FROM pggit.commits),
       (SELECT count(*) FROM pggit.conflicts), (SELECT array_agg(p ORDER BY id)::text FROM p),
       (SELECT array_agg(t ORDER BY id)::text FROM t), (SELECT array_agg(t ORDER BY id)::text FROM "public@dev".t AS t),
       (SELECT array_agg(t ORDER BY id)::text FROM "public@real".t AS t)
"""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whoever_dies_in_a_merge_has_done_nothing(
    parted: Database, operation: str, pytestconfig: pytest.Config
) -> None:
    sql = OPERATIONS[operation]
    before = parted.rows(STATE)
    assert make_ticking(parted) > 100
    statements = statements_of(parted, sql)
    assert statements > 100
    deaths: int = pytestconfig.getoption("--deaths") or statements
    for number in range(deaths):
        assert run_until(parted, sql, 1 + number * statements // deaths)
        assert parted.rows(STATE) == before
    assert not run_until(parted, sql, statements * 10)
    assert parted.rows(STATE) != before
    assert parted.rows("SELECT * FROM pggit.verify()") == []
    print(f"{operation}: {deaths} deaths at {statements} statements")
