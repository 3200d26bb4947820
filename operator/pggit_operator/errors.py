"""Every way a wish can fail. The class name is the reason people read in `kubectl describe`.

One class per SQLSTATE of the view `pggit.errors` (same name, same words), then those of the operator itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """Whether trying again can help."""

    LATER = "later"
    NEVER = "never"
    ON_CHANGE = "on change"
    SOON = "soon"
    LOUDLY = "loudly"


class Who(StrEnum):
    """Who has to act."""

    WRITER = "writer"
    AUTHORITY = "authority"
    NOBODY = "nobody"
    US = "us"


class PgGitError(Exception):
    """A wish that was not granted, in words that say what, why and the way out. Never holds row data or passwords."""

    sqlstate: ClassVar[str | None] = None
    who: ClassVar[Who] = Who.US
    retry: ClassVar[Retry] = Retry.LOUDLY

    #: Whether nothing goes on before a person has acted.
    stalls: ClassVar[bool] = True

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def reason(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


# VG0: something named is not there.


class _NotThere(PgGitError):
    who = Who.WRITER
    retry = Retry.LATER
    stalls = False


class BranchNotFound(_NotThere):
    sqlstate = "VG001"


class RefNotFound(_NotThere):
    sqlstate = "VG002"


class TagNotFound(_NotThere):
    sqlstate = "VG003"


class TableNotFound(_NotThere):
    sqlstate = "VG004"


class TableNotTracked(_NotThere):
    sqlstate = "VG005"


class MergeNotFound(_NotThere):
    sqlstate = "VG006"


class ConflictNotFound(_NotThere):
    sqlstate = "VG007"
    stalls = True


class SchemaNotFound(_NotThere):
    sqlstate = "VG008"


class NoCommitsYet(_NotThere):
    sqlstate = "VG009"


class ObjectNotFound(_NotThere):
    sqlstate = "VG010"


# VG1: already there, and different.


class _AlreadyThere(PgGitError):
    who = Who.WRITER
    retry = Retry.NEVER


class BranchExists(_AlreadyThere):
    sqlstate = "VG101"


class TagExists(_AlreadyThere):
    sqlstate = "VG102"


class NameOwned(_AlreadyThere):
    sqlstate = "VG103"


class AlreadyRan(_AlreadyThere):
    sqlstate = "VG104"


# VG2: the request makes no sense.


class _NoSense(PgGitError):
    who = Who.WRITER
    retry = Retry.NEVER


class InvalidName(_NoSense):
    sqlstate = "VG201"


class InvalidArgument(_NoSense):
    sqlstate = "VG202"


class TableUnsupported(_NoSense):
    sqlstate = "VG203"


class InvalidResolution(_NoSense):
    sqlstate = "VG204"


class AmbiguousRef(_NoSense):
    sqlstate = "VG205"


class UnrelatedHistories(_NoSense):
    sqlstate = "VG206"


# VG3: understood and refused until a person with authority changes something.


class _Refused(PgGitError):
    who = Who.AUTHORITY
    retry = Retry.ON_CHANGE


class BranchProtected(_Refused):
    sqlstate = "VG301"


class SchemaDiffers(_Refused):
    sqlstate = "VG302"


class MergeSettled(_Refused):
    sqlstate = "VG303"


class NothingToCommit(_Refused):
    sqlstate = "VG304"


class NotPermitted(_Refused):
    sqlstate = "VG305"


class HistoryGap(_Refused):
    sqlstate = "VG306"


class NotSupported(_Refused):
    sqlstate = "VG307"


class BranchInUse(_Refused):
    sqlstate = "VG308"


class WrongBranch(_Refused):
    sqlstate = "VG309"


class TriggersInterfered(_Refused):
    sqlstate = "VG310"


class BranchUnmerged(_Refused):
    sqlstate = "VG311"


class CheckFailed(_Refused):
    sqlstate = "VG312"


class PathNotTrusted(_Refused):
    sqlstate = "VG313"


# VG4: busy, and nobody has to do anything.


class _Busy(PgGitError):
    who = Who.NOBODY
    retry = Retry.SOON
    stalls = False


class Busy(_Busy):
    sqlstate = "VG401"


class TargetMoved(_Busy):
    sqlstate = "VG402"


class HeldTooLong(_Busy):
    sqlstate = "VG403"


# VG9: our own data is wrong.


class _OurFault(PgGitError):
    who = Who.US
    retry = Retry.LOUDLY


class StoreDamaged(_OurFault):
    sqlstate = "VG901"


class IndexPathLost(_OurFault):
    sqlstate = "VG902"


# The operator's own, which no SQL function raises.


class DatabaseNotFound(_NotThere):
    """The VersionedDatabase that an object names is not there."""


class DatabaseNotReady(_NotThere):
    """The VersionedDatabase that an object names is there, and not usable yet."""


class DatabaseClaimed(_AlreadyThere):
    """Another VersionedDatabase looks after the same database."""


class SecretNotFound(_NotThere):
    """The connection Secret is not there."""


class SecretIncomplete(_NotThere):
    """The connection Secret lacks a key."""


class SecretInvalid(_NoSense):
    """The connection Secret says something that is not accepted."""

    retry = Retry.LATER


class SecretNotOurs(_AlreadyThere):
    """A Secret with the wanted name belongs to something else."""

    retry = Retry.LATER


class Unreachable(PgGitError):
    """PostgreSQL does not answer."""

    who = Who.AUTHORITY
    retry = Retry.LATER
    stalls = False


class AuthenticationFailed(PgGitError):
    """PostgreSQL does not accept the user or the password."""

    who = Who.WRITER
    retry = Retry.LATER


class PermissionDenied(PgGitError):
    """The connection's user may not do what is asked."""

    who = Who.AUTHORITY
    retry = Retry.LATER


class ServerTooOld(_Refused):
    """PostgreSQL is older than the SQL core needs."""

    retry = Retry.LATER


class CoreTooNew(_Refused):
    """The SQL core in the database is newer than this operator."""

    retry = Retry.LATER


class CoreTooOld(_Refused):
    """The SQL core in the database is older than this operator, which can't take it over."""

    retry = Retry.LATER


class DatabaseError(PgGitError):
    """PostgreSQL refused a statement for a reason of its own."""

    who = Who.US
    retry = Retry.LOUDLY


class InternalError(PgGitError):
    """A fault in the operator."""

    who = Who.US
    retry = Retry.LOUDLY


def _leaves(of: type[PgGitError]) -> list[type[PgGitError]]:
    return [leaf for sub in of.__subclasses__() for leaf in (sub, *_leaves(sub))]


#: SQLSTATE → class, for everything that the SQL core raises.
BY_SQLSTATE: dict[str, type[PgGitError]] = {leaf.sqlstate: leaf for leaf in _leaves(PgGitError) if leaf.sqlstate}
