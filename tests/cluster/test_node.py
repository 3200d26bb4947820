"""The one-node cluster runs real pods: volumes, Services, DNS, logs, exec; and it leaves nothing on the machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.services import until_reached
from localcluster import ClusterError, images
from localcluster.node import Node

PASSWORD = "only here"
SPACE = "restricted"
HOLDS_A_NODE = """
import time
from localcluster.node import Node
with Node() as node:
    print(node.folder, flush=True)
    time.sleep(600)
"""
SERVER_NAME = "database.restricted.svc.cluster.local"
ASKS_THE_API = """
import pathlib, ssl, urllib.request
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
trust = ssl.create_default_context(cafile=account / "ca.crt")
request = urllib.request.Request("https://kubernetes.default.svc/version")
request.add_header("Authorization", "Bearer " + (account / "token").read_text())
print(urllib.request.urlopen(request, context=trust).read().decode())
"""


@pytest.fixture(scope="module", autouse=True)
def end_to_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only in the end-to-end run: a node needs root and minutes of preparation. No control group may be left."""
    if request.config.getoption("--e2e") != "node":
        pytest.skip("needs --e2e=node (root on Debian)")
    before = control_groups()
    yield
    assert control_groups() <= before


@pytest.fixture(scope="module")
def node(end_to_end: None) -> Iterator[Node]:
    """A node with a PostgreSQL pod on it."""
    with Node() as node:
        node.import_image(images.postgres_image())
        node.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": database()}))
        node.run("rollout", "status", "statefulset/database", "-n", SPACE, "--timeout=120s")
        until_reached(lambda: in_pod(node, *psql(SERVER_NAME, "SELECT 1")), ClusterError)
        yield node


def database() -> list[dict[str, Any]]:
    """A namespace that admits restricted pods only, and a PostgreSQL with a volume in it."""
    labels = {"app": "database"}
    container = {
        "name": "postgres",
        "image": images.POSTGRES,
        "env": [{"name": "POSTGRES_PASSWORD", "value": PASSWORD}],
        "ports": [{"containerPort": 5432}],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    security = {"runAsUser": 999, "fsGroup": 999, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "database", "namespace": SPACE},
            "spec": {"selector": labels, "ports": [{"port": 5432}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "database", "namespace": SPACE},
            "spec": {
                "serviceName": "database",
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [container], "securityContext": security},
                },
                "volumeClaimTemplates": [claim],
            },
        },
    ]


def in_pod(node: Node, *command: str) -> str:
    """Run a command in the database's pod."""
    return node.run("exec", "database-0", "-n", SPACE, "--", *command).strip()


def psql(host: str, sql: str) -> list[str]:
    """The command of a client that comes over the network."""
    return ["psql", f"host={host} user=postgres password='{PASSWORD}' connect_timeout=5", "-Atc", sql]


def left_on_the_machine(folder: Path) -> str:
    """Processes and mounts that name the folder of a node."""
    processes = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    lines = [*processes.splitlines(), *Path("/proc/self/mountinfo").read_text().splitlines()]
    return "\n".join(line for line in lines if str(folder) in line)


def control_groups() -> set[Path]:
    """The control groups of containers."""
    return set(Path("/sys/fs/cgroup").glob("**/k8s.io/**"))


def test_the_service_is_reached_by_name_from_its_own_pod(node: Node) -> None:
    assert in_pod(node, *psql(SERVER_NAME, "SELECT 1")) == "1"


def test_another_pod_reaches_the_service(node: Node) -> None:
    client = {"name": "psql", "image": images.POSTGRES, "command": psql(SERVER_NAME, "SELECT 'reached'")}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {"restartPolicy": "Never", "containers": [client]},
    }
    node.run("create", "-f", "-", stdin=json.dumps(pod))

    node.run("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/client", "--timeout=60s")

    assert node.run("logs", "client") == "reached\n"


def test_a_pod_reaches_the_api_server(node: Node) -> None:
    assert json.loads(in_pod(node, "python3", "-c", ASKS_THE_API))["gitVersion"].startswith("v1.")


def test_this_process_reaches_the_service_when_it_enters_the_network(node: Node) -> None:
    address = node.run("get", "service", "database", "-n", SPACE, "-o", "jsonpath={.spec.clusterIP}")

    with node.entered():
        ready = subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{address}/5432"], timeout=10, check=False)

    assert ready.returncode == 0


def test_rows_outlive_the_pod(node: Node) -> None:
    in_pod(node, *psql("127.0.0.1", "CREATE TABLE kept AS SELECT 42 AS answer"))

    node.run("delete", "pod", "database-0", "-n", SPACE)
    node.run("rollout", "status", "statefulset/database", "-n", SPACE, "--timeout=60s")

    assert in_pod(node, *psql("127.0.0.1", "SELECT answer FROM kept")) == "42"


def test_logs_are_the_servers(node: Node) -> None:
    assert "database system is ready" in node.run("logs", "database-0", "-n", SPACE)


def test_a_killed_owner_leaves_nothing_running_and_the_next_start_removes_its_files() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDS_A_NODE], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    said = holder.stdout.readline().strip()
    assert said, "the owner did not get as far as a node"
    folder = Path(said)
    assert left_on_the_machine(folder)

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    deadline = time.monotonic() + 60
    while left_on_the_machine(folder) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert left_on_the_machine(folder) == ""
    with Node() as next_node:
        assert not folder.exists()
    assert not next_node.folder.exists()
    assert left_on_the_machine(next_node.folder) == ""
