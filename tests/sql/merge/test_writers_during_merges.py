"""Both sides go on writing while merges run to and fro: no update is lost, doubled or seen too early."""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import Database, query

KEYS = 6
MERGES = 5
BUSY = {"VG401", "VG402", "40001", "40P01", "55P03"}


def write(db: Database, branch: str, first_key: int, seed: int, stop: threading.Event) -> Counter[int]:
    """Add one to keys of this side, and insert rows, in small transactions; what of it was committed."""
    chance = random.Random(seed)
    kept: Counter[int] = Counter()
    with psycopg.connect(db.dsn, autocommit=True) as session:
        query(session, "SELECT pggit.checkout(%s)", branch)
        while not (stop.is_set() and kept):
            added: Counter[int] = Counter()
            try:
                with session.transaction(force_rollback=chance.random() < 0.2) as transaction:
                    for _ in range(chance.randint(1, 3)):
                        key = first_key + chance.randrange(KEYS)
                        both = [
                            "UPDATE counters SET n = n + 1 WHERE id = %s",
                            "INSERT INTO marks (counter) VALUES (%s)",
                        ]
                        for sql in chance.sample(both, 2):
                            query(session, sql, key)
                        added[key] += 1
            except psycopg.Error as error:
                if error.sqlstate not in BUSY:
                    raise
            else:
                if not transaction.force_rollback:
                    kept += added
    return kept


def merge(db: Database, source: str, target: str) -> str:
    for _ in range(100):
        try:
            result, detail = db.row("SELECT result, detail FROM pggit.merge(%s, %s)", source, target)
        except psycopg.Error as error:
            if error.sqlstate not in BUSY - {"40P01"}:
                raise
        else:
            assert result in ("merged", "fast_forward", "up_to_date"), detail
            return str(result)
    raise AssertionError(f"merging {source} into {target} stayed busy")


@pytest.mark.parametrize("materialize", ["none", "all", "marks"])
def test_nothing_is_lost_or_doubled(db: Database, materialize: str) -> None:
    db.run(f"""
        CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL);
        CREATE TABLE marks (id serial PRIMARY KEY, counter integer NOT NULL REFERENCES counters);
        INSERT INTO counters SELECT g, 0 FROM generate_series(0, {2 * KEYS - 1}) AS g;
    """)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('b', 'main', 'schema', %s)", materialize)
    stop = threading.Event()
    sides = [("main", 0), ("main", 0), ("b", KEYS), ("b", KEYS)]

    with ThreadPoolExecutor(len(sides)) as pool:
        try:
            writers = [pool.submit(write, db, *side, seed, stop) for seed, side in enumerate(sides)]
            for _ in range(MERGES):
                merge(db, "b", "main")
                merge(db, "main", "b")
        finally:
            stop.set()
        written = sum((writer.result() for writer in writers), Counter[int]())

    merge(db, "b", "main")
    merge(db, "main", "b")
    expected = [(key, written[key], written[key]) for key in range(2 * KEYS)]
    counted = "SELECT c.id, c.n, (SELECT count(*) FROM marks AS m WHERE m.counter = c.id) FROM counters AS c ORDER BY 1"
    assert db.rows(counted) == expected
    assert query(db.connect(branch="b"), counted).fetchall() == expected
    for table in ("counters", "marks"):
        at = f"SELECT count(*) FROM pggit.as_of(NULL::public.{table}, %s)"
        assert db.value(at, "b") == db.value(at, "main") == db.value(f"SELECT count(*) FROM {table}")
    assert db.rows("SELECT * FROM pggit.verify()") == []
