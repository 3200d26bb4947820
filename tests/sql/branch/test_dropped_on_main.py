# ruff: noqa: E501 - SQL is not wrapped
"""DROP TABLE on main: the history stays, and branches that have the table keep it, with its numbers and foreign keys."""

from __future__ import annotations

from fixtures.postgres import Database, query, raises

from .schema import SHOP, rows

LOGS = "CREATE TABLE logs (line text); INSERT INTO logs VALUES ('a'), ('a'), ('b');"


def test_a_table_dropped_on_main_stays_with_the_branches(db: Database) -> None:
    db.run(SHOP + LOGS + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    db.run("SELECT pggit.create_branch('real', p_materialize => 'all')")
    views, real = db.connect(branch="views"), db.connect(branch="real")
    query(views, "UPDATE orders SET status = 'mine' WHERE id = 1; SELECT pggit.commit('mine')")
    db.run("INSERT INTO orders (customer_id) VALUES (1); SELECT pggit.commit('last')")
    db.run("DROP TABLE IF EXISTS order_s; BEGIN; DROP TABLE orders; ROLLBACK")
    with raises("2BP01", "cannot drop table customers"):
        db.run("DROP TABLE customers")
    db.run("DROP TABLE orders, logs; SELECT pggit.commit('dropped')")
    assert db.rows("SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [
        ("public.logs", 0, 0, 3),
        ("public.orders", 0, 0, 201),
    ]
    for session in (views, real):
        query(session, "INSERT INTO logs VALUES ('c')")
        assert rows(session, "INSERT INTO orders (customer_id) VALUES (2) RETURNING id") == [(202,)]
        with raises("23503"):
            query(session, "INSERT INTO orders (customer_id) VALUES (99)")
        query(session, "SELECT pggit.commit('goes on')")
        assert rows(session, "SELECT count(*) FROM pggit.as_of(NULL::orders, 'HEAD~1')") == [(200,)]
        assert rows(session, "SELECT count(*) FROM pggit.as_of(NULL::orders, 'main~1')") == [(201,)]
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('views', 'main')") == (
        "refused",
        "'main' dropped table public.logs, and 'views' has changed it since",
    )
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_one_too_large_to_be_kept_for_the_branches_is_not_dropped(db: Database) -> None:
    db.run(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.create_branch('dev', p_materialize => 'none')")
    db.run("SET pggit.save_limit = '1kB'; SET pggit.materialize_ddl_limit = '1kB'")
    with raises("VG307", "table public.orders can't be dropped while branches have it") as refused:
        db.run("DROP TABLE orders")
    assert refused.value.diag.message_detail == "Branches: 'dev'."
    assert "SELECT pggit.materialize('dev', 'public.orders');" in (refused.value.diag.message_hint or "")
    assert "pggit.delete_branch('dev')" in (refused.value.diag.message_hint or "")
    db.run("RESET pggit.save_limit; SELECT pggit.create_branch('other', p_materialize => 'none')")
    db.run(
        "SELECT set_config('pggit.materialize_ddl_limit', pggit._total_size('orders'::regclass) * 3 / 2 / 1024 || 'kB', false)"
    )
    with raises("VG307", "copies for 2 of them would have"):
        db.run("DROP TABLE orders")
    db.run("RESET pggit.materialize_ddl_limit; DROP TABLE orders")
    assert db.rows("SELECT * FROM pggit.verify()") == []


PAST = """CREATE TABLE "P p" (id integer PRIMARY KEY); INSERT INTO "P p" VALUES (1), (2);
CREATE TABLE "T t" (id serial PRIMARY KEY, "V v" text, p integer REFERENCES "P p", g integer GENERATED ALWAYS AS (p * 2) STORED);
INSERT INTO "T t" ("V v", p) VALUES ('a', 1), ('b', 2);
SELECT pggit.track_schema('public'); SELECT pggit.tag('one', pggit.commit('one'));
UPDATE "T t" SET "V v" = 'c' WHERE id = 1; ALTER TABLE "T t" ADD z integer DEFAULT 5; SELECT pggit.tag('two', pggit.commit('two'));"""


def test_one_that_no_branch_has_keeps_its_history(db: Database) -> None:
    db.run(LOGS + PAST)
    db.run("""UPDATE "T t" SET z = 6 WHERE id = 2; INSERT INTO logs VALUES ('c'); DROP TABLE "T t", logs""")
    db.run("SELECT pggit.tag('gone', pggit.commit('gone'))")
    assert db.rows("SELECT * FROM pggit.diff('one', 'gone')") == [
        ('public."T t"', 0, 0, 2),
        ("public.logs", 0, 0, 3),
    ]
    assert db.rows(
        """SELECT change, old_row ->> 'V v', new_row ->> 'V v' FROM pggit.diff_rows('"T t"', 'one', 'two')"""
    ) == [("update", "a", "c")]
    db.run("SELECT pggit.create_branch('past', 'one')")
    there = db.connect(branch="past")
    assert rows(there, 'SELECT * FROM "T t" ORDER BY id') == [(1, "a", 1, 2), (2, "b", 2, 4)]
    assert rows(there, """INSERT INTO "T t" ("V v", p) VALUES ('d', 1) RETURNING id""") == [(3,)]
    with raises("23503"):
        query(there, """INSERT INTO "T t" (p) VALUES (9)""")
    query(there, "SELECT pggit.commit('on the past')")
    assert rows(there, "SELECT * FROM pggit.diff('one')") == [('public."T t"', 1, 0, 0)]
    query(there, "SELECT pggit.checkout('two')")
    assert rows(there, 'SELECT * FROM "T t" ORDER BY id') == [(1, "c", 1, 2, 5), (2, "b", 2, 4, 5)]
    assert rows(there, "SELECT * FROM logs ORDER BY 1") == [("a",), ("a",), ("b",)]
    query(there, "SELECT pggit.checkout('main')")
    assert db.row("SELECT result FROM pggit.revert('gone')") == ("merged",)
    assert db.rows('SELECT * FROM "T t" ORDER BY id') == [(1, "c", 1, 2, 5), (2, "b", 2, 4, 5)]
    assert db.rows("SELECT * FROM pggit.diff('two')") == []
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_can_not_be_saved_is_said(db: Database) -> None:
    db.run(PAST)
    db.run("""CREATE SCHEMA "S s"; CREATE TYPE "S s".mood AS ENUM ('x'); CREATE TABLE "S s".plain (id integer PRIMARY KEY);
              CREATE TABLE "S s".moody (id integer PRIMARY KEY, m "S s".mood); INSERT INTO "S s".plain VALUES (1);
              SELECT pggit.track_schema('S s'), pggit.tag('s', pggit.commit('s'))""")
    heard: list[str] = []
    db.conn.add_notice_handler(lambda d: heard.append(d.message_detail or "") if d.severity == "WARNING" else None)
    db.run(
        """CREATE TABLE never (id integer PRIMARY KEY); DROP TABLE never; DROP SCHEMA "S s" CASCADE; SELECT pggit.commit('gone')"""
    )
    assert heard == ["Its rows are not saved because column m is of a type that goes with the schema."]
    assert db.rows("SELECT * FROM pggit.diff('s')") == [('"S s".plain', 0, 0, 1)]
    db.run("SELECT pggit.checkout('s'); SELECT pggit.checkout('main')")
    db.run("""SET pggit.save_limit = '1kB'; DROP TABLE "T t"; RESET pggit.save_limit""")
    assert "pggit.save_limit is 1kB" in heard[1]
    with raises("VG004"):
        db.run("""SELECT * FROM pggit.diff_rows('"T t"', 'one', 'two')""")
    db.run("SELECT pggit.commit('smaller')")
    assert db.rows("SELECT * FROM pggit.verify()") == []
