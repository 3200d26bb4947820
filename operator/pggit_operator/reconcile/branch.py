"""DatabaseBranch: a branch, its login, and the Secret to connect by."""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import quote, urlencode

from pggit_operator.api import GROUP, VERSION, DatabaseBranch
from pggit_operator.api.branch import BranchStatus, Role
from pggit_operator.api.common import DeletionPolicy
from pggit_operator.kube.secrets import Holder, require_ours
from pggit_operator.pggit.branch import (
    Branch,
    Login,
    branch_login,
    branch_start,
    claim_branch,
    discard_branch,
    ensure_branch,
    ensure_login,
    retire_branch,
)
from pggit_operator.pggit.call import Connection, transaction, verifier
from pggit_operator.pggit.pools import Target
from pggit_operator.reconcile.connection import connected, holder_of, owner_of
from pggit_operator.reconcile.finalizer import Grip
from pggit_operator.reconcile.verdict import Verdict, ready, suspended
from pggit_operator.reconcile.world import World

_SHOWN = 1000


def needs_cleanup(_: DatabaseBranch) -> bool:
    """Always: even a branch that stays has a login to switch off."""
    return True


def decide(world: World, branch: DatabaseBranch, grip: Grip) -> Verdict | None:
    """Make the branch exist with a login of its own, and say where it points."""
    if branch.spec.suspend:
        return suspended()
    limit = world.settings.long_timeout
    known = _password(world, branch)
    with connected(world, branch, branch.spec.database_ref, patience=limit) as (conn, target):
        start = branch_start(
            conn,
            name=branch.branch_name,
            owner=owner_of(world, branch),
            start=branch.spec.from_.record if branch.spec.from_ else {},
        )
        grip.hold()
        with transaction(conn, timeout=limit):
            found = _branch(world, conn, branch, start)
        login = branch_login(conn, name=branch.branch_name)
        password = known or secrets.token_urlsafe(24)
        _put_secret(world, branch, content(branch.branch_name, target, login, password))
        with transaction(conn, timeout=limit):
            ensure_login(
                conn,
                name=branch.branch_name,
                verifier=verifier(conn, login.role_name, password),
                password_id=hashlib.sha256(password.encode()).hexdigest(),
                can_write=branch.spec.access.role is Role.READ_WRITE,
            )
    facts = _facts(branch, found, login)
    return ready("BranchReady", f"branch {found.name} is there; connect by Secret {branch.secret_name}", facts)


def clean_up(world: World, branch: DatabaseBranch, conn: Connection) -> str:
    """Delete the branch with its login, or keep it and switch the login off; what was done."""
    name, owner = branch.branch_name, owner_of(world, branch)
    if branch.spec.deletion_policy is DeletionPolicy.DELETE:
        with transaction(conn, timeout=world.settings.long_timeout):
            done = discard_branch(conn, name=name, owner=owner, protected=branch.spec.protected)
        said = f"branch {name} and its login are deleted" if done else f"branch {name} is not ours: nothing was touched"
    else:
        retire_branch(conn, name=name, owner=owner)
        said = f"branch {name} is kept; its login is switched off"
    return said


def forget_secret(world: World, branch: DatabaseBranch) -> None:
    """Take the Secret away: nobody gets in with it any more."""
    world.secrets.delete(branch.metadata.namespace, branch.secret_name, _holder(branch))


def _branch(world: World, conn: Connection, branch: DatabaseBranch, start: str | None) -> Branch:
    found = ensure_branch(conn, name=branch.branch_name, from_ref=start, materialize=branch.spec.materialize.lower())
    claim_branch(conn, name=found.name, owner=owner_of(world, branch), protected=branch.spec.protected)
    return found


def _password(world: World, branch: DatabaseBranch) -> str | None:
    """The password in our Secret, which is made once and stays. Refused where the Secret is somebody else's."""
    there = world.secrets.get(branch.metadata.namespace, branch.secret_name)
    if there is None:
        return None
    require_ours(there, _holder(branch))
    return there.data.get("password")


def _put_secret(world: World, branch: DatabaseBranch, said: dict[str, str]) -> None:
    """Have the Secret say how to connect, and only the Secret that is asked for."""
    namespace, name, holder = branch.metadata.namespace, branch.secret_name, _holder(branch)
    world.secrets.put(namespace, name, holder, said)
    before = branch.status.secret_name
    if before and before != name:
        world.secrets.delete(namespace, before, holder)


def content(branch: str, target: Target, login: Login, password: str) -> dict[str, str]:
    """What applications need to connect to a branch."""
    sslmode = "require" if target.sslmode.startswith("verify") and target.ca is None else target.sslmode
    where = f"{_bracketed(target.host)}:{target.port}/{quote(target.dbname, safe='')}"
    who = f"{quote(login.role_name, safe='')}:{quote(password, safe='')}"
    jdbc = {"user": login.role_name, "password": password, "sslmode": sslmode}
    options = {"search_path": login.search_path, "pggit.branch": branch}
    said = {
        "host": target.host,
        "port": str(target.port),
        "dbname": target.dbname,
        "user": login.role_name,
        "password": password,
        "sslmode": sslmode,
        "uri": f"postgresql://{who}@{where}?{urlencode({'sslmode': sslmode})}",
        "jdbc-uri": f"jdbc:postgresql://{where}?{urlencode(jdbc)}",
        "search_path": login.search_path,
        "PGOPTIONS": " ".join(f"-c {name}={_escaped(value)}" for name, value in options.items()),
    }
    return said | ({"ca.crt": target.ca} if target.ca else {})


def _facts(branch: DatabaseBranch, found: Branch, login: Login) -> BranchStatus:
    made = sorted(found.materialized or [])
    return BranchStatus(
        branch=found.name,
        head=found.head,
        base_commit=found.base_commit,
        parent=found.parent,
        secret_name=branch.secret_name,
        role_name=login.role_name,
        schemas=login.schemas[:64],
        materialized=made[:_SHOWN],
        materialized_count=len(made),
    )


def _holder(branch: DatabaseBranch) -> Holder:
    return holder_of(branch, f"{GROUP}/{VERSION}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _escaped(value: str) -> str:
    """As libpq's options want it: a space inside a value needs a backslash."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
