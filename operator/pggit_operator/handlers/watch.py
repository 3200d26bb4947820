"""The edge to kopf: what the watches show goes into memory and queue. Nothing else happens here."""

from __future__ import annotations

from typing import Any

import kopf

from pggit_operator.api import GROUP, KINDS, VERSION
from pggit_operator.handlers.queue import Queue
from pggit_operator.kube.seen import Key
from pggit_operator.reconcile.world import World


def register(registry: kopf.OperatorRegistry, world: World, queue: Queue) -> None:
    """Watch every kind."""
    for kind in KINDS:
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=f"seen-{kind.plural}")(
            _handler(kind.plural, world, queue)
        )


def _handler(plural: str, world: World, queue: Queue) -> Any:
    def object_seen(event: kopf.RawEvent, **_: Any) -> None:
        body: dict[str, Any] = dict(event["object"])
        meta = body["metadata"]
        key = Key(plural, meta["namespace"], meta["name"])
        if event["type"] == "DELETED":
            world.seen.drop(key, meta["uid"])
            queue.touch(key)
            return
        before = world.seen.put(key, body)
        if before is None or _asks(before) != _asks(body):
            queue.touch(key)
            for dependent in world.dependents(key):
                queue.touch(dependent)

    return object_seen


def _asks(body: dict[str, Any]) -> tuple[Any, ...]:
    """What of an object can change our mind: never the status that we wrote ourselves."""
    meta = body["metadata"]
    return meta["uid"], meta.get("generation"), meta.get("deletionTimestamp")
