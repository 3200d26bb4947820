# ruff: noqa: E501 - SQL is not wrapped
"""Branch views keep the index paths of their tables: every arm by index, no sort before a LIMIT, no subquery scan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query

from .schema import rows, tracked, value

pytestmark = pytest.mark.each_version

Node = dict[str, Any]
ROWS = 120_000
QUERIES = {
    "point": "SELECT * FROM orders WHERE id = 777",
    "range": "SELECT count(*) FROM orders WHERE id BETWEEN 500 AND 600",
    "foreign key": "SELECT * FROM orders WHERE customer_id = 77",
    "join with a parameter": "SELECT o.* FROM customers AS c JOIN orders AS o ON o.customer_id = c.id WHERE c.name = 'customer 77'",
    "newest": "SELECT * FROM orders ORDER BY created_at DESC LIMIT 10",
    "page": "SELECT * FROM orders WHERE id > 5000 ORDER BY id LIMIT 50",
    "expression": "SELECT * FROM orders WHERE lower(status) = 'odd 777'",
    "domain": "SELECT * FROM orders WHERE amount = 777",
}
SORTED = {"newest", "page"}
FEW = {"point", *SORTED}
READ = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname ~ '^_(log|delta|mask|undo)_'"


def nodes(plan: Node) -> Iterator[Node]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explain(session: Connection, sql: str) -> list[Node]:
    found = value(session, f"EXPLAIN (FORMAT JSON, COSTS OFF) {sql}")
    assert isinstance(found, list)
    return list(nodes(found[0]["Plan"]))


def assert_index_paths(session: Connection, name: str, large: set[str]) -> None:
    plan = explain(session, QUERIES[name])
    kinds = {node["Node Type"] for node in plan}
    text = json.dumps(plan[0], indent=1)
    assert "Subquery Scan" not in kinds, text
    # Arms of rows: base, log, delta. The log a second time, in the anti-join, may be hashed where many rows are asked for.
    full = [node for node in plan if node["Node Type"] == "Seq Scan" and node["Relation Name"] in large]
    assert not [node for node in full if node["Alias"] in ("b", "h", "d") or name in FEW], text
    if name in SORTED:
        whole = [node for node in plan if node["Node Type"] in ("Sort", "Incremental Sort", "Hash", "Materialize")]
        assert not [
            node
            for node in whole
            for part in nodes(node)
            if part.get("Relation Name") in large and "Index Cond" not in part
        ], text


@pytest.fixture
def work(db: Database) -> Connection:
    session = tracked(
        db,
        f"""
        CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE >= 0);
        CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);
        CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, status varchar(20), amount price,
                             twice numeric GENERATED ALWAYS AS (amount * 2) STORED, created_at timestamptz NOT NULL);
        INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 2000) AS g;
        INSERT INTO orders (id, customer_id, status, amount, created_at) SELECT g, 1 + g % 2000, 'Odd ' || g, g, '2026-01-01'::timestamptz + g * interval '1 minute' FROM generate_series(1, {ROWS}) AS g;
        CREATE INDEX ON orders (customer_id);
        CREATE INDEX ON orders (created_at);
        CREATE INDEX ON orders (amount);
        CREATE INDEX ON orders (lower(status)) WHERE status IS NOT NULL;
        ANALYZE;
        """,
    )
    db.run("VACUUM")
    return session


def test_index_paths(db: Database, work: Connection) -> None:
    assert value(work, "SELECT count(*) FROM orders") == ROWS
    for name in QUERIES:
        assert_index_paths(work, name, {"orders"})

    # The base moves, the branch changes; statistics come and go.
    db.run("UPDATE orders SET amount = amount + 1 WHERE id % 20 = 0")
    db.run("DELETE FROM orders WHERE id % 1000 = 7")
    query(work, "UPDATE orders SET amount = amount + 2 WHERE id % 50 = 1")
    for statement, large in ("SELECT", {"orders"}), ("ANALYZE", {"orders", "_log_2", "_delta_2"}):
        db.run(statement)
        for name in QUERIES:
            assert_index_paths(work, name, large)
    assert rows(work, "SELECT id, amount FROM orders WHERE id IN (7, 20, 51) ORDER BY id") == [
        (7, 7),
        (20, 20),
        (51, 53),
    ]


def test_few_rows_are_looked_up_among_what_the_branch_owns_and_many_are_hashed(db: Database, work: Connection) -> None:
    """Also in a join of two views, of which the planner expects a 200th of all rows."""
    query(work, "UPDATE orders SET status = 'mine' WHERE id % 10 = 0")
    db.run("ANALYZE")
    for name in ("point", "foreign key", "join with a parameter", "newest", "page"):
        owned = [node for node in explain(work, QUERIES[name]) if node.get("Relation Name") == "_mask_2"]
        assert owned
        assert all("c1 = COALESCE" in node.get("Index Cond", "") for node in owned), (name, owned)
    for sql in (
        "SELECT sum(amount) FROM orders",
        "SELECT max(c.name), count(*) FROM customers AS c JOIN orders AS o ON o.customer_id = c.id",
    ):
        owned = [node for node in explain(work, sql) if node.get("Relation Name") == "_mask_2"]
        assert owned
        assert not [node for node in owned if "c1" in node.get("Index Cond", "")], sql


def test_a_branch_costs_the_same_for_any_number_of_rows(db: Database, work: Connection) -> None:
    pages = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c WHERE c.relnamespace = 'pggit'::regnamespace AND c.relname LIKE '\\_%'"
    before = db.value(pages)
    db.run("SELECT pggit.create_branch('cheap', p_materialize => 'none')")
    assert db.value(pages) == before
    assert db.value('SELECT count(*) FROM "public@cheap".orders') == ROWS


@pytest.mark.parametrize("emptied", [False, True])
def test_a_statement_reads_of_each_store_what_it_writes(db: Database, emptied: bool) -> None:
    """Plans are kept for the session: one made while the stores are empty, and known to be, must not read all of them for each row later."""
    count = 400
    work = tracked(
        db,
        f"""
        CREATE TABLE parents (id integer PRIMARY KEY, code integer NOT NULL UNIQUE, a integer, b text);
        CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents, code integer REFERENCES parents (code));
        CREATE INDEX ON parents (a);
        CREATE INDEX ON parents (b, a);
        CREATE INDEX ON children (parent);
        CREATE INDEX ON children (code);
        INSERT INTO parents SELECT g, g, g % 10, 'b' FROM generate_series(1, 3 * {count}) AS g;
        ANALYZE;
        """,
    )
    if emptied:
        db.run("VACUUM ANALYZE")
    for sql in [
        f"UPDATE parents SET a = a + 1 WHERE id <= {count}",
        f"UPDATE parents SET code = code + 50000 WHERE id <= {count}",
        f"INSERT INTO parents SELECT 30000 + g, g, 1, 'b' FROM generate_series(1, {count}) AS g",
        f"INSERT INTO parents SELECT 10000 + g, 10000 + g, 1, 'b' FROM generate_series(1, {count}) AS g",
        f"INSERT INTO children SELECT g, g, 10000 + g FROM generate_series(1, {count}) AS g",
        f"DELETE FROM parents WHERE id > {2 * count} AND id < 10000",
        f"UPDATE parents SET id = id + 20000 WHERE id > {count} AND id <= {2 * count}",
        "DELETE FROM children",
    ]:
        query(work, "SELECT pg_stat_force_next_flush()")
        before = db.value(READ)
        query(work, sql)
        query(work, "SELECT pg_stat_force_next_flush()")
        assert db.value(READ) - before < 20 * count, sql
