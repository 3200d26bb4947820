"""Whatever main does to its columns, branches show what they showed, and are written: a model is beside each."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fixtures.postgres import Connection, Database, Servers, query
from postgres import Server

DDL = ["add", "drop", "rename", "retype", "default", "required"]
KINDS = [*DDL, *DDL, "insert", "insert", "update", "update", "delete", "anew", "commit", "real", "undone"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 99)), min_size=12, max_size=24)


@dataclass
class Column:
    name: str
    type: str = "text"
    default: Any = None
    required: bool = False


@dataclass
class Table:
    columns: list[Column] = field(default_factory=list)
    rows: dict[int, list[Any]] = field(default_factory=dict)


class Model:
    def __init__(self, db: Database) -> None:
        self.db, self.numbers = db, itertools.count(100)
        db.run("CREATE TABLE t (id integer PRIMARY KEY, a text, b text DEFAULT '5', UNIQUE (a))")
        db.run("INSERT INTO t VALUES (1, '1', '7'), (2, '2', '7'), (3, '3', NULL); SELECT pggit.track_schema('public')")
        main = Table([Column("a"), Column("b", default="5")], {1: ["1", "7"], 2: ["2", "7"], 3: ["3", None]})
        self.tables, self.sessions = {"main": main}, {"main": db.conn}
        for name, form in (("view", "none"), ("real", "all")):
            db.run("SELECT pggit.create_branch(%s, p_materialize => %s)", name, form)
            self.tables[name], self.sessions[name] = copy.deepcopy(main), db.connect(branch=name)
        for session in self.sessions.values():
            session.prepare_threshold = None  # a prepared statement never gets other columns

    def of(self, n: int) -> tuple[Table, Connection]:
        place = ("main", "view", "real", "view")[n % 4]
        return self.tables[place], self.sessions[place]

    def value(self, column: Column) -> Any:
        number = next(self.numbers)
        return number if column.type == "integer" else str(number)

    # --- writes, anywhere -------------------------------------------------------------------------------------------

    def insert(self, n: int, m: int) -> None:
        table, session = self.of(n)
        key = m % 9
        if key not in table.rows:
            given = {c.name: self.value(c) for c in table.columns if c.default is None}
            names = "".join(f', "{name}"' for name in given)
            query(session, f"INSERT INTO t (id{names}) VALUES (%s{', %s' * len(given)})", key, *given.values())
            table.rows[key] = [given.get(c.name, c.default) for c in table.columns]

    def update(self, n: int, m: int) -> None:
        table, session = self.of(n)
        if table.columns and table.rows:
            at, key = m % len(table.columns), sorted(table.rows)[n % len(table.rows)]
            table.rows[key][at] = self.value(table.columns[at])
            query(session, f'UPDATE t SET "{table.columns[at].name}" = %s WHERE id = %s', table.rows[key][at], key)

    def delete(self, n: int, m: int) -> None:
        table, session = self.of(n)
        query(session, "DELETE FROM t WHERE id = %s", m % 9)
        table.rows.pop(m % 9, None)

    # --- DDL, on main -----------------------------------------------------------------------------------------------

    def add(self, n: int, m: int) -> None:
        table = self.tables["main"]
        column = Column(f"c {m % 5}", "integer" if n % 2 else "text", required=n % 3 == 0)
        if all(column.name != other.name for other in table.columns):
            column.default = self.value(column) if n % 3 < 2 else None
            default = "" if column.default is None else f" DEFAULT '{column.default}'"
            self.db.run(f'ALTER TABLE t ADD "{column.name}" {column.type}{" NOT NULL" * column.required}{default}')
            table.columns.append(column)
            for row in table.rows.values():
                row.append(column.default)

    def drop(self, n: int, m: int) -> None:
        table = self.tables["main"]
        if table.columns:
            at = n % len(table.columns)
            self.db.run(f'ALTER TABLE t DROP "{table.columns.pop(at).name}"{" CASCADE" * (m % 2)}')
            for row in table.rows.values():
                del row[at]

    def rename(self, n: int, m: int) -> None:
        table, name = self.tables["main"], f"c {m % 5}"
        if table.columns and all(name != other.name for other in table.columns):
            column = table.columns[n % len(table.columns)]
            self.db.run(f'ALTER TABLE t RENAME "{column.name}" TO "{name}"')
            column.name = name

    def retype(self, n: int, m: int) -> None:
        table = self.tables["main"]
        if table.columns:
            at = n % len(table.columns)
            column = table.columns[at]
            column.type = "integer" if column.type == "text" else "text"
            self.db.run(
                f'ALTER TABLE t ALTER "{column.name}" DROP DEFAULT,'
                f' ALTER "{column.name}" TYPE {column.type} USING "{column.name}"::{column.type}'
            )
            column.default = None
            for row in table.rows.values():
                row[at] = row[at] and (int(row[at]) if column.type == "integer" else str(row[at]))

    def default(self, n: int, m: int) -> None:
        for column in self.tables["main"].columns[n % 3 :][:1]:
            column.default = self.value(column)
            self.db.run(f"ALTER TABLE t ALTER \"{column.name}\" SET DEFAULT '{column.default}'")

    def required(self, n: int, m: int) -> None:
        table = self.tables["main"]
        if table.columns:
            at = n % len(table.columns)
            required = all(row[at] is not None for row in table.rows.values()) and m % 2 == 0
            self.db.run(f'ALTER TABLE t ALTER "{table.columns[at].name}" {"SET" if required else "DROP"} NOT NULL')

    # --- the rest ---------------------------------------------------------------------------------------------------

    def undone(self, n: int, m: int) -> None:
        before = copy.deepcopy(self.tables)
        self.db.run("BEGIN")
        getattr(self, DDL[n % len(DDL)])(n, m)
        self.update(0, m)
        self.db.run("ROLLBACK")
        self.tables = before

    def anew(self, n: int, m: int) -> None:
        """The branch of views begins where main is now."""
        session = self.sessions["view"]
        query(session, "SELECT pggit.checkout('main')")
        self.db.run(
            "SELECT pggit.delete_branch('view', true); SELECT pggit.create_branch('view', p_materialize => 'none')"
        )
        query(session, "SELECT pggit.checkout('view')")
        self.tables["view"] = copy.deepcopy(self.tables["main"])

    def commit(self, n: int, m: int) -> None:
        query(self.of(n)[1], "SELECT pggit.commit('step', p_allow_empty => true)")

    def real(self, n: int, m: int) -> None:
        if n % 3 == 0:
            self.db.run("SELECT pggit.materialize('view', 't')")

    def check(self) -> None:
        for place, table in self.tables.items():
            found = query(self.sessions[place], "SELECT * FROM t ORDER BY id")
            assert [c.name for c in found.description or ()] == ["id", *(c.name for c in table.columns)], place
            assert found.fetchall() == [(key, *row) for key, row in sorted(table.rows.items())], place


def test_branches_show_what_they_showed(servers: Servers, server: Server, pytestconfig: pytest.Config) -> None:
    examples: int | None = pytestconfig.getoption("--model-examples")

    @settings(
        max_examples=examples or 6,
        derandomize=examples is None,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(steps=STEPS)
    def history(steps: list[tuple[str, int, int]]) -> None:
        db = servers.create(server.version, template=servers.template(server.version))
        try:
            model = Model(db)
            for kind, n, m in steps:
                getattr(model, kind)(n, m)
                model.check()
            for session in model.sessions.values():
                query(session, "SELECT pggit.commit('end', p_allow_empty => true)")
            assert db.rows("SELECT * FROM pggit.verify()") == []
        finally:
            servers.drop(db)

    history()
