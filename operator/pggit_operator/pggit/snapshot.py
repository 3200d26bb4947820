"""Snapshots: tags that somebody outside asked for."""

from __future__ import annotations

from dataclasses import dataclass

from pggit_operator.pggit.call import Connection, one, value
from pggit_operator.pggit.owner import Owner


@dataclass(frozen=True)
class Snapshot:
    """A commit under a name."""

    commit_id: str
    state_digest: str
    was_created: bool


def take_snapshot(conn: Connection, *, owner: Owner, branch: str, tag: str, message: str | None) -> Snapshot:
    """Tag the branch as it is now; the same owner asking again gets the same commit."""
    return one(conn, Snapshot, "take_snapshot", owner=owner.record, branch=branch, tag=tag, message=message)


def discard_snapshot(conn: Connection, *, owner: Owner, tag: str) -> bool:
    """Delete the owner's tag; whether there was one."""
    return bool(value(conn, "discard_snapshot", owner=owner.record, tag=tag))
