"""A writer in flight never leaks into a commit or a branch made before it committed, nor is it lost to the next."""

from __future__ import annotations

import threading

import pytest

from fixtures.postgres import Connection, Database, query


@pytest.fixture
def repo(db: Database) -> Database:
    return db.begin("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t VALUES (1, 'one'), (2, 'two');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)


def as_of(db: Database, ref: str) -> list[tuple[object, ...]]:
    return db.rows("SELECT id, v FROM pggit.as_of(NULL::public.t, %s) ORDER BY id", ref)


def commit(session: Connection, message: str) -> str:
    ((commit_id,),) = query(session, "SELECT pggit.commit(%s, 'main', p_allow_empty => true)", message).fetchall()
    assert isinstance(commit_id, str)
    return commit_id


def test_a_writer_in_flight_goes_into_the_next_commit(repo: Database) -> None:
    writer, other = repo.connect(autocommit=False), repo.connect()
    query(writer, "UPDATE t SET v = 'late' WHERE id = 1")
    query(other, "UPDATE t SET v = 'early' WHERE id = 2")  # a higher ordinal and xid than the writer's, committed first

    second = commit(other, "second")
    writer.commit()

    assert as_of(repo, second) == [(1, "one"), (2, "early")]
    assert repo.rows("SELECT * FROM pggit.status('main')") == [("public.t", 0, 1, 0)]
    third = commit(other, "third")
    assert as_of(repo, second) == [(1, "one"), (2, "early")]
    assert as_of(repo, third) == [(1, "late"), (2, "early")]


def test_a_writer_in_flight_that_rolls_back_is_in_no_commit(repo: Database) -> None:
    writer = repo.connect(autocommit=False)
    query(writer, "DELETE FROM t WHERE id = 1")
    second = commit(repo.conn, "second")
    writer.rollback()
    third = commit(repo.conn, "third")
    assert as_of(repo, second) == as_of(repo, third) == [(1, "one"), (2, "two")]


def test_a_commit_contains_what_its_own_transaction_wrote_before_the_call(repo: Database) -> None:
    writer = repo.connect(autocommit=False)
    query(writer, "UPDATE t SET v = 'before' WHERE id = 1")
    second = commit(writer, "second")
    query(writer, "UPDATE t SET v = 'after' WHERE id = 1")
    query(writer, "INSERT INTO t VALUES (3, 'after')")
    writer.commit()

    assert as_of(repo, second) == [(1, "before"), (2, "two")]
    assert repo.rows("SELECT * FROM pggit.status('main')") == [("public.t", 1, 1, 0)]
    third = commit(repo.conn, "third")
    assert as_of(repo, third) == [(1, "after"), (2, "two"), (3, "after")]


def test_the_first_statement_ever_captured_comes_after_the_commit_before_it(db: Database) -> None:
    """In one transaction, on a new installation: an unused sequence says 1 as its last value already."""
    db.run("""
        BEGIN;
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t VALUES (1, 'one'), (2, 'two');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        UPDATE t SET v = 'after' WHERE id = 1;
        COMMIT;
    """)
    assert as_of(db, "HEAD") == [(1, "one"), (2, "two")]
    assert db.rows("SELECT * FROM pggit.status('main')") == [("public.t", 0, 1, 0)]


def test_savepoints_are_one_transaction(repo: Database) -> None:
    writer = repo.connect(autocommit=False)
    with writer.transaction():
        query(writer, "UPDATE t SET v = 'kept' WHERE id = 1")
        with writer.transaction(force_rollback=True):
            query(writer, "UPDATE t SET v = 'undone' WHERE id = 1")
            query(writer, "DELETE FROM t WHERE id = 2")
        second = commit(repo.connect(), "second")
        with writer.transaction():
            query(writer, "INSERT INTO t VALUES (3, 'kept')")
    third = commit(repo.conn, "third")
    assert as_of(repo, second) == [(1, "one"), (2, "two")]
    assert as_of(repo, third) == [(1, "kept"), (2, "two"), (3, "kept")]


def test_a_statement_that_waited_for_a_lock_is_after_the_one_it_waited_for(repo: Database) -> None:
    """It drew its ordinal first and reached the row last: history must order the two by the row, not by the ordinal."""
    first, second, watcher = repo.connect(autocommit=False), repo.connect(), repo.connect()
    query(first, "UPDATE t SET v = 'A' WHERE id = 1")
    waiting = threading.Thread(target=query, args=(second, "UPDATE t SET v = v || 'B' WHERE id = 1"))
    waiting.start()
    blocked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
    while query(watcher, blocked, second.info.backend_pid).fetchall() == [(False,)]:
        pass
    query(first, "UPDATE t SET v = v || 'A' WHERE id = 1")
    first.commit()
    waiting.join()

    later = commit(repo.conn, "second")
    assert as_of(repo, "HEAD~1") == [(1, "one"), (2, "two")]
    assert as_of(repo, later) == [(1, "AAB"), (2, "two")]
    query(second, "DELETE FROM t WHERE id = 1")
    assert as_of(repo, later) == [(1, "AAB"), (2, "two")]


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_writer_in_flight_is_not_on_a_branch_made_meanwhile(repo: Database, materialize: str) -> None:
    writer = repo.connect(autocommit=False)
    query(writer, "UPDATE t SET v = 'late' WHERE id = 1")
    query(writer, "INSERT INTO t VALUES (3, 'late')")
    repo.run("SELECT pggit.create_branch('b', 'main', 'schema', %s)", materialize)
    branch = repo.connect(branch="b")
    seen = "SELECT id, v FROM t ORDER BY id"
    assert query(branch, seen).fetchall() == [(1, "one"), (2, "two")]
    writer.commit()
    assert query(branch, seen).fetchall() == [(1, "one"), (2, "two")]
    assert as_of(repo, "b") == [(1, "one"), (2, "two")]
    repo.run("SELECT pggit.commit('late', 'main')")
    repo.run("SELECT pggit.merge('main', 'b')")
    assert query(branch, seen).fetchall() == [(1, "late"), (2, "two"), (3, "late")]


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_writer_in_flight_on_a_branch_is_in_neither_its_commit_nor_its_branch(
    repo: Database, materialize: str
) -> None:
    repo.run("SELECT pggit.create_branch('b', 'main', 'schema', %s)", materialize)
    writer, other = repo.connect(branch="b", autocommit=False), repo.connect(branch="b")
    query(writer, "UPDATE t SET v = 'late' WHERE id = 1")
    query(other, "UPDATE t SET v = 'early' WHERE id = 2")
    repo.run("SELECT pggit.commit('early', 'b')")
    repo.run("SELECT pggit.create_branch('c', 'b', 'schema', %s)", materialize)
    seen = "SELECT id, v FROM t ORDER BY id"
    grandchild = repo.connect(branch="c")
    assert query(grandchild, seen).fetchall() == [(1, "one"), (2, "early")]
    writer.commit()
    assert query(grandchild, seen).fetchall() == [(1, "one"), (2, "early")]
    assert as_of(repo, "b") == as_of(repo, "c") == [(1, "one"), (2, "early")]
    assert query(other, seen).fetchall() == [(1, "late"), (2, "early")]
    assert repo.rows("SELECT * FROM pggit.status('b')") == [("public.t", 0, 1, 0)]
