"""Checks are queries that must be true on the merged state before anybody else can see it."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Connection, Database, query, raises


def part(small: Database) -> None:
    small.run("SELECT pggit.create_branch('dev')")
    query(small.connect(branch="dev"), "INSERT INTO t VALUES (3, 'c')")
    small.run("INSERT INTO t VALUES (2, 'b')")


@pytest.fixture
def parted(small: Database) -> Database:
    """Main has row 2, dev has row 3."""
    return small.begin(part)


def merge(
    db: Database, sql: str, source: str = "dev", target: str = "main", who: str = "caller"
) -> tuple[str, str | None]:
    options = Jsonb({"checks": [{"name": "mine", "sql": sql}], "checks_as": who})
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


@pytest.mark.parametrize("target", ["main", "side"])
def test_a_plan_runs_the_checks_of_its_merge(parted: Database, target: str) -> None:
    """On the rows as they will be, which nobody sees; and it is the plan that is made without them."""
    parted.run("SELECT pggit.create_branch('side')")
    before = parted.rows("SELECT id FROM t ORDER BY id"), parted.rows("SELECT * FROM pggit.log(%s)", target)
    plan = "SELECT result, plan_hash, rows_inserted, detail ->> 'reason' FROM pggit.plan_merge('dev', %s, %s)"

    def planned(*checks: str) -> tuple[str, str | None, int, str | None]:
        result: tuple[str, str | None, int, str | None] = parted.row(
            plan, target, Jsonb({"checks": [{"name": "mine", "sql": sql} for sql in checks], "checks_as": "nobody"})
        )
        return result

    holds = planned("SELECT array_agg(id ORDER BY id) = '{1,2,3}' FROM t")
    assert holds == planned()
    assert (holds[0], holds[2]) == ("planned", 1)
    fails = planned("SELECT count(*) < 3 FROM t")
    assert fails == ("refused", None, 0, "check 'mine' does not hold on the merged state: false")
    assert (parted.rows("SELECT id FROM t ORDER BY id"), parted.rows("SELECT * FROM pggit.log(%s)", target)) == before


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


@pytest.fixture
def shop(plain_owner: Connection, db: Database) -> Database:
    """A plain owner who may make roles, with rows that his checks may read and others that they may not."""
    db.run("ALTER ROLE plain CREATEROLE")
    query(
        plain_owner,
        """
        CREATE SCHEMA elsewhere;
        CREATE TABLE elsewhere.secrets (word text);
        INSERT INTO elsewhere.secrets VALUES ('a word');
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        CREATE VIEW shown AS SELECT id FROM t;
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('dev', p_materialize => 'none');
        """,
    )
    query(db.connect(user="plain", branch="dev"), "INSERT INTO t VALUES (3, 'a secret')")
    query(plain_owner, "INSERT INTO t VALUES (2, 'b')")
    return db


ALLOWED = ["SELECT count(*) = 2 FROM t", "SELECT bool_and(id > 0) FROM shown", "SELECT current_user <> session_user"]
#: What gives somebody who writes manifests more than the rows of the target.
FORBIDDEN = {
    "SELECT count(*) = 1 FROM elsewhere.secrets": "42501",
    "SELECT count(*) >= 0 FROM pggit.commits": "42501",
    "SELECT set_config('role', 'none', false) = 'none' AND count(*) = 1 FROM elsewhere.secrets": "42501",
    "RESET ROLE; SELECT count(*) = 1 FROM elsewhere.secrets": "42501",
    "SELECT set_config('session_authorization', 'plain', false) IS NULL": "42501",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'plain' LIMIT 1": "42501",
    "SELECT pg_read_file('/etc/hostname') IS NOT NULL": "42501",
    "SELECT pggit.delete_branch('dev')": "42501",
    "SELECT a::integer = 1 FROM t WHERE id = 3": "22P02",
    "DO $$BEGIN RAISE 'a secret'; END$$": "P0001",
    "CREATE TEMP TABLE x ()": "25006",
}


@pytest.mark.parametrize("who", ["postgres", "plain"])
def test_as_nobody_a_check_may_read_the_target_and_nothing_else(shop: Database, who: str) -> None:
    session = shop.connect(user=who)
    roles = query(session, "SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles").fetchall()
    rights = query(session, "SELECT array_agg(c.relacl::text ORDER BY c.oid) FROM pg_class AS c").fetchall()
    for target, source in (("main", "dev"), ("dev", "main")):
        for sql, error in FORBIDDEN.items():
            options = Jsonb({"checks": [{"name": "mine", "sql": sql}], "checks_as": "nobody"})
            result, reason = query(
                session,
                "SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s, p_options => %s)",
                source,
                target,
                options,
            ).fetchall()[0]
            assert (result, reason.rpartition(": ")[2]) == ("refused", f"it failed with SQLSTATE {error}"), sql
            assert "a secret" not in reason
    checks = [{"sql": sql} for sql in ALLOWED]
    options = Jsonb({"checks": checks, "checks_as": "nobody"})
    found = query(session, "SELECT result FROM pggit.merge('dev', 'main', p_options => %s)", options).fetchall()
    assert found == [("merged",)]
    assert query(session, "SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles").fetchall() == roles
    assert query(session, "SELECT array_agg(c.relacl::text ORDER BY c.oid) FROM pg_class AS c").fetchall() == rights


def test_an_error_that_is_not_the_merges_tells_no_rows(shop: Database) -> None:
    sql = "DO $$BEGIN RAISE 'a secret' USING ERRCODE = '53200'; END$$"
    with raises("53200", "a check could not be run to its end"):
        merge(shop, sql, who="nobody")


def test_rows_that_a_policy_hides_are_not_taken_for_none(shop: Database) -> None:
    shop.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (false)")
    assert merge(shop, "SELECT count(*) = 0 FROM t", who="nobody")[1] == (
        "check 'mine' does not hold on the merged state: it failed with SQLSTATE 42501"
    )


def test_without_createrole_there_is_no_nobody(shop: Database) -> None:
    shop.run("ALTER ROLE plain NOCREATEROLE")
    options = Jsonb({"checks": [{"name": "mine", "sql": "SELECT true"}], "checks_as": "nobody"})
    result, reason = query(
        shop.connect(user="plain"),
        "SELECT result, detail ->> 'reason' FROM pggit.merge('dev', p_options => %s)",
        options,
    ).fetchall()[0]
    assert result == "refused"
    assert "a check runs as a role that may only read the branch, and plain can't make one" in reason
