"""History: commits, differences, and tables as they were."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lab import Figure, Lab, Session, keys


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


def commits_on_many(lab: Lab) -> Iterator[Figure]:
    """The same on ten branches by ten sessions at once, by the clock."""
    count, each = 10, 20
    with lab.pair() as pair:
        sessions = [pair.branch(f"branch-{number}") for number in range(count)]

        def work(session: Session) -> None:
            for key in keys(pair.rows, 0, each):
                session.run("UPDATE orders SET quantity = quantity + 1 WHERE id = %s::bigint", key)
                session.run("SELECT pggit.commit(%s)", f"c{key}")

        rates = []
        with ThreadPoolExecutor(count) as threads:
            for _ in range(4):
                began = time.perf_counter()
                list(threads.map(work, sessions))
                rates.append(count * each / (time.perf_counter() - began))
    yield Figure(
        f"commits of one change on {count} branches at once",
        statistics.median(rates[1:]),
        None,
        200,
        "/s",
        at_least=True,
    )


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

        state = pair.session("HEAD~1")
        for session in (state, pair.plain):
            session.run("PREPARE point (bigint) AS SELECT * FROM orders WHERE id = $1")
        for name, sql, target in (
            ("aggregate", "SELECT sum(amount), max(quantity) FROM orders", 3),
            ("20 points", "; ".join(f"EXECUTE point ({key})" for key in keys(pair.rows, 0, 20)), 8),
        ):
            both = lab.compare(lambda session, _, sql=sql: session.cpu(lambda s: s.run(sql)), state, pair.plain)  # type: ignore[misc]
            yield Figure.ratio(f"checked out, 1 % changed: {name}", both, target)
