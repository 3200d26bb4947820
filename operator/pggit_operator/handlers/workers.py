"""Threads that take objects from the queue, one decision at a time."""

from __future__ import annotations

import logging
import threading

from pggit_operator.api import VersionedDatabase
from pggit_operator.errors import PgGitError
from pggit_operator.handlers.queue import Queue
from pggit_operator.kube.seen import Key
from pggit_operator.reconcile.step import After, step
from pggit_operator.reconcile.world import World

log = logging.getLogger("pggit.workers")
#: Longest wait after "busy, try again", in seconds.
_SOON = 5.0


class Workers:
    """A bounded number of threads; they end when the queue is closed."""

    def __init__(self, world: World, queue: Queue) -> None:
        self._world = world
        self._queue = queue
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(world.settings.workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether all threads are there."""
        return all(thread.is_alive() for thread in self._threads)

    def join(self, seconds: float) -> None:
        """Wait for what is being done, but not for ever."""
        for thread in self._threads:
            thread.join(seconds / len(self._threads))

    def _work(self) -> None:
        while (key := self._queue.take()) is not None:
            group, database = self._world.group_of(key), self._world.database_of(key)
            try:
                after = step(self._world, key)
            except PgGitError as error:
                log.warning("%s: %s", key, error)
                after = After(failed=True)
            except Exception:
                log.exception("looking at %s failed", key)
                after = After(failed=True)
            self._settle(key, group, after)
            if key != database and database.name and (after.became_ready or after.gone):
                self._queue.touch(database)  # its status counts branches and names the newest commit

    def _settle(self, key: Key, group: str, after: After) -> None:
        if after.gone:
            self._queue.forget(key)
            for dependent in self._world.dependents(key):
                self._queue.touch(dependent)
            return
        often = key.plural == VersionedDatabase.plural or self._is_leaving(key)
        ceiling = self._world.settings.resync if often else None
        self._queue.done(
            key,
            failed=after.failed,
            patient=after.patient,
            ceiling=min(_SOON, ceiling or _SOON) if after.urgent else ceiling,
        )
        if after.became_ready:
            for name in {group, self._world.group_of(key)}:
                self._queue.hasten(name)

    def _is_leaving(self, key: Key) -> bool:
        """Whether somebody waits for the object to go: its namespace, perhaps, with everything in it."""
        body = self._world.seen.get(key)
        return body is not None and "deletionTimestamp" in body["metadata"]
