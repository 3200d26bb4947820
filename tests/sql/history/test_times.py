"""A time as a ref is the branch as it was then, exact where commit times are known or a tick is there."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fixtures.postgres import INSTALL, Connection, Database, Servers, query, raises
from postgres import FAST, Server

STATE = "SELECT id, a FROM pggit.as_of(NULL::public.t, %s) ORDER BY id"


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Servers that keep commit times."""
    kept = Servers(track_commit_timestamp="on")
    yield kept
    kept.close()


def now(db: Database) -> str:
    moment: str = db.value("SELECT clock_timestamp()::text")
    time.sleep(0.002)
    return moment


def test_a_time_between_commits_is_the_state_of_then(small: Database) -> None:
    before = now(small)
    small.run("UPDATE t SET a = 'b'")
    between = now(small)
    small.run("UPDATE t SET a = 'c'")
    small.run("SELECT pggit.commit('second')")
    assert [small.rows(STATE, at) for at in (before, between, now(small))] == [[(1, "a")], [(1, "b")], [(1, "c")]]
    assert small.rows(
        "SELECT change, old_row ->> 'a', new_row ->> 'a' FROM pggit.diff_rows('t', %s, %s)", before, between
    ) == [("update", "a", "b")]


def test_a_transaction_counts_from_its_commit(small: Database) -> None:
    """Begun before, written before, committed after: not in; also when one that began later is in."""
    writer = small.connect(autocommit=False)
    query(writer, "INSERT INTO t VALUES (2, 'early')")
    small.run("INSERT INTO t VALUES (3, 'late')")
    between = now(small)
    assert small.rows(STATE, between) == [(1, "a"), (3, "late")]
    writer.commit()
    assert small.rows(STATE, between) == [(1, "a"), (3, "late")]
    assert small.rows(STATE, now(small)) == [(1, "a"), (2, "early"), (3, "late")]
    assert small.value("SELECT is_exact FROM pggit.resolve_time(%s)", between) is True


def test_what_this_transaction_writes_is_at_no_time_yet(small: Database) -> None:
    session = small.connect(autocommit=False)
    query(session, "UPDATE t SET a = 'mine'")
    assert query(session, STATE, now(small)).fetchall() == [(1, "a")]


def test_a_branch_at_a_time_stands_where_it_stood_on_main(small: Database) -> None:
    small.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = small.connect(branch="dev")
    query(dev, "INSERT INTO t VALUES (2, 'dev')")
    before = now(small)
    small.run("INSERT INTO t VALUES (3, 'main')")
    small.run("SELECT pggit.merge('main', 'dev')")
    after = now(small)
    query(dev, "DELETE FROM t WHERE id = 1")
    assert query(dev, STATE, before).fetchall() == [(1, "a"), (2, "dev")]
    assert query(dev, STATE, after).fetchall() == [(1, "a"), (2, "dev"), (3, "main")]


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_branch_at_a_time_has_what_was_merged_or_taken_back_by_then(small: Database, form: str) -> None:
    """Also where it stays where it stood on main: then no writer tells of the time, but the merge."""
    first = small.value("SELECT pggit.resolve_ref('HEAD')")
    for name in ("dev", "other"):
        small.run("SELECT pggit.create_branch(%s, p_materialize => %s)", name, form)
    dev, other = (small.connect(branch=name) for name in ("dev", "other"))
    query(other, "INSERT INTO t VALUES (2, 'other')")
    query(dev, "UPDATE t SET a = 'dev'")
    seen = []
    for step in (
        "SELECT pggit.merge('other', 'dev')",
        "SELECT pggit.revert('dev', 'dev')",
        "SELECT pggit.cherry_pick('other', 'dev')",
        f"SELECT pggit.reset('dev', '{first}')",
    ):
        small.run(step)
        seen.append((now(small), query(dev, "SELECT * FROM t ORDER BY id").fetchall()))
    assert [rows for _, rows in seen] == [
        [(1, "dev"), (2, "other")],
        [(1, "dev")],
        [(1, "dev"), (2, "other")],
        [(1, "a")],
    ]
    for at, rows in seen:
        assert query(dev, STATE, at).fetchall() == rows


