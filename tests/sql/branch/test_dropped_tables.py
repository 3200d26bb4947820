# ruff: noqa: E501 - SQL is not wrapped
"""DROP TABLE on a branch: the table is gone there, its history is not, and main keeps its own until a merge says otherwise."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import SHOP, intact, merged, rows, value

LOGS = "CREATE TABLE logs (line text); INSERT INTO logs VALUES ('a'), ('a'), ('b');"


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(SHOP + LOGS + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")


@pytest.fixture(params=["none", "all"])
def dev(shop: Database, request: pytest.FixtureRequest) -> Connection:
    """A session on a branch whose tables are views, or real."""
    shop.begin(f"SELECT pggit.create_branch('dev', p_materialize => '{request.param}')")
    return shop.connect(branch="dev")


def test_the_name_stays_shut(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "UPDATE orders SET status = 'dev' WHERE id = 1; DELETE FROM orders WHERE id = 2; SELECT pggit.commit('before')",
    )
    query(
        dev, "BEGIN; DROP TABLE orders; ROLLBACK; BEGIN; DROP TABLE orders, logs; SELECT pggit.commit('gone'); COMMIT"
    )
    for sql in (
        "SELECT * FROM orders",
        "SELECT count(*) FROM orders",
        "INSERT INTO orders (status) VALUES ('x')",
        "DELETE FROM orders",
        "SELECT 1 FROM logs",
        "DROP TABLE orders",
        "DROP TABLE logs CASCADE",
    ):
        with raises("42P01", "does not exist"):
            query(dev, sql)
    query(dev, "DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS orders, logs CASCADE")
    with raises("42P01"):
        query(dev, "SELECT * FROM orders")
    assert shop.value("SELECT count(*) FROM orders") == 200
    assert rows(dev, "SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [
        ("public.logs", 0, 0, 3),
        ("public.orders", 0, 0, 199),
    ]
    assert rows(
        dev, "SELECT count(*), count(*) FILTER (WHERE status = 'dev') FROM pggit.as_of(NULL::public.orders, 'HEAD~1')"
    ) == [(199, 1)]
    assert rows(dev, "SELECT count(*) FROM pggit.diff_rows('public.orders', 'HEAD~1', 'HEAD')") == [(199,)]
    assert rows(dev, "SELECT line FROM pggit.as_of(NULL::public.logs, 'HEAD~1') ORDER BY 1") == [("a",), ("a",), ("b",)]
    assert intact(shop)

    shop.run("SELECT pggit.create_branch('sub', 'dev')")
    sub = shop.connect(branch="sub")
    with raises("42P01"):
        query(sub, "SELECT * FROM orders")
    assert rows(sub, "SELECT * FROM pggit.diff('dev')") == []
    query(
        dev, "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1); SELECT pggit.commit('another')"
    )
    assert rows(dev, "SELECT * FROM orders") == [(1,)]
    query(dev, "DROP TABLE orders; SELECT pggit.commit('gone too')")
    with raises("42P01"):
        query(dev, "SELECT * FROM orders")
    query(dev, "SELECT pggit.checkout('main')")
    query(sub, "SELECT pggit.checkout('main')")
    assert intact(shop)
    assert shop.value("SELECT pggit.delete_branch('dev', true)")
    assert shop.value("SELECT pggit.delete_branch('sub', true)")
    assert intact(shop)


def test_who_is_referred_to_is_not_dropped_without_cascade(shop: Database, dev: Connection) -> None:
    with raises("2BP01", "other objects depend on it"):
        query(dev, "DROP TABLE customers")
    query(
        dev,
        "DROP TABLE customers CASCADE; INSERT INTO orders (customer_id) VALUES (12345); SELECT pggit.commit('free')",
    )
    with raises("42P01"):
        query(dev, "SELECT * FROM customers")
    assert intact(shop)


def test_a_reset_brings_it_back(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "UPDATE orders SET status = 'dev' WHERE id = 1; DELETE FROM orders WHERE id = 2; INSERT INTO logs VALUES ('dev'); SELECT pggit.commit('before')",
    )
    expected = rows(dev, "SELECT id, status FROM orders ORDER BY id")
    query(dev, "DROP TABLE orders; DROP TABLE logs; SELECT pggit.commit('gone')")
    shop.run(
        "DELETE FROM orders WHERE id = 3; INSERT INTO orders (customer_id) VALUES (1); SELECT pggit.commit('main')"
    )
    query(dev, "SELECT pggit.reset('dev', 'HEAD~1')")
    assert rows(dev, "SELECT id, status FROM orders ORDER BY id") == expected
    assert rows(dev, "SELECT line FROM logs ORDER BY 1") == [("a",), ("a",), ("b",), ("dev",)]
    assert rows(dev, "SELECT * FROM pggit.status()") == []
    query(dev, "UPDATE orders SET status = 'again' WHERE id = 5; SELECT pggit.commit('again')")
    assert intact(shop)
    query(dev, "SELECT pggit.reset('dev', 'main')")
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == []
    assert intact(shop)


def test_a_merge_drops_what_main_has_left_alone(shop: Database, dev: Connection) -> None:
    query(dev, "DROP TABLE orders; DROP TABLE logs; SELECT pggit.commit('gone')")
    planned = shop.row("SELECT result, schema_changes, detail -> 'ddl' FROM pggit.plan_merge('dev', 'main')")
    assert planned == (
        "planned",
        2,
        ["DROP TABLE public.logs -- with 3 rows", "DROP TABLE public.orders -- with 200 rows"],
    )
    assert shop.value("SELECT count(*) FROM orders") == 200
    shop.run("UPDATE orders SET status = 'main' WHERE id = 7; SELECT pggit.commit('main')")
    assert merged(shop, "dev", "main") == "refused: 'dev' dropped table public.orders, and 'main' has changed it since"
    assert merged(shop, "main", "dev") == "refused: 'dev' dropped table public.orders, and 'main' has changed it since"
    shop.run("SELECT pggit.revert('HEAD', 'main')")
    shop.run("SELECT pggit.create_branch('other', 'main', p_materialize => 'none')")
    assert merged(shop, "dev", "main") == "merged"
    other = shop.connect(branch="other")
    assert rows(other, "SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id") == [(200,)]
    query(other, "INSERT INTO orders (customer_id) VALUES (1); SELECT pggit.reset('other', 'HEAD')")
    assert merged(shop, "dev", "other") == "merged"
    for session in (shop.conn, dev, other):
        with raises("42P01"):
            query(session, "SELECT * FROM orders")
    assert shop.rows("SELECT * FROM pggit.diff('main~1', 'main')") == [
        ("public.logs", 0, 0, 3),
        ("public.orders", 0, 0, 200),
    ]
    assert shop.value("SELECT count(*) FROM pggit.diff_rows('orders', 'main~1', 'main')") == 200
    assert intact(shop)
    for source, target in (("main", "dev"), ("main", "other"), ("dev", "main")):
        assert merged(shop, source, target) in ("merged", "fast_forward", "up_to_date")
    query(
        dev,
        "CREATE TABLE orders (id int PRIMARY KEY, a int); INSERT INTO orders VALUES (1, 2); SELECT pggit.commit('new ones')",
    )
    assert merged(shop, "dev", "main") in ("merged", "fast_forward")
    assert merged(shop, "main", "other") in ("merged", "fast_forward")
    assert shop.rows("SELECT * FROM orders") == rows(other, "SELECT * FROM orders") == [(1, 2)]
    assert intact(shop)


def test_main_keeps_what_still_needs_the_table(shop: Database, dev: Connection) -> None:
    query(dev, "DROP TABLE logs; SELECT pggit.commit('logs')")
    shop.run("CREATE VIEW lines AS SELECT line FROM logs")
    assert "view lines depends on table logs" in merged(shop, "dev", "main")
    assert shop.value("SELECT count(*) FROM lines") == 3
    assert intact(shop)


def test_what_was_dropped_with_the_table_goes_with_it(shop: Database, dev: Connection) -> None:
    """Foreign keys and views that the branch has dropped, too; main's own stay in the way."""
    query(dev, "CREATE VIEW emails AS SELECT email FROM customers; SELECT pggit.merge('dev', 'main')")
    shop.run("SELECT pggit.create_branch('other', 'main', p_materialize => 'all')")
    query(dev, "DROP VIEW emails; DROP TABLE customers CASCADE; SELECT pggit.commit('gone')")
    shop.run("ALTER TABLE orders ADD payer bigint CONSTRAINT whose REFERENCES customers; SELECT pggit.commit('whose')")
    assert "constraint whose on table orders depends on table customers" in merged(shop, "dev", "main")
    assert shop.value("SELECT count(*) FROM emails") == 20
    shop.run("ALTER TABLE orders DROP payer; SELECT pggit.commit('nobody''s')")
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT to_regclass('customers'), to_regclass('emails')") == [(None, None)]
    other = shop.connect(branch="other")
    assert rows(other, "SELECT count(*) FROM emails") == [(20,)]
    assert merged(shop, "main", "other") in ("merged", "fast_forward")
    for name in ("customers", "emails"):
        with raises("42P01"):
            query(other, f"SELECT * FROM {name}")
    assert intact(shop)


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_revert_takes_a_table_away_and_makes_another_again(shop: Database, form: str) -> None:
    """Of what a merge made and dropped; as it was, with its rows, what refers to it, and who shows it."""
    shop.run(
        "CREATE VIEW emails AS SELECT email FROM customers; GRANT SELECT ON customers TO pg_monitor; COMMENT ON TABLE customers IS 'who';"
        "SELECT pggit.commit('said'); SELECT pggit.create_branch('other', p_materialize => 'none')"
    )
    shop.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    dev = shop.connect(branch="dev")
    before = shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(1) ORDER BY 1, 2")
    there = shop.rows("SELECT c.* FROM customers AS c ORDER BY id")
    query(
        dev,
        "DROP VIEW emails; DROP TABLE customers CASCADE; CREATE TABLE parcels (id serial PRIMARY KEY, of int REFERENCES orders);"
        "INSERT INTO parcels (of) VALUES (1), (2); ALTER TABLE orders ADD parcel int REFERENCES parcels; SELECT pggit.commit('shape')",
    )
    assert merged(shop, "dev", "main") == "fast_forward"
    after = shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(1) ORDER BY 1, 2")

    shop.run("INSERT INTO parcels (of) VALUES (3); SELECT pggit.commit('a parcel')")
    refused = shop.value("SELECT (pggit.revert('HEAD~1')).detail ->> 'reason'")
    assert "has been changed on 'main' since: DROP TABLE it if that may go" in refused
    shop.run("SELECT pggit.revert('HEAD')")
    for ref, expected in (("HEAD~2", before), ("HEAD", after), ("HEAD", before)):
        assert shop.value("SELECT (pggit.revert(%s)).result", ref) == "merged"
        assert (
            shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(1) ORDER BY 1, 2")
            == expected
        )
        assert intact(shop)
    assert shop.rows("SELECT c.* FROM customers AS c ORDER BY id") == there
    assert shop.rows("SELECT pggit.reset('main', 'HEAD~1'), to_regclass('customers')")[0][1] is None
    other = shop.connect(branch="other")
    assert rows(other, "SELECT count(*) FROM customers") == [(20,)]
    assert intact(shop)


