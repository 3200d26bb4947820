"""Settings of a session that change how PostgreSQL reads or writes SQL change nothing of what pggit does."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

SETTINGS = ["standard_conforming_strings = off", "quote_all_identifiers = on", "array_nulls = off"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_rows_and_tables_are_changed_and_merged(db: Database, setting: str) -> None:
    """No statement fails because of it, and nothing is lost: a dropped column is in the history."""
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a text UNIQUE, n integer CHECK (n > 0)); CREATE TABLE k (a integer)"
    )
    db.run("INSERT INTO t VALUES (1, 'a', 7)")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    session = db.connect()
    query(session, f"SET {setting}")
    query(session, "SELECT pggit.create_branch('view', p_materialize => 'none')")
    query(session, "SELECT pggit.create_branch('real', p_materialize => 'all')")
    for branch in ("main", "view", "real"):
        query(session, "SELECT pggit.checkout(%s)", branch)
        query(session, "INSERT INTO t VALUES (2, %s, 1)", "it's \\ '' " + branch)
        query(session, "UPDATE t SET n = n + 1 WHERE id = 2; INSERT INTO k VALUES (1); DELETE FROM k")
        query(session, f"CREATE TABLE made_{branch} (id integer PRIMARY KEY); DROP TABLE made_{branch}")
        query(session, f"ALTER TABLE t ADD {branch}_c integer DEFAULT 3")
        query(session, "DELETE FROM t WHERE id = 2")
        query(session, "SELECT pggit.commit('work')")
    query(session, "SELECT pggit.checkout('main')")
    for branch in ("view", "real"):
        assert query(session, "SELECT result FROM pggit.merge(%s, 'main')", branch).fetchall() == [("merged",)]
        query(session, "SELECT pggit.delete_branch(%s, p_force => true)", branch)
    query(session, "ALTER TABLE t DROP n; SELECT pggit.commit('dropped')")
    assert query(session, "SELECT * FROM t").fetchall() == [(1, "a", 3, 3, 3)]
    assert query(session, "SELECT result FROM pggit.revert('HEAD')").fetchall() == [("merged",)]
    assert query(session, "SELECT n FROM t").fetchall() == [(7,)]
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []
