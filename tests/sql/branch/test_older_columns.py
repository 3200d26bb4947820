# ruff: noqa: E501 - SQL is not wrapped
"""Main drops and retypes columns that branches show as views: the DDL passes, and the branches notice nothing."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import rows, value

TABLE = """
    CREATE TABLE parents (id int PRIMARY KEY, name text);
    CREATE TABLE orders (
        id     int PRIMARY KEY,
        "a ""note"" x" varchar(20) COLLATE "C" DEFAULT 'none',
        total  numeric(10,2) NOT NULL DEFAULT 1 CHECK (total > 0),
        twice  numeric GENERATED ALWAYS AS (total * 2) STORED,
        parent int REFERENCES parents,
        region int
    );
    CREATE INDEX ON orders (region);
    INSERT INTO parents VALUES (1, 'one'), (2, 'two');
    INSERT INTO orders (id, "a ""note"" x", total, parent, region) SELECT g, 'note ' || g, g, 1, g % 3 FROM generate_series(1, 300) AS g;
    CREATE VIEW dear AS SELECT id, total FROM orders WHERE region = 1;
"""
NOTE = '"a ""note"" x"'

# Statements of main, and columns that they take.
TAKING = {
    "drop": f"ALTER TABLE orders DROP COLUMN {NOTE}",
    "drop cascade": f"ALTER TABLE orders DROP COLUMN {NOTE} CASCADE",
    "retype": "ALTER TABLE orders DROP CONSTRAINT orders_total_check, DROP twice, ALTER total DROP DEFAULT, ALTER total TYPE text",
    "widen": f"ALTER TABLE orders ALTER {NOTE} TYPE text",
    "longer": f"ALTER TABLE orders ALTER {NOTE} TYPE varchar(40)",
    "rewrite": "ALTER TABLE orders ALTER region TYPE int USING region + 1",
    "all": f"ALTER TABLE orders DROP twice, DROP {NOTE}, DROP parent, ALTER region TYPE bigint, ADD more int NOT NULL DEFAULT 7",
    "in a function": "CREATE PROCEDURE go(c text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('ALTER TABLE orders DROP %I', c); END $$;"
    """CALL go('a "note" x')""",
    "by pggit.ddl": f"SELECT pggit.ddl('main', $$ALTER TABLE orders DROP {NOTE}$$)",
    "in a block": f"DO $$ BEGIN EXECUTE 'ALTER TABLE orders DROP {NOTE}'; ALTER TABLE orders RENAME region TO {NOTE}; END $$",
}

SHOWN = """
    SELECT attname, format_type(atttypid, atttypmod), attcollation, pg_get_expr(adbin, adrelid), relacl, obj_description(c.oid), c.oid
      FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid AND attnum > 0 LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE c.oid = 'orders'::regclass ORDER BY attnum"""


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(TABLE + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")


@pytest.fixture
def dev(shop: Database) -> Connection:
    """A session on a branch of views that has rows of its own, and whose view others of the user's read."""
    shop.begin(begin)
    return shop.connect(branch="dev")


def begin(shop: Database) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(dev, "UPDATE orders SET total = total + 100 WHERE id IN (1, 2); DELETE FROM orders WHERE id = 3")
    query(dev, f"INSERT INTO orders (id, {NOTE}, parent) VALUES (400, NULL, 2)")
    query(dev, 'CREATE VIEW "public@dev".mine AS SELECT * FROM orders; GRANT SELECT ON orders TO PUBLIC')


