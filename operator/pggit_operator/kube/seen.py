"""The newest version of each object that the watches have shown."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

Body = dict[str, Any]


class Key(NamedTuple):
    """One object, whatever its version."""

    plural: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.plural}/{self.namespace}/{self.name}"


class Seen:
    """A memory of objects; safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: dict[Key, Body] = {}

    def put(self, key: Key, body: Body) -> Body | None:
        """Remember a version; what was there before. An older one than we know never replaces it."""
        with self._lock:
            before = self._bodies.get(key)
            if before is None or not _older(body, before):
                self._bodies[key] = body
            return before

    def drop(self, key: Key, uid: str) -> None:
        """Forget an object that is gone, unless another of its name is there by now."""
        with self._lock:
            there = self._bodies.get(key)
            if there is not None and there["metadata"]["uid"] == uid:
                del self._bodies[key]

    def get(self, key: Key) -> Body | None:
        with self._lock:
            return self._bodies.get(key)

    def __iter__(self) -> Iterator[tuple[Key, Body]]:
        with self._lock:
            return iter(list(self._bodies.items()))


def _older(a: Body, b: Body) -> bool:
    """Whether `a` is an earlier version of the same object as `b`."""
    one, two = a["metadata"], b["metadata"]
    try:
        return bool(one["uid"] == two["uid"] and int(one["resourceVersion"]) < int(two["resourceVersion"]))
    except ValueError:
        return False
