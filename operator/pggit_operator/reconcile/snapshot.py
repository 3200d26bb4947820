"""Snapshot: a tag, taken once."""

from __future__ import annotations

from pggit_operator.api import Snapshot
from pggit_operator.api.common import DeletionPolicy
from pggit_operator.api.snapshot import SnapshotStatus
from pggit_operator.pggit.call import Connection, transaction
from pggit_operator.pggit.snapshot import discard_snapshot, take_snapshot
from pggit_operator.reconcile.connection import connected, owner_of
from pggit_operator.reconcile.finalizer import Grip
from pggit_operator.reconcile.verdict import Verdict, ready, suspended
from pggit_operator.reconcile.world import World


def needs_cleanup(snapshot: Snapshot) -> bool:
    """Only where the tag goes with the object."""
    return snapshot.spec.deletion_policy is DeletionPolicy.DELETE


def decide(world: World, snapshot: Snapshot, grip: Grip) -> Verdict | None:
    """Keep the branch's state under the tag, and say which commit it is."""
    if snapshot.spec.suspend:
        return suspended()
    limit = world.settings.long_timeout
    with connected(world, snapshot, snapshot.spec.database_ref, patience=limit) as (conn, _):
        if needs_cleanup(snapshot):
            grip.hold()
        with transaction(conn, timeout=limit):
            taken = take_snapshot(
                conn,
                owner=owner_of(world, snapshot),
                branch=snapshot.spec.branch,
                tag=snapshot.tag_name,
                message=snapshot.spec.message,
            )
    facts = SnapshotStatus(tag=snapshot.tag_name, commit=taken.commit_id, state_digest=taken.state_digest)
    return ready("SnapshotTaken", f"tag {snapshot.tag_name} names commit {taken.commit_id[:12]}", facts)


def clean_up(world: World, snapshot: Snapshot, conn: Connection) -> str:
    """Delete the tag if it is ours; what was done."""
    with transaction(conn):
        done = discard_snapshot(conn, owner=owner_of(world, snapshot), tag=snapshot.tag_name)
    return (
        f"tag {snapshot.tag_name} is deleted" if done else f"tag {snapshot.tag_name} is not ours: nothing was touched"
    )
