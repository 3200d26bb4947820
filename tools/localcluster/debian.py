"""The Debian packages that a node needs."""

from __future__ import annotations

import os
import shutil
import subprocess

from localcluster.errors import ClusterError
from localcluster.programs import say

PROGRAMS = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "/bin/busybox": "busybox-static",
}


def require_packages() -> None:
    """Install what is missing when we are root on Debian, else name it."""
    missing = _missing()
    if os.geteuid() != 0:
        also = f" and the packages {' '.join(missing)}" if missing else ""
        raise ClusterError(f"a node with real pods needs root{also}; where Docker is, kind does the same")
    if missing:
        _install(missing)


def _install(packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise ClusterError(f"a node needs these Debian packages: {' '.join(packages)}")
    say(f"installing {' '.join(packages)}")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for steps in (["apt-get", "update"], command):
        done = subprocess.run(steps, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")


def _missing() -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})
