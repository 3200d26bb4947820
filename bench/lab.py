"""Plain PostgreSQL beside pggit: servers, databases and sessions to measure in, and what a figure says.

Times are CPU of the session's backend, which a busy machine disturbs least; medians of several runs, pggit and plain
in turn. Every benchmark has databases of its own, so `--only` gives the figures of a full run.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from postgres import FAST, Server

INSTALL = Path(__file__).resolve().parents[1] / "sql" / "install.sql"
SETTINGS = FAST | {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "jit": "off",
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",
}
TABLES = """
    CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, greatest({rows} / 100, 10)) AS g;
    CREATE INDEX ON customers (name);
    CREATE TABLE orders (
        id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers, status text NOT NULL,
        amount numeric(12, 2) NOT NULL, quantity integer NOT NULL, created_at timestamptz NOT NULL,
        email text, note text, meta jsonb
    );
    INSERT INTO orders
    SELECT g, 1 + (g::bigint * 7919) % greatest({rows} / 100, 10), 'new', (g % 100000) / 7.0, g % 50,
           timestamptz '2025-01-01' + g * interval '13 seconds', 'user' || g || '@example.org', md5(g::text),
           jsonb_build_object('k', g % 100)
      FROM generate_series(1, {rows}) AS g;
    CREATE INDEX ON orders (customer_id);
    CREATE INDEX ON orders (created_at);
