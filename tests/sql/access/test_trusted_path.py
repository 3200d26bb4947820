"""Whoever may make functions where others look for them does not get these run with the others' rights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.postgres import ROOT, Connection, Database, query, raises

MAKES = {
    "function": "CREATE FUNCTION public.format(text, text) RETURNS text LANGUAGE plpgsql AS "
    "$$BEGIN INSERT INTO public.ran VALUES (current_user); RETURN pg_catalog.format($1, $2); END$$",
    "operator": "CREATE FUNCTION public.joined(text, integer) RETURNS text LANGUAGE plpgsql AS "
    "$$BEGIN INSERT INTO public.ran VALUES (current_user); RETURN pg_catalog.concat($1, $2); END$$;"
    "CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = integer, FUNCTION = public.joined)",
    "type": "CREATE TABLE public.pg_class (relname text)",
}
CALLS = [
    "track_table('t')",
    "commit('x', p_allow_empty => true)",
    "create_branch('new')",
    "checkout('dev')",
    "diff('HEAD~1')",
    "log()",
    "status()",
    "plan_merge('dev', 'main')",
    "merge('dev', 'main')",
    "merge_status()",
    "detect_conflicts('dev', 'main')",
    "revert('HEAD')",
    "stash()",
    "verify()",
    "gc()",
    "materialize('dev', 't')",
    "delete_branch('dev')",
]


@pytest.fixture
def shop(db: Database) -> Connection:
    """A superuser's session, and a role `stranger` that may make functions in public."""
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a');"
        "CREATE TABLE ran (by text); GRANT ALL ON ran TO PUBLIC;"
        "SELECT pggit.track_table('t'), pggit.commit('one'), pggit.create_branch('dev', p_materialize => 'none');"
        "UPDATE t SET a = 'b'; SELECT pggit.commit('two')"
    )
    query(db.connect(branch="dev"), "UPDATE t SET a = 'c'")
    db.run(
        "DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stranger_on_the_path') THEN "
        "CREATE ROLE stranger_on_the_path; END IF; END$$; GRANT CREATE ON SCHEMA public TO stranger_on_the_path"
    )
    return db.conn


@pytest.mark.parametrize("made", MAKES)
def test_nothing_of_a_stranger_runs(db: Database, shop: Connection, made: str) -> None:
    query(shop, "SET ROLE stranger_on_the_path")
    query(shop, MAKES[made])
    query(shop, "RESET ROLE")
    if made == "type":
        query(shop, "SET search_path = public, pg_catalog")
    for call in CALLS:
        with raises(
            "VG313", f"^{made} .* of role stranger_on_the_path has the name of one of PostgreSQL's own"
        ) as said:
            query(shop, f"SELECT * FROM pggit.{call}")
        assert "take its schema off your search_path" in str(said.value.diag.message_hint)
    assert db.value("SELECT count(*) FROM public.ran") == 0
    assert db.value("SELECT count(*) FROM pggit.merges") == 0

    query(shop, "SET search_path = pg_catalog")
    assert db.value("SELECT (pggit.merge('dev', 'main')).result") == "conflicted"


@pytest.mark.parametrize("owner", ["the caller", "a superuser", "a role that can act as the caller"])
def test_what_is_trusted_is_in_nobodys_way(db: Database, shop: Connection, owner: str) -> None:
    query(shop, MAKES["function"])
    if owner != "a superuser":
        for role in ("owner_on_the_path", "friend_on_the_path"):
            query(shop, f"DO $$BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN END$$")
        query(shop, "GRANT owner_on_the_path TO friend_on_the_path")
        role = "owner_on_the_path" if owner == "the caller" else "friend_on_the_path"
        query(shop, f"ALTER FUNCTION public.format(text, text) OWNER TO {role}")
        query(shop, "GRANT USAGE ON SCHEMA pggit TO owner_on_the_path; SET ROLE owner_on_the_path")
    assert query(shop, "SELECT pggit._require_trusted_path(pg_catalog.current_schemas(true))").fetchone() == (True,)


FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION pggit\.([a-z]\w*)\((.*?)\nAS \$(\w*)\$\n(.*?)\n\$\3\$;", re.DOTALL)
FIRST = (
    r"(?:#variable_conflict use_column\n)?DECLARE\n    v_trusted +boolean +:= "
    r"pggit\._require_trusted_path\(pg_catalog\.current_schemas\(true\)\);"
)


def unguarded(file: Path) -> list[str]:
    return [
        name
        for name, head, _, body in FUNCTION.findall(file.read_text())
        if "SET search_path = pg_catalog, pg_temp" not in head and not re.match(FIRST, body)
    ]


def test_every_public_function_pins_the_path_or_asks_first() -> None:
    open_ones = {str(file.relative_to(ROOT)): unguarded(file) for file in (ROOT / "sql").rglob("*.sql")}
    # These name nothing but functions of pggit's.
    allowed = {"sql/branch/switch_branch.sql": ["switch_branch"], "sql/commit/create_commit.sql": ["create_commit"]}
    allowed |= {"sql/core/version.sql": ["version"]}
    assert {file: names for file, names in open_ones.items() if names} == allowed
