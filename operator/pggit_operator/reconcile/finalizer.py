"""Our own finalizer, and only where there is something to clean up."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from pggit_operator.api import Object
from pggit_operator.kube.seen import Key
from pggit_operator.reconcile.world import World

FINALIZER = "pggit.io/cleanup"
Body = dict[str, Any]


@dataclass
class Grip:
    """An object in the hands of a decision: it is held before the first write that would need a clean-up."""

    world: World
    obj: Object
    body: Body

    def hold(self) -> None:
        """From here on there may be something to clean up."""
        self.body = hold(self.world, self.obj, self.body)


def hold(world: World, obj: Object, body: Body) -> Body:
    """Make sure that we get to clean up before the object goes."""
    finalizers = body["metadata"].get("finalizers", [])
    if FINALIZER in finalizers:
        return body
    return _write(world, obj, body, [*finalizers, FINALIZER])


def let_go(world: World, obj: Object, body: Body) -> Body:
    """Nothing is left to clean up."""
    finalizers = body["metadata"].get("finalizers", [])
    if FINALIZER not in finalizers:
        return body
    return _write(world, obj, body, [one for one in finalizers if one != FINALIZER])


def waited(obj: Object) -> float:
    """Seconds since somebody asked for the deletion."""
    since = datetime.datetime.fromisoformat(str(obj.metadata.deletion_timestamp))
    return (datetime.datetime.now(datetime.UTC) - since).total_seconds()


def _write(world: World, obj: Object, body: Body, finalizers: list[str]) -> Body:
    patched = world.objects.set_finalizers(obj.plural, body, finalizers)
    if finalizers or not patched["metadata"].get("deletionTimestamp"):
        world.seen.put(Key(obj.plural, obj.metadata.namespace, obj.metadata.name), patched)
    return patched
