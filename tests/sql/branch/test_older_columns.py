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
    "in a block": f"DO $$ BEGIN EXECUTE 'ALTER TABLE orders DROP {NOTE}'; ALTER TABLE orders RENAME region TO {NOTE}; END $$",
}

SHOWN = """
    SELECT attname, format_type(atttypid, atttypmod), attcollation, pg_get_expr(adbin, adrelid), relacl, obj_description(c.oid), c.oid
      FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid AND attnum > 0 LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE c.oid = 'orders'::regclass ORDER BY attnum"""


@pytest.fixture
def shop(db: Database) -> Database:
    db.run(TABLE + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    return db


@pytest.fixture
def dev(shop: Database) -> Connection:
    """A session on a branch of views that has rows of its own, and whose view others of the user's read."""
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(dev, "UPDATE orders SET total = total + 100 WHERE id IN (1, 2); DELETE FROM orders WHERE id = 3")
    query(dev, f"INSERT INTO orders (id, {NOTE}, parent) VALUES (400, NULL, 2)")
    query(dev, 'CREATE VIEW "public@dev".mine AS SELECT * FROM orders; GRANT SELECT ON orders TO PUBLIC')
    return dev


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
    changed = query(
        dev, f"UPDATE orders SET {NOTE} = 'mine', total = 7.5, region = 2 WHERE id IN (4, 400) RETURNING *"
    ).fetchall()
    assert sorted(changed) == [(4, "mine", 7.5, 15, 1, 2), (400, "mine", 7.5, 15, 2, 2)]
    assert query(dev, "INSERT INTO orders (id, total) VALUES (500, 8) RETURNING *").fetchall() == [
        (500, "none", 8, 16, None, None)
    ]
    query(dev, "DELETE FROM orders WHERE id IN (5, 400)")
    expected = {row[0]: row for row in shown[1]} | {
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
        assert "Subquery Scan" not in plan and "Seq Scan" not in plan and "Sort  (" not in plan, plan


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
