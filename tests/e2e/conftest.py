"""Real pods: the operator's image, installed by the chart with helm, beside a PostgreSQL pod.

`--e2e=node` makes a one-node cluster on this machine (root, Debian) and builds the images for it. `--e2e=cluster`
uses the cluster of KUBECONFIG, which must have the images that `--operator-image` and `--postgres-image` name.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from fixtures.services import until_reached
from localcluster import Cluster, ClusterError, ControlPlane, images
from localcluster.cluster import run
from localcluster.node import Node
from story import data
from story.shell import Failed, Kubectl, Psql
from story.steps import Story
from story.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pggit-operator"
HERE = Path(__file__).resolve().parent
SYSTEM, TEAM = "pggit-system", "pggit-team"
RELEASE = "pggit-operator"
OPERATOR_IMAGE = "localhost/pggit-operator:e2e"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PASSWORD, OWNER_PASSWORD = "of-the-superuser", "of-the-owner"


@dataclass(frozen=True)
class Place:
    """A cluster, and the images that it has."""

    cluster: Cluster
    operator_image: str
    postgres_image: str

    def kubectl(self, namespace: str) -> Kubectl:
        return Kubectl(self.cluster.command(), namespace, Terminal())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--e2e") is None:
        skip = pytest.mark.skip(reason="needs --e2e=node (root on Debian) or --e2e=cluster (KUBECONFIG)")
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A cluster that can run the operator's image."""
    try:
        if request.config.getoption("--e2e") == "node":
            archive = tmp_path_factory.mktemp("images") / "operator.tar"
            build_operator_image(archive)
            with Node() as node:
                node.import_image(archive)
                node.import_image(images.postgres_image())
                yield Place(node, OPERATOR_IMAGE, images.POSTGRES)
        else:
            if not os.environ.get("KUBECONFIG"):
                pytest.exit("--e2e=cluster needs KUBECONFIG", returncode=1)
            with ControlPlane() as theirs:
                options = request.config.getoption
                yield Place(theirs, options("--operator-image"), options("--postgres-image"))
    except ClusterError as error:
        pytest.exit(str(error), returncode=1)


def build_operator_image(archive: Path) -> None:
    """`make image` with buildah on a Debian base, into an archive."""
    options = ["--isolation=chroot", "--network=host", "--layers"]
    if AUTHORITIES.exists():  # a proxy of this machine's may sign for the package index
        options.append(f"--volume={AUTHORITIES}:{AUTHORITIES}:ro")
    environment = {
        **os.environ,
        "IMAGE_TOOL": "buildah",
        "BASE_IMAGE": f"oci-archive:{images.debian_base_image()}",
        "BUILD_OPTIONS": " ".join(options),
    }
    build = [str(ROOT / "tools" / "image.sh"), OPERATOR_IMAGE]
    done = subprocess.run(build, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"the image could not be built:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    run(
        [
            "buildah",
            "push",
            "--quiet",
            "--disable-compression",
            OPERATOR_IMAGE,
            f"oci-archive:{archive}:{OPERATOR_IMAGE}",
        ]
    )


@pytest.fixture(scope="session")
def release(place: Place) -> Iterator[Place]:
    """The chart, installed where only restricted pods are admitted."""
    for namespace in (SYSTEM, TEAM):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
        place.cluster.run("apply", "--filename=-", stdin=yaml.safe_dump(manifest))
    repository, _, tag = place.operator_image.rpartition(":")
    values = [f"--set=image.repository={repository}", f"--set=image.tag={tag}", "--set=settings.PGGIT_LOG_FORMAT=text"]
    where = ["--namespace", SYSTEM, "--wait", "--timeout=180s"]
    try:
        place.cluster.run_helm("install", RELEASE, str(CHART), *where, *values)
        yield place
    finally:
        print(place.cluster.run("logs", f"deployment/{RELEASE}", "--namespace", SYSTEM, "--tail=200"))
        place.cluster.run("delete", "dbm,dbsnap,dbb,vdb", "--all", "--namespace", TEAM, "--timeout=60s")
        place.cluster.run_helm("uninstall", RELEASE, *where)
        place.cluster.run("delete", "namespace", SYSTEM, TEAM, "--timeout=120s")


@pytest.fixture(scope="session")
def story(release: Place) -> Story:
    """A PostgreSQL pod with the data, and its owner's connection."""
    kubectl = release.kubectl(TEAM)
    kubectl.quietly("create", "secret", "generic", "postgres", f"--from-literal=password={PASSWORD}")
    kubectl.quietly("apply", "--filename=-", stdin=_manifest(release, "postgres.yaml"))
    kubectl.quietly("rollout", "status", "statefulset/postgres", "--timeout=180s")
    superuser = _in_pod(
        kubectl, "postgres-0", "postgres", {"user": "postgres", "password": PASSWORD, "host": "postgres"}
    )
    until_reached(lambda: superuser.quietly("SELECT 1;"), Failed)
    superuser.quietly(f"CREATE ROLE geo LOGIN CREATEROLE PASSWORD '{OWNER_PASSWORD}';\nCREATE DATABASE geo OWNER geo;")
    secret = {
        "host": f"postgres.{TEAM}.svc",
        "port": "5432",
        "dbname": "geo",
        "user": "geo",
        "password": OWNER_PASSWORD,
    }
    owner = _in_pod(kubectl, "postgres-0", "geo", secret)
    data.load(owner)

    def application(_: Mapping[str, str], who: str) -> Psql:
        """psql in a pod that gets the Secret's keys from Kubernetes, and nothing else."""
        kubectl.quietly("apply", "--filename=-", stdin=_manifest(release, "application.yaml", BRANCH_SECRET=who))
        kubectl.quietly("wait", "--for=condition=Ready", "pod/application", "--timeout=60s")
        return _in_pod(kubectl, "application", who, {})

    return Story(kubectl=kubectl, owner=owner, owner_secret=secret, open=application, show=kubectl.show)


def _in_pod(kubectl: Kubectl, pod: str, who: str, secret: Mapping[str, str]) -> Psql:
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
    environment = [f"{names[key]}={value}" for key, value in secret.items()]
    command = [*kubectl.command, "--namespace", kubectl.namespace, "exec", "--stdin", pod, "--", "env", *environment]
    return Psql([*command, "psql"], who, kubectl.show)


def _manifest(place: Place, file: str, **names: str) -> str:
    text = (HERE / file).read_text()
    for name, value in {"POSTGRES_IMAGE": place.postgres_image, **names}.items():
        text = text.replace(name, value)
    return text
