"""A real API server accepts what is right and refuses the rest with a sentence that a person understands."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from fixtures.objects import Namespace

REF = {"name": "shop"}
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("VersionedDatabase", {"connection": {"secretName": "shop-owner"}}),
    (
        "VersionedDatabase",
        {
            "connection": {"secretName": "shop-owner", "preset": "Generic", "sslMode": "verify-full"},
            "database": "shop",
            "trackedSchemas": ["public", "sales"],
            "excludeTables": ["audit", "sales.noise"],
            "conflictValues": "Show",
        },
    ),
    ("DatabaseBranch", {"databaseRef": REF}),
    ("DatabaseBranch", {"databaseRef": REF, "name": "feature/prices", "from": {"branch": "main"}}),
    ("DatabaseBranch", {"databaseRef": REF, "from": {"commit": "abcd12"}, "materialize": "None", "protected": True}),
    ("DatabaseBranch", {"databaseRef": REF, "access": {"secretName": "shop-branch", "role": "ReadOnly"}}),
    ("Snapshot", {"databaseRef": REF}),
    ("Snapshot", {"databaseRef": REF, "branch": "fix", "tag": "v1.2", "message": "before", "deletionPolicy": "Delete"}),
    ("Merge", {"databaseRef": REF, "source": "fix"}),
    (
        "Merge",
        {
            "databaseRef": REF,
            "source": "fix",
            "target": "main",
            "onConflict": "Theirs",
            "fastForward": "Never",
            "resolutions": [
                {"conflictId": "95fb4e86da0409b0", "take": "Ours"},
                {"table": "items", "take": "Base"},
                {"table": "items", "key": {"id": "1"}, "column": "price", "take": "Value", "value": "9.99"},
                {"table": "items", "key": {"id": "2"}, "column": "price", "take": "Value", "valueIsNull": True},
            ],
        },
    ),
    (
        "Merge",
        {
            "databaseRef": REF,
            "source": "fix",
            "squash": True,
            "rules": [{"rule": "NonNull"}, {"table": "*", "column": "stock", "rule": "Newest", "by": "changed_at"}],
            "approval": "Required",
            "approvedPlan": "0" * 64,
            "approvedBy": "ann",
            "deleteSourceBranch": True,
        },
    ),
    ("Merge", {"databaseRef": REF, "revertOf": "fix", "approval": "Required"}),
]

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("VersionedDatabase", {}, "spec.connection: Required value"),
    ("VersionedDatabase", {"connection": {}}, "spec.connection.secretName: Required value"),
    ("VersionedDatabase", {"connection": {"secretName": "s", "preset": "Oracle"}}, 'supported values: "Generic"'),
    (
        "VersionedDatabase",
        {"connection": {"secretName": "s"}, "trackedSchemas": ["pg_catalog"]},
        "only schemas with your own tables can be tracked",
    ),
    (
        "VersionedDatabase",
        {"connection": {"secretName": "s"}, "trackedSchemas": ["public@fix"]},
        "only schemas with your own tables can be tracked",
    ),
    ("VersionedDatabase", {"connection": {"secretName": "s"}, "trackedSchemas": []}, "at least 1 items"),
    ("VersionedDatabase", {"connection": {"secretName": "s"}, "trackedSchemas": ["a", "a"]}, "Duplicate value"),
    ("DatabaseBranch", {}, "spec.databaseRef: Required value"),
    ("DatabaseBranch", {"databaseRef": REF, "name": "main"}, "main is the live tables themselves"),
    ("DatabaseBranch", {"databaseRef": REF, "name": "two words"}, "cannot contain spaces or control characters"),
    ("DatabaseBranch", {"databaseRef": REF, "name": "x" * 101}, "may not be more than 100"),
    ("DatabaseBranch", {"databaseRef": REF, "from": {}}, "from needs exactly one of branch, tag or commit"),
    (
        "DatabaseBranch",
        {"databaseRef": REF, "from": {"branch": "main", "tag": "v1"}},
        "from needs exactly one of branch, tag or commit",
    ),
    ("DatabaseBranch", {"databaseRef": REF, "from": {"commit": "xyz"}}, "should match"),
    ("DatabaseBranch", {"databaseRef": REF, "deletionPolicy": "Keep"}, 'supported values: "Retain", "Delete"'),
    ("Snapshot", {"databaseRef": REF, "tag": "a\tb"}, "cannot contain spaces or control characters"),
    ("Merge", {"databaseRef": REF}, "a Merge needs either source or revertOf"),
    (
        "Merge",
        {"databaseRef": REF, "source": "a", "fill": [{"table": "t", "column": "c", "value": "1", "fromColumn": "d"}]},
        "a fill needs exactly one of value, valueIsNull: true and fromColumn",
    ),
    ("Merge", {"databaseRef": REF, "source": "a", "revertOf": "b"}, "a Merge needs either source or revertOf"),
    ("Merge", {"databaseRef": REF, "revertOf": "b", "squash": True}, "belong to source, not to revertOf"),
    ("Merge", {"databaseRef": REF, "revertOf": "b", "fastForward": "Never"}, "belong to source, not to revertOf"),
    ("Merge", {"databaseRef": REF, "revertOf": "b", "deleteSourceBranch": True}, "belong to source, not to revertOf"),
    ("Merge", {"databaseRef": REF, "source": "a", "squash": True, "fastForward": "Only"}, "fastForward cannot be Only"),
    ("Merge", {"databaseRef": REF, "source": "a", "approvedPlan": "0" * 64}, "only with approval: Required"),
    ("Merge", {"databaseRef": REF, "source": "a", "approval": "Required", "approvedPlan": "yes"}, "should match"),
    ("Merge", {"databaseRef": REF, "source": "a", "approvedBy": "ann"}, "approvedBy says who set approvedPlan"),
    ("Merge", {"databaseRef": REF, "source": "a", "rules": [{"rule": "Newest"}]}, "rule: Newest needs by"),
    ("Merge", {"databaseRef": REF, "source": "a", "rules": [{"rule": "Max", "by": "at"}]}, "rule: Newest needs by"),
    ("Merge", {"databaseRef": REF, "source": "a", "rules": [{"rule": "Expression"}]}, "supported values"),
    (
        "Merge",
        {"databaseRef": REF, "source": "a", "rules": [{"rule": "Max", "expression": "now()"}]},
        'unknown field "spec.rules[0].expression"',
    ),
    ("Merge", {"databaseRef": REF, "source": "main"}, "source and target are the same branch"),
    ("Merge", {"databaseRef": REF, "source": "x", "resolutions": [{"take": "Ours"}]}, "either conflictId or table"),
    (
        "Merge",
        {"databaseRef": REF, "source": "x", "resolutions": [{"conflictId": "c", "table": "t", "take": "Ours"}]},
        "either conflictId or table",
    ),
    (
        "Merge",
        {"databaseRef": REF, "source": "x", "resolutions": [{"conflictId": "c", "column": "t", "take": "Ours"}]},
        "key and column belong to table; conflictId stands alone",
    ),
    (
        "Merge",
        {"databaseRef": REF, "source": "x", "resolutions": [{"conflictId": "c", "take": "Value"}]},
        "take: Value needs exactly one of value and valueIsNull",
    ),
    (
        "Merge",
        {"databaseRef": REF, "source": "x", "resolutions": [{"conflictId": "c", "take": "Ours", "value": "1"}]},
        "take: Value needs exactly one of value and valueIsNull",
    ),
    (
        "Merge",
        {
            "databaseRef": REF,
            "source": "x",
            "resolutions": [{"conflictId": "c", "take": "Value", "value": "1", "valueIsNull": True}],
        },
        "take: Value needs exactly one of value and valueIsNull",
    ),
    (
        "Merge",
        {"databaseRef": REF, "source": "x", "resolutions": [{"table": "t", "key": {"id": 1}, "take": "Ours"}]},
        "must be of type string",
    ),
]

#: What the status of each kind says once something was made in the database.
MADE = {
    "VersionedDatabase": {"head": "95fb4e86da0409b0"},
    "DatabaseBranch": {"branch": "fix"},
    "Snapshot": {"commit": "95fb4e86da0409b0"},
    "Merge": {"result": "Conflicted"},
}

CHANGES: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    (
        "DatabaseBranch",
        {},
        {"databaseRef": {"name": "other"}},
        "databaseRef cannot be changed: the branch is made there already",
    ),
    ("DatabaseBranch", {}, {"name": "late"}, "name cannot be changed: applications know the branch by it"),
    ("DatabaseBranch", {"name": "early"}, {"name": None}, "name cannot be changed"),
    ("DatabaseBranch", {}, {"from": {"tag": "v1"}}, "from cannot be changed: the branch has begun there already"),
    ("DatabaseBranch", {}, {"materialize": "All"}, "materialize cannot be changed: it was decided when the"),
    ("DatabaseBranch", {"from": {"tag": "v1"}}, {"from": {"tag": "v2"}}, "from cannot be changed"),
    ("DatabaseBranch", {}, {"protected": True, "deletionPolicy": "Delete", "suspend": True}, None),
    ("Snapshot", {}, {"databaseRef": {"name": "other"}}, "databaseRef cannot be changed: a snapshot is taken once"),
    ("Snapshot", {}, {"branch": "other"}, "branch cannot be changed: a snapshot is taken once"),
    ("Snapshot", {}, {"tag": "late"}, "tag cannot be changed: a snapshot is taken once"),
    ("Snapshot", {}, {"deletionPolicy": "Delete"}, None),
    ("Merge", {"source": "a"}, {"databaseRef": {"name": "other"}}, "databaseRef cannot be changed: a Merge runs once"),
    ("Merge", {"source": "a"}, {"source": "b"}, "source cannot be changed: a Merge runs once"),
    ("Merge", {"source": "a"}, {"target": "b"}, "target cannot be changed: a Merge runs once"),
    ("Merge", {"source": "a"}, {"source": None, "revertOf": "b"}, "a Merge runs once"),
    ("Merge", {"revertOf": "a"}, {"revertOf": "b"}, "revertOf cannot be changed: a Merge runs once"),
    ("Merge", {"source": "a"}, {"resolutions": [{"table": "t", "take": "Ours"}], "message": "tidy"}, None),
    (
        "Merge",
        {"source": "a", "approval": "Required", "approvedPlan": "0" * 64},
        {
            "approval": None,
            "approvedPlan": None,
            "squash": True,
            "deleteSourceBranch": True,
            "rules": [{"rule": "Max"}],
        },
        None,
    ),
]


def a_name() -> str:
    return f"thing-{uuid4().hex[:8]}"


@pytest.mark.parametrize(("kind", "spec"), GOOD, ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_right_is_accepted_and_reads_minus_one(common: Namespace, kind: str, spec: dict[str, Any]) -> None:
    name = a_name()

    common.apply(kind, name, spec)

    assert common.get(kind, name)["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(("kind", "spec", "sentence"), BAD, ids=[f"{kind}-{text[:40]}" for kind, _, text in BAD])
def test_what_is_wrong_is_refused_with_a_sentence(
    common: Namespace, kind: str, spec: dict[str, Any], sentence: str
) -> None:
    assert sentence in common.refusal(kind, a_name(), spec)


@pytest.mark.parametrize(("kind", "before", "change", "sentence"), CHANGES)
def test_what_is_decided_once_cannot_be_changed(
    common: Namespace, kind: str, before: dict[str, Any], change: dict[str, Any], sentence: str | None
) -> None:
    spec, name = {"databaseRef": REF, **before}, a_name()
    common.apply(kind, name, spec)
    say(common, kind, name, MADE[kind])
    after = {name: value for name, value in {**spec, **change}.items() if value is not None}

    if sentence is None:
        common.apply(kind, name, after)
    else:
        assert sentence in common.refusal(kind, name, after)


@pytest.mark.parametrize(("kind", "before", "change", "_"), [one for one in CHANGES if one[3]])
def test_what_is_wrong_is_corrected_as_long_as_nothing_is_made(
    common: Namespace, kind: str, before: dict[str, Any], change: dict[str, Any], _: str
) -> None:
    spec, name = {"databaseRef": REF, **before}, a_name()
    common.apply(kind, name, spec)

    corrected = {key: value for key, value in {**spec, **change}.items() if value is not None}
    common.apply(kind, name, corrected)
    kept = common.get(kind, name)["spec"]
    assert {key: kept.get(key) for key in change} == change


def test_a_planned_merge_is_not_decided_yet(common: Namespace) -> None:
    spec, name = {"databaseRef": REF, "source": "a", "dryRun": True}, a_name()
    common.apply("Merge", name, spec)
    say(common, "Merge", name, {"result": "Planned"})

    common.apply("Merge", name, {**spec, "source": "b"})
    assert common.get("Merge", name)["spec"]["source"] == "b"


def test_the_name_of_a_database_is_corrected_until_it_is_under_version_control(common: Namespace) -> None:
    spec, name = {"connection": {"secretName": "s"}, "database": "shpo"}, a_name()
    common.apply("VersionedDatabase", name, spec)
    common.apply("VersionedDatabase", name, {**spec, "database": "shop"})

    say(common, "VersionedDatabase", name, MADE["VersionedDatabase"])

    assert "database cannot be changed" in common.refusal("VersionedDatabase", name, {**spec, "database": "other"})


def say(common: Namespace, kind: str, name: str, status: dict[str, Any]) -> None:
    """Write a status as the operator does."""
    common.run("patch", kind, name, "--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}")


def test_an_object_named_main_cannot_be_a_branch(common: Namespace) -> None:
    assert "main is the live tables themselves" in common.refusal("DatabaseBranch", "main", {"databaseRef": REF})


def test_a_merge_does_not_undo_itself(common: Namespace) -> None:
    assert "another Merge, not this one" in common.refusal("Merge", "undo", {"databaseRef": REF, "revertOf": "undo"})


def test_fields_that_do_not_exist_yet_are_named(common: Namespace) -> None:
    assert 'unknown field "spec.ttl"' in common.refusal("DatabaseBranch", a_name(), {"databaseRef": REF, "ttl": "1d"})


def test_get_pggit_shows_every_kind(namespace: Namespace) -> None:
    for kind, spec in (GOOD[0], GOOD[2], GOOD[6], GOOD[8]):
        namespace.apply(kind, f"one-{kind.lower()}", spec)

    shown = namespace.run("get", "pggit")

    for short in ("versioneddatabase", "databasebranch", "snapshot", "merge"):
        assert f"{short}.pggit.io/one-" in shown
    assert "READY" in shown

    for short, (named, _) in (("vdb", GOOD[0]), ("dbb", GOOD[2]), ("dbsnap", GOOD[6]), ("dbm", GOOD[8])):
        assert f"one-{named.lower()}" in namespace.run("get", short)
