"""DDL in a session that is on a branch: it works as on any database, and main does not notice."""

from __future__ import annotations

import pytest

from fixtures.postgres import INSTALL, Connection, Database, query, raises

from .schema import SHOP

Rows = list[tuple[object, ...]]


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")


@pytest.fixture(params=["none", "all"])
def dev(shop: Database, request: pytest.FixtureRequest) -> Connection:
    """A session on a branch whose tables are views, or real."""
    shop.begin(f"SELECT pggit.create_branch('dev', p_materialize => '{request.param}')")
    return shop.connect(branch="dev")


def rows(session: Connection, sql: str) -> Rows:
    return query(session, sql).fetchall()


CATALOG = """
    SELECT c.relname, a.attname, a.atttypid, i.indexrelid, k.conname, g.tgname
      FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
      LEFT JOIN pg_index AS i ON i.indrelid = c.oid LEFT JOIN pg_constraint AS k ON k.conrelid = c.oid
      LEFT JOIN pg_trigger AS g ON g.tgrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 2, 3, 4, 5, 6"""


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE INDEX amounts ON orders (amount)",
        "CREATE INDEX CONCURRENTLY amounts ON orders (amount)",
        "ALTER INDEX orders_by_customer RENAME TO by_customer",
        "DROP INDEX orders_by_customer",
        "ALTER TABLE orders ADD CONSTRAINT cheap CHECK (amount < 1000)",
        "ALTER TABLE orders DROP CONSTRAINT orders_customer",
        "ALTER TABLE orders ADD COLUMN shipped_at timestamptz, ALTER status SET DEFAULT 'fresh'",
        'ALTER TABLE orders RENAME COLUMN note TO "a ""note"" of 100%"',
        "ALTER TABLE orders DROP COLUMN note",
        "ALTER TABLE customers ALTER email TYPE text, ALTER region DROP NOT NULL",
        "CREATE TABLE parcels (id int PRIMARY KEY, order_id int REFERENCES orders)",
        "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE POLICY mine ON orders USING (true)",
        "COMMENT ON TABLE orders IS 'what they buy'",
        "GRANT SELECT ON orders TO pg_monitor",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE or' || 'ders ADD COLUMN x int'; ALTER TABLE orders ADD y int; END $$",
    ],
)
def test_plain_ddl_works_and_main_does_not_notice(shop: Database, dev: Connection, ddl: str) -> None:
    if "||" in ddl:
        query(dev, "SELECT pggit.materialize('dev', 'orders')")
    before = shop.rows(CATALOG), shop.rows("SELECT * FROM orders ORDER BY id")
    query(dev, ddl)
    query(dev, "UPDATE orders SET status = 'seen' WHERE id = 7; DELETE FROM orders WHERE id = 8")
    query(dev, "INSERT INTO orders (customer_id, status) VALUES (3, 'more')")
    query(dev, "SELECT pggit.commit('on dev')")
    assert (shop.rows(CATALOG), shop.rows("SELECT * FROM orders ORDER BY id")) == before
    assert ("public.orders", 1, 1, 1) in rows(dev, "SELECT * FROM pggit.diff('main')")
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    query(dev, "DROP TABLE IF EXISTS parcels; SELECT pggit.checkout('main')")
    assert shop.value("SELECT pggit.delete_branch('dev', true)")
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_ddl_that_is_rolled_back_leaves_nothing(shop: Database, dev: Connection) -> None:
    query(dev, "BEGIN; ALTER TABLE orders DROP COLUMN note, ADD COLUMN x int; UPDATE orders SET x = 1; ROLLBACK")
    query(dev, "UPDATE orders SET note = '{}' WHERE id = 1; SELECT pggit.commit('a note')")
    assert rows(dev, "SELECT change, new_row -> 'note' FROM pggit.diff_rows('orders', 'main')") == [("update", {})]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_commit_between_two_statements_of_a_transaction_has_the_columns_of_then(
    shop: Database, dev: Connection
) -> None:
    query(dev, "BEGIN; ALTER TABLE customers ADD a int; UPDATE customers SET a = 1, region = 4 WHERE id = 1")
    (first,) = query(dev, "SELECT pggit.commit('a')").fetchone() or ("",)
    query(dev, "ALTER TABLE customers DROP a, ADD b int; UPDATE customers SET b = 2, region = 5 WHERE id = 1")
    query(dev, "SELECT pggit.commit('b'); COMMIT")
    changed = query(dev, "SELECT new_row FROM pggit.diff_rows('customers', 'main', %s)", first).fetchall()
    assert [(row["a"], "b" in row) for (row,) in changed] == [(1, False)]
    changed = query(dev, "SELECT old_row, new_row FROM pggit.diff_rows('customers', 'main')").fetchall()
    assert [("a" in new, new["b"]) for _, new in changed] == [(False, 2)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize(
    ("ddl", "what"),
    [
        ("ALTER TABLE public.orders ADD x int", "table public.orders"),
        ("DROP TABLE public.orders CASCADE", "table public.orders"),
        ("CREATE INDEX ON public.orders (amount)", "index public"),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON public.orders EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "trigger t on public.orders",
        ),
        ("CREATE POLICY p ON public.orders", "policy p on public.orders"),
        ("ALTER TYPE public.mood ADD VALUE 'glad'", "type public.mood"),
        ("ALTER DOMAIN public.price SET NOT NULL", "type public.price"),
        ("DROP TYPE public.mood CASCADE", "feels|mood"),
        ("ALTER SEQUENCE orders_id_seq RESTART", "sequence public.orders_id_seq"),
        ("CREATE OR REPLACE VIEW public.cheap AS SELECT 1 AS one", "view public.cheap"),
        ("COMMENT ON SCHEMA public IS 'x'", "schema public"),
        ("RESET ROLE; ALTER TABLE public.customers DROP region", "customers"),
        ('ALTER TABLE "public@other".orders ADD x int', 'table "public@other".orders'),
        ("CREATE EXTENSION citext", "extension citext"),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor", "rights on something"),
        ('GRANT SELECT (id) ON "public@other".orders TO pg_monitor', "rights on something"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor", "rights on something"),
    ],
)
def test_ddl_never_reaches_main_or_another_branch(shop: Database, ddl: str, what: str) -> None:
    shop.run("SELECT pggit.create_branch('other', p_materialize => 'all'); SELECT pggit.create_branch('dev')")
    dev = shop.connect(branch="dev")
    before = shop.rows(CATALOG)
    with raises("VG309", f"this session is on branch 'dev', but the statement changes .*({what})"):
        query(dev, ddl)
    assert shop.rows(CATALOG) == before


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE customers DROP CONSTRAINT customers_pkey CASCADE",
        "ALTER TABLE orders ALTER id TYPE numeric",
        "ALTER TABLE customers SET SCHEMA pg_temp",
    ],
)
def test_schema_and_key_stay_what_the_history_is_kept_by(shop: Database, dev: Connection, ddl: str) -> None:
    with pytest.raises(Exception, match=r"primary key of table .* can't be changed|cannot move objects|cannot alter"):
        query(dev, ddl)
    query(dev, "UPDATE customers SET region = 5 WHERE id = 1")
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_large_table_is_not_copied_by_a_word(shop: Database) -> None:
    shop.run("""
        CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE all_of_it PARTITION OF parted DEFAULT;
        INSERT INTO parted SELECT generate_series(1, 1000);
        SELECT pggit.create_branch('dev', p_materialize => 'none');
    """)
    dev = shop.connect(branch="dev")
    query(dev, "SET pggit.materialize_ddl_limit = '1kB'")
    with raises("VG307", "the statement needs a copy of table public.parted for branch 'dev'"):
        query(dev, "ALTER TABLE parted ADD x int")
    with raises("VG307", "the statement needs a copy of table public.orders for branch 'dev'"):
        query(dev, "CREATE INDEX ON orders (amount)")
    query(dev, "SELECT pggit.materialize('dev', 'orders'); CREATE INDEX ON orders (amount)")


