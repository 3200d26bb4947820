"""Settings of a session that change how PostgreSQL reads or writes SQL change nothing of what pggit does."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

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


@pytest.mark.parametrize("setting", SETTINGS)
def test_names_messages_and_values_are_read(db: Database, setting: str) -> None:
    """What people write is looked at with patterns, some of which have backslashes."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'base'), (2, 'base')")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev')")
    query(db.connect(branch="dev"), "UPDATE t SET v = 'theirs'")
    db.run("UPDATE t SET v = 'ours'")
    session = db.connect()
    query(session, f"SET {setting}")
    assert query(session, "SELECT pggit.tag('v1.0')").rowcount == 1
    for wrong in ("SELECT pggit.tag('v 1')", "SELECT pggit.create_branch('a b')", "SELECT pggit.create_branch('x..y')"):
        with raises("VG201"):
            query(session, wrong)
    with raises("VG202", "given as its message"):
        query(session, "SELECT pggit.merge('dev', 'main', %s)", '{"squash": true}')
    assert query(session, "SELECT count(*) > 9 FROM pggit.help()").fetchall() == [(True,)]
    query(session, "SELECT pggit.add_merge_rule('u*', 'v', 'theirs')")
    ((merge, result),) = query(session, "SELECT merge_id, result FROM pggit.merge('dev', 'main', 'why')").fetchall()
    assert result == "conflicted"
    for conflict, value in (
        query(session, "SELECT conflict_id, key ->> 'id' FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    ).fetchall():
        written = f"\"row \\\\ '{value}'\""
        query(session, "SELECT pggit.resolve_conflict(%s, %s, 'value', %s::jsonb)", merge, conflict, written)
    assert query(session, "SELECT result FROM pggit.continue_merge(%s)", merge).fetchall() == [("merged",)]
    assert db.rows("SELECT v FROM t ORDER BY id") == [("row \\ '1'",), ("row \\ '2'",)]
