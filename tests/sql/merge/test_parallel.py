"""Ten sessions commit, branch and merge at once: nothing deadlocks, nothing is lost, everything is counted."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg

from fixtures.postgres import Connection, Database, query

SESSIONS = 10
ROUNDS = 2
TRY_AGAIN = {"VG401", "VG402", "40001", "55P03"}


def again(session: Connection, seen: Counter[str], sql: str, *args: object) -> tuple[object, ...]:
    """Run one statement, again for as long as it is refused as busy; a deadlock is never acceptable."""
    for _ in range(200):
        try:
            (row,) = query(session, sql, *args).fetchall()
        except psycopg.Error as error:
            if error.sqlstate not in TRY_AGAIN:
                raise
            seen[error.sqlstate or ""] += 1
        else:
            return row
    raise AssertionError(f"{sql} stayed busy: {seen}")


def work(db: Database, number: int) -> Counter[str]:
    """One developer: works on a branch, merges it into main, takes main's changes back; counts results and retries."""
    seen: Counter[str] = Counter()
    branch = f"dev/{number}"
    with psycopg.connect(db.dsn, autocommit=True) as main, psycopg.connect(db.dsn, autocommit=True) as own:
        for session in (main, own):
            query(session, "SET statement_timeout = '120s'")
        how = "all" if number % 2 else "none"
        again(main, seen, "SELECT pggit.create_branch(%s, 'main', 'schema', %s)", branch, how)
        query(own, "SELECT pggit.checkout(%s)", branch)
        for number_of_round in range(ROUNDS):
            again(own, seen, "UPDATE counters SET n = n + 1 WHERE id = %s RETURNING n", number)
            again(own, seen, "INSERT INTO events (session) VALUES (%s) RETURNING id", number)
            again(main, seen, "UPDATE counters SET n = n + 1 WHERE id = 0 RETURNING n")
            again(own, seen, "SELECT pggit.commit('work')")
            result = again(main, seen, "SELECT result, detail FROM pggit.merge(%s, 'main', 'merge')", branch)
            assert result[0] in ("merged", "fast_forward"), result
            seen["into main"] += 1
            if number_of_round % 2:
                result = again(main, seen, "SELECT result, detail FROM pggit.merge('main', %s, 'sync')", branch)
                assert result[0] in ("merged", "fast_forward", "up_to_date"), result
                seen["into a branch"] += 1
    return seen


def test_ten_sessions_at_once(db: Database) -> None:
    db.run(f"""
        CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL);
        CREATE TABLE events (id serial PRIMARY KEY, session integer REFERENCES counters);
        INSERT INTO counters SELECT g, 0 FROM generate_series(0, {SESSIONS}) AS g;
    """)
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")

    with ThreadPoolExecutor(SESSIONS) as pool:
        seen = sum(pool.map(lambda number: work(db, number), range(1, SESSIONS + 1)), Counter[str]())

    assert db.rows("SELECT id, n FROM counters ORDER BY id") == [
        (0, SESSIONS * ROUNDS),
        *((number, ROUNDS) for number in range(1, SESSIONS + 1)),
    ]
    assert db.rows("SELECT session, count(*) FROM events GROUP BY 1 ORDER BY 1") == [
        (number, ROUNDS) for number in range(1, SESSIONS + 1)
    ]
    assert seen["into main"] == SESSIONS * ROUNDS
    works = db.value("SELECT count(*) FROM pggit.log('main', NULL) WHERE message = 'work'")
    assert works == SESSIONS * ROUNDS, "every commit of every branch is in main's history once"
    for number in range(1, SESSIONS + 1):
        result = db.row("SELECT result, detail FROM pggit.merge('main', %s)", f"dev/{number}")
        assert result[0] in ("merged", "fast_forward", "up_to_date"), result
        branch = db.connect(branch=f"dev/{number}")
        for table in ("counters", "events"):
            same = query(branch, f"TABLE {table} EXCEPT TABLE public.{table}").fetchall()
            missing = query(branch, f"TABLE public.{table} EXCEPT TABLE {table}").fetchall()
            assert same == missing == []
    assert db.rows("SELECT * FROM pggit.verify()") == []
