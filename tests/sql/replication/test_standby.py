"""A hot standby reads every branch and every commit, and goes on in its epoch when it is promoted."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator

import pytest

from fixtures.dumps import go_on, make_history, no_problem, on_branch, seen
from fixtures.postgres import INSTALL, Database, query, raises
from postgres import FAST, Server, run_as_server

pytestmark = pytest.mark.each_version


@contextlib.contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    standby = Server(primary.version, settings=primary.settings)
    try:
        shutil.rmtree(standby.data)
        copy = ["-D", standby.data, "-R", "-X", "stream", "-c", "fast", "-d", primary.dsn()]
        run_as_server(str(standby.bin / "pg_basebackup"), *map(str, copy))
        standby.start()
        yield standby
    finally:
        standby.close()


def caught_up(primary: Database, standby: Database) -> Database:
    """The standby, when it has all that the primary has written."""
    end = primary.value("SELECT pg_current_wal_lsn()")
    deadline = time.monotonic() + 60
    while not standby.value("SELECT pg_last_wal_replay_lsn() >= %s", end):
        assert time.monotonic() < deadline, standby.server.log.read_text()[-3000:]
        time.sleep(0.02)
    return standby


def test_a_standby_shows_what_the_primary_shows_and_goes_on_when_promoted(server: Server) -> None:
    settings = FAST | {"wal_level": "replica", "max_wal_senders": "4", "synchronous_commit": "on"}
    with Server(server.version, settings=settings) as first:
        first.psql("-c", "CREATE DATABASE shop")
        first.psql("-1", "-f", str(INSTALL), database="shop")
        primary = Database(first, "shop")
        make_history(primary)
        with standby_of(first) as second:
            standby = caught_up(primary, Database(second, "shop"))
            assert seen(standby) == seen(primary)
            no_problem(standby)

            # Whoever has written and is not done is in no commit that is made meanwhile.
            slow = primary.connect(autocommit=False)
            query(slow, "UPDATE customers SET name = 'slow' WHERE id = 13")
            primary.run(
                "UPDATE customers SET name = 'quick' WHERE id = 14; SELECT pggit.tag('now', pggit.commit('now'))"
            )
            slow.commit()
            caught_up(primary, standby)
            sql = "SELECT name FROM pggit.as_of(NULL::customers, %s) WHERE id IN (13, 14) ORDER BY id"
            assert standby.rows(sql, "now") == [("c13",), ("quick",)]
            assert standby.rows(sql, "WORKING") == [("slow",), ("quick",)]
            before = seen(primary)
            assert seen(standby) == before

            for write in ("SELECT pggit.commit('here')", "SELECT pggit.merge('view', 'main')", "DELETE FROM customers"):
                for session in (standby.conn, on_branch(standby, "view")):
                    with raises("25006"):
                        query(session, write)
            epoch = standby.value("SELECT last_value FROM pggit._epoch")
            primary.close()
            first.stop("immediate")
            assert standby.value("SELECT pg_promote()")
            assert seen(standby) == before
            go_on(standby, "promoted")
            assert standby.value("SELECT last_value FROM pggit._epoch") == epoch
            standby.close()
