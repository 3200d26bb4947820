"""Any state of the past can be checked out: all tables as they were then, in their shape, to be read, not written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.rows import dict_row

from fixtures.postgres import Database, query, raises

SHOP = """
    CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customers, amount numeric);
    CREATE TABLE notes (line text);
    CREATE VIEW totals AS
        SELECT c.name, sum(o.amount) AS total FROM customers AS c JOIN orders AS o ON o.customer = c.id GROUP BY c.name;
    SELECT pggit.track_schema('public');
    INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob');
    INSERT INTO orders VALUES (10, 1, 5), (11, 2, 7);
    INSERT INTO notes VALUES ('one'), ('one');
    SELECT pggit.commit('first');
    SELECT pggit.tag('v1');
    UPDATE customers SET name = 'Eve' WHERE id = 2;
    DELETE FROM orders WHERE id = 10;
    DELETE FROM notes;
    SELECT pggit.commit('second');
"""
ALL = """
    SELECT (SELECT json_agg(c ORDER BY c.id) FROM customers AS c)::text
        || (SELECT json_agg(o ORDER BY o.id) FROM orders AS o)::text
        || (SELECT count(*) FROM notes) || (SELECT json_agg(t ORDER BY t.name) FROM totals AS t)::text
"""

# For a lock, or until a branch is free: who wants one asks again and again.
WAITS = """
    SELECT count(*) FROM pg_stat_activity AS a
     WHERE a.pid = %s AND (a.wait_event = 'PgSleep' OR cardinality(pg_blocking_pids(a.pid)) > 0)
