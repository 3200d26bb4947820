"""Merge: run once, wait for a person where both sides changed the same, say what happened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pggit_operator.api import Merge
from pggit_operator.api.database import ConflictValues
from pggit_operator.api.merge import (
    Approval,
    Conflict,
    Conflicts,
    Fill,
    MergeStatus,
    Plan,
    Resolution,
    Rule,
    RuleName,
    SourceBranch,
    TablePlan,
    Take,
    Validated,
    Validation,
    Violation,
    Violations,
)
from pggit_operator.errors import ConflictNotFound, InvalidResolution, PgGitError, TableNotFound, TableNotTracked
from pggit_operator.pggit import merge as sql
from pggit_operator.pggit.call import Connection, transaction
from pggit_operator.reconcile.connection import connected, database_of, owner_of
from pggit_operator.reconcile.verdict import Finding, Verdict, failure, ready, stalled, suspended
from pggit_operator.reconcile.world import World

_SHOWN = 50
_SHOWN_TABLES = 200
_SHOWN_STATEMENTS = 50
#: Longest value that a status shows, in characters, and longest statement.
_LONGEST = 1024
_LONGEST_STATEMENT = 4096
#: All statements of a status together: an object of Kubernetes has little room.
_LONGEST_DDL = 65536
_WRONG_RESOLUTION = (ConflictNotFound, InvalidResolution, TableNotFound, TableNotTracked)
_RULES = {RuleName.NON_NULL: "non_null"}
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
    """Merge the source into the target, or undo an earlier Merge, once, and say what came of it."""
    if merge.spec.suspend:
        return suspended()
    if settled := _settled(merge):
        return _tidied(world, merge, _validated(world, merge, settled))
    spec, limit = merge.spec, world.settings.long_timeout
    values = database_of(world, merge, spec.database_ref).spec.conflict_values is ConflictValues.SHOW
    with connected(world, merge, spec.database_ref, patience=limit) as (conn, _):
        try:
            with transaction(conn, timeout=limit):
                verdict = _merged(conn, merge, _wish(world, merge, spec.resolutions), values=values)
        except _WRONG_RESOLUTION as error:
            if merge.status.result is not None:
                raise
            # Nothing was done. The conflicts have to be in the status, or nobody could correct the resolutions.
            with transaction(conn, timeout=limit):
                verdict = _merged(conn, merge, _wish(world, merge, []), values=values)
            return (
                replace(failure(error, merge.kind_name), facts=verdict.facts)
                if verdict.stalled or spec.dry_run
                else verdict
            )
    return _tidied(world, merge, _validated(world, merge, verdict))


def _merged(conn: Connection, merge: Merge, wish: sql.Wish, *, values: bool) -> Verdict:
    spec = merge.spec
    if spec.dry_run and not merge.made:
        merge_id = sql.plan_merge(conn, wish)
        again = False
    else:
        run = sql.run_merge(conn, wish, message=spec.message or _message(merge))
        merge_id, again = run.merge_id, not run.was_run and not merge.made
    done = sql.describe_merge(conn, merge_id)
    return _verdict(merge, done, _facts(conn, done, values=values), again=again)


def _wish(world: World, merge: Merge, resolutions: Sequence[Resolution]) -> sql.Wish:
    spec = merge.spec
    return sql.Wish(
        owner=owner_of(world, merge),
        source=spec.source,
        revert_of=spec.revert_of,
        target=spec.target,
        options=_options(
            merge, verified=world.settings.approvers_verified, approved_by_policy=_policy_asks(world, merge)
        ),
        resolutions=[_resolution(one) for one in resolutions],
    )


def _policy_asks(world: World, merge: Merge) -> bool:
    """Whether the database wants every merge into this target approved."""
    policies = database_of(world, merge, merge.spec.database_ref).spec.merge_policies
    return any(_fits(merge.spec.target, one.target) for one in policies)


def _fits(name: str, pattern: str) -> bool:
    """Whether a name is a pattern, in which * stands for any characters."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name) is not None


def _options(merge: Merge, *, verified: bool, approved_by_policy: bool) -> dict[str, Any]:
    """What the SQL core calls options; no more than was asked for, so that equal wishes are equal."""
    spec = merge.spec
    options: dict[str, Any] = {"on_conflict": spec.on_conflict.lower()}
    if spec.source is not None:
        options["fast_forward"] = spec.fast_forward.lower()
    if spec.squash:
        options["squash"] = True
    if spec.rules:
        options["rules"] = [_rule(one) for one in spec.rules]
    if spec.fill:
        options["fill"] = {f"{one.table}.{one.column}": _filling(one) for one in spec.fill}
    if spec.validation is Validation.LATER:
        options["validate"] = "later"
    if spec.checks:
        options["checks"] = [{"name": one.name, "sql": one.sql} for one in spec.checks]
    if spec.approval is Approval.REQUIRED or approved_by_policy:
        options["approved_plan"] = spec.approved_plan
        if spec.approved_by is not None:
            options["approved_by"] = spec.approved_by if verified else f"{spec.approved_by} (unverified)"
    return options


