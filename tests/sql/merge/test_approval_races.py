"""What was approved is done or nothing is, whoever writes, merges, decides or aborts at the same time."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query

KEYS = 8
PLANS = 25
BUSY = {"VG401", "VG402", "40001", "40P01", "55P03"}


def busy(db: Database, branch: str, column: str, seed: int, stop: threading.Event) -> int:
    """Write one column of a few rows again and again."""
    chance, done = random.Random(seed), 0
    with psycopg.connect(db.dsn, autocommit=True) as session:
        query(session, "SELECT pggit.checkout(%s)", branch)
        while not stop.wait(0.02):
            try:
                query(
                    session,
                    f"UPDATE t SET {column} = {column} + 1 WHERE id = ANY (%s)",
                    [chance.randrange(KEYS) for _ in range(2)],
                )
                done += 1
            except psycopg.Error as error:
                if error.sqlstate not in BUSY:
                    raise
    return done


def seen(session: psycopg.Connection[Any]) -> tuple[str | None, list[tuple[int, int, int]]]:
    """A plan, if any, and in the same snapshot the rows that it would write: theirs' a beside ours' b."""
    with session.transaction():
        query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        (plan,) = query(session, "SELECT plan_hash FROM pggit.plan_merge('side', 'main')").fetchone() or (None,)
        rows = query(
            session,
            'SELECT o.id, t.a, o.b FROM public.t AS o JOIN "public@side".t AS t USING (id) WHERE o.a <> t.a ORDER BY 1',
        ).fetchall()
        return plan, rows


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_what_merges_is_what_was_approved(db: Database, materialize: str) -> None:
    """Theirs writes a, ours writes b: most approvals come too late, and one that holds writes the rows approved."""
    db.run(f"""
        CREATE TABLE t (id integer PRIMARY KEY, a integer NOT NULL, b integer NOT NULL);
        INSERT INTO t SELECT i, 0, 0 FROM generate_series(0, {KEYS - 1}) AS i;
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => '{materialize}');
    """)
    stop, planner = threading.Event(), db.connect()
    results: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        try:
            writers = [
                pool.submit(busy, db, "side", "a", 1, stop),
                pool.submit(busy, db, "main", "b", 2, stop),
            ]
            for _ in range(PLANS):
                plan, rows = seen(planner)
                options = Jsonb({"approved_plan": plan, "fast_forward": "never"})
                try:
                    result, commit, detail = db.row(
                        "SELECT result, commit_id, detail FROM pggit.merge('side', 'main', NULL, %s)", options
                    )
                except psycopg.Error as error:
                    if error.sqlstate not in BUSY:
                        raise
                    continue
                results.append(result)
                if result == "merged":
                    done = db.rows(
                        "SELECT (new_row ->> 'id')::integer, (new_row ->> 'a')::integer, (new_row ->> 'b')::integer"
                        " FROM pggit.diff_rows('t', %s, %s) ORDER BY 1",
                        f"{commit}~1",
                        commit,
                    )
                    assert done == rows
                else:
                    said = "has to be approved" if plan is None else "what was approved is not what would be done"
                    assert result == "up_to_date" or said in detail["reason"]
        finally:
            stop.set()
        assert all(writer.result() for writer in writers)
    assert results
    plan, rows = seen(planner)
    options = Jsonb({"approved_plan": plan})
    assert db.value("SELECT (pggit.merge('side', 'main', NULL, %s)).result", options) in ("merged", "up_to_date")
    assert db.rows("SELECT * FROM pggit.verify()") == []


def at_once(db: Database, *statements: str) -> list[Any]:
    """What each gives when they begin at the same moment; an error's SQLSTATE."""
    barrier = threading.Barrier(len(statements))

    def run(statement: str) -> Any:
        with psycopg.connect(db.dsn, autocommit=True) as session:
            barrier.wait()
            try:
                return (query(session, statement).fetchone() or (None,))[0]
            except psycopg.Error as error:
                return error.sqlstate

    with ThreadPoolExecutor(len(statements)) as pool:
        return list(pool.map(run, statements))


def approvable(db: Database) -> str:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'base');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('one');
        SELECT pggit.create_branch('two');
    """)
    for branch in ("one", "two"):
        query(db.connect(branch=branch), "UPDATE t SET a = 'theirs' WHERE id = 1; INSERT INTO t VALUES (2, 'theirs')")
    plans = {db.value("SELECT plan_hash FROM pggit.plan_merge(%s, 'main')", name) for name in ("one", "two")}
    (plan,) = plans
    return str(plan)


@pytest.mark.parametrize("sources", [("one", "one"), ("one", "two")])
def test_one_approval_is_carried_out_once(db: Database, sources: tuple[str, str]) -> None:
    options = json.dumps({"approved_plan": approvable(db), "fast_forward": "never"})
    found = at_once(
        db,
        *[f"SELECT (pggit.merge('{source}', 'main', NULL, '{options}')).result" for source in sources],
    )
    assert sorted(found) in (["merged", "refused"], ["merged", "up_to_date"], ["VG401", "merged"])
    assert db.rows("SELECT * FROM t ORDER BY 1") == [(1, "theirs"), (2, "theirs")]
    assert db.value("SELECT count(*) FROM pggit.log('main') WHERE cardinality(parents) = 2") == 1


def test_a_merge_is_carried_out_or_aborted(db: Database) -> None:
    """Never both: who comes second is told."""
    approvable(db)
    side = db.connect(branch="one")
    for turn in range(8):
        query(side, "UPDATE t SET a = %s WHERE id = 1", f"theirs {turn}")
        before = db.rows("SELECT * FROM t ORDER BY 1")
        merge = db.value("SELECT (pggit.plan_merge('one', 'main')).merge_id")
        calls = [f"SELECT (pggit.continue_merge('{merge}')).result", f"SELECT pggit.abort_merge('{merge}')::text"]
        went_on, aborted = at_once(db, *calls)
        result = db.value("SELECT result FROM pggit.merge_status(%s)", merge)
        if went_on == "fast_forward":
            assert (aborted, result) == ("VG303", "fast_forward")
        else:
            assert (went_on, aborted, result) == ("VG303", "true", "aborted")
            assert db.rows("SELECT * FROM t ORDER BY 1") == before


def test_a_decision_beside_the_merge_that_it_is_for(db: Database) -> None:
    """Either the merge has it, or whoever decides is told that it is too late."""
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'base');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
    """)
    side = db.connect(branch="side")
    for turn in range(5):
        query(side, "UPDATE t SET a = %s", f"theirs {turn}")
        db.run("UPDATE t SET a = %s", f"ours {turn}")
        merge = db.value("SELECT (pggit.merge('side', 'main')).merge_id")
        db.run("SELECT pggit.resolve_conflicts(%s, 'ours')", merge)
        conflict = db.value("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
        went_on, decided = at_once(
            db,
            f"SELECT (pggit.continue_merge('{merge}')).result",
            f"SELECT pggit.resolve_conflict('{merge}', '{conflict}', 'theirs')",
        )
        assert went_on == "merged"
        assert db.value("SELECT a FROM t") == (f"theirs {turn}" if decided != "VG303" else f"ours {turn}")
