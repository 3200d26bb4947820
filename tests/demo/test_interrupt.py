"""`make demo` cleans up, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from fixtures.postgres import ROOT

DEMO = [sys.executable, "-u", str(ROOT / "tools" / "demo.py")]


def demo(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        DEMO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in {**os.environ, **environment}.items() if value},
    )


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended. What ended may wait for long until init takes its code."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def empty() -> Iterator[Path]:
    """A folder that PostgreSQL's account may look into, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"])
def test_interrupted_it_ends_all_that_it_started(empty: Path, how: signal.Signals, code: int) -> None:
    """In the middle of the first step: Kubernetes API, PostgreSQL and operator are there."""
    running = demo(TMPDIR=str(empty), KUBECONFIG="")
    assert running.stdout is not None
    for line in running.stdout:
        if "kubectl apply" in line:
            break
    started = psutil.Process(running.pid).children(recursive=True)
    assert {"postgres", "kubernetes"} <= {process.name() for process in started}

    running.send_signal(how)

    _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert not [process for process in started if runs(process)]
    assert [path.name for path in empty.iterdir()] == []


def test_without_kubernetes_it_says_what_is_missing(empty: Path) -> None:
    running = demo(PATH=str(empty), XDG_CACHE_HOME=str(empty), KUBECONFIG="", KUBEBUILDER_ASSETS="")
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    for way_out in ("Go 1.24", "KUBECONFIG", "KUBEBUILDER_ASSETS"):
        assert way_out in said
