"""Merge: a merge request that runs once."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from pggit_operator.api.common import (
    AGE,
    MESSAGE,
    READY,
    REASON,
    Column,
    CommitId,
    Count,
    DatabaseRef,
    Identifier,
    Model,
    Object,
    ObjectName,
    RefName,
    Status,
    TableName,
    Text,
    UserName,
    Value,
    has_status,
    rules,
    settled,
)

#: Column name → value in text form.
Key = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1024)]],
    Field(min_length=1, max_length=32),
]


class OnConflict(StrEnum):
    """What to do with cells that both sides changed."""

    STOP = "Stop"
    OURS = "Ours"
    THEIRS = "Theirs"


class FastForward(StrEnum):
    """Whether the target may simply move to the source where it has not changed."""

    AUTO = "Auto"
    NEVER = "Never"
    ONLY = "Only"


class Validation(StrEnum):
    """When constraints that come to main are validated."""

    NOW = "Now"
    LATER = "Later"


class Approval(StrEnum):
    """Whether somebody has to approve the plan before it is carried out."""

    NONE = "None"
    REQUIRED = "Required"


class RuleName(StrEnum):
    """How a cell is decided that both sides changed."""

    OURS = "Ours"
    THEIRS = "Theirs"
    BASE = "Base"
    MAX = "Max"
    MIN = "Min"
    SUM = "Sum"
    NEWEST = "Newest"
    UNION = "Union"
    CONCAT = "Concat"
    DIFF3 = "Diff3"
    NON_NULL = "NonNull"
    RENUMBER = "Renumber"


class Take(StrEnum):
    """Which value a conflict gets."""

    OURS = "Ours"
    THEIRS = "Theirs"
    BASE = "Base"
    VALUE = "Value"


class Resolution(Model):
    """Decides one conflict, or all conflicts of a row, a column or a table."""

    conflict_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Id of the conflict: an `id` of status.conflicts.items, which lists the first 50. A conflict that "
        "is not listed is named by table, key and column.",
    )
    table: TableName | None = Field(
        default=None, description="Table of the conflict; with key and column one cell, without them more."
    )
    key: Key | None = Field(default=None, description="Key of the row: column name → value in text form.")
    column: Identifier | None = Field(default=None, description="Column of the conflict.")
    take: Take = Field(
        description="Ours is the target's value, Theirs the source's, Base the common ancestor's; Value is given here."
    )
    value: Value | None = Field(
        default=None,
        description="With take Value: the value in PostgreSQL's text form, JSON text for jsonb; for a whole row a "
        "JSON object.",
    )
    value_is_null: bool | None = Field(default=None, description="With take Value: the value is NULL.")


ResolutionItem = Annotated[
    Resolution,
    Field(
        json_schema_extra=rules(
            (
                "has(self.conflictId) != has(self.table)",
                "a resolution needs either conflictId or table (with key and column for one cell)",
            ),
            (
                "has(self.table) || (!has(self.key) && !has(self.column))",
                "key and column belong to table; conflictId stands alone",
            ),
            (
                "self.take == 'Value' ? (has(self.value) != (has(self.valueIsNull) && self.valueIsNull)) : "
                "(!has(self.value) && !(has(self.valueIsNull) && self.valueIsNull))",
                "take: Value needs exactly one of value and valueIsNull: true; Ours, Theirs and Base need neither",
            ),
        )
    ),
]


#: A name in which * stands for any characters.
Pattern = Annotated[str, Field(min_length=1, max_length=260)]
#: A plan's hash, as pggit shows it.
PlanHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$", max_length=64)]


class Rule(Model):
    """Decides cells that both sides changed, before they become conflicts."""

    table: Pattern | None = Field(
        default=None, description="Tables that it is for, with or without schema; * stands for any characters. All."
    )
    column: Pattern | None = Field(
        default=None, description="Columns that it is for; * stands for any characters. All that the rule can be for."
    )
    rule: RuleName = Field(
        description="Ours, Theirs or Base: that side's value. Max, Min: the larger or smaller of both. Sum: both "
        "changes of a number. Newest: the side whose column `by` is later. Union: the elements of both arrays. Concat: "
        "what both added to a text. Diff3: both changes of a text by line. NonNull: the value beside NULL. Renumber, "
        "for a column of the key that has a sequence: of two new rows with one key the branch's gets a new one."
    )
    by: Identifier | None = Field(default=None, description="With rule Newest: the column that says which is newer.")


RuleItem = Annotated[
    Rule,
    Field(
        json_schema_extra=rules(
            ("(self.rule == 'Newest') == has(self.by)", "rule: Newest needs by, and no other rule takes it"),
        )
    ),
]


class Check(Model):
    """A query that must be true on the merged rows."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="What it is about: the status names it where it does not hold."
    )
    sql: Annotated[str, StringConstraints(min_length=1, max_length=8192)] = Field(
        description="A query of one boolean, such as `SELECT bool_and(pieces >= 0) FROM stock`. It sees the target as "
        "it will be, read only, and may read nothing but the target."
    )


