"""The demo on a cluster that KUBECONFIG names: where it cannot run, it says so and names the way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.postgres import ROOT
from localcluster import ControlPlane
from story.stage import CRDS, NAMESPACE


def refusal(kubeconfig: Path) -> str:
    """What the demo says when it gives up."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo.py")],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    said = refusal(missing)
    assert f"KUBECONFIG is {missing}, and there is no such file" in said
    assert "unset it" in said


def test_a_kubeconfig_without_a_cluster(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("apiVersion: v1\nkind: Config\n")
    said = refusal(empty)
    assert f"KUBECONFIG is {empty}, and names no cluster to use" in said
    assert "unset it" in said


def test_a_namespace_that_is_there_and_one_that_cannot_go(control_plane: ControlPlane) -> None:
    if not control_plane.controllers:
        pytest.skip("without a controller manager no namespace ends")
    control_plane.run("create", "namespace", NAMESPACE)
    control_plane.run("apply", "--server-side", f"--filename={CRDS}")
    control_plane.run("wait", "--for=condition=Established", f"--filename={CRDS}", "--timeout=60s")
    for kind, spec in {
        "VersionedDatabase": {"connection": {"secretName": "s"}},
        "DatabaseBranch": {"databaseRef": {"name": "left"}},
    }.items():
        meta = {"name": "left", "namespace": NAMESPACE, "finalizers": ["pggit.io/cleanup"]}
        left = {"apiVersion": "pggit.io/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}
        control_plane.run("apply", "--filename=-", stdin=json.dumps(left))

    said = refusal(control_plane.kubeconfig)
    assert f"already has a namespace {NAMESPACE}" in said
    assert f"kubectl delete namespace {NAMESPACE}" in said

    control_plane.run("delete", "namespace", NAMESPACE, "--wait=false")
    said = refusal(control_plane.kubeconfig)
    assert "still being deleted" in said
    way_out = said.partition("let them go with\n")[2].replace("kubectl", " ".join(control_plane.command()))
    subprocess.run(["bash", "-euo", "pipefail", "-c", way_out], check=True)
    control_plane.run("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=60s")
