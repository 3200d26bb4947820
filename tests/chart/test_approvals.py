"""The chart's admission policy: only who has the verb approve approves a Merge, and only in their own name."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import yaml

from chart.conftest import Manifest, Render
from fixtures.objects import Body, Namespace
from localcluster import ClusterError, ControlPlane

PLAN, OTHER = "0" * 64, "1" * 64
WAITING = {"databaseRef": {"name": "shop"}, "source": "fix", "approval": "Required"}


def policies(manifests: list[Manifest]) -> list[Manifest]:
    return [one for one in manifests if one["kind"].startswith("ValidatingAdmissionPolicy")]


def verified(manifests: list[Manifest]) -> bool:
    (deployment,) = [one for one in manifests if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {"name": "PGGIT_APPROVERS_VERIFIED", "value": "true"} in container["env"]


def test_the_operator_knows_whether_the_policy_is_there(render: Render) -> None:
    assert (len(policies(render())), verified(render())) == (2, True)
    without = render("approvalPolicy.install=false")
    assert (policies(without), verified(without)) == ([], False)


def test_namespaced_it_is_about_these_namespaces(render: Render) -> None:
    policy, _ = policies(render("watchNamespaces={team-a,team-b}"))
    (selected,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert selected["values"] == ["team-a", "team-b"]


class People:
    """Two who may edit Merges, of whom ann may approve them too."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def apply(self, who: str, name: str, **spec: Any) -> str:
        body = {"apiVersion": "pggit.io/v1alpha1", "kind": "Merge", "metadata": {"name": name}, "spec": spec}
        return self.namespace.run(
            "apply", "--server-side", "--force-conflicts", "--filename=-", f"--as={who}", stdin=json.dumps(body)
        )

    def refused(self, who: str, name: str, **spec: Any) -> str:
        with pytest.raises(ClusterError) as caught:
            self.apply(who, name, **spec)
        return str(caught.value)


@pytest.fixture(scope="module")
def people(render: Render, cluster: ControlPlane) -> Iterator[People]:
    name = f"approvals-{uuid4().hex[:8]}"
    cluster.run("create", "namespace", name)
    manifests = policies(render(f"watchNamespaces={{{name}}}"))
    cluster.run("apply", "--filename=-", stdin=yaml.safe_dump_all([*manifests, *rights(name)]))
    found = People(Namespace(cluster, name))
    deadline = time.monotonic() + 60
    while "may not approve" not in tried(found):  # the API server takes up a policy within a second or so
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield found
    cluster.run("delete", "--filename=-", stdin=yaml.safe_dump_all(manifests))
    cluster.run("delete", "namespace", name, "--wait=false")


def tried(people: People) -> str:
    """Another Merge each time: one that got through before there was the policy would change nothing any more."""
    try:
        return people.apply("bob", f"probe-{uuid4().hex[:8]}", **WAITING, approvedPlan=PLAN)
    except ClusterError as error:
        return str(error)


def rights(namespace: str) -> list[Body]:
    group = "rbac.authorization.k8s.io"
    made: list[Body] = []
    for role, verbs, users in (("edit", ["get", "create", "patch"], ["ann", "bob"]), ("approve", ["approve"], ["ann"])):
        meta = {"name": role, "namespace": namespace}
        rule = {"apiGroups": ["pggit.io"], "resources": ["merges"], "verbs": verbs}
        made += [
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": role},
                "subjects": [{"kind": "User", "apiGroup": group, "name": user} for user in users],
            },
        ]
    return made


def test_who_has_the_verb_approves_in_their_own_name(people: People) -> None:
    people.apply("bob", "one", **WAITING)
    assert "bob may not approve merges" in people.refused("bob", "one", **WAITING, approvedPlan=PLAN, approvedBy="bob")
    assert "approvedBy must be who sets approvedPlan: ann" in people.refused(
        "ann", "one", **WAITING, approvedPlan=PLAN, approvedBy="bob"
    )
    assert "approvedBy must be who sets approvedPlan: ann" in people.refused("ann", "one", **WAITING, approvedPlan=PLAN)
    people.apply("ann", "one", **WAITING, approvedPlan=PLAN, approvedBy="ann")


@pytest.mark.parametrize(
    "change",
    [
        {"approvedPlan": OTHER, "approvedBy": "ann"},
        {"approvedPlan": PLAN, "approvedBy": "bob"},
        {},
        {"approval": "None"},
    ],
)
def test_who_lacks_it_changes_no_approval(people: People, change: Body) -> None:
    name = f"merge-{uuid4().hex[:8]}"
    given = {**WAITING, "approvedPlan": PLAN, "approvedBy": "ann"}
    people.apply("ann", name, **given)

    people.apply("bob", name, **given, message="another word")
    assert "bob may not approve merges" in people.refused("bob", name, **{**WAITING, **change})


def test_who_lacks_it_makes_no_merge_that_is_approved_already(people: People) -> None:
    said = people.refused("bob", "made", **WAITING, approvedPlan=PLAN, approvedBy="bob")
    assert "bob may not approve merges" in said
    people.apply("ann", "made", **WAITING, approvedPlan=PLAN, approvedBy="ann")


def test_a_merge_that_needs_no_approval_is_anybodys(people: People) -> None:
    said = people.apply("bob", "plain", databaseRef={"name": "shop"}, source="fix")
    assert "plain serverside-applied" in said
