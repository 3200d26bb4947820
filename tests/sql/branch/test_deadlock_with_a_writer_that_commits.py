"""A writer of a branch that commits is no deadlock's victim; who can't have the branch says so."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import Database, query, raises

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
    query(other, "SET pggit.lock_timeout = '2s'")  # it gives up long before the writer would
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


def test_the_writer_gets_through_behind_others(small: Database) -> None:
    """Others want the branch before it: a stash, which gets it first and then wants the writer to end, and a commit."""
    small.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none')")
    holder = small.connect(branch="dev", autocommit=False)
    query(holder, "SELECT pggit.commit('nothing', p_allow_empty => true)")
    writer = small.connect(branch="dev", autocommit=False)
    query(writer, "INSERT INTO t VALUES (3, 'mine')")
    commit = "SELECT pggit.commit('mine', 'dev', p_allow_empty => true)"
    with ThreadPoolExecutor(3) as pool:
        stash = pool.submit(query, small.connect(), "SELECT pggit.stash(NULL, 'dev')")
        time.sleep(0.1)
        another = pool.submit(query, small.connect(), commit)
        time.sleep(0.1)
        mine = pool.submit(query, writer, commit)
        time.sleep(0.4)
        holder.commit()
        assert mine.result().fetchone()
        writer.commit()
        assert another.result().fetchone()
        with contextlib.suppress(psycopg.Error):  # it may give up
            stash.result()
    assert (3, "mine") in small.rows("SELECT * FROM pggit.as_of(NULL::t, 'dev')") + small.rows(
        "SELECT t.* FROM pggit.stashes AS s, pggit.as_of(NULL::t, s.commit_id) AS t"
    )


def test_who_is_waited_for_gives_up(small: Database) -> None:
    """Two transactions want a row and the branch, each in its own order."""
    one, other = small.connect(autocommit=False), small.connect(autocommit=False)
    commit = "SELECT pggit.commit('mine', p_allow_empty => true)"
    query(one, "SET pggit.lock_timeout = '300ms'; INSERT INTO t VALUES (7, 'one')")
    query(other, commit)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(query, other, "INSERT INTO t VALUES (7, 'other')")
        time.sleep(0.3)
        with raises("VG401", "branch 'main' is busy"):
            query(one, commit)
        one.rollback()
        waiting.result()
    other.commit()


def test_who_is_in_nobodys_way_waits_as_long_as_it_takes(small: Database) -> None:
    one, other = small.connect(), small.connect(autocommit=False)
    commit = "SELECT pggit.commit('mine', p_allow_empty => true)"
    query(other, commit)
    query(one, "SET lock_timeout = '100ms'")
    with raises("55P03", "branch 'main' is busy"):
        query(one, commit)
    query(one, "SET pggit.lock_timeout = '100ms'; RESET lock_timeout")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(query, one, commit)
        time.sleep(0.6)
        assert not waiting.done()
        other.commit()
        assert waiting.result().fetchone()
