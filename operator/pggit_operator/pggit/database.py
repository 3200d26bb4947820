"""What is under version control in a database."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from pggit_operator.pggit.branch import MAIN, Branch, list_branches
from pggit_operator.pggit.call import Connection, one, rows, value, view
from pggit_operator.pggit.owner import Owner


@dataclass(frozen=True)
class TrackedTable:
    """A table under version control."""

    table_name: str


@dataclass(frozen=True)
class Capability:
    """Something that this server and this role allow, or do not."""

    capability: str
    available: bool
    reason: str


@dataclass(frozen=True)
class UnsupportedTable:
    """A table that cannot be put under version control."""

    table_name: str
    shown_as: str
    reason: str
    is_tracked: bool


@dataclass(frozen=True)
class Drift:
    """A change of the default branch's schema that nobody answers for; who and when where the database knows it."""

    object_kind: str
    object_name: str
    change: str
    changed_by: str | None
    changed_at: datetime.datetime | None
    statement: str | None


def schema_drift(conn: Connection) -> list[Drift]:
    """What came neither by a merge nor by a migration or deployment that pggit was told of."""
    return rows(conn, Drift, "schema_drift")


def claim_database(conn: Connection, *, owner: Owner, instead_of: str | None = None) -> Owner:
    """Look after the database if nobody does, or the one with this uid does; who looks after it now."""
    return one(conn, Owner, "claim_database", owner=owner.record, instead_of=instead_of)


def unsupported_tables(conn: Connection, schema: str) -> list[UnsupportedTable]:
    """Tables of a schema that cannot be put under version control."""
    return rows(conn, UnsupportedTable, "unsupported_tables", schema=schema)


def track_schema(conn: Connection, schema: str, exclude: Sequence[str]) -> int:
    """Put a schema's tables under version control, but for those excluded; how many there are now.

    A schema with hundreds of tables takes several transactions.
    """
    tables = {"schema": schema, "exclude": list(exclude)}
    before, tracked = -1, int(value(conn, "track_schema", **tables))
    while tracked > before and int(value(conn, "untracked_tables", **tables)) > 0:
        before, tracked = tracked, int(value(conn, "track_schema", **tables))
    return tracked


def untrack_table(conn: Connection, table: str) -> None:
    """Take one table out of version control."""
    value(conn, "untrack_table", table=table)


def tracked_tables(conn: Connection) -> list[str]:
    """Names of the tables under version control, `schema.table`."""
    return [table.table_name for table in view(conn, TrackedTable, "tracked_tables")]


def capabilities(conn: Connection) -> list[Capability]:
    """What this server and this role allow."""
    return rows(conn, Capability, "capabilities")


def tick(conn: Connection) -> None:
    """Note what is committed now: the state of this moment can be read exactly later."""
    value(conn, "tick")


def main_branch(conn: Connection) -> tuple[Branch, int]:
    """The default branch, and the number of all branches."""
    branches = list_branches(conn)
    return next(branch for branch in branches if branch.name == MAIN), len(branches)