def test_before_the_branch_there_is_none(small: Database) -> None:
    before = now(small)
    small.run("SELECT pggit.create_branch('dev')")
    with raises("VG002", "branch 'dev' was made at"):
        query(small.connect(branch="dev"), STATE, before)


def test_before_it_was_tracked_a_table_is_not_there(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a')")
    before = now(db)
    db.run("SELECT pggit.track_table('t')")
    after = now(db)
    db.run("UPDATE t SET a = 'b'")
    assert db.rows(STATE, after) == [(1, "a")]
    with raises("VG005"):
        db.rows(STATE, before)


def test_a_branch_from_a_time_has_what_was_not_committed_then_pending(small: Database) -> None:
    small.run("INSERT INTO t VALUES (2, 'pending')")
    then = now(small)
    small.run("UPDATE t SET a = 'later' WHERE id = 1")
    for number, form in enumerate(("none", "all")):
        name = f"dev{number}"
        small.run("SELECT pggit.create_branch(%s, %s, p_materialize => %s)", name, then, form)
        dev = small.connect(branch=name)
        assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "a"), (2, "pending")]
        assert query(dev, "SELECT table_name, inserted, updated FROM pggit.status()").fetchall() == [("public.t", 1, 0)]
    assert small.value("SELECT (pggit.merge('dev0')).result") == "merged"
    assert small.rows("SELECT * FROM t ORDER BY id") == [(1, "later"), (2, "pending")]
    assert small.rows("SELECT * FROM pggit.verify()") == []


def test_a_time_with_a_step_back_is_a_commit(history: Database) -> None:
    """What needs a commit takes the last one before the time."""
    head = history.value("SELECT pggit.resolve_ref('HEAD')")
    history.run("UPDATE t SET a = 'pending'")
    then = now(history)
    assert history.value("SELECT pggit.resolve_ref(%s)", then) == head
    assert history.value("SELECT commit_id FROM pggit.resolve_time(%s)", then) == head
    assert history.value("SELECT pggit.tag('then', %s)", then) == head


def test_a_time_to_come_is_now(small: Database) -> None:
    small.run("UPDATE t SET a = 'b'")
    assert small.rows(STATE, "2999-01-01") == [(1, "b")]


def test_a_branch_or_tag_named_like_a_time_is_itself(small: Database) -> None:
    small.run("SELECT pggit.tag('2026-01-01')")
    small.run("UPDATE t SET a = 'b'")
    assert small.rows(STATE, "2026-01-01") == [(1, "a")]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("create_branch('2026-01-02')", "branch"),
        ("rename_branch('dev', '2026-01-02')", "branch"),
        ("tag('2026-01-02')", "tag"),
    ],
)
def test_a_name_that_hides_a_time_says_so(small: Database, call: str, what: str) -> None:
    said: list[tuple[str | None, str | None]] = []
    small.run("SELECT pggit.create_branch('dev')")
    small.conn.add_notice_handler(lambda notice: said.append((notice.message_primary, notice.message_hint)))
    small.run("SELECT pggit.tag('infinity')")
    small.run(f"SELECT pggit.{call}")
    assert said == [
        (
            f"'2026-01-02' can be read as a time: as a ref it means the {what} of this name",
            "The time is '2026-01-02 00:00:00'.",
        )
    ]
    with raises("VG002", "no commit at or before"):
        small.run("SELECT pggit.resolve_ref('2026-01-02 00:00:00')")
    assert small.value("SELECT pggit.resolve_ref('2026-01-02') = pggit.resolve_ref('HEAD')")


