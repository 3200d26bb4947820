"""VersionedDatabase: one PostgreSQL database under version control."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from pggit_operator.api.common import (
    AGE,
    MESSAGE,
    READY,
    REASON,
    Column,
    CommitId,
    Count,
    Identifier,
    Model,
    Object,
    ObjectName,
    Ref,
    Status,
    TableName,
    has_status,
    rules,
    settled,
)


class Preset(StrEnum):
    """Which keys the Secret has."""

    GENERIC = "Generic"


class SslMode(StrEnum):
    """How the connection is protected, in libpq's words."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class ConflictValues(StrEnum):
    """Whether a Merge's status shows row data."""

    HIDE = "Hide"
    SHOW = "Show"


class Connection(Model):
    """A Secret of the same namespace that says where PostgreSQL is and who we are there."""

    secret_name: ObjectName = Field(
        description="Name of a Secret in the same namespace with the key `uri`, or with the keys `host`, `port`, "
        "`dbname`, `user` and `password`; also read when there: `sslmode`, and `ca.crt` (then sslmode is verify-full).",
    )
    preset: Preset = Field(
        default=Preset.GENERIC, description="Which keys the Secret has. Generic: those named at secretName."
    )
    ssl_mode: SslMode | None = Field(
        default=None,
        description="How the connection is protected; wins over the Secret. Without both: verify-full with a CA, "
        "else prefer.",
    )


class PolicyApproval(StrEnum):
    """What every Merge into a target needs."""

    REQUIRED = "Required"


class MergePolicy(Model):
    """What every Merge into some branches has to keep to; a Merge can only be stricter."""

    target: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Branches that it is for; * stands for any characters."
    )
    approval: PolicyApproval = Field(description="Required: as if each of these Merges said approval: Required.")


SchemaName = Annotated[
    Identifier,
    Field(
        json_schema_extra=rules(
            (
                "!self.startsWith('pg_') && self != 'information_schema' && self != 'pggit' && !self.contains('@')",
                "only schemas with your own tables can be tracked: not pg_*, information_schema, pggit or a branch's",
            )
        )
    ),
]


class DatabaseSpec(Model):
    """What is asked for."""

    connection: Connection = Field(description="Where PostgreSQL is.")
    database: Identifier | None = Field(
        default=None, description="Name of the database, if the Secret's is not the one."
    )
    tracked_schemas: list[SchemaName] = Field(
        default=["public"],
        min_length=1,
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Schemas whose tables are under version control, later tables too.",
    )
    exclude_tables: list[TableName] = Field(
        default_factory=list,
        max_length=256,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="Tables of these schemas that are left out. A table that was tracked before keeps its history.",
    )
    conflict_values: ConflictValues = Field(
        default=ConflictValues.HIDE,
        description="Show: the status of a Merge holds the three values of each conflict, so row data goes into the "
        "Kubernetes API.",
    )
    merge_policies: list[MergePolicy] = Field(
        default_factory=list,
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="What Merges have to keep to, by target. Without: what each says itself.",
    )
    suspend: bool = Field(default=False, description="Leave the database alone until this is false again.")


class DatabaseStatus(Status):
    """What is the case."""

    core_version: str | None = Field(
        default=None, max_length=64, description="Version of the SQL core in the database."
    )
    server_version: str | None = Field(default=None, max_length=64, description="Version of PostgreSQL.")
    database: str | None = Field(default=None, max_length=63, description="Name of the database.")
    endpoint: str | None = Field(default=None, max_length=300, description="Host and port of PostgreSQL.")
    default_branch: Ref | None = Field(default=None, description="The branch that the live tables are.")
    head: CommitId | None = Field(default=None, description="Newest commit of the default branch.")
    tracked_tables: Count | None = Field(default=None, description="Number of tables under version control.")
    branches: Count | None = Field(default=None, description="Number of branches, the default branch included.")


class VersionedDatabase(Object):
    """One PostgreSQL database under version control: the SQL core is installed, its tables are tracked."""

    kind_name: ClassVar[str] = "VersionedDatabase"
    plural: ClassVar[str] = "versioneddatabases"
    short: ClassVar[str] = "vdb"
    object_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        settled(
            has_status("head"),
            "database",
            "branches and merges belong to one database; make another VersionedDatabase",
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY,
        REASON,
        Column("Tables", ".status.trackedTables", type="integer"),
        Column("Branches", ".status.branches", type="integer"),
        AGE,
        Column("Drifted", '.status.conditions[?(@.type=="Drifted")].status', priority=1),
        Column("Head", ".status.head", priority=1),
        Column("Endpoint", ".status.endpoint", priority=1),
        Column("Server", ".status.serverVersion", priority=1),
        Column("Core", ".status.coreVersion", priority=1),
        MESSAGE,
    )

    spec: DatabaseSpec
    status: DatabaseStatus = Field(default_factory=DatabaseStatus)
