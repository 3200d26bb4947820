"""Snapshot: a tag that stays."""

from __future__ import annotations

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
    Ref,
    RefName,
    Status,
    Text,
    has_status,
    settled,
)


class SnapshotSpec(Model):
    """What is asked for."""

    database_ref: DatabaseRef = Field(description="The database of the snapshot.")
    branch: RefName = Field(
        default="main", description="The branch whose state is kept; its uncommitted changes are committed first."
    )
    tag: RefName | None = Field(default=None, description="Name of the tag; the object's own name if not given.")
    message: Text | None = Field(default=None, description="Message of the tag, and of the commit if one is made.")
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="When this object is deleted: Retain keeps the tag; Delete deletes it.",
    )
    suspend: bool = Field(
        default=False, description="Leave the snapshot alone until this is false again. Deletion still works."
    )


class SnapshotStatus(Status):
    """What is the case."""

    tag: Ref | None = Field(default=None, description="Name of the tag; readable with pggit.as_of.")
    commit: CommitId | None = Field(default=None, description="The commit that the tag names.")
    state_digest: str | None = Field(
        default=None, max_length=128, description="Digest of every row at that commit; equal states have equal digests."
    )


_TAKEN = has_status("commit")


class Snapshot(Object):
    """The state of a branch at one moment, kept under a name."""

    kind_name: ClassVar[str] = "Snapshot"
    plural: ClassVar[str] = "snapshots"
    short: ClassVar[str] = "dbsnap"
    object_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        settled(_TAKEN, "databaseRef", "a snapshot is taken once; make another Snapshot"),
        settled(_TAKEN, "branch", "a snapshot is taken once; make another Snapshot"),
        settled(_TAKEN, "tag", "a snapshot is taken once; make another Snapshot"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY,
        REASON,
        Column("Database", ".spec.databaseRef.name"),
        Column("Branch", ".spec.branch"),
        Column("Tag", ".status.tag"),
        AGE,
        Column("Commit", ".status.commit", priority=1),
        MESSAGE,
    )

    spec: SnapshotSpec
    status: SnapshotStatus = Field(default_factory=SnapshotStatus)

    @property
    def made(self) -> bool:
        return self.status.commit is not None

    @property
    def tag_name(self) -> str:
        return self.spec.tag or self.metadata.name
