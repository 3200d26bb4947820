"""Versions of functions: each overload for itself, by commits and notes, and back again."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

pytestmark = pytest.mark.each_version

F = "CREATE OR REPLACE FUNCTION f({}) RETURNS {} LANGUAGE sql AS $$ SELECT {} $$"


@pytest.fixture(params=["told of DDL", "by scans alone"])
def shop(request: pytest.FixtureRequest, db: Database) -> Connection:
    session = db.conn if request.param == "told of DDL" else request.getfixturevalue("plain_owner")
    query(session, "CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    query(session, F.format("n integer", "integer", "1"))
    query(session, F.format("t text", "text", "'a'"))
    query(session, 'CREATE PROCEDURE "odd, one"("B b" text) LANGUAGE sql AS $$ SELECT 1 $$')
    query(session, "COMMENT ON FUNCTION f(integer) IS 'one'; SELECT pggit.commit('first')")
    return session


def test_each_overload_has_versions_and_goes_back(shop: Connection) -> None:
    listed = "SELECT version, source, commit_id IS NULL, is_current FROM pggit.list_function_versions('f(integer)')"
    assert query(shop, "SELECT pggit.track_function('f(integer)')").fetchone() == (1,)
    query(shop, F.format("n integer DEFAULT 3", "integer", "2"))
    assert query(shop, "SELECT pggit.track_function('public.f(integer)')").fetchone() == (2,)
    query(shop, "DROP FUNCTION f(integer)")
    query(shop, F.format("n integer", "bigint", "3"))
    query(shop, "SELECT pggit.commit('second')")
    assert query(shop, listed).fetchall() == [
        (1, " SELECT 1 ", False, False),
        (2, " SELECT 2 ", True, False),
        (3, " SELECT 3 ", False, True),
    ]
    assert query(shop, "SELECT * FROM pggit.diff_function_versions('f(integer)', 1, 2)").fetchall() == [
        ("arguments", "n integer", "n integer DEFAULT 3"),
        ("source", " SELECT 1 ", " SELECT 2 "),
    ]
    assert query(shop, "SELECT field FROM pggit.diff_function_versions('f(integer)', 1)").fetchall() == [
        ("source",),
        ("comment",),
        ("result",),
    ]
    query(shop, F.format("n integer", "bigint", "4"))
    before = query(shop, "SELECT object_name FROM pggit.schema_drift()").fetchall()
    assert query(shop, "SELECT pggit.rollback_function('f(integer)', 1)").fetchone() == (5,)
    assert query(shop, "SELECT f(7), obj_description('f(integer)'::regprocedure)").fetchone() == (1, "one")
    assert query(shop, "SELECT version FROM pggit.list_function_versions('f')").fetchall() == [
        (1,),
        (2,),
        (3,),
        (4,),
        (5,),
        (1,),
    ]
    assert before == [("public.f(integer)",)]
    assert query(shop, "SELECT object_name FROM pggit.schema_drift()").fetchall() == []
    assert query(shop, "SELECT pggit.rollback_function('f(integer)', 5)").fetchone() == (5,)
    assert query(shop, "SELECT result, is_current FROM pggit.get_function_version('f(integer)', 3)").fetchall() == [
        ("bigint", False)
    ]
    assert query(shop, "SELECT version, is_current FROM pggit.get_function_version('f(integer)')").fetchall() == [
        (5, True)
    ]


def test_a_function_that_is_gone_comes_back(shop: Connection) -> None:
    query(shop, 'DROP PROCEDURE "odd, one"')
    odd = '"odd, one"(text)'
    with raises("VG010", "no function"):
        query(shop, "SELECT pggit.track_function(%s)", odd)
    assert query(shop, "SELECT pggit.rollback_function(%s, 1)", odd).fetchone() == (1,)
    query(shop, "CALL \"odd, one\"('x')")
    query(shop, "SELECT pggit.commit('again')") if query(
        shop, "SELECT 1 FROM pggit.schema_drift()"
    ).fetchall() else None
    assert query(shop, "SELECT is_current FROM pggit.list_function_versions(%s)", odd).fetchall() == [(True,)]


def test_unknown_functions_and_versions_are_refused(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    db.run(F.format("n integer", "integer", "1") + ";" + F.format("t text", "text", "'a'"))
    db.run("SELECT pggit.commit('first')")
    for call in ("track_function('f')", "get_function_version('f')", "rollback_function('f', 1)"):
        with raises("VG202", r"f\(integer\), public.f\(text\)"):
            db.run(f"SELECT pggit.{call}")
    for call in (
        "track_function('nothing')",
        "track_function(NULL)",
        "list_function_versions('pg_catalog.now()')",
        "get_function_version('f(text)', 9)",
        "diff_function_versions('f(text)', NULL)",
        "rollback_function('f(text)', NULL)",
    ):
        with raises("VG010"):
            db.run(f"SELECT pggit.{call}")
