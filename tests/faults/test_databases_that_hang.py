"""A PostgreSQL that is down or hangs: said in the status, waited for, and no trouble to anybody else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from fixtures.operating import ITEMS, Site, a_name, condition, serving, states
from localcluster import ControlPlane
from postgres import FAST, Server


@pytest.fixture
def other() -> Iterator[Server]:
    """A PostgreSQL of the test's own, to do harm to."""
    with Server(18, password=secrets.token_urlsafe(18), settings=FAST) as server:
        yield server


def test_a_server_that_is_down_is_waited_for(site: Site, other: Server) -> None:
    there = replace(site, server=other)
    database, owner = there.versioned()
    branch, _ = there.branch(database)

    other.stop()
    body = site.wait("vdb", database, "Unreachable")

    assert f"PostgreSQL at 127.0.0.1:{other.port} does not answer" in condition(body)["message"]
    assert "Start it, or correct host and port in the Secret." in condition(body)["message"]
    assert states(body) == {"Ready": "False", "Reconciling": "True", "Stalled": "False", "Drifted": "False"}
    site.wait("dbb", branch, "Unreachable")
    deadline, lines = time.monotonic() + 60, list[str]()
    while len(lines) <= 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        lines = [line for line in site.operator.log.read_text().splitlines() if f"127.0.0.1:{other.port}" in line]
    assert len(lines) > 2
    assert all("[warning  ]" in line and ": Unreachable: " in line for line in lines), "each try is one line"

    other.start()
    site.wait("vdb", database, "UnderVersionControl")
    site.wait("dbb", branch, "BranchReady")
    assert owner.rows("SELECT count(*) FROM items") == [(3,)]
    assert "Traceback" not in site.operator.log.read_text()


def _seconds_to_install(site: Site) -> float:
    """How long a new database takes to come under version control."""
    name, shop = a_name("db"), site.database(ITEMS)
    site.namespace.secret(name, **shop.secret)
    began = time.monotonic()
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})
    site.wait("vdb", name, "UnderVersionControl")
    return time.monotonic() - began


def test_a_server_that_hangs_delays_nobody_else(site: Site, other: Server) -> None:
    there = replace(site, server=other)
    hanging = [there.versioned()[0] for _ in range(6)]
    branch, _ = there.branch(hanging[0])
    usual = [_seconds_to_install(site) for _ in range(3)]

    other.pause()
    try:
        for database in hanging:
            site.wait("vdb", database, "Unreachable", seconds=120)
        site.wait("dbb", branch, "Unreachable", seconds=120)
        meanwhile = [_seconds_to_install(site) for _ in range(3)]
    finally:
        other.resume()

    assert min(meanwhile) < max(usual) + 3, (usual, meanwhile)
    for database in hanging:
        site.wait("vdb", database, "UnderVersionControl", seconds=120)
    site.wait("dbb", branch, "BranchReady", seconds=120)


def test_busy_for_a_moment_is_no_reason_to_say_that_a_branch_is_not_ready(site: Site, other: Server) -> None:
    there = replace(site, server=other)
    database, owner = there.versioned()
    branch, _ = there.branch(database)
    with owner.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE pggit.branches IN ACCESS EXCLUSIVE MODE")
        time.sleep(4)  # the operator waits for the lock
        assert condition(site.namespace.get("dbb", branch))["status"] == "True"
    site.wait("dbb", branch, "BranchReady")


def test_a_server_that_hangs_in_the_middle_of_a_statement_is_given_up(site: Site, other: Server) -> None:
    there = replace(site, server=other)
    database, owner = there.versioned()
    branch, _ = there.branch(database)
    with owner.connect() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE pggit.branches IN ACCESS EXCLUSIVE MODE")
        with psycopg.connect(other.dsn(), autocommit=True) as admin:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pggit-operator' "
                "AND wait_event_type = 'Lock'"
            )
            deadline = time.monotonic() + 60
            while admin.execute(waiting).fetchone() != (2,):  # as many as may work on one server
                assert time.monotonic() < deadline
                time.sleep(0.05)
        other.pause()
        try:
            site.wait("vdb", database, "Unreachable", seconds=120)
            site.wait("dbb", branch, "Unreachable", seconds=120)
        finally:
            other.resume()
    site.wait("dbb", branch, "BranchReady", seconds=120)


def test_a_dead_database_does_not_hold_a_deletion_for_ever(site: Site, other: Server) -> None:
    there = replace(site, server=other)
    database, _ = there.versioned()
    branch, _ = there.branch(database, deletionPolicy="Delete")

    other.stop()
    site.namespace.run("delete", "dbb", branch, "--timeout=60s")

    assert ("Warning", "Orphaned") in site.events(branch)
    assert site.namespace.run("get", "secret", branch, "--ignore-not-found") == ""


def test_a_login_whose_object_went_unnoticed_is_switched_off(
    cluster: ControlPlane, postgresql: Server, tmp_path: Path
) -> None:
    with serving(cluster, postgresql, tmp_path) as site:
        database, owner = site.versioned()
        branch, secret = site.branch(database)
        site.operator.kill()
        site.namespace.run("patch", "dbb", branch, "--type=merge", '--patch={"metadata":{"finalizers":null}}')
        site.namespace.run("delete", "dbb", branch)

        site.operator.start()

        deadline = time.monotonic() + 60
        while owner.rows("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", secret["user"]) != [(False,)]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert (branch,) in owner.rows("SELECT name FROM pggit.list_branches()")
