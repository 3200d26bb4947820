# ruff: noqa: E501 - SQL is not wrapped
"""Every object has one definition, the same on main and on a branch that changed nothing."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

from .rich import CLEAN, DIFFERENCES, RICH, TRACKED, branch_id

pytestmark = pytest.mark.each_version


def test_a_branch_has_the_objects_of_main_until_it_changes_one(db: Database) -> None:
    db.run(RICH)
    db.run(TRACKED)
    db.run("SELECT pggit.create_branch('feature/x', p_materialize => 'all')")
    db.run("SELECT pggit.create_branch('views', p_materialize => 'public.above,public.below,public.secret')")
    kinds = {kind for (kind,) in db.rows("SELECT object_type FROM pggit._schema_objects(1)")}
    assert kinds == {
        *("schema", "table", "column", "constraint", "index", "view", "materialized view", "trigger", "rule", "policy"),
        *("statistics", "sequence", "function", "procedure", "aggregate", "type", "domain", "extension"),
    }
    for name in ("feature/x", "views"):
        assert db.rows(DIFFERENCES, branch_id(db, name), 1) == []

    work = db.connect(branch="feature/x")
    query(
        work,
        "ALTER TABLE customers ADD phone text CHECK (phone IN ('a', 'b')), ALTER since SET NOT NULL; CREATE INDEX added ON customers (since)",
    )
    query(work, 'ALTER TABLE "Orders x" RENAME "Amount %" TO amount')
    found = {(kind, name) for kind, name, _, _ in db.rows(DIFFERENCES, branch_id(db, "feature/x"), 1)}
    assert found == {
        ("column", "public.customers.phone"),
        ("constraint", "public.customers.customers_phone_check"),
        ("column", "public.customers.since"),
        ("index", "public.added"),
        ("column", 'public."Orders x"."Amount %"'),
        ("column", 'public."Orders x".amount'),
        ("column", 'public."Orders x".doubled'),
    }
    db.run(CLEAN)


def test_definitions_do_not_depend_on_the_session_nor_on_temporary_or_own_objects(db: Database) -> None:
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz DEFAULT '2026-01-01 00:00+00', b bytea DEFAULT 'x'); CREATE TABLE skipped (a integer)"
    )
    db.run("SELECT pggit.track_schema('public', p_exclude => ARRAY['skipped'])")
    before = db.rows("SELECT object_name, hash FROM pggit._schema_objects(1) ORDER BY 1, object_type")
    db.run(
        "SET search_path = pg_catalog; SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET bytea_output = 'escape'; SET quote_all_identifiers = on"
    )
    db.run("CREATE TEMP TABLE t2 (a integer)")
    assert db.rows("SELECT object_name, hash FROM pggit._schema_objects(1) ORDER BY 1, object_type") == before
    assert [name for name, _ in before] == [
        "public",
        "public.t",
        "public.t.at",
        "public.t.b",
        "public.t.id",
        "public.t.t_pkey",
    ]
