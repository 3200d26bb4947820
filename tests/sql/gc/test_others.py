"""gc beside others: nobody's write waits, nobody names what goes, and a kill at any moment changes nothing."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises
from fixtures.repositories import shown


@pytest.fixture
def old(db: Database) -> Database:
    """Ten commits that only the log has, and one that is main's head."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, '-')")
    db.run("SELECT pggit.track_schema('public')")
    for number in range(11):
        db.run("UPDATE t SET a = %s", str(number))
        db.run("SELECT pggit.commit(%s)", str(number))
    db.run(f"ALTER DATABASE \"{db.name}\" SET pggit.retention = '0'")
    db.close()
    db.connect()
    return db


def running(db: Database) -> Connection:
    """A session in which gc has run and not been committed."""
    session = db.connect(autocommit=False)
    assert query(session, "SELECT object FROM pggit.gc(false)").fetchall()
    return session


def test_writes_and_commits_do_not_wait_for_gc(old: Database) -> None:
    old.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    collecting = running(old)
    for branch in ("main", "b"):
        session = old.connect(branch=branch)
        query(session, "SET lock_timeout = '50ms'; SET pggit.lock_timeout = '50ms'")
        query(session, "UPDATE t SET a = 'now'; INSERT INTO t VALUES (2, 'new')")
        query(session, "SELECT pggit.commit('meanwhile')")
        query(session, "DELETE FROM t WHERE id = 1")
    query(session, "SELECT pggit.merge('b', 'main', NULL, '{\"on_conflict\": \"ours\"}')")
    collecting.commit()
    assert shown(old) == [(2, "new")]
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_what_others_write_and_commit_meanwhile_is_not_collected(old: Database) -> None:
    writer = old.connect(autocommit=False)
    query(writer, "UPDATE t SET a = 'open'")
    query(writer, "SELECT pggit.commit('open')")
    query(writer, "UPDATE t SET a = 'opener'")
    old.run("SELECT * FROM pggit.gc(false)")
    writer.commit()
    assert old.rows("SELECT a FROM pggit.as_of(NULL::t, 'HEAD')") == [("open",)]
    assert old.rows("SELECT a FROM pggit.as_of(NULL::t, 'HEAD~1')") == [("10",)]
    assert old.rows("SELECT * FROM pggit.verify()") == []


NAMING = {
    "tag": "SELECT pggit.tag('v', 'HEAD~3')",
    "branch": "SELECT pggit.create_branch('b', 'HEAD~3')",
    "soft reset": "SELECT pggit.reset('main', 'HEAD~3', 'soft')",
    "reset": "SELECT pggit.reset('main', 'HEAD~3')",
    "cherry_pick": "SELECT pggit.cherry_pick('HEAD~3')",
}


@pytest.mark.parametrize("call", NAMING.values(), ids=NAMING.keys())
def test_gc_and_who_names_an_old_commit_keep_each_other_out(old: Database, call: str) -> None:
    naming = old.connect(autocommit=False)
    query(naming, call)
    old.run("SET pggit.lock_timeout = '100ms'")
    with raises("VG401", r"commits are being named by process \d+"):
        old.run("SELECT pggit.gc(false)")
    naming.rollback()

    collecting = running(old)
    with raises("VG401", r"pggit.gc is at work in process \d+"):
        old.run(call)
    collecting.rollback()
    old.run(call)
    old.run("SELECT pggit.gc(false)")
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_a_tag_of_a_transaction_with_an_older_view_is_refused(old: Database) -> None:
    """It sees the commit as readable still."""
    older = old.connect(autocommit=False)
    query(older, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert query(older, "SELECT a FROM pggit.as_of(NULL::t, 'HEAD~3')").fetchall() == [("7",)]
    old.run("SELECT pggit.gc(false)")
    assert query(older, "SELECT a FROM pggit.as_of(NULL::t, 'HEAD~3')").fetchall() == [("7",)], (
        "and what it sees is true"
    )
    with pytest.raises(psycopg.errors.SerializationFailure):
        query(older, "SELECT pggit.tag('v', 'HEAD~3')")


def test_gc_sees_every_tag_there_is(old: Database) -> None:
    session = old.connect(autocommit=False)
    query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with raises("VG401", "READ COMMITTED"):
        query(session, "SELECT pggit.gc(false)")


def test_a_read_that_gc_overtakes_is_refused(old: Database) -> None:
    """as_of knows where the commit is, waits for the table, and the rows of the log are gone when it comes to them."""
    reader, holder = old.connect(), old.connect(autocommit=False)
    pid = reader.info.backend_pid
    query(holder, "LOCK TABLE pggit._mask_1, t IN ACCESS EXCLUSIVE MODE")
    answer: list[Any] = []

    def read() -> None:
        try:
            answer.append(query(reader, "SELECT * FROM pggit.as_of(NULL::t, 'HEAD~3')").fetchall())
        except psycopg.Error as error:
            answer.append(error.sqlstate)

    thread = threading.Thread(target=read)
    thread.start()
    while not old.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", pid):
        time.sleep(0.01)
    old.run("SELECT pggit.gc(false)")
    holder.rollback()
    thread.join()
    assert answer == ["VG306"]


def test_a_table_that_others_change_is_left_for_the_next_run(old: Database) -> None:
    old.run("CREATE TABLE u (id integer PRIMARY KEY, a text); INSERT INTO u VALUES (1, '-')")
    for text in ("one", "two"):
        old.run("UPDATE u SET a = %s", text)
        old.run("SELECT pggit.commit(%s)", text)
    changing = old.connect(autocommit=False)
    query(changing, "LOCK TABLE pggit._log_1 IN ACCESS EXCLUSIVE MODE")
    found = old.rows("SELECT object, reason FROM pggit.gc(false)")
    assert ("public.t", "left for the next run: others are changing the table") in found
    assert ("public.u", "changes of main that no readable state needs") in found
    changing.rollback()
    assert ("public.t", 11) in old.rows("SELECT object, rows FROM pggit.gc(false)")
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_killed_at_any_moment_it_has_changed_nothing(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a integer);
        CREATE TABLE u (id integer PRIMARY KEY, a integer);
        SELECT pggit.track_schema('public')""")
    commits = []
    for number in range(6):
        for table in ("t", "u"):
            db.run(f"""
                INSERT INTO {table} SELECT i, {number} FROM generate_series(1, 2000) AS i
                    ON CONFLICT (id) DO UPDATE SET a = {number}""")
        commits.append(db.value("SELECT pggit.commit(%s)", str(number)))
    db.run("SELECT pggit.tag('v2', %s)", commits[2])
    digests = "SELECT array_agg(pggit.state_digest(c)) FROM unnest(%s::text[]) AS c"
    before = db.value(digests, commits)
    rng = random.Random(1)
    killed = 0
    for _ in range(6):
        session = db.connect()
        query(session, "SET pggit.retention = '0'")
        threading.Timer(
            rng.uniform(0.02, 0.25), db.run, ("SELECT pg_terminate_backend(%s)", session.info.backend_pid)
        ).start()
        try:
            query(session, "BEGIN; SELECT pggit.gc(false); SELECT pg_sleep(3)")
        except psycopg.OperationalError:
            killed += 1
        assert db.value(digests, commits) == before
    assert killed == 6
    db.run("SET pggit.retention = '0'")
    db.run("SELECT pggit.gc(false)")
    assert db.value(digests, [commits[2], commits[5]]) == [before[2], before[5]]
    assert db.rows("SELECT * FROM pggit.verify()") == []
