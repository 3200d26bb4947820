"""Views and functions that read tracked tables read the branch's rows on a branch, and main's on main."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE "Order 100%" (id int PRIMARY KEY, customer int REFERENCES customers, price numeric(10,2));
    INSERT INTO customers VALUES (1, 'Ada'), (2, 'Blaise');
    INSERT INTO "Order 100%" VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
    CREATE VIEW dear WITH (security_barrier = true) AS
        SELECT o.id, c.name, o.price FROM "Order 100%" AS o JOIN customers AS c ON c.id = o.customer WHERE o.price > 15;
    CREATE VIEW "dear ones" AS SELECT DISTINCT name FROM dear WHERE public.total() > 0;
    CREATE VIEW open_orders AS SELECT * FROM "Order 100%" WHERE price < 100 WITH CHECK OPTION;
    CREATE MATERIALIZED VIEW sums AS SELECT customer, sum(price) AS sum FROM "Order 100%" GROUP BY 1;
    CREATE VIEW unrelated AS SELECT 1 AS one;
    COMMENT ON VIEW dear IS 'over 15';
"""
FUNCTIONS = """
    SET check_function_bodies = off;
    CREATE FUNCTION total() RETURNS numeric LANGUAGE sql AS 'SELECT sum(price) FROM "Order 100%"';
"""
MORE = """
    CREATE FUNCTION parsed(p_above numeric DEFAULT 15) RETURNS bigint
        BEGIN ATOMIC SELECT count(*) FROM dear WHERE price > p_above; END;
    CREATE FUNCTION pinned() RETURNS numeric LANGUAGE sql SET search_path = public
        AS 'SELECT sum(price) FROM "Order 100%"';
    CREATE PROCEDURE raise_all() LANGUAGE plpgsql SET search_path TO public, pg_temp
        AS 'BEGIN UPDATE "Order 100%" SET price = price + 1; END';
    CREATE FUNCTION named() RETURNS numeric LANGUAGE sql AS 'SELECT sum(price) FROM public."Order 100%"';
"""
SEEN = """
    SELECT (SELECT json_agg(d ORDER BY id) FROM dear AS d)::text,
           (SELECT json_agg(n ORDER BY name) FROM "dear ones" AS n)::text,
           (SELECT json_agg(s ORDER BY customer) FROM sums AS s)::text, total(), parsed(), parsed(25), pinned()"""


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(FUNCTIONS + SHOP + MORE + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")


@pytest.fixture(params=["none", "all"])
def dev(shop: Database, request: pytest.FixtureRequest) -> Connection:
    shop.begin(f"SELECT pggit.create_branch('dev', p_materialize => '{request.param}')")
    return shop.connect(branch="dev")


def seen(session: Connection) -> object:
    return query(session, SEEN).fetchone()


def test_views_and_functions_read_the_branch(shop: Database, dev: Connection) -> None:
    main = seen(shop.conn)
    assert seen(dev) == main
    query(dev, "DELETE FROM \"Order 100%\" WHERE id = 3; UPDATE customers SET name = 'Ada L.' WHERE id = 1")
    assert seen(dev) == (
        '[{"id":2,"name":"Ada L.","price":20.00}]',
        '[{"name":"Ada L."}]',
        '[{"customer":1,"sum":30.00}]',
        30,
        1,
        0,
        30,
    )
    assert seen(shop.conn) == main
    query(dev, "CALL raise_all(); UPDATE open_orders SET price = 7 WHERE id = 1")
    assert query(dev, "SELECT total()").fetchone() == (28,)
    with raises("44000"):
        query(dev, "INSERT INTO open_orders VALUES (9, 1, 500)")
    assert seen(shop.conn) == main
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_they_go_where_the_branch_goes(shop: Database, dev: Connection) -> None:
    query(dev, 'DELETE FROM "Order 100%" WHERE id = 3')
    expected = seen(dev)
    query(dev, 'ALTER TABLE "Order 100%" ADD x int')
    assert seen(dev) == expected, "its table is a real one now"
    shop.run("SELECT pggit.materialize('dev', 'customers')")
    assert seen(dev) == expected
    query(dev, "SELECT pggit.rename_branch('dev', 'new')")
    shop.run("SELECT pggit.create_branch('dev', 'main')")
    assert seen(dev) == expected
    query(
        dev,
        'ALTER TABLE "Order 100%" DROP x;'
        "CREATE OR REPLACE VIEW dear AS SELECT 1 AS id, 'me' AS name, 99::numeric(10,2) AS price",
    )
    query(dev, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT pggit.delete_branch('new', true)")
    assert shop.rows("SELECT count(*) FROM pg_views WHERE schemaname = 'public@new'") == [(0,)]


def test_a_branch_of_a_branch_has_those_of_its_parent(shop: Database) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(
        dev,
        "CREATE OR REPLACE VIEW dear AS SELECT o.id, c.name, o.price "
        'FROM "Order 100%" AS o JOIN customers AS c ON c.id = o.customer WHERE o.price > 25',
    )
    query(dev, 'CREATE VIEW mine AS SELECT count(*) FROM customers; DELETE FROM "Order 100%" WHERE id = 1')
    shop.run("SELECT pggit.create_branch('sub', 'dev', p_materialize => 'none')")
    sub = shop.connect(branch="sub")
    assert seen(sub) == seen(dev)
    query(sub, "INSERT INTO customers VALUES (3, 'Carl'); INSERT INTO \"Order 100%\" VALUES (4, 3, 40)")
    assert query(sub, "SELECT * FROM mine").fetchone() == (3,)
    assert query(sub, "SELECT count(*), sum(price) FROM dear").fetchone() == (2, 70)
    assert query(dev, "SELECT count(*), sum(price) FROM dear").fetchone() == (1, 30)


def test_what_can_not_read_the_branch_is_told(shop: Database) -> None:
    shop.run("""
        CREATE ROLE somebody;
        GRANT CREATE ON SCHEMA public TO somebody;
        GRANT SELECT ON customers TO somebody;
        SET ROLE somebody;
        CREATE VIEW theirs AS SELECT count(*) FROM customers;
        RESET ROLE;
        SELECT pggit.create_branch('dev', p_materialize => 'all');
        CREATE VIEW later AS SELECT count(*) FROM customers;
    """)
    told = shop.rows("SELECT table_name, kind FROM pggit.branch_capabilities('dev')")
    assert told == [("public.later", "view"), ("public.named", "function")]
    assert shop.rows("SELECT viewowner FROM pg_views WHERE schemaname = 'public@dev' AND viewname = 'theirs'") == [
        ("somebody",)
    ]
    shop.run("SELECT pggit.delete_branch('dev'); DROP OWNED BY somebody; DROP ROLE somebody")


def test_a_copy_never_runs_with_more_rights_than_the_original(plain_owner: Connection, db: Database) -> None:
    query(plain_owner, "CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t")
    query(plain_owner, "SELECT pggit.track_schema('public')")
    db.run(
        "ALTER VIEW v OWNER TO postgres;"
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM public.t; END"
    )
    query(plain_owner, "SELECT pggit.create_branch('dev')")
    told = query(plain_owner, "SELECT table_name, kind FROM pggit.branch_capabilities('dev')").fetchall()
    assert [row for row in told if row[1] in ("view", "function")] == [("public.f", "function"), ("public.v", "view")]
    assert db.rows("SELECT count(*) FROM pg_views WHERE schemaname = 'public@dev' AND viewname = 'v'") == [(0,)]


def test_triggers_that_read_main_are_told(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE FUNCTION free() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM FROM t; RETURN NEW; END';
        CREATE FUNCTION named() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM FROM public.t; RETURN NEW; END';
        CREATE FUNCTION pinned() RETURNS trigger LANGUAGE plpgsql SET search_path = public
            AS 'BEGIN PERFORM FROM t; RETURN NEW; END';
        CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION free();
        CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION named();
        CREATE TRIGGER c BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pinned();
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('dev', p_materialize => 'all');
    """)
    told = "SELECT substring(limitation FROM 'trigger . calls [a-z.]+') FROM pggit.branch_capabilities('dev')"
    assert db.rows(told + " WHERE kind = 'trigger'") == [
        ("trigger b calls public.named",),
        ("trigger c calls public.pinned",),
    ]
    assert db.value("SELECT count(*) FROM pggit.branch_capabilities('dev') WHERE kind = 'function'") == 2
