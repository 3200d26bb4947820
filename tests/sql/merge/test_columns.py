"""Merges of tables whose columns are not the same on both sides: shape and rows in one merge."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

BASE = """
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text, status text NOT NULL DEFAULT 'new');
    INSERT INTO orders SELECT n, n * 10, 'note ' || n FROM generate_series(1, 6) AS n;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
"""


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(BASE)


@pytest.fixture
def dev(shop: Database) -> Connection:
    return shop.connect(branch="dev")


def merge(db: Database, options: str = "{}") -> tuple[object, ...]:
    return db.row(
        "SELECT result, schema_changes, conflicts, schema_conflicts, violations, detail ->> 'reason'"
        " FROM pggit.merge('dev', 'main', p_options => %s)",
        options,
    )


def test_a_new_column_comes_with_its_values(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "ALTER TABLE orders ADD COLUMN region text DEFAULT 'north'; UPDATE orders SET region = 'south' WHERE id = 2;"
        "INSERT INTO orders VALUES (9, 90, 'n', 'new', 'west')",
    )
    shop.run("UPDATE orders SET status = 'paid' WHERE id IN (2, 3)")
    plan = shop.row("SELECT result, schema_changes, conflicts, schema_conflicts FROM pggit.plan_merge('dev')")
    assert plan == ("planned", 1, 0, 0)
    assert merge(shop) == ("merged", 1, 0, 0, 0, None)
    assert shop.rows("SELECT id, status, region FROM orders ORDER BY id") == [
        (1, "new", "north"),
        (2, "paid", "south"),
        (3, "paid", "north"),
        (4, "new", "north"),
        (5, "new", "north"),
        (6, "new", "north"),
        (9, "new", "west"),
    ]
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    assert merge(shop)[0] == "up_to_date"


def conflicts(db: Database) -> list[tuple[object, ...]]:
    return db.rows("SELECT object_type, object_name, kind FROM pggit.merge_schema_conflicts ORDER BY 2")


CASES = {
    # name: (on dev, on main, columns afterwards, rows 1 to 3 and the new ones)
    "renamed there, written here": (
        "ALTER TABLE orders RENAME note TO remark",
        "UPDATE orders SET note = 'main' WHERE id = 1",
        "id, total, remark, status",
        [(1, 10, "main", "new"), (2, 20, "note 2", "new")],
    ),
    "written there, renamed here": (
        "UPDATE orders SET note = 'dev' WHERE id = 1",
        "ALTER TABLE orders RENAME note TO remark",
        "id, total, remark, status",
        [(1, 10, "dev", "new"), (2, 20, "note 2", "new")],
    ),
    "names swapped there": (
        "ALTER TABLE orders RENAME note TO x; ALTER TABLE orders RENAME status TO note;"
        "ALTER TABLE orders RENAME x TO status",
        "UPDATE orders SET note = 'main' WHERE id = 1",
        "id, total, status, note",
        [(1, 10, "main", "new"), (2, 20, "note 2", "new")],
    ),
    "dropped there, rows of other columns here": (
        "ALTER TABLE orders DROP note",
        "UPDATE orders SET status = 'paid' WHERE id = 1; INSERT INTO orders (id, total) VALUES (9, 90)",
        "id, total, status",
        [(1, 10, "paid"), (2, 20, "new"), (9, 90, "new")],
    ),
    "dropped here, rows of other columns there": (
        "UPDATE orders SET status = 'paid' WHERE id = 1; INSERT INTO orders (id, total) VALUES (9, 90)",
        "ALTER TABLE orders DROP note",
        "id, total, status",
        [(1, 10, "paid"), (2, 20, "new"), (9, 90, "new")],
    ),
    "added on both sides": (
        "ALTER TABLE orders ADD a int DEFAULT 1; UPDATE orders SET a = 5 WHERE id = 1",
        "ALTER TABLE orders ADD b int DEFAULT 2; UPDATE orders SET b = 6 WHERE id = 2",
        "id, a, b",
        [(1, 5, 2), (2, 1, 6)],
    ),
    "one that both added": (
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 5 WHERE id = 1",
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 6 WHERE id = 2",
        "id, a",
        [(1, 5), (2, 6)],
    ),
    "added here, rows inserted there": (
        "INSERT INTO orders (id, total) VALUES (9, 90)",
        "ALTER TABLE orders ADD a int DEFAULT 1",
        "id, a",
        [(1, 1), (2, 1), (9, 1)],
    ),
    "type widened there, values changed here": (
        "ALTER TABLE orders ALTER total TYPE text",
        "UPDATE orders SET total = 11.5 WHERE id = 1",
        "id, total",
        [(1, "11.5"), (2, "20")],
    ),
    "type widened here, values changed there": (
        "UPDATE orders SET total = 11.5 WHERE id = 1",
        "ALTER TABLE orders ALTER total TYPE text",
        "id, total",
        [(1, "11.5"), (2, "20")],
    ),
    "another value in each row": (
        "ALTER TABLE orders ADD token uuid DEFAULT gen_random_uuid()",
        "UPDATE orders SET note = 'main' WHERE id = 1",
        'id, token IS NOT NULL AND token = (SELECT d.token FROM "public@dev".orders AS d WHERE d.id = o.id)',
        [(1, True), (2, True)],
    ),
    "generated": (
        "ALTER TABLE orders ADD double numeric GENERATED ALWAYS AS (total * 2) STORED",
        "UPDATE orders SET total = 11 WHERE id = 1; INSERT INTO orders VALUES (9, 90)",
        "id, double",
        [(1, 22), (2, 40), (9, 180)],
    ),
    "deleted here, filled there": (
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = id",
        "DELETE FROM orders WHERE id = 1",
        "id, a",
        [(2, 2)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_shape_and_rows_merge(shop: Database, dev: Connection, case: str) -> None:
    there, here, columns, expected = CASES[case]
    query(dev, there)
    shop.run(here)
    before = shop.rows("SELECT o::text FROM orders AS o ORDER BY id")
    assert shop.row("SELECT result, conflicts, schema_conflicts FROM pggit.plan_merge('dev')") == ("planned", 0, 0)
    assert shop.rows("SELECT o::text FROM orders AS o ORDER BY id") == before
    result = merge(shop)
    assert (result[0], result[2:]) == ("merged", (0, 0, 0, None))
    assert shop.rows(f"SELECT {columns} FROM orders AS o WHERE id < 3 OR id > 6 ORDER BY id") == expected
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    assert shop.rows("SELECT * FROM pggit.status('main')") == []
    assert merge(shop)[0] == "up_to_date"
    # What comes later is a merge of rows alone.
    query(dev, "UPDATE orders SET status = 'later' WHERE id = 3") if "status" in columns else query(
        dev, "UPDATE orders SET total = 33 WHERE id = 3"
    )
    shop.run("UPDATE orders SET total = 44 WHERE id = 4")
    assert (merge(shop)[0], shop.value("SELECT total::int FROM orders WHERE id = 4")) == ("merged", 44)
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize(
    ("there", "here", "kind"),
    [
        ("ALTER TABLE orders DROP note", "UPDATE orders SET note = 'main' WHERE id = 1", "update_delete"),
        ("ALTER TABLE orders DROP note", "INSERT INTO orders VALUES (9, 90, 'main')", "update_delete"),
        ("UPDATE orders SET note = 'dev' WHERE id = 1", "ALTER TABLE orders DROP note", "delete_update"),
        ("ALTER TABLE orders ALTER total TYPE text", "ALTER TABLE orders ALTER total TYPE bigint", "update_update"),
        ("ALTER TABLE orders ADD a int", "ALTER TABLE orders ADD a text", "insert_insert"),
        ("ALTER TABLE orders RENAME note TO a", "ALTER TABLE orders RENAME note TO b", "rename"),
        ("ALTER TABLE orders ADD a int; UPDATE orders SET a = id", "INSERT INTO orders VALUES (9, 90)", "needs_fill"),
        (
            "ALTER TABLE orders ADD a int; UPDATE orders SET a = total",
            "UPDATE orders SET total = 11 WHERE id = 1",
            "needs_fill",
        ),
        (
            "ALTER TABLE orders ALTER total TYPE int USING (total * 100)::int",
            "UPDATE orders SET total = 11 WHERE id = 1",
            "needs_fill",
        ),
    ],
)
def test_what_two_sides_did_to_a_column_is_a_conflict(
    shop: Database, dev: Connection, there: str, here: str, kind: str
) -> None:
    query(dev, there)
    shop.run(here)
    before = shop.rows("SELECT o::text FROM orders AS o ORDER BY id")
    for call in ("plan_merge('dev')", "merge('dev', 'main')"):
        assert shop.row(f"SELECT result, conflicts, schema_conflicts FROM pggit.{call}") == (
            "conflicted" if "main" in call else "planned",
            0,
            1,
        )
        assert {row[2] for row in conflicts(shop)} == {kind}
    assert shop.rows("SELECT o::text FROM orders AS o ORDER BY id") == before
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    merge_id, conflict_id = shop.row(
        "SELECT m.merge_id, c.conflict_id FROM pggit.merges AS m"
        " JOIN pggit.merge_schema_conflicts AS c USING (merge_id)"
        " WHERE m.result = 'conflicted'"
    )
    taken, value = ("value", '"total * 2"') if kind == "needs_fill" else ("theirs", None)
    shop.run("SELECT pggit.resolve_conflict(%s, %s, %s, %s::jsonb)", merge_id, conflict_id, taken, value)
    assert shop.row("SELECT result, detail ->> 'reason' FROM pggit.continue_merge(%s)", merge_id) == ("merged", None)
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    assert shop.rows("SELECT * FROM pggit.status('main')") == []


@pytest.mark.parametrize("materialize", ["all", "none"])
@pytest.mark.parametrize("case", [c for c in CASES if c != "another value in each row"])
def test_main_merges_into_a_branch(db: Database, case: str, materialize: str) -> None:
    db.begin(BASE.replace("'all'", f"'{materialize}'"))
    dev = db.connect(branch="dev")
    there, here, columns, expected = CASES[case]
    db.run(there)
    query(dev, here)
    before = query(dev, "SELECT o::text FROM orders AS o ORDER BY id").fetchall()
    db.run("SELECT pggit.commit('there', p_allow_empty => true)")
    assert db.row("SELECT result, conflicts, schema_conflicts FROM pggit.plan_merge('main', 'dev')") == (
        "planned",
        0,
        0,
    )
    assert query(dev, "SELECT o::text FROM orders AS o ORDER BY id").fetchall() == before
    assert db.row(
        "SELECT result, conflicts, schema_conflicts, violations, detail ->> 'reason' FROM pggit.merge('main', 'dev')"
    ) == ("merged", 0, 0, 0, None)
    assert query(dev, f"SELECT {columns} FROM orders AS o WHERE id < 3 OR id > 6 ORDER BY id").fetchall() == expected
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT * FROM pggit.status('dev')") == []
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "up_to_date"
    query(dev, "UPDATE orders SET total = 33 WHERE id = 3")
    db.run("UPDATE orders SET total = 44 WHERE id = 4")
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "merged"
    assert query(dev, "SELECT total::int FROM orders WHERE id IN (3, 4) ORDER BY id").fetchall() == [(33,), (44,)]
    # And back: main is then what the branch is.
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('dev', 'main')") == ("fast_forward", None)
    names = ", ".join(
        sorted(
            name
            for (name,) in db.rows(
                "SELECT attname FROM pg_attribute"
                " WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped"
            )
        )
    )
    assert (
        db.rows(f"SELECT {names} FROM orders ORDER BY id")
        == query(dev, f"SELECT {names} FROM orders ORDER BY id").fetchall()
    )
    assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == []
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("rewrite", ["", "; ALTER TABLE orders ALTER total TYPE numeric(20, 2)"])
def test_a_default_that_came_later_is_not_in_old_rows(shop: Database, dev: Connection, rewrite: str) -> None:
    query(dev, "ALTER TABLE orders ADD a int, ADD b int DEFAULT 7" + rewrite)
    query(dev, "ALTER TABLE orders ALTER a SET DEFAULT 5, ALTER b SET DEFAULT 8")
    shop.run("INSERT INTO orders VALUES (9, 9)")
    # Rewritten, the sevens could be anybody's.
    result = merge(shop, '{"fill": {"orders.b": "8"}}' if rewrite else "{}")
    assert (result[0], result[2:]) == ("merged", (0, 0, 0, None))
    assert shop.rows("SELECT DISTINCT a, b FROM orders WHERE id < 9") == [(None, 7)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []
