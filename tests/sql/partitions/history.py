"""A partitioned table with everything in it that partitions can have, and a check of its whole history."""

from __future__ import annotations

from fixtures.postgres import Connection, Database, query

#: List, hash and range, a default partition, one with its columns in another order.
TABLES = """
    CREATE TABLE parents (id integer PRIMARY KEY);
    INSERT INTO parents VALUES (1), (2);
    CREATE TABLE p (k integer, r integer, v text, parent integer REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY (r, k))
        PARTITION BY LIST (r);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p2 (v text, parent integer, gone integer, r integer NOT NULL, k integer NOT NULL);
    ALTER TABLE p2 DROP gone;
    ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
    CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3, 4) PARTITION BY RANGE (k);
    CREATE TABLE p3_low PARTITION OF p3 FOR VALUES FROM (0) TO (100);
    CREATE TABLE p3_rest PARTITION OF p3 DEFAULT;
    INSERT INTO p VALUES (1, 1, 'a', 1), (2, 2, 'b', 1), (3, 3, 'c', 1), (4, 4, 'd', 2), (400, 4, 'e', NULL);
"""  # noqa: E501 - SQL is not wrapped
ROWS = "SELECT r, k, v, parent FROM {} ORDER BY r, k"

Rows = list[tuple[object, ...]]


class History:
    """The table p of a database, and what it was at each commit."""

    def __init__(self, db: Database, session: Connection | None = None, tables: str = TABLES) -> None:
        self.db = db
        self.session = session or db.conn
        self.states: list[tuple[str, Rows]] = []
        query(self.session, tables)
        query(self.session, "SELECT pggit.track_schema('public')")
        assert self.commit() == []

    def rows(self, sql: str) -> Rows:
        return query(self.session, sql).fetchall()

    def commit(self) -> list[object]:
        """Commit; what is wrong with the states so far."""
        now = self.rows(ROWS.format("p"))
        (commit,) = self.rows("SELECT pggit.commit('next', p_allow_empty => true)")[0]
        self.states.append((str(commit), now))
        return self.wrong()

    def wrong(self) -> list[object]:
        """The commits whose rows are others than they were, and what verify finds."""
        changed = [
            commit
            for commit, rows in self.states
            if self.rows(ROWS.format(f"pggit.as_of(NULL::p, '{commit}')")) != rows
        ]
        return [*changed, *self.rows("SELECT * FROM pggit.verify()")]

    def after(self, sql: str) -> list[object]:
        """What is wrong with any state after the statement's effect, and what is then done to all rows."""
        query(self.session, sql)
        found = self.commit()
        query(self.session, "UPDATE p SET v = v || '!'")
        found += self.wrong()
        query(self.session, "DELETE FROM p")
        return found + self.commit()
