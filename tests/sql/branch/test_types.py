# ruff: noqa: E501 - SQL is not wrapped
"""Types and sequences on a branch: what is made there comes to main as it is, and what main has is copied before it changes."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import intact, merged, rows, value

MADE = """
    CREATE TYPE color AS ENUM ('red', 'green');
    CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
    CREATE TYPE pair AS (a int, c color);
    CREATE SEQUENCE tickets;
    ALTER TABLE orders ADD c color DEFAULT 'red', ADD ticket bigint DEFAULT nextval('tickets');
    CREATE TABLE people (id serial PRIMARY KEY, mail email, c color DEFAULT 'green', p pair, CHECK (c <> 'red'));
    CREATE INDEX greens ON people (mail) WHERE c = 'green';
    INSERT INTO people (mail, p) VALUES ('a@b', (1, 'red'));
    UPDATE orders SET c = 'green' WHERE id = 1;
"""


def test_types_made_on_a_branch_come_to_main_with_what_is_made_of_them(shop: Database, dev: Connection) -> None:
    query(dev, MADE)
    assert shop.value("SELECT result FROM pggit.plan_merge('dev', 'main')") == "planned"
    assert shop.value("SELECT to_regtype('public.color')") is None
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.rows("SELECT pg_typeof(mail)::text, pg_typeof(c)::text, mail, c, p FROM people") == [
        ("email", "color", "a@b", "green", "(1,red)")
    ]
    assert shop.rows("SELECT c, count(*), count(DISTINCT ticket) FROM orders GROUP BY c ORDER BY c") == [
        ("red", 199, 199),
        ("green", 1, 1),
    ]
    assert shop.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []
    assert rows(dev, "INSERT INTO people (mail) VALUES ('c@d') RETURNING id, c, pg_typeof(c)::text") == [
        (2, "green", "color")
    ]
    query(dev, "SELECT pggit.commit('second')")
    shop.run("INSERT INTO people (mail) VALUES ('e@f')")
    assert merged(shop, "dev", "main") == "merged"
    assert merged(shop, "main", "dev") == "fast_forward"
    assert rows(dev, "SELECT mail FROM people ORDER BY id") == [("a@b",), ("c@d",), ("e@f",)]
    assert shop.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []
    shop.run("SELECT pggit.create_branch('sub', 'dev')")
    sub = shop.connect(branch="sub")
    query(sub, "UPDATE people SET c = NULL WHERE id = 1; SELECT pggit.commit('sub'); SELECT pggit.checkout('main')")
    assert merged(shop, "sub", "main") == "fast_forward"
    assert shop.value("SELECT c FROM people WHERE id = 1") is None
    assert intact(shop)
    query(dev, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT pggit.delete_branch('dev', true)")
    assert shop.value("SELECT 'red'::color::text") == "red"
    assert intact(shop)


def test_types_of_a_deleted_branch_go_with_it_but_for_history(shop: Database, dev: Connection) -> None:
    query(dev, MADE)
    last = value(dev, "SELECT pggit.commit('made')")
    query(dev, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT pggit.delete_branch('dev', true)")
    assert shop.rows("SELECT to_regtype('color'), to_regclass('tickets')") == [(None, None)]
    assert shop.rows("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'public@%'") == [(0,)]
    assert shop.value("SELECT count(*) FROM pggit.diff_rows('people', 'main', %s)", last) == 1
    assert intact(shop)


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_label_added_on_a_branch_is_its_own_until_it_is_merged(shop: Database, form: str) -> None:
    shop.run(
        "ALTER TABLE customers ADD moods mood[], ADD CHECK (feels <> 'sad' OR region < 9); CREATE INDEX sad ON customers (region) WHERE feels = 'sad'"
    )
    shop.run("SELECT pggit.commit('moods')")
    shop.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    dev = shop.connect(branch="dev")
    query(dev, "BEGIN; ALTER TYPE mood ADD VALUE 'gone'; ROLLBACK")
    query(dev, "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'great' AFTER 'happy'")
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == [("public.customers", 0, 0, 0)]
    query(dev, "UPDATE customers SET feels = 'great', moods = '{great,sad}' WHERE id = 1; SELECT pggit.commit('great')")
    assert rows(dev, "SELECT feels FROM pggit.as_of(NULL::customers, 'main') WHERE id = 1") == [("ok",)]
    with raises("23514"):
        query(dev, "UPDATE customers SET feels = 'sad', region = 9 WHERE id = 2")
    assert shop.value("SELECT enum_range(NULL::mood)::text") == "{sad,ok,happy}"
    assert [(o, c) for _, o, c, *_ in shop.rows("SELECT * FROM pggit.diff_schema('main', 'dev')")] == [
        ("public.mood", "alter")
    ]
    shop.run("UPDATE customers SET feels = 'happy' WHERE id = 3")
    assert merged(shop, "main", "dev") == "merged"
    assert "new labels" in merged(shop, "dev", "main")
    prepare = shop.value("SELECT detail -> 'prepare' ->> 0 FROM pggit.plan_merge('dev', 'main')")
    shop.run(prepare)
    assert merged(shop, "dev", "main") in ("merged", "fast_forward")
    assert shop.rows("SELECT id, feels, moods FROM customers WHERE id IN (1, 3) ORDER BY id") == [
        (1, "great", "{great,sad}"),
        (3, "happy", None),
    ]
    query(dev, "UPDATE customers SET feels = 'sad', region = 1 WHERE id = 4; SELECT pggit.commit('sad')")
    shop.run("UPDATE customers SET feels = 'great' WHERE id = 5")
    assert merged(shop, "dev", "main") == "merged"
    assert merged(shop, "main", "dev") == "fast_forward"
    assert rows(dev, "SELECT id, feels FROM customers WHERE id IN (4, 5) ORDER BY id") == [(4, "sad"), (5, "great")]
    assert intact(shop)


def test_a_copy_on_a_branch_gets_the_labels_of_main(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TYPE mood ADD VALUE 'great'")
    query(dev, "UPDATE customers SET feels = 'great' WHERE id = 1; SELECT pggit.commit('great')")
    shop.run("ALTER TYPE mood ADD VALUE 'fine' BEFORE 'happy'")
    shop.run("UPDATE customers SET feels = 'fine' WHERE id = 2; SELECT pggit.commit('fine')")
    result, prepare = shop.row("SELECT result, detail -> 'prepare' FROM pggit.merge('main', 'dev')")
    assert (result, prepare) == ("refused", ["ALTER TYPE \"public@dev\".mood ADD VALUE 'fine' AFTER 'ok'"])
    query(dev, prepare[0])
    assert merged(shop, "main", "dev") == "merged"
    assert rows(dev, "SELECT feels FROM customers WHERE id IN (1, 2) ORDER BY id") == [("great",), ("fine",)]
    shop.run(shop.value("SELECT detail -> 'prepare' ->> 0 FROM pggit.merge('dev', 'main')"))
    assert merged(shop, "dev", "main") in ("merged", "fast_forward")
    assert shop.value("SELECT enum_range(NULL::mood)::text") == "{sad,ok,fine,happy,great}"
    query(dev, "ALTER TABLE customers DROP feels; SELECT pggit.commit('nothing')")
    assert merged(shop, "dev", "main") in ("merged", "fast_forward")
    assert intact(shop)


@pytest.mark.parametrize("form", ["none", "all"])
def test_labels_go_from_branch_to_branch(shop: Database, dev: Connection, form: str) -> None:
    shop.run("SELECT pggit.create_branch('other', p_materialize => %s)", form)
    query(dev, "ALTER TYPE mood ADD VALUE 'fine' BEFORE 'happy'; ALTER TYPE mood ADD VALUE 'great'")
    query(dev, "UPDATE customers SET feels = 'great' WHERE id = 1; SELECT pggit.commit('great')")
    result, detail = shop.row("SELECT result, detail FROM pggit.merge('dev', 'other')")
    assert (result, detail["prepare"]) == (
        "refused",
        [
            "SELECT pggit.ddl('other', 'ALTER TYPE \"public@other\".mood ADD VALUE ''fine'' AFTER ''ok''')",
            "SELECT pggit.ddl('other', 'ALTER TYPE \"public@other\".mood ADD VALUE ''great'' AFTER ''happy''')",
        ],
    )
    with shop.connect() as elsewhere:
        query(elsewhere, "SET search_path = pg_catalog")
        for statement in detail["prepare"]:
            query(elsewhere, statement)
    assert merged(shop, "dev", "other") in ("merged", "fast_forward")
    other = shop.connect(branch="other")
    assert rows(other, "SELECT feels FROM customers WHERE id = 1") == [("great",)]
    for statement in shop.value("SELECT detail -> 'prepare' FROM pggit.plan_merge('other', 'main')"):
        shop.run(statement)
    assert merged(shop, "other", "main") in ("merged", "fast_forward")
    assert merged(shop, "dev", "main") in ("merged", "up_to_date", "fast_forward")
    assert shop.value("SELECT enum_range(NULL::mood)::text") == "{sad,ok,fine,happy,great}"
    assert shop.value("SELECT feels FROM customers WHERE id = 1") == "great"
    assert intact(shop)


@pytest.mark.parametrize("form", ["none", "all"])
def test_labels_of_main_need_no_preparing_on_a_branch_that_uses_its_type(shop: Database, form: str) -> None:
    shop.run("SELECT pggit.create_branch('other', p_materialize => %s)", form)
    query(shop.connect(branch="other"), "UPDATE customers SET region = 7 WHERE id = 3; SELECT pggit.commit('other')")
    shop.run("ALTER TYPE mood ADD VALUE 'great'")
    shop.run("UPDATE customers SET feels = 'great' WHERE id = 1; SELECT pggit.commit('great')")
    assert merged(shop, "main", "other") == "merged"
    assert rows(shop.connect(branch="other"), "SELECT feels FROM customers WHERE id = 1") == [("great",)]
    assert intact(shop)


def test_a_domain_changed_and_a_type_dropped_on_a_branch(shop: Database, dev: Connection) -> None:
    query(dev, "ALTER TABLE orders DROP twice; ALTER DOMAIN price ADD CONSTRAINT cheap CHECK (VALUE < 1000)")
    with raises("23514", "cheap"):
        query(dev, "UPDATE orders SET amount = 2000 WHERE id = 1")
    query(dev, "ALTER TABLE customers DROP feels; DROP TYPE mood; DROP TYPE IF EXISTS mood")
    query(dev, "SELECT pggit.commit('cheap')")
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.value("SELECT to_regtype('mood')") is None
    with raises("23514", "cheap"):
        shop.run("UPDATE orders SET amount = 2000 WHERE id = 1")
    query(dev, "CREATE TYPE mood AS ENUM ('new'); ALTER TABLE customers ADD feels mood; SELECT pggit.commit('again')")
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.value("SELECT enum_range(NULL::mood)::text") == "{new}"
    assert intact(shop)


@pytest.mark.parametrize(
    ("before", "ddl", "sqlstate", "why"),
    [
        (
            "CREATE TYPE pair AS (a mood)",
            "ALTER TYPE mood ADD VALUE 'x'",
            "VG307",
            "composite type public.pair is made of it",
        ),
        ("CREATE TABLE m (k mood PRIMARY KEY)", "ALTER TYPE mood ADD VALUE 'x'", "VG307", "column k .*is in its key"),
        ("SELECT", "SET pggit.save_limit = '1kB'; ALTER TYPE mood ADD VALUE 'x'", "VG307", "save_limit"),
        ("SELECT", "ALTER DOMAIN price SET NOT NULL", "VG307", "generated column twice"),
        ("CREATE SEQUENCE s", "ALTER SEQUENCE s INCREMENT 2", "VG309", "sequence public.s"),
        ("SELECT", "DROP TYPE mood CASCADE", "VG307", "could not be saved"),
        ("SELECT", "CREATE EXTENSION hstore", "VG309", "extension hstore"),
        ("SELECT", "CREATE SCHEMA other", "VG309", "schema other"),
        ("SELECT", "ALTER TYPE public.mood ADD VALUE 'x'", "VG309", "type public.mood"),
    ],
)
def test_what_stays_refused_says_why(shop: Database, before: str, ddl: str, sqlstate: str, why: str) -> None:
    shop.run(before)
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = shop.connect(branch="dev")
    with raises(sqlstate, why) as refused:
        query(dev, ddl)
    assert refused.value.diag.message_hint
    assert shop.value("SELECT enum_range(NULL::mood)::text") == "{sad,ok,happy}"
    assert rows(dev, "SELECT * FROM pggit.status()") == []


@pytest.mark.parametrize("form", ["none", "all"])
def test_an_attribute_renamed_on_a_branch_keeps_the_values_of_main(db: Database, form: str) -> None:
    db.run(
        "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, c pair); INSERT INTO t VALUES (1, (1, 'x'))"
    )
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.tag('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    query(db.connect(branch="dev"), "ALTER TYPE pair RENAME ATTRIBUTE a TO z; SELECT pggit.commit('renamed')")
    db.run("INSERT INTO t VALUES (2, (2, 'main'))")
    renamed = "ALTER TYPE public.pair RENAME ATTRIBUTE a TO z"
    assert db.rows("SELECT ddl, destructive FROM pggit.generate_migration('first', 'dev')") == [(renamed, False)]
    assert db.value("SELECT detail -> 'ddl' FROM pggit.merge('dev', 'main')") == [renamed]
    assert db.rows("SELECT id, (c).z, (c).b FROM t ORDER BY id") == [(1, 1, "x"), (2, 2, "main")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("ALTER TYPE pair DROP ATTRIBUTE b; SELECT pggit.commit('less')")
    assert db.value("SELECT bool_or(destructive) FROM pggit.generate_migration('HEAD~1', 'HEAD')")
