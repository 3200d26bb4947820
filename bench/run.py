"""pggit beside plain PostgreSQL, in one run: what it costs, against what was promised.

Figures are CPU seconds of the backend, which a busy machine disturbs least, and bytes of WAL; ratios are pggit / plain.
Nothing here fails because of a figure.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from postgres import FAST, Server

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = FAST | {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "jit": "off",
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",
}
ORDERS = """
    CREATE TABLE {0}_customers (id bigint PRIMARY KEY, name text NOT NULL);
    INSERT INTO {0}_customers SELECT g, 'customer ' || g FROM generate_series(1, greatest({1} / 100, 10)) AS g;
    CREATE TABLE {0} (
        id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES {0}_customers, status text NOT NULL,
        amount numeric(12, 2) NOT NULL, quantity integer NOT NULL, created_at timestamptz NOT NULL,
        email text, note text, meta jsonb
    );
    INSERT INTO {0}
    SELECT g, 1 + (g::bigint * 7919) % greatest({1} / 100, 10), 'new', (g % 100000) / 7.0, g % 50,
           timestamptz '2025-01-01' + g * interval '13 seconds', 'user' || g || '@example.org', md5(g::text),
           jsonb_build_object('k', g % 100)
      FROM generate_series(1, {1}) AS g;
    CREATE INDEX ON {0} (customer_id);
    CREATE INDEX ON {0} (created_at);
"""
READS = {
    "point": ("SELECT * FROM {0} WHERE id = 4711", 4),
    "by foreign key": ("SELECT * FROM {0} WHERE customer_id = 17", 4),
    "join, parameterised": (
        "SELECT sum(o.amount) FROM {1}_customers c JOIN {0} o ON o.customer_id = c.id WHERE c.name = 'customer 17'",
        4,
    ),
    "top 10": ("SELECT * FROM {0} ORDER BY created_at DESC LIMIT 10", 4),
    "page": ("SELECT * FROM {0} WHERE id > 4000 ORDER BY id LIMIT 50", 4),
    "aggregate": ("SELECT sum(amount), max(created_at) FROM {0}", 2.5),
    "count(*)": ("SELECT count(*) FROM {0}", 8),
}

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Figure:
    """One line: a ratio or an absolute value, and the most it should be."""

    name: str
    measured: str
    value: float
    target: float

    def __str__(self) -> str:
        verdict = "ok" if self.value <= self.target else "MISSED"
        return f"{self.name:<44} {self.measured:>34} {self.value:>8.2f} {'≤ ' + format(self.target, 'g'):>8}  {verdict}"


class Bench:
    """A server with the same tables twice: plain, and under version control."""

    def __init__(self, server: Server, rows: int, repeat: int) -> None:
        self.rows = rows
        self.repeat = repeat
        self.server = server
        self.plain = self._database("plain")
        self.plain_cpu = Cpu(self.plain)
        self.pggit = self._database("pggit")
        server.psql("-1", "-f", str(ROOT / "sql" / "install.sql"), database="pggit")
        run(self.pggit, "SELECT pggit.track_schema('public'); SELECT pggit.commit('loaded')")
        self.cpu = Cpu(self.pggit)

    def _database(self, name: str) -> Connection:
        with psycopg.connect(self.server.dsn(), autocommit=True) as admin:
            run(admin, f"CREATE DATABASE {name}")
        conn = psycopg.connect(self.server.dsn(name), autocommit=True)
        run(conn, ORDERS.format("orders", self.rows) + ORDERS.format("small", 1000))
        run(conn, "VACUUM ANALYZE")
        return conn

    def both(self, name: str, statement: Callable[[int], str], target: float, *, times: int | None = None) -> Figure:
        """The same statement on both, in turn; the median of each."""
        plain, pggit = [], []
        for number in range(times or self.repeat):
            plain.append(self.plain_cpu.of(lambda n=number: run(self.plain, statement(n))))  # type: ignore[misc]
            pggit.append(self.cpu.of(lambda n=number: run(self.pggit, statement(n))))  # type: ignore[misc]
        return ratio(name, statistics.median(pggit), statistics.median(plain), target)


class Cpu:
    """CPU seconds that a connection's backend spends."""

    def __init__(self, conn: Connection) -> None:
        self._file = Path(f"/proc/{conn.info.backend_pid}/schedstat")

    def of(self, work: Callable[[], object]) -> float:
        before = self._read()
        work()
        return self._read() - before

    def _read(self) -> float:
        return int(self._file.read_text().split()[0]) / 1e9


