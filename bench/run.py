"""pggit beside plain PostgreSQL, in one run: what each operation costs, against what was promised.

Times are CPU of the session's backend, which a busy machine disturbs least; medians of several runs, pggit and plain
in turn. Every benchmark has databases of its own, so `--only` gives the figures of a full run. Nothing here fails
because of a figure.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from postgres import FAST, VERSIONS, Server

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
COPIED = "{0}\t1\tnew\t1.50\t1\t2026-01-01 00:00:00+00\tuser{0}@example.org\tcopied\t{{}}\n"
# Type of the argument, what is prepared, the argument for the row number n of so many rows, and the target.
READS: dict[str, tuple[str, str, Callable[[int, int], object], float]] = {
    "point": ("bigint", "SELECT * FROM orders WHERE id = $1", lambda n, _: n, 4),
    "by foreign key": (
        "bigint",
        "SELECT * FROM orders WHERE customer_id = $1",
        lambda n, rows: 1 + n % max(rows // 100, 10),
        4,
    ),
    "join, parameterised": (
        "text",
        "SELECT sum(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.name = $1",
        lambda n, rows: f"customer {1 + n % max(rows // 100, 10)}",
        4,
    ),
    "top 10": ("bigint", "SELECT * FROM orders ORDER BY created_at DESC LIMIT 10", lambda n, _: n, 4),
    "page of 50": ("bigint", "SELECT * FROM orders WHERE id > $1 ORDER BY id LIMIT 50", lambda n, _: n, 4),
    "aggregate": ("bigint", "SELECT sum(amount), max(quantity) FROM orders", lambda n, _: n, 2.5),
    "count(*)": ("bigint", "SELECT count(*) FROM orders", lambda n, _: n, 8),
}
WHOLE = {"aggregate", "count(*)"}  # run once a measurement, the others 20 times


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
        for session in (self.pggit, self.plain):
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

    def __init__(self, server: Server, rows: int, repeat: int) -> None:
        self.server = server
        self.rows = rows
        self.repeat = repeat
        self._admin = Session(server.dsn())
        self._templates: set[str] = set()
        self._numbers = itertools.count(1)

    def _template(self, kind: str, rows: int) -> str:
        name = f"{kind}_{rows}"
        if name not in self._templates:
            self._admin.run(f"CREATE DATABASE {name}")
            session = Session(self.server.dsn(name))
            session.run(TABLES.format(rows=rows))
            if kind == "pggit":
                self.server.psql("-1", "-f", str(INSTALL), database=name)
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


def creation(lab: Lab) -> Iterator[Figure]:
    """Branches made of views, of a large table and of a small one. Each has a table of customers, too."""

    def create(session: Session, number: int) -> float:
        return session.cpu(lambda s: s.run(f"SELECT pggit.create_branch('b{number}', 'main', p_materialize => 'none')"))

    with lab.pair() as large, lab.pair(1000) as small:
        first = create(large.pggit, 0)
        create(small.pggit, 0)
        both = lab.compare(lambda session, n: create(session, n + 1), large.pggit, small.pggit)
    yield Figure("branch creation: large table / 1,000 rows", both[0], both[1], 1.5)
    yield Figure("branch creation: a table", both[0] / 2, None, 10)
    yield Figure("branch creation: a table, the first branch of all", first / 2, None, 10)


def capture(lab: Lab) -> Iterator[Figure]:
    """Writes to main's tables."""
    with lab.pair() as pair:
        count = singles(pair.rows)
        fresh, others, bulk = single_updates(pair.rows), single_updates(pair.rows, 50), bulk_update(pair.rows)

        def cpu(work: Callable[[Session, int], object], each: int = 1) -> list[float]:
            def spent(session: Session, number: int) -> float:
                return session.cpu(lambda s: work(s, number)) / each

            return lab.compare(spent, pair.pggit, pair.plain, then=pair.vacuum)

        def wal(work: Callable[[Session, int], object]) -> list[float]:
            return lab.compare(lambda session, n: session.wal(lambda s: work(s, n)) / count, pair.pggit, pair.plain)

        def together(session: Session, number: int) -> None:
            with session.conn.transaction():
                single_updates(pair.rows, 100)(session, number)

        yield Figure.ratio("capture: UPDATE of one row, CPU", cpu(fresh, count), 2)
        yield Figure.ratio("capture: UPDATE of one row, CPU, 300 a transaction", cpu(together, count), 2)
        yield Figure.ratio("capture: UPDATE of one row, WAL", wal(others), 3.1, "bytes")
        yield Figure.ratio("capture: UPDATE of one row, WAL, again (HOT)", wal(others), 3.1, "bytes")
        yield Figure.ratio("capture: UPDATE of 1,000 rows", cpu(bulk), 1.8)

        amount = pair.rows // 10

        def load(session: Session, number: int) -> float:
            first = pair.rows + number * amount
            rows = "".join(COPIED.format(first + n) for n in range(1, amount + 1))
            return session.cpu(lambda s: s.copy(rows))

        both = lab.compare(load, pair.pggit, pair.plain, times=3)
        yield Figure.ratio(f"capture: COPY of {amount:,} rows", both, 1.4)


