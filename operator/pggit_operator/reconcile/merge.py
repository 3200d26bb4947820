"""Merge: run once, wait for a person where both sides changed the same, say what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pggit_operator.api import Merge
from pggit_operator.api.database import ConflictValues
from pggit_operator.api.merge import (
    Conflict,
    Conflicts,
    MergeStatus,
    Plan,
    Resolution,
    TablePlan,
    Take,
    Violation,
    Violations,
)
from pggit_operator.errors import ConflictNotFound, InvalidResolution, TableNotFound, TableNotTracked
from pggit_operator.pggit import merge as sql
from pggit_operator.pggit.call import Connection, transaction
from pggit_operator.reconcile.connection import connected, database_of, owner_of
from pggit_operator.reconcile.verdict import Verdict, failure, ready, stalled, suspended
from pggit_operator.reconcile.world import World

_SHOWN = 50
_SHOWN_TABLES = 200
#: Longest value that a status shows, in characters.
_LONGEST = 1024
_WRONG_RESOLUTION = (ConflictNotFound, InvalidResolution, TableNotFound, TableNotTracked)
_SETTLED = ("Merged", "FastForward", "UpToDate")
_RESULTS = {
    "planned": "Planned",
    "merged": "Merged",
    "fast_forward": "FastForward",
    "up_to_date": "UpToDate",
    "conflicted": "Conflicted",
    "refused": "Refused",
    "aborted": "Aborted",
}


def decide(world: World, merge: Merge) -> Verdict | None:
    """Merge the source into the target, once, and say what came of it."""
    if merge.spec.suspend:
        return suspended()
    if settled := _settled(merge):
        return settled
    spec, limit = merge.spec, world.settings.long_timeout
    values = database_of(world, merge, spec.database_ref).spec.conflict_values is ConflictValues.SHOW
    with connected(world, merge, spec.database_ref, patience=limit) as (conn, _):
        try:
            with transaction(conn, timeout=limit):
                return _merged(world, merge, conn, spec.resolutions, values=values)
        except _WRONG_RESOLUTION as error:
            if merge.status.result is not None:
                raise
            # Nothing was done. The conflicts have to be in the status, or nobody could correct the resolutions.
            with transaction(conn, timeout=limit):
                verdict = _merged(world, merge, conn, [], values=values)
            return replace(failure(error, merge.kind_name), facts=verdict.facts) if verdict.stalled else verdict


def _merged(
    world: World, merge: Merge, conn: Connection, resolutions: Sequence[Resolution], *, values: bool
) -> Verdict:
    spec, owner = merge.spec, owner_of(world, merge)
    options = {"on_conflict": spec.on_conflict.lower(), "fast_forward": spec.fast_forward.lower()}
    if spec.dry_run and not merge.made:
        merge_id = sql.plan_merge(conn, owner=owner, source=spec.source, target=spec.target, options=options)
        again = False
    else:
        run = sql.run_merge(
            conn,
            owner=owner,
            source=spec.source,
            target=spec.target,
            message=spec.message or f"merge {spec.source} into {spec.target}",
            options=options,
            resolutions=[_resolution(one) for one in resolutions],
        )
        merge_id, again = run.merge_id, not run.was_run and not merge.made
    done = sql.describe_merge(conn, merge_id)
    return _verdict(merge, done, _facts(conn, done, values=values), again=again)


def _settled(merge: Merge) -> Verdict | None:
    """What has run stays so, whatever becomes of the database or is tidied up in the spec."""
    said = next((one for one in merge.status.conditions if one.type == "Ready"), None)
    if merge.status.result in _SETTLED and said is not None and said.status == "True":
        return ready(said.reason, said.message)
    return None


def _verdict(merge: Merge, done: sql.Merge, facts: MergeStatus, *, again: bool) -> Verdict:
    what = f"{merge.spec.source} into {merge.spec.target}"
    if again and done.result in ("merged", "fast_forward"):
        said = f"{what} is already merged in commit {(done.commit_id or '')[:12]}: a Merge of this name runs once"
        return ready("Merged", f"{said}; nothing was done again", facts)
    rows = f"{done.inserted} rows inserted, {done.updated} updated, {done.deleted} deleted"
    match done.result:
        case "planned":
            return ready("Planned", f"merging {what} would give: {rows}; conflicts: {done.conflicts}", facts)
        case "merged":
            return ready("Merged", f"merged {what}: {rows}", facts)
        case "fast_forward":
            return ready("Merged", f"merged {what} by fast-forward: {rows}", facts)
        case "up_to_date":
            return ready("UpToDate", f"{merge.spec.target} has everything of {merge.spec.source} already", facts)
        case "conflicted":
            said = f"merging {what} waits: {done.open_conflicts} of {done.conflicts} conflicts are open"
            return stalled("Conflicted", f"{said}; decide them in spec.resolutions", facts)
        case "aborted":
            return stalled("Aborted", f"merging {what} was aborted in the database; make another Merge", facts)
        case _:
            return stalled("Refused", f"merging {what} was refused, nothing was changed: {_why(done, facts)}", facts)


def _why(done: sql.Merge, facts: MergeStatus) -> str:
    if facts.violations and facts.violations.items:
        first = facts.violations.items[0]
        row = ", ".join(f"{name} {value}" for name, value in first.key.items())
        rows = "a row" if done.violations == 1 else f"{done.violations} rows"
        return (
            f"{rows} would break a constraint, {first.constraint} for {row} of {first.table}; status.violations has "
            "all and their sides. Change the rows on a branch, or what spec.resolutions takes"
        )
    return done.reason or "the database says no more"


def _facts(conn: Connection, done: sql.Merge, *, values: bool) -> MergeStatus:
    return MergeStatus(
        result=_RESULTS[done.result],
        merge_id=str(done.merge_id),
        merge_commit=done.commit_id,
        base_commit=done.base_commit,
        ours_commit=done.ours_commit,
        theirs_commit=done.theirs_commit,
        plan=_plan(conn, done),
        conflicts=_conflicts(conn, done, values=values) if done.conflicts else None,
        violations=_violations(conn, done) if done.violations else None,
    )


def _plan(conn: Connection, done: sql.Merge) -> Plan:
    tables = sql.table_changes(conn, done.merge_id)[:_SHOWN_TABLES]
    return Plan(
        hash=done.plan_hash,
        inserted=done.inserted,
        updated=done.updated,
        deleted=done.deleted,
        tables=[
            TablePlan(table=one.table_name, inserted=one.inserted, updated=one.updated, deleted=one.deleted)
            for one in tables
        ],
    )


def _conflicts(conn: Connection, done: sql.Merge, *, values: bool) -> Conflicts:
    items = [
        Conflict(
            id=one.conflict_id,
            kind=one.kind,
            table=one.table_name,
            key=_short_key(one.key),
            column=one.column_name,
            base=_short(one.base),
            ours=_short(one.ours),
            theirs=_short(one.theirs),
            resolution=one.resolution,
        )
        for one in sql.conflicts(conn, done.merge_id, limit=_SHOWN, values=values)
    ]
    return Conflicts(count=done.conflicts, open=done.open_conflicts, items=items)


def _violations(conn: Connection, done: sql.Merge) -> Violations:
    items = [
        Violation(
            constraint=one.constraint_name,
            kind=one.kind,
            table=one.table_name,
            key=_short_key(one.key),
            side=one.side,
        )
        for one in sql.violations(conn, done.merge_id, limit=_SHOWN)
    ]
    return Violations(count=done.violations, items=items)


def _resolution(given: Resolution) -> dict[str, Any]:
    said = {
        "conflict_id": given.conflict_id,
        "table": given.table,
        "key": given.key,
        "column": given.column,
        "take": given.take.lower(),
        "value": given.value if given.take is Take.VALUE and not given.value_is_null else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _short(value: str | None) -> str | None:
    """A status is no place for large values."""
    return value if value is None or len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def _short_key(key: dict[str, str]) -> dict[str, str]:
    return {name: _short(value) or "" for name, value in list(key.items())[:32]}
