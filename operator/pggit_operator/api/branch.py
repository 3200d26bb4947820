"""DatabaseBranch: a branch with a login of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from pggit_operator.api.common import (
    AGE,
    MESSAGE,
    READY,
    REASON,
    Column,
    CommitId,
    DatabaseRef,
    DeletionPolicy,
    Model,
    Object,
    ObjectName,
    Ref,
    RefName,
    Status,
    TableName,
    has_status,
    rules,
    settled,
)


class Materialize(StrEnum):
    """Which tables become real tables on the branch; the others are views that copy on write."""

    AUTO = "Auto"
    NONE = "None"
    ALL = "All"


class Role(StrEnum):
    """What the branch's login may do."""

    READ_WRITE = "ReadWrite"
    READ_ONLY = "ReadOnly"


class From(Model):
    """Where the branch begins. At most one; without any, at the default branch."""

    branch: RefName | None = Field(
        default=None, description="The newest state of this branch; its uncommitted changes are committed first."
    )
    tag: RefName | None = Field(default=None, description="The commit that this tag names; a tag, never a branch.")
    commit: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{4,64}$",
        max_length=64,
        description="A commit id, or at least four characters of one.",
    )

    @property
    def record(self) -> dict[str, str]:
        """The one that is given, by its kind."""
        return {kind: name for kind, name in vars(self).items() if name is not None}


class Access(Model):
    """The login that applications use on the branch."""

    secret_name: ObjectName | None = Field(
        default=None, description="Name of the Secret that is made; the object's own name if not given."
    )
    role: Role = Field(default=Role.READ_WRITE, description="What the login may do.")


class BranchSpec(Model):
    """What is asked for."""

    database_ref: DatabaseRef = Field(description="The database of the branch.")
    name: RefName | None = Field(
        default=None, description="Name of the branch in the database; the object's own name if not given."
    )
    from_: From | None = Field(
        default=None,
        alias="from",
        description="Where the branch begins; the default branch if not given.",
        json_schema_extra=rules(
            (
                "(has(self.branch) ? 1 : 0) + (has(self.tag) ? 1 : 0) + (has(self.commit) ? 1 : 0) == 1",
                "from needs exactly one of branch, tag or commit",
            )
        ),
    )
    materialize: Materialize = Field(
        default=Materialize.AUTO,
        description="Auto: real tables where they are small, else views that copy on write. None: views only, made at "
        "once whatever the size. All: real tables only.",
    )
    access: Access = Field(default_factory=Access, description="The branch's login and its Secret.")
    protected: bool = Field(
        default=False,
        description="Refuse to delete the branch, and to merge into it without an approved plan, until this is false.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="When this object is deleted: Retain keeps the branch and switches its login off; Delete deletes "
        "branch and login.",
    )
    suspend: bool = Field(
        default=False, description="Leave the branch alone until this is false again. Deletion still works."
    )


class BranchStatus(Status):
    """What is the case."""

    branch: Ref | None = Field(default=None, description="Name of the branch in the database.")
    head: CommitId | None = Field(default=None, description="Newest commit of the branch.")
    base_commit: CommitId | None = Field(default=None, description="The commit that the branch began at.")
    parent: Ref | None = Field(default=None, description="The branch that it came from.")
    secret_name: str | None = Field(
        default=None, max_length=253, description="Secret with the connection of the branch."
    )
    role_name: str | None = Field(default=None, max_length=63, description="PostgreSQL role of the branch.")
    schemas: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="PostgreSQL schemas that show the branch.",
        json_schema_extra={"items": {"type": "string", "maxLength": 63}, "x-kubernetes-list-type": "atomic"},
    )
    materialized: list[TableName] = Field(
        default_factory=list,
        max_length=1000,
        description="Tables that are real tables on the branch; the first 1000.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    materialized_count: int | None = Field(
        default=None, ge=0, description="Number of tables that are real tables on the branch."
    )


_NAME = "(has(self.spec.name) ? self.spec.name : self.metadata.name)"
_MADE = has_status("branch")


class DatabaseBranch(Object):
    """A branch of a VersionedDatabase, with a PostgreSQL role of its own and a Secret to connect by."""

    kind_name: ClassVar[str] = "DatabaseBranch"
    plural: ClassVar[str] = "databasebranches"
    short: ClassVar[str] = "dbb"
    object_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            f"{_NAME} != 'main'",
            "main is the live tables themselves and always there; choose another name for the branch",
        ),
        (f"size({_NAME}) <= 100", "the name of a branch has at most 100 characters; set spec.name"),
        settled(_MADE, "databaseRef", "the branch is made there already; make another DatabaseBranch"),
        settled(_MADE, "name", "applications know the branch by it; make another DatabaseBranch"),
        settled(_MADE, "from", "the branch has begun there already; make another DatabaseBranch"),
        settled(_MADE, "materialize", "it was decided when the branch was made; make another DatabaseBranch"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY,
        REASON,
        Column("Database", ".spec.databaseRef.name"),
        Column("Branch", ".status.branch"),
        Column("Secret", ".status.secretName"),
        AGE,
        Column("Head", ".status.head", priority=1),
        Column("Parent", ".status.parent", priority=1),
        Column("Tables made", ".status.materializedCount", type="integer", priority=1),
        MESSAGE,
    )

    spec: BranchSpec
    status: BranchStatus = Field(default_factory=BranchStatus)

    @property
    def made(self) -> bool:
        return self.status.branch is not None

    @property
    def branch_name(self) -> str:
        return self.spec.name or self.metadata.name

    @property
    def secret_name(self) -> str:
        return self.spec.access.secret_name or self.metadata.name
