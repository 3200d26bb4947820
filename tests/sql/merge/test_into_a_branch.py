"""What a merge writes to a branch it writes in sets: as many statements and calls for 3,000 rows as for 300."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

SCHEMA = """
    CREATE TABLE t (id integer PRIMARY KEY, theirs integer, ours integer, moved integer);
    INSERT INTO t SELECT g, 0, 0, 0 FROM generate_series(1, 9000) AS g;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""
CALLS = "SELECT s.funcname, sum(s.calls) FROM pg_stat_user_functions AS s WHERE s.schemaname = 'pggit' GROUP BY 1"


@pytest.mark.parametrize("form", ["none", "all"])
def test_calls_do_not_grow_with_the_rows(db: Database, form: str) -> None:
    db.run(SCHEMA)
    calls = []
    for rows in (300, 3000):
        dev, target = f"dev{rows}", f"target{rows}"
        db.run("SELECT pggit.create_branch(%s, 'main', 'schema', 'none')", dev)
        db.run("SELECT pggit.create_branch(%s, 'main', 'schema', %s)", target, form)
        query(db.connect(branch=dev), "UPDATE t SET theirs = theirs + 1 WHERE id <= %s", rows)
        query(db.connect(branch=target), "UPDATE t SET ours = ours + 1 WHERE id %% 3 = 0 AND id <= %s", rows)
        # What main has changed since moves the branch too, once dev has it.
        db.run("UPDATE t SET moved = moved + 1 WHERE id BETWEEN 5001 AND 5000 + %s", rows)
        db.run("SELECT pggit.commit('main')")
        db.run("SELECT pggit.commit('work', %s)", dev)
        db.run("SELECT pggit.commit('work', %s)", target)
        db.run("SELECT pggit.merge('main', %s)", dev)
        merger = db.connect()
        query(merger, "SELECT pggit._current_epoch(); SELECT pg_stat_reset(); SET track_functions = 'all'")
        assert query(merger, "SELECT rows_updated FROM pggit.merge(%s, %s)", dev, target).fetchone() == (2 * rows,)
        query(merger, "SET track_functions = 'none'; SELECT pg_stat_force_next_flush()")
        calls.append(dict(db.rows(CALLS)))
    assert calls[0]["_write_branch"] == 1
    assert {name: (n, calls[1].get(name)) for name, n in calls[0].items() if calls[1].get(name) != n} == {}
    assert calls[1].keys() == calls[0].keys()
    at = "SELECT id, theirs, ours, moved FROM t WHERE id IN (3, 4, 3001, 5003) ORDER BY id"
    assert query(db.connect(branch="target3000"), at).fetchall() == [
        (3, 1, 1, 0),
        (4, 1, 0, 0),
        (3001, 0, 0, 0),
        (5003, 0, 0, 2),
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []
