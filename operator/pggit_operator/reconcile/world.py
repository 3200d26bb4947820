"""What a decision may use."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from pggit_operator.api import VersionedDatabase
from pggit_operator.kube.events import Events
from pggit_operator.kube.objects import Objects
from pggit_operator.kube.secrets import Secrets
from pggit_operator.kube.seen import Key, Seen
from pggit_operator.pggit.pools import Pools, Target
from pggit_operator.settings import Settings


@dataclass
class Targets:
    """Where each VersionedDatabase was when we last knew: enough to clean up after it is gone."""

    _known: dict[tuple[str, str], Target] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, namespace: str, name: str, target: Target) -> None:
        with self._lock:
            self._known[namespace, name] = target

    def get(self, namespace: str, name: str) -> Target | None:
        with self._lock:
            return self._known.get((namespace, name))


@dataclass(frozen=True)
class World:
    """The outside, as decisions see it."""

    settings: Settings
    objects: Objects
    secrets: Secrets
    events: Events
    seen: Seen
    pools: Pools
    targets: Targets = field(default_factory=Targets)

    def group_of(self, key: Key) -> str:
        """What an object's work is limited by: its PostgreSQL server, or its database while that is unknown."""
        name = self.database_of(key).name
        target = self.targets.get(key.namespace, name)
        return target.instance if target else f"{key.namespace}/{name}"

    def dependents(self, database: Key) -> list[Key]:
        """The objects that name this one; only a VersionedDatabase is named by others."""
        if database.plural != VersionedDatabase.plural:
            return []
        return [key for key, _ in self.seen if key != database and self.database_of(key) == database]

    def database_of(self, key: Key) -> Key:
        """The VersionedDatabase that an object belongs to; of one itself, it."""
        if key.plural == VersionedDatabase.plural:
            return key
        body = self.seen.get(key) or {}
        name = body.get("spec", {}).get("databaseRef", {}).get("name", "")
        return Key(VersionedDatabase.plural, key.namespace, name)
