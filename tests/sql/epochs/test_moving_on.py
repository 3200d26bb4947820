"""Who comes first to a restored database begins the new epoch: once, at once, and in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from fixtures.dumps import restore
from fixtures.postgres import Database, Servers, query

PLACE = "SELECT last_value FROM pggit._epoch"


@pytest.fixture
def restored(small: Database, elsewhere: Servers) -> Iterator[Database]:
    """Main with the row (1, 'a'), a view branch `b`, restored and not yet looked at."""
    small.run("SELECT pggit.create_branch('b', p_materialize => 'none'); UPDATE t SET a = 'before' WHERE id = 1")
    made = elsewhere.create(small.version)
    restore(small, made)
    assert made.value(PLACE) == 1
    yield made
    elsewhere.drop(made)


def test_a_write_begins_it(restored: Database) -> None:
    restored.run("UPDATE t SET a = 'after' WHERE id = 1")
    assert restored.value(PLACE) == 2
    assert restored.rows("SELECT * FROM pggit.diff_rows('t', 'main')") == [
        ("update", {"id": 1}, {"id": 1, "a": "a"}, {"id": 1, "a": "after"})
    ]


def test_a_write_on_a_branch_begins_it(restored: Database) -> None:
    query(restored.connect(branch="b"), "UPDATE t SET a = 'there'")
    assert restored.value(PLACE) == 2
    assert restored.rows("SELECT * FROM pggit.status('b')") == [("public.t", 0, 1, 0)]


def test_it_stays_when_the_transaction_does_not(restored: Database) -> None:
    with restored.connect(autocommit=False) as session:
        query(session, "UPDATE t SET a = 'undone'")
        session.rollback()
        query(session, "UPDATE t SET a = 'kept'")
    assert restored.value(PLACE) == 2
    assert restored.value("SELECT pggit.commit('after')")
    assert restored.value(PLACE) == 2


def test_nobody_waits_for_the_first_transaction_to_end(restored: Database) -> None:
    first = restored.connect(autocommit=False)
    query(first, "INSERT INTO t VALUES (2, 'open')")
    restored.run(
        "SET lock_timeout = '100ms'; INSERT INTO t VALUES (3, 'done'); SELECT pggit.commit('while it is open')"
    )
    assert restored.rows("SELECT id FROM pggit.as_of(NULL::t, 'main') ORDER BY 1") == [(1,), (3,)]
    first.commit()
    assert restored.rows("SELECT * FROM pggit.status()") == [("public.t", 1, 0, 0)]
    assert restored.rows("SELECT * FROM pggit.verify()") == []


def test_a_snapshot_from_before_does_not_matter(restored: Database) -> None:
    with restored.connect(autocommit=False) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        query(session, "SELECT count(*) FROM t")
        restored.run("INSERT INTO t VALUES (2, 'first')")
        query(session, "INSERT INTO t VALUES (3, 'second')")
    assert restored.value(PLACE) == 2
    assert restored.value("SELECT count(DISTINCT _xid::text::bigint >> 48) FROM pggit._log_1") == 2


def test_who_may_only_read_is_answered_and_changes_nothing(restored: Database) -> None:
    reader = restored.connect()
    query(reader, "SET default_transaction_read_only = on")
    assert query(reader, "SELECT * FROM pggit.status()").fetchall() == [("public.t", 0, 1, 0)]
    assert query(reader, "SELECT * FROM pggit.as_of(NULL::t, 'main')").fetchall() == [(1, "a")]
    assert restored.value(PLACE) == 1


def test_many_at_once_begin_one(restored: Database) -> None:
    sessions = [restored.connect() for _ in range(12)]
    ready = threading.Barrier(len(sessions))

    def write(number: int) -> None:
        ready.wait()
        query(sessions[number], "INSERT INTO t VALUES (%s, 'x')", 100 + number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert restored.value(PLACE) == 2
    assert restored.rows("SELECT DISTINCT _xid::text::bigint >> 48 FROM pggit._log_1 WHERE _op = 'I'") == [(1,)]
    assert restored.rows("SELECT * FROM pggit.status()") == [("public.t", 12, 1, 0)]


def test_a_copy_by_template_goes_on_in_its_epoch(servers: Servers, small: Database) -> None:
    small.close()
    copy = servers.create(small.version, template=small.name)
    copy.run("UPDATE t SET a = 'copy'; SELECT pggit.commit('in the copy')")
    small.run("UPDATE t SET a = 'original'; SELECT pggit.commit('in the original')")
    assert copy.value(PLACE) == small.value(PLACE) == 1
    for db, there in [(copy, "copy"), (small, "original")]:
        assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'main')") == [(1, there)]
        assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'main~1')") == [(1, "a")]
        assert db.rows("SELECT * FROM pggit.verify()") == []
    servers.drop(copy)


def test_a_restore_into_the_same_cluster_begins_one(servers: Servers, small: Database) -> None:
    """Also when a transaction was open while it was dumped, which the dump does not have."""
    with small.connect(autocommit=False) as session:
        query(session, "INSERT INTO t VALUES (2, 'in flight')")
        assert small.value("SELECT pggit.commit('without it', p_allow_empty => true)")
        copy = servers.create(small.version)
        restore(small, copy)
    copy.run("INSERT INTO t VALUES (2, 'here'); SELECT pggit.commit('in the copy')")
    assert copy.value(PLACE) == 2
    assert copy.rows("SELECT * FROM pggit.diff('main~1', 'main')") == [("public.t", 1, 0, 0)]
    assert copy.rows("SELECT * FROM pggit.verify()") == []
    assert small.rows("SELECT * FROM pggit.status()") == [("public.t", 1, 0, 0)]
    servers.drop(copy)


def test_the_same_history_has_the_same_ids_on_both_sides(small: Database, elsewhere: Servers) -> None:
    there = elsewhere.create(small.version)
    restore(small, there)
    for db in (small, there):
        db.run("INSERT INTO t VALUES (5, 'x')")
        db.run("SELECT pggit.commit('same', p_author => 'ann', p_committed_at => '2026-01-01')")
    assert small.value("SELECT pggit.resolve_ref('main')") == there.value("SELECT pggit.resolve_ref('main')")
    elsewhere.drop(there)


def test_times_of_before_and_after_are_read(small: Database, elsewhere: Servers) -> None:
    before = small.value("SELECT pggit.tick()")
    small.run("UPDATE t SET a = 'after the tick'; SELECT pg_sleep(0.01)")
    dumped = small.value("SELECT clock_timestamp()")
    restored = elsewhere.create(small.version)
    restore(small, restored)
    restored.run("UPDATE t SET a = 'elsewhere'; SELECT pg_sleep(0.01)")
    after = restored.value("SELECT pggit.tick()")
    restored.run("UPDATE t SET a = 'last'")
    for at, there in [(before, "a"), (dumped, "after the tick"), (after, "elsewhere")]:
        assert restored.rows("SELECT a FROM pggit.as_of(NULL::t, %s)", str(at)) == [(there,)]
    elsewhere.drop(restored)