def test_a_partitioned_table_comes_again_with_its_partitions(shop: Database) -> None:
    shop.run(
        "CREATE TABLE days (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);"
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);"
        "CREATE TABLE days_2a PARTITION OF days_2 FOR VALUES IN (1, 2); INSERT INTO days VALUES (1, '2026-01-05'), (2, '2026-02-07');"
        "SELECT pggit.commit('days'); SELECT pggit.create_branch('dev'); SELECT pggit.create_branch('other', p_materialize => 'none')"
    )
    before = shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(1) ORDER BY 1, 2")
    query(shop.connect(branch="dev"), "DROP TABLE days; SELECT pggit.commit('no days')")
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.value("SELECT (pggit.revert('HEAD')).result") == "merged"
    assert (
        shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(1) ORDER BY 1, 2") == before
    )
    shop.run("INSERT INTO days_2a VALUES (1, '2026-02-08')")
    assert shop.rows("SELECT tableoid::regclass::text, id FROM days ORDER BY 1, 2") == [
        ("days_1", 1),
        ("days_2a", 1),
        ("days_2a", 2),
    ]
    assert shop.rows("SELECT inserted FROM pggit.status()") == [(1,)]
    assert intact(shop)


def test_what_main_dropped_without_saving_it_is_not_made_again(shop: Database) -> None:
    shop.run("SET pggit.save_limit = '0'; DROP TABLE logs; SELECT pggit.commit('no logs')")
    result, reason = shop.row("SELECT result, detail ->> 'reason' FROM pggit.revert('HEAD')")
    assert result == "refused"
    assert "table public.logs was dropped on main, and its rows were not saved" in reason
    with raises("VG302", "public.logs was dropped on main"):
        shop.run("SELECT pggit.reset('main', 'HEAD~1')")


