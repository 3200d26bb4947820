"""A control plane that stays after the command that started it, until it is told to stop."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localcluster import programs
from localcluster.cluster import Cluster
from localcluster.control_plane import ControlPlane
from localcluster.errors import ClusterError


def keep_file() -> Path:
    """Where a control plane that stays is noted, unless another file is named."""
    return programs.cache() / "running.json"


def up(kept: Path) -> Cluster:
    """Start a control plane that stays, noted in a file. One that already runs there is used."""
    if not _lives(kept):
        programs.find_programs()
        kept.unlink(missing_ok=True)
        _launch(kept)
    return found(kept)


def down(kept: Path) -> bool:
    """Stop the control plane that is noted in the file. Says whether there was one."""
    lived = _lives(kept)
    if lived:
        os.kill(json.loads(kept.read_text())["pid"], signal.SIGTERM)
        _wait(lambda: not _lives(kept))
    kept.unlink(missing_ok=True)
    return lived


def found(kept: Path) -> Cluster:
    """The control plane that is noted in the file."""
    if not _lives(kept):
        raise ClusterError("no local control plane is running; start one with: python tools/cluster.py up")
    note = json.loads(kept.read_text())
    return Cluster(
        folder=Path(note["folder"]),
        kubeconfig=Path(note["kubeconfig"]),
        kubectl=Path(note["kubectl"]),
        controllers=note["controllers"],
    )


def serve(kept: Path) -> None:
    """Be the process that holds the control plane: note it in the file, keep the file locked, stop at SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    fresh = kept.with_suffix(".new")
    with fresh.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with ControlPlane(own=True) as plane:
            json.dump(_note(plane), file)
            file.flush()
            fresh.rename(kept)
            _let_go_of_the_terminal()
            signal.pause()


def _note(plane: ControlPlane) -> dict[str, object]:
    """What `found` needs."""
    return {
        "pid": os.getpid(),
        "folder": str(plane.folder),
        "kubeconfig": str(plane.kubeconfig),
        "kubectl": str(plane.kubectl),
        "controllers": plane.controllers,
    }


def _launch(kept: Path) -> None:
    """Start a process of its own for `serve`, and wait until the file is there."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(Path(__file__).resolve().parent.parent / "cluster.py"), "serve", str(kept)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    _wait(lambda: kept.exists() or process.poll() is not None)
    if not kept.exists():
        raise ClusterError("the control plane did not start; what it said is above")


def _lives(kept: Path) -> bool:
    """Whether a process holds the file."""
    try:
        with kept.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError("the local control plane does not react within 3 minutes")
        time.sleep(0.05)


def _let_go_of_the_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)