"""


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(SHOP)


def test_a_tag_a_commit_and_a_time_are_checked_out(shop: Database) -> None:
    session = shop.connect()
    now = query(session, ALL).fetchall()
    ((time,),) = query(session, "SELECT clock_timestamp()::text").fetchall()
    ((name,),) = query(session, "SELECT pggit.checkout('v1')").fetchall()
    then = query(session, ALL).fetchall()
    assert then != now
    assert "Bob" in then[0][0]
    assert name.startswith("@")
    shop.run("UPDATE orders SET amount = 0; UPDATE customers SET name = 'later'; SELECT pggit.commit('third')")
    assert query(session, ALL).fetchall() == then
    for ref in ("HEAD", "main~2", name):  # HEAD is what is checked out
        assert query(session, "SELECT pggit.checkout(%s)", ref).fetchall() == [(name,)]
        assert query(session, ALL).fetchall() == then
    assert query(session, "SELECT message FROM pggit.log()").fetchall()[0] == ("first",)
    query(session, "SELECT pggit.checkout(%s)", time)
    assert query(session, ALL).fetchall() == now
    query(session, "SELECT pggit.checkout('main')")
    assert "later" in query(session, ALL).fetchall()[0][0]
    assert shop.value("SELECT array_agg(name) FROM pggit.list_branches()") == ["main"]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_state_of_a_branch_with_what_it_made(shop: Database) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(dev, "INSERT INTO customers VALUES (3, 'Dan'); DELETE FROM orders; CREATE TABLE extra (id int PRIMARY KEY)")
    query(dev, "INSERT INTO extra VALUES (7); SELECT pggit.commit('on dev'); SELECT pggit.tag('dev-1')")
    query(dev, "DELETE FROM customers WHERE id = 3; DELETE FROM extra; SELECT pggit.commit('more')")
    query(dev, "SELECT pggit.checkout('dev-1')")
    assert query(
        dev, "SELECT count(*), (SELECT count(*) FROM orders), (SELECT id FROM extra) FROM customers"
    ).fetchall() == [(3, 0, 7)]
    query(dev, "SELECT pggit.checkout('dev')")
    assert query(dev, "SELECT count(*) FROM customers").fetchall() == [(2,)]


def test_tables_have_the_shape_they_had(shop: Database) -> None:
    shop.run(
        "ALTER TABLE customers ADD COLUMN age int DEFAULT 3; ALTER TABLE orders DROP COLUMN amount CASCADE;"
        "SELECT pggit.commit('x')"
    )
    for _ in range(2):  # made after the change, and open across the next
        session = shop.connect(branch=None)
        query(session, "SELECT pggit.checkout('v1')")
        cursor = session.cursor(row_factory=dict_row)
        assert cursor.execute("SELECT * FROM customers WHERE id = 2").fetchall() == [{"id": 2, "name": "Bob"}]
        assert cursor.execute("SELECT * FROM orders WHERE id = 10").fetchall() == [
            {"id": 10, "customer": 1, "amount": 5}
        ]
        shop.run("ALTER TABLE customers ALTER COLUMN name TYPE varchar(90)")


WRITES = (
    "INSERT INTO customers VALUES (9, 'x')",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM orders WHERE false",
    "INSERT INTO notes VALUES ('x')",
    "TRUNCATE notes",
    "ALTER TABLE customers ADD COLUMN x int",
    "ALTER TABLE notes ADD COLUMN x int",
    "DROP TABLE customers",
    "DROP TABLE notes",
    "DROP VIEW totals",
    "CREATE TABLE more (id int)",
    "CREATE VIEW more AS SELECT 1 AS one",
    "CREATE INDEX ON notes (line)",
    "SELECT pggit.commit('x', p_allow_empty => true)",
    "SELECT pggit.merge('main')",
    "SELECT pggit.reset(pggit.current_branch(), 'main')",
    "SELECT pggit.revert('main')",
    "SELECT pggit.rename_branch(pggit.current_branch(), 'mine')",
    "SELECT pggit.ddl(NULL, 'CREATE TABLE more (id int)')",
)


@pytest.mark.parametrize("statement", WRITES)
def test_it_can_not_be_written(shop: Database, statement: str) -> None:
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    before = query(session, ALL).fetchall()
    with raises("VG301", "a state of the past"):
        query(session, statement)
    query(session, "CREATE TEMP TABLE scratch AS SELECT * FROM customers")
    query(session, "CREATE INDEX ON scratch (id)")
    assert query(session, ALL).fetchall() == before


def test_a_branch_of_it(shop: Database) -> None:
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    then = query(session, ALL).fetchall()
    query(session, "SELECT pggit.create_branch('fix')")
    query(session, "SELECT pggit.checkout('fix')")
    assert query(session, ALL).fetchall() == then
    assert shop.rows("SELECT name, parent FROM pggit.list_branches() WHERE name <> 'main'") == [("fix", "main")]
    query(session, "UPDATE customers SET name = 'fixed' WHERE id = 1")
    assert query(session, "SELECT result FROM pggit.merge('fix', 'main')").fetchall() == [("merged",)]
    assert shop.rows("SELECT name FROM customers ORDER BY id") == [("fixed",), ("Eve",)]


def test_two_sessions_share_it_and_gc_takes_it_when_both_have_left(shop: Database) -> None:
    one, two = shop.connect(), shop.connect()
    for session in (one, two):
        query(session, "SELECT pggit.checkout('v1')")
    query(one, "SELECT pggit.checkout('main')")
    taken = "SELECT rows FROM pggit.gc(%s) WHERE object = 'pggit.branches'"
    assert shop.rows(taken, False) == []
    assert "Bob" in query(two, ALL).fetchall()[0][0]
    query(two, "SELECT pggit.checkout('main')")
    assert shop.rows(taken, True) == [(1,)]
    assert shop.rows(taken, False) == [(1,)]
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public@%'") == []
    query(one, "SELECT pggit.checkout('v1')")
    assert "Bob" in query(one, ALL).fetchall()[0][0]


def test_index_paths_and_names(shop: Database) -> None:
    shop.run("INSERT INTO customers SELECT g, 'n' FROM generate_series(100, 5000) AS g; ANALYZE customers")
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    plan = "\n".join(line for (line,) in query(session, "EXPLAIN SELECT * FROM customers WHERE id = 2").fetchall())
    assert "Seq Scan on customers" not in plan
    with raises("VG001", "there is no branch 'nowhere'"):
        query(session, "SELECT pggit.checkout('nowhere')")
    with raises("VG002", "does not go back that far"):
        query(session, "SELECT pggit.checkout('v1~9')")
    with raises("VG201", "states of the past"):
        query(session, "SELECT pggit.create_branch('@mine')")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE customers DROP COLUMN name CASCADE",
        "DROP VIEW totals; ALTER TABLE customers ALTER id TYPE numeric",
        "DROP TABLE orders CASCADE",
        "SELECT pggit.untrack_table('orders')",
    ],
)
def test_ddl_of_main_takes_what_nobody_looks_at(shop: Database, statement: str) -> None:
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    query(session, "SELECT pggit.checkout('main')")
    shop.run(statement)
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public@%'") == []
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_table_that_main_drops_stays_with_who_looks_at_the_past(shop: Database) -> None:
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    then = query(session, ALL).fetchall()
    shop.run("DROP VIEW totals; DROP TABLE orders")
    assert query(session, ALL).fetchall() == then
    with raises("VG301"):
        query(session, "DELETE FROM orders")


def test_two_sessions_make_it_at_once(shop: Database) -> None:
    one, two = shop.connect(autocommit=False), shop.connect()
    ((name,),) = query(one, "SELECT pggit.checkout('v1')").fetchall()
    query(two, "SET statement_timeout = '60s'")
    with ThreadPoolExecutor() as pool:
        second = pool.submit(query, two, "SELECT pggit.checkout('v1')")
        while not shop.value("SELECT cardinality(pg_blocking_pids(%s))", two.info.backend_pid):
            assert not second.done()
        one.commit()
        assert second.result().fetchall() == [(name,)]
    assert query(two, ALL).fetchall() == query(one, ALL).fetchall()


def test_who_may_not_make_it_may_read_it_when_it_is_there(shop: Database) -> None:
    shop.run(
        "CREATE ROLE visitor LOGIN; "
        "GRANT USAGE ON SCHEMA pggit, public TO visitor; GRANT SELECT ON customers TO visitor"
    )
    try:
        visitor = shop.connect(user="visitor")
        with raises("42501"):
            query(visitor, "SELECT pggit.checkout('v1')")
        with raises("VG001"):
            query(visitor, "SELECT pggit.checkout('nowhere')")
        name = shop.value("SELECT pggit.checkout('v1')")
        query(visitor, "SELECT pggit.checkout(%s)", name)
        assert query(visitor, "SELECT name FROM customers WHERE id = 2").fetchall() == [("Bob",)]
        with raises("42501"):
            query(visitor, "SELECT * FROM orders")
    finally:
        shop.run("SELECT pggit.checkout('main')")
        visitor.close()
        shop.run("SELECT rows FROM pggit.gc(false); DROP OWNED BY visitor; DROP ROLE visitor")


@pytest.mark.parametrize("limit", ["0", "100ms"])
def test_ddl_waits_for_no_other_ddl_that_takes_it(shop: Database, limit: str) -> None:
    other, user = shop.connect(autocommit=False), shop.connect()
    shop.run("SELECT pggit.checkout('v1'); SELECT pggit.checkout('main')")
    shop.run("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.plain (id integer, line text)")
    query(other, "ALTER TABLE orders DROP COLUMN customer CASCADE")
    query(user, f"SET statement_timeout = '60s'; SET lock_timeout = '{limit}'")
    query(user, "ALTER TABLE elsewhere.plain DROP COLUMN line")
    query(user, "DROP TABLE elsewhere.plain")
    other.rollback()
    assert shop.value("SELECT to_regclass('elsewhere.plain')") is None
    assert shop.value("SELECT count(customer) FROM orders") == 1


def test_ddl_of_a_session_that_reads_it_goes_on(shop: Database) -> None:
    shop.run("CREATE TABLE plain (id integer, line text)")
    name = shop.value("SELECT pggit.checkout('v1')")
    shop.run("SELECT pggit.checkout('main')")
    shop.run(
        f"""DO $$ DECLARE v_line record; BEGIN
                FOR v_line IN SELECT * FROM "public@{name}".notes LOOP
                    ALTER TABLE plain DROP COLUMN IF EXISTS line;
                END LOOP;
            END $$"""
    )
    assert shop.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'plain'"
    ) == [("id",)]


def test_ddl_in_repeatable_read_takes_it_too(shop: Database) -> None:
    shop.run("SELECT pggit.checkout('v1'); SELECT pggit.checkout('main')")
    shop.run("BEGIN ISOLATION LEVEL REPEATABLE READ; ALTER TABLE orders DROP COLUMN amount CASCADE; COMMIT")
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public@%'") == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE customers DROP COLUMN name CASCADE",
        "ALTER TABLE customers ALTER id TYPE numeric",
        "DROP TABLE customers CASCADE",
    ],
)
@pytest.mark.parametrize("deletion", ["SELECT pggit.delete_branch('work')", "ALTER TABLE orders DROP COLUMN amount"])
def test_ddl_goes_on_when_another_transaction_has_deleted_what_it_waited_for(
    shop: Database, statement: str, deletion: str
) -> None:
    other, user = shop.connect(autocommit=False), shop.connect()
    shop.run("DROP VIEW totals; ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey; SELECT pggit.commit('apart')")
    if "delete_branch" in deletion:
        shop.run("SELECT pggit.create_branch('work', 'main', 'schema', 'none')")
    else:
        shop.run("SELECT pggit.checkout('HEAD'); SELECT pggit.checkout('main')")
    query(other, deletion)
    query(user, "SET statement_timeout = '60s'")
    with ThreadPoolExecutor() as pool:
        done = pool.submit(query, user, statement)
        while not shop.value(WAITS, user.info.backend_pid):
            assert not done.done()
        other.commit()
        done.result()
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public@%'") == []
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_who_loses_a_right_loses_it_in_the_past_too(shop: Database) -> None:
    shop.run(
        "CREATE ROLE late LOGIN; GRANT USAGE ON SCHEMA pggit, public TO late; GRANT SELECT ON customers, notes TO late"
    )
    late = shop.connect(user="late")
    for statement in ("REVOKE SELECT ON customers, notes FROM late", "ALTER TABLE orders ENABLE ROW LEVEL SECURITY"):
        name = shop.value("SELECT pggit.checkout('v1')")
        shop.run("SELECT pggit.checkout('main')")
        shop.run(statement)
        with raises("VG001"):
            query(late, "SELECT pggit.checkout(%s)", name)
    shop.run("SELECT pggit.checkout('v1')")
    query(late, "SELECT pggit.checkout('v1')")
    with raises("42501"):
        query(late, "SELECT * FROM customers")
    with raises("42501"):
        query(late, "SELECT * FROM notes")
    shop.run("SELECT pggit.checkout('main')")


def test_it_is_made_again_when_it_was_just_being_taken(shop: Database) -> None:
    other, session = shop.connect(autocommit=False), shop.connect()
    name = shop.value("SELECT pggit.checkout('v1')")
    shop.run("SELECT pggit.checkout('main')")
    query(other, "ALTER TABLE orders DROP COLUMN amount CASCADE")
    with ThreadPoolExecutor() as pool:
        made = pool.submit(query, session, "SELECT pggit.checkout('v1')")
        while not shop.value(WAITS, session.info.backend_pid):
            assert not made.done()
        other.commit()
        assert made.result().fetchall() == [(name,)]
    assert query(session, "SELECT name FROM customers WHERE id = 2").fetchall() == [("Bob",)]


def test_it_keeps_no_type_and_no_function_from_being_dropped(db: Database) -> None:
    db.run(
        """CREATE TYPE mood AS ENUM ('good');
           CREATE FUNCTION check_line() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
           CREATE TABLE goods (id bigint PRIMARY KEY, mood mood);
           CREATE TABLE lines (line text);
           CREATE TRIGGER checks BEFORE INSERT ON lines FOR EACH ROW EXECUTE FUNCTION check_line();
           SELECT pggit.track_schema('public');
           INSERT INTO goods VALUES (1, 'good');
           SELECT pggit.commit('first');
           SELECT pggit.tag('v1');
           ALTER TABLE goods DROP COLUMN mood;
           SELECT pggit.checkout('v1');
           SELECT pggit.checkout('main');
           DROP TRIGGER checks ON lines;
           DROP TYPE mood;
           SELECT pggit.checkout('v1');
           SELECT pggit.checkout('main');
           DROP FUNCTION check_line()"""
    )
    assert db.rows("SELECT * FROM pggit.verify()") == []
