"""A control plane of our own ends with whoever started it, and says what it needs when it cannot start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localcluster import ClusterError, ControlPlane, programs

TOOL = Path(programs.__file__).resolve().parent.parent / "cluster.py"
HOLDS_A_CONTROL_PLANE = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell ignores it
from localcluster import ControlPlane
with ControlPlane(own=True) as plane:
    print(*plane.pids, flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def none_alive(pids: list[int]) -> bool:
    """Whether all of them end within some seconds."""
    deadline = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(alive, pids))


def tool(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in an environment without a cluster of the user's."""
    chosen = {**os.environ, "KUBECONFIG": "", **environment}
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, env=chosen, capture_output=True, text=True, timeout=120, check=False)


def test_stopping_leaves_no_process_and_no_file() -> None:
    with ControlPlane(own=True) as plane:
        pids, folder = plane.pids, plane.folder
        assert pids
        assert all(map(alive, pids))

    assert none_alive(pids)
    assert not folder.parent.exists()


def test_two_run_side_by_side() -> None:
    with ControlPlane(own=True) as one, ControlPlane(own=True) as other:
        one.run("create", "namespace", "only-here")

        assert "only-here" in one.run("get", "namespaces")
        assert "only-here" not in other.run("get", "namespaces")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_whoever_ends_it_nothing_is_left_running(how: signal.Signals) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_A_CONTROL_PLANE], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert pids

    holder.send_signal(how)
    holder.wait(timeout=60)

    assert none_alive(pids)


def test_kubeconfig_wins(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "/nowhere")

    with ControlPlane() as theirs:
        assert theirs.theirs
        assert theirs.pids == []
        assert "kube-system" in theirs.run("get", "namespaces")


def test_without_go_it_says_what_to_install_or_set(tmp_path: Path) -> None:
    done = tool("up", PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path), KUBEBUILDER_ASSETS="")

    assert done.returncode == 1
    assert "there is no go on PATH. Install Go, or set KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_assets_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    with pytest.raises(ClusterError, match="no etcd and no kube-apiserver in it"):
        ControlPlane(own=True)


def test_a_control_plane_stays_from_up_to_down(tmp_path: Path) -> None:
    keep = f"--keep-file={tmp_path / 'running.json'}"
    try:
        up = tool("up", keep)
        assert up.returncode == 0, up.stderr
        kubeconfig = Path(up.stdout.strip().removeprefix("export KUBECONFIG="))

        assert tool("up", keep).stdout == up.stdout
        assert "kube-system" in tool("kubectl", "get", "namespaces", KUBECONFIG=str(kubeconfig)).stdout
    finally:
        down = tool("down", keep)

    assert down.stderr == "stopped\n"
    assert not kubeconfig.exists()
    assert tool("down", keep).stderr == "nothing was running\n"
