"""No value is lost where the columns of two sides meet: what a type can't hold, and what both wrote, is a conflict."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.postgres import Connection, Database, query, raises

BASE = """
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL, note text, status text NOT NULL DEFAULT 'new');
    INSERT INTO orders SELECT n, n * 10, n::text FROM generate_series(1, 3) AS n;
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


def do(shop: Database, dev: Connection, on: str, sql: str) -> None:
    query(shop.conn if on == "main" else dev, sql)


def merge(db: Database, **options: object) -> tuple[object, ...]:
    return db.row(
        "SELECT result, conflicts, schema_conflicts FROM pggit.merge('dev', 'main', p_options => %s)",
        json.dumps(options),
    )


LOSSY = {
    # name: (change of the type, writes of the other side, fill, what is there then)
    "cut": (
        "ALTER TABLE orders ALTER note TYPE varchar(6)",
        "UPDATE orders SET note = 'a long note' WHERE id = 1; UPDATE orders SET note = 'short' WHERE id = 2",
        {"orders.note": "right(note, 6)"},
        [(1, "g note"), (2, "short"), (3, "3")],
    ),
    "no number": (
        "ALTER TABLE orders ALTER note TYPE int USING note::int",
        "UPDATE orders SET note = 'five' WHERE id = 1; UPDATE orders SET note = '17' WHERE id = 2;"
        "INSERT INTO orders VALUES (9, 9, 'nine', 'new')",
        {"orders.note": "length(note)"},
        [(1, 4), (2, 17), (3, 3), (9, 4)],
    ),
    "rounded": (
        "ALTER TABLE orders ALTER total TYPE int;ALTER TABLE orders DROP note; ALTER TABLE orders RENAME total TO note",
        "UPDATE orders SET total = 1.25 WHERE id = 1; UPDATE orders SET total = 3.0 WHERE id = 2",
        {"orders.note": "note * 100"},
        [(1, 125), (2, 3), (3, 30)],
    ),
}


@pytest.mark.parametrize("side", ["dev", "main"])
@pytest.mark.parametrize("case", LOSSY)
def test_a_value_that_the_other_sides_type_cannot_hold_is_asked_for(
    shop: Database, dev: Connection, case: str, side: str
) -> None:
    change, writes, fill, expected = LOSSY[case]
    do(shop, dev, side, change)
    do(shop, dev, "main" if side == "dev" else "dev", writes)
    for options in ({}, {"on_conflict": "ours"}, {"on_conflict": "theirs"}):
        assert merge(shop, **options) == ("conflicted", 0, 1)
    assert shop.rows("SELECT DISTINCT kind, theirs ->> 'name' FROM pggit.merge_schema_conflicts") == [
        ("needs_fill", "note")
    ]
    assert merge(shop, fill=fill) == ("merged", 0, 0)
    assert shop.rows("SELECT id, note FROM orders ORDER BY id") == expected
    assert shop.rows("SELECT * FROM pggit.verify()") == []
    assert shop.rows("SELECT * FROM pggit.status('main')") == []


