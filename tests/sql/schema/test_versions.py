"""Versions of objects, what depends on them, migrations and deployments; told of DDL by event triggers and without."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query, raises

pytestmark = pytest.mark.each_version

SHOP = """
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE "Cus.tomers" (id integer PRIMARY KEY, name text, m mood);
CREATE TABLE orders (id serial PRIMARY KEY, customer integer REFERENCES "Cus.tomers", total numeric CHECK (total > 0));
ALTER TABLE "Cus.tomers" ADD last_order integer REFERENCES orders;
CREATE VIEW large AS SELECT id, total FROM orders WHERE total > 10;
CREATE VIEW larger AS SELECT * FROM large WHERE total > 100;
CREATE FUNCTION f(c "Cus.tomers") RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


@pytest.fixture(params=["told of DDL", "by scans alone"])
def shop(request: pytest.FixtureRequest, db: Database) -> Connection:
    session = db.conn if request.param == "told of DDL" else request.getfixturevalue("plain_owner")
    query(session, SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    return session


def rows(session: Connection, sql: str, *args: object) -> list[tuple[Any, ...]]:
    return query(session, sql, *args).fetchall()


@pytest.mark.parametrize(
    ("name", "change", "version"),
    [
        ("orders", "ALTER TABLE orders ADD note text", "1.1.0"),
        ("orders", "ALTER TABLE orders ADD a int NOT NULL DEFAULT 1, ADD b int GENERATED ALWAYS AS IDENTITY", "1.1.0"),
        ("orders", "ALTER TABLE orders ADD must int NOT NULL", "2.0.0"),
        ("orders", "DROP VIEW larger, large; ALTER TABLE orders ALTER total TYPE bigint", "2.0.0"),
        ("orders", "ALTER TABLE orders ALTER customer SET NOT NULL", "2.0.0"),
        ("orders", "CREATE INDEX ON orders (total); COMMENT ON TABLE orders IS 'x'", "1.0.1"),
        ("orders", "CREATE UNIQUE INDEX ON orders (total)", "2.0.0"),
        ("orders", "ALTER TABLE orders DROP CONSTRAINT orders_total_check", "1.1.0"),
        ("old", "ALTER TABLE orders RENAME TO old; ALTER TABLE old RENAME id TO number", "2.0.0"),
        ("orders.total", "ALTER TABLE orders ALTER total SET DEFAULT 1", "1.1.0"),
        ("mood", "ALTER TYPE mood ADD VALUE 'bad'", "1.1.0"),
        ("mood", "ALTER TYPE mood RENAME VALUE 'good' TO 'bad'", "2.0.0"),
        ("large", "CREATE OR REPLACE VIEW large AS SELECT id, total FROM orders WHERE total > 5", "1.0.1"),
        ("large", "CREATE OR REPLACE VIEW large AS SELECT id, total, customer FROM orders", "1.1.0"),
        ("f", """CREATE OR REPLACE FUNCTION f(c "Cus.tomers") RETURNS int LANGUAGE sql AS 'SELECT 2'""", "1.0.1"),
        ("larger", "CREATE TABLE another (id integer PRIMARY KEY)", "1.0.0"),
    ],
)
def test_a_version_says_what_a_change_means(conn: Connection, name: str, change: str, version: str) -> None:
    query(conn, SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    query(conn, change)
    expected = {"1.0.1": {"patch"}, "1.1.0": {"minor"}, "2.0.0": {"major"}, "1.0.0": {"minor"}}[version]
    levels = {level for (level,) in rows(conn, "SELECT level FROM pggit.detect_schema_changes()")}
    assert expected <= levels
    query(conn, "SELECT pggit.commit('second')")
    assert rows(conn, "SELECT version FROM pggit.get_version(%s)", name) == [(version,)]
    assert rows(conn, "SELECT * FROM pggit.detect_schema_changes()") == []


def test_versions_go_on_and_are_raised_by_hand(shop: Connection) -> None:
    query(shop, "DROP VIEW larger; SELECT pggit.commit('gone')")
    with raises("VG010", "'larger'"):
        query(shop, "SELECT pggit.get_version('larger')")
    assert rows(shop, "SELECT version FROM pggit.get_version('larger', 'HEAD~1')") == [("1.0.0",)]
    query(shop, "CREATE VIEW larger AS SELECT 1 AS one; SELECT pggit.commit('again')")
    assert rows(shop, "SELECT version FROM pggit.get_version('public.larger')") == [("2.0.0",)]
    assert rows(shop, "SELECT pggit.increment_version('larger', 'minor')") == [("2.1.0",)]
    assert rows(shop, "SELECT pggit.increment_version('larger')") == [("2.1.1",)]
    with raises("VG202", "'huge'"):
        query(shop, "SELECT pggit.increment_version('larger', 'huge')")
    for call in ("get_version(NULL)", "increment_version('nothing')", "compute_ddl_hash('table', 'public', 'larger')"):
        with raises("VG010"):
            query(shop, f"SELECT pggit.{call}")
    first = rows(shop, "SELECT pggit.compute_ddl_hash('table', 'public', 'orders')")
    query(shop, "CREATE INDEX more ON orders (total)")
    assert rows(shop, "SELECT pggit.compute_ddl_hash('TABLE', 'public', 'orders')") != first
    query(shop, "DROP INDEX more")
    assert rows(shop, "SELECT pggit.compute_ddl_hash('table', 'public', 'orders')") == first


@pytest.mark.event_triggers("nobody tells of statements")
def test_history_tells_who_and_how_on_main_and_on_branches(db: Database) -> None:
    db.run(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('work'); SELECT pggit.checkout('work')")
    db.run("ALTER TABLE orders ADD note text")
    db.run("SELECT pggit.commit('second'); SELECT pggit.checkout('main'); SELECT pggit.merge('work', 'main')")
    db.run("ALTER TABLE orders DROP note")
    db.run("SELECT pggit.commit('third')")
    told = "SELECT message, change, changed_by = current_user, statement FROM pggit.get_history('orders.note')"
    assert db.rows(told) == [
        ("third", "drop", True, "ALTER TABLE orders DROP note"),
        ("second", "create", True, "ALTER TABLE orders ADD note text"),
    ]


def test_what_depends_on_what(shop: Connection) -> None:
    query(shop, "SELECT pggit.create_branch('work', p_materialize => 'none')")
    assert rows(shop, "SELECT * FROM pggit.get_impact_analysis('orders.total')") == [
        (1, "constraint", "orders_total_check on public.orders", "public.orders.total", True),
        (1, "view", "public.large", "public.orders.total", False),
        (2, "view", "public.larger", "public.large", False),
    ]
    found = rows(shop, """SELECT object_name, goes_along FROM pggit.get_impact_analysis('"Cus.tomers"')""")
    assert ('"Cus.tomers_last_order_fkey" on public."Cus.tomers"', True) in found
    assert ("orders_customer_fkey on public.orders", False) in found
    assert ('public.f(public."Cus.tomers")', False) in found
    assert len(found) == 5
    assert rows(shop, "SELECT * FROM pggit.get_impact_analysis('f')") == []
    for wrong in ("nothing", 'x"y', "orders.nothing", "a.b.c.d", "", "f(integer", None):
        with raises("VG010"):
            query(shop, "SELECT * FROM pggit.get_impact_analysis(%s::text)", wrong)

    order = rows(shop, "SELECT object_name, depends_on, is_in_cycle FROM pggit.get_dependency_order()")
    names = [name for name, _, _ in order]
    for name, needs, cyclic in order:
        assert cyclic or all(names.index(need) < names.index(name) for need in needs)
    assert [name for name, _, cyclic in order if cyclic] == ['public."Cus.tomers"']
    assert len(names) == 7
    assert rows(shop, "SELECT * FROM pggit.get_dependency_order('pg_catalog')") == []
    with raises("VG008"):
        query(shop, "SELECT * FROM pggit.get_dependency_order('nowhere')")


def test_migrations_are_applied_whole_and_are_no_drift(shop: Connection) -> None:
    query(shop, "SELECT pggit.create_branch('work')")
    query(shop, "SELECT pggit.ddl('work', 'ALTER TABLE orders ADD note text, DROP CONSTRAINT orders_total_check')")
    query(shop, """SELECT pggit.ddl('work', 'CREATE FUNCTION g() RETURNS text LANGUAGE sql AS ''SELECT 1::text''')""")
    query(shop, "SELECT pggit.commit('on work', 'work')")
    applied = rows(shop, "SELECT ddl FROM pggit.apply_migration('main', 'work')")
    assert len(applied) == 3
    assert rows(shop, "SELECT * FROM pggit.schema_drift()") == []
    assert rows(shop, "SELECT * FROM pggit.diff_schema('work', 'WORKING')") == []
    query(shop, "SELECT pggit.commit('migrated')")
    with raises("VG305", "DROP note"):
        query(shop, "SELECT * FROM pggit.apply_migration('HEAD', 'HEAD~1')")
    back = rows(shop, "SELECT ddl FROM pggit.apply_migration('HEAD', 'HEAD~1', p_allow_destructive => true)")
    assert len(back) == 3
    assert rows(shop, "SELECT * FROM pggit.diff_schema('HEAD~1', 'WORKING')") == []

    # Not as the migration begins: an index of the name, but another one.
    query(shop, "SELECT pggit.ddl('work', 'CREATE VIEW w AS SELECT 1 AS one'); SELECT pggit.commit('w', 'work')")
    query(shop, "CREATE VIEW w AS SELECT 1 AS one, 2 AS two; COMMENT ON VIEW w IS 'mine'")
    with raises("42P16"):
        query(shop, "SELECT * FROM pggit.apply_migration('work~1', 'work')")
    query(shop, "DROP VIEW w; CREATE VIEW w AS SELECT 2 AS one; COMMENT ON VIEW w IS 'mine'")
    with raises("VG302", "view public.w"):
        query(shop, "SELECT * FROM pggit.apply_migration('work~1', 'work')")
    assert rows(shop, "SELECT one FROM w") == [(2,)]
    assert rows(shop, "SELECT object_name FROM pggit.schema_drift()") == [("public.w",)]
    assert rows(shop, "SELECT * FROM pggit.apply_migration('HEAD', 'HEAD')") == []


def test_a_deployment_is_one_commit_and_no_drift(shop: Connection) -> None:
    query(shop, "ALTER TABLE orders ADD before text")
    query(shop, "SELECT pggit.begin_deployment('v2')")
    with raises("VG308", "'v2'"):
        query(shop, "SELECT pggit.begin_deployment('v3')")
    query(shop, "ALTER TABLE orders ADD a text")
    query(shop, "INSERT INTO orders (id, a) VALUES (1, 'x'); CREATE VIEW v AS SELECT a FROM orders")
    query(shop, "SELECT pggit.end_deployment()")
    assert rows(shop, "SELECT message, rows_changed, objects_changed FROM pggit.log(p_limit => 1)") == [
        ("Deployment v2", 1, 3)
    ]
    assert rows(shop, "SELECT object_name FROM pggit.schema_drift()") == [("public.orders.before",)]
    with raises("VG202", "no deployment"):
        query(shop, "SELECT pggit.end_deployment()")
    for name in ("", "  ", None):
        with raises("VG202", "needs a name"):
            query(shop, "SELECT pggit.begin_deployment(%s::text)", name)
    query(shop, "SELECT pggit.begin_deployment('nothing')")
    assert rows(shop, "SELECT pggit.end_deployment('said')") == [(None,)]
