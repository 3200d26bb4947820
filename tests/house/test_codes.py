"""One list of error codes: what SQL raises, what the view pggit.errors explains and what Python translates."""

from __future__ import annotations

import inspect
import re

from fixtures.postgres import ROOT, Database
from pggit_operator import errors

RAISED = re.compile(r"ERRCODE\s*=\s*'(VG\d{3})'")


def raised_in_sql() -> dict[str, str]:
    """Code → one file that raises it."""
    return {
        code: str(file.relative_to(ROOT))
        for file in (ROOT / "sql").rglob("*.sql")
        for code in RAISED.findall(file.read_text())
    }


def classes() -> dict[str, type[errors.PgGitError]]:
    listed = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.PgGitError)]
    return {kind.sqlstate: kind for kind in listed if kind.sqlstate and kind.sqlstate.startswith("VG")}


def test_every_code_that_sql_raises_is_explained(db: Database) -> None:
    explained = {code for (code,) in db.rows("SELECT sqlstate FROM pggit.errors")}
    assert {code: file for code, file in raised_in_sql().items() if code not in explained} == {}


def test_the_view_and_the_classes_say_the_same(db: Database) -> None:
    view = {code: rest for code, *rest in db.rows("SELECT sqlstate, name, who_acts, retry FROM pggit.errors")}
    assert view == {code: [kind.__name__, kind.who.value, kind.retry.value] for code, kind in classes().items()}


def test_every_raise_says_that_it_is_ours() -> None:
    bare = []
    for file in (ROOT / "sql").rglob("*.sql"):
        for statement in re.findall(r"RAISE EXCEPTION USING[^;]*;", file.read_text()):
            if RAISED.search(statement) and "SCHEMA = 'pggit'" not in " ".join(statement.split()):
                bare.append(f"{file.relative_to(ROOT)}: {statement}")
    assert bare == []
