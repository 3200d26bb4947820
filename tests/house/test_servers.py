"""The servers that tests, demo and benchmarks run on do what tools/postgres.py says."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest

from fixtures.postgres import ROOT
from postgres import VERSIONS, Server, Unavailable, binaries


def test_a_password_is_asked_for() -> None:
    with Server(18, password="s'ec\\ret") as server:
        psycopg.connect(server.dsn()).close()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(password="wrong"))


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    with Server(18) as server:
        port = server.port
        with psycopg.connect(server.dsn()) as conn:
            conn.execute("CREATE TABLE t AS SELECT 1 AS n")
        server.kill()
        assert not server.running
        server.start()
        assert server.port == port
        with psycopg.connect(server.dsn()) as conn:
            assert conn.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_nothing_outlives_its_process() -> None:
    """Not even when that gets no chance to clean up."""
    script = "from postgres import Server; s = Server(18).__enter__(); print(s.pid, s.folder, flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True, env=environment) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        server = os.pidfd_open(int(pid))
        owner.send_signal(signal.SIGKILL)
    try:
        ended, _, _ = select.select([server], [], [], 30)
        assert ended == [server]
    finally:
        os.close(server)
        shutil.rmtree(folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_supported_version_is_there(version: int) -> None:
    done = subprocess.run([binaries(version) / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert f"(PostgreSQL) {version}." in done.stdout


def test_other_versions_are_refused_in_a_sentence() -> None:
    with pytest.raises(Unavailable, match="PostgreSQL 9 is not supported; choose one of 15, 16, 17, 18"):
        binaries(9)
