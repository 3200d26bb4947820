"""What a new branch shows, and that it and main do not see each other."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

from .schema import FORMS, branch, rows, shop, value


def total(db: Database, schema: str) -> object:
    return db.row(f'SELECT count(*), sum(amount), sum(twice) FROM "{schema}".orders')


@pytest.mark.parametrize("form", FORMS)
def test_main_moves_and_the_branch_stays(db: Database, form: str) -> None:
    work = shop(db, form)
    before = total(db, "public")

    db.run("UPDATE orders SET amount = amount + 5 WHERE id % 3 = 0")
    db.run("DELETE FROM orders WHERE id % 7 = 0")
    db.run("INSERT INTO orders (customer_id) SELECT 3 FROM generate_series(1, 9)")
    db.run("UPDATE orders SET id = id + 10000 WHERE id = 11")

    assert total(db, "public@work") == before
    assert value(work, "SELECT sum(amount) FROM orders WHERE customer_id = 3") == sum(range(2, 201, 20))


@pytest.mark.parametrize("form", FORMS)
def test_the_branch_moves_and_main_stays(db: Database, form: str) -> None:
    work = shop(db, form)
    before = total(db, "public")

    query(work, "UPDATE orders SET amount = amount + 5 WHERE id % 3 = 0")
    query(work, "DELETE FROM orders WHERE id % 7 = 0")
    query(work, "INSERT INTO orders (customer_id) SELECT 3 FROM generate_series(1, 9)")
    query(work, "UPDATE orders SET id = id + 10000 WHERE id = 11")

    assert total(db, "public") == before
    assert rows(work, "SELECT count(*) FROM orders") == [(200 - 28 + 9,)]
    assert rows(work, "SELECT * FROM pggit.status()") == [("public.orders", 10, 57, 29)]


@pytest.mark.parametrize("form", FORMS)
def test_a_writer_in_flight_at_the_fork_never_leaks(db: Database, form: str) -> None:
    shop(db, form)
    writer = db.connect(autocommit=False)
    query(writer, "UPDATE orders SET status = 'late' WHERE id = 5")
    query(writer, "INSERT INTO orders (customer_id, status) VALUES (1, 'late')")
    branch(db, "fork", "main", form)
    writer.commit()

    assert db.value("SELECT count(*) FROM \"public@fork\".orders WHERE status = 'late'") == 0
    assert db.value("SELECT count(*) FROM orders WHERE status = 'late'") == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("parent_form", FORMS)
def test_a_branch_of_a_branch(db: Database, parent_form: str, form: str) -> None:
    work = shop(db, parent_form)
    query(work, "UPDATE orders SET amount = 7 WHERE id <= 10")
    query(work, "DELETE FROM orders WHERE id = 20")
    query(work, "SELECT pggit.commit('work')")
    late = db.connect(branch="work", autocommit=False)
    query(late, "UPDATE orders SET status = 'late' WHERE id = 3")
    branch(db, "child", "work", form)
    late.commit()
    query(work, "DELETE FROM orders WHERE id = 4")
    db.run("DELETE FROM orders WHERE id = 5")

    child = db.connect(branch="child")
    assert value(child, "SELECT count(*) FROM orders") == 199
    assert value(child, "SELECT count(*) FROM orders WHERE amount = 7") == 10
    assert value(child, "SELECT count(*) FROM orders WHERE status = 'late'") == 0
    query(child, "DELETE FROM orders WHERE id = 6")
    assert value(work, "SELECT count(*) FROM orders WHERE id = 6") == 1
    assert rows(child, "SELECT * FROM pggit.diff('child')") == [("public.orders", 0, 0, 1)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("parent_form", FORMS)
def test_a_fork_from_the_past(db: Database, parent_form: str, form: str) -> None:
    work = shop(db, parent_form)
    db.run("SELECT pggit.tag('start', 'main')")
    query(work, "UPDATE orders SET amount = 7 WHERE id <= 10")
    query(work, "INSERT INTO orders (id, customer_id) VALUES (900, 1)")
    query(work, "DELETE FROM orders WHERE id = 20")
    then = value(work, "SELECT pggit.commit('then')")
    seen = rows(work, "SELECT * FROM orders ORDER BY id")
    query(work, "UPDATE orders SET amount = 8 WHERE id <= 12")
    query(work, "INSERT INTO orders (id, customer_id) VALUES (20, 2), (901, 3)")
    query(work, "DELETE FROM orders WHERE id IN (1, 900)")
    query(work, "SELECT pggit.commit('now')")
    query(work, "DELETE FROM orders WHERE id IN (2, 3)")
    db.run("UPDATE orders SET status = 'later' WHERE id % 2 = 0")

    branch(db, "past", str(then), form)
    branch(db, "origin", "start", form)

    assert db.rows('SELECT * FROM "public@past".orders ORDER BY id') == seen
    assert db.row("SELECT parent, base_commit, head FROM pggit.list_branches() WHERE name = 'past'") == (
        "work",
        then,
        then,
    )
    assert db.rows("SELECT * FROM pggit.status('past')") == []
    assert db.row('SELECT count(*), sum(amount) FROM "public@origin".orders') == (200, 200 * 201 // 2)


def test_from_null_is_the_current_branch_with_its_pending_changes(db: Database) -> None:
    work = shop(db)
    query(work, "DELETE FROM orders WHERE id = 1")
    info = rows(
        work,
        "SELECT parent, base_commit = head, materialized FROM pggit.create_branch('child', p_materialize => 'none')",
    )

    assert info == [("work", True, [])]
    assert rows(work, "SELECT * FROM pggit.status()") == []
    assert db.value('SELECT count(*) FROM "public@child".orders') == 199
    assert db.value("SELECT parent FROM pggit.create_branch('other', p_materialize => 'none')") == "main"
    assert db.value('SELECT count(*) FROM "public@other".orders') == 200


def test_a_branch_made_by_the_transaction_that_writes(db: Database) -> None:
    shop(db)
    writer = db.connect(autocommit=False)
    query(writer, "DELETE FROM orders WHERE id = 1")
    query(writer, "SELECT pggit.create_branch('mine', p_materialize => 'none')")
    query(writer, "DELETE FROM orders WHERE id = 2")
    writer.commit()

    assert db.rows('SELECT id FROM "public@mine".orders WHERE id < 4 ORDER BY id') == [(2,), (3,)]


def test_materialize_chooses_tables(db: Database) -> None:
    shop(db)
    db.run(
        "CREATE TABLE big AS SELECT g AS id FROM generate_series(1, 12000) AS g; ALTER TABLE big ADD PRIMARY KEY (id)"
    )
    db.run("SELECT pggit.track_schema('public')")

    def made(how: str) -> object:
        name = f"b{db.value('SELECT count(*) FROM pggit.branches')}"
        return db.value("SELECT materialized FROM pggit.create_branch(%s, 'main', 'schema', %s)", name, how)

    assert made("all") == ["public.big", "public.customers", "public.orders"]
    assert made("none") == []
    assert made(' public.orders, "big" ') == ["public.big", "public.orders"]
    assert made("auto") == ["public.big", "public.customers", "public.orders"]
    db.run("SET pggit.materialize_limit = '100kB'")
    assert made("auto") == ["public.customers", "public.orders"]


def test_ensure_branch_is_idempotent(db: Database) -> None:
    shop(db)
    assert db.row("SELECT name, was_created FROM pggit.ensure_branch('again')") == ("again", True)
    assert db.row("SELECT name, was_created FROM pggit.ensure_branch('again')") == ("again", False)


def test_bad_arguments(db: Database) -> None:
    shop(db)
    with raises("VG101", "exists already"):
        db.run("SELECT pggit.create_branch('work')")
    with raises("VG101"):
        db.run("SELECT pggit.create_branch('main')")
    with raises("VG002", "no branch, tag, commit or time"):
        db.run("SELECT pggit.create_branch('b', 'nowhere')")
    with raises("VG307", "database mode"):
        db.run("SELECT pggit.create_branch('b', p_mode => 'database')")
    with raises("VG202", "no branch mode"):
        db.run("SELECT pggit.create_branch('b', p_mode => 'copy')")
    with raises("VG004"):
        db.run("SELECT pggit.create_branch('b', p_materialize => 'nothing_like_it')")
    assert db.rows("SELECT name FROM pggit.list_branches()") == [("main",), ("work",)]


BAD_NAMES = "@ a?b a*b x[y a\\b a~1 a^ a:b -x /x x/ a..b a//b x.lock x@{1} .x a/.b HEAD WORKING abcd"


def test_bad_names(db: Database) -> None:
    for name in (*BAD_NAMES.split(), "", "a b", "a\tb", "x" * 201):
        with raises("VG201", "can't be the name of a branch"):
            db.run("SELECT pggit.create_branch(%s)", name)
