"""A cluster with one node that runs real pods, without Docker and without a registry."""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from localcluster import images, programs
from localcluster.cluster import Cluster, run
from localcluster.components import Listen, answers, kubeconfig_of, start_control_plane
from localcluster.debian import require_packages
from localcluster.errors import ClusterError
from localcluster.folder import Folder, abandoned
from localcluster.node_settings import NODE, containerd_socket, write_settings
from localcluster.processes import Processes
from localcluster.room import NODE_ADDRESS, Room

PREFIX = "pggit-node"
VOLUMES = 24
VOLUME_SIZE = "10Gi"
_CLONE_NEWNET = 0x40000000
_API_SERVER = Listen(
    NODE_ADDRESS, ("--endpoint-reconciler-type=master-count", "--kubelet-preferred-address-types=InternalIP")
)


class Node(Cluster):
    """One node: `with Node() as node: node.import_image(archive); node.run("apply", "-f", "pod.yaml")`.

    It has a network of its own, where pods, Services and the API server are; kubectl and helm run inside it, and so
    does Python code within `with node.entered():`. Needs root and Debian's packages, which it installs. Start it from
    a thread that lives as long as it is needed.
    """

    def __init__(self) -> None:
        require_packages()
        self._parts = programs.from_binary(programs.kubernetes())
        self._coredns = programs.coredns()
        self._sandbox = images.sandbox_image()
        for left in abandoned(PREFIX):
            _remove_cgroups(left)
            shutil.rmtree(left, ignore_errors=True)
        self._folder = Folder(PREFIX)
        self._ending = ExitStack()
        self._ending.callback(self._folder.remove)
        self._ending.callback(_remove_cgroups, self._folder.path)
        atexit.register(self.stop)
        try:
            self._room = Room(self._folder.path)
            self._processes = Processes(self._folder.path, self._room.inside)
            self._ending.callback(self._processes.stop_all)
            self._ending.callback(self._room.end)
            cluster = start_control_plane(self._folder.path, self._parts, self._processes, _API_SERVER)
            super().__init__(**{**vars(cluster), "inside": self._room.network})
            self._start_node()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node with every pod on it, and remove all it made. Stopping twice is fine."""
        self._ending.close()
        atexit.unregister(self.stop)

    def import_image(self, archive: Path) -> None:
        """Give the node an image from an OCI archive, under the name that the archive carries."""
        run(self._ctr("images", "import", str(archive)))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put this thread, and what it starts, into the node's network: pods and Services can be reached by address."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self._room.pid}/ns/net", os.O_RDONLY)
        try:
            _enter_network(there)
            yield
        finally:
            _enter_network(before)
            os.close(before)
            os.close(there)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_node(self) -> None:
        folder, binary = self._folder.path, str(self._parts.kubectl.parent / "kubernetes")
        write_settings(folder)
        start, wait = self._processes.start, self._processes.wait
        start("containerd", ["containerd", "--config", f"{folder}/containerd.toml"])
        wait("containerd", lambda: _succeeds(self._ctr("version")))
        self.import_image(self._sandbox)
        scheduler = kubeconfig_of(folder, "system:kube-scheduler")
        flags = ["--leader-elect=false", "--secure-port=0"]
        start("kube-scheduler", [binary, "kube-scheduler", f"--kubeconfig={scheduler}", *flags])
        start("kubelet", [binary, "kubelet", *self._kubelet_flags()])
        start("kube-proxy", [binary, "kube-proxy", f"--config={folder}/kube-proxy.json"])
        start("coredns", [str(self._coredns), "-conf", f"{folder}/Corefile"])
        self.run("apply", "-f", "-", stdin=json.dumps(_storage(folder)))
        ready = ("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=1s")
        wait("the node", lambda: answers(self, *ready), pause=0.3)

    def _kubelet_flags(self) -> list[str]:
        folder = self._folder.path
        return [
            f"--config={folder}/kubelet.json",
            f"--kubeconfig={kubeconfig_of(folder, f'system:node:{NODE}')}",
            f"--root-dir={folder}/kubelet",
            f"--cert-dir={folder}/kubelet-certificates",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ]

    def _ctr(self, *arguments: str) -> list[str]:
        address = containerd_socket(self._folder.path)
        return [*self._room.inside, "ctr", "--address", address, "--namespace", "k8s.io", *arguments]


def _storage(folder: Path) -> dict[str, object]:
    """The default storage class, and volumes in folders. Volumes of type local honour fsGroup."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return {"apiVersion": "v1", "kind": "List", "items": [storage_class, *(_volume(folder, n) for n in range(VOLUMES))]}


def _volume(folder: Path, number: int) -> dict[str, object]:
    path = folder / "volumes" / str(number)
    path.mkdir(parents=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"local-{number}"},
        "spec": {
            "capacity": {"storage": VOLUME_SIZE},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def _succeeds(command: list[str]) -> bool:
    try:
        run(command)
    except ClusterError:
        return False
    return True


def _enter_network(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the node's network")


def _remove_cgroups(folder: Path) -> None:
    """Remove the control groups of containers that ended without their runtime."""
    containers = [found.name for found in folder.glob("containerd/io.containerd.grpc.v1.cri/*/*")]
    for parent in Path("/sys/fs/cgroup").glob("**/k8s.io"):
        for group in [*(parent / container for container in containers), parent]:
            with suppress(OSError):
                group.rmdir()
