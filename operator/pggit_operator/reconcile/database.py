"""VersionedDatabase: install the core, track the schemas, make the first commit, say what is the case."""

from __future__ import annotations

import datetime
import re

from pggit_operator.api import DatabaseBranch, VersionedDatabase
from pggit_operator.api.database import DatabaseStatus
from pggit_operator.errors import DatabaseClaimed, PermissionDenied
from pggit_operator.kube.seen import Key
from pggit_operator.pggit.branch import MAIN, Held, held_branches, retire_branch
from pggit_operator.pggit.call import Connection, transaction
from pggit_operator.pggit.commit import commit
from pggit_operator.pggit.database import (
    Drift,
    UnsupportedTable,
    claim_database,
    main_branch,
    schema_drift,
    tick,
    track_schema,
    tracked_tables,
    unsupported_tables,
    untrack_table,
)
from pggit_operator.pggit.owner import Owner
from pggit_operator.pggit.schema import ensure_core
from pggit_operator.reconcile.connection import owner_of, target_of
from pggit_operator.reconcile.verdict import Body, Finding, Verdict, ready, ready_of, suspended
from pggit_operator.reconcile.world import World

#: Tables that a message names.
_NAMED = 20


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
        _claim(world, database, conn)
        with transaction(conn, timeout=limit):
            left_out = _track(conn, database)
            main, branches = main_branch(conn)
            head = main.head or commit(conn, message="first commit", branch=MAIN)
            tables = len(tracked_tables(conn))
        with transaction(conn, timeout=limit):
            tick(conn)
            drift = schema_drift(conn)
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
    said = f"{tables} tables of {target.dbname} are under version control"
    return ready("UnderVersionControl", said + _without(left_out), facts, _drifted(drift))


def _drifted(drift: list[Drift]) -> Finding:
    """What of the schema changed past branches and migrations, and by whom."""
    if not drift:
        return Finding("Drifted", False, "AsAccepted", "the schema has no change that nobody answers for")
    named = "; ".join(_change(one) for one in drift[:_NAMED])
    more = f"; and {len(drift) - _NAMED} more" if len(drift) > _NAMED else ""
    way_out = "SELECT * FROM pggit.schema_drift() shows the statements; pggit.accept_drift() accepts them"
    return Finding("Drifted", True, "Drifted", f"{named}{more}. {way_out}")


def _change(one: Drift) -> str:
    who = f" by {one.changed_by}" if one.changed_by else ""
    when = f" at {one.changed_at.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}" if one.changed_at else ""
    return f"{one.change} {one.object_kind} {one.object_name}{who}{when}"


def _claim(world: World, database: VersionedDatabase, conn: Connection) -> None:
    """Look after the database, unless another VersionedDatabase does that is still there."""
    me = owner_of(world, database)
    holder = claim_database(conn, owner=me)
    if holder != me and not _is_there(world, holder):
        holder = claim_database(conn, owner=me, instead_of=holder.uid)
    if holder != me:
        raise DatabaseClaimed(
            f"VersionedDatabase {holder.namespace}/{holder.name} looks after this database already",
            "Delete one of the two, or connect this one to another database.",
        )


def _is_there(world: World, holder: Owner) -> bool:
    try:
        body = world.objects.get(VersionedDatabase.plural, holder.namespace, holder.name)
    except PermissionDenied:  # a namespace that another operator serves
        return True
    return body is not None and body["metadata"]["uid"] == holder.uid


def _switch_off_orphans(world: World, database: VersionedDatabase, conn: Connection) -> None:
    """Logins whose DatabaseBranch went without us noticing: nobody gets in by them any more, the branches stay."""
    namespace = database.metadata.namespace
    for held in held_branches(conn):
        if (held.installation, held.namespace, held.login_enabled) != (world.settings.installation, namespace, True):
            continue
        key = Key(DatabaseBranch.plural, namespace, held.owner_name)
        body = world.seen.get(key) or world.objects.get(*key)
        if body is None or _is_ready_elsewhere(body, database, held):
            retire_branch(conn, name=held.name, owner=Owner(held.installation, namespace, held.owner_name, held.uid))


def _is_ready_elsewhere(body: Body, database: VersionedDatabase, held: Held) -> bool:
    """Whether the object's branch is another by now: its reference was corrected at the very moment this was made."""
    branch = DatabaseBranch.model_validate(body)
    here = (branch.spec.database_ref.name, branch.branch_name) == (database.metadata.name, held.name)
    return not here and ready_of(body.get("status") or {})[0] == "True"


def _track(conn: Connection, database: VersionedDatabase) -> list[UnsupportedTable]:
    """The tables of the tracked schemas, later ones too, without those excluded; those that cannot be tracked."""
    excluded = [_names(table) for table in database.spec.exclude_tables]
    left_out = []
    for schema in database.spec.tracked_schemas:
        names = {names[-1] for names in excluded if names[:-1] in ([], [schema])}
        unsupported = [table for table in unsupported_tables(conn, schema) if table.table_name not in names]
        track_schema(conn, schema, sorted(names | {table.table_name for table in unsupported}))
        left_out += [table for table in unsupported if not table.is_tracked]
    for table in tracked_tables(conn) if excluded else ():
        there = _names(table)
        if there in excluded or there[-1:] in excluded:
            untrack_table(conn, table)
    return left_out


def _without(left_out: list[UnsupportedTable]) -> str:
    """What of the schemas has no history, and the way out."""
    if not left_out:
        return ""
    named = ", ".join(f"{table.shown_as} ({table.reason})" for table in left_out[:_NAMED])
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return f"; left out, without history: {named}{more}. Change them, or name them in spec.excludeTables"


def _names(table: str) -> list[str]:
    """The parts of a table's name as in SQL: `schema.table`, `table`, either in double quotes."""
    parts = re.findall(r'"(?:[^"]|"")*"|[^."]+', table)
    return [part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in parts]