def test_what_can_not_be_saved_is_not_dropped(shop: Database) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = shop.connect(branch="dev")
    query(dev, "UPDATE orders SET note = '{}' WHERE id = 9; SELECT pggit.commit('a note')")
    query(dev, "SET pggit.save_limit = '1kB'")
    with raises("VG307", "could not be saved: the table has .* and pggit.save_limit is 1kB"):
        query(dev, "ALTER TABLE orders DROP COLUMN note")
    query(dev, "RESET pggit.save_limit")
    query(dev, "DO $$ BEGIN EXECUTE 'ALTER TABLE orders DR' || 'OP no' || 'te'; END $$")
    assert rows(dev, "SELECT count(*) FROM pggit.as_of(NULL::public.orders, 'dev') AS o WHERE o.note = '{}'") == [(1,)]
    shop.run("SET pggit.branch = ''")
    with raises("VG307", "could not be saved: the statement does not name the table and the column"):
        shop.run('ALTER TABLE "public@dev".orders DROP COLUMN status')


@pytest.mark.parametrize(
    ("ddl", "main"),
    [
        ("ALTER TABLE orders ADD CONSTRAINT cheap CHECK (amount < 500)", "UPDATE orders SET amount = 501"),
        ("ALTER TABLE orders ADD CONSTRAINT one UNIQUE (amount)", "UPDATE orders SET amount = 9"),
        (
            "UPDATE orders SET note = '{}'; ALTER TABLE orders ALTER note SET NOT NULL",
            "INSERT INTO orders (customer_id) VALUES (1)",
        ),
        (
            "ALTER TABLE customers ADD CONSTRAINT first FOREIGN KEY (region) REFERENCES orders",
            "DELETE FROM orders WHERE id = 2",
        ),
        (
            "CREATE TABLE parcels (of_order int REFERENCES orders); INSERT INTO parcels VALUES (5)",
            "DELETE FROM orders WHERE id = 5",
        ),
    ],
)
def test_constraints_of_a_branch_hold_in_merges_into_it(shop: Database, dev: Connection, ddl: str, main: str) -> None:
    query(dev, ddl + "; SELECT pggit.commit('shape', p_allow_empty => true)")
    shop.run(main + "; SELECT pggit.commit('rows')")
    before = rows(dev, "SELECT * FROM orders ORDER BY id")
    ((result, found, violations),) = shop.rows(
        "SELECT result, detail ->> 'sqlstate', violations FROM pggit.merge('main', 'dev')"
    )
    assert (result, found, violations > 0) == ("refused", None, True)
    assert rows(dev, "SELECT * FROM orders ORDER BY id") == before


