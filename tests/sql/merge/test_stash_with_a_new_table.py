"""A stash that could not be taken back is refused."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, raises


@pytest.mark.parametrize("rows", ["SELECT 1", "INSERT INTO n VALUES (1)"])
def test_a_table_that_came_since_the_last_commit(db: Database, rows: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)
    db.run("CREATE TABLE n (id integer PRIMARY KEY)")
    if not db.value("SELECT count(*) FROM pggit.tables WHERE table_name = 'n'"):
        db.run("SELECT pggit.track_table('n')")
    db.run(rows)
    db.run("UPDATE t SET a = 'mine' WHERE id = 1")
    with raises("VG302", "table public.n was not under version control there yet"):
        db.run("SELECT pggit.stash()")
    assert db.rows("SELECT * FROM t") == [(1, "mine")]
    db.run("SELECT pggit.commit('n comes')")
    db.run("UPDATE t SET a = 'later' WHERE id = 1")
    db.run("SELECT pggit.stash()")
    assert db.value("SELECT (pggit.unstash()).result") == "merged"
    assert db.rows("SELECT * FROM t") == [(1, "later")]
