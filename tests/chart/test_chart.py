"""The chart renders what it should, refuses bad values, and gives no right too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from chart.conftest import CHART, Manifest, Render
from localcluster import ClusterError, ControlPlane, programs
from pggit_operator.api import GROUP, KINDS
from story import stage

NAMESPACED = "watchNamespaces={team-a,team-b}"


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def test_it_passes_lint(helm: Callable[..., str]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version", programs.KUBERNETES, str(CHART))


def test_chart_and_package_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = (CHART.parents[1] / "pyproject.toml").read_text()
    assert f'\nversion = "{chart["version"]}"\n' in package
    assert chart["appVersion"] == chart["version"]


def test_by_default_one_operator_serves_every_namespace(render: Render) -> None:
    manifests = render()

    assert [m["metadata"]["name"] for m in of_kind(manifests, "ClusterRole")] == ["pggit-operator"]
    assert of_kind(manifests, "Role") == []
    names = [variable["name"] for variable in container(manifests)["env"]]
    assert "PGGIT_WATCH_NAMESPACES" not in names


def test_namespaced_it_has_rights_nowhere_else(render: Render) -> None:
    manifests = render(NAMESPACED)

    assert of_kind(manifests, "ClusterRole") == of_kind(manifests, "ClusterRoleBinding") == []
    for kind in ("Role", "RoleBinding"):
        assert [m["metadata"]["namespace"] for m in of_kind(manifests, kind)] == ["team-a", "team-b"]
    assert {"name": "PGGIT_WATCH_NAMESPACES", "value": '["team-a","team-b"]'} in container(manifests)["env"]


@pytest.mark.parametrize("values", [(), (NAMESPACED,)])
def test_the_rights_are_these_and_no_others(render: Render, values: tuple[str, ...]) -> None:
    roles = [m for m in render(*values) if m["kind"] in ("Role", "ClusterRole")]
    plurals = {kind.plural for kind in KINDS}
    allowed = {(GROUP, plural): {"get", "list", "watch", "patch"} for plural in plurals} | {
        (GROUP, f"{plural}/status"): {"patch"} for plural in plurals
    }
    allowed |= {("", "secrets"): {"get", "create", "patch", "delete"}, ("", "events"): {"create", "patch"}}

    assert roles
    for role in roles:
        given: dict[tuple[str, str], set[str]] = {}
        for rule in role["rules"]:
            assert set(rule) == {"apiGroups", "resources", "verbs"}
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    given.setdefault((group, resource), set()).update(rule["verbs"])
        assert given == allowed


def test_secrets_are_never_listed_or_watched(render: Render) -> None:
    for role in (m for m in render() if m["kind"] in ("Role", "ClusterRole")):
        for rule in role["rules"]:
            if {"secrets", "*"} & set(rule["resources"]):
                assert not {"list", "watch", "*", "deletecollection", "update"} & set(rule["verbs"])


def test_the_demo_has_the_rights_that_the_chart_gives(render: Render) -> None:
    rendered = of_kind(render(f"watchNamespaces={{{stage.NAMESPACE}}}"), "Role")[0]
    demo = next(manifest for manifest in stage.rights() if manifest["kind"] == "Role")
    assert rendered["rules"] == demo["rules"]


def test_the_crds_come_with_it_and_stay(render: Render) -> None:
    crds = of_kind(render(), "CustomResourceDefinition")

    assert {crd["spec"]["names"]["kind"] for crd in crds} == {kind.kind_name for kind in KINDS}
    assert all(crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for crd in crds)
    assert of_kind(render("crds.install=false"), "CustomResourceDefinition") == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replicas=2", "replicas"),
        ("watchNamespaces=default", "watchNamespaces"),
        ("watchNamespaces={Not_A_Name}", "watchNamespaces"),
        ("settings.LOG_LEVEL=debug", "LOG_LEVEL"),
        ("settings.PGGIT_WORKERS=4", "PGGIT_WORKERS"),
        ("settings.PGGIT_HEALTH_PORT=x", "PGGIT_HEALTH_PORT"),
        ("settings.PGGIT_APPROVERS_VERIFIED=true", "PGGIT_APPROVERS_VERIFIED"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.repository=", "repository"),
        ("imagePullSecrets={registry}", "imagePullSecrets"),
        ("replicaCount=1", "replicaCount"),
    ],
)
def test_bad_values_are_refused(render: Render, value: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        render(value)


def test_without_a_service_account_of_its_own_a_name_is_needed(render: Render) -> None:
    with pytest.raises(ClusterError, match=r"serviceAccount\.name is needed"):
        render("serviceAccount.create=false")

    manifests = render("serviceAccount.create=false", "serviceAccount.name=mine")
    assert of_kind(manifests, "ServiceAccount") == []
    assert of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_settings_reach_the_operator(render: Render) -> None:
    env = container(render("settings.PGGIT_LOG_LEVEL=debug"))["env"]
    assert {"name": "PGGIT_LOG_LEVEL", "value": "debug"} in env


def test_image_and_pull_secrets_are_those_given(render: Render) -> None:
    manifests = render("image.repository=example/operator", "image.tag=v7", "imagePullSecrets[0].name=registry")
    for pod in pods(manifests):
        assert pod["spec"]["containers"][0]["image"] == "example/operator:v7"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.fixture(scope="module")
def restricted(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that enforces the restricted pod security standard."""
    name = "pggit-chart-test"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "pggit-operator", "namespace": name}}
    control_plane.run("apply", "--filename=-", stdin=yaml.safe_dump_all([namespace, account]))
    yield name
    control_plane.run("delete", "namespace", name, "--wait=false")


def test_its_pods_are_admitted_where_restricted_is_enforced(
    render: Render, control_plane: ControlPlane, restricted: str
) -> None:
    rendered = pods(render())
    assert len(rendered) == 2
    for pod in rendered:
        admitted = dry_run(control_plane, restricted, pod)
        assert "created" in admitted

    naked = {"metadata": {"name": "naked"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        dry_run(control_plane, restricted, naked)


def test_the_api_server_takes_every_manifest(render: Render, control_plane: ControlPlane) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pggit-system"}}
    control_plane.run("apply", "--filename=-", stdin=yaml.safe_dump(namespace))
    said = control_plane.run(
        "apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(render())
    )
    assert "deployment.apps/pggit-operator created (server dry run)" in said


def dry_run(plane: ControlPlane, namespace: str, pod: Manifest) -> str:
    manifest = {"apiVersion": "v1", "kind": "Pod", **pod}
    manifest["metadata"] = {**manifest["metadata"], "namespace": namespace}
    manifest["metadata"].setdefault("name", "from-template")
    return plane.run("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(manifest))


def pods(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Every pod of the chart: the operator's template, and the test's."""
    templates = [m["spec"]["template"] for m in of_kind(manifests, "Deployment")]
    return templates + [{"metadata": m["metadata"], "spec": m["spec"]} for m in of_kind(manifests, "Pod")]


def container(manifests: list[Manifest]) -> dict[str, Any]:
    """The operator's container."""
    found: dict[str, Any] = of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    return found
