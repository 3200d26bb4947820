"""A writer of a branch that commits its work is not chosen as a deadlock's victim by a stash or by materialize."""

from __future__ import annotations

import contextlib
import threading
import time

import psycopg
import pytest

from fixtures.postgres import Database, query

WORK = [
    "SELECT pggit.delete_branch('dev', true)",
    "SELECT pggit.create_branch('other', 'dev', 'schema', 'all')",
    "SELECT pggit.stash(NULL, 'dev')",
    "SELECT pggit.materialize('dev', 't')",
    "SELECT pggit.reset('dev', 'HEAD~1')",
]


@pytest.mark.parametrize("what", WORK)
def test_the_writer_gets_through(db: Database, what: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none');
    """)
    other = db.connect(branch="dev")
    query(other, "INSERT INTO t VALUES (2, 'pending')")
    query(other, "SELECT pggit.commit('second')")
    query(other, "INSERT INTO t VALUES (5, 'pending')")
    query(other, "SELECT pggit.checkout('main')")
    writer = db.connect(branch="dev", autocommit=False)
    query(writer, "INSERT INTO t VALUES (3, 'mine')")

    def other_work() -> None:
        with contextlib.suppress(psycopg.Error):  # it may give up
            query(other, what)

    running = threading.Thread(target=other_work)
    running.start()
    time.sleep(1.3)  # the other one has looked for a deadlock before there is one
    try:
        query(writer, "SELECT pggit.commit('mine')")
        writer.commit()
    finally:
        writer.rollback()
        running.join()
