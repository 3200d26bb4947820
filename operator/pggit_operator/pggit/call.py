"""Calls of functions in schema `pggit`, and the only place that knows PostgreSQL's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from pggit_operator.errors import (
    BY_SQLSTATE,
    AuthenticationFailed,
    Busy,
    DatabaseError,
    PermissionDenied,
    PgGitError,
    SecretInvalid,
    Unreachable,
)

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Row = TypeVar("Row")

# What a server says before it knows us has no SQLSTATE in libpq, only words.
_UNKNOWN_USER = re.compile(
    r"password authentication failed|no password supplied|role .* (does not exist|is not permitted to log in)"
    r"|no pg_hba\.conf entry|pg_hba\.conf rejects|authentication method requirement|requested authentication"
    r"|server requested a hashed password|SCRAM"
)
_UNKNOWN_DATABASE = re.compile(r'database "[^"]*" does not exist')
_SOON = re.compile(r"too many clients|remaining connection slots|too many connections")

# Where PostgreSQL's first line speaks of names and not of rows.
_TELLS_NO_ROWS = ("0A", "25", "26", "2B", "34", "3B", "3D", "3F", "42", "53", "54", "55", "58", "F0", "XX")


def rows(conn: Connection, row: type[Row], function: str, **arguments: Any) -> list[Row]:
    """All rows of `pggit.<function>`, each as a `row`, whose fields are the columns we read."""
    with translated(), conn.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(_select(row, function, arguments), _values(arguments)).fetchall()


def one(conn: Connection, row: type[Row], function: str, **arguments: Any) -> Row:
    """The only row of `pggit.<function>`."""
    found = rows(conn, row, function, **arguments)
    if len(found) != 1:
        raise DatabaseError(f"pggit.{function} gave {len(found)} rows instead of one")
    return found[0]


def value(conn: Connection, function: str, **arguments: Any) -> Any:
    """What `pggit.<function>` returns."""
    query = sql.SQL("SELECT {}").format(_call(function, arguments))
    with translated(), conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, _values(arguments)).fetchone()


def view(conn: Connection, row: type[Row], name: str) -> list[Row]:
    """All rows of the view `pggit.<name>`."""
    query = sql.SQL("SELECT {} FROM {}").format(_fields(row), sql.Identifier("pggit", name))
    with translated(), conn.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(query).fetchall()


def setting(conn: Connection, name: str) -> str | None:
    """A run-time setting of the session, or None where there is no such setting."""
    found = _builtin(conn, "current_setting", name, True)
    return None if found is None else str(found)


def set_local(conn: Connection, name: str, to: str) -> None:
    """Set a run-time setting until the end of the transaction."""
    _builtin(conn, "set_config", name, to, True)


def installed(conn: Connection) -> bool:
    """Whether the SQL core is in this database."""
    return _builtin(conn, "to_regprocedure", "pggit.version()") is not None


def lock_for_transaction(conn: Connection, number: int) -> None:
    """An advisory lock that ends with the transaction."""
    _builtin(conn, "pg_advisory_xact_lock", number)


def script(conn: Connection, text: str) -> None:
    """Statements of the SQL core's own files."""
    with translated():
        conn.execute(text.encode())


@contextmanager
def transaction(conn: Connection, *, timeout: float | None = None) -> Iterator[None]:
    """All or nothing; with a timeout of its own for long work."""
    with translated(), conn.transaction():
        if timeout is not None:
            set_local(conn, "statement_timeout", f"{int(timeout * 1000)}ms")
        yield


def verifier(conn: Connection, user: str, password: str) -> str:
    """What PostgreSQL stores for a password, made here: the password itself never reaches the server or its logs."""
    return conn.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


@contextmanager
def translated() -> Iterator[None]:
    """psycopg's errors as ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from None


def translate(error: psycopg.Error) -> PgGitError:
    """What a psycopg error means. DETAIL and CONTEXT never get out: they hold rows."""
    state, said = error.sqlstate, error.diag.message_primary
    if state is None:
        return _translate_wordy(str(error))
    said = said or f"PostgreSQL error {state}"
    if state in BY_SQLSTATE and error.diag.schema_name == "pggit":
        return BY_SQLSTATE[state](said, _trimmed(error.diag.message_hint))
    if state.startswith(("08", "57P")):
        return Unreachable(f"PostgreSQL went away: {said}")
    if state in ("40001", "40P01", "55P03", "53300"):
        return Busy(f"PostgreSQL is busy: {said}")
    if state == "57014":
        return Busy(f"PostgreSQL gave up: {said}")
    if state in ("28000", "28P01"):
        return AuthenticationFailed(said, "Correct user and password in the Secret.")
    if state == "42501":
        return PermissionDenied(said, "Give the connection's user this right, or connect as a user who has it.")
    if state.startswith(_TELLS_NO_ROWS):
        return DatabaseError(f"PostgreSQL said {state}: {said}")
    return DatabaseError(f"PostgreSQL refused with SQLSTATE {state} ({type(error).__name__})")


def _translate_wordy(said: str) -> PgGitError:
    words = " ".join(said.split())
    if _UNKNOWN_USER.search(words):
        return AuthenticationFailed(words, "Correct user and password in the Secret.")
    if _UNKNOWN_DATABASE.search(words):
        return SecretInvalid(words, "Correct dbname in the Secret, or spec.database, or create the database.")
    if _SOON.search(words):
        return Busy(words)
    return Unreachable(f"PostgreSQL does not answer: {words}")


def _trimmed(hint: str | None) -> str | None:
    return hint.rstrip().removesuffix(".") + "." if hint else None


def _call(function: str, arguments: dict[str, Any]) -> sql.Composed:
    named = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(f"p_{name}"), sql.Placeholder(name)) for name in arguments
    )
    return sql.SQL("{}({})").format(sql.Identifier("pggit", function), named)


def _select(row: type[Any], function: str, arguments: dict[str, Any]) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {}").format(_fields(row), _call(function, arguments))


def _fields(row: type[Any]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, row.__dataclass_fields__))


def _values(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(given) if isinstance(given, dict) else given for name, given in arguments.items()}


def _builtin(conn: Connection, function: str, *arguments: Any) -> Any:
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
    query = sql.SQL("SELECT {}({})").format(sql.Identifier("pg_catalog", function), marks)
    with translated(), conn.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, arguments).fetchone()