class Fill(Model):
    """What a column holds in rows that the source has never seen, where the source filled it itself."""

    table: TableName = Field(description="Table of the column.")
    column: Identifier = Field(description="The column that the source added or gave another type.")
    value: Value | None = Field(default=None, description="The value in PostgreSQL's text form.")
    value_is_null: bool | None = Field(default=None, description="The value is NULL.")
    from_column: Identifier | None = Field(
        default=None, description="The value of this column of the same row, converted to the column's type."
    )


FillItem = Annotated[
    Fill,
    Field(
        json_schema_extra=rules(
            (
                "(has(self.value) ? 1 : 0) + (has(self.valueIsNull) && self.valueIsNull ? 1 : 0) + "
                "(has(self.fromColumn) ? 1 : 0) == 1",
                "a fill needs exactly one of value, valueIsNull: true and fromColumn",
            ),
        )
    ),
]


class MergeSpec(Model):
    """What is asked for."""

    database_ref: DatabaseRef = Field(description="The database of both branches.")
    source: RefName | None = Field(default=None, description="The branch whose changes are taken (theirs).")
    revert_of: ObjectName | None = Field(
        default=None,
        description="Instead of a source: the name of a Merge in the same namespace. What it brought into the target "
        "is undone, as a new commit; what was changed since stays. Waited for until that Merge has merged.",
    )
    target: RefName = Field(default="main", description="The branch that receives them (ours).")
    message: Text | None = Field(default=None, description="Message of the merge commit.")
    on_conflict: OnConflict = Field(
        default=OnConflict.STOP,
        description="Stop: wait for resolutions. Ours or Theirs: that side wins wherever both changed the same.",
    )
    resolutions: list[ResolutionItem] = Field(
        default_factory=list,
        max_length=1000,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="How conflicts are decided. Of several that mean one conflict the closest decides, whatever their "
        "order: its conflictId, then table, key and column, then less of these; two as close that do not agree are "
        "refused. Editing them lets a waiting merge go on.",
    )
    fast_forward: FastForward = Field(
        default=FastForward.AUTO,
        description="Auto: no merge commit where the target did not change since. Never: always a merge commit. "
        "Only: refuse where one is needed.",
    )
    squash: bool = Field(
        default=False, description="The target gets one commit that has the changes, and not the source's history."
    )
    rules: list[RuleItem] = Field(
        default_factory=list,
        max_length=100,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="How cells are decided that both sides changed, before they become conflicts; the first that fits "
        "and can decide does. They come before the rules that the database keeps (pggit.merge_rules).",
    )
    fill: list[FillItem] = Field(
        default_factory=list,
        max_length=100,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="What the columns of conflicts of kind needs_fill hold in the target's new and changed rows: the "
        "source added or converted them, and filled them in its own rows. Expressions are for pggit.merge in SQL: a "
        "Merge brings no code.",
    )
    checks: list[Check] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description="What must hold on the merged rows, before anybody can see them; if one does not, the merge is "
        "refused. The database's login needs CREATEROLE: each runs as a role that is there only meanwhile.",
    )
    validation: Validation = Field(
        default=Validation.NOW,
        description="When checks and foreign keys that come to main are validated. Now: in the merge, which keeps "
        "writers of their tables waiting meanwhile. Later: they bind new rows at once, and when the merge is done the "
        "operator validates them, one after the other, while others read and write; status.validation and the "
        "condition Unvalidated say how far it is.",
    )
    approval: Approval = Field(
        default=Approval.NONE,
        description="Required: nothing is written before approvedPlan names the plan that status.plan shows.",
    )
    approved_plan: PlanHash | None = Field(
        default=None,
        description="With approval: Required. The status.plan.hash that is approved. A merge with other effects than "
        "those waits again.",
    )
    approved_by: UserName | None = Field(
        default=None,
        description="Who approved: the name by which the API server knows whoever sets approvedPlan. Where the "
        "chart's admission policy is not installed, anybody may write any name here, and the status says unverified.",
    )
    delete_source_branch: bool = Field(
        default=False,
        description="Delete the source in the database when it has been merged, once. It stays while it is protected "
        "or used, while a DatabaseBranch holds it or another Merge waits for it, and when it has changed since; "
        "status.sourceBranch says why.",
    )
    dry_run: bool = Field(default=False, description="Show the plan and change nothing.")
    suspend: bool = Field(default=False, description="Do not begin or go on until this is false again.")


