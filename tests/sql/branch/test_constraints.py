# ruff: noqa: E501 - SQL is not wrapped
"""Constraints hold on a branch as on main, with PostgreSQL's own errors, whatever form the table has."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import FORMS, rows, shop, tracked, value

Refusal = tuple[str, str | None, str | None]


def refused(session: Connection, sql: str) -> tuple[str | None, str | None, str | None]:
    """SQLSTATE, constraint or column, and table of the refusal; the session is not changed by it."""
    with pytest.raises(psycopg.Error) as caught:
        query(session, sql)
    found = caught.value.diag
    return found.sqlstate, found.constraint_name or found.column_name, found.table_name


REFUSALS: dict[str, Refusal] = {
    "INSERT INTO orders (id, customer_id) VALUES (5, 1)": ("23505", "orders_pkey", "orders"),
    "UPDATE orders SET id = 6 WHERE id = 5": ("23505", "orders_pkey", "orders"),
    "INSERT INTO customers (email) VALUES ('c3@example.org')": ("23505", "customers_email_once", "customers"),
    "UPDATE customers SET email = 'c3@example.org' WHERE id = 4": ("23505", "customers_email_once", "customers"),
    "UPDATE orders SET status = 'open' WHERE customer_id = 4": ("23505", "one_open_order", "orders"),
    "INSERT INTO customers (email) VALUES (NULL)": ("23502", "email", "customers"),
    "UPDATE orders SET status = NULL WHERE id = 4": ("23502", "status", "orders"),
    "INSERT INTO customers (email, region) VALUES ('x', 10)": ("23514", "known_region", "customers"),
    "UPDATE orders SET amount = -1 WHERE id = 4": ("23514", "price_check", None),
    "INSERT INTO orders (customer_id) VALUES (99)": ("23503", "orders_customer", "orders"),
    "UPDATE orders SET customer_id = 99 WHERE id = 4": ("23503", "orders_customer", "orders"),
    "INSERT INTO orders (customer_id, twice) VALUES (1, 4)": ("428C9", None, None),
    "UPDATE orders SET twice = 4 WHERE id = 4": ("428C9", None, None),
    "INSERT INTO customers (email) VALUES (repeat('x', 41))": ("22001", None, None),
    "INSERT INTO customers (email, feels) VALUES ('x', 'angry')": ("22P02", None, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_refusals(db: Database, form: str) -> None:
    work = shop(db, form)
    for sql, (state, name, table) in REFUSALS.items():
        found = refused(work, sql)
        assert found[0] == state, sql
        assert name is None or found[1] == name, sql
        assert table is None or found[2] == table, sql
    assert rows(work, "SELECT * FROM pggit.status()") == []


@pytest.mark.parametrize("form", FORMS)
def test_defaults_and_generated_columns(db: Database, form: str) -> None:
    work = shop(db, form)
    made = rows(
        work,
        "INSERT INTO orders (customer_id, amount) VALUES (1, 2.345), (2, 3) RETURNING id, status, amount, twice, created_at = '2026-01-01 00:00:00+00'",
    )
    assert [str(r) for r in made] == [
        "(201, 'new', Decimal('2.35'), Decimal('4.70'), True)",
        "(202, 'new', Decimal('3.00'), Decimal('6.00'), True)",
    ]
    assert rows(work, "INSERT INTO orders (customer_id, note) VALUES (1, NULL) RETURNING note, amount") == [(None, 1)]
    assert rows(work, "INSERT INTO customers (email) VALUES ('n@example.org') RETURNING id, feels, region") == [
        (21, "ok", None)
    ]
    assert rows(work, "INSERT INTO customers (id, email) VALUES (-5, 'm@example.org') RETURNING id") == [(-5,)]
    assert db.value("INSERT INTO customers (email) VALUES ('main@example.org') RETURNING id") == 22
    assert rows(work, "UPDATE orders SET amount = amount + 1 WHERE id IN (1, 2) RETURNING id, twice") in (
        [(1, 4), (2, 6)],
        [(2, 6), (1, 4)],
    )
    assert value(work, "SELECT lastval() > 0") is True


@pytest.mark.parametrize("form", FORMS)
def test_freed_values_may_be_used_again(db: Database, form: str) -> None:
    work = shop(db, form)
    query(work, "DELETE FROM customers WHERE id = 3")
    query(work, "INSERT INTO customers (id, email) VALUES (3, 'c3@example.org')")
    query(work, "UPDATE customers SET email = 'other' WHERE id = 4")
    query(work, "INSERT INTO customers (email) VALUES ('c4@example.org')")
    query(work, "UPDATE orders SET id = 1000 WHERE id = 9")
    query(work, "INSERT INTO orders (id, customer_id) VALUES (9, 1)")
    assert value(work, "SELECT count(*) FROM orders WHERE id IN (9, 1000)") == 2
    # What main frees is not free on the branch, and what main takes is.
    db.run("DELETE FROM customers WHERE id = 5")
    db.run("INSERT INTO customers (id, email) VALUES (500, 'main@example.org')")
    assert refused(work, "INSERT INTO customers (email) VALUES ('c5@example.org')")[0] == "23505"
    query(work, "INSERT INTO customers (id, email) VALUES (500, 'main@example.org')")


@pytest.mark.parametrize("form", FORMS)
def test_unusual_unique_rules(db: Database, form: str) -> None:
    work = tracked(
        db,
        """
        CREATE TABLE t (id integer PRIMARY KEY, a text, b integer, r int4range, UNIQUE NULLS NOT DISTINCT (a, b), EXCLUDE USING gist (r WITH &&));
        CREATE UNIQUE INDEX by_expression ON t (lower(a), (b + 1)) WHERE b > 10;
        INSERT INTO t VALUES (1, 'x', NULL, '[1,5)'), (2, NULL, NULL, '[5,9)'), (3, 'Big', 11, NULL);
        """,
        form,
    )
    assert refused(work, "INSERT INTO t VALUES (4, 'x', NULL)")[:2] == ("23505", "t_a_b_key")
    assert refused(work, "INSERT INTO t VALUES (4, NULL, NULL)")[:2] == ("23505", "t_a_b_key")
    assert refused(work, "INSERT INTO t VALUES (4, 'BIG', 11)")[:2] == ("23505", "by_expression")
    assert refused(work, "INSERT INTO t VALUES (4, 'y', 1, '[8,12)')")[:2] == ("23P01", "t_r_excl")
    query(work, "INSERT INTO t VALUES (4, 'BIG', 1, '[20,30)'), (5, 'big', 1, NULL)")
    query(work, "UPDATE t SET r = '[4,5)' WHERE id = 1")
    query(work, "UPDATE t SET a = a, b = b, r = r")
    assert refused(work, "UPDATE t SET b = 11 WHERE id = 4")[:2] == ("23505", "by_expression")


@pytest.mark.parametrize("form", FORMS)
def test_statements_that_clients_use(db: Database, form: str) -> None:
    work = shop(db, form)
    with work.cursor().copy("COPY orders (customer_id, amount) FROM STDIN") as copy:
        for number in range(50):
            copy.write_row((1 + number % 20, number))
    assert value(work, "SELECT count(*) FROM orders") == 250
    query(work, "UPDATE orders AS o SET status = c.email FROM customers AS c WHERE c.id = o.customer_id AND c.id < 3")
    query(
        work, "DELETE FROM orders AS o USING customers AS c WHERE c.id = o.customer_id AND c.email = 'c7@example.org'"
    )
    query(
        work,
        "WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING *) INSERT INTO orders (id, customer_id) SELECT id, 4 FROM gone",
    )
    query(work, "UPDATE orders SET id = id + 1000 WHERE id BETWEEN 10 AND 20")
    # A row that the join finds twice is updated once, as in a table.
    query(work, "UPDATE orders AS o SET amount = 5 FROM generate_series(1, 3) AS g WHERE o.id = 3")
    assert value(work, "SELECT amount FROM orders WHERE id = 3") == 5
    assert rows(work, "SELECT customer_id FROM orders WHERE id = 1") == [(4,)]
    changed = value(work, "SELECT sum(inserted + updated + deleted) FROM pggit.status()")
    assert (
        value(work, "SELECT rows_changed FROM pggit.show(%s)", value(work, "SELECT pggit.commit('all of it')"))
        == changed
    )


@pytest.mark.pg(17, 18)
@pytest.mark.parametrize("form", FORMS)
def test_merge_statement(db: Database, form: str) -> None:
    work = shop(db, form)
    query(
        work,
        """
        MERGE INTO orders AS o USING (VALUES (1, 2), (900, 3)) AS s (id, customer_id) ON s.id = o.id
        WHEN MATCHED THEN UPDATE SET customer_id = s.customer_id
        WHEN NOT MATCHED THEN INSERT (id, customer_id) VALUES (s.id, s.customer_id)
        """,
    )
    assert rows(work, "SELECT id, customer_id FROM orders WHERE id IN (1, 900) ORDER BY id") == [(1, 2), (900, 3)]


def test_what_a_view_can_not_do_is_said(db: Database) -> None:
    work = shop(db)
    for sql in (
        "TRUNCATE orders",
        "INSERT INTO orders (id, customer_id) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET amount = 1",
    ):
        with pytest.raises(psycopg.Error):
            query(work, sql)
    listed = rows(
        work, "SELECT DISTINCT kind FROM pggit.branch_capabilities('work') WHERE table_name = 'public.orders'"
    )
    assert {("on_conflict",), ("truncate",), ("row_locks",), ("ddl",)} <= set(listed)
    db.run("SELECT pggit.create_branch('real', p_materialize => 'all')")
    assert rows(work, "SELECT * FROM pggit.branch_capabilities('real')") == []


@pytest.mark.parametrize("form", FORMS)
def test_domains_that_are_not_null(db: Database, form: str) -> None:
    """As a plain column, in unique and foreign keys; a domain's length and check hold too."""
    work = tracked(
        db,
        """
        CREATE DOMAIN label AS text NOT NULL CHECK (VALUE <> '');
        CREATE DOMAIN short AS varchar(3) NOT NULL CHECK (VALUE <> '');
        CREATE TABLE t (id integer PRIMARY KEY, n label UNIQUE, m short DEFAULT 'm');
        CREATE TABLE u (id label PRIMARY KEY, t label REFERENCES t (n));
        INSERT INTO t VALUES (1, 'a');
        INSERT INTO u VALUES ('a', 'a');
        """,
        form,
    )
    query(work, "INSERT INTO t (id, n) VALUES (2, 'b'); INSERT INTO u VALUES ('b', 'b')")
    query(work, "UPDATE t SET m = 'c' WHERE id = 1; UPDATE u SET t = 'b' WHERE id = 'a'")
    for sql, state in [
        ("INSERT INTO t VALUES (3)", "23502"),
        ("UPDATE t SET m = NULL", "23502"),
        ("UPDATE t SET m = ''", "23514"),
        ("UPDATE t SET m = 'long'", "22001"),
        ("UPDATE t SET n = 'b' WHERE id = 1", "23505"),
        ("UPDATE u SET t = 'x'", "23503"),
        ("DELETE FROM t WHERE id = 2", "23503"),
    ]:
        with raises(state):
            query(work, sql)
    assert rows(work, "SELECT * FROM t ORDER BY id") == [(1, "a", "c"), (2, "b", "m")]
    assert rows(work, "SELECT * FROM u ORDER BY id") == [("a", "b"), ("b", "b")]


