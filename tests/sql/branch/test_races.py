# ruff: noqa: E501 - SQL is not wrapped
"""Two sessions on one branch: no update is lost, no key is given twice."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import FORMS, branch, intact, race, shop

LEVELS = [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ]


@pytest.mark.parametrize("isolation", LEVELS)
@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_no_lost_update(db: Database, form: str, touched: bool, isolation: psycopg.IsolationLevel) -> None:
    work = shop(db, form)
    if touched:
        query(work, "UPDATE orders SET amount = 5 WHERE id = 5")
    ended = race(db, isolation, *["UPDATE orders SET amount = amount + 1 WHERE id = 5"] * 2)
    amount = db.value('SELECT amount FROM "public@work".orders WHERE id = 5')
    if form == "all" and isolation == psycopg.IsolationLevel.READ_COMMITTED:
        assert (ended, amount) == (None, 7)
    else:
        assert (ended, amount) == ("40001", 6)


def test_update_and_delete(db: Database) -> None:
    """What another deleted is left out, as in a table, if it was deleted for sure and not given another key."""
    shop(db)
    for isolation in LEVELS:
        for number, first, second, ended in [
            (1, "DELETE FROM orders WHERE id = 5", "UPDATE orders SET amount = 9 WHERE id = 5", None),
            (2, "DELETE FROM orders WHERE id = 5", "DELETE FROM orders WHERE id = 5", None),
            (3, "DELETE FROM orders WHERE id IN (4, 5, 6)", "UPDATE orders SET id = 999 WHERE id = 5", None),
            (4, "UPDATE orders SET amount = 9 WHERE id = 6", "DELETE FROM orders WHERE id = 6", "40001"),
            (5, "UPDATE orders SET id = 999 WHERE id = 7", "UPDATE orders SET amount = 8 WHERE id = 7", "40001"),
            (
                6,
                "DELETE FROM orders WHERE id = 7; UPDATE orders SET id = 999 WHERE id = 1",
                "DELETE FROM orders WHERE id = 7",
                "40001",
            ),
        ]:
            wanted = ended if isolation == psycopg.IsolationLevel.READ_COMMITTED else "40001"
            assert race(db, isolation, first, second) == wanted, (isolation, number)
            db.run('DELETE FROM "public@work".orders WHERE id IN (1, 4, 5, 6, 7, 999)')
            db.run(
                'INSERT INTO "public@work".orders (id, customer_id) SELECT u, 1 FROM unnest(ARRAY[1, 4, 5, 6, 7]) AS u'
            )


def until_blocked(db: Database, session: Connection) -> None:
    ends = time.monotonic() + 60
    while not db.value("SELECT cardinality(pg_blocking_pids(%s)) > 0", session.info.backend_pid):
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize(
    "mover", ["merge('main', 'work')", "merge('other', 'work')", "materialize('work', 'customers')"]
)
def test_writers_wait_for_what_holds_their_branch(db: Database, mover: str) -> None:
    """And then write as if they had come later: one more than what the merge brought."""
    shop(db)
    branch(db, "other")
    query(db.connect(branch="other"), "UPDATE customers SET region = 2 WHERE id = 3")
    db.run("UPDATE orders SET amount = 50 WHERE id = 5")
    before = db.value('SELECT amount FROM "public@work".orders WHERE id = 5')
    holder = db.connect(autocommit=False)
    query(holder, f"SELECT pggit.{mover}")
    writers = [db.connect(branch="work") for _ in range(3)]
    sql = [
        "UPDATE orders SET amount = amount + 1 WHERE id = 5",
        "DELETE FROM orders WHERE id = 6",
        "INSERT INTO orders (id, customer_id) VALUES (999, 2)",
    ]
    with ThreadPoolExecutor(3) as pool:
        ended = [pool.submit(query, *of) for of in zip(writers, sql, strict=True)]
        try:
            for writer in writers:
                until_blocked(db, writer)
        finally:
            holder.commit()
        assert [one.result().rowcount for one in ended] == [1, 1, 1]
    found = db.rows('SELECT id, amount FROM "public@work".orders WHERE id IN (5, 6, 999) ORDER BY 1')
    assert found == [(5, 51 if "main" in mover else before + 1), (999, 1)]
    assert intact(db)


def test_who_reads_a_view_and_then_writes_it_beside_a_merge(db: Database) -> None:
    """The merge lets him go first: PostgreSQL has no deadlock to end."""
    shop(db)
    db.run("UPDATE orders SET amount = 50 WHERE id = 5")
    reader, merger = db.connect(branch="work", autocommit=False), db.connect()
    query(reader, "SELECT FROM orders")
    with ThreadPoolExecutor(1) as pool:
        merge = pool.submit(query, merger, "SELECT result FROM pggit.merge('main', 'work')")
        try:
            until_blocked(db, merger)
            query(reader, "UPDATE orders SET amount = amount + 1 WHERE id = 6")
        finally:
            reader.commit()
        assert merge.result().fetchone() == ("merged",)
    found = db.rows('SELECT id, amount FROM "public@work".orders WHERE id IN (5, 6) ORDER BY 1')
    assert found == [(5, 50), (6, 7)]


@pytest.mark.parametrize("form", FORMS)
def test_no_key_twice(db: Database, form: str) -> None:
    shop(db, form)
    for isolation in LEVELS:
        for number, sql in enumerate(
            [
                "INSERT INTO orders (id, customer_id) VALUES (999, 1)",
                "UPDATE orders SET id = 999 WHERE id = (SELECT min(id) FROM orders WHERE customer_id = 1 + pg_backend_pid() % 20)",
                "INSERT INTO customers (email) VALUES ('same')",
                "INSERT INTO orders (customer_id, status) VALUES (7, 'open')",
            ]
        ):
            assert race(db, isolation, sql, sql) in ("23505", "40001"), (isolation, number)
            work = '"public@work"'
            found = db.row(
                f"SELECT (SELECT count(*) FROM {work}.orders WHERE id = 999 OR status = 'open'), (SELECT count(*) FROM {work}.customers WHERE email = 'same')"
            )
            assert sum(found) == 1
            db.run(
                f"DELETE FROM {work}.orders WHERE id = 999 OR status = 'open'; DELETE FROM {work}.customers WHERE email = 'same'"
            )


def test_two_branches_do_not_wait_for_each_other(db: Database) -> None:
    shop(db)
    db.run("SELECT pggit.create_branch('other', p_materialize => 'none')")
    sessions = [db.connect(branch=name, autocommit=False) for name in ("work", "other")]
    for session in sessions:
        query(session, "SET LOCAL lock_timeout = '300ms'")
        query(session, "UPDATE orders SET amount = 1, id = 999 WHERE id = 5")
        query(session, "INSERT INTO customers (email) VALUES ('same')")
    for session in sessions:
        session.commit()
    both = "SELECT (SELECT count(*) FROM {0}.orders WHERE id = 999), (SELECT count(*) FROM {0}.customers WHERE email = 'same')"
    found = [db.row(both.format(name)) for name in ('"public@work"', '"public@other"', "public")]
    assert found == [(1, 1), (1, 1), (0, 0)]


@pytest.mark.parametrize("held", ["orders", "customers"])
def test_a_writer_waits_for_ddl_of_main_before_it_has_what_ddl_needs(db: Database, held: str) -> None:
    """DDL has the table, and takes its stores: the table that is written, or one that it refers to."""
    work = shop(db)
    query(work, "INSERT INTO orders (id, customer_id) VALUES (997, 1)")
    table_id = db.value("SELECT table_id FROM pggit.tables WHERE table_name = %s", held)
    ddl = db.connect(autocommit=False)
    query(ddl, f"LOCK TABLE public.{held} IN ACCESS EXCLUSIVE MODE")
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(query, work, "INSERT INTO orders (id, customer_id) VALUES (998, 1)")
        until_blocked(db, work)
        try:
            for store in ("log", "delta", "mask", "undo"):
                query(ddl, f"LOCK TABLE pggit._{store}_{table_id} IN ACCESS EXCLUSIVE MODE NOWAIT")
        finally:
            ddl.rollback()
        writer.result()
    assert db.value('SELECT count(*) FROM "public@work".orders WHERE id IN (997, 998)') == 2


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        ("none", "INSERT INTO z VALUES (4)", "DELETE FROM z WHERE id = 1"),
        ("none", "DELETE FROM a WHERE id = 1", "UPDATE z SET n = 1"),
        ("a", "UPDATE a SET n = 1", "DELETE FROM z WHERE id = 1"),
        (
            "a",
            "UPDATE a SET n = 1",
            "SAVEPOINT s; UPDATE z SET n = 1; ROLLBACK TO s; UPDATE a SET n = 2; UPDATE z SET n = 1",
        ),
        ("z", "DELETE FROM z WHERE id = 2", "DELETE FROM z WHERE id = 1; UPDATE a SET n = 1"),
        ("z", "UPDATE a SET n = 1", "DELETE FROM z WHERE id = 1"),
    ],
)
def test_a_writer_of_several_tables_does_not_meet_a_merge_half_way(
    db: Database, form: str, first: str, second: str
) -> None:
    """Whichever of them are views, and in whatever order: he waits less than it takes PostgreSQL to look for a deadlock."""
    db.run(
        "CREATE TABLE z (id integer PRIMARY KEY, n integer); CREATE TABLE a (id integer PRIMARY KEY, z integer REFERENCES z ON DELETE CASCADE, n integer);"
        "INSERT INTO z VALUES (1), (2); INSERT INTO a VALUES (1, 1), (2, 1)"
    )
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('one')")
    db.run("SELECT pggit.create_branch('work', 'main', 'schema', %s)", form)
    db.run("INSERT INTO z VALUES (3)")
    work, merger = db.connect(branch="work", autocommit=False), db.connect()
    for session in (work, merger):
        query(session, "SET deadlock_timeout = '200ms'")
    query(work, first)
    with ThreadPoolExecutor(1) as pool:
        merge = pool.submit(query, merger, "SELECT result FROM pggit.merge('main', 'work')")
        until_blocked(db, merger)
        query(work, second)
        work.commit()
        assert merge.result().fetchone() == ("merged",)
    assert db.value('SELECT count(*) FROM "public@work".z WHERE id = 3') == 1
    assert db.rows('SELECT FROM "public@work".a LEFT JOIN "public@work".z ON z.id = a.z WHERE z.id IS NULL') == []
    assert intact(db)


@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("DELETE FROM t WHERE id = 3", "INSERT INTO t VALUES (3, 3)"),
        ("UPDATE t SET u = 44 WHERE id = 4", "INSERT INTO t VALUES (40, 4)"),
        ("DELETE FROM t WHERE id = 5", "UPDATE t SET u = 5 WHERE id = 1"),
    ],
)
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_value_that_another_is_giving_up_may_be_tried_again(
    db: Database, first: str, second: str, end: str, is_own: bool
) -> None:
    """Refused for good (23505) is only what nobody is about to take away; and nobody waits, so there is no deadlock."""
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY, u integer UNIQUE); INSERT INTO t SELECT n, n FROM generate_series(1, 5) n"
    )
    db.run(
        "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('work', p_materialize => 'none')"
    )
    one, other = db.connect(branch="work"), db.connect(branch="work")
    if is_own:
        query(one, "DELETE FROM t; INSERT INTO t SELECT n, n FROM generate_series(1, 5) AS n")
    query(one, f"BEGIN; {first}")
    with raises("40001"):
        query(other, second)
    query(one, end)
    if end == "COMMIT":
        query(other, second)
    else:
        with raises("23505"):
            query(other, second)
        query(other, "INSERT INTO t VALUES (9, 9)")
    assert query(other, "SELECT count(*) = count(DISTINCT u) FROM t").fetchall() == [(True,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
