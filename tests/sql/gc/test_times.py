"""Times as refs: exact within the retention, refused before it."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import psycopg
import pytest

from fixtures.postgres import Database, query, raises


@pytest.fixture
def times(db: Database) -> list[str]:
    """For each of six changes of row 1 a time when it was there, with a tick; the last commit is after the third."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a integer); INSERT INTO t VALUES (1, -1)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    branch = db.connect(branch="b")
    found = []
    for number in range(6):
        db.run("UPDATE t SET a = %s", number)
        if number % 2:
            db.run("SELECT pggit.merge('main', 'b')")
        query(branch, f"INSERT INTO t VALUES ({number + 10}, 0)")
        if number < 4:
            db.run("SELECT pggit.commit(%s)", str(number)) if number % 2 == 0 else None
        db.run("SELECT pggit.tick()")
        found.append(db.value("SELECT clock_timestamp()::text"))
    return found


def states(db: Database, times: list[str]) -> list[object]:
    sql = "SELECT array_agg(t ORDER BY id) FROM pggit.as_of(NULL::public.t, %s) AS t"
    return [query(db.connect(branch=branch), sql, time).fetchall() for time in times for branch in ("main", "b")]


@pytest.mark.parametrize("since", range(6))
def test_times_since_the_retention_began_read_the_same_and_earlier_ones_so_or_not_at_all(
    db: Database, times: list[str], since: int
) -> None:
    before = dict(zip(times, zip(*[iter(states(db, times))] * 2, strict=True), strict=True))
    with db.conn.transaction():
        setting = "SELECT set_config('pggit.retention', (now() - %s::text::timestamptz)::text, true)"
        db.run(setting, times[since])
        planned = db.rows("SELECT * FROM pggit.gc()")
        assert db.rows("SELECT * FROM pggit.gc(false)") == planned
        assert db.rows("SELECT * FROM pggit.gc(false)") == []
    for number, (time, rows) in enumerate(before.items()):
        with nullcontext() if number >= since else suppress(psycopg.Error):
            assert tuple(states(db, [time])) == rows
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_time_before_the_retention_is_refused(db: Database, times: list[str]) -> None:
    for _ in range(2):
        db.run("SELECT pggit.commit('last', p_allow_empty => true)")
    with db.conn.transaction():
        db.run("SET LOCAL pggit.retention = '0'")
        db.run("SELECT pggit.gc(false)")
    for call in (
        "SELECT * FROM pggit.as_of(NULL::public.t, %s)",
        "SELECT * FROM pggit.diff(%s, 'HEAD')",
        "SELECT pggit.create_branch('c', %s)",
    ):
        with raises("VG306"):
            db.run(call, times[2])
    assert db.rows("SELECT a FROM pggit.as_of(NULL::public.t, now()::text)") == [(5,)]
    assert db.value("SELECT count(*) FROM pggit.ticks") == 1
