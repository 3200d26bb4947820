"""From what a decision comes to, to the status: conditions, facts, and a patch that says only what differs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pggit_operator import errors
from pggit_operator.api.merge import Conflicts, MergeStatus, Plan
from pggit_operator.errors import BY_SQLSTATE, PgGitError
from pggit_operator.pggit.schema import bundled_files, bundled_version, require_core, require_server
from pggit_operator.reconcile.verdict import difference, failure, ready, stalled, status_of
from pggit_operator.reconcile.ways_out import KEPT, told

Body = dict[str, Any]


def body(status: Body, generation: int = 3) -> Body:
    return {"metadata": {"generation": generation}, "status": status}


def conditions(status: Body) -> dict[str, str]:
    return {one["type"]: one["status"] for one in status["conditions"]}


def apply(status: Body, patch: Body) -> Body:
    """What the API server makes of a merge patch."""
    merged = dict(status)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = apply(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


def test_the_same_verdict_twice_writes_once() -> None:
    facts = MergeStatus(result="Merged", merge_commit="c", plan=Plan(inserted=1))
    first = status_of(ready("Merged", "done", facts), body({"observedGeneration": -1}))

    again = status_of(ready("Merged", "done", facts), body(first))

    assert difference(first, again) == {}
    assert first["observedGeneration"] == 3


def test_facts_that_are_no_more_go() -> None:
    waiting = MergeStatus(result="Conflicted", conflicts=Conflicts(count=1, open=1), plan=Plan(hash="h", inserted=1))
    before = status_of(stalled("Conflicted", "1 of 1", waiting), body({}))

    after = status_of(ready("Merged", "done", MergeStatus(result="Merged", plan=Plan(inserted=1))), body(before))

    assert "conflicts" not in after
    assert apply(before, difference(before, after)) == after
    assert difference(before, after)["conflicts"] is None


def test_a_failure_leaves_the_facts() -> None:
    before = status_of(ready("Merged", "done", MergeStatus(merge_commit="c")), body({}))

    after = status_of(failure(errors.Unreachable("PostgreSQL does not answer", "Start it.")), body(before))

    assert after["mergeCommit"] == "c"
    assert conditions(after) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}
    assert after["conditions"][0]["message"] == "PostgreSQL does not answer. Start it."


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    before = status_of(ready("Merged", "done"), body({}))
    for one in before["conditions"]:
        one["lastTransitionTime"] = "2001-01-01T00:00:00Z"

    same = status_of(ready("UpToDate", "other words"), body(before))
    other = status_of(stalled("Conflicted", "wait"), body(before))

    assert {one["lastTransitionTime"] for one in same["conditions"]} == {"2001-01-01T00:00:00Z"}
    times = {one["type"]: one["lastTransitionTime"] for one in other["conditions"]}
    assert times["Reconciling"] == "2001-01-01T00:00:00Z"
    assert times["Ready"] > "2001"
    assert times["Ready"] != "2001-01-01T00:00:00Z"


@pytest.mark.parametrize("kind", [kind for _, kind in sorted(BY_SQLSTATE.items())])
def test_every_error_is_ready_false_and_either_waits_or_stalls(kind: type[PgGitError]) -> None:
    status = status_of(failure(kind("said")), body({}))

    said = conditions(status)
    assert said["Ready"] == "False"
    assert {said["Reconciling"], said["Stalled"]} == {"True", "False"}
    assert status["conditions"][0]["reason"] == kind.__name__


KINDS = ("VersionedDatabase", "DatabaseBranch", "Snapshot", "Merge", None)


@pytest.mark.parametrize("kind", [kind for _, kind in sorted(BY_SQLSTATE.items())])
def test_every_error_of_the_core_has_a_way_out_in_terms_of_the_manifest(kind: type[PgGitError]) -> None:
    error = kind("said", "SELECT pggit.release_branch('x'), or name it in p_exclude.")
    if kind in KEPT:
        assert told(error, "DatabaseBranch").endswith("p_exclude.")
        return

    for of in KINDS:
        said = told(error, of)
        assert said.startswith("said. ")
        assert said.endswith(".")
        assert not re.search(r"pggit\.[a-z]|\bp_[a-z]|SELECT|\(\)", said), said


def test_an_error_of_the_operator_keeps_its_own_way_out() -> None:
    assert told(errors.Unreachable("no answer", "Start it."), "Merge") == "no answer. Start it."


def test_servers_before_15_are_refused_by_the_number_they_report() -> None:
    """No server that old can be had here: what is shown is the decision on the number, not a connection."""
    with pytest.raises(errors.ServerTooOld, match=r"PostgreSQL 14\.13 is too old: pggit needs 15 or later"):
        require_server("140013", "14.13")

    require_server("150000", "15.0")


@pytest.mark.parametrize(("there", "ours"), [("0.2.0", "0.1.9"), ("1.0.0", "0.9.9"), ("0.10.0", "0.9.0")])
def test_a_core_of_another_version_is_refused(there: str, ours: str) -> None:
    with pytest.raises(errors.CoreTooNew, match=f"the database has pggit {there}, newer than the {ours}"):
        require_core(there, ours)
    with pytest.raises(errors.CoreTooOld, match=f"the database has pggit {ours}, which the {there}"):
        require_core(ours, there)
    require_core(ours, ours)


def test_the_core_that_comes_along_is_whole() -> None:
    names = [name for name, _ in bundled_files()]

    assert bundled_version().count(".") == 2
    assert "core/schema.sql" in names
    assert "access/logins.sql" in names
