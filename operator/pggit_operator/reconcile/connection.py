"""From an object to its database: the VersionedDatabase, its Secret, a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pggit_operator.api import Object, VersionedDatabase
from pggit_operator.api.common import DatabaseRef
from pggit_operator.errors import (
    DatabaseClaimed,
    DatabaseNotFound,
    DatabaseNotReady,
    PgGitError,
    SecretIncomplete,
    SecretInvalid,
    SecretNotFound,
)
from pggit_operator.kube.secrets import Holder
from pggit_operator.kube.seen import Key
from pggit_operator.pggit.call import Connection, installed, value
from pggit_operator.pggit.owner import Owner
from pggit_operator.pggit.pools import Target, parse_uri
from pggit_operator.pggit.schema import bundled_version, require_core
from pggit_operator.reconcile.world import World

SSL_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")


def database_of(world: World, obj: Object, ref: DatabaseRef) -> VersionedDatabase:
    """The VersionedDatabase that an object names."""
    namespace = obj.metadata.namespace
    key = Key(VersionedDatabase.plural, namespace, ref.name)
    body = world.seen.get(key) or world.objects.get(*key)
    if body is None:
        raise DatabaseNotFound(
            f"there is no VersionedDatabase {ref.name} in namespace {namespace}",
            f"Apply it again, or delete this {obj.kind_name}; what it made is still in the database."
            if obj.made
            else "Apply it, or correct spec.databaseRef.",
        )
    database = VersionedDatabase.model_validate(body)
    if database.metadata.deletion_timestamp:
        raise DatabaseNotReady(f"VersionedDatabase {ref.name} is being deleted", "Apply it again when it is gone.")
    if any(one.reason == DatabaseClaimed.__name__ for one in database.status.conditions):
        raise DatabaseNotReady(
            f"VersionedDatabase {ref.name} does not look after its database: another one does",
            f"See its status: kubectl describe vdb {ref.name}.",
        )
    if database.spec.suspend:
        raise DatabaseNotReady(f"VersionedDatabase {ref.name} is suspended", "Set its spec.suspend to false.")
    return database


@contextmanager
def connected(world: World, obj: Object, ref: DatabaseRef, *, patience: float) -> Iterator[tuple[Connection, Target]]:
    """A connection to the database that an object names, where the core is installed already."""
    database = database_of(world, obj, ref)
    target = target_of(world, database)
    with world.pools.connection(target, patience=patience) as conn:
        there = str(value(conn, "version")) if installed(conn) else None
        if there is not None:
            require_core(there, bundled_version())
        if there != bundled_version() or database.status.head is None:
            raise DatabaseNotReady(
                f"VersionedDatabase {ref.name} is not set up yet", f"See its status: kubectl describe vdb {ref.name}."
            )
        yield conn, target


def target_of(world: World, database: VersionedDatabase) -> Target:
    """Where a VersionedDatabase is, as its Secret says now."""
    meta, asked = database.metadata, database.spec.connection
    secret = world.secrets.get(meta.namespace, asked.secret_name)
    if secret is None:
        raise SecretNotFound(
            f"there is no Secret {asked.secret_name} in namespace {meta.namespace}",
            "Create it, or correct spec.connection.secretName.",
        )
    try:
        target = _target(database, secret.data)
    except PgGitError as error:
        error.message = f"the Secret {asked.secret_name} is not usable: {error.message}"
        raise
    world.targets.put(meta.namespace, meta.name, target)
    return target


def owner_of(world: World, obj: Object) -> Owner:
    """Who an object is in the databases."""
    meta = obj.metadata
    return Owner(world.settings.installation, meta.namespace, meta.name, meta.uid)


def holder_of(obj: Object, api_version: str) -> Holder:
    """Who an object is in Kubernetes."""
    return Holder(api_version, obj.kind_name, obj.metadata.name, obj.metadata.uid)


def _target(database: VersionedDatabase, data: Mapping[str, str]) -> Target:
    parts = {name: text.strip() for name, text in data.items() if text.strip()}
    if "uri" in parts:
        parts |= parse_uri(parts["uri"])
    if database.spec.database:
        parts["dbname"] = database.spec.database
    missing = [name for name in ("host", "dbname", "user", "password") if not parts.get(name)]
    if missing:
        raise SecretIncomplete(
            f"it lacks {', '.join(missing)}", "It needs the key uri, or host, port, dbname, user and password."
        )
    if parts["host"].startswith(("/", "@")) or "," in parts["host"]:
        raise SecretInvalid("host must be one host name or address, not a socket path and not a list", "Correct host.")
    return Target(
        host=parts["host"],
        port=_port(parts.get("port", "5432")),
        dbname=parts["dbname"],
        user=parts["user"],
        password=parts["password"],
        sslmode=_ssl_mode(database, parts),
        ca=parts.get("ca.crt"),
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise SecretInvalid("port is not a number from 1 to 65535", "Correct port.")
    return int(text)


def _ssl_mode(database: VersionedDatabase, parts: Mapping[str, Any]) -> str:
    asked = database.spec.connection.ssl_mode
    mode = asked.value if asked else parts.get("sslmode") or ("verify-full" if "ca.crt" in parts else "prefer")
    if mode not in SSL_MODES:
        raise SecretInvalid(f"sslmode is none of {', '.join(SSL_MODES)}", "Correct sslmode.")
    return str(mode)