@pytest.mark.parametrize("case", TAKING)
def test_main_takes_columns_and_the_branch_keeps_them(shop: Database, dev: Connection, case: str) -> None:
    shop.run("DROP VIEW dear; UPDATE orders SET region = 9 WHERE id = 5; SELECT pggit.commit('second')")
    everything = "SELECT * FROM orders ORDER BY id"
    shown = [
        rows(dev, sql)
        for sql in (SHOWN, everything, "SELECT * FROM mine ORDER BY id", "SELECT * FROM dear ORDER BY id")
    ]
    shop.run(TAKING[case])
    shop.run(
        "UPDATE orders SET id = id + 1000 WHERE id < 10; INSERT INTO orders (id) VALUES (401)"
        if case != "retype"
        else "DELETE FROM orders WHERE id < 10"
    )
    assert [
        rows(dev, sql)
        for sql in (SHOWN, everything, "SELECT * FROM mine ORDER BY id", "SELECT * FROM dear ORDER BY id")
    ] == shown

    # What is written is there, also in columns that main has no more.
    changed = rows(dev, f"UPDATE orders SET {NOTE} = 'mine', total = 7.5, region = 2 WHERE id IN (4, 400) RETURNING *")
    assert sorted(changed, key=str) == [(4, "mine", 7.5, 15, 1, 2), (400, "mine", 7.5, 15, 2, 2)]
    assert query(dev, "INSERT INTO orders (id, total) VALUES (500, 8) RETURNING *").fetchall() == [
        (500, "none", 8, 16, None, None)
    ]
    query(dev, "DELETE FROM orders WHERE id IN (5, 400)")
    expected = {int(str(row[0])): row for row in shown[1]} | {
        4: (4, "mine", 7.5, 15, 1, 2),
        500: (500, "none", 8, 16, None, None),
    }
    del expected[5], expected[400]
    assert rows(dev, everything) == [expected[key] for key in sorted(expected)]
    first = value(dev, "SELECT pggit.commit('on dev')")
    query(dev, "UPDATE orders SET total = 9")
    assert [row[:2] for row in rows(dev, "SELECT id, total FROM pggit.as_of(NULL::orders, %s) ORDER BY 1", first)] == [
        (key, expected[key][2]) for key in sorted(expected)
    ]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_the_index_paths_stay(shop: Database, dev: Connection) -> None:
    shop.run("DROP VIEW dear;" + TAKING["all"])
    query(dev, "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
    for sql in ("SELECT * FROM orders WHERE id = 7", "SELECT * FROM orders ORDER BY id LIMIT 3"):
        plan = "\n".join(str(line) for (line,) in query(dev, f"EXPLAIN {sql}").fetchall())
        assert not any(node in plan for node in ("Subquery Scan", "Seq Scan", "Sort  (")), plan


def test_ddl_that_fails_or_is_rolled_back_changes_nothing(shop: Database, dev: Connection) -> None:
    definition = "SELECT pg_get_viewdef('orders'::regclass)"
    shown, view = rows(dev, "SELECT * FROM orders ORDER BY id"), value(dev, definition)
    shop.run("DROP VIEW dear")
    with raises("22P02"):
        shop.run(f"ALTER TABLE orders DROP twice, ALTER {NOTE} DROP DEFAULT, ALTER {NOTE} TYPE int USING {NOTE}::int")
    shop.run(
        f"BEGIN; ALTER TABLE orders DROP {NOTE}; SAVEPOINT s; ALTER TABLE orders DROP region; ROLLBACK TO s; ROLLBACK"
    )
    assert (rows(dev, "SELECT * FROM orders ORDER BY id"), value(dev, definition)) == (shown, view)
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_statement_that_takes_no_column_touches_no_view(shop: Database, dev: Connection) -> None:
    version = "SELECT xmin, ev_class FROM pg_rewrite WHERE ev_class = 'orders'::regclass"
    before = rows(dev, version)
    shop.run("ALTER TABLE orders ADD later int, ALTER region SET DEFAULT 4, DROP CONSTRAINT orders_parent_fkey")
    shop.run("ALTER TABLE orders DROP later")
    assert rows(dev, version) == before


def test_what_can_not_be_kept_for_branches_is_refused(shop: Database, dev: Connection) -> None:
    shown = rows(dev, "SELECT * FROM orders ORDER BY id")
    shop.run("DROP VIEW dear; SET pggit.save_limit = '0'; SET pggit.materialize_ddl_limit = '0'")
    with raises("VG307", "can't be saved for them: the table has"):
        shop.run("ALTER TABLE orders DROP region")
    shop.run("RESET pggit.materialize_ddl_limit")
    with raises("VG307", "no primary key any more"):
        shop.run("ALTER TABLE orders DROP id")
    assert rows(dev, "SELECT * FROM orders ORDER BY id") == shown


def test_a_merge_takes_columns_as_ddl_does(shop: Database, dev: Connection) -> None:
    shop.run("SELECT pggit.create_branch('other', p_materialize => 'all')")
    other = shop.connect(branch="other")
    query(other, f"DROP VIEW dear; ALTER TABLE orders DROP {NOTE}; SELECT pggit.commit('less')")
    shop.run("DROP VIEW dear")
    shown = rows(dev, "SELECT * FROM orders ORDER BY id")
    assert shop.value("SELECT result FROM pggit.merge('other')") == "merged"
    assert NOTE.strip('"') not in [
        name for (name,) in shop.rows("SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass")
    ]
    assert rows(dev, "SELECT * FROM orders ORDER BY id") == shown
    query(dev, f"UPDATE orders SET {NOTE} = 'x' WHERE id = 9")
    assert shop.rows("SELECT * FROM pggit.verify()") == []


DEFINITIONS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"public@dev".orders'::regclass AND contype <> 'n'
    UNION ALL SELECT relname, replace(pg_get_indexdef(oid), '"public@dev".', '') FROM pg_class, pg_index
               WHERE indexrelid = oid AND indrelid = '"public@dev".orders'::regclass ORDER BY 1, 2"""


@pytest.mark.parametrize("case", ["drop", "retype", "rewrite", "all"])
def test_the_branch_makes_its_older_table_real(shop: Database, dev: Connection, case: str) -> None:
    shop.run(f"DROP VIEW dear; {TAKING[case]}; ALTER TABLE orders RENAME id TO number")
    everything = "SELECT * FROM orders ORDER BY id"
    columns = (
        "SELECT attname, format_type(atttypid, atttypmod), attcollation, pg_get_expr(adbin, adrelid) FROM pg_attribute"
        " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'orders'::regclass AND attnum > 0"
        " AND attgenerated = '' AND attname NOT IN ('twice') ORDER BY attnum"
    )
    before = [rows(dev, sql) for sql in (everything, columns, "SELECT * FROM mine ORDER BY id")]
    query(dev, "CREATE INDEX by_parent ON orders (parent)")
    assert [rows(dev, sql) for sql in (everything, columns, "SELECT * FROM mine ORDER BY id")] == before
    assert rows(dev, "SELECT form FROM pggit.branch_tables WHERE relation = 'orders'::regclass") == [("table",)]
    made = {str(name): str(definition) for name, definition in rows(dev, DEFINITIONS)}
    assert made["orders_pkey"].endswith("(id)")
    assert ("orders_region_idx" in made, "by_parent" in made) == (True, True)
    assert ("orders_total_check" in made) == (case != "retype")

    first = value(dev, "SELECT pggit.commit('real')")
    query(dev, f"UPDATE orders SET {NOTE} = 'real', total = 3 WHERE id = 7; DELETE FROM orders WHERE id = 8")
    query(
        dev,
        "INSERT INTO orders (id) VALUES (900)"
        if case != "retype"
        else "INSERT INTO orders (id, total) VALUES (900, 1)",
    )
    assert rows(dev, f"SELECT {NOTE}, total, twice FROM orders WHERE id IN (7, 900) ORDER BY id") == [
        ("real", 3, 6),
        ("none", 1, 2),
    ]
    assert rows(dev, "SELECT * FROM pggit.diff(%s)", first) == [("public.orders", 1, 1, 1)]
    assert rows(dev, "SELECT * FROM pggit.as_of(NULL::orders, %s) ORDER BY 1", first) == before[0]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_plain_owner_changes_columns_with_pggit_ddl(db: Database, plain_owner: Connection) -> None:
    query(plain_owner, TABLE + "DROP VIEW dear; SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    query(plain_owner, "SELECT pggit.create_branch('dev', p_materialize => 'none')")
    shown = rows(plain_owner, 'SELECT * FROM "public@dev".orders ORDER BY id')
    first = value(plain_owner, "SELECT head FROM pggit.branches WHERE name = 'main'")
    with raises("2BP01"):
        query(plain_owner, "ALTER TABLE orders DROP region")
    query(plain_owner, "SELECT pggit.ddl('main', 'ALTER TABLE orders DROP region; UPDATE orders SET total = 1')")
    query(plain_owner, "SELECT pggit.ddl('main', 'ALTER TABLE orders DROP twice, ALTER total TYPE numeric')")
    assert rows(plain_owner, 'SELECT * FROM "public@dev".orders ORDER BY id') == shown
    assert value(plain_owner, "SELECT sum(total) FROM pggit.as_of(NULL::orders, %s)", first) == sum(range(301))
    query(plain_owner, 'UPDATE "public@dev".orders SET region = 5, total = 1.5')
    assert value(plain_owner, 'SELECT sum(region + total) FROM "public@dev".orders') == 300 * 6.5
    assert rows(plain_owner, "SELECT * FROM pggit.verify()") == []


def test_cascade_takes_no_view_of_a_branch(db: Database) -> None:
    db.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE people (id int PRIMARY KEY, feels mood)")
    db.run("INSERT INTO people VALUES (1, 'ok'); SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    with raises("VG307", 'would drop "public@dev'):
        db.run("DROP TYPE mood CASCADE")
    db.run("ALTER TABLE people DROP feels")
    with raises("2BP01"):
        db.run("DROP TYPE mood")
    with raises("VG307", 'would drop "public@dev'):
        db.run("DROP TYPE mood CASCADE")
    db.run("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
    assert db.rows('SELECT * FROM "public@dev".people') == [(1, "fine")]
    db.run("DROP TABLE people")
    assert db.rows('SELECT * FROM "public@dev".people') == [(1, "fine")]
    db.run("SELECT pggit.delete_branch('dev', true)")
    db.run("DROP TYPE mood")
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("real", ["", "parents", "orders", "parents,orders"])
def test_a_foreign_key_over_columns_that_the_branch_has_not(shop: Database, dev: Connection, real: str) -> None:
    shop.run("DROP VIEW dear; ALTER TABLE orders DROP parent, ADD mother int REFERENCES parents ON DELETE CASCADE")
    for table in real.split(",") if real else []:
        query(dev, "SELECT pggit.materialize('dev', %s)", table)
    query(dev, "INSERT INTO orders (id, parent) VALUES (800, 2); DELETE FROM parents WHERE id = 2")
    assert rows(dev, "SELECT parent FROM orders WHERE id = 800") == [(2,)]


def test_a_key_gets_larger_on_branches_too(shop: Database, dev: Connection) -> None:
    shop.run("DROP VIEW dear")
    with raises("VG307", "its key gets another type"):
        shop.run("ALTER TABLE orders ALTER id TYPE bigint")
    query(dev, "DROP VIEW dear; DROP VIEW mine")
    shown = rows(dev, "SELECT * FROM orders ORDER BY id")
    acl = rows(dev, "SELECT relacl, relowner FROM pg_class WHERE oid = 'orders'::regclass")
    shop.run("ALTER TABLE orders ALTER id TYPE bigint")
    assert rows(dev, "SELECT * FROM orders ORDER BY id") == shown
    assert rows(dev, "SELECT relacl, relowner FROM pg_class WHERE oid = 'orders'::regclass") == acl
    query(dev, "INSERT INTO orders (id) VALUES (5000000000); DELETE FROM orders WHERE id = 4")
    assert rows(dev, f"SELECT {NOTE} FROM orders WHERE id IN (4, 5000000000)") == [("none",)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_branch_begins_at_older_columns(shop: Database, form: str) -> None:
    shown = shop.rows("SELECT * FROM orders ORDER BY id")
    first = shop.value("SELECT head FROM pggit.branches WHERE name = 'main'")
    shop.run("DROP VIEW dear; " + TAKING["all"] + "; UPDATE orders SET total = 5; SELECT pggit.commit('all')")
    shop.run("SELECT pggit.create_branch('then', %s, p_materialize => %s)", first, form)
    then = shop.connect(branch="then")
    assert rows(then, "SELECT * FROM orders ORDER BY id") == shown
    query(then, f"UPDATE orders SET {NOTE} = 'then', region = 8 WHERE id = 3; DELETE FROM orders WHERE id = 5")
    query(then, "INSERT INTO orders (id) VALUES (700)")
    assert rows(then, f"SELECT id, {NOTE}, region, twice FROM orders WHERE id IN (3, 5, 700) ORDER BY id") == [
        (3, "then", 8, 6),
        (700, None, None, 2),
    ]
    query(then, "SELECT pggit.commit('then')")
    assert rows(then, "SELECT * FROM pggit.diff(%s)", first) == [("public.orders", 1, 1, 1)]
    shop.run("SELECT pggit.create_branch('later', 'then', p_materialize => 'none')")
    assert shop.rows('TABLE "public@later".orders ORDER BY id') == rows(then, "SELECT * FROM orders ORDER BY id")
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("case", ["drop", "retype"])
def test_a_branch_takes_over_main_s_columns_with_its_own_rows(shop: Database, dev: Connection, case: str) -> None:
    query(dev, "DROP VIEW mine; DROP VIEW dear; SELECT pggit.commit('own')")
    own = value(dev, "SELECT head FROM pggit.branches WHERE name = 'dev'")
    before = rows(dev, "SELECT * FROM orders ORDER BY id")
    shop.run(
        f"DROP VIEW dear; {TAKING[case]}; UPDATE orders SET region = 4 WHERE id = 9; SELECT pggit.commit('columns')"
    )
    assert shop.value("SELECT result FROM pggit.merge('main', 'dev')") == "merged"
    merged = {row[0]: row[1:] for row in rows(dev, "SELECT id, total::numeric, region::int FROM orders")}
    expected = {row[0]: [row[2], row[5]] for row in before}
    expected[9][1] = 4
    assert merged == {key: tuple(row) for key, row in expected.items()}
    changed = rows(dev, "SELECT key ->> 'id', old_row ->> 'total' FROM pggit.diff_rows('orders', %s, 'main~1')", own)
    assert sorted(changed) == [("1", "101.00"), ("2", "102.00"), ("3", None), ("400", "1.00")]
    assert shop.rows("SELECT * FROM pggit.verify()") == []
