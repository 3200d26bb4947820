# ruff: noqa: E501 - SQL is not wrapped
"""A table whose primary key changes, or that is dropped and made again, keeps its whole history: every commit shows the rows it had, and two commits are compared. A model beside it keeps full states."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fixtures.postgres import Database, Servers, query
from postgres import Server

NAME = '"T t"'
KINDS = [
    "insert",
    "insert",
    "update",
    "delete",
    "commit",
    "commit",
    "key",
    "key",
    "add",
    "rename",
    "drop",
    "moved",
    "text",
    "again",
    "begin",
    "end",
]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), min_size=6, max_size=22)


@dataclass
class Table:
    """`columns`: names by number, which a column keeps; `key`: numbers; `line`: another one with each key."""

    line: int
    columns: dict[int, str]
    key: list[int]
    rows: list[dict[int, str]] = field(default_factory=list)


def row_of(row: dict[int, str], columns: Any) -> tuple[str | None, ...]:
    return tuple(row.get(column) for column in columns)


class Model:
    def __init__(self, db: Database, told: bool) -> None:
        self.db, self.told = db, told
        self.numbers = itertools.count(10)
        self.lines = itertools.count(2)
        self.names: dict[int, dict[int, str]] = {}
        self.commits: list[tuple[str, Table]] = []
        self.open = False
        self.table = Table(1, {1: "id", 2: "V v", 3: "n"}, [1])
        if not told:
            for name in ("ddl_path", "ddl_start", "rewrite", "ddl_end", "drop"):
                db.run(f"DROP EVENT TRIGGER pggit_{name}")
        db.run(
            f"""CREATE TABLE {NAME} (id integer CONSTRAINT k PRIMARY KEY, "V v" text, n text); SELECT pggit.track_schema('public')"""
        )
        self.insert(1)
        self.insert(2)
        self.commit(0)
        self.note_names()

    def name(self, column: int) -> str:
        return '"' + self.table.columns[column] + '"'

    def fits(self, rows: list[dict[int, str]], key: list[int]) -> bool:
        keys = [row_of(row, key) for row in rows]
        return not key or (len(set(keys)) == len(keys) and all(None not in k for k in keys))

    def insert(self, n: int) -> None:
        row = {
            column: str(n % 5 + 1 if i else n % 7 + 1)
            for i, column in enumerate(self.table.columns)
            if column in self.table.key or n % 4 or not i
        }
        if row and self.fits([*self.table.rows, row], self.table.key):
            self.table.rows.append(row)
            self.db.run(
                f"INSERT INTO {NAME} ({', '.join(map(self.name, row))}) VALUES ({', '.join(repr(v) for v in row.values())})"
            )

    def update(self, n: int) -> None:
        column = list(self.table.columns)[n % len(self.table.columns)]
        rows = [row | {column: str(n % 3 + 1)} if row.get(column) == str(n % 5 + 1) else row for row in self.table.rows]
        if self.fits(rows, self.table.key):
            self.table.rows = rows
            self.db.run(
                f"UPDATE {NAME} SET {self.name(column)} = '{n % 3 + 1}' WHERE {self.name(column)} = '{n % 5 + 1}'"
            )

    def delete(self, n: int) -> None:
        column = list(self.table.columns)[n % len(self.table.columns)]
        self.table.rows = [row for row in self.table.rows if row.get(column) != str(n % 5 + 1)]
        self.db.run(f"DELETE FROM {NAME} WHERE {self.name(column)} = '{n % 5 + 1}'")

    def commit(self, n: int) -> None:
        self.commits.append(
            (self.db.value("SELECT pggit.commit('c', p_allow_empty => true)"), copy.deepcopy(self.table))
        )

    def next_line(self, key: list[int]) -> None:
        self.table.line, self.table.key = next(self.lines), key

    def note_names(self) -> None:
        self.names.setdefault(self.table.line, {}).update(self.table.columns)

    def key(self, n: int) -> None:
        columns = list(self.table.columns)
        key = [[], columns[:1], columns[1:2], columns[:2][::-1], columns[-1:], columns[-2:]][n % 6]
        if key != self.table.key and self.fits(self.table.rows, key):
            steps = (["DROP CONSTRAINT k"] if self.table.key else []) + (
                [f"ADD CONSTRAINT k PRIMARY KEY ({', '.join(map(self.name, key))})"] if key else []
            )
            for step in steps if n % 2 else [", ".join(steps)]:
                self.db.run(f"ALTER TABLE {NAME} {step}")
            self.not_null([c for c in self.table.key if c not in key])
            self.next_line(key)

    def not_null(self, columns: list[int]) -> None:
        for column in columns:
            if column in self.table.columns:
                self.db.run(f"ALTER TABLE {NAME} ALTER {self.name(column)} DROP NOT NULL")

    def add(self, n: int) -> None:
        column = next(self.numbers)
        self.table.columns[column] = f"a{column}"
        self.db.run(f"ALTER TABLE {NAME} ADD a{column} text DEFAULT '9'")
        for row in self.table.rows:
            row[column] = "9"
        self.db.run(f"ALTER TABLE {NAME} ALTER a{column} DROP DEFAULT")

    def rename(self, n: int) -> None:
        column = list(self.table.columns)[n % len(self.table.columns)]
        new = f"R {next(self.numbers)}"
        self.db.run(f"""ALTER TABLE {NAME} RENAME {self.name(column)} TO "{new}" """)
        self.table.columns[column] = new

    def drop(self, n: int) -> None:
        column = list(self.table.columns)[n % len(self.table.columns)]
        if self.told and len(self.table.columns) > 1:
            self.db.run(f"ALTER TABLE {NAME} DROP {self.name(column)}")
            if column in self.table.key:
                kept = [c for c in self.table.key if c != column]
                self.next_line([])
                del self.table.columns[column]
                self.not_null(kept)
            else:
                del self.table.columns[column]
            for row in self.table.rows:
                row.pop(column, None)

    def moved(self, n: int) -> None:
        """The values of a key are others: ALTER TYPE … USING."""
        if self.told and len(self.table.key) == 1:
            (column,) = self.table.key
            self.db.run(f"ALTER TABLE {NAME} ALTER {self.name(column)} TYPE text USING {self.name(column)} || '0'")
            self.next_line(self.table.key)
            for row in self.table.rows:
                row[column] += "0"

    def text(self, n: int) -> None:
        # Without a key, a column that got another type is not among those that two commits both have.
        if self.told and 1 in self.table.columns and self.table.key:
            integer = self.db.value(
                "SELECT atttypid = 'integer'::regtype FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
                NAME,
                self.table.columns[1],
            )
            if integer:
                self.db.run(f"ALTER TABLE {NAME} ALTER {self.name(1)} TYPE text")
                if 1 in self.table.key:
                    self.next_line(self.table.key)

    def again(self, n: int) -> None:
        if self.told:
            columns = dict(list(self.table.columns.items())[: n % 3 + 1])
            self.commit(n)  # columns go on by the names that the last commit knows
            self.note_names()
            self.db.run(f"DROP TABLE {NAME}")
            self.next_line([])
            self.table.columns, self.table.rows = columns, []
            self.db.run(f"""CREATE TABLE {NAME} ({", ".join(self.name(c) + " text" for c in columns)})""")

    def begin(self, n: int) -> None:
        if not self.open:
            self.db.run("BEGIN")
            self.open = True

    def end(self, n: int) -> None:
        if self.open:
            self.db.run("COMMIT")
            self.open = False

    def changes(self, old: Table, new: Table) -> Counter[tuple[Any, ...]]:
        """What diff_rows is to say: (change, old row, new row), rows as names and values."""
        shared = [column for column in old.columns if column in new.columns]
        if old.line == new.line and old.key:
            names = self.names[old.line]
            before, after = ({row_of(row, old.key): row for row in table.rows} for table in (old, new))
            return Counter(
                (
                    "insert" if o is None else "delete" if n is None else "update",
                    self.shown(o, old, names),
                    self.shown(n, new, names),
                )
                for o, n in ((before.get(key), after.get(key)) for key in before.keys() | after.keys())
                if o is None or n is None or row_of(o, shared) != row_of(n, shared)
            )
        names = self.names[max(old.line, new.line)]
        less, more = (Counter(row_of(row, shared) for row in table.rows) for table in (old, new))
        return Counter(
            {
                ("delete", tuple(sorted((names[c], v) for c, v in zip(shared, row, strict=True))), None): n
                for row, n in (less - more).items()
            }
        ) + Counter(
            {
                ("insert", None, tuple(sorted((names[c], v) for c, v in zip(shared, row, strict=True)))): n
                for row, n in (more - less).items()
            }
        )

    def shown(self, row: dict[int, str] | None, table: Table, names: dict[int, str]) -> tuple[Any, ...] | None:
        return row if row is None else tuple(sorted((names[c], row.get(c)) for c in table.columns if c in names))

    def check(self) -> None:
        self.end(0)
        self.commit(0)
        for commit, then in self.commits:
            seen = self.db.rows(f"SELECT * FROM pggit.as_of(NULL::{NAME}, %s)", commit)
            assert Counter(tuple(None if v is None else str(v) for v in row) for row in seen) == Counter(
                row_of(row, self.table.columns) for row in then.rows
            ), commit
        for (a, old), (b, new) in itertools.permutations(self.commits[-6:], 2):
            seen = self.db.rows("SELECT change, old_row, new_row FROM pggit.diff_rows(%s, %s, %s)", NAME, a, b)
            wanted = self.changes(old, new)
            counts = Counter(change for change, *_ in wanted.elements())
            assert self.db.rows("SELECT inserted, updated, deleted FROM pggit.diff(%s, %s)", a, b) in (
                [(counts["insert"], counts["update"], counts["delete"])],
                [] if not counts else None,
            )
            assert Counter(self.told_row(*row) for row in seen) == wanted, (a, b)
        assert self.db.rows("SELECT * FROM pggit.verify()") == []
        commit, then = self.commits[len(self.commits) // 2]
        there = self.db.connect(branch=None)
        for way in ("SELECT pggit.checkout(%s)", "SELECT pggit.checkout((pggit.create_branch('past', %s)).name)"):
            query(there, way, commit)
            seen = query(there, f"SELECT * FROM {NAME}").fetchall()
            assert Counter(tuple(None if v is None else str(v) for v in row) for row in seen) == Counter(
                row_of(row, then.columns) for row in then.rows
            )
        there.close()

    @staticmethod
    def told_row(change: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> tuple[Any, ...]:
        return change, *(
            row
            if row is None
            else tuple(sorted((k.split(" (dropped")[0], None if v is None else str(v)) for k, v in row.items()))
            for row in (old, new)
        )


@pytest.mark.parametrize("place", ["told", "untold"])
def test_every_commit_keeps_its_rows(servers: Servers, server: Server, place: str, pytestconfig: pytest.Config) -> None:
    examples: int | None = pytestconfig.getoption("--model-examples")

    @settings(
        max_examples=examples or 5,
        derandomize=examples is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if examples else [Phase.generate],
    )
    @given(steps=STEPS)
    def history(steps: list[tuple[str, int]]) -> None:
        db = servers.create(server.version, template=servers.template(server.version))
        try:
            model = Model(db, place == "told")
            for kind, n in steps:
                getattr(model, kind)(n)
                model.note_names()
            model.check()
        finally:
            servers.drop(db)

    history()


@pytest.mark.parametrize("change", ["", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n);"])
def test_history_of_a_dropped_table_stands_in_the_way_of_no_type(db: Database, change: str) -> None:
    db.run("""
        CREATE SCHEMA x;
        CREATE DOMAIN x.word AS text CHECK (value <> '');
        CREATE TYPE x.mood AS ENUM ('a', 'b');
        CREATE DOMAIN x.felt AS x.mood;
        CREATE TYPE x.pair AS (a integer, b text);
        CREATE TYPE x.span AS RANGE (subtype = integer);
        CREATE COLLATION x.order (provider = libc, locale = 'C');
        CREATE EXTENSION citext;
        CREATE TABLE other (id integer PRIMARY KEY);
        CREATE TABLE t (id x.word PRIMARY KEY, n integer, f x.felt, p x.pair, s x.span, c text COLLATE x.order, ci citext, w x.word[], o other);
        INSERT INTO t VALUES ('k', 1, 'a', ROW(1, 'z'), '[1,2)', 'kk', 'Ci', ARRAY['q']::x.word[], ROW(5));
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('one', pggit.commit('one'));
    """)
    db.run(change + "SELECT pggit.commit('two', p_allow_empty => true); DROP TABLE t")
    gone = ["TABLE other", "EXTENSION citext", "DOMAIN x.felt", "TYPE x.mood", "TYPE x.pair", "TYPE x.span"]
    for name in [*gone, "DOMAIN x.word", "COLLATION x.order", "SCHEMA x"]:
        db.run(f"DROP {name}")
    db.run("SELECT pggit.commit('three')")
    assert db.rows("SELECT change, old_row ->> 'c' FROM pggit.diff_rows('t', 'one')") == [("delete", "kk")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("is_late", [False, True], ids=["from the beginning", "when it is tracked"])
def test_a_row_that_refers_to_its_own_key_which_changes(db: Database, is_late: bool) -> None:
    """What ON UPDATE CASCADE does to it belongs to the same statement, for PostgreSQL: the row is changed twice in it."""
    follow = "ALTER TABLE t ADD FOREIGN KEY (above) REFERENCES t ON UPDATE CASCADE"
    db.run("CREATE TABLE t (id integer PRIMARY KEY, above integer); INSERT INTO t VALUES (3, 3), (4, 3)")
    db.run("SELECT 1" if is_late else follow)
    db.run("SELECT pggit.track_schema('public')")
    db.run(follow if is_late else "SELECT 1")
    db.run("SELECT pggit.tag('first', pggit.commit('first'))")
    db.run("UPDATE t SET id = 6 WHERE id = 3")
    assert db.rows("SELECT * FROM t ORDER BY id") == [(4, 6), (6, 6)]
    assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'first') ORDER BY id") == [(3, 3), (4, 3)]
    assert db.rows("SELECT * FROM pggit.status()") == [("public.t", 1, 1, 1)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
