"""What can go wrong with a merge of a migration: the error says what, and nothing is changed."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import INSTALL, Connection, Database, query, raises

BASE = """
    CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total int, note text);
    INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 3) AS n;
    INSERT INTO orders SELECT n, 1 + n % 3, n, 'note ' || n FROM generate_series(1, 6) AS n;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
    SELECT pggit.create_branch('other', p_materialize => 'all');
"""
STATE = """
    SELECT (SELECT array_agg(o ORDER BY o.object_type, o.object_name)::text FROM pggit._schema_objects(1) AS o),
           (SELECT array_agg(o ORDER BY o.id)::text FROM orders AS o),
           (SELECT array_agg(c ORDER BY c.id)::text FROM customers AS c),
           (SELECT b.head FROM pggit.branches AS b WHERE b.name = 'main')"""
MERGE = "SELECT result, detail ->> 'reason', detail ->> 'sqlstate' FROM pggit.merge(%s, 'main', p_options => %s)"


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(BASE)


def work(db: Database, branch: str, sql: str) -> None:
    session = db.connect(branch=branch)
    query(session, sql)
    session.close()


def merge(db: Database, branch: str = "dev", options: str = "{}") -> tuple[str, str | None, str | None]:
    result, reason, state = db.row(MERGE, branch, options)
    return result, reason, state


@pytest.mark.parametrize(
    ("migration", "main", "options", "state", "said"),
    [
        (
            "CREATE TABLE made (id int PRIMARY KEY); ALTER TABLE orders ADD CONSTRAINT few CHECK (total < 100)",
            "UPDATE orders SET total = 500 WHERE id = 1",
            "{}",
            None,
            "the merged state would violate constraints in 1 places (pggit.merge_violations)",
        ),
        (
            "ALTER TABLE orders ADD twice int; UPDATE orders SET twice = total * 2",
            "INSERT INTO orders VALUES (9, 1, 0)",
            '{"fill": {"orders.twice": "2 / total"}}',
            "VG312",
            "what is to fill column twice of table public.orders fails: division by zero",
        ),
        (
            "ALTER TABLE orders ADD twice int; UPDATE orders SET twice = total * 2",
            "INSERT INTO orders VALUES (9, 1, 0)",
            '{"fill": {"orders.twice": "nothing + 1"}}',
            "VG312",
            'what is to fill column twice of table public.orders fails: column "nothing" does not exist',
        ),
    ],
    ids=["half-way", "fill divides by zero", "fill names no column"],
)
def test_what_fails_on_the_way_changes_nothing(
    shop: Database, migration: str, main: str, options: str, state: str | None, said: str
) -> None:
    work(shop, "dev", migration)
    shop.run(main)
    shop.run("SELECT pggit.commit('on main')")
    before = shop.rows(STATE)
    assert merge(shop, "dev", options) == ("refused", said, state)
    assert shop.rows(STATE) == before
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_columns_of_a_table_above_save_limit_stay(shop: Database) -> None:
    """What a dropped column held on main could not be read back: the limit says so, and how it is raised."""
    work(shop, "dev", "ALTER TABLE orders DROP note")
    before = shop.rows(STATE)
    shop.run("SET pggit.save_limit = '1kB'")
    result, reason, state = merge(shop)
    assert (result, state) == ("refused", "VG302")
    assert re.fullmatch(
        "what table public.orders holds in columns that go can't be saved: "
        "the table has .*, and pggit.save_limit is 1kB",
        str(reason),
    )
    assert shop.rows(STATE) == before
    shop.run("RESET pggit.save_limit")
    assert merge(shop)[0] == "fast_forward"


def test_a_migration_that_was_rolled_back_is_not_merged(shop: Database) -> None:
    dev = shop.connect(branch="dev", autocommit=False)
    query(dev, "ALTER TABLE orders ADD gone int; CREATE TABLE made (id int PRIMARY KEY)")
    dev.rollback()
    dev.close()
    assert merge(shop) == ("up_to_date", None, None)
    shop.run("BEGIN")
    work(shop, "other", "ALTER TABLE orders ADD stays int")
    before = shop.rows(STATE)
    assert merge(shop, "other")[0] == "fast_forward"
    shop.run("ROLLBACK")
    assert shop.rows(STATE) == before
    assert merge(shop, "other")[0] == "fast_forward"
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_the_migration_of_a_protected_branch_is_not_taken_back(shop: Database) -> None:
    """It takes DDL, as it takes writes, and approved merges; a reset, which would undo it, is refused."""
    shop.run("SELECT pggit.protect_branch('dev'); SELECT pggit.protect_branch('main')")
    work(shop, "dev", "ALTER TABLE orders ADD a int; SELECT pggit.commit('migration')")
    before = shop.rows("SELECT * FROM pggit._schema_objects(2)")
    with raises("VG301", match="protected"):
        shop.run("SELECT pggit.reset('dev', 'dev~1')")
    assert shop.rows("SELECT * FROM pggit._schema_objects(2)") == before
    plan = shop.value("SELECT plan_hash FROM pggit.plan_merge('dev')")
    assert merge(shop)[:2] == ("refused", f"branch 'main' is protected: plan {plan} has to be approved")
    assert merge(shop, options=f'{{"approved_plan": "{plan}"}}')[0] == "fast_forward"


def test_locks_that_cannot_be_had(shop: Database) -> None:
    """Somebody works in the table: the merge gives up in seconds, he never notices."""
    work(shop, "dev", "ALTER TABLE orders ADD a int; CREATE TABLE made (id int PRIMARY KEY)")
    before = shop.rows(STATE)
    busy = shop.connect(autocommit=False)
    query(busy, "UPDATE orders SET note = 'mine' WHERE id = 1")
    shop.run("SET statement_timeout = '60s'")
    with raises("VG401", match="table public.orders is in use by"):
        merge(shop)
    busy.commit()
    assert shop.value("SELECT note FROM orders WHERE id = 1") == "mine"
    shop.run("UPDATE orders SET note = 'note 1' WHERE id = 1")
    assert shop.rows(STATE)[0][:3] == before[0][:3]
    assert merge(shop)[0] in ("merged", "fast_forward")


def test_a_migration_that_needs_a_superuser(shop: Database) -> None:
    """Whoever merges, it runs as the owner of main's tables, who is none."""
    shop.run("DO $$ BEGIN CREATE ROLE pggit_test_plain; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    shop.run("GRANT CREATE, USAGE ON SCHEMA public TO pggit_test_plain")
    shop.run("ALTER TABLE customers OWNER TO pggit_test_plain; ALTER TABLE orders OWNER TO pggit_test_plain")
    try:
        work(
            shop,
            "dev",
            "CREATE FUNCTION size(int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4abs';"
            "ALTER TABLE orders ADD a int; SELECT pggit.commit('size')",
        )
        before = shop.rows(STATE)
        result, reason, state = merge(shop)
        assert (result, state) == ("refused", "VG310")
        assert reason == (
            "function public.size(integer) can't be changed or made by pggit_test_plain, to whom it belongs or would "
            "belong: permission denied for language internal"
        )
        assert shop.rows(STATE)[0][:3] == before[0][:3]
        shop.run("CREATE FUNCTION size(int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4abs'")
        assert merge(shop)[0] == "merged"
    finally:
        shop.run("DROP OWNED BY pggit_test_plain CASCADE; DROP ROLE pggit_test_plain")


def test_a_merge_is_given_no_longer_than_statement_timeout(shop: Database) -> None:
    """It bounds how long writers of the tables that it changes can have to wait."""
    work(shop, "dev", "ALTER TABLE orders ADD a int DEFAULT 1; SELECT pggit.commit('a')")
    before = shop.rows(STATE)
    shop.run("SET statement_timeout = '30ms'")
    with raises("57014"):
        merge(shop)
    shop.run("RESET statement_timeout")
    assert shop.rows(STATE) == before
    assert merge(shop)[0] == "fast_forward"


def test_two_migrations_at_once(shop: Database) -> None:
    work(shop, "dev", "ALTER TABLE orders ADD a int DEFAULT 1, DROP note; CREATE TABLE one (id int PRIMARY KEY)")
    work(shop, "other", "ALTER TABLE orders ADD b int DEFAULT 2; CREATE INDEX i ON orders (total)")

    def run(branch: str) -> str:
        with psycopg.connect(shop.dsn, autocommit=True) as session:
            for _ in range(5):
                try:
                    (row,) = query(session, MERGE, branch, "{}").fetchall()
                except psycopg.Error as error:
                    if error.sqlstate not in ("VG401", "VG402"):
                        raise
                else:
                    return str(row[0])
        raise AssertionError("it stayed busy")

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, ["dev", "other"]))
    assert sorted(results) == ["fast_forward", "merged"]
    assert shop.rows("SELECT a, b, count(*) FROM orders GROUP BY 1, 2") == [(1, 2, 6)]
    assert shop.rows("SELECT to_regclass('one') IS NOT NULL, to_regclass('i') IS NOT NULL") == [(True, True)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.fixture
def plain(db: Database) -> Connection:
    """A session of a role that owns the database's content and may nothing else; so there are no event triggers."""
    db.run("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE "{db.name}" TO plain')
    db.psql("-f", str(INSTALL.with_name("uninstall.sql")))
    db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    return db.connect(user="plain")


def test_a_plain_owner_merges_migrations(db: Database, plain: Connection) -> None:
    """And one that only a superuser may run stays on the branch."""
    query(plain, BASE)
    assert query(plain, "SELECT count(*) FROM pg_event_trigger").fetchall() == [(0,)]
    dev = db.connect(user="plain", branch="dev")
    query(
        dev,
        "ALTER TABLE orders ADD a int DEFAULT 1, DROP note; CREATE TABLE made (id int PRIMARY KEY);"
        "CREATE INDEX i ON orders (total); INSERT INTO made VALUES (1)",
    )
    query(plain, "INSERT INTO orders VALUES (7, 1, 7)")
    (row,) = query(plain, MERGE, "dev", "{}").fetchall()
    assert row == ("merged", None, None)
    assert query(plain, "SELECT a, count(*), (SELECT count(*) FROM made) FROM orders GROUP BY 1").fetchall() == [
        (1, 7, 1)
    ]
    assert query(plain, "SELECT * FROM pggit.verify()").fetchall() == []

    there = db.connect(branch="other")  # a superuser
    query(there, "CREATE FUNCTION five() RETURNS int LANGUAGE internal AS 'int4_sum'")
    before = db.rows(STATE)
    ((result, reason, state),) = query(plain, MERGE, "other", "{}").fetchall()
    assert (result, state) == ("refused", "VG310")
    assert "permission denied for language internal" in str(reason)
    assert db.rows(STATE) == before