def test_a_migration_is_stashed_and_taken_back(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE parcels (id serial PRIMARY KEY, of int REFERENCES orders); INSERT INTO parcels (of) VALUES (1);"
        "ALTER TABLE orders ADD parcel int REFERENCES parcels; UPDATE orders SET parcel = 1 WHERE id = 1; CREATE VIEW sent AS SELECT of, one() FROM parcels",
    )
    before = shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(2) ORDER BY 1, 2")
    query(dev, "SELECT pggit.stash()")
    assert shop.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []
    assert rows(dev, "SELECT to_regclass('parcels'), to_regclass('sent')") == [(None, None)]
    assert value(dev, "SELECT (pggit.unstash()).result") == "merged"
    assert (
        shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(2) ORDER BY 1, 2") == before
    )
    assert rows(dev, "SELECT s.*, o.parcel FROM sent AS s, orders AS o WHERE o.id = 1") == [(1, 1, 1)]
    assert intact(shop)


def test_a_reset_makes_a_table_of_the_branch_again(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "CREATE TABLE parcels (id serial PRIMARY KEY, of int REFERENCES orders, note text DEFAULT 'x'); CREATE INDEX ON parcels (note); CREATE TABLE words (word text);"
        "INSERT INTO parcels (of) VALUES (1), (2); INSERT INTO words VALUES ('a'), ('a'); ALTER TABLE orders ADD parcel int REFERENCES parcels; SELECT pggit.commit('made')",
    )
    before = shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(2) ORDER BY 1, 2")
    query(
        dev,
        "ALTER TABLE orders DROP parcel; DROP TABLE parcels, words; SELECT pggit.commit('dropped'); SELECT pggit.reset('dev', 'HEAD~1')",
    )
    assert (
        shop.rows("SELECT object_type, object_name, definition FROM pggit._schema_objects(2) ORDER BY 1, 2") == before
    )
    assert rows(dev, "SELECT * FROM parcels ORDER BY id") == [(1, 1, "x"), (2, 2, "x")]
    assert rows(dev, "INSERT INTO parcels (of) VALUES (3) RETURNING id") == [(3,)]
    assert rows(dev, "SELECT * FROM words") == [("a",), ("a",)]
    assert intact(shop)
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.value("SELECT count(*) FROM parcels") == 3
    assert intact(shop)


def test_a_plain_owner_drops_through_a_function(plain_owner: Connection) -> None:
    query(
        plain_owner,
        SHOP
        + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'none'); SELECT pggit.checkout('dev')",
    )
    query(plain_owner, "SELECT pggit.ddl('dev', 'DROP TABLE orders')")
    query(plain_owner, "SELECT pggit.commit('gone')")
    for sql in ("SELECT * FROM orders", "SELECT pggit.ddl('dev', 'DROP TABLE orders')"):
        with raises("42P01"):
            query(plain_owner, sql)
    query(plain_owner, "SELECT pggit.ddl('dev', 'DROP TABLE IF EXISTS orders'); SELECT pggit.checkout('main')")
    assert value(plain_owner, "SELECT count(*) FROM orders") == 200
    assert rows(plain_owner, "SELECT * FROM pggit.diff('main', 'dev')") == [("public.orders", 0, 0, 200)]
    assert rows(plain_owner, "SELECT result FROM pggit.merge('dev', 'main')") == [("fast_forward",)]
    assert value(plain_owner, "SELECT to_regclass('orders')") is None
    assert rows(plain_owner, "SELECT * FROM pggit.verify()") == []
