"""Which object is looked at when: one entry per object, fair between PostgreSQL servers, with backoff."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from pggit_operator.kube.seen import Key


@dataclass(frozen=True)
class Pace:
    """How fast things go."""

    per_group: int
    resync: float
    backoff_first: float
    backoff_max: float


class Queue:
    """Keys wait here until a worker may take them. An object is never worked on twice at once."""

    def __init__(self, pace: Pace, group_of: Callable[[Key], str]) -> None:
        self._pace = pace
        self._group_of = group_of
        self._changed = threading.Condition()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._numbers = itertools.count()
        self._queued: set[Key] = set()
        self._waiting: dict[str, deque[Key]] = {}
        self._running: dict[Key, str] = {}
        self._busy: Counter[str] = Counter()
        self._again: set[Key] = set()
        self._failures: Counter[Key] = Counter()
        self._closed = False

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Look at the object after `delay`, or earlier if that is due already."""
        with self._changed:
            self._add(key, delay)

    def touch(self, key: Key) -> None:
        """The object has changed: look at once, and forget earlier failures."""
        with self._changed:
            del self._failures[key]
            if key in self._running:
                self._again.add(key)
            else:
                self._add(key, 0.0)

    def hasten(self, group: str) -> None:
        """Something got better for this group: whatever failed there is tried again now."""
        with self._changed:
            for key in [key for key in self._failures if self._group_of(key) == group]:
                if key in self._running:
                    self._again.add(key)
                else:
                    self._add(key, random.uniform(0, 0.2))  # noqa: S311

    def take(self) -> Key | None:
        """The next object; waits for one. None when the queue is closed."""
        with self._changed:
            while not self._closed:
                self._let_in(time.monotonic())
                for group, keys in list(self._waiting.items()):
                    if self._busy[group] < self._pace.per_group:
                        key = keys.popleft()
                        self._queued.discard(key)
                        del self._waiting[group]
                        if keys:
                            self._waiting[group] = keys  # at the end: every group gets its turn
                        self._running[key] = group
                        self._busy[group] += 1
                        return key
                self._changed.wait(self._until_next())
            return None

    def done(self, key: Key, *, failed: bool, patient: bool = False, ceiling: float | None = None) -> None:
        """The look at an object has ended; it comes again after the resync, or after a backoff."""
        with self._changed:
            self._end(key)
            if key in self._again:
                self._again.discard(key)
                self._add(key, 0.0)
            elif failed and not patient:
                self._failures[key] += 1
                self._add(key, self._backoff(self._failures[key], ceiling))
            else:
                self._failures[key] = 1 if failed else 0
                self._failures += Counter()
                self._add(key, self._pace.resync * random.uniform(0.9, 1.1))  # noqa: S311

    def forget(self, key: Key) -> None:
        """The object is gone."""
        with self._changed:
            if key in self._running:
                self._end(key)
            self._due.pop(key, None)
            del self._failures[key]
            if key in self._again:
                self._again.discard(key)
                self._add(key, 0.0)

    def close(self) -> None:
        """No more work."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _end(self, key: Key) -> None:
        self._busy[self._running.pop(key)] -= 1
        self._changed.notify_all()

    def _add(self, key: Key, delay: float) -> None:
        when = time.monotonic() + delay
        if key not in self._running and key not in self._queued and when < self._due.get(key, float("inf")):
            self._due[key] = when
            heapq.heappush(self._heap, (when, next(self._numbers), key))
            self._changed.notify()

    def _let_in(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when and key not in self._running:
                del self._due[key]
                self._queued.add(key)
                self._waiting.setdefault(self._group_of(key), deque()).append(key)

    def _until_next(self) -> float | None:
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def _backoff(self, failures: int, ceiling: float | None) -> float:
        longest = min(self._pace.backoff_max, ceiling or self._pace.backoff_max)
        wait = min(longest, self._pace.backoff_first * 2 ** min(failures - 1, 30))
        return float(wait * random.uniform(0.75, 1.25))  # noqa: S311