def _validated(world: World, merge: Merge, verdict: Verdict) -> Verdict:
    """What has merged has its constraints validated; whatever comes of that, the merge itself stays as it is."""
    if not (verdict.ready and merge.spec.validation is Validation.LATER and verdict.reason != "Planned"):
        return verdict
    now = merge.status.validation
    if now is None or now.open:
        now = _validate(world, merge)
    facts = verdict.facts if isinstance(verdict.facts, MergeStatus) else merge.status
    return replace(
        verdict,
        facts=facts.model_copy(update={"validation": now}),
        finding=Finding("Unvalidated", bool(now.open), "NotYetValid" if now.open else "Validated", now.message),
    )


def _validate(world: World, merge: Merge) -> Validated:
    """Each constraint in a transaction of its own: none is locked for longer than it takes."""
    limit, owner = world.settings.long_timeout, owner_of(world, merge)
    number, steps, done = 1, 1, 0
    left: list[str] = []
    try:
        with connected(world, merge, merge.spec.database_ref, patience=limit) as (conn, _):
            while number <= steps:
                with transaction(conn, timeout=limit):
                    step = sql.run_finish_step(conn, owner=owner, step=number)
                number, steps = number + 1, step.steps
                if not step.is_done:
                    left.append(f"{step.ddl}: {step.reason}")
                elif step.ddl is not None:
                    done += 1
    except PgGitError as error:
        said = f"{done} constraints are valid, the others wait for now: {error.message}"
        return Validated(done=done, open=max(steps - done, 1), message=_short(said, _LONGEST_STATEMENT) or "")
    said = f"{done} constraints are valid" + (f"; rows are in the way of others: {'; '.join(left)}" if left else "")
    return Validated(done=done, open=len(left), message=_short(said, _LONGEST_STATEMENT) or "")


def _tidied(world: World, merge: Merge, verdict: Verdict) -> Verdict:
    """What has merged may have its source deleted; whatever comes of that, the merge itself stays as it is."""
    if not (verdict.ready and merge.spec.delete_source_branch and verdict.reason != "Planned"):
        return verdict
    now = merge.status.source_branch
    if now is None or not now.deleted:
        now = _source_deleted(world, merge)
    facts = verdict.facts if isinstance(verdict.facts, MergeStatus) else merge.status
    return replace(verdict, facts=facts.model_copy(update={"source_branch": now}))


def _source_deleted(world: World, merge: Merge) -> SourceBranch:
    name, limit = merge.spec.source, world.settings.long_timeout
    try:
        if waiting := _waiting_for(world, merge):
            return SourceBranch(deleted=False, message=f"branch {name} stays: Merge {waiting} waits for it")
        with (
            connected(world, merge, merge.spec.database_ref, patience=limit) as (conn, _),
            transaction(conn, timeout=limit),
        ):
            done = sql.delete_merged_source(conn, owner=owner_of(world, merge))
    except PgGitError as error:
        return SourceBranch(deleted=False, message=f"branch {name} stays for now: {error.message}")
    said = f"branch {name} is deleted" if done.is_deleted else f"branch {name} stays: {done.reason}"
    return SourceBranch(deleted=done.is_deleted, message=said)


def _waiting_for(world: World, merge: Merge) -> str | None:
    """Another Merge that has yet to read or write the source of this one."""
    for body in world.objects.all_in(Merge.plural, merge.metadata.namespace):
        meta, spec = body["metadata"], body["spec"]
        about = spec["databaseRef"]["name"] == merge.spec.database_ref.name
        uses = merge.spec.source in (spec.get("source"), spec["target"]) and not spec["dryRun"]
        over = "deletionTimestamp" in meta or body.get("status", {}).get("result") in (*_SETTLED, "Aborted")
        if about and uses and not over and meta["name"] != merge.metadata.name:
            return str(meta["name"])
    return None


def _settled(merge: Merge) -> Verdict | None:
    """What has run stays so, whatever becomes of the database or is tidied up in the spec."""
    said = next((one for one in merge.status.conditions if one.type == "Ready"), None)
    if merge.status.result in _SETTLED and said is not None and said.status == "True":
        return ready(said.reason, said.message)
    return None


def _what(merge: Merge) -> str:
    """What is merged, or undone."""
    spec = merge.spec
    return f"{spec.source} into {spec.target}" if spec.source else f"{spec.revert_of} on {spec.target}"


def _doing(merge: Merge) -> str:
    return f"{'merging' if merge.spec.source else 'undoing'} {_what(merge)}"


def _done(merge: Merge) -> str:
    return f"{'merged' if merge.spec.source else 'undid'} {_what(merge)}"


