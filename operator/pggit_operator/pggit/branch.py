"""Branches and their logins."""

from __future__ import annotations

from dataclasses import dataclass

from pggit_operator.pggit.call import Connection, one, rows, value, view
from pggit_operator.pggit.owner import Owner

MAIN = "main"


@dataclass(frozen=True)
class Branch:
    """A branch as `pggit` shows it."""

    branch_id: int
    name: str
    parent: str | None
    base_commit: str | None
    head: str | None
    is_protected: bool
    materialized: list[str] | None


@dataclass(frozen=True)
class Login:
    """What a branch's login is called, and where it looks for tables."""

    role_name: str
    search_path: str
    schemas: list[str]


@dataclass(frozen=True)
class Held:
    """A branch that an object outside holds."""

    name: str
    installation: str
    namespace: str
    owner_name: str
    uid: str
    login_enabled: bool


def held_branches(conn: Connection) -> list[Held]:
    """Branches that objects outside hold."""
    return view(conn, Held, "branch_owners")


def list_branches(conn: Connection) -> list[Branch]:
    """All branches, main first."""
    return rows(conn, Branch, "list_branches")


def branch_start(conn: Connection, *, name: str, owner: Owner, start: dict[str, str]) -> str | None:
    """The ref to begin a branch at; refused if the branch cannot be made, and nothing is written."""
    ref = value(conn, "branch_start", **{"owner": owner.record, "name": name, "from": start})
    return None if ref is None else str(ref)


def ensure_branch(conn: Connection, *, name: str, from_ref: str | None, materialize: str) -> Branch:
    """The branch of that name, made if it is not there."""
    return one(conn, Branch, "ensure_branch", **{"name": name, "from": from_ref, "materialize": materialize})


def claim_branch(conn: Connection, *, name: str, owner: Owner, protected: bool) -> None:
    """Record whose branch it is; refused if it is another's."""
    value(conn, "claim_branch", branch=name, owner=owner.record, protected=protected)


def branch_login(conn: Connection, *, name: str) -> Login:
    """What the branch's login is called."""
    return one(conn, Login, "branch_login", branch=name)


def ensure_login(conn: Connection, *, name: str, verifier: str, password_id: str, can_write: bool) -> bool:
    """Let the branch's login in with the password of this verifier; whether something was changed."""
    return bool(
        value(
            conn,
            "ensure_branch_login",
            branch=name,
            verifier=verifier,
            password_id=password_id,
            can_write=can_write,
        )
    )


def retire_branch(conn: Connection, *, name: str, owner: Owner) -> bool:
    """Switch the login of the owner's branch off; whether it was on. Another's branch is left alone."""
    return bool(value(conn, "retire_branch", branch=name, owner=owner.record))


def discard_branch(conn: Connection, *, name: str, owner: Owner, protected: bool) -> bool:
    """Delete the owner's branch and its login, unless it is protected; whether there was one."""
    return bool(value(conn, "discard_branch", branch=name, owner=owner.record, protected=protected))
