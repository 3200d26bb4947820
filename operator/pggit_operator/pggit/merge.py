"""Merges: plan, run once, conflicts, violations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from pggit_operator.pggit.call import Connection, one, rows, value
from pggit_operator.pggit.owner import Owner


@dataclass(frozen=True)
class Run:
    """The merge of an owner, and whether this call did something."""

    merge_id: UUID
    was_run: bool


@dataclass(frozen=True)
class Merge:
    """What a merge did, or would do."""

    merge_id: UUID
    result: str
    commit_id: str | None
    base_commit: str | None
    ours_commit: str | None
    theirs_commit: str | None
    plan_hash: str | None
    inserted: int
    updated: int
    deleted: int
    conflicts: int
    open_conflicts: int
    violations: int
    reason: str | None
    approved_by: str | None


@dataclass(frozen=True)
class SourceBranch:
    """Whether the source of an owner's merge is gone, and why not."""

    is_deleted: bool
    reason: str | None


@dataclass(frozen=True)
class FinishStep:
    """A statement that a merge has left for afterwards, one of so many: whether it is done, and why not."""

    ddl: str | None
    is_done: bool
    reason: str | None
    steps: int


@dataclass(frozen=True)
class Wish:
    """What an owner wants, once: a source merged into the target, or an earlier merge undone there."""

    owner: Owner
    source: str | None
    revert_of: str | None
    target: str
    options: dict[str, Any]
    resolutions: Sequence[dict[str, Any]]

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "owner": self.owner.record,
            "source": self.source,
            "revert_of": self.revert_of,
            "target": self.target,
            "options": self.options,
            "resolutions": Jsonb(list(self.resolutions)),
        }


@dataclass(frozen=True)
class TableChanges:
    """What a merge changes in one table."""

    table_name: str
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class Statement:
    """A statement with which a merge changes the target's schema."""

    ddl: str


@dataclass(frozen=True)
class Conflict:
    """A conflict with its values in text form, or without them."""

    conflict_id: str
    kind: str
    table_name: str
    key: dict[str, str]
    column_name: str | None
    base: str | None
    ours: str | None
    theirs: str | None
    resolution: str | None


@dataclass(frozen=True)
class Violation:
    """A constraint that the merged rows would break."""

    kind: str
    constraint_name: str
    table_name: str
    key: dict[str, str]
    side: str | None


def run_merge(conn: Connection, wish: Wish, *, message: str | None) -> Run:
    """Merge once; asked again, the merge that ran. One with conflicts goes on when the resolutions decide them all, one
    whose options have approved_plan when that is the plan."""
    return one(conn, Run, "run_merge", message=message, **wish.arguments)


def plan_merge(conn: Connection, wish: Wish) -> UUID:
    """Work out what a merge would do, and change nothing; the same plan as long as neither branch has moved."""
    return UUID(str(value(conn, "plan_merge_for", **wish.arguments)))


def delete_merged_source(conn: Connection, *, owner: Owner) -> SourceBranch:
    """Delete the branch that the owner's merge has merged, unless somebody uses it."""
    return one(conn, SourceBranch, "delete_merged_source", owner=owner.record)


def run_finish_step(conn: Connection, *, owner: Owner, step: int) -> FinishStep:
    """Validate one of the constraints that the owner's merge has brought; done already, it does nothing."""
    return one(conn, FinishStep, "run_finish_step", owner=owner.record, step=step)


def describe_merge(conn: Connection, merge_id: UUID) -> Merge:
    """What a merge did, or would do."""
    return one(conn, Merge, "describe_merge", merge_id=merge_id)


def table_changes(conn: Connection, merge_id: UUID) -> list[TableChanges]:
    """What it changes, table by table."""
    return rows(conn, TableChanges, "describe_merge_tables", merge_id=merge_id)


def statements(conn: Connection, merge_id: UUID) -> list[str]:
    """What it runs to change the target's schema, in order."""
    return [one.ddl for one in rows(conn, Statement, "describe_merge_ddl", merge_id=merge_id)]


def conflicts(conn: Connection, merge_id: UUID, *, limit: int, values: bool) -> list[Conflict]:
    """The first conflicts."""
    return rows(conn, Conflict, "describe_conflicts", merge_id=merge_id, limit=limit, values=values)


def violations(conn: Connection, merge_id: UUID, *, limit: int) -> list[Violation]:
    """The first violations."""
    return rows(conn, Violation, "describe_violations", merge_id=merge_id, limit=limit)
