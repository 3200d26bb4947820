"""Writers that never leave the rows of a merge alone: it ends within its own attempts, and none of them fails."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from fixtures.postgres import Connection, Database, query

ROWS = 30
SCHEMA = f"""
    CREATE TABLE t (id integer PRIMARY KEY, theirs integer, ours integer);
    INSERT INTO t SELECT g, 0, 0 FROM generate_series(1, {ROWS + 1}) AS g;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', NULL, 'schema', 'none');
"""
UPDATE = "UPDATE t SET ours = ours + 1 WHERE id = %s"


def one_row(session: Connection, ids: list[int]) -> int:
    query(session, UPDATE, ids[0])
    return 1


def several_rows(session: Connection, ids: list[int]) -> int:
    with session.transaction():
        for key in ids:
            query(session, UPDATE, key)
    return len(ids)


def locked_rows(session: Connection, ids: list[int]) -> int:
    with session.transaction():
        for key in ids:
            query(session, "SELECT FROM t WHERE id = %s FOR UPDATE", key)
        query(session, "UPDATE t SET ours = ours + 1 WHERE id = ANY (%s)", ids)
    return len(ids)


def row_and_commit(session: Connection, ids: list[int]) -> int:
    with session.transaction():
        query(session, UPDATE, ids[0])
        query(session, "SELECT pggit.commit('mine')")
    return 1


def test_the_merge_gets_through(db: Database) -> None:
    db.run(SCHEMA)
    dev = db.connect(branch="dev")
    stop = threading.Event()

    def write(number: int) -> int:
        chance = random.Random(number)
        work = (one_row, several_rows, locked_rows, row_and_commit)[number]
        session, written = db.connect(), 0
        while not stop.is_set():
            written += work(session, sorted(chance.sample(range(1, ROWS + 1), 5)))
        return written

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        try:
            for _ in range(2):
                query(dev, "UPDATE t SET theirs = theirs + 1")
                assert db.value("SELECT (pggit.merge('dev', 'main')).result") == "merged"
        finally:
            stop.set()
        written = sum(writer.result() for writer in writers)

    assert db.row("SELECT min(theirs), max(theirs), sum(ours) FROM t") == (2, 2, written)
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_where_the_table_is_not_free_the_merge_goes_on_without_it(db: Database) -> None:
    """A writer has another row of the table all the time; one row of the merge is free from its third attempt on."""
    db.run(SCHEMA)
    query(db.connect(branch="dev"), "UPDATE t SET theirs = 1 WHERE id = 1")
    elsewhere, here, merger = db.connect(autocommit=False), db.connect(autocommit=False), db.connect()
    query(elsewhere, UPDATE, ROWS + 1)
    query(here, UPDATE, 1)
    wanted = f"""
        SELECT count(*) FROM pg_locks
         WHERE pid = {merger.info.backend_pid} AND mode = 'ExclusiveLock' AND relation = 't'::regclass AND NOT granted
    """
    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(query, merger, "SELECT result FROM pggit.merge('dev', 'main')")
        while not db.value(wanted):
            time.sleep(0.02)
        here.commit()
        assert merging.result().fetchall() == [("merged",)]
    elsewhere.commit()
    assert db.rows("SELECT * FROM t WHERE id IN (1, 31) ORDER BY id") == [(1, 1, 1), (31, 0, 1)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