def test_no_side_decides_what_a_conversion_would_lose(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders ALTER note TYPE int USING note::int")
    shop.run("UPDATE orders SET note = 'five' WHERE id = 1")
    assert merge(shop) == ("conflicted", 0, 1)
    merge_id, conflict_id = shop.row("SELECT merge_id, conflict_id FROM pggit.merge_schema_conflicts")
    assert shop.value("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id) == 0
    for side in ("ours", "theirs"):
        with raises("VG204"):
            shop.run("SELECT pggit.resolve_conflict(%s, %s, %s)", merge_id, conflict_id, side)
        assert merge(shop, resolutions=[{"conflict_id": conflict_id, "take": side}]) == ("conflicted", 0, 1)
    assert merge(shop, resolutions=[{"conflict_id": conflict_id, "take": "value", "value": 5}]) == ("conflicted", 0, 1)
    assert merge(shop, resolutions=[{"conflict_id": conflict_id, "take": "value", "value": "5"}]) == ("merged", 0, 0)
    assert shop.rows("SELECT note FROM orders ORDER BY id") == [(5,), (2,), (3,)]


def test_what_fills_a_converted_column_reads_what_was_in_it(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders ALTER total TYPE int USING (total * 100)::int")
    shop.run("UPDATE orders SET total = 1.5 WHERE id = 1; INSERT INTO orders VALUES (9, 2.25)")
    assert merge(shop, fill={"orders.total": "total * 100"}) == ("merged", 0, 0)
    assert shop.rows("SELECT id, total FROM orders ORDER BY id") == [(1, 150), (2, 2000), (3, 3000), (9, 225)]


@pytest.mark.parametrize("side", ["dev", "main"])
def test_a_value_out_of_range_is_refused(shop: Database, dev: Connection, side: str) -> None:
    do(shop, dev, side, "ALTER TABLE orders ALTER total TYPE smallint")
    do(shop, dev, "main" if side == "dev" else "dev", "UPDATE orders SET total = 99999 WHERE id = 1")
    for call in ("plan_merge('dev')", "merge('dev', 'main')"):
        assert shop.row(f"SELECT result, detail ->> 'reason' FROM pggit.{call}") == (
            "refused",
            "smallint out of range",
        )


@pytest.mark.parametrize("side", ["dev", "main"])
def test_dropped_here_and_of_another_type_there(shop: Database, dev: Connection, side: str) -> None:
    do(shop, dev, side, "ALTER TABLE orders ALTER note TYPE bytea USING note::bytea")
    do(shop, dev, "main" if side == "dev" else "dev", "ALTER TABLE orders DROP note")
    assert merge(shop) == ("conflicted", 0, 1)


BOTH = {
    # name: (on dev, on main, conflicts, a afterwards)
    "the same cell": (
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 5 WHERE id = 1",
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 6 WHERE id = 1",
        1,
        [6, None, None],
    ),
    "the same cell, with a default": (
        "ALTER TABLE orders ADD a int DEFAULT 0; UPDATE orders SET a = 5 WHERE id = 1",
        "ALTER TABLE orders ADD a int DEFAULT 0; UPDATE orders SET a = 6 WHERE id = 1",
        1,
        [6, 0, 0],
    ),
    "another cell of the row": (
        "ALTER TABLE orders ADD a int; UPDATE orders SET status = 'dev' WHERE id = 1",
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = 6 WHERE id = 1",
        0,
        [6, None, None],
    ),
    "a default there": ("ALTER TABLE orders ADD a int DEFAULT 1", "ALTER TABLE orders ADD a int", 0, [1, 1, 1]),
    "a default here": ("ALTER TABLE orders ADD a int", "ALTER TABLE orders ADD a int DEFAULT 1", 0, [1, 1, 1]),
    "two defaults": (
        "ALTER TABLE orders ADD a int DEFAULT 1",
        "ALTER TABLE orders ADD a int DEFAULT 2",
        3,
        [2, 2, 2],
    ),
}


@pytest.mark.parametrize("case", BOTH)
def test_a_column_that_both_added_loses_no_value(shop: Database, dev: Connection, case: str) -> None:
    there, here, conflicts, expected = BOTH[case]
    query(dev, there)
    shop.run(here)
    assert merge(shop)[1] == conflicts
    if conflicts:
        assert merge(shop, on_conflict="ours") == ("merged", 0, 0)
    assert [a for (a,) in shop.rows("SELECT a FROM orders ORDER BY id")] == expected
    assert shop.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"
    assert [a for (a,) in query(dev, "SELECT a FROM orders ORDER BY id")] == expected
    assert shop.rows("SELECT * FROM pggit.diff('main', 'dev')") == []
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_what_is_written_while_the_merge_waits_for_its_table_is_merged(shop: Database, dev: Connection) -> None:
    query(
        dev,
        "ALTER TABLE orders ADD x int DEFAULT 1, ALTER status TYPE varchar(50);"
        "UPDATE orders SET total = 11, x = 5 WHERE id = 1",
    )
    writer = shop.connect(autocommit=False)
    query(writer, "UPDATE orders SET note = 'late' WHERE id = 1; INSERT INTO orders VALUES (9, 9, 'late')")
    with ThreadPoolExecutor() as pool:
        merging = pool.submit(merge, shop, fill={"orders.x": "2"})
        watcher = shop.connect()
        until = time.monotonic() + 60
        while not query(watcher, "SELECT FROM pg_locks WHERE NOT granted").fetchall() and time.monotonic() < until:
            time.sleep(0.01)
        writer.commit()
        assert merging.result() == ("merged", 0, 0)
    assert shop.rows("SELECT id, total, note, status, x FROM orders ORDER BY id") == [
        (1, 11, "late", "new", 5),
        (2, 20, "2", "new", 1),
        (3, 30, "3", "new", 1),
        (9, 9, "late", "new", 2),
    ]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("default", ["", " DEFAULT 4", " DEFAULT floor(random())"])
def test_a_row_of_a_branch_of_views_is_in_no_conflict_with_none(db: Database, default: str) -> None:
    db.run(BASE.replace("'all'", "'none'"))
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO orders VALUES (9, 9, 'dev')")
    db.run(f"ALTER TABLE orders ADD x int{default}; DELETE FROM orders WHERE id = 1")
    assert db.row("SELECT result, conflicts, schema_conflicts FROM pggit.merge('main', 'dev')") == ("merged", 0, 0)
    assert [row[:3] for row in query(dev, "SELECT id, note, x IS NULL FROM orders ORDER BY id")] == [
        (2, "2", not default),
        (3, "3", not default),
        (9, "dev", not default),
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_revert_takes_a_column_away_again(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders ADD x int DEFAULT 1")
    shop.run("UPDATE orders SET status = 'main' WHERE id = 1")
    merged = shop.value("SELECT commit_id FROM pggit.merge('dev', 'main')")
    assert shop.value("SELECT result FROM pggit.revert(%s)", merged) == "merged"
    assert shop.row("SELECT o::text FROM orders AS o WHERE id = 1") == ("(1,10,1,main)",)
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_row_of_a_branch_gets_a_number_in_mains_new_column(shop: Database, dev: Connection) -> None:
    shop.run("ALTER TABLE orders ADD token uuid DEFAULT gen_random_uuid(), ADD n serial")
    query(dev, "INSERT INTO orders VALUES (9, 9)")
    assert merge(shop) == ("merged", 0, 0)
    assert shop.row("SELECT token IS NOT NULL, n FROM orders WHERE id = 9") == (True, 4)
    assert shop.rows("SELECT * FROM pggit.verify()") == []


OURS = {
    # name: (filled here, written there, fill, the column afterwards)
    "filled everywhere": (
        "ALTER TABLE orders ADD a int; UPDATE orders SET a = total",
        "UPDATE orders SET total = 11 WHERE id = 1; INSERT INTO orders VALUES (9, 90); DELETE FROM orders WHERE id = 2",
        {"orders.a": "total"},
        "SELECT id, a FROM orders ORDER BY id",
        [(1, 11), (3, 30), (9, 90)],
    ),
    "filled in some rows": (
        "ALTER TABLE orders ADD a int DEFAULT 1; UPDATE orders SET a = 5 WHERE id = 3",
        "UPDATE orders SET total = 11 WHERE id = 3; INSERT INTO orders VALUES (9, 90)",
        {"orders.a": "7"},
        "SELECT id, a FROM orders ORDER BY id",
        [(1, 1), (2, 1), (3, 5), (9, 7)],
    ),
    "converted": (
        "ALTER TABLE orders ALTER total TYPE int USING (total * 100)::int",
        "UPDATE orders SET total = 1.5 WHERE id = 1; INSERT INTO orders VALUES (9, 2.25)",
        {"orders.total": "total * 100"},
        "SELECT id, total FROM orders ORDER BY id",
        [(1, 150), (2, 2000), (3, 3000), (9, 225)],
    ),
}


@pytest.mark.parametrize("case", OURS)
def test_what_ours_filled_is_asked_for_in_rows_of_theirs(shop: Database, dev: Connection, case: str) -> None:
    here, there, fill, sql, expected = OURS[case]
    shop.run(here)
    query(dev, there)
    # A table that the branch made comes along in the same merge.
    query(dev, "CREATE TABLE more (id int PRIMARY KEY); INSERT INTO more VALUES (1)")
    for options in ({}, {"on_conflict": "ours"}):
        assert merge(shop, **options) == ("conflicted", 0, 1)
    assert merge(shop, fill=fill) == ("merged", 0, 0)
    assert shop.rows(sql) == expected
    assert shop.rows("SELECT * FROM more") == [(1,)]
    assert shop.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"
    assert query(dev, sql).fetchall() == expected
    assert shop.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("side", ["dev", "main"])
def test_a_conflict_shows_a_value_that_the_merged_column_cannot_hold(
    shop: Database, dev: Connection, side: str
) -> None:
    other = "main" if side == "dev" else "dev"
    do(shop, dev, side, "ALTER TABLE orders ALTER note TYPE int USING note::int")
    do(shop, dev, side, "INSERT INTO orders VALUES (9, 9, 9)")
    do(shop, dev, other, "INSERT INTO orders VALUES (9, 9, 'nine')")
    unfit = "ours" if side == "dev" else "theirs"
    for options in ({}, {"on_conflict": unfit}):
        assert merge(shop, **options) == ("conflicted", 1, 0)
        shown = shop.rows(
            f"SELECT {unfit}, note LIKE '%%can''t hold%%' FROM pggit.merge_conflicts"
            " WHERE merge_id = (SELECT merge_id FROM pggit.merges ORDER BY created_at DESC LIMIT 1) ORDER BY key"
        )
        assert [(row["note"], bool(noted)) for row, noted in shown] == [("nine", bool(options))]
    merge_id = shop.value("SELECT merge_id FROM pggit.merges ORDER BY created_at DESC LIMIT 1")
    shop.run(
        "SELECT pggit.resolve_conflict(merge_id, conflict_id, 'value', %s) FROM pggit.merge_conflicts"
        " WHERE merge_id = %s",
        '{"id": 9, "total": 9, "note": 99, "status": "new"}',
        merge_id,
    )
    assert shop.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    assert shop.rows("SELECT id, note FROM orders ORDER BY id") == [(1, 1), (2, 2), (3, 3), (9, 99)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_what_reads_a_column_that_the_other_side_dropped_is_refused(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders DROP note")
    shop.run("CREATE VIEW notes AS SELECT note FROM orders")
    for call in ("plan_merge('dev')", "merge('dev', 'main')"):
        result, reason = shop.row(f"SELECT result, detail ->> 'reason' FROM pggit.{call}")
        assert (result, reason.split(" needs ")[0]) == ("refused", "view public.notes")
    assert shop.rows("SELECT * FROM notes ORDER BY 1") == [("1",), ("2",), ("3",)]
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_a_row_of_main_gets_the_next_number_in_a_branchs_serial(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders ADD n serial")
    shop.run("INSERT INTO orders VALUES (9, 9)")
    assert merge(shop) == ("merged", 0, 0)
    shop.run("INSERT INTO orders (id, total) VALUES (10, 10)")
    assert [n for (n,) in shop.rows("SELECT n FROM orders ORDER BY id")] == [1, 2, 3, 4, 5]
