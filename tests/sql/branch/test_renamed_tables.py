# ruff: noqa: E501 - SQL is not wrapped
"""A table of main's that gets another name on a branch: its history goes on, and merges carry the name to the other side with the rows of both."""

from __future__ import annotations

from fixtures.postgres import Connection, Database, query, raises

from .schema import intact, merged, rows, value


def test_a_rename_on_a_branch_merges_with_the_rows_of_both_sides(shop: Database, dev: Connection) -> None:
    shop.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    shop.run("SELECT pggit.create_branch('real', p_materialize => 'all')")
    query(dev, "UPDATE orders SET status = 'before' WHERE id = 1; SELECT pggit.commit('before')")
    query(dev, "BEGIN; ALTER TABLE orders RENAME TO gone; ROLLBACK; ALTER TABLE orders RENAME TO sales")
    with raises("42P01", "does not exist"):
        query(dev, "UPDATE orders SET status = 'x'")
    query(dev, "UPDATE sales SET status = 'after' WHERE id = 2; INSERT INTO sales (customer_id) VALUES (7)")
    query(dev, "SELECT pggit.commit('after')")
    assert rows(dev, "SELECT change, key FROM pggit.diff_rows('sales', 'HEAD~1', 'HEAD')") == [
        ("update", {"id": 2}),
        ("insert", {"id": 201}),
    ]
    assert rows(dev, "SELECT id, status FROM pggit.as_of(NULL::sales, 'HEAD~1') WHERE id < 3 ORDER BY id") == [
        (1, "before"),
        (2, "new"),
    ]
    assert [object for _, object, *_ in rows(dev, "SELECT * FROM pggit.diff_schema('main', 'dev')")] == ["public.sales"]
    shop.run("SELECT pggit.create_branch('sub', 'dev', p_materialize => 'none')")
    shop.run("UPDATE orders SET status = 'main' WHERE id = 3; ALTER TABLE orders ADD colour text DEFAULT 'red'")
    assert shop.value("SELECT result FROM pggit.plan_merge('dev', 'main')") == "planned"
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT id, status, colour FROM sales WHERE id < 4 OR id > 200 ORDER BY id") == [
        (1, "before", "red"),
        (2, "after", "red"),
        (3, "main", "red"),
        (201, "new", "red"),
    ]
    assert shop.value("SELECT to_regclass('orders')") is None
    for branch in ("dev", "views", "real", "sub"):
        assert merged(shop, "main", branch) in ("merged", "fast_forward")
        session = shop.connect(branch=branch)
        assert rows(session, "SELECT status FROM sales WHERE id < 4 ORDER BY id") == [
            ("before",),
            ("after",),
            ("main",),
        ]
        with raises("42P01"):
            query(session, "SELECT * FROM orders")
        query(session, "UPDATE sales SET status = current_setting('pggit.branch') WHERE id = 10")
        query(session, "SELECT pggit.commit('on')")
        assert shop.rows("SELECT * FROM pggit.diff('main', %s)", branch) == [("public.sales", 0, 1, 0)]
    assert merged(shop, "real", "main") == "fast_forward"
    assert shop.value("SELECT status FROM sales WHERE id = 10") == "real"
    assert value(dev, "SELECT count(*) FROM pggit.log()") == 6
    assert intact(shop)


def test_names_that_tables_change_in_a_circle_and_a_table_in_the_place_of_another(
    shop: Database, dev: Connection
) -> None:
    query(dev, "ALTER TABLE orders RENAME TO old; ALTER TABLE customers RENAME TO orders")
    query(dev, "ALTER TABLE old RENAME TO customers; SELECT pggit.commit('swapped')")
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.row("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM customers)") == (20, 200)
    query(
        dev,
        "ALTER TABLE orders RENAME TO people; CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (5)",
    )
    query(dev, "SELECT pggit.commit('another')")
    shop.run("UPDATE orders SET region = 9 WHERE id = 1")
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT id FROM orders") == [(5,)]
    assert shop.row("SELECT count(*), max(region) FROM people WHERE id = 1") == (1, 9)
    assert intact(shop)


def test_two_names_for_one_table_are_refused_until_one_is_chosen(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders RENAME TO sales; SELECT pggit.commit('sales')")
    shop.run("ALTER TABLE orders RENAME TO deals; SELECT pggit.commit('deals')")
    refused = "both sides renamed table public.orders: to public.deals here and to public.sales there"
    assert refused in merged(shop, "dev", "main")
    query(
        dev,
        "ALTER TABLE sales RENAME TO deals; UPDATE deals SET status = 'x' WHERE id = 1; SELECT pggit.commit('deals')",
    )
    assert merged(shop, "dev", "main") == "merged"
    assert shop.value("SELECT status FROM deals WHERE id = 1") == "x"
    query(dev, "ALTER TABLE deals RENAME TO later; SELECT pggit.commit('later')")
    assert merged(shop, "dev", "main") == "merged"
    shop.run("SELECT pggit.revert('HEAD')")
    assert shop.value("SELECT status FROM deals WHERE id = 1") == "x"
    assert intact(shop)


def test_a_table_goes_to_another_schema_on_a_branch_and_merges_move_it(db: Database) -> None:
    db.run("CREATE SCHEMA app; CREATE SCHEMA misc; CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1)")
    db.run(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, p int REFERENCES p, a text); INSERT INTO t (p) VALUES (1)"
    )
    db.run("SELECT pggit.track_schema('public'), pggit.track_schema('app'); SELECT pggit.commit('first')")
    db.run(
        "SELECT pggit.create_branch('b', p_materialize => 'none'), pggit.create_branch('c', p_materialize => 'none')"
    )
    b = db.connect(branch="b")
    with raises("VG307", "schema that the branch does not have"):
        query(b, "ALTER TABLE t SET SCHEMA misc")
    query(b, "ALTER TABLE t SET SCHEMA app")
    with raises("42P01", "does not exist"):
        query(b, "SELECT * FROM t")
    query(b, """INSERT INTO "app@b".t (p, a) VALUES (1, 'b'); SELECT pggit.commit('moved')""")
    assert rows(b, """SELECT count(*) FROM pggit.as_of(NULL::"app@b".t, 'HEAD~1')""") == [(1,)]
    db.run("INSERT INTO t (p, a) VALUES (1, 'main')")
    assert db.rows("SELECT detail -> 'ddl', rows_inserted FROM pggit.merge('b', 'main')") == [
        (["ALTER TABLE public.t SET SCHEMA app"], 1)
    ]
    assert merged(db, "main", "c") == merged(db, "main", "b") == "fast_forward"
    for name in ("app", '"app@b"', '"app@c"'):
        assert db.rows(f"SELECT id, a FROM {name}.t ORDER BY id") == [(1, None), (2, "b"), (3, "main")]
    assert db.value("SELECT (pggit.revert('HEAD')).result") == "merged"
    assert db.rows("SELECT id, a FROM public.t ORDER BY id") == [(1, None), (3, "main")]
    query(b, """ALTER TABLE "app@b".t SET SCHEMA "public@b"; SELECT pggit.commit('back')""")
    assert merged(db, "b", "main") == "merged"
    assert db.rows("SELECT * FROM pggit.verify()") == []
