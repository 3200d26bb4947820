"""Tracking begins and ends while others write: nobody waits for long or dies, and who gives up says so."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import Database, query, raises

TABLES = """
    CREATE TABLE a (id integer PRIMARY KEY, n integer NOT NULL);
    CREATE TABLE b (id integer, n integer NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE b_low PARTITION OF b FOR VALUES FROM (0) TO (2);
    CREATE TABLE b_high PARTITION OF b FOR VALUES FROM (2) TO (9);
    INSERT INTO a SELECT g, 0 FROM generate_series(1, 4) AS g;
    INSERT INTO b SELECT g, 0 FROM generate_series(1, 4) AS g;
"""
ACTIONS = {
    "track_table": "SELECT pggit.track_table('b')",
    "track_schema": "SELECT pggit.track_schema('public')",
    "untrack_table": "SELECT pggit.untrack_table('b')",
}
#: Each writes rows with a key of its own.
WRITERS = (1, 2)


@pytest.fixture(params=ACTIONS)
def action(request: pytest.FixtureRequest, db: Database) -> str:
    db.run(TABLES)
    if request.param == "untrack_table":
        db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    return ACTIONS[request.param]


def is_tracked(db: Database) -> bool:
    return ("public.b",) in db.rows("SELECT table_name FROM pggit.tracked_tables")


def write(db: Database, key: int, done: Counter[int], stop: threading.Event) -> None:
    """Both tables in each transaction, the one last that is locked first."""
    with psycopg.connect(db.dsn, autocommit=True) as session:
        while not stop.is_set():
            with session.transaction():
                query(session, "UPDATE b SET n = n + 1 WHERE id = %s", key)
                query(session, "UPDATE a SET n = n + 1 WHERE id = %s", key)
            done[key] += 1


def all_have_written(done: Counter[int], more: int) -> bool:
    """Whether each writer comes to so many more transactions."""
    until = {key: done[key] + more for key in WRITERS}
    deadline = time.monotonic() + 60
    while any(done[key] < until[key] for key in WRITERS) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(done[key] >= until[key] for key in WRITERS)


def test_writers_pass_while_it_waits_for_one_of_them(db: Database, action: str) -> None:
    before = is_tracked(db)
    slow = db.connect(autocommit=False)
    query(slow, "UPDATE b SET n = 100 WHERE id = 3")
    done, stop = Counter[int](), threading.Event()
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, db, key, done, stop) for key in WRITERS]
        actor = db.connect()
        query(actor, "SET lock_timeout = '200ms'; SET pggit.lock_timeout = '120s'")
        tracking = pool.submit(query, actor, action)
        try:
            time.sleep(1.5)
            passed = all_have_written(done, 5)
            waited = not tracking.done()
            slow.commit()
            tracking.result()
        finally:
            slow.rollback()
            stop.set()
        for writer in writers:
            writer.result()
    assert passed, "writers waited behind what waited"
    assert waited
    assert is_tracked(db) is not before
    assert db.rows("SELECT id, n FROM b WHERE id < 3 ORDER BY id") == sorted(done.items())
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_writer_of_two_tables_is_nobodys_victim(db: Database, action: str) -> None:
    """It has the table that is locked last, and then wants the one that is locked first."""
    before = is_tracked(db)
    writer = db.connect(autocommit=False)
    query(writer, "UPDATE b SET n = 1 WHERE id = 3")
    with ThreadPoolExecutor(1) as pool:
        tracking = pool.submit(query, db.connect(), action)
        time.sleep(0.3)
        query(writer, "UPDATE a SET n = 1 WHERE id = 3")
        time.sleep(1.2)
        query(writer, "UPDATE b SET n = 2 WHERE id = 1")
        writer.commit()
        tracking.result()
    assert is_tracked(db) is not before
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_it_gives_up_and_says_for_whom(db: Database, action: str) -> None:
    before = is_tracked(db)
    reader, writer = db.connect(autocommit=False), db.connect(autocommit=False)
    query(reader, "SELECT FROM b")
    query(writer, "UPDATE b SET n = 1 WHERE id = 3")
    actor = db.connect()
    query(actor, "SET pggit.lock_timeout = '300ms'; SET lock_timeout = '100ms'; SET statement_timeout = '60s'")
    named = rf"table public\.b is in use by .*process {writer.info.backend_pid} \(postgres, idle in"
    with raises("VG401", named) as told:
        query(actor, action)
    # A table is tracked while others read it.
    assert (f"process {reader.info.backend_pid} " in str(told.value)) is ("untrack" in action)
    assert "pggit.lock_timeout" in (told.value.diag.message_hint or "")
    assert is_tracked(db) is before
    query(writer, "UPDATE b SET n = 2 WHERE id = 3")
    writer.commit()
    reader.commit()
    query(actor, action)
    assert is_tracked(db) is not before
