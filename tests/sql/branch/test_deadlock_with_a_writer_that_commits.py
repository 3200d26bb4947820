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
def test_the_writer_gets_through(small: Database, what: str) -> None:
    small.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none')")
    other = small.connect(branch="dev")
    query(other, "INSERT INTO t VALUES (2, 'pending')")
    query(other, "SELECT pggit.commit('second')")
    query(other, "INSERT INTO t VALUES (5, 'pending')")
    query(other, "SELECT pggit.checkout('main')")
    writer = small.connect(branch="dev", autocommit=False)
    query(writer, "INSERT INTO t VALUES (3, 'mine')")

    def other_work() -> None:
        with contextlib.suppress(psycopg.Error):  # it may give up
            query(other, what)

    running = threading.Thread(target=other_work)
    running.start()
    time.sleep(1.3)  # the other one has looked for a deadlock before there is one
    try:
        made = query(writer, "SELECT pggit.commit('mine')").fetchone()
        writer.commit()
    finally:
        writer.rollback()
        running.join()
    assert made is not None
    assert (3, "mine") in small.rows("SELECT * FROM pggit.as_of(NULL::t, %s)", made[0])