"""
# What autovacuum would work on now, by its default thresholds; an empty store, for one, it leaves alone.
STALE = """
    SELECT format('VACUUM ANALYZE %I.%I', s.schemaname, s.relname)
      FROM pg_stat_all_tables AS s JOIN pg_class AS c ON c.oid = s.relid
     WHERE s.schemaname NOT IN ('pg_toast', 'information_schema') AND c.relkind = 'r' AND NOT c.relisshared
       AND (s.n_mod_since_analyze > 50 + 0.1 * greatest(c.reltuples, 0)
            OR s.n_dead_tup > 50 + 0.2 * greatest(c.reltuples, 0)
            OR s.n_ins_since_vacuum > 1000 + 0.2 * greatest(c.reltuples, 0))
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table. Judged is the ratio to plain, or what was measured where plain has no such thing."""

    name: str
    measured: float
    plain: float | None
    target: float | None
    unit: str = "ms"
    at_least: bool = False
    later: bool = False

    @classmethod
    def ratio(cls, name: str, both: Sequence[float], target: float, unit: str = "ms") -> Figure:
        """What pggit and plain cost."""
        pggit, plain = both
        return cls(name, pggit, plain, target, unit)

    def __str__(self) -> str:
        ratio = None if self.plain is None else self.measured / self.plain
        judged = self.measured if ratio is None else ratio
        if self.target is None:
            target = verdict = ""
        else:
            unit = "x" if ratio is not None else " " + self.unit
            target = f"{'≥' if self.at_least else '≤'} {self.target:,.10g}{unit}"
            ok = judged >= self.target if self.at_least else judged <= self.target
            verdict = ("ok" if ok else "missed") + (", a later target" if self.later else "")
        plain = "-" if self.plain is None else f"{self.plain:,.2f} {self.unit}"
        shown = "-" if ratio is None else f"{ratio:.2f}"
        return f"{self.name:<52}{self.measured:>16,.2f} {self.unit:<8}{plain:>16}{shown:>8}  {target:<20}{verdict}"


class Session:
    """A connection, on a branch if one is named, and what it costs."""

    def __init__(self, dsn: str, branch: str | None = None) -> None:
        self.conn = psycopg.connect(dsn, autocommit=True)
        self._spent = Path(f"/proc/{self.conn.info.backend_pid}/schedstat")
        if branch:
            self.run("SELECT pggit.checkout(%s)", branch)

    def run(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Run SQL (its text is this file's own), prepared if it has arguments."""
        cursor = self.conn.execute(sql.encode(), args or None, prepare=bool(args))
        return cursor.fetchall() if cursor.description else []

    def copy(self, rows: str) -> None:
        """COPY rows in text format into orders."""
        with self.conn.cursor() as cursor, cursor.copy("COPY orders FROM STDIN") as copy:
            copy.write(rows)

    def cpu(self, work: Callable[[Session], object]) -> float:
        """Milliseconds of CPU that the backend spends on some work."""
        before = self._read()
        work(self)
        return self._read() - before

    def wal(self, work: Callable[[Session], object]) -> float:
        """Bytes of WAL that the server writes meanwhile."""
        ((before,),) = self.run("SELECT pg_current_wal_insert_lsn()::text")
        work(self)
        ((bytes_,),) = self.run("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
        return float(bytes_)

    def tell(self) -> None:
        """Tell the server's statistics what this session has changed."""
        self.run("SELECT pg_stat_force_next_flush()")

    def vacuum(self) -> None:
        """What a user's autovacuum would have done by now."""
        self.tell()
        for (statement,) in self.run(STALE):
            self.run(statement)

    def _read(self) -> float:
        return int(self._spent.read_text().split()[0]) / 1e6


class Pair:
    """The same tables twice: under version control and plain."""

    def __init__(self, lab: Lab, rows: int) -> None:
        self.rows = rows
        self.changes = max(rows // 100, 1)
        self._lab = lab
        self._sessions: list[Session] = []
        self._stack = ExitStack()
        self._pggit, plain = (self._stack.enter_context(lab.database(kind, rows)) for kind in ("pggit", "plain"))
        self.pggit = self.session()
        self.plain = self._open(plain)
        for session in (self.pggit, self.plain) if rows else ():
            session.run("SELECT sum(amount), min(customer_id) FROM orders")  # read from the file once

    def _open(self, database: str, branch: str | None = None) -> Session:
        session = Session(self._lab.server.dsn(database), branch)
        self._stack.callback(session.conn.close)
        self._sessions.append(session)
        return session

    def session(self, branch: str | None = None) -> Session:
        """Another session under version control."""
        return self._open(self._pggit, branch)

    def branch(self, name: str, materialize: str = "none") -> Session:
        """A new branch of main, and a session on it."""
        self.pggit.run("SELECT pggit.create_branch(%s, 'main', p_materialize => %s)", name, materialize)
        return self.session(name)

    def leave(self, session: Session) -> None:
        """Close a session."""
        self._sessions.remove(session)
        session.conn.close()

    def vacuum(self) -> None:
        """What a user's autovacuum would have done by now."""
        for session in self._sessions:
            session.tell()
        for session in (self.pggit, self.plain):
            session.vacuum()

    def close(self) -> None:
        self._stack.close()


class Lab:
    """A server with a template of each kind and size of database."""

    def __init__(self, server: Server, rows: int, repeat: int, large: bool = False) -> None:
        self.server = server
        self.rows = rows
        self.repeat = repeat
        self.large = large
        self._admin = Session(server.dsn())
        self._templates: set[str] = set()
        self._numbers = itertools.count(1)

    def _template(self, kind: str, rows: int) -> str:
        name = f"{kind}_{rows}"
        if name not in self._templates:
            self._admin.run(f"CREATE DATABASE {name}")
            session = Session(self.server.dsn(name))
            if rows:
                session.run(TABLES.format(rows=rows))
            if kind == "pggit":
                self.server.psql("-1", "-f", str(INSTALL), database=name)
            if kind == "pggit" and rows:
                session.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('loaded')")
            session.vacuum()
            session.conn.close()
            self._templates.add(name)
        return name

    @contextmanager
    def database(self, kind: str, rows: int) -> Iterator[str]:
        """A database, plain or with pggit, that goes away afterwards."""
        name = f"bench_{next(self._numbers)}"
        self._admin.run(f"CREATE DATABASE {name} TEMPLATE {self._template(kind, rows)} STRATEGY file_copy")
        yield name
        self._admin.run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty(self) -> Iterator[Pair]:
        """Databases without tables."""
        made = Pair(self, 0)
        try:
            yield made
        finally:
            made.close()

    @contextmanager
    def pair(self, rows: int | None = None) -> Iterator[Pair]:
        """Databases of that many rows."""
        made = Pair(self, rows or self.rows)
        try:
            yield made
        finally:
            made.close()

    def compare(
        self,
        measure: Callable[[Session, int], float],
        *sessions: Session,
        times: int | None = None,
        then: Callable[[], None] | None = None,
    ) -> list[float]:
        """Measure in each session in turn; the median of each. The first round, and what is done then, warms up."""
        rounds = []
        for number in range((times or self.repeat) + 1):
            rounds.append([measure(session, number) for session in sessions])
            if then and number == 0:
                then()
        return [statistics.median(values) for values in zip(*rounds[1:], strict=True)]


def keys(rows: int, number: int, count: int) -> list[int]:
    """The keys of a measurement: spread over the table, and others each time while there are others."""
    return [1 + (number * count + n) * 7919 % rows for n in range(count)]


def single_updates(rows: int, first: int = 0) -> Callable[[Session, int], None]:
    """Updates of one row each, a transaction each, prepared: what an application does."""

    def work(session: Session, number: int) -> None:
        for key in keys(rows, first + number, singles(rows)):
            session.run("UPDATE orders SET quantity = %s::int WHERE id = %s::bigint", number, key)

    return work


def singles(rows: int) -> int:
    """How many updates of one row are measured at once."""
    return min(300, rows // 10)


def bulk_update(rows: int) -> Callable[[Session, int], None]:
    """One update of 1,000 rows."""

    def work(session: Session, number: int) -> None:
        first = number * 1000 % rows
        session.run(f"UPDATE orders SET quantity = {-number} WHERE id BETWEEN {first + 1} AND {first + 1000}")

    return work
