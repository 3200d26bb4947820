"""The Kubernetes API fails at every write there is, in several ways; the end is the same."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from fixtures.flaky import Flaky
from fixtures.operating import Site, serving
from fixtures.postgres import ROOT
from fixtures.short_story import END, short_story
from localcluster import ClusterError, ControlPlane
from postgres import Server


def test_every_write_fails_in_several_ways(cluster: ControlPlane, postgresql: Server, tmp_path: Path) -> None:
    proxies: list[Flaky] = []

    def flaky(kubeconfig: Path) -> Path:
        proxies.append(Flaky(kubeconfig, [500, "cut", "lost", 429, 409]))
        return proxies[0].kubeconfig

    with serving(cluster, postgresql, tmp_path, {"PGGIT_BACKOFF_MAX": "0.3"}, through=flaky) as site:
        _, end = short_story(site, lambda: None)
    proxies[0].close()

    assert end == END
    assert min(proxies[0].tries.values()) >= 2
    assert len(proxies[0].tries) >= 8, proxies[0].tries


def test_killed_at_every_write_before_and_after_it_is_done(
    cluster: ControlPlane, postgresql: Server, tmp_path: Path
) -> None:
    wanted, over = threading.Event(), threading.Event()
    kills: list[float] = []

    def keep_alive(site: Site) -> None:
        """A thread that stays: the operator ends with the thread that started it."""
        while not over.wait(0.05):
            if wanted.is_set():
                site.operator.kill()
                wanted.clear()
                try:
                    site.operator.start()
                except ClusterError:
                    wanted.set()  # killed while it began

    def kill() -> None:
        kills.append(time.monotonic())
        wanted.set()
        while wanted.is_set():
            time.sleep(0.01)

    proxies: list[Flaky] = []

    def flaky(kubeconfig: Path) -> Path:
        proxies.append(Flaky(kubeconfig, ["cut", "lost"], kill))
        return proxies[0].kubeconfig

    with serving(cluster, postgresql, tmp_path, through=flaky) as site:
        keeper = threading.Thread(target=keep_alive, args=[site])
        keeper.start()
        try:
            _, end = short_story(site, lambda: None, patience=240)
        finally:
            over.set()
            keeper.join()
    proxies[0].close()

    assert end == END
    assert len(kills) >= 16


def test_a_namespace_goes_with_everything_in_it(cluster: ControlPlane, postgresql: Server, tmp_path: Path) -> None:
    with serving(cluster, postgresql, tmp_path, everywhere=True) as site:
        database, owner = site.versioned()
        site.branch(database, deletionPolicy="Delete")
        site.branch(database)
        site.namespace.apply("Snapshot", "snap", {"databaseRef": {"name": database}, "deletionPolicy": "Delete"})
        site.wait("dbsnap", "snap", "SnapshotTaken")

        try:
            cluster.run("delete", "namespace", site.namespace.name, "--timeout=180s")
        except ClusterError as late:
            left = cluster.run("get", "pggit", "-o", "yaml", "--namespace", site.namespace.name)
            why = cluster.run("get", "namespace", site.namespace.name, "-o", "yaml")
            raise AssertionError(f"{late}\n{why}\n{left}") from late

        assert owner.rows("SELECT count(*) FROM pggit.list_branches()") == [(2,)]
        assert owner.rows("SELECT count(*) FROM pggit.tags") == [(0,)]
        assert owner.rows("SELECT count(*) FROM pggit.branch_owners WHERE login_enabled") == [(0,)]


def test_a_namespace_whose_operator_is_gone_is_let_go_by_hand(
    cluster: ControlPlane, postgresql: Server, tmp_path: Path
) -> None:
    """As the guide says."""
    guide = (ROOT / "docs" / "guide" / "getting-started.md").read_text()
    (by_hand,) = [block for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL) if "finalizers" in block]
    with serving(cluster, postgresql, tmp_path) as site:
        database, _ = site.versioned()
        site.branch(database)
        site.operator.kill()
        cluster.run("delete", "namespace", site.namespace.name, "--wait=false")
        site.namespace.run("wait", "--for=delete", "vdb", "--all", "--timeout=60s")

        script = f'#!/bin/sh\nexec {shlex.join(cluster.command())} "$@"\n'
        kubectl = tmp_path / "kubectl"
        kubectl.write_text(script)
        kubectl.chmod(0o755)
        path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        commands = by_hand.replace("--namespace shop", f"--namespace {site.namespace.name}")
        subprocess.run(["bash", "-euc", commands], env={**os.environ, **path}, check=True)
        cluster.run("wait", "--for=delete", f"namespace/{site.namespace.name}", "--timeout=60s")
        assert f"namespace/{site.namespace.name}" not in cluster.run("get", "namespaces", "-o", "name").split()


def test_a_status_never_lands_on_an_object_that_was_made_again(site: Site) -> None:
    """Made again at once, many times: each one's status is about itself."""
    database, _ = site.versioned()
    for number in range(5):
        spec: dict[str, Any] = {"databaseRef": {"name": database}, "tag": f"v{number}"}
        site.namespace.apply("Snapshot", "again", spec)
        body = site.wait("dbsnap", "again", "SnapshotTaken")
        assert body["status"]["tag"] == f"v{number}", json.dumps(body["status"])
        site.namespace.run("delete", "dbsnap", "again")