class TablePlan(Model):
    """What a merge changes in one table."""

    table: TableName = Field(description="The table.")
    inserted: Count = Field(description="Rows inserted.")
    updated: Count = Field(description="Rows updated.")
    deleted: Count = Field(description="Rows deleted.")


class Plan(Model):
    """What a merge changes in the target."""

    hash: str | None = Field(
        default=None, max_length=128, description="Equal for equal effects on the same target: what is approved."
    )
    inserted: Count = Field(default=0, description="Rows inserted.")
    updated: Count = Field(default=0, description="Rows updated.")
    deleted: Count = Field(default=0, description="Rows deleted.")
    tables: list[TablePlan] = Field(
        default_factory=list,
        max_length=200,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="The same per table; the first 200.",
    )
    ddl: list[Annotated[str, StringConstraints(max_length=4096)]] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Statements that change the target's schema, in their order; the first 50, long ones cut.",
    )
    statements: Count = Field(default=0, description="Number of statements that change the target's schema.")


class Conflict(Model):
    """One cell or row that both sides changed differently."""

    id: str = Field(max_length=128, description="Stable id: the same states give the same id.")
    kind: str = Field(
        max_length=64,
        description="update_update, update_delete, delete_update or insert_insert; of a column also rename and "
        "needs_fill.",
    )
    table: TableName = Field(description="The table.")
    key: Key | None = Field(
        default=None,
        description="Key of the row: column name → value in text form. None: a definition is in conflict, of the "
        "column or other object that table names.",
    )
    column: Identifier | None = Field(default=None, description="The column; none where whole rows are in conflict.")
    base: Value | None = Field(
        default=None, description="Value of the common ancestor; only with conflictValues: Show. None: NULL or no row."
    )
    ours: Value | None = Field(
        default=None, description="Value of the target; only with conflictValues: Show. None: NULL or no row."
    )
    theirs: Value | None = Field(
        default=None, description="Value of the source; only with conflictValues: Show. None: NULL or no row."
    )
    resolution: str | None = Field(
        default=None, max_length=16, description="How it was decided: ours, theirs, base or value."
    )


class Conflicts(Model):
    """What waits for a decision."""

    count: Count = Field(description="Number of conflicts.")
    open: Count = Field(description="Number of conflicts without a resolution.")
    items: list[Conflict] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="The first 50.",
    )


class Violation(Model):
    """A constraint that the merged rows would break."""

    constraint: str = Field(max_length=128, description="Name of the constraint.")
    kind: str = Field(max_length=64, description="not_null, check, unique, foreign_key, …")
    table: TableName = Field(description="The table.")
    key: Key = Field(description="Key of the row: column name → value in text form.")
    side: str | None = Field(default=None, max_length=32, description="Where the row comes from.")


class Violations(Model):
    """Why a merge was refused."""

    count: Count = Field(description="Number of violations.")
    items: list[Violation] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="The first 50.",
    )


