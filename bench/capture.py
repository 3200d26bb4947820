"""Capture: what writes to tables under version control cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab import Figure, Lab, Pair, Session, bulk_update, single_updates, singles

COPIED = "{0}\t1\tnew\t1.50\t1\t2026-01-01 00:00:00+00\tuser{0}@example.org\tcopied\t{{}}\n"


def kept(pair: Pair) -> Figure:
    """Bytes of the log and its indexes for each changed row, beside those of a row."""
    size = "SELECT pg_total_relation_size('pggit._log_2')"
    ((before,),) = pair.pggit.run(size)
    pair.pggit.run(f"UPDATE orders SET note = 'kept' WHERE id <= {pair.rows // 10}")
    ((after,),) = pair.pggit.run(size)
    ((row,),) = pair.plain.run("SELECT pg_relation_size('orders') / count(*)::float FROM orders")
    return Figure("capture: kept per changed row", float(after - before) / (pair.rows // 10), row, 1.5, "bytes")


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

        yield kept(pair)

        amount = pair.rows // 10

        def load(session: Session, number: int) -> float:
            first = pair.rows + number * amount
            rows = "".join(COPIED.format(first + n) for n in range(1, amount + 1))
            return session.cpu(lambda s: s.copy(rows))

        both = lab.compare(load, pair.pggit, pair.plain, times=3)
        yield Figure.ratio(f"capture: COPY of {amount:,} rows", both, 1.4)
