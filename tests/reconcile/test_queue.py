"""The queue: one entry per object, no object twice at once, fair between servers, backoff that ends."""

from __future__ import annotations

import threading
import time

from pggit_operator.handlers.queue import Pace, Queue
from pggit_operator.kube.seen import Key

PACE = Pace(per_group=2, resync=60, backoff_first=0.1, backoff_max=0.4)


def key(name: str, group: str = "a") -> Key:
    return Key("things", group, name)


def queue(pace: Pace = PACE) -> Queue:
    return Queue(pace, lambda one: one.namespace)


def take(of: Queue, seconds: float = 1.0) -> Key | None:
    """The next object, or None when there is none in time."""
    got: list[Key | None] = []
    worker = threading.Thread(target=lambda: got.append(of.take()), daemon=True)
    worker.start()
    worker.join(seconds)
    if not got:
        of.close()
        worker.join()
        return None
    return got[0]


def test_many_changes_are_one_look() -> None:
    q = queue()
    for _ in range(100):
        q.touch(key("x"))

    assert take(q) == key("x")
    q.done(key("x"), failed=False)
    assert take(q, 0.3) is None


def test_a_change_during_the_look_means_another_look_afterwards() -> None:
    q = queue()
    q.touch(key("x"))
    assert take(q) == key("x")

    q.touch(key("x"))
    q.touch(key("x"))
    q.done(key("x"), failed=False)

    assert take(q) == key("x")
    q.done(key("x"), failed=False)
    assert take(q, 0.3) is None


def test_one_server_takes_no_more_than_its_share() -> None:
    q = queue()
    for number in range(5):
        q.touch(key(f"slow-{number}", "slow"))
    time.sleep(0.01)
    q.touch(key("quick", "other"))

    taken = [take(q) for _ in range(3)]

    assert {one.namespace for one in taken if one} == {"slow", "other"}
    assert sum(one.namespace == "slow" for one in taken if one) == 2
    assert take(q, 0.2) is None


def test_failures_wait_longer_each_time_and_a_change_forgets_them() -> None:
    q, waits = queue(), []
    q.touch(key("x"))
    for _ in range(5):
        began = time.monotonic()
        assert take(q) == key("x")
        waits.append(time.monotonic() - began)
        q.done(key("x"), failed=True)

    assert waits[1] < waits[2] < waits[3]
    assert max(waits) <= 0.4 * 1.25 + 1

    q.touch(key("x"))
    assert take(q, 0.05) == key("x")


def test_recovery_of_a_server_hastens_what_failed_there() -> None:
    q = queue(Pace(per_group=2, resync=60, backoff_first=30, backoff_max=60))
    for name in ("x", "y"):
        q.touch(key(name))
        assert take(q) == key(name)
        q.done(key(name), failed=True, patient=name == "y")

    q.hasten("a")

    assert {take(q), take(q)} == {key("x"), key("y")}


def test_an_object_that_is_gone_is_not_looked_at_again() -> None:
    q = queue(Pace(per_group=2, resync=0.05, backoff_first=0.05, backoff_max=0.05))
    q.touch(key("x"))
    assert take(q) == key("x")

    q.forget(key("x"))

    assert take(q, 0.3) is None


def test_nothing_is_lost_and_nothing_runs_twice_at_once() -> None:
    q, running, lock = queue(), set(), threading.Lock()
    seen: dict[Key, int] = {}
    clashes: list[Key] = []

    def work() -> None:
        while (one := q.take()) is not None:
            with lock:
                if one in running:
                    clashes.append(one)
                running.add(one)
                seen[one] = seen.get(one, 0) + 1
            time.sleep(0.001)
            with lock:
                running.discard(one)
            q.done(one, failed=False)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    keys = [key(f"k{n}", f"g{n % 5}") for n in range(50)]
    for _ in range(20):
        for one in keys:
            q.touch(one)
        time.sleep(0.005)
    deadline = time.monotonic() + 60
    while len(seen) < len(keys) and time.monotonic() < deadline:
        time.sleep(0.01)
    q.close()
    for worker in workers:
        worker.join(60)

    assert clashes == []
    assert set(seen) == set(keys)
    assert running == set()