class Validated(Model):
    """What became of constraints that are validated after the merge."""

    done: Count = Field(description="Constraints that are valid.")
    open: Count = Field(description="Constraints that bind new rows only, so far.")
    message: str = Field(max_length=4096, description="The same in words, with the reason where one is not valid.")


class SourceBranch(Model):
    """What became of a source that is to be deleted."""

    deleted: bool = Field(description="Whether the branch is gone.")
    message: str = Field(max_length=4096, description="The same in words, with the reason where it stays.")


class MergeStatus(Status):
    """What is the case."""

    result: str | None = Field(
        default=None,
        max_length=32,
        description="Planned, Merged, FastForward, UpToDate, Conflicted, Refused or Aborted.",
    )
    merge_id: str | None = Field(default=None, max_length=36, description="Id of the merge in pggit.merge_conflicts.")
    merge_commit: CommitId | None = Field(default=None, description="The commit that holds the result.")
    base_commit: CommitId | None = Field(default=None, description="The common ancestor.")
    ours_commit: CommitId | None = Field(default=None, description="The target's commit that was merged into.")
    theirs_commit: CommitId | None = Field(default=None, description="The source's commit that was merged.")
    plan: Plan | None = Field(default=None, description="What changes in the target.")
    conflicts: Conflicts | None = Field(default=None, description="What both sides changed differently.")
    violations: Violations | None = Field(default=None, description="Constraints that the merged rows would break.")
    validation: Validated | None = Field(default=None, description="Only with validation: Later.")
    approved_by: str | None = Field(
        default=None,
        max_length=300,
        description="Who approved what was merged; `(unverified)` where no admission policy vouches for the name.",
    )
    source_branch: SourceBranch | None = Field(default=None, description="Only with deleteSourceBranch.")


_RAN = f"{has_status('result')} && oldSelf.status.result != 'Planned'"


class Merge(Object):
    """Merges a branch into another, once."""

    kind_name: ClassVar[str] = "Merge"
    plural: ClassVar[str] = "merges"
    short: ClassVar[str] = "dbm"
    object_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        settled(_RAN, "databaseRef", "a Merge runs once; make another Merge"),
        settled(_RAN, "source", "a Merge runs once; make another Merge"),
        settled(_RAN, "target", "a Merge runs once; make another Merge"),
        settled(_RAN, "revertOf", "a Merge runs once; make another Merge"),
        (
            "!has(self.spec.revertOf) || self.spec.revertOf != self.metadata.name",
            "revertOf is another Merge, not this one",
        ),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY,
        REASON,
        Column("Source", ".spec.source"),
        Column("Target", ".spec.target"),
        Column("Conflicts", ".status.conflicts.open", type="integer"),
        AGE,
        Column("Database", ".spec.databaseRef.name", priority=1),
        Column("Reverts", ".spec.revertOf", priority=1),
        Column("Plan", ".status.plan.hash", priority=1),
        Column("Commit", ".status.mergeCommit", priority=1),
        MESSAGE,
    )

    spec: MergeSpec = Field(
        json_schema_extra=rules(
            ("has(self.source) != has(self.revertOf)", "a Merge needs either source or revertOf"),
            ("!has(self.source) || self.source != self.target", "source and target are the same branch"),
            (
                "!has(self.revertOf) || (!self.squash && !self.deleteSourceBranch && self.fastForward == 'Auto' && "
                "!has(self.fill))",
                "squash, fastForward, fill and deleteSourceBranch belong to source, not to revertOf",
            ),
            (
                "!self.squash || self.fastForward != 'Only'",
                "squash makes a commit of its own, so fastForward cannot be Only",
            ),
            (
                "!has(self.approvedPlan) || self.approval == 'Required'",
                "approvedPlan has a meaning only with approval: Required",
            ),
            ("!has(self.approvedBy) || has(self.approvedPlan)", "approvedBy says who set approvedPlan"),
        )
    )
    status: MergeStatus = Field(default_factory=MergeStatus)

    @property
    def made(self) -> bool:
        return self.status.result not in (None, "Planned")
