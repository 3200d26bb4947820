"""Clients that write, commit, branch, merge and delete at random, and remember what the server acknowledged."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg

from fixtures.postgres import Connection, query

SCHEMA = """
    CREATE TABLE counters (line text, client integer, n integer NOT NULL, PRIMARY KEY (line, client));
    CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, v integer);
    CREATE TABLE child (id serial PRIMARY KEY, parent integer NOT NULL REFERENCES parent, v text);
    INSERT INTO parent SELECT g, 'code ' || g, 0 FROM generate_series(1, 40) AS g;
"""
LEVELS = ("READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
# What a busy server or another client may rightly answer; never a deadlock: nobody here locks rows of the user's own in
# another order than others do.
RIGHTLY_REFUSED = {
    *("40001", "55P03"),  # try again
    *("23503", "23505", "23514"),  # others' rows
    *("VG001", "VG002", "VG101", "VG304", "VG307", "VG308", "VG309", "VG401", "VG402"),
    *("3F000", "42P01"),  # the branch went while it was used
}
BRANCHES = [f"branch/{n}" for n in range(1, 7)]
# Lines that are there from the first to the last moment, and how a table is on them. On each its own counters are
# counted, so no merge between them, and none by way of others, may ever change what one of them has counted.
LINES = {"main": None, "long/view": "none", "long/real": "all"}


@dataclass
class Acknowledged:
    """What must be there, whatever happens to the server."""

    increments: Counter[tuple[str, int]] = field(default_factory=Counter)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    commits: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Client:
    """One session after the other until the time is up or the server is gone."""

    def __init__(self, dsn: str, number: int, seed: int, ends: float, told: Acknowledged, lock: threading.Lock) -> None:
        self.dsn, self.number, self.ends, self.told, self.lock = dsn, number, ends, told, lock
        self.random = random.Random(seed)
        self.branch = "main"

    def run(self) -> None:
        with contextlib.suppress(psycopg.OperationalError):  # the server was killed
            while time.monotonic() < self.ends:
                with psycopg.connect(self.dsn, autocommit=True) as session:
                    query(session, "SET statement_timeout = '60s'")
                    self.branch = "main"
                    for _ in range(self.random.randint(5, 15)):
                        if time.monotonic() >= self.ends:
                            return
                        self.step(session)

    def step(self, session: Connection) -> None:
        steps = {self.increment: 4, self.write: 8, self.commit: 3, self.check_out: 2, self.fork: 2, self.delete: 1}
        steps |= {self.merge: 2, self.look_back: 1, self.write_in_order: 3}
        (step,) = self.random.choices(list(steps), list(steps.values()))
        try:
            step(session)
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
                raise  # not 57014: nothing may hang
            self.refused(step.__name__, error)
        except psycopg.Error as error:
            self.refused(step.__name__, error)
        else:
            with self.lock:
                self.told.done[step.__name__] += 1

    def refused(self, step: str, error: psycopg.Error) -> None:
        with self.lock:
            self.told.refused[error.sqlstate or "?"] += 1
            if error.sqlstate not in RIGHTLY_REFUSED:
                self.told.faults.append(f"{step} on {self.branch}: {error.sqlstate} {error}")

    def some_branch(self, session: Connection) -> str:
        """One that is there now."""
        name: str = self.random.choice(query(session, "SELECT name FROM pggit.list_branches()").fetchall())[0]
        return name

    def begin(self, session: Connection) -> None:
        query(session, f"SET TRANSACTION ISOLATION LEVEL {self.random.choice(LEVELS)}")

    def increment(self, session: Connection) -> None:
        """Count in a row of one's own; at times twice, and with a commit in between."""
        line = self.random.choice(list(LINES))
        if self.branch != line:
            self.check_out(session, line)
        times = self.random.choice([1, 1, 2])
        with self.lock:
            self.told.attempts[line, self.number] += times
        with session.transaction():
            self.begin(session)
            for time_ in range(times):
                if time_:
                    query(session, "SELECT pggit.commit('counted', p_allow_empty => true)")
                query(session, "UPDATE counters SET n = n + 1 WHERE line = %s AND client = %s", line, self.number)
        with self.lock:
            self.told.increments[line, self.number] += times

    def write(self, session: Connection) -> None:
        pick = self.random.randint
        choices: list[tuple[str, tuple[object, ...]]] = [
            ("UPDATE parent SET v = %s WHERE id = %s", (pick(1, 9), pick(1, 40))),
            ("UPDATE parent SET code = %s WHERE id = %s", (f"code {pick(1, 60)}", pick(1, 40))),
            ("INSERT INTO parent VALUES (%s, %s, 0)", (pick(1, 60), f"code {pick(1, 60)}")),
            ("DELETE FROM parent WHERE id = %s", (pick(1, 60),)),
            ("INSERT INTO child (parent, v) VALUES (%s, 'x')", (pick(1, 60),)),
            ("DELETE FROM child WHERE id = %s", (pick(1, 200),)),
        ]
        statement, args = self.random.choice(choices)
        with session.transaction():
            self.begin(session)
            query(session, statement, *args)
            if pick(1, 8) == 1:
                query(session, "SELECT pg_sleep(0.02)")

    def write_in_order(self, session: Connection) -> None:
        """Several rows in one transaction, in an order that everybody keeps: so no two clients wait for each other."""
        keys = sorted(self.random.sample(range(1, 41), 3))
        with session.transaction():
            self.begin(session)
            for key in keys:
                query(session, "UPDATE parent SET v = v + 1 WHERE id = %s", key)

    def commit(self, session: Connection) -> None:
        with session.transaction():
            self.begin(session)
            row = query(session, "SELECT pggit.commit('work', %s)", self.branch).fetchone()
        assert row
        with self.lock:
            self.told.commits.append(row[0])

    def check_out(self, session: Connection, branch: str | None = None) -> None:
        wanted = branch or self.some_branch(session)
        query(session, "SELECT pggit.checkout(%s)", wanted)
        self.branch = wanted

    def fork(self, session: Connection) -> None:
        how = self.random.choice(["none", "all"])
        query(
            session, "SELECT pggit.create_branch(%s, %s, 'schema', %s)", self.random.choice(BRANCHES), self.branch, how
        )

    def delete(self, session: Connection) -> None:
        query(session, "SELECT pggit.delete_branch(%s, true)", self.random.choice(BRANCHES))

    def merge(self, session: Connection) -> None:
        source, target = self.some_branch(session), self.some_branch(session)
        options = self.random.choice(["{}", '{"on_conflict": "ours"}', '{"on_conflict": "theirs"}'])
        sql = "SELECT m.result, m.commit_id FROM pggit.merge(%s, %s, p_options => %s) AS m"
        row = query(session, sql, source, target, options).fetchone()
        assert row
        with self.lock:
            self.told.done[f"merge: {row[0]}"] += 1
            if row[1]:
                self.told.commits.append(row[1])

    def look_back(self, session: Connection) -> None:
        query(session, "SELECT count(*) FROM pggit.as_of(NULL::public.parent, 'main')")


def let_loose(dsn: str, clients: int, seconds: float, seed: int, told: Acknowledged) -> None:
    """All clients at once, for some seconds or until the server is gone."""
    lock, ends = threading.Lock(), time.monotonic() + seconds
    with ThreadPoolExecutor(clients) as pool:
        for done in [
            pool.submit(Client(dsn, number, seed * 1000 + number, ends, told, lock).run) for number in range(clients)
        ]:
            done.result()