def test_what_is_deferrable_is_listed_as_checked_at_once(db: Database) -> None:
    work = tracked(
        db,
        """
        CREATE TABLE t (id integer PRIMARY KEY, n integer CONSTRAINT t_n UNIQUE DEFERRABLE INITIALLY DEFERRED, m integer UNIQUE);
        INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);
        """,
    )
    listed = rows(
        work, "SELECT limitation FROM pggit.branch_capabilities('work') WHERE kind = 'deferred_unique' ORDER BY 1"
    )
    assert [str(text).split(" ")[0] for (text,) in listed] == ["t_n"]
    with raises("23505"):
        query(work, "UPDATE t SET n = 3 - n")
    query(work, "SELECT pggit.materialize('work', 't')")
    query(work, "UPDATE t SET n = 3 - n")


@pytest.mark.parametrize("form", FORMS)
def test_functions_of_constraints_find_what_they_name_without_a_schema(db: Database, form: str) -> None:
    work = tracked(
        db,
        """
        CREATE SCHEMA "Other %"; CREATE TABLE "Other %".far (id integer PRIMARY KEY);
        CREATE TABLE known (id integer PRIMARY KEY); INSERT INTO known VALUES (1), (2);
        CREATE FUNCTION following(p integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT p + 1';
        CREATE FUNCTION is_known(p integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM known WHERE id = p); END';
        CREATE FUNCTION twice(p integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN following(p) + following(p) - 2; END';
        CREATE DOMAIN small AS integer CHECK (twice(VALUE) < 100);
        CREATE TABLE t (id integer PRIMARY KEY, k integer CHECK (is_known(k)), s small, g integer GENERATED ALWAYS AS (twice(id)) STORED);
        INSERT INTO t VALUES (7, 1, 1);
        SELECT pggit.track_schema('Other %');
        """,
        form,
    )
    query(work, "INSERT INTO t VALUES (1, 1, 1)")
    query(work, "UPDATE t SET k = 2, id = 4 WHERE id = 1")
    assert rows(work, "SELECT * FROM t ORDER BY id") == [(4, 2, 1, 8), (7, 1, 1, 14)]
    for sql in ("INSERT INTO t VALUES (2, 3, 1)", "UPDATE t SET k = 3", "UPDATE t SET s = 60"):
        with raises("23514"):
            query(work, sql)
    query(work, "INSERT INTO known VALUES (3); INSERT INTO t VALUES (2, 3, 1)")
    with raises("23514"):
        db.run("INSERT INTO t VALUES (2, 3, 1)")


def test_functions_of_constraints_run_with_no_path_of_who_writes(db: Database) -> None:
    """They run with the rights of whoever installed pggit."""
    tracked(
        db,
        """
        CREATE TABLE known (id integer PRIMARY KEY);
        CREATE FUNCTION is_known(p integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM known WHERE id = p); END';
        CREATE TABLE t (id integer PRIMARY KEY CHECK (is_known(id)));
        """,
    )
    role = f"stranger_of_{db.name}"
    db.run(f'CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA "public@work" TO {role}')
    db.run(f'GRANT INSERT ON "public@work".t TO {role}')
    stranger = db.connect(user=role)
    query(
        stranger, "CREATE TEMPORARY TABLE known (id integer); INSERT INTO known VALUES (9); SET search_path = pg_temp"
    )
    with raises("23514"):
        query(stranger, 'INSERT INTO "public@work".t VALUES (9)')