def reads(lab: Lab) -> Iterator[Figure]:
    """Reads of a branch of views that has changed none, 1 % and 10 % of the rows; the same statements on plain."""
    with lab.pair() as pair:
        branch = pair.branch("reads")
        for share in (0, 1, 10):
            if share:
                branch.run(f"UPDATE orders SET quantity = {share} WHERE mod(hashint8(id) + 2147483648, 100) < {share}")
            pair.vacuum()
            for name, (kind, sql, argument, target) in READS.items():
                for session in (branch, pair.plain):
                    session.run(f"PREPARE q ({kind}) AS {sql}")

                def execute(session: Session, number: int, name: str = name, argument: Any = argument) -> float:
                    values = [argument(n, pair.rows) for n in keys(pair.rows, number, 1 if name in WHOLE else 20)]
                    statements = ";".join(f"EXECUTE q ('{value}')" for value in values)
                    return session.cpu(lambda s: s.run(statements)) / len(values)

                both = lab.compare(execute, branch, pair.plain)
                for session in (branch, pair.plain):
                    session.run("DEALLOCATE q")
                yield Figure.ratio(f"branch read, {share} % changed: {name}", both, target)


def writes(lab: Lab) -> Iterator[Figure]:
    """Writes on a branch, through its views and to its real tables, beside plain."""
    with lab.pair() as pair:
        sessions = {"view": pair.branch("views"), "real table": pair.branch("real", "all")}
        pair.vacuum()
        kinds = {"one row": single_updates(pair.rows), "1,000 rows": bulk_update(pair.rows)}
        targets = {("view", "one row"): 5, ("view", "1,000 rows"): 6}
        for kind, work in kinds.items():
            count = singles(pair.rows) if kind == "one row" else 1

            def spent(session: Session, number: int, work: Any = work, count: int = count) -> float:
                return session.cpu(lambda s: work(s, number)) / count

            view, real, plain = lab.compare(spent, *sessions.values(), pair.plain, then=pair.vacuum)
            for form, measured in zip(sessions, (view, real), strict=True):
                yield Figure(f"branch write, {form}: UPDATE of {kind}", measured, plain, targets.get((form, kind), 2))
            pair.vacuum()


def diffs(lab: Lab) -> Iterator[Figure]:
    """Differences between two commits of main, 1 % of the rows apart."""
    with lab.pair() as pair:
        pair.pggit.run("UPDATE orders SET note = 'changed' WHERE id % 100 = 7")
        pair.pggit.run("SELECT pggit.commit('changed')")
        pair.vacuum()
        for name, sql in {
            "counts": "SELECT * FROM pggit.diff('HEAD~1', 'HEAD')",
            "rows": "SELECT count(*) FROM pggit.diff_rows('orders', 'HEAD~1', 'HEAD')",
        }.items():
            (spent,) = lab.compare(lambda session, _, sql=sql: session.cpu(lambda s: s.run(sql)), pair.pggit, times=3)  # type: ignore[misc]
            rate = pair.changes / spent * 1000
            yield Figure(
                f"diff of {pair.changes:,} changes: {name}", rate, None, 1e6, "keys/s", at_least=True, later=True
            )


def merged(pair: Pair, changes: int, number: int) -> float:
    """As many changes on both sides, 5 % of them to the same cell; the CPU of merging them into main."""
    step = pair.rows // changes
    session = pair.branch(f"m{number}")
    session.run(f"UPDATE orders SET note = 'branch {number}' WHERE id % {step} = {number}")
    session.run("SELECT pggit.commit('branch')")
    pair.pggit.run(
        f"UPDATE orders SET note = 'main {number}'"
        f" WHERE id % {step} = CASE WHEN id / {step} % 20 = 0 THEN {number} ELSE {number + 5} END"
    )
    pair.pggit.run("SELECT pggit.commit('main')")
    pair.vacuum()
    merge = f"SELECT (pggit.merge('m{number}', 'main', NULL, '{{\"on_conflict\": \"theirs\"}}')).result"
    outcome: list[tuple[Any, ...]] = []
    spent = pair.pggit.cpu(lambda s: outcome.extend(s.run(merge)))
    if outcome != [("merged",)]:
        raise RuntimeError(f"the merge ended with {outcome}")
    pair.leave(session)
    return spent


