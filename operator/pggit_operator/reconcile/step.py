"""One look at one object: decide, write the status if it differs, tell about it once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pggit_operator.api import DatabaseBranch, Merge, Object, Snapshot, VersionedDatabase
from pggit_operator.errors import (
    BranchInUse,
    BranchProtected,
    DatabaseNotFound,
    InternalError,
    PgGitError,
    Retry,
    SecretIncomplete,
    SecretInvalid,
    SecretNotFound,
    Unreachable,
)
from pggit_operator.kube.client import Gone, Stale
from pggit_operator.kube.seen import Key
from pggit_operator.pggit.call import Connection, installed
from pggit_operator.pggit.pools import Target
from pggit_operator.reconcile import branch, database, merge, snapshot
from pggit_operator.reconcile.connection import target_of
from pggit_operator.reconcile.finalizer import FINALIZER, Grip, hold, let_go, waited
from pggit_operator.reconcile.verdict import Verdict, difference, failure, ready_of, said_of, status_of
from pggit_operator.reconcile.ways_out import told
from pggit_operator.reconcile.world import World

log = logging.getLogger("pggit.step")
Body = dict[str, Any]


@dataclass(frozen=True)
class Room:
    """What is done for one kind."""

    kind: type[Object]
    decide: Callable[[World, Any, Grip], Verdict | None]
    needs_cleanup: Callable[[Any], bool] = lambda _: False
    clean_up: Callable[[World, Any, Connection], str] = lambda *_: ""
    leave: Callable[[World, Any], None] = lambda *_: None


_ROOMS = {
    VersionedDatabase.plural: Room(VersionedDatabase, lambda world, obj, _: database.decide(world, obj)),
    DatabaseBranch.plural: Room(
        DatabaseBranch, branch.decide, branch.needs_cleanup, branch.clean_up, branch.forget_secret
    ),
    Snapshot.plural: Room(Snapshot, snapshot.decide, snapshot.needs_cleanup, snapshot.clean_up),
    Merge.plural: Room(Merge, lambda world, obj, _: merge.decide(world, obj)),
}
# These keep an object that is being deleted for as long as they last; everything else does so for a while only.
_MAY_BLOCK = (BranchProtected, BranchInUse)
# Where an object's database is cannot even be known.
_NO_DATABASE = (DatabaseNotFound, SecretNotFound, SecretIncomplete, SecretInvalid)


@dataclass(frozen=True)
class After:
    """What to do with the object next."""

    failed: bool = False
    patient: bool = False
    urgent: bool = False
    became_ready: bool = False
    gone: bool = False
    unreachable: bool = False


def step(world: World, key: Key) -> After:
    """Look at an object as it is now and do what it asks for. Safe to repeat, and to be killed anywhere in it."""
    try:
        # Watches may miss that an object went: what we act on is what is there now.
        body = world.objects.get(*key)
        if body is None:
            return _gone(world, key)
        world.seen.put(key, body)
        return _step(world, key, body)
    except Gone:
        return _gone(world, key)
    except Stale:
        return After(failed=True, urgent=True)


def _gone(world: World, key: Key) -> After:
    known = world.seen.get(key)
    if known is not None:
        world.seen.drop(key, known["metadata"]["uid"])
    return After(gone=True)


def _step(world: World, key: Key, body: Body) -> After:
    room = _ROOMS[key.plural]
    try:
        obj = room.kind.model_validate(body)
        if obj.metadata.deletion_timestamp:
            return _leave(world, obj, room, body)
        if not room.needs_cleanup(obj):
            body = let_go(world, obj, body)
        elif obj.made:
            body = hold(world, obj, body)
        grip = Grip(world, obj, body)
        try:
            verdict = room.decide(world, obj, grip)
        finally:
            body = grip.body
    except ValidationError as error:
        where = ", ".join(sorted({".".join(map(str, one["loc"])) for one in error.errors()}))
        verdict = failure(
            InternalError(f"this operator does not understand {where}", "Do CRDs and operator belong together?")
        )
    except PgGitError as error:
        verdict = failure(error, room.kind.kind_name)
    except (Stale, Gone):
        raise
    except Exception as error:
        log.exception("deciding failed: %s", key)
        verdict = failure(InternalError(f"the operator failed with {type(error).__name__}", "Its log says where."))
    return _report(world, key, body, verdict)


def _leave(world: World, obj: Object, room: Room, body: Body) -> After:
    """The object is on its way out: clean up, then let it go; a dead database holds it only for a while."""
    if FINALIZER not in obj.metadata.finalizers:
        return After(gone=True)
    key = Key(obj.plural, obj.metadata.namespace, obj.metadata.name)
    try:
        said, warning = _clean_up(world, obj, room), False
    except PgGitError as error:
        over = waited(obj) > world.settings.deletion_patience
        if isinstance(error, _NO_DATABASE) and not obj.made:
            said, warning = "there is nothing to clean up: no database was ever reached", False
        elif isinstance(error, _MAY_BLOCK) or error.retry is Retry.SOON or not over:
            return _report(world, key, body, failure(error, obj.kind_name))
        else:
            said, warning = f"let go without cleaning up in the database: {told(error, obj.kind_name)}", True
    if warning:
        log.warning("%s: %s", key, said)
    room.leave(world, obj)
    _tell(world, body, warning=warning, reason="Orphaned" if warning else "CleanedUp", message=said)
    let_go(world, obj, body)
    return After(gone=True)


def _clean_up(world: World, obj: Object, room: Room) -> str:
    target = _target_for_cleanup(world, obj)
    with world.pools.connection(target, patience=world.settings.long_timeout) as conn:
        return (
            str(room.clean_up(world, obj, conn)) if installed(conn) else "there is nothing to clean up in the database"
        )


def _target_for_cleanup(world: World, obj: Object) -> Target:
    """The database of an object, even where VersionedDatabase or Secret went first."""
    namespace, name = obj.metadata.namespace, getattr(obj, "spec").database_ref.name  # noqa: B009
    known = world.targets.get(namespace, name)
    body = world.objects.get(VersionedDatabase.plural, namespace, name)
    try:
        if body is not None:
            return target_of(world, VersionedDatabase.model_validate(body))
    except (SecretNotFound, SecretIncomplete, SecretInvalid):
        if known is None:
            raise
    if known is None:
        raise DatabaseNotFound(
            f"there is no VersionedDatabase {name} in namespace {namespace} to clean up in",
            "Apply it again for that; else this object is let go after "
            f"{world.settings.deletion_patience:.0f} seconds, and what it made stays in the database.",
        )
    return known


def _report(world: World, key: Key, body: Body, verdict: Verdict | None) -> After:
    if verdict is None:
        return After(gone=True)
    there: Body = body.get("status") or {}
    before = ready_of(there)
    if verdict.urgent and before[0] == "True" and there.get("observedGeneration") == body["metadata"]["generation"]:
        return After(failed=True, urgent=True)  # busy for a moment: what was ready stays so
    wanted = status_of(verdict, body)
    change = difference(there, wanted)
    if change:
        log.debug("%s: writes %s", key, ", ".join(sorted(change)))
        body = world.objects.patch_status(key.plural, body, change)
        world.seen.put(key, body)
    changed = ready_of(wanted) != before
    if verdict.failed and (changed or not (verdict.patient or verdict.urgent)):
        log.warning("%s: %s: %s", key, verdict.reason, verdict.message)
    elif changed:
        log.info("%s: %s: %s", key, verdict.reason, verdict.message)
    if changed:
        _tell(world, body, warning=not verdict.ready, reason=verdict.reason, message=verdict.message)
    if verdict.finding is not None and said_of(wanted, verdict.finding.type) != said_of(there, verdict.finding.type):
        found = verdict.finding
        _tell(world, body, warning=found.state, reason=found.reason, message=found.message)
    return After(
        failed=verdict.failed,
        patient=verdict.patient,
        urgent=verdict.urgent,
        became_ready=verdict.ready and before[0] != "True",
        unreachable=verdict.reason == Unreachable.__name__,
    )


def _tell(world: World, body: Body, *, warning: bool, reason: str, message: str) -> None:
    """An Event; not worth failing for."""
    try:
        world.events.post(body, warning=warning, reason=reason, message=message)
    except (PgGitError, Gone, Stale) as error:
        log.warning("no Event: %s", error)
