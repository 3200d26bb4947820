"""What all kinds share: metadata, conditions, references, and how a model describes itself to Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "pggit.io"
VERSION = "v1alpha1"


class Model(BaseModel):
    """Read leniently (a newer CRD may know more), written in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules, each with the sentence that a person reads when it fails."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def settled(made: str, field: str, why: str) -> tuple[str, str]:
    """A transition rule for the whole object: `field` of its spec is free to be corrected until `made` holds for the
    status, and fixed from then on."""
    return f"!({made}) || ({_same('self.spec', 'oldSelf.spec', field)})", f"{field} cannot be changed: {why}"


def has_status(field: str) -> str:
    """CEL: the status said this before the change."""
    return f"has(oldSelf.status) && has(oldSelf.status.{field})"


def _same(new: str, old: str, field: str) -> str:
    return f"has({new}.{field}) == has({old}.{field}) && (!has({new}.{field}) || {new}.{field} == {old}.{field})"


#: A name of a Kubernetes object.
ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
#: A name of a branch or a tag. What exactly is allowed says `pggit`; here only what can never be right.
RefName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        json_schema_extra=rules(
            (
                r"!self.matches('[\\s\\x00-\\x1f]')",
                "a name of a branch or tag cannot contain spaces or control characters",
            )
        ),
    ),
]
#: A branch, tag or commit as `pggit` shows it.
Ref = Annotated[str, Field(max_length=256)]
CommitId = Annotated[str, Field(max_length=64)]
Identifier = Annotated[str, Field(min_length=1, max_length=63)]
#: A user as the API server names them.
UserName = Annotated[str, Field(min_length=1, max_length=253)]
#: `table`, `schema.table`, quoted where PostgreSQL wants it.
TableName = Annotated[str, Field(min_length=1, max_length=260)]
Text = Annotated[str, Field(max_length=1024)]
#: Row data in PostgreSQL's text form; never a JSON number, which would lose digits on the way.
Value = Annotated[str, Field(max_length=8192)]
Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Time = Annotated[str, Field(max_length=64, json_schema_extra={"format": "date-time"})]


class DeletionPolicy(StrEnum):
    """What becomes of the thing in the database when the object is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class DatabaseRef(Model):
    """Names the VersionedDatabase, in the same namespace."""

    name: ObjectName = Field(description="Name of a VersionedDatabase in the same namespace.")


class Condition(Model):
    """One observation about the object, as Kubernetes tools expect it."""

    type: str = Field(min_length=1, max_length=64, description="Ready, Reconciling, Stalled or Drifted.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(
        min_length=1, max_length=128, description="One word that says why; an error has its class name here."
    )
    message: str = Field(max_length=4096, description="What happened, why, and the way out.")
    observed_generation: int = Field(
        ge=0, json_schema_extra={"format": "int64"}, description="The generation of the spec that this is about."
    )
    last_transition_time: Time = Field(description="When the status of this condition last changed.")


class Status(Model):
    """What every status begins with."""

    observed_generation: int | None = Field(
        default=None,
        ge=-1,
        json_schema_extra={"format": "int64"},
        description="The generation of the spec that this status is about; -1 before the operator first looked.",
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        description="Ready: it is as asked. Reconciling: it is on the way. Stalled: a person has to do something.",
    )


class Owner(Model):
    """A reference from an object to the one that made it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Metadata(Model):
    """The part of an object's metadata that decisions use."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[Owner] = Field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
REASON = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason')
MESSAGE = Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)
AGE = Column("Age", ".metadata.creationTimestamp", type="date")


class Object(Model):
    """An object of our group: what its author asked for, and what we say about it."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]] = ()
    #: Rules about the whole object, where `self.metadata.name` can be used.
    object_rules: ClassVar[tuple[tuple[str, str], ...]] = ()

    metadata: Metadata

    @property
    def made(self) -> bool:
        """Whether the status says that something was made in the database."""
        return False
