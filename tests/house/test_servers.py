"""The servers that tests, demo and benchmarks run on do what tools/postgres.py says."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from fixtures.postgres import ROOT
from postgres import VERSIONS, WHEELS, Server, Unavailable, binaries


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that the servers' account may not enter")
@pytest.mark.parametrize("version", sorted(WHEELS))
def test_a_virtual_environment_that_only_root_may_enter_will_do(version: int, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    packages = binaries(version).parents[2]
    for package in packages.glob(f"{WHEELS[version]}*"):
        (closed / package.name).symlink_to(package)
    script = f"from postgres import Server\nwith Server({version}) as s: print(s.bin, s.psql('-c', 'SELECT 1'))"
    environment = {**os.environ, "PYTHONPATH": f"{closed}:{ROOT / 'tools'}"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    folder, answer = done.stdout.split()
    assert answer == "1"
    assert not Path(folder).is_relative_to(closed)
    assert not Path(folder).exists(), "the copy goes with the process"
