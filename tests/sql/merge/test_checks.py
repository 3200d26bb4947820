"""Checks are queries that must be true on the merged state before anybody else can see it."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises


@pytest.fixture
def parted(small: Database) -> Database:
    """Main has row 2, dev has row 3."""
    small.run("SELECT pggit.create_branch('dev')")
    query(small.connect(branch="dev"), "INSERT INTO t VALUES (3, 'c')")
    small.run("INSERT INTO t VALUES (2, 'b')")
    return small


def merge(db: Database, sql: str, source: str = "dev", target: str = "main") -> tuple[str, str | None]:
    options = Jsonb({"checks": [{"name": "mine", "sql": sql}]})
    result, reason = db.row(
        "SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s, p_options => %s)", source, target, options
    )
    return result, reason


def test_a_check_sees_the_merged_rows(parted: Database) -> None:
    assert merge(parted, "SELECT array_agg(id ORDER BY id) = '{1,2,3}' FROM t") == ("merged", None)


def test_a_check_sees_the_branch_that_is_merged_into(parted: Database) -> None:
    """Also as a fast-forward, and from a session that is on main."""
    assert merge(parted, "SELECT array_agg(id ORDER BY id) = '{1,2,3}' FROM t", "main", "dev") == ("merged", None)
    assert parted.value("SELECT count(*) FROM t") == 2


FAILING = {
    "false": ("SELECT count(*) < 3 FROM t", "false"),
    "NULL": ("SELECT NULL", "NULL"),
    "no row": ("SELECT true WHERE false", "gave no row"),
    "an error": ("SELECT 1 / 0 = 1", "division by zero"),
    "no boolean": ("SELECT count(*) FROM t WHERE id = 1", "no boolean"),
    "many rows": ("SELECT id > 0 FROM t", "more than one row"),
    "many columns": ("SELECT true, false", "more than one column"),
    "no query": ("SELEC", "syntax error"),
    "a write": ("DELETE FROM t RETURNING true", "read-only transaction"),
    "a hidden write": ("SELECT nextval('s') > 0", "read-only transaction"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_merge_whose_check_does_not_hold_is_refused(parted: Database, case: str) -> None:
    """Nothing is written, and once it holds the same merge goes through."""
    parted.run("CREATE SEQUENCE s")
    sql, reason = FAILING[case]
    result, said = merge(parted, sql)
    assert (result, said is not None and "check 'mine' does not hold" in said and reason in said) == ("refused", True)
    assert parted.rows("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    assert merge(parted, "SELECT true") == ("merged", None)
    assert parted.value("SHOW transaction_read_only") == "off"


def test_checks_are_refused_when_they_are_none(parted: Database) -> None:
    for check in ("SELECT true", {"sql": 1}, {"name": "x"}, {"sql": "SELECT true", "when": "now"}):
        with raises("VG202", "this is no check"):
            parted.run("SELECT pggit.merge('dev', p_options => %s)", Jsonb({"checks": [check]}))


def test_a_check_does_not_change_the_session(parted: Database) -> None:
    session = parted.connect(branch="dev")
    before = query(session, "SELECT current_setting('search_path'), current_setting('pggit.branch')").fetchone()
    query(
        session,
        "SELECT pggit.merge('dev', 'main', p_options => %s)",
        Jsonb({"checks": [{"sql": "SELECT count(*) = 3 FROM t"}]}),
    )
    assert query(session, "SELECT current_setting('search_path'), current_setting('pggit.branch')").fetchone() == before
    assert parted.value("SELECT count(*) FROM t") == 3