def test_every_time_is_what_was_committed_then(small: Database) -> None:
    """Four writers that commit in another order than they begin, looked at after every commit."""
    chance = random.Random(7)
    writers: list[Connection] = [small.connect(autocommit=False) for _ in range(4)]
    small.run("INSERT INTO t SELECT n, 'x' FROM generate_series(10, 13) AS n")
    seen = []
    for step in range(40):
        number = chance.randrange(4)
        query(writers[number], "UPDATE t SET a = %s WHERE id = %s", f"{step}", 10 + number)
        if chance.random() < 0.5:
            writers[number].commit()
        if chance.random() < 0.2:
            small.run("SELECT pggit.tick()")
        if chance.random() < 0.2:
            small.run("SELECT pggit.commit('step', p_allow_empty => true)")
        seen.append((now(small), small.rows("SELECT id, a FROM t ORDER BY id")))
    for writer in writers:
        writer.rollback()
    assert [small.rows(STATE, at) for at, _ in seen] == [rows for _, rows in seen]


# --- where the server does not keep commit times --------------------------------------------------------------------


@pytest.fixture
def untimed(server: Server) -> Iterator[Database]:
    with Server(server.version, settings=FAST) as plain:
        db = Database(plain, "postgres")
        db.psql("-1", "-f", str(INSTALL))
        db.run("CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a')")
        db.run("SELECT pggit.track_schema('public')")
        db.run("SELECT pggit.commit('first')")
        yield db
        db.close()


def noticed(session: Connection, sql: str, *args: object) -> tuple[list[Any], list[str]]:
    notices: list[str] = []

    def keep(diagnostic: psycopg.errors.Diagnostic) -> None:
        notices.append(diagnostic.message_primary or "")

    session.add_notice_handler(keep)
    rows = query(session, sql, *args).fetchall()
    session.remove_notice_handler(keep)
    return rows, notices


def test_a_tick_is_exact_and_what_is_between_says_that_it_is_not(untimed: Database) -> None:
    writer = untimed.connect(autocommit=False)
    query(writer, "INSERT INTO t VALUES (2, 'open')")
    tick = untimed.value("SELECT pggit.tick()::text")
    between = now(untimed)
    writer.commit()
    untimed.run("INSERT INTO t VALUES (3, 'after')")

    assert untimed.value("SELECT available FROM pggit.capabilities() WHERE capability = 'commit_times'") is False
    assert noticed(untimed.conn, STATE, tick) == ([(1, "a")], [])
    rows, notices = noticed(untimed.conn, STATE, between)
    assert rows == [(1, "a"), (2, "open")]
    assert notices == [
        f"the state at {between} is not exact: transactions that were open then count by when they began"
    ]
    assert untimed.value("SELECT is_exact FROM pggit.resolve_time(%s)", between) is False


def test_where_nothing_was_open_a_time_is_exact_without_ticks(untimed: Database) -> None:
    """What began later was committed later, and what a tick has seen was committed before."""
    untimed.run("INSERT INTO t VALUES (2, 'b')")
    untimed.run("SELECT pggit.tick()")
    quiet = now(untimed)
    untimed.run("INSERT INTO t VALUES (3, 'c')")
    assert noticed(untimed.conn, STATE, quiet) == ([(1, "a"), (2, "b")], [])


def test_a_tick_without_news_is_the_last_one(untimed: Database) -> None:
    first = untimed.value("SELECT pggit.tick()")
    assert untimed.value("SELECT pggit.tick()") == first
    untimed.run("INSERT INTO t VALUES (2, 'b')")
    assert untimed.value("SELECT pggit.tick()") > first
    assert untimed.value("SELECT count(*) FROM pggit.ticks") == 2


def test_a_tick_of_a_writing_transaction_has_not_what_it_wrote(untimed: Database) -> None:
    session = untimed.connect(autocommit=False)
    query(session, "UPDATE t SET a = 'b'")
    (tick,) = query(session, "SELECT pggit.tick()::text").fetchone() or ()
    session.commit()
    assert noticed(untimed.conn, STATE, tick) == ([(1, "a")], [])
