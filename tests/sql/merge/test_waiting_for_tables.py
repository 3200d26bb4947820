"""A merge that changes columns waits for the tables no longer than it may, says for whom, and lets writers pass."""

from __future__ import annotations

import threading
import time

import pytest

from fixtures.postgres import Database, query, raises


@pytest.mark.parametrize("merge", ["plan_merge", "merge"])
def test_who_is_in_the_way_is_named_and_writers_pass(db: Database, merge: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 1);
        SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('dev');
    """)
    query(db.connect(branch="dev"), "ALTER TABLE t ADD more integer DEFAULT 3")
    reader = db.connect(autocommit=False)
    query(reader, "SELECT * FROM t")
    writer = db.connect()
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            begun = time.monotonic()
            query(writer, "UPDATE t SET n = n + 1")
            waits.append(time.monotonic() - begun)
            time.sleep(0.02)

    thread = threading.Thread(target=write)
    thread.start()
    begun = time.monotonic()
    try:
        query(db.conn, "SET pggit.lock_timeout = '2s'; SET lock_timeout = '200ms'")
        with raises("VG401", f"table public.t is in use by .*{reader.info.backend_pid}"):
            db.run(f"SELECT pggit.{merge}('dev', 'main')")
        took = time.monotonic() - begun
    finally:
        done.set()
        thread.join()
    print(f"{merge} gave up after {took:.2f} s, the longest writer waited {max(waits):.2f} s")
    assert max(waits) < 4
    reader.rollback()
    assert db.value(f"SELECT result FROM pggit.{merge}('dev', 'main')") in ("planned", "merged")
    assert db.value("SHOW lock_timeout") == "200ms"
