"""Where a plain owner installs, nothing tells of DDL: the next statement or commit notices, and no write fails."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises


@pytest.fixture
def plain(plain_owner: Connection) -> Connection:
    """A session of an owner who is no superuser, with one table."""
    query(
        plain_owner,
        """
        CREATE TABLE t (id integer PRIMARY KEY, v text, w text);
        INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        """,
    )
    return plain_owner


def rows(session: Connection, sql: str) -> list[tuple[object, ...]]:
    return query(session, sql).fetchall()


@pytest.mark.parametrize(
    ("ddl", "write", "after"),
    [
        ("ALTER TABLE t ADD u integer", "UPDATE t SET u = 7 WHERE id = 1", [(1, "a", "x", 7), (2, "b", "y", None)]),
        ("ALTER TABLE t DROP v", "UPDATE t SET w = 'z' WHERE id = 1", [(1, "z"), (2, "y")]),
        ("ALTER TABLE t RENAME v TO u", "UPDATE t SET u = 'c' WHERE id = 1", [(1, "c", "x"), (2, "b", "y")]),
        ("ALTER TABLE t ALTER v TYPE varchar(9)", "UPDATE t SET v = 'c' WHERE id = 1", [(1, "c", "x"), (2, "b", "y")]),
        ("ALTER TABLE t RENAME id TO k", "DELETE FROM t WHERE k = 2", [(1, "a", "x")]),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_changed_columns_are_followed(plain: Connection, ddl: str, write: str, after: object, together: bool) -> None:
    if together:
        query(plain, f"BEGIN; {ddl}; {write}; COMMIT")
    else:
        query(plain, ddl)
        query(plain, write)
    query(plain, "SELECT pggit.commit('second')")
    assert rows(plain, "SELECT * FROM t ORDER BY 1") == after
    query(plain, "DELETE FROM t")
    assert rows(plain, "SELECT * FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY 1") == after
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_a_new_table_is_tracked_at_the_next_commit(plain: Connection) -> None:
    query(plain, "CREATE TABLE other (id integer PRIMARY KEY); INSERT INTO other VALUES (1)")
    query(plain, "SELECT pggit.commit('second')")
    query(plain, "INSERT INTO other VALUES (2)")
    assert rows(plain, "SELECT table_name, inserted FROM pggit.status()") == [("public.other", 1)]
    assert rows(plain, "SELECT id FROM pggit.as_of(NULL::other, 'HEAD')") == [(1,)]


def test_another_primary_key(plain: Connection) -> None:
    query(plain, "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (v)")
    query(plain, "UPDATE t SET w = 'z'")
    query(plain, "SELECT pggit.commit('second')")
    query(plain, "UPDATE t SET w = 'zz' WHERE v = 'a'")
    assert rows(plain, "SELECT table_name, updated FROM pggit.status()") == [("public.t", 1)]
    assert rows(plain, "SELECT w FROM pggit.as_of(NULL::t, 'HEAD')") == [("z",), ("z",)]
    assert ("z",) not in rows(plain, "SELECT w FROM pggit.as_of(NULL::t, 'HEAD~1')")
    assert rows(plain, "SELECT inserted, updated, deleted FROM pggit.diff('HEAD~1', 'HEAD')") == [(2, 0, 2)]


def test_a_dropped_table_is_forgotten(plain: Connection) -> None:
    query(plain, "CREATE TABLE other (id integer PRIMARY KEY)")
    query(plain, "SELECT pggit.commit('second')")
    query(plain, "INSERT INTO other VALUES (1); DROP TABLE other")
    assert rows(plain, "SELECT * FROM pggit.status()") == []
    query(plain, "UPDATE t SET v = 'c'")
    query(plain, "SELECT pggit.commit('third')")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_columns_come_and_go_under_writers(db: Database, plain: Connection) -> None:
    ends, failed, written = time.monotonic() + 3, list[str](), [0, 0, 0]

    def write(number: int) -> None:
        with psycopg.connect(db.server.dsn(db.name, user="plain"), autocommit=True) as session:
            while time.monotonic() < ends:
                try:
                    query(session, "UPDATE t SET w = w || '.' WHERE id = 1")
                    query(session, "INSERT INTO t (id) VALUES (%s)", 100 + number + 3 * written[number])
                    written[number] += 1
                except psycopg.Error as error:
                    failed.append(f"{error.sqlstate} {error}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    while time.monotonic() < ends:
        for ddl in (
            "ALTER TABLE t ADD u integer",
            "ALTER TABLE t RENAME v TO vv",
            "ALTER TABLE t DROP u",
            "ALTER TABLE t RENAME vv TO v",
        ):
            query(plain, ddl)
            time.sleep(0.03)
    for writer in writers:
        writer.join()
    assert failed == []
    assert min(written) > 0
    query(plain, "SELECT pggit.commit('after')")
    assert rows(plain, "SELECT count(*) FROM t") == [(2 + sum(written),)]
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("branch", ["main", "dev"])
def test_what_is_followed_is_called_as_soon_as_it_is_seen(db: Database, plain: Connection, branch: str) -> None:
    """What a transaction committed is seen before the other sessions are told that functions which they keep are old.

    COMMIT PREPARED removes the files of dropped tables in between, so many of them make that time long.
    """
    query(plain, "SELECT pggit.create_branch('dev', p_materialize => 'all')")
    follower, other = (db.connect(user="plain", branch=branch) for _ in range(2))
    query(plain, "DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('CREATE TABLE pggit.x%s ()', i); END LOOP; END $$")
    # Both keep the functions of the columns of now.
    query(other, "UPDATE t SET w = 'y' WHERE id = 1")
    query(follower, "UPDATE t SET w = 'y' WHERE id = 2")
    query(follower, "ALTER TABLE t RENAME v TO vv")
    query(
        follower,
        """
        BEGIN;
        UPDATE t SET w = 'z' WHERE id = 2;
        DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('DROP TABLE pggit.x%s', i); END LOOP; END $$;
        PREPARE TRANSACTION 'followed';
        """,
    )
    writes = """
        DO $$
        BEGIN
            WHILE EXISTS (SELECT FROM pg_prepared_xacts) LOOP END LOOP;
            UPDATE t SET w = 'z' WHERE id = 1;
        END $$"""
    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(query, other, writes)
        while db.rows("SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'idle'", other.info.backend_pid):
            pass
        query(follower, "COMMIT PREPARED 'followed'")
        written.result()
    assert rows(other, "SELECT id, w FROM t ORDER BY id") == [(1, "z"), (2, "z")]


def test_a_renamed_schema_is_followed(plain: Connection) -> None:
    query(plain, "ALTER SCHEMA public RENAME TO other")
    query(plain, "TRUNCATE other.t")
    query(plain, "CREATE TABLE other.later (id integer PRIMARY KEY)")
    query(plain, "SELECT pggit.commit('second')")
    query(plain, "INSERT INTO other.later VALUES (1)")
    assert rows(plain, "SELECT id FROM pggit.as_of(NULL::other.t, 'HEAD~1') ORDER BY 1") == [(1,), (2,)]
    assert rows(plain, "SELECT table_name, inserted FROM pggit.status()") == [("other.later", 1)]
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_a_table_that_inherits_begins_its_history_anew(plain: Connection) -> None:
    """Nobody knows what was written through the table above before that was noticed. From then on all of it is seen."""
    query(plain, "CREATE TABLE above (id integer NOT NULL); ALTER TABLE t INHERIT above")
    query(plain, "UPDATE t SET v = 'c'")
    query(plain, "SELECT pggit.commit('second', p_allow_empty => true)")
    with raises("VG005", "its history has begun anew"):
        query(plain, "SELECT * FROM pggit.as_of(NULL::t, 'HEAD~1')")
    query(plain, "UPDATE above SET id = id + 10; SELECT pggit.commit('third')")
    query(plain, "ALTER TABLE above ADD n integer; UPDATE above SET n = id; SELECT pggit.commit('fourth')")
    assert rows(plain, "SELECT id, n FROM pggit.as_of(NULL::t, 'HEAD~2') ORDER BY id") == [(1, None), (2, None)]
    assert rows(plain, "SELECT id, n FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id") == [(11, 11), (12, 12)]
    query(plain, "ALTER TABLE t NO INHERIT above; DELETE FROM t WHERE id = 11; SELECT pggit.commit('fifth')")
    assert rows(plain, "SELECT id, n FROM pggit.as_of(NULL::t, 'HEAD~1') ORDER BY id") == [(11, 11), (12, 12)]
    assert rows(plain, "SELECT * FROM pggit.verify()") == []


def test_values_computed_anew_twice_in_one_transaction(plain: Connection) -> None:
    query(plain, "BEGIN; ALTER TABLE t ALTER v TYPE text USING v || '1'; UPDATE t SET w = 'z'")
    query(plain, "SELECT pggit.tag('between', pggit.commit('between'))")
    query(plain, "ALTER TABLE t ALTER v TYPE text USING v || '2'; COMMIT")
    with raises("VG306"):
        query(plain, "SELECT * FROM pggit.as_of(NULL::t, 'between')")
    query(plain, "SELECT pggit.commit('second', p_allow_empty => true)")
    assert rows(plain, "SELECT * FROM pggit.verify()") == []
