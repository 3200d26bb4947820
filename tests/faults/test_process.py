"""The operator as a process: it ends when told to, whatever hangs, and says when it cannot begin."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.operating import Site, serving
from localcluster import ClusterError, ControlPlane
from postgres import FAST, Server
from story.operator_process import ROOT, Operator


def _process(site: Site) -> subprocess.Popen[bytes]:
    return site.operator._processes.running["operator"]


def test_without_the_crds_it_says_so_and_ends(tmp_path: Path) -> None:
    with ControlPlane(own=True) as plane:
        operator = Operator(plane.kubeconfig, "default", tmp_path, {"PGGIT_CRD_DEADLINE": "2"})
        with pytest.raises(ClusterError, match="operator ended with code 1"):
            operator.start(seconds=40)

    said = operator.log.read_text()
    assert "the API server does not serve versioneddatabases, databasebranches, snapshots, merges of pggit.io" in said
    assert "install the CRDs of the chart" in said


def test_it_ends_soon_after_sigterm(cluster: ControlPlane, postgresql: Server, tmp_path: Path) -> None:
    with serving(cluster, postgresql, tmp_path) as site:
        site.versioned()
        process = _process(site)

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
        assert "the operator has stopped" in site.operator.log.read_text()


def test_it_ends_within_its_deadline_while_a_database_hangs(cluster: ControlPlane, tmp_path: Path) -> None:
    slow = {"PGGIT_CONNECT_TIMEOUT": "60", "PGGIT_SHUTDOWN_DEADLINE": "5"}
    with (
        Server(18, password=secrets.token_urlsafe(18), settings=FAST) as server,
        serving(cluster, server, tmp_path, slow) as site,
    ):
        site.versioned()
        server.pause()
        time.sleep(5)  # the next look hangs
        process = _process(site)

        process.send_signal(signal.SIGTERM)

        process.wait(30)
        server.resume()


def test_a_knob_that_makes_no_sense_is_refused_at_the_start() -> None:
    environment = {"PGGIT_WORKERS": "none", "PYTHONPATH": str(ROOT / "operator"), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "pggit_operator"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("pggit-operator: PGGIT_WORKERS: ")
