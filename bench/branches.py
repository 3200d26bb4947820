"""Branches: what it costs to make one, to read it and to write on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lab import Figure, Lab, Pair, Session, bulk_update, keys, single_updates, singles

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


def huge(lab: Lab) -> Iterator[Figure]:
    """Branches of 10,000,000 rows, which take minutes to load: with --huge alone."""
    rows = 10_000_000

    def create(session: Session, number: int) -> float:
        return session.cpu(
            lambda s: s.run(f"SELECT pggit.create_branch('branch-{number}', 'main', p_materialize => 'none')")
        )

    with lab.pair(rows) as large, lab.pair(1000) as small:
        both = lab.compare(create, large.pggit, small.pggit)
    yield Figure(f"branch creation: {rows:,} / 1,000 rows", both[0], both[1], 1.5)


def read(lab: Lab, pair: Pair, branch: Session, state: str, targets: dict[str, float]) -> Iterator[Figure]:
    """The same reads on a branch and on plain."""
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
        yield Figure.ratio(f"branch read, {state}: {name}", both, targets.get(name, target))


def reads(lab: Lab) -> Iterator[Figure]:
    """Reads of a branch of views that has changed none, 1 % and 10 % of the rows; the same statements on plain."""
    with lab.pair() as pair:
        branch = pair.branch("reads")
        for share in (0, 1, 10):
            if share:
                branch.run(f"UPDATE orders SET quantity = {share} WHERE mod(hashint8(id) + 2147483648, 100) < {share}")
            pair.vacuum()
            yield from read(lab, pair, branch, f"{share} % changed", {})


def moved_reads(lab: Lab) -> Iterator[Figure]:
    """Reads of a branch that has changed nothing, since when main has changed 10 % of the rows."""
    with lab.pair() as pair:
        branch = pair.branch("reads")
        for session in (pair.pggit, pair.plain):
            session.run("UPDATE orders SET quantity = -1 WHERE mod(hashint8(id) + 2147483648, 100) < 10")
        pair.vacuum()
        few = {"point", "by foreign key", "join, parameterised", "page of 50", "aggregate"}
        targets = {"count(*)": 12.0, "top 10": 4.0} | dict.fromkeys(few, 5.0)
        yield from read(lab, pair, branch, "base moved 10 %", targets)


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
