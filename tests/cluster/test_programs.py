"""Programs are built once, by one of those who ask, and kept only when they are whole."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster import ControlPlane, programs


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "pggit-operator"


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A folder as envtest has it: etcd, kube-apiserver and kubectl, and no controller manager."""
    binary = programs.kubernetes()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nexec "{binary}" {name} "$@"\n')
        program.chmod(0o755)
    return tmp_path


def test_two_who_ask_at_once_get_one_build(cache: Path) -> None:
    builds: list[Path] = []

    def build(into: Path) -> None:
        builds.append(into)
        time.sleep(0.3)
        (into / "tool").write_text("whole")

    with ThreadPoolExecutor() as pool:
        found = [pool.submit(programs.cached, "tool-1", "tool", build) for _ in range(3)]
        texts = [one.result().read_text() for one in found]

    assert texts == ["whole"] * 3
    assert len(builds) == 1


def test_a_build_that_fails_is_not_kept(cache: Path) -> None:
    def build(into: Path) -> None:
        (into / "tool").write_text("half")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        programs.cached("tool-1", "tool", build)

    assert [entry.name for entry in cache.iterdir()] == ["tool-1.lock"]


def test_envtests_folder_gives_a_control_plane_without_controllers(
    assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))

    with ControlPlane(own=True) as plane:
        assert plane.kubectl == assets / "kubectl"
        assert not plane.controllers
        assert "default" in plane.run("get", "namespaces")


def test_the_controller_manager_starts_when_the_api_server_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    found = programs.find_programs()
    assert found.controller_manager
    asks_once = ("sh", "-c", '"$0" "$3" get --raw /readyz && exec "$@"', str(found.kubectl))
    impatient = replace(found, controller_manager=(*asks_once, *found.controller_manager))
    monkeypatch.setattr(programs, "find_programs", lambda: impatient)

    with ControlPlane(own=True) as plane:
        assert plane.run("get", "serviceaccount", "default")


def test_a_certificate_is_read_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    found = programs.find_programs()
    slowly = """
for flag; do case "$flag" in --cert-dir=*) folder="${flag#--cert-dir=}";; esac; done
mkdir "$folder"; : > "$folder/apiserver.crt"; sleep 1; rm "$folder/apiserver.crt"
exec "$@"
"""
    monkeypatch.setattr(
        programs, "find_programs", lambda: replace(found, apiserver=("sh", "-c", slowly, "sh", *found.apiserver))
    )

    with ControlPlane(own=True) as plane:
        assert "default" in plane.run("get", "namespaces")


def test_helm_speaks_to_the_control_plane(control_plane: ControlPlane) -> None:
    assert control_plane.run_helm("list", "--namespace", "kube-public", "--short") == ""