def test_a_type_of_the_branch_goes_with_what_had_it(shop: Database, dev: Connection) -> None:
    query(dev, "CREATE TYPE verdict AS ENUM ('good', 'bad'); ALTER TABLE orders ADD v verdict")
    query(dev, "CREATE TABLE reviews (v verdict PRIMARY KEY, w verdict); INSERT INTO reviews VALUES ('bad', 'good')")
    query(dev, "UPDATE orders SET v = 'good', amount = 9 WHERE id = 1; SELECT pggit.commit('verdicts')")
    query(dev, "DROP TABLE reviews; ALTER TABLE orders DROP v; DROP TYPE verdict; SELECT pggit.commit('gone')")
    changed = rows(dev, "SELECT new_row -> 'v' FROM pggit.diff_rows('orders', 'main', 'HEAD~1')")
    assert changed == [("good",)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_table_keeps_what_makes_its_keys(shop: Database) -> None:
    """Identity columns, and foreign keys whose other end is a view, are triggers of pggit's too."""
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'orders')")
    dev = shop.connect(branch="dev")
    query(dev, "ALTER TABLE orders ADD x int")
    with raises("23503"):
        query(dev, "INSERT INTO orders (customer_id) VALUES (999)")
    query(dev, "ALTER TABLE customers ADD x int; INSERT INTO customers (email) VALUES ('new')")
    assert rows(dev, "SELECT id FROM customers WHERE email = 'new'") == [(21,)]


# --- without event triggers -------------------------------------------------------------------------------------------


