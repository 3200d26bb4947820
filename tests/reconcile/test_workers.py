"""How soon an object is looked at again."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from pggit_operator.handlers.queue import Pace, Queue
from pggit_operator.handlers.workers import Workers
from pggit_operator.kube.client import ApiUnavailable
from pggit_operator.kube.seen import Key, Seen
from pggit_operator.reconcile.world import World
from pggit_operator.settings import Settings

KEY = Key("databasebranches", "shop", "dev")


class Unavailable:
    """An API that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, *_: str) -> None:
        self.asked += 1
        raise ApiUnavailable("no answer")


@pytest.mark.parametrize("leaving", [True, False])
def test_whoever_is_on_the_way_out_is_not_kept_by_a_long_backoff(leaving: bool) -> None:
    nothing = cast(Any, None)
    objects = Unavailable()
    world = World(Settings(resync=0.1, workers=1), cast(Any, objects), nothing, nothing, Seen(), nothing)
    since = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    world.seen.put(KEY, {"metadata": {"uid": "1", "resourceVersion": "1", **since}})
    queue = Queue(Pace(per_group=1, resync=0.1, backoff_first=100, backoff_max=300), world.group_of)
    workers = Workers(world, queue)
    workers.start()
    queue.touch(KEY)
    deadline = time.monotonic() + (60 if leaving else 1)
    while objects.asked <= 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    queue.close()
    workers.join(1)
    assert objects.asked > 3 if leaving else objects.asked == 1
