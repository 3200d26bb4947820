"""DDL that is meant for a branch changes nothing of main, whatever the branch has."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

DDL = [
    "ALTER TABLE t ADD x integer",
    "CREATE TABLE n (id integer PRIMARY KEY)",
    "DROP TABLE t",
    "GRANT SELECT ON t TO PUBLIC",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
]


@pytest.mark.parametrize("ddl", DDL)
def test_a_name_that_no_branch_has(small: Database, ddl: str) -> None:
    session = small.connect()
    query(session, "SET pggit.branch = 'misspelt'")
    with raises("VG001", "no branch 'misspelt'"):
        query(session, ddl)
    query(session, "SET pggit.branch = 'main'")
    query(session, ddl)


@pytest.mark.parametrize(
    "ddl", [ddl.replace(" t", " app.t").replace(" n ", " app.n ").replace("f()", "app.f()") for ddl in DDL]
)
def test_a_schema_that_is_tracked_since(small: Database, ddl: str) -> None:
    small.run("SELECT pggit.create_branch('dev'); CREATE SCHEMA app; CREATE TABLE app.t (id integer PRIMARY KEY)")
    small.run("SELECT pggit.track_schema('app'); SELECT pggit.commit('app')")
    with raises("VG309"):
        query(small.connect(branch="dev"), ddl)
    small.run(ddl)


def test_tables_of_pggit_and_of_branches_are_not_tracked(small: Database) -> None:
    small.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    for table, why in (("pggit.commits", "pggit's own"), ('"public@dev".t', "a branch's")):
        with raises("VG203", why):
            small.run("SELECT pggit.track_table(%s)", table)


def test_who_drops_a_table_of_main_is_told_what_goes(small: Database) -> None:
    told = list[str]()
    small.conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    small.run(
        "CREATE TABLE kept (id integer PRIMARY KEY); SELECT pggit.commit('kept'); SELECT pggit.create_branch('dev')"
    )
    small.run("DROP TABLE kept")
    assert told == []
    small.run(
        "SELECT pggit.delete_branch('dev', true); CREATE TABLE u (LIKE t INCLUDING ALL); SELECT pggit.commit('u')"
    )
    small.run("DROP TABLE u")
    assert told == [], "its history is kept"
    small.run("SET pggit.save_limit = '1kB'; DROP TABLE t")
    assert [message.partition(",")[0] for message in told] == ["table public.t is dropped"]