@pytest.fixture
def plain(plain_owner: Connection) -> Connection:
    """A session of an owner who is no superuser, on a branch."""
    query(plain_owner, SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")
    query(plain_owner, "SELECT pggit.create_branch('dev', p_materialize => 'none'); SELECT pggit.checkout('dev')")
    return plain_owner


def test_ddl_goes_through_a_function_where_no_event_trigger_tells_of_it(plain: Connection) -> None:
    query(plain, "SELECT pggit.ddl('dev', 'ALTER TABLE orders ADD x int DEFAULT 5; CREATE INDEX ON orders (x)')")
    query(plain, "UPDATE orders SET x = 6, status = 'seen' WHERE id = 1; SELECT pggit.commit('x')")
    query(plain, "SELECT pggit.ddl(NULL, 'ALTER TABLE orders DROP x, DROP COLUMN note')")
    query(plain, "UPDATE orders SET status = 'more' WHERE id = 2; SELECT pggit.commit('no x')")
    changed = query(plain, "SELECT old_row, new_row FROM pggit.diff_rows('orders', 'HEAD~1', 'HEAD')").fetchall()
    assert [(old["x"], old["note"], new.keys() & {"x", "note"}) for old, new in changed] == [(5, None, set())]
    assert rows(plain, "SELECT count(*) FROM pggit.diff_rows('orders', 'main', 'HEAD')") == [(2,)]
    assert rows(plain, "SELECT * FROM pggit.verify()") == []
    assert rows(plain, "SELECT current_setting('search_path')") == [('"$user", "public@dev", public',)]


@pytest.mark.parametrize(
    ("sql", "state", "says"),
    [
        ("DROP TABLE IF EXISTS public.orders CASCADE", "VG309", "not of that branch"),
        ("ALTER TYPE public.mood RENAME VALUE 'sad' TO 'low'", "VG309", "not of that branch"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE", "VG307", "can't be changed on branch 'dev'"),
        ("ALTER TABLE orders ADD x nonsense", "42704", "nonsense"),
    ],
)
def test_that_function_refuses_what_event_triggers_refuse(plain: Connection, sql: str, state: str, says: str) -> None:
    before = rows(plain, CATALOG)
    with raises(state, says):
        query(plain, "SELECT pggit.ddl('dev', %s)", sql)
    assert rows(plain, CATALOG) == before
    query(plain, "UPDATE orders SET status = 'x' WHERE id = 1; SELECT pggit.commit('on')")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("notices", ["a write", "a commit"])
def test_no_write_fails_after_ddl_that_nobody_told_of(plain: Connection, notices: str) -> None:
    query(plain, "SELECT pggit.materialize('dev', 'orders'); UPDATE orders SET note = '{}' WHERE id = 1")
    query(plain, "SELECT pggit.commit('a note'); ALTER TABLE orders ADD x int; UPDATE orders SET x = 7 WHERE id = 2")
    query(plain, "SELECT pggit.commit('x')")
    if notices == "a commit":
        query(plain, "ALTER TABLE orders DROP note; SELECT pggit.commit('gone', p_allow_empty => true)")
        query(plain, "UPDATE orders SET x = 8 WHERE id = 2; SELECT pggit.commit('more')")
    else:
        query(plain, "ALTER TABLE orders DROP note; UPDATE orders SET x = 8 WHERE id = 2; SELECT pggit.commit('more')")
    query(plain, "UPDATE orders SET x = 9")
    assert rows(plain, "SELECT x FROM pggit.as_of(NULL::orders, 'HEAD') WHERE id = 2") == [(8,)]
    with raises("VG306"):
        query(plain, "SELECT * FROM pggit.as_of(NULL::orders, 'HEAD~2')")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_truncate_meets_columns_that_nobody_told_of(plain: Connection) -> None:
    query(plain, "SELECT pggit.materialize('dev', 'orders'); ALTER TABLE orders DROP note; TRUNCATE orders")
    query(plain, "SELECT pggit.commit('empty')")
    assert rows(plain, "SELECT deleted FROM pggit.diff('main')") == [(200,)]
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_main_reads_a_branch_whose_columns_nobody_told_of(plain: Connection) -> None:
    query(plain, "SELECT pggit.materialize('dev', 'orders'); UPDATE orders SET status = 'seen' WHERE id = 1")
    query(plain, "SELECT pggit.commit('seen'); ALTER TABLE orders RENAME note TO remark; SELECT pggit.checkout('main')")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []
    assert rows(plain, "SELECT updated FROM pggit.diff('main', 'dev')") == [(1,)]
    query(plain, 'ALTER TABLE "public@dev".orders RENAME remark TO note')
    assert rows(plain, "SELECT status FROM pggit.as_of(NULL::orders, 'dev') WHERE id = 1") == [("seen",)]


@pytest.mark.parametrize("by", ["setup", "commit"])
def test_branches_of_an_older_version_or_a_restore_are_watched(db: Database, plain: Connection, by: str) -> None:
    query(plain, "SELECT pggit.materialize('dev', 'orders'); DROP TRIGGER pggit_before ON customers")
    query(plain, "DROP TRIGGER pggit_before ON orders")
    query(
        plain,
        """CREATE TRIGGER pggit_before BEFORE INSERT OR UPDATE OR DELETE ON orders
           FOR EACH STATEMENT EXECUTE FUNCTION pggit._before_branch_statement(2, 2, '', '')""",
    )
    if by == "setup":
        db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    else:
        query(plain, "SELECT pggit.commit('watched', p_allow_empty => true)")
    query(plain, "ALTER TABLE public.customers RENAME id TO number; UPDATE customers SET region = 5 WHERE id = 3")
    query(plain, "ALTER TABLE orders DROP note; UPDATE orders SET status = 'seen' WHERE id = 1; TRUNCATE orders")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []
