"""Installs and upgrades the SQL core."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from pggit_operator.errors import CoreTooNew, CoreTooOld, InternalError, ServerTooOld
from pggit_operator.pggit.call import (
    Connection,
    installed,
    lock_for_transaction,
    script,
    set_local,
    setting,
    transaction,
    value,
)

OLDEST_SERVER = 15
# Any number will do, as long as all operators take the same.
_INSTALLING = 7_110_303_001


def sql_folder() -> Path:
    """The SQL core: in the wheel, or in the checkout."""
    inside = Path(__file__).resolve().parents[1] / "sql"
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / "sql"


@functools.cache
def bundled_version() -> str:
    """The version of the SQL core that comes with this operator."""
    found = re.search(r"SELECT '([0-9][^']*)'", (sql_folder() / "core" / "version.sql").read_text())
    if found is None:
        raise InternalError("sql/core/version.sql names no version")
    return found[1]


@functools.cache
def bundled_files() -> tuple[tuple[str, str], ...]:
    """Name and text of each file that install.sql includes, in order."""
    folder, files = sql_folder(), []
    for line in (folder / "install.sql").read_text().splitlines():
        words = line.split()
        if not words or line.startswith(("--", r"\set ")):
            continue
        if len(words) != 2 or words[0] != r"\ir":
            raise InternalError(rf"sql/install.sql may hold only \ir and \set lines, not: {line}")
        files.append((words[1], (folder / words[1]).read_text()))
    return tuple(files)


@dataclass(frozen=True)
class Core:
    """What is installed where."""

    core_version: str
    server_version: str


def ensure_core(conn: Connection, *, timeout: float) -> Core:
    """Have our version of the core in the database: install it, or leave alone what is right already."""
    server = setting(conn, "server_version") or ""
    require_server(setting(conn, "server_version_num") or "0", server)
    if _there(conn) != bundled_version():
        with transaction(conn, timeout=timeout):
            lock_for_transaction(conn, _INSTALLING)
            if _there(conn) != bundled_version():
                set_local(conn, "client_min_messages", "warning")
                for _, text in bundled_files():
                    script(conn, text)
    return Core(core_version=bundled_version(), server_version=server.split()[0])


def require_server(number: str, name: str) -> None:
    """Refuse a PostgreSQL that is too old, by the number that it reports."""
    if int(number) // 10000 < OLDEST_SERVER:
        raise ServerTooOld(
            f"PostgreSQL {name} is too old: pggit needs {OLDEST_SERVER} or later", "Upgrade PostgreSQL, then try again."
        )


def require_core(there: str, ours: str) -> None:
    """Refuse a core of another version: neither takes over what the other has made."""
    if _order(there) > _order(ours):
        raise CoreTooNew(
            f"the database has pggit {there}, newer than the {ours} of this operator; nothing was touched",
            "Upgrade the operator.",
        )
    if _order(there) < _order(ours):
        raise CoreTooOld(
            f"the database has pggit {there}, which the {ours} of this operator can't take over; nothing was touched",
            f"Use the operator of {there}. Or take pggit out of the database with sql/uninstall.sql of {there}: "
            f"history and branches go, the tables of main stay, and {ours} is installed.",
        )


def _there(conn: Connection) -> str | None:
    """The version in the database, None without; never another than ours."""
    if not installed(conn):
        return None
    there = str(value(conn, "version"))
    require_core(there, bundled_version())
    return there


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
