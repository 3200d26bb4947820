"""VersionedDatabase: install the core, track the schemas, make the first commit, say what is the case."""

from __future__ import annotations

import re

from pggit_operator.api import DatabaseBranch, VersionedDatabase
from pggit_operator.api.database import DatabaseStatus
from pggit_operator.kube.seen import Key
from pggit_operator.pggit.branch import MAIN, held_branches, retire_branch
from pggit_operator.pggit.call import Connection, transaction
from pggit_operator.pggit.commit import commit
from pggit_operator.pggit.database import main_branch, track_schema, tracked_tables, untrack_table
from pggit_operator.pggit.owner import Owner
from pggit_operator.pggit.schema import ensure_core
from pggit_operator.reconcile.connection import target_of
from pggit_operator.reconcile.verdict import Verdict, ready, suspended
from pggit_operator.reconcile.world import World


def decide(world: World, database: VersionedDatabase) -> Verdict | None:
    """Put the database under version control, and say what is there."""
    if database.metadata.deletion_timestamp:
        return None
    if database.spec.suspend:
        return suspended()
    target = target_of(world, database)
    limit = world.settings.long_timeout
    with world.pools.connection(target, patience=limit) as conn:
        core = ensure_core(conn, timeout=limit)
        with transaction(conn, timeout=limit):
            _track(conn, database)
            main, branches = main_branch(conn)
            head = main.head or commit(conn, message="first commit", branch=MAIN)
            tables = len(tracked_tables(conn))
        _switch_off_orphans(world, database, conn)
    facts = DatabaseStatus(
        core_version=core.core_version,
        server_version=core.server_version,
        database=target.dbname,
        endpoint=target.instance,
        default_branch=MAIN,
        head=head,
        tracked_tables=tables,
        branches=branches,
    )
    return ready("UnderVersionControl", f"{tables} tables of {target.dbname} are under version control", facts)


def _switch_off_orphans(world: World, database: VersionedDatabase, conn: Connection) -> None:
    """Logins whose DatabaseBranch went without us noticing: nobody gets in by them any more, the branches stay."""
    namespace = database.metadata.namespace
    for held in held_branches(conn):
        if (held.installation, held.namespace, held.login_enabled) != (world.settings.installation, namespace, True):
            continue
        key = Key(DatabaseBranch.plural, namespace, held.owner_name)
        if world.seen.get(key) is None and world.objects.get(*key) is None:
            retire_branch(conn, name=held.name, owner=Owner(held.installation, namespace, held.owner_name, held.uid))


def _track(conn: Connection, database: VersionedDatabase) -> None:
    """The tables of the tracked schemas, later ones too, without those excluded."""
    excluded = [_names(table) for table in database.spec.exclude_tables]
    for schema in database.spec.tracked_schemas:
        track_schema(conn, schema, [names[-1] for names in excluded if names[:-1] in ([], [schema])])
    for table in tracked_tables(conn) if excluded else ():
        there = _names(table)
        if there in excluded or there[-1:] in excluded:
            untrack_table(conn, table)


def _names(table: str) -> list[str]:
    """The parts of a table's name as in SQL: `schema.table`, `table`, either in double quotes."""
    parts = re.findall(r'"(?:[^"]|"")*"|[^."]+', table)
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in parts]
