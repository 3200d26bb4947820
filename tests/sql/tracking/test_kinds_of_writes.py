# ruff: noqa: E501 - SQL is not wrapped
"""Writes of kinds that are easily forgotten: rules, COPY, two-phase commit, replicas, and tables with row-level security."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query

FORMS = ("main", "none", "all")


@pytest.fixture
def table(db: Database) -> Database:
    return db.begin("""
        CREATE TABLE t (id integer PRIMARY KEY, v text, twice integer GENERATED ALWAYS AS (id * 2) STORED);
        INSERT INTO t VALUES (1, 'a'), (2, 'b');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)


def work(db: Database, form: str) -> Connection:
    if form == "main":
        return db.connect(branch="main")
    db.run("SELECT pggit.create_branch('work', 'main', 'schema', %s)", form)
    return db.connect(branch="work")


def rows(session: Connection, sql: str) -> list[tuple[object, ...]]:
    return query(session, sql).fetchall()


@pytest.mark.parametrize("form", FORMS)
def test_copy(table: Database, form: str) -> None:
    session = work(table, form)
    with session.cursor().copy("COPY t (id, v) FROM STDIN") as copy:
        copy.write("3\tc\n4\t\\N\n")
    assert rows(session, "SELECT * FROM pggit.status()") == [("public.t", 2, 0, 0)]
    query(session, "SELECT pggit.commit('copied'); DELETE FROM t")
    assert rows(session, "SELECT * FROM pggit.as_of(NULL::public.t, 'HEAD') ORDER BY id") == [
        (1, "a", 2),
        (2, "b", 4),
        (3, "c", 6),
        (4, None, 8),
    ]
    assert rows(session, "SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", FORMS)
def test_a_prepared_transaction_belongs_to_the_commit_after_it(table: Database, form: str) -> None:
    """Commits and branches made between PREPARE and COMMIT PREPARED do not have it."""
    session = work(table, form)
    other = table.connect(branch="main" if form == "main" else "work")
    query(
        other,
        "BEGIN; UPDATE t SET v = 'prepared' WHERE id = 1; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; PREPARE TRANSACTION 'one'",
    )
    query(session, "INSERT INTO t VALUES (3, 'c'); SELECT pggit.commit('meanwhile')")
    query(session, "SELECT pggit.create_branch('fork', p_materialize => 'none')")
    query(session, "COMMIT PREPARED 'one'")
    assert rows(session, "SELECT v FROM t WHERE id = 1") == [("prepared",)]
    assert rows(session, "SELECT v FROM pggit.as_of(NULL::public.t, 'HEAD') WHERE id = 1") == [("a",)]
    assert rows(table.connect(branch="fork"), "SELECT v FROM t ORDER BY id") == [("a",), ("b",), ("c",)]
    assert rows(session, "SELECT * FROM pggit.status()") == [("public.t", 0, 1, 0)]
    query(session, "SELECT pggit.commit('after')")
    assert rows(session, "SELECT * FROM pggit.verify()") == []


def test_rules_rewrite_before_capture(table: Database) -> None:
    table.run("""
        CREATE TABLE audit (n serial PRIMARY KEY, what text);
        CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO audit (what) VALUES (NEW.v);
        CREATE RULE keep AS ON DELETE TO t WHERE OLD.id = 1 DO INSTEAD UPDATE t SET v = 'kept' WHERE id = OLD.id;
        SELECT pggit.commit('rules');
        INSERT INTO t VALUES (3, 'c');
        DELETE FROM t;
    """)
    assert table.rows("SELECT * FROM pggit.status()") == [("public.audit", 1, 0, 0), ("public.t", 0, 1, 1)]
    table.run("SELECT pggit.commit('ruled')")
    assert table.rows("SELECT * FROM pggit.as_of(NULL::t, 'HEAD')") == [(1, "kept", 2)]
    assert table.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", ["main", "all"])
def test_a_session_that_replicates_is_captured(table: Database, form: str) -> None:
    session = work(table, form)
    query(
        session, "SET session_replication_role = replica; UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2"
    )
    assert rows(session, "SELECT * FROM pggit.status()") == [("public.t", 0, 1, 1)]


def test_row_level_security_holds_for_history_too(db: Database) -> None:
    """Capture sees every row, whoever writes; who may not see a row may not see its history either."""
    db.run("""
        DO $$ BEGIN CREATE ROLE low LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        CREATE TABLE t (id integer PRIMARY KEY, who text, v text);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON t USING (who = current_user);
        GRANT USAGE ON SCHEMA public TO low; GRANT ALL ON t TO low;
        INSERT INTO t VALUES (1, 'low', 'mine'), (2, 'boss', 'secret');
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('v1', pggit.commit('v1'));
        SELECT pggit.create_branch('b');
    """)
    low = db.connect(user="low")
    for relation in ("t", '"public@b".t'):
        query(
            low,
            f"UPDATE {relation} SET v = 'new'; DELETE FROM {relation} WHERE id = 2; INSERT INTO {relation} VALUES (3, 'low', 'x')",
        )
        assert rows(low, f"SELECT id, v FROM {relation} ORDER BY id") == [(1, "new"), (3, "x")]
    for branch in ("main", "b"):
        assert rows(db.connect(branch=branch), "SELECT * FROM pggit.status()") == [("public.t", 1, 1, 0)]
    for attempt in (
        "SELECT pggit.as_of(NULL::t, 'v1')",
        "SELECT pggit.diff_rows('t', 'v1')",
        "SELECT pggit.blame('t')",
        "SELECT FROM pggit._log_1",
        "SELECT FROM pggit._undo_1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            query(low, attempt)
    db.run("DROP OWNED BY low; DROP ROLE low")
