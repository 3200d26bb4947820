"""The local control plane is a real Kubernetes API: it authorizes, validates, and collects garbage."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from localcluster import ClusterError, ControlPlane

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.test.pggit.io"},
    "spec": {
        "group": "test.pggit.io",
        "scope": "Namespaced",
        "names": {"plural": "lamps", "singular": "lamp", "kind": "Lamp"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"watts": {"type": "integer"}},
                                "x-kubernetes-validations": [{"rule": "self.watts < 100", "message": "too bright"}],
                            }
                        },
                    }
                },
            }
        ],
    },
}


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"cluster-{uuid4().hex[:8]}"
    control_plane.run("create", "namespace", name)
    yield name
    control_plane.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def lamps(control_plane: ControlPlane) -> Iterator[None]:
    """A custom resource with a CEL rule."""
    control_plane.run("apply", "-f", "-", stdin=json.dumps(CRD))
    control_plane.run("wait", "--for=condition=Established", "crd/lamps.test.pggit.io", "--timeout=60s")
    yield
    control_plane.run("delete", "crd", "lamps.test.pggit.io", "--wait=false")


@pytest.fixture
def controllers(control_plane: ControlPlane) -> None:
    """Only where a controller manager runs."""
    if not control_plane.controllers:
        pytest.skip("KUBEBUILDER_ASSETS has no kube-controller-manager")


def lamp(namespace: str, watts: int) -> str:
    """A custom resource as a person would write it."""
    return json.dumps(
        {
            "apiVersion": "test.pggit.io/v1",
            "kind": "Lamp",
            "metadata": {"name": "desk", "namespace": namespace},
            "spec": {"watts": watts},
        }
    )


def eventually(true: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.2)
    return true()


def exists(plane: ControlPlane, *arguments: str) -> bool:
    """Whether kubectl finds it."""
    return bool(plane.run("get", *arguments, "--ignore-not-found"))


def test_the_api_answers_as_the_version_that_was_built(control_plane: ControlPlane) -> None:
    version = json.loads(control_plane.run("version", "-o", "json"))

    assert version["serverVersion"]["gitVersion"].startswith("v1.")
    if not control_plane.theirs:
        assert version["serverVersion"]["gitVersion"] == version["clientVersion"]["gitVersion"] == "v1.34.2"


def test_a_service_account_has_the_rights_given_and_no_others(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.run("create", "serviceaccount", "reader", "-n", namespace)
    reader = control_plane.service_account_kubeconfig(namespace, "reader")

    with pytest.raises(ClusterError, match="forbidden"):
        control_plane.run("get", "configmaps", kubeconfig=reader)

    control_plane.run("create", "role", "reads", "--verb=list", "--resource=configmaps", "-n", namespace)
    control_plane.run(
        "create", "rolebinding", "reads", "--role=reads", f"--serviceaccount={namespace}:reader", "-n", namespace
    )
    assert eventually(lambda: control_plane.run("auth", "can-i", "list", "configmaps", kubeconfig=reader) == "yes\n")
    control_plane.run("get", "configmaps", kubeconfig=reader)
    with pytest.raises(ClusterError, match="forbidden"):
        control_plane.run("get", "secrets", kubeconfig=reader)


@pytest.mark.usefixtures("lamps")
def test_a_cel_rule_of_a_crd_refuses(control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ClusterError, match="too bright"):
        control_plane.run("create", "-f", "-", stdin=lamp(namespace, watts=150))

    control_plane.run("create", "-f", "-", stdin=lamp(namespace, watts=15))
    assert exists(control_plane, "lamp", "desk", "-n", namespace)


def test_restricted_pod_security_refuses_a_root_pod(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.run("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")

    with pytest.raises(ClusterError, match="violates PodSecurity"):
        control_plane.run("run", "root", "--image=example.invalid/none", "-n", namespace)


@pytest.mark.usefixtures("controllers")
def test_what_an_object_owns_goes_with_it(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.run("create", "configmap", "owner", "-n", namespace)
    uid = control_plane.run("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    owned = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "owned", "namespace": namespace, "ownerReferences": [reference]},
    }
    control_plane.run("create", "-f", "-", stdin=json.dumps(owned))

    control_plane.run("delete", "configmap", "owner", "-n", namespace)

    assert eventually(lambda: not exists(control_plane, "secret", "owned", "-n", namespace))


@pytest.mark.usefixtures("controllers")
def test_a_namespace_ends_with_all_that_is_in_it(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.run("create", "configmap", "inside", "-n", namespace)

    control_plane.run("delete", "namespace", namespace, "--wait=false")

    assert eventually(lambda: not exists(control_plane, "namespace", namespace))
