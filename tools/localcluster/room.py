"""A room of its own for a node: network, mounts and processes that the machine does not see, gone when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from localcluster.errors import ClusterError
from localcluster.processes import Processes

NODE_ADDRESS = "10.245.0.1"
_FURNISH = """
set -e
mount -t tmpfs tmpfs /run
for part in lib log; do
    mkdir -p "$0/$part" "$0/$part.work"
    mount -t overlay overlay -o "lowerdir=/var/$part,upperdir=$0/$part,workdir=$0/$part.work" "/var/$part"
done
for part in content.v1.content snapshotter.v1.overlayfs; do
    mkdir -p "$0/containerd/io.containerd.$part"
    mount -t tmpfs images "$0/containerd/io.containerd.$part"
done
ip link set lo up
ip link add k8s0 type bridge
ip address add {address}/24 dev k8s0
ip link set k8s0 up
ip route add default dev k8s0
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$0/furnished"
exec sleep infinity
"""


class Room:
    """Namespaces held by one process. When that ends, the kernel ends every process inside and undoes every mount.

    The machine's own routes and firewall stay untouched: the address of the node is on a bridge inside. Images are
    unpacked in memory, which is quick and leaves nothing to remove.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = Processes(folder)
        script = _FURNISH.format(address=NODE_ADDRESS)
        unshare = ["unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"]
        self._holder.start("room", [*unshare, "sh", "-c", script, str(folder)])
        try:
            self._holder.wait("the node's namespaces", (folder / "furnished").exists)
            self.pid = _only_child(self._holder.running["room"])
        except BaseException:
            self._holder.stop_all()
            raise

    def end(self) -> None:
        """End every process inside. Returns when they are gone."""
        holder = self._holder.running.pop("room", None)
        if holder and holder.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            holder.wait()

    @property
    def inside(self) -> tuple[str, ...]:
        """What goes before a command that lives in the room."""
        return ("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--")

    @property
    def network(self) -> tuple[str, ...]:
        """What goes before a command that only uses the room's network."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")


def _only_child(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    if len(children) != 1:
        raise ClusterError(f"the process that holds the node's namespaces has the children {children}")
    return int(children[0])
