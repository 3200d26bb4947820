"""An UPDATE of many rows costs what its rows cost, however little memory there is and whatever came before."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

ROWS = 40_000
KEYS = {"integer": "n", "text": "'key ' || n"}


@pytest.mark.parametrize("where", ["main", "a real table"])
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("first", ["one row first", "many rows at once"])
def test_rows_are_not_compared_with_all_others(db: Database, where: str, kind: str, first: str) -> None:
    """All with all would be 1,600,000,000 comparisons of each statement."""
    db.run(f"CREATE TABLE t (id {kind}, part boolean, v integer, PRIMARY KEY (id, part))")
    db.run(f"INSERT INTO t SELECT {KEYS[kind]}, true, 0 FROM generate_series(1, {ROWS}) AS n")
    db.run("SELECT pggit.track_table('t'); SELECT pggit.commit('base')")
    if where == "a real table":
        db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    session = db.connect(branch=None if where == "main" else "dev")
    query(session, "SET work_mem = '64kB'; SET statement_timeout = '60s'")
    if first == "one row first":
        one = f"(SELECT {KEYS[kind]} FROM generate_series(7, 7) AS n)"
        query(session, f"UPDATE t SET v = -1 WHERE id = {one}; UPDATE t SET part = false WHERE id = {one}")
        query(session, f"UPDATE t SET v = 0, part = true WHERE id = {one}")
    query(session, "UPDATE t SET v = v + 1")
    query(session, "SELECT pggit.commit('updated')")
    query(session, f"UPDATE t SET part = false WHERE id < (SELECT {KEYS[kind]} FROM generate_series(9, 9) AS n)")
    gone = query(session, "SELECT count(*) FROM t WHERE NOT part").fetchall()[0][0]
    query(session, "SELECT pggit.commit('moved')")
    query(session, "UPDATE t SET part = NOT part")
    query(session, "SELECT pggit.commit('all moved')")
    changes = query(session, "SELECT sum(inserted), sum(updated), sum(deleted) FROM pggit.diff('HEAD~1')").fetchall()
    assert changes == [(ROWS, 0, ROWS)]
    changes = query(session, "SELECT inserted, updated, deleted FROM pggit.diff('HEAD~2', 'HEAD~1')").fetchall()
    assert changes == [(gone, 0, gone)]
    changes = query(session, "SELECT inserted, updated, deleted FROM pggit.diff('HEAD~3', 'HEAD~2')").fetchall()
    assert changes == [(0, ROWS, 0)]
