"""The settings of what runs on a node: containerd, pod networking, kubelet, kube-proxy, CoreDNS."""

from __future__ import annotations

import json
from pathlib import Path

from localcluster.images import SANDBOX
from localcluster.room import NODE_ADDRESS

NODE = "node"
POD_NETWORK = "10.244.0.0/24"
DOMAIN = "cluster.local"


def containerd_socket(folder: Path) -> str:
    """Where containerd listens."""
    return f"{folder}/containerd.sock"


def write_settings(folder: Path) -> None:
    """Write every settings file into the folder."""
    (folder / "containerd.toml").write_text(_containerd(folder))
    (folder / "cni").mkdir()
    (folder / "cni/pods.conflist").write_text(json.dumps(_pod_network(folder)))
    (folder / "kubelet.json").write_text(json.dumps(_kubelet(folder)))
    (folder / "kube-proxy.json").write_text(json.dumps(_kube_proxy(folder)))
    (folder / "Corefile").write_text(_corefile(folder))


def _containerd(folder: Path) -> str:
    """No systemd, no AppArmor, and no right to lower an OOM score: the node may itself run in a container."""
    return f"""
version = 2
root = "{folder}/containerd"
state = "/run/pggit-containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{containerd_socket(folder)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


def _pod_network(folder: Path) -> dict[str, object]:
    """Each pod has a link of its own to the node, so that every packet to a Service passes the node's translation."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"{folder}/addresses",
    }
    links = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [links, ports]}


def _kubelet(folder: Path) -> dict[str, object]:
    """Anybody may ask this kubelet: only the node's network reaches it, and the API server has no certificate."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "containerRuntimeEndpoint": f"unix://{containerd_socket(folder)}",
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        "podLogsDir": f"{folder}/pod-logs",
        "volumePluginDir": f"{folder}/volume-plugins",
        "serializeImagePulls": False,
    }


def _kube_proxy(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NODE,
        "clientConnection": {"kubeconfig": f"{folder}/kube-proxy.kubeconfig"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _corefile(folder: Path) -> str:
    return f"""
.:53 {{
    bind {NODE_ADDRESS}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {folder}/admin.kubeconfig
    }}
}}
"""
