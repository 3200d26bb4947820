"""The parts of a control plane, each with the flags it needs to run from one folder."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from localcluster.cluster import Cluster
from localcluster.errors import ClusterError
from localcluster.keys import write_signing_key
from localcluster.kubeconfig import cluster_entry, write_kubeconfig
from localcluster.processes import Processes
from localcluster.programs import Programs

SERVICE_NETWORK = "10.96.0.0/16"
LOOPBACK = "127.0.0.1"
USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
    "system:node:node": "system:nodes",
}


@dataclass(frozen=True)
class Listen:
    """Where the API server listens, and what it is told beyond the common flags."""

    address: str = LOOPBACK
    flags: tuple[str, ...] = ("--endpoint-reconciler-type=none",)


def start_control_plane(folder: Path, programs: Programs, processes: Processes, listen: Listen) -> Cluster:
    """Start etcd, the API server and, when that answers, the controller manager: it waits ten seconds at most."""
    etcd_port, peer_port, api_port = free_ports(3)
    tokens = _write_tokens(folder / "tokens.csv")
    write_signing_key(folder / "service-accounts.key")
    processes.start("etcd", _etcd(folder, programs, etcd_port, peer_port))
    processes.start("kube-apiserver", _apiserver(folder, programs, listen, etcd_port, api_port))
    certificates = folder / "certificates"
    # Written when the certificate is whole.
    processes.wait("the API server's certificate", (certificates / "apiserver.key").exists)
    entry = cluster_entry(f"https://{listen.address}:{api_port}", certificates / "apiserver.crt")
    for user, token in tokens.items():
        write_kubeconfig(kubeconfig_of(folder, user), cluster=entry, token=token)
    cluster = Cluster(
        folder=folder,
        kubeconfig=kubeconfig_of(folder, "admin"),
        kubectl=programs.kubectl,
        inside=processes.inside,
        controllers=programs.controller_manager is not None,
    )
    _wait_for_answer(cluster, processes, "the API server", "get", "--raw", "/readyz")
    if programs.controller_manager:
        processes.start("kube-controller-manager", _controller_manager(folder, programs.controller_manager))
        _wait_for_answer(cluster, processes, "the controller manager", "get", "serviceaccount", "default")
    return cluster


def answers(cluster: Cluster, *arguments: str) -> bool:
    """Whether kubectl succeeds with these arguments."""
    try:
        cluster.run(*arguments)
    except ClusterError:
        return False
    return True


def _wait_for_answer(cluster: Cluster, processes: Processes, what: str, *arguments: str) -> None:
    """Ask until kubectl succeeds, slowly: kubectl itself costs a tenth of a second of work."""
    try:
        processes.wait(what, lambda: answers(cluster, *arguments), pause=0.3)
    except ClusterError as error:
        raise ClusterError(f"{error}\n--- kubectl\n{_last_words(cluster, *arguments)}") from error


def _last_words(cluster: Cluster, *arguments: str) -> str:
    try:
        return cluster.run(*arguments)
    except ClusterError as error:
        return str(error)


def kubeconfig_of(folder: Path, user: str) -> Path:
    """The kubeconfig of one of the USERS."""
    return folder / f"{user.rpartition(':')[2]}.kubeconfig"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody uses now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def _write_tokens(path: Path) -> dict[str, str]:
    tokens = {user: secrets.token_urlsafe(32) for user in USERS}
    path.touch(mode=0o600)
    path.write_text("".join(f'{token},{user},{user},"{USERS[user]}"\n' for user, token in tokens.items()))
    return tokens


def _etcd(folder: Path, programs: Programs, port: int, peer_port: int) -> list[str]:
    here, peer = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer_port}"
    return [
        *programs.etcd,
        "--name=etcd",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(folder: Path, programs: Programs, listen: Listen, etcd_port: int, port: int) -> list[str]:
    key = folder / "service-accounts.key"
    return [
        *programs.apiserver,
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        f"--bind-address={listen.address}",
        f"--advertise-address={listen.address}",
        f"--secure-port={port}",
        f"--cert-dir={folder}/certificates",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--authorization-mode=Node,RBAC",
        f"--token-auth-file={folder}/tokens.csv",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--allow-privileged=true",
        "--profiling=false",
        *listen.flags,
    ]


def _controller_manager(folder: Path, program: tuple[str, ...]) -> list[str]:
    return [
        *program,
        f"--kubeconfig={kubeconfig_of(folder, 'system:kube-controller-manager')}",
        f"--service-account-private-key-file={folder}/service-accounts.key",
        f"--root-ca-file={folder}/certificates/apiserver.crt",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=500",
        "--kube-api-burst=500",
    ]