def _message(merge: Merge) -> str:
    """The message of the commit, where none is given."""
    return f"merge {_what(merge)}" if merge.spec.source else f"undo merge {merge.spec.revert_of}"


def _verdict(merge: Merge, done: sql.Merge, facts: MergeStatus, *, again: bool) -> Verdict:
    if again and done.result in ("merged", "fast_forward"):
        word, commit = "merged" if merge.spec.source else "undone", (done.commit_id or "")[:12]
        said = f"{_what(merge)} is already {word} in commit {commit}: a Merge of this name runs once"
        return ready("Merged", f"{said}; nothing was done again", facts)
    rows = f"{done.inserted} rows inserted, {done.updated} updated, {done.deleted} deleted"
    match done.result:
        case "planned" if merge.spec.dry_run and not merge.made:
            return ready("Planned", f"{_doing(merge)} would give: {rows}; conflicts: {done.conflicts}", facts)
        case "planned" | "conflicted" if done.open_conflicts or done.result == "conflicted":
            said = f"{_doing(merge)} waits: {done.open_conflicts} of {done.conflicts} conflicts are open"
            return stalled("Conflicted", f"{said}; decide them in spec.resolutions", facts)
        case "planned" if not done.violations:
            return stalled("AwaitingApproval", _awaited(merge, done, rows), facts)
        case "merged":
            return ready("Merged", f"{_done(merge)}: {rows}{_approver(done)}", facts)
        case "fast_forward":
            return ready("Merged", f"{_done(merge)} by fast-forward: {rows}{_approver(done)}", facts)
        case "up_to_date" if merge.spec.source is None:
            return ready("UpToDate", f"{merge.spec.target} has nothing left of {merge.spec.revert_of} to undo", facts)
        case "up_to_date":
            return ready("UpToDate", f"{merge.spec.target} has everything of {merge.spec.source} already", facts)
        case "aborted":
            return stalled("Aborted", f"{_doing(merge)} was aborted in the database; make another Merge", facts)
        case _:
            return stalled("Refused", f"{_doing(merge)} was refused, nothing was changed: {_why(done, facts)}", facts)


def _awaited(merge: Merge, done: sql.Merge, rows: str) -> str:
    given = merge.spec.approved_plan
    changed = "" if given is None else f"; what was approved is another plan, {given[:12]}…: its effects have changed"
    asked = "" if merge.spec.approval is Approval.REQUIRED else "spec.approval to Required and "
    return (
        f"{_doing(merge)} waits for approval{changed}. It would give: {rows}; to approve that, set "
        f"{asked}spec.approvedPlan to {done.plan_hash}"
    )


def _approver(done: sql.Merge) -> str:
    return f"; approved by {done.approved_by}" if done.approved_by else ""


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
        approved_by=done.approved_by,
    )


def _plan(conn: Connection, done: sql.Merge) -> Plan:
    tables = sql.table_changes(conn, done.merge_id)[:_SHOWN_TABLES]
    statements = sql.statements(conn, done.merge_id)
    return Plan(
        hash=done.plan_hash,
        inserted=done.inserted,
        updated=done.updated,
        deleted=done.deleted,
        tables=[
            TablePlan(table=one.table_name, inserted=one.inserted, updated=one.updated, deleted=one.deleted)
            for one in tables
        ],
        ddl=_shown(statements),
        statements=len(statements),
    )


def _shown(statements: list[str]) -> list[str]:
    """The first statements, as many as have room."""
    shown: list[str] = []
    for one in statements[:_SHOWN_STATEMENTS]:
        shown.append(_short(one, _LONGEST_STATEMENT) or "")
        if sum(map(len, shown)) > _LONGEST_DDL:
            return shown[:-1]
    return shown


def _conflicts(conn: Connection, done: sql.Merge, *, values: bool) -> Conflicts:
    items = [
        Conflict(
            id=one.conflict_id,
            kind=one.kind,
            table=one.table_name,
            key=_short_key(one.key) if one.key else None,
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


def _rule(given: Rule) -> dict[str, str]:
    said = {"table": given.table, "column": given.column, "rule": _RULES.get(given.rule, given.rule.lower())}
    return {name: value for name, value in (said | {"by": given.by}).items() if value is not None}


def _filling(given: Fill) -> str:
    """The SQL for what a column is to hold: a literal or a name, and never what somebody wrote as it is."""
    if given.from_column is not None:
        return '"' + given.from_column.replace('"', '""') + '"'
    if given.value is None:
        return "NULL"
    quoted = "'" + given.value.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in quoted else quoted


def _short(value: str | None, longest: int = _LONGEST) -> str | None:
    """A status is no place for large values."""
    return value if value is None or len(value) <= longest else value[: longest - 1] + "…"


def _short_key(key: dict[str, str]) -> dict[str, str]:
    return {name: _short(value) or "" for name, value in list(key.items())[:32]}
