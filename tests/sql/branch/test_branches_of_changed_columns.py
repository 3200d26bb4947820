# ruff: noqa: E501 - SQL is not wrapped
"""A branch of a branch whose tables have columns, names and definitions of their own."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

SHOP = """
    CREATE TABLE customers (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
    CREATE TABLE orders (id serial PRIMARY KEY, customer integer REFERENCES customers, total integer, note text);
    CREATE TABLE plain (id integer PRIMARY KEY, v text);
    INSERT INTO customers (name) VALUES ('a'), ('b');
    INSERT INTO orders (customer, total, note) VALUES (1, 1000, 'x'), (2, 2000, 'y'), (1, 3000, 'z');
    INSERT INTO plain VALUES (1, 'p');
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""
MIGRATION = """
    ALTER TABLE orders ADD paid integer NOT NULL DEFAULT 0, DROP note, ADD CHECK (paid < 9);
    ALTER TABLE orders ALTER total TYPE numeric(10, 2) USING total / 100.0;
    CREATE INDEX by_total ON orders (total);
    CREATE TABLE refunds (id serial PRIMARY KEY, of_order integer REFERENCES orders);
    ALTER TABLE customers RENAME name TO title;
    INSERT INTO orders (customer, total, paid) VALUES (2, 5, 1);
    INSERT INTO refunds (of_order) VALUES (1);
    UPDATE orders SET paid = 1 WHERE id = 2;
    UPDATE plain SET v = 'of the feature';
    DELETE FROM orders WHERE id = 3;
"""
TABLES = ("customers", "orders", "refunds", "plain")


def shown(session: Connection) -> dict[str, list[str]]:
    return {
        table: [row for (row,) in query(session, f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY id")]
        for table in TABLES
    }


def migrate(db: Database, form: str) -> None:
    db.run(f"SELECT pggit.create_branch('feature', p_materialize => '{form}')")
    query(db.connect(branch="feature"), MIGRATION)


@pytest.fixture(params=["none", "all"])
def feature(db: Database, request: pytest.FixtureRequest) -> Connection:
    db.begin(SHOP).begin(migrate, request.param)
    return db.connect(branch="feature")


def info(db: Database, name: str) -> tuple[str, str, str]:
    return db.row("SELECT parent, base_commit, head FROM pggit.list_branches() WHERE name = %s", name)


@pytest.mark.parametrize("form", ["none", "all"])
def test_it_has_what_its_parent_has_and_goes_its_own_way(db: Database, feature: Connection, form: str) -> None:
    db.run("UPDATE customers SET name = 'A' WHERE id = 1; ALTER TABLE orders ADD later integer")  # main goes on
    db.run(f"SELECT pggit.create_branch('child', 'feature', p_materialize => '{form}')")
    head = db.value("SELECT head FROM pggit.list_branches() WHERE name = 'feature'")
    assert info(db, "child") == ("feature", head, head)
    child = db.connect(branch="child")
    before = shown(feature)
    assert shown(child) == before
    assert db.rows("SELECT * FROM pggit.diff_schema('feature', 'child')") == []
    assert db.rows("SELECT * FROM pggit.status('child')") == []
    assert query(child, "INSERT INTO orders (customer, total) VALUES (1, 8) RETURNING paid").fetchall() == [(0,)]
    with raises("23514"):
        query(child, "UPDATE orders SET paid = 9")
    with raises("23503"):
        query(child, "INSERT INTO refunds (of_order) VALUES (99)")
    query(
        child,
        "ALTER TABLE orders ADD mine integer DEFAULT 4; UPDATE plain SET v = 'of the child'",
    )
    assert shown(feature) == before
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('child', 'feature')") == ("fast_forward", None)
    assert shown(feature) == shown(child)
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('feature', 'main')") == ("merged", None)
    assert db.rows("SELECT id, mine FROM orders WHERE id < 3 ORDER BY id") == [(1, 4), (2, 4)]
    assert db.rows("SELECT title FROM customers ORDER BY id") == [("A",), ("b",)]


def test_of_a_tag_of_a_branch_of_a_branch_and_of_one_that_is_gone(db: Database, feature: Connection) -> None:
    query(feature, "SELECT pggit.tag('v1', pggit.commit('migrated'))")
    then = shown(feature)
    query(feature, "ALTER TABLE orders ADD since integer; UPDATE plain SET v = 'since'")
    db.run("SELECT pggit.create_branch('old', 'v1', p_materialize => 'none')")
    assert shown(db.connect(branch="old")) == then
    db.run("SELECT pggit.create_branch('child', 'feature', p_materialize => 'none')")
    with db.connect(branch="child") as child:
        query(child, "ALTER TABLE plain ADD w integer DEFAULT 2; INSERT INTO plain VALUES (2, 'two')")
    db.run("SELECT pggit.create_branch('grandchild', 'child', p_materialize => 'none')")
    grandchild = db.connect(branch="grandchild")
    assert shown(grandchild) == shown(db.connect(branch="child"))
    assert query(grandchild, "SELECT w FROM plain ORDER BY id").fetchall() == [(2,), (2,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_no_merge_brings_there_is_refused_and_nothing_is_made(db: Database) -> None:
    db.run(
        "CREATE TABLE keyless (v text, w text GENERATED ALWAYS AS (v) STORED); INSERT INTO keyless VALUES ('a'); SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('feature')"
    )
    feature = db.connect(branch="feature")
    query(feature, "ALTER TABLE keyless ALTER w DROP EXPRESSION")
    with raises(
        "VG302",
        "a branch can't begin where tables have the columns that branch 'feature' gave them: column w of table",
    ):
        db.run("SELECT pggit.create_branch('child', 'feature')")
    assert db.rows("SELECT name FROM pggit.list_branches()") == [("main",), ("feature",)]


def test_of_one_that_has_nothing_of_its_own_when_its_parent_is_gone(db: Database, feature: Connection) -> None:
    db.run("SELECT pggit.create_branch('child', 'feature', p_materialize => 'none')")
    before = shown(db.connect(branch="child"))
    feature.close()
    db.run("SELECT pggit.delete_branch('feature', true)")
    db.run("SELECT pggit.create_branch('grandchild', 'child', p_materialize => 'none')")
    assert shown(db.connect(branch="grandchild")) == before
    db.run("SELECT pggit.gc(false)")
    assert shown(db.connect(branch="child")) == before
    assert db.rows("SELECT * FROM pggit.verify()") == []