def merges(lab: Lab) -> Iterator[Figure]:
    """Merges into main beside one UPDATE of as many rows, and beside the same merge in a tenth of the rows."""
    with lab.pair() as large, lab.pair(lab.rows // 10) as small:
        changes = large.changes
        spent: dict[str, list[float]] = {"large": [], "small": [], "plain": []}
        for number in range(3):
            spent["large"].append(merged(large, changes, number))
            spent["small"].append(merged(small, changes, number))
            large.plain.run(
                f"CREATE TABLE new_{number} AS SELECT id, 'branch' AS note FROM orders WHERE id % 100 = {number}"
            )
            large.plain.run("ANALYZE")
            update = f"UPDATE orders AS o SET note = n.note FROM new_{number} AS n WHERE n.id = o.id"
            spent["plain"].append(large.plain.cpu(lambda s, u=update: s.run(u)))  # type: ignore[misc]
        whole, tenth, plain = (statistics.median(times) for times in spent.values())
    yield Figure(f"merge of {changes:,} changes / UPDATE … FROM", whole, plain, 2.5)
    yield Figure(f"merge of {changes:,} changes in {large.rows:,} / {small.rows:,} rows", whole, tenth, 1.5)


def commits(lab: Lab) -> Iterator[Figure]:
    """A change of one row and its commit, again and again on one branch."""
    with lab.pair() as pair:

        def change_and_commit(session: Session, number: int) -> float:
            def work(session: Session) -> None:
                for key in keys(pair.rows, number, 20):
                    session.run("UPDATE orders SET quantity = quantity + 1 WHERE id = %s::bigint", key)
                    session.run("SELECT pggit.commit(%s)", f"c{key}")

            return session.cpu(work) / 20

        (spent,) = lab.compare(change_and_commit, pair.pggit)
    yield Figure("commits of one change on one branch", 1000 / spent, None, 200, "/s", at_least=True)


def as_of(lab: Lab) -> Iterator[Figure]:
    """The whole table as it was, 1 % of its rows ago."""
    with lab.pair() as pair:
        pair.pggit.run("UPDATE orders SET quantity = -1 WHERE id % 100 = 7")
        pair.pggit.run("SELECT pggit.commit('changed')")
        pair.vacuum()
        past = "pggit.as_of(NULL::orders, 'HEAD~1')"
        for name, sql in {
            "aggregate": "SELECT sum(amount), max(quantity) FROM {}",
            "all rows, written out": "COPY (SELECT * FROM {}) TO '/dev/null'",
        }.items():

            def read(session: Session, _: int, sql: str = sql) -> float:
                return session.cpu(lambda s: s.run(sql.format(past if s is pair.pggit else "orders")))

            both = lab.compare(read, pair.pggit, pair.plain, times=3)
            yield Figure.ratio(f"as of, 1 % changed: {name}", both, 3)


BENCHES: dict[str, Callable[[Lab], Iterator[Figure]]] = {
    "creation": creation,
    "capture": capture,
    "reads": reads,
    "writes": writes,
    "diffs": diffs,
    "merges": merges,
    "commits": commits,
    "as_of": as_of,
}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--pg", type=int, default=18, choices=VERSIONS, help="PostgreSQL's major version")
    options.add_argument("--rows", type=int, help="rows of the large table, at least 1,000 (1,000,000; quick: 100,000)")
    options.add_argument("--quick", action="store_true", help="fewer rows and fewer repetitions: about half a minute")
    options.add_argument("--only", action="append", choices=BENCHES, help="this benchmark alone; may be repeated")
    given = options.parse_args()
    rows = given.rows or (100_000 if given.quick else 1_000_000)
    if rows < 1000:
        options.error("--rows must be at least 1000")
    with Server(given.pg, settings=SETTINGS, folder=Path(tempfile.gettempdir())) as server:
        lab = Lab(server, rows, 3 if given.quick else 9)
        print(f"PostgreSQL {given.pg}, {rows:,} rows\n")
        print(f"{'what':<52}{'measured':>16} {'':<8}{'plain':>16}{'ratio':>8}  {'target':<20}")
        for name in given.only or BENCHES:
            for figure in BENCHES[name](lab):
                print(figure, flush=True)


if __name__ == "__main__":
    main()
