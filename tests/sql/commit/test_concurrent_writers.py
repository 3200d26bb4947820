"""Commits, and branches, made while others write: each holds exactly one snapshot of the database."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg

from fixtures.postgres import Connection, Database, query

WRITERS = 4
KEYS = 12
Rows = list[tuple[int, int]]


def write(db: Database, seed: int, stop: threading.Event) -> int:
    """Random transactions until told to stop, some rolled back in part; how many were kept, at least one."""
    chance = random.Random(seed)
    kept = 0
    with psycopg.connect(db.dsn, autocommit=True) as session:
        query(session, "SET lock_timeout = '200ms'")
        while not (stop.is_set() and kept):
            try:
                with session.transaction(force_rollback=chance.random() < 0.2):
                    for _ in range(chance.randint(1, 4)):
                        with session.transaction(force_rollback=chance.random() < 0.2):
                            one_statement(session, chance)
                kept += 1
            except (psycopg.errors.UniqueViolation, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                continue
    return kept


def one_statement(session: Connection, chance: random.Random) -> None:
    key, other, value = chance.randrange(KEYS), chance.randrange(KEYS), chance.randrange(1000)
    statement = chance.choice(
        [
            "INSERT INTO t VALUES (%(key)s, %(value)s) ON CONFLICT (id) DO UPDATE SET v = t.v + 1",
            "INSERT INTO t SELECT g, %(value)s FROM generate_series(0, %(key)s) AS g ON CONFLICT DO NOTHING",
            "UPDATE t SET v = %(value)s WHERE id = %(key)s",
            "UPDATE t SET v = v + 1 WHERE id BETWEEN %(key)s AND %(key)s + 3",
            "UPDATE t SET id = %(other)s WHERE id = %(key)s",
            "DELETE FROM t WHERE id = %(key)s",
            "WITH d AS (DELETE FROM t WHERE id = %(key)s RETURNING *) INSERT INTO t SELECT id, v + 1 FROM d",
        ]
    )
    session.execute(statement, {"key": key, "other": other, "value": value})


def test_every_commit_is_one_snapshot(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v integer)")
    db.run(f"INSERT INTO t SELECT g, g FROM generate_series(1, {KEYS}) AS g")
    db.run("SELECT pggit.track_schema('public')")
    commits: list[tuple[str, Rows]] = []
    branches: dict[str, Rows] = {}
    stop = threading.Event()
    committer = db.connect(autocommit=False)
    committer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    with ThreadPoolExecutor(WRITERS) as pool:
        try:
            writers = [pool.submit(write, db, seed, stop) for seed in range(WRITERS)]
            for number in range(30):
                # What the commit saw is what its own transaction goes on seeing.
                with committer.transaction():
                    ((commit_id,),) = query(committer, "SELECT pggit.commit('c', p_allow_empty => true)").fetchall()
                    seen = query(committer, "SELECT id, v FROM t ORDER BY id").fetchall()
                commits.append((commit_id, seen))
                if number % 10 == 5:
                    name = f"b{number}"
                    how = "all" if number % 20 == 5 else "none"
                    with committer.transaction():
                        query(committer, "SELECT pggit.create_branch(%s, 'main', 'schema', %s)", name, how)
                        branches[name] = query(committer, "SELECT id, v FROM t ORDER BY id").fetchall()
        finally:
            stop.set()
        assert all(writer.result() > 0 for writer in writers)

    for commit_id, seen in commits:
        assert db.rows("SELECT id, v FROM pggit.as_of(NULL::public.t, %s) ORDER BY id", commit_id) == seen
    for name, seen in branches.items():
        assert query(db.connect(branch=name), "SELECT id, v FROM t ORDER BY id").fetchall() == seen, name
    for (one, before), (other, after) in itertools.pairwise(commits):
        ((changes,),) = db.rows("SELECT count(*) FROM pggit.diff_rows('t', %s, %s)", one, other)
        old: dict[int, int] = dict(before)
        new: dict[int, int] = dict(after)
        assert changes == sum(old.get(key) != new.get(key) for key in old.keys() | new.keys())
    assert db.rows("SELECT * FROM pggit.verify()") == []