def run(conn: Connection, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL (its text is this file's own) and fetch what it gives."""
    cursor = conn.execute(sql.encode())
    return cursor.fetchall() if cursor.description else []


def ratio(name: str, pggit: float, plain: float, target: float, unit: str = "ms") -> Figure:
    scale = 1000 if unit == "ms" else 1
    return Figure(name, f"{pggit * scale:,.2f} / {plain * scale:,.2f} {unit}", pggit / plain, target)


def creation(bench: Bench) -> Iterator[Figure]:
    """A branch of one large table and of one small one, both made of views."""
    spent: dict[str, list[float]] = {"orders": [], "small": []}
    # The first branch of a table also makes what all its branches share.
    run(bench.pggit, "SELECT pggit.create_branch('whole', p_materialize => 'none')")
    whole = bench.cpu.of(lambda: run(bench.pggit, "SELECT pggit.create_branch('second', p_materialize => 'none')"))
    for _ in range(bench.repeat):
        for table, times in spent.items():
            times.append(bench.cpu.of(lambda t=table: view_of(bench, t)))  # type: ignore[misc]
    large, small = (statistics.median(spent[table]) for table in ("orders", "small"))
    yield ratio(f"a view of {bench.rows:,} rows / of 1,000", large, small, 1.5)
    yield Figure("a view, CPU ms", f"{large * 1000:,.2f} ms", large * 1000, 10)
    yield Figure("a branch of 4 tables, CPU ms a table", f"{whole * 1000:,.2f} ms", whole * 1000 / 4, 10)


def view_of(bench: Bench, table: str) -> None:
    """What making a branch does for one table: done anew for the branch that is there, and taken back."""
    run(
        bench.pggit,
        f"""BEGIN;
            DELETE FROM pggit.branch_tables WHERE branch_id = 2 AND table_id = (pggit._table('{table}')).table_id;
            ALTER VIEW "public@whole".{table} RENAME TO renamed;
            SELECT pggit._create_view(2, (pggit._table('{table}')).table_id);
            ROLLBACK""",
    )


def capture(bench: Bench) -> Iterator[Figure]:
    def single(number: int) -> str:
        return ";".join(f"UPDATE orders SET quantity = {number} WHERE id = {number * 300 + n}" for n in range(1, 301))

    yield bench.both("capture: 300 single-row updates, CPU", single, 2.0)
    wal = []
    for conn in (bench.pggit, bench.plain):
        (start,) = run(conn, "SELECT pg_current_wal_insert_lsn() - '0/0'")[0]
        run(conn, single(bench.repeat))
        (end,) = run(conn, "SELECT pg_current_wal_insert_lsn() - '0/0'")[0]
        wal.append(float(end - start) / 300)
    yield ratio("capture: single-row update, WAL", wal[0], wal[1], 3.1, "bytes")
    yield bench.both(
        "capture: 1,000-row update, CPU",
        lambda n: f"UPDATE orders SET quantity = -{n} WHERE id BETWEEN {n * 1000} AND {n * 1000 + 999}",
        1.8,
    )
    yield bench.both(
        "capture: 10,000 rows inserted, CPU",
        lambda n: (
            f"INSERT INTO small SELECT {n + 100} * 10000 + g, 1, 'x', 1, 1, now() FROM generate_series(1, 10000) AS g"
        ),
        1.4,
    )


def reads(bench: Bench) -> Iterator[Figure]:
    (schema,) = run(bench.pggit, "SELECT pggit.branch_schema('whole')")[0]
    for share in (0, 1, 10):
        if share:
            run(bench.pggit, "SELECT pggit.checkout('whole')")
            run(bench.pggit, f"UPDATE orders SET quantity = {share} WHERE id % {100 // share} = 0")
            run(bench.pggit, "SELECT pggit.checkout('main'); ANALYZE")
        for name, (sql, target) in READS.items():
            on_branch = sql.format(f'"{schema}".orders', f'"{schema}".orders')
            yield read(
                bench, f"branch read at {share} % delta: {name}", on_branch, sql.format("orders", "orders"), target
            )


def read(bench: Bench, name: str, on_branch: str, on_plain: str, target: float) -> Figure:
    """Prepared, as an application's driver does after a few runs."""
    spent: list[list[float]] = [[], []]
    for conn, cpu, sql, times in (
        (bench.pggit, bench.cpu, on_branch, spent[0]),
        (bench.plain, bench.plain_cpu, on_plain, spent[1]),
    ):
        run(conn, f"PREPARE q AS {sql}")
        for _ in range(6):
            run(conn, "EXECUTE q")
        times.extend(cpu.of(lambda c=conn: run(c, "EXECUTE q")) for _ in range(bench.repeat))  # type: ignore[misc]
        run(conn, "DEALLOCATE q")
    return ratio(name, statistics.median(spent[0]), statistics.median(spent[1]), target)


def merges(bench: Bench) -> Iterator[Figure]:
    """As many changes on both sides, one in twenty of them in conflict."""
    changes = bench.rows // 100
    run(bench.pggit, "SELECT pggit.create_branch('merged', p_materialize => 'none'); SELECT pggit.checkout('merged')")
    run(bench.pggit, "UPDATE orders SET note = 'branch' WHERE id % 100 = 7")
    run(bench.pggit, "SELECT pggit.commit('branch'); SELECT pggit.checkout('main')")
    run(bench.pggit, "UPDATE orders SET amount = amount + 1 WHERE id % 100 = 7")
    run(bench.pggit, "UPDATE orders SET note = 'main' WHERE id % 2000 = 7; SELECT pggit.commit('main'); ANALYZE orders")
    diff = bench.cpu.of(lambda: run(bench.pggit, "SELECT count(*) FROM pggit.diff_rows('orders', 'HEAD~1', 'HEAD')"))
    yield Figure(f"diff of {changes:,} rows with values, us a row", f"{diff * 1000:,.0f} ms", diff / changes * 1e6, 25)
    merge = "SELECT pggit.merge('merged', 'main', NULL, '{\"on_conflict\": \"theirs\"}')"
    pggit = bench.cpu.of(lambda: run(bench.pggit, merge))
    run(bench.plain, "CREATE TABLE new_notes AS SELECT id, 'branch' AS note FROM orders WHERE id % 100 = 7")
    plain = bench.plain_cpu.of(
        lambda: run(bench.plain, "UPDATE orders AS o SET note = n.note FROM new_notes AS n WHERE n.id = o.id")
    )
    yield ratio(f"merge of {changes:,} rows / UPDATE … FROM", pggit, plain, 2.5)


def commits(bench: Bench) -> Iterator[Figure]:
    def change_and_commit() -> None:
        for number in range(100):
            run(bench.pggit, f"UPDATE small SET quantity = {number} WHERE id = 1; SELECT pggit.commit('c{number}')")

    spent = bench.cpu.of(change_and_commit) / 100
    yield Figure("a commit of one change, CPU ms", f"{1 / spent:,.0f} a second", spent * 1000, 5)


BENCHES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "creation": creation,
    "reads": reads,
    "merges": merges,
    "capture": capture,
    "commits": commits,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pg", type=int, default=18, help="PostgreSQL's major version")
    options.add_argument("--rows", type=int, default=1_000_000, help="rows of the large table")
    options.add_argument("--repeat", type=int, default=9, help="runs of each statement, of which the median counts")
    given = options.parse_args()
    with Server(given.pg, settings=SETTINGS) as server:
        bench = Bench(server, given.rows, given.repeat)
        print(f"PostgreSQL {given.pg}, {given.rows:,} rows\n")
        print(f"{'what':<44} {'pggit / plain':>34} {'ratio':>8} {'target':>8}")
        for figures in BENCHES.values():
            for figure in figures(bench):
                print(figure, flush=True)


if __name__ == "__main__":
    main()
