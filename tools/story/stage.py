"""Where the story is told on one machine: a Kubernetes API, a PostgreSQL with the data, and the operator."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster import Cluster, ClusterError, ControlPlane
from postgres import Server
from story import data
from story.operator_process import ROOT, Operator
from story.shell import Kubectl, Psql, Show, libpq_environment
from story.steps import Story

CRDS = ROOT / "crds"
RULES = ROOT / "charts" / "pggit-operator" / "files" / "rules.yaml"
NAMESPACE = "pggit-demo"
ACCOUNT = "pggit-operator"
OWNER = "geo"


@dataclass
class Stage:
    """What runs."""

    cluster: Cluster
    server: Server
    operator: Operator
    story: Story


@contextmanager
def stage(cluster: Cluster, show: Show, *, version: int = 18) -> Iterator[Stage]:
    """Everything but the Kubernetes API, which is given; afterwards all of it is gone."""
    require_room(cluster)
    with Server(version, password=secrets.token_urlsafe(18)) as server:
        began = time.monotonic()
        owner_secret = make_database(server)
        owner = Psql([str(server.bin / "psql")], OWNER, show, libpq_environment(owner_secret))
        rows = ", ".join(f"{count:,} {table}" for table, count in data.load(owner).items())
        took = time.monotonic() - began
        show.say(f"PostgreSQL {_version(owner)}: {rows} ({took:.1f} s)")
        with installed(cluster):
            kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, ACCOUNT, seconds=24 * 3600)
            operator = Operator(kubeconfig, NAMESPACE, server.folder)
            try:
                operator.start()
                show.say(
                    f"The operator is ready; it is service account {ACCOUNT} with the chart's rights in {NAMESPACE}."
                )
                yield Stage(
                    cluster=cluster,
                    server=server,
                    operator=operator,
                    story=Story(
                        kubectl=Kubectl(cluster.command(), NAMESPACE, show),
                        owner=owner,
                        owner_secret=owner_secret,
                        open=_open(server, show),
                        show=show,
                    ),
                )
            finally:
                _let_go(cluster)
                operator.kill()


def _version(psql: Psql) -> str:
    return str(psql.one("SELECT split_part(current_setting('server_version'), ' ', 1) AS v")["v"])


def make_database(server: Server) -> dict[str, str]:
    """A database with an owner who is no superuser; the keys of the owner's connection Secret."""
    password = secrets.token_urlsafe(18)
    server.psql("-c", f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{password}'")
    server.psql("-c", f"CREATE DATABASE {OWNER} OWNER {OWNER}")
    return {"host": server.host, "port": str(server.port), "dbname": OWNER, "user": OWNER, "password": password}


def rights() -> list[dict[str, Any]]:
    """What the chart installs for `watchNamespaces: [pggit-demo]`: the account, and its rules as a role there."""
    meta = {"name": ACCOUNT, "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": yaml.safe_load(RULES.read_text())},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        },
    ]


def require_room(cluster: Cluster) -> None:
    """Refuse a cluster where the namespace is there already: whose objects those are we cannot know."""
    phase = cluster.run("get", "namespace", NAMESPACE, "--ignore-not-found", "--output=jsonpath={.status.phase}")
    if phase == "Terminating":
        raise ClusterError(
            f"namespace {NAMESPACE} of this cluster is still being deleted: try again in a moment. "
            "If it stays, objects in it wait for an operator that is gone; let them go with\n"
            f"  kubectl --namespace {NAMESPACE} get pggit --output=name | xargs --no-run-if-empty "
            f"""kubectl --namespace {NAMESPACE} patch --type=merge --patch='{{"metadata": {{"finalizers": null}}}}'"""
        )
    if phase:
        raise ClusterError(
            f"this cluster already has a namespace {NAMESPACE}, and the demo makes and deletes it. If it is left over "
            f"from a demo, `kubectl delete namespace {NAMESPACE}`; or unset KUBECONFIG, for a Kubernetes API "
            "of this machine's own"
        )


@contextmanager
def installed(cluster: Cluster) -> Iterator[None]:
    """The namespace, the CRDs and the rights. On a cluster of the user's, what was not there before goes again."""
    names = {f"customresourcedefinition.apiextensions.k8s.io/{_crd_name(path)}" for path in CRDS.glob("*.yaml")}
    fresh = names - set(cluster.run("get", "crds", "--output=name").split())
    cluster.run("create", "namespace", NAMESPACE)
    try:
        cluster.run("apply", "--server-side", f"--filename={CRDS}")
        cluster.run("wait", "--for=condition=Established", f"--filename={CRDS}", "--timeout=30s")
        cluster.run("apply", "--filename=-", stdin=yaml.safe_dump_all(rights()))
        yield
    finally:
        if _lasts(cluster):
            cluster.run("delete", "namespace", NAMESPACE, "--wait=false")
            cluster.run("delete", "--wait=false", "--ignore-not-found", *sorted(fresh)) if fresh else None


def _let_go(cluster: Cluster) -> None:
    """Delete the objects while the operator can still let them go; a cluster that ends with us needs no such care."""
    if _lasts(cluster):
        cluster.run("delete", "dbm,dbsnap,dbb,vdb", "--all", f"--namespace={NAMESPACE}", "--timeout=60s")


def _lasts(cluster: Cluster) -> bool:
    return not isinstance(cluster, ControlPlane) or cluster.theirs


def _crd_name(path: Path) -> str:
    group, _, plural = path.stem.partition("_")
    return f"{plural}.{group}"


def _open(server: Server, show: Show) -> Any:
    def opened(secret: Mapping[str, str], who: str) -> Psql:
        return Psql([str(server.bin / "psql")], who, show, libpq_environment(secret))

    return opened
