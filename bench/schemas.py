"""Schemas: commits and differences of thousands of objects, branches of hundreds of tables, and DDL, beside plain."""

from __future__ import annotations

from collections.abc import Iterator

from lab import Figure, Lab, Session

# A table of seven columns with its key, an index and a view: ten objects.
TABLE = """
    CREATE TABLE t{0} (
        id bigint PRIMARY KEY, a text NOT NULL, b numeric(12, 2), c timestamptz, d jsonb, e integer, f text
    );
    CREATE INDEX i{0} ON t{0} (a);
    CREATE VIEW v{0} AS SELECT id, a FROM t{0};
"""
OBJECTS_OF_A_TABLE = 10


def size(lab: Lab, most: int) -> int:
    """So many tables or branches, or a few where the figures are not the point."""
    return most if lab.rows >= 100_000 else most // 50


def schemas(lab: Lab) -> Iterator[Figure]:
    """5,000 objects: commits that changed one or rows alone, the difference of two commits, and branches."""
    tables = size(lab, 500)
    objects = tables * OBJECTS_OF_A_TABLE
    with lab.empty() as pair:
        for number in range(tables):
            pair.pggit.run(TABLE.format(number))
        while pair.pggit.run("SELECT pggit.track_schema('public')") != [(tables,)]:
            pass  # as many a transaction as it may lock
        pair.pggit.run("SELECT pggit.commit('loaded')")
        pair.vacuum()

        def commit(session: Session, number: int) -> float:
            session.run(f"ALTER TABLE t{number} ADD COLUMN g integer")
            return session.cpu(lambda s: s.run("SELECT pggit.commit('one object')"))

        def commit_rows(session: Session, number: int) -> float:
            session.run(f"INSERT INTO t1 (id, a) VALUES ({number}, 'a')")
            return session.cpu(lambda s: s.run("SELECT pggit.commit('rows')"))

        def diff(session: Session, _: int) -> float:
            return session.cpu(lambda s: s.run("SELECT * FROM pggit.diff_schema('HEAD~2', 'HEAD')"))

        (spent,) = lab.compare(commit, pair.pggit, times=3)
        yield Figure(f"schema of {objects:,} objects: commit of one changed", spent, None, 1000)
        (spent,) = lab.compare(diff, pair.pggit, times=3)
        yield Figure(f"schema of {objects:,} objects: diff of two commits", spent, None, 1000)
        (spent,) = lab.compare(commit_rows, pair.pggit, times=3)
        yield Figure(f"schema of {objects:,} objects: commit of rows alone", spent, None, 1000)

        def branch(session: Session, number: int) -> float:
            return session.cpu(
                lambda s: s.run(f"SELECT pggit.create_branch('branch-{number}', 'main', p_materialize => 'none')")
            )

        spent = branch(pair.pggit, 0)
        yield Figure(f"branch creation: one of {tables} tables, a table, first", spent / tables, None, 10)
        yield Figure(
            f"branch creation: one of {tables} tables, a table, next", branch(pair.pggit, 1) / tables, None, 10
        )

        def copies(session: Session, number: int) -> float:
            return session.cpu(lambda s: s.run(f"SELECT pggit.create_branch('real-{number}', 'main')"))

        (spent,) = lab.compare(copies, pair.pggit, times=1)
        yield Figure(f"branch creation: one of {tables} tables, a real table", spent / tables, None, 10)

        def merge(session: Session, number: int) -> float:
            on_branch = pair.session(f"branch-{number}")
            on_branch.run(f"INSERT INTO t2 (id, a) VALUES ({number}, 'a')")
            pair.leave(on_branch)
            return session.cpu(lambda s: s.run(f"SELECT pggit.merge('branch-{number}', 'main')"))

        pair.pggit.run("INSERT INTO t1 (id, a) VALUES (1000, 'a')")
        (spent,) = lab.compare(merge, pair.pggit, times=1)
        yield Figure(f"schema of {objects:,} objects: merge of one row", spent, None, None)


def ddl(lab: Lab) -> Iterator[Figure]:
    """Statements of DDL, alone and with 200 branches of views that have the table."""
    with lab.pair(1000) as pair:
        statements = {
            "CREATE TABLE": "CREATE TABLE new_{0} (id bigint PRIMARY KEY, a text)",
            "ADD COLUMN": "ALTER TABLE orders ADD COLUMN new_{0} integer",
            "CREATE INDEX": "CREATE INDEX new_i{0} ON orders (quantity)",
            "COMMENT": "COMMENT ON COLUMN orders.note IS 'comment {0}'",
        }

        def spent(sql: str) -> list[float]:
            def measure(session: Session, number: int) -> float:
                return session.cpu(lambda s: s.run(sql.format(number)))

            return lab.compare(measure, pair.pggit, pair.plain, times=5)

        for name, sql in statements.items():
            pggit, plain = spent(sql)
            yield Figure(f"DDL on main: {name}", pggit, plain, None)
    branches = size(lab, 200)
    with lab.pair(1000) as pair:
        for number in range(branches):
            pair.pggit.run(f"SELECT pggit.create_branch('branch-{number}', 'main', p_materialize => 'none')")
        pair.vacuum()
        pggit, plain = spent(statements["ADD COLUMN"])
        yield Figure(f"DDL on main, {branches} branches: ADD COLUMN", pggit, plain, None)
        retype = "ALTER TABLE orders ALTER COLUMN quantity TYPE {0}"

        def measure(session: Session, number: int) -> float:
            to = ("bigint", "integer")[number % 2]
            return session.cpu(lambda s: s.run(retype.format(to)))

        pggit, plain = lab.compare(measure, pair.pggit, pair.plain, times=3)
        yield Figure(f"DDL on main, {branches} branches: ALTER TYPE, 1,000 rows", pggit, plain, None)
