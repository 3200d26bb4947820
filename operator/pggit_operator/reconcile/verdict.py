"""What a decision comes to, and how the status says it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from pggit_operator.api.common import Status
from pggit_operator.errors import PgGitError, Retry
from pggit_operator.reconcile.ways_out import told

Body = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """A condition that says something beside whether all is as asked."""

    type: str
    state: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """Ready or not, why, and the facts. Facts and a finding that are None leave the status as it is."""

    ready: bool
    reason: str
    message: str
    stalled: bool = False
    facts: Status | None = None
    finding: Finding | None = None
    failed: bool = False
    patient: bool = False
    urgent: bool = False

    @property
    def reconciling(self) -> bool:
        return not self.ready and not self.stalled


def ready(reason: str, message: str, facts: Status | None = None, finding: Finding | None = None) -> Verdict:
    """All is as asked."""
    return Verdict(True, reason, message, facts=facts, finding=finding)


def stalled(reason: str, message: str, facts: Status | None = None) -> Verdict:
    """A person has to do something."""
    return Verdict(False, reason, message, stalled=True, facts=facts)


def suspended(facts: Status | None = None) -> Verdict:
    """Somebody wants us to wait."""
    return Verdict(False, "Suspended", "spec.suspend is true: nothing is done until it is false", facts=facts)


def failure(error: PgGitError, kind: str | None = None) -> Verdict:
    """Something went wrong: why, and what the author of an object of this kind can do."""
    return Verdict(
        False,
        error.reason,
        told(error, kind),
        stalled=error.stalls,
        failed=True,
        patient=error.retry in (Retry.NEVER, Retry.ON_CHANGE),
        urgent=error.retry is Retry.SOON,
    )


def status_of(verdict: Verdict, body: Body) -> Body:
    """The whole status that a verdict means for an object: one writer, the whole list of conditions."""
    there: Body = body.get("status") or {}
    generation = body["metadata"].get("generation", 0)
    states = {"Ready": verdict.ready, "Reconciling": verdict.reconciling, "Stalled": verdict.stalled}
    if verdict.reason == "Suspended":
        states["Reconciling"] = False
    known = {one["type"]: one for one in there.get("conditions", [])}
    conditions = [_condition(name, state, verdict, generation, known.get(name)) for name, state in states.items()]
    new = verdict.finding
    conditions += [one for name, one in known.items() if name not in states and (new is None or name != new.type)]
    if new is not None:
        conditions.append(_condition(new.type, new.state, new, generation, known.get(new.type)))
    facts: Body = {}
    if verdict.facts is not None:
        facts = verdict.facts.model_dump(by_alias=True, exclude={"observed_generation", "conditions"}, mode="json")
    return {**_merged(there, facts), "observedGeneration": generation, "conditions": conditions}


def difference(there: Body, wanted: Body) -> Body:
    """The merge patch that makes the one into the other; empty when they are equal."""
    gone: Body = {name: None for name in there if name not in wanted}
    changed = {name: value for name, value in wanted.items() if there.get(name) != value}
    return gone | {name: _cleared(there.get(name), value) for name, value in changed.items()}


def ready_of(status: Body) -> tuple[str, str]:
    """Status and reason of the condition Ready."""
    for one in status.get("conditions", []):
        if one["type"] == "Ready":
            return one["status"], one["reason"]
    return "", ""


def said_of(status: Body, finding: str) -> str:
    """What a condition says that is true; nothing where it is not."""
    found = (one for one in status.get("conditions", []) if one["type"] == finding and one["status"] == "True")
    return str(next(found, {"message": ""})["message"])


def _condition(name: str, state: bool, why: Verdict | Finding, generation: int, there: Body | None) -> Body:
    status = "True" if state else "False"
    said = {"type": name, "status": status, "observedGeneration": generation}
    said |= {"reason": why.reason, "message": why.message[:4096] if name == "Ready" or state else ""}
    same = there is not None and there.get("status") == status
    return said | {"lastTransitionTime": there["lastTransitionTime"] if same and there else _now()}


def _merged(there: Body, facts: Body) -> Body:
    merged = {**there, **_without_nothing(facts)}
    return {name: value for name, value in merged.items() if facts.get(name, ...) not in (None, [])}


def _without_nothing(value: Any) -> Any:
    """Kubernetes keeps no nulls: neither do we."""
    if isinstance(value, dict):
        return {name: _without_nothing(of) for name, of in value.items() if of is not None}
    if isinstance(value, list):
        return [_without_nothing(of) for of in value]
    return value


def _cleared(there: Any, wanted: Any) -> Any:
    """A merge patch adds to a map: what is not wanted any more must be said to go."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        return {name: None for name in there if name not in wanted} | {
            name: _cleared(there.get(name), of) for name, of in wanted.items()
        }
    return wanted


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
