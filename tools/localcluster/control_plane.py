"""The Kubernetes API to work against: the user's cluster, or a control plane of our own that ends with us."""

from __future__ import annotations

import atexit
import os
import shutil
from pathlib import Path
from typing import Self

from localcluster import programs
from localcluster.cluster import Cluster, run
from localcluster.components import Listen, start_control_plane
from localcluster.errors import ClusterError
from localcluster.folder import Folder, abandoned
from localcluster.processes import Processes

PREFIX = "pggit-control-plane"
ATTEMPTS = 3
WITHOUT = "name another one, or unset it for a Kubernetes API of this machine's own"


class ControlPlane(Cluster):
    """A Kubernetes API: `with ControlPlane() as plane: plane.run("get", "namespaces")`.

    KUBECONFIG wins: then it is the user's cluster, and nothing is started. Else etcd, kube-apiserver and
    kube-controller-manager start on free loopback ports, with everything in one temporary folder. `own=True` does not
    look at KUBECONFIG. Start it from a thread that lives as long as it is needed.
    """

    def __init__(self, *, own: bool = False) -> None:
        self.theirs = not own and bool(os.environ.get("KUBECONFIG"))
        self._programs = None if self.theirs else programs.find_programs()
        for left in abandoned(PREFIX):
            shutil.rmtree(left, ignore_errors=True)
        self._folder = Folder(PREFIX)
        self._processes = Processes(self._folder.path)
        atexit.register(self.stop)
        try:
            cluster = self._start()
        except BaseException:
            self.stop()
            raise
        super().__init__(**vars(cluster))

    def stop(self) -> None:
        """End exactly the processes that were started, and remove the folder. Stopping twice is fine."""
        self._processes.stop_all()
        self._folder.remove()
        atexit.unregister(self.stop)

    @property
    def pids(self) -> list[int]:
        """The processes that were started."""
        return [process.pid for process in self._processes.running.values()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> Cluster:
        """Start, again if somebody else took one of the ports in the meantime."""
        if self._programs is None:
            return _their_cluster(self._folder.path)
        for attempt in range(1, ATTEMPTS + 1):
            folder = self._folder.path / str(attempt)
            folder.mkdir()
            self._processes.logs = folder
            try:
                return start_control_plane(folder, self._programs, self._processes, Listen())
            except ClusterError as error:
                self._processes.stop_all()
                if "address already in use" not in str(error) or attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def _their_cluster(folder: Path) -> Cluster:
    """The cluster that KUBECONFIG names now, pinned in a file of our own."""
    named = os.environ["KUBECONFIG"]
    if not any(Path(name).is_file() for name in named.split(os.pathsep) if name):
        raise ClusterError(f"KUBECONFIG is {named}, and there is no such file; {WITHOUT}")
    kubectl = programs.find_kubectl()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    try:
        kubeconfig.write_text(run([str(kubectl), "config", "view", "--raw", "--minify", "--flatten"]))
    except ClusterError as error:
        raise ClusterError(f"KUBECONFIG is {named}, and names no cluster to use: {error}; {WITHOUT}") from error
    cluster = Cluster(folder=folder, kubeconfig=kubeconfig, kubectl=kubectl)
    try:
        cluster.run("version")
    except ClusterError as error:
        raise ClusterError(f"the cluster that KUBECONFIG names does not answer: {error}; {WITHOUT}") from error
    return cluster
