"""The tables of the model tests, and random statements on them: each knows its SQL and what it does in the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from hypothesis import strategies as st

from model.reference import (
    Cell,
    Foreign,
    Key,
    Row,
    State,
    Table,
    Written,
    canonical,
    deleted,
    inserted,
    updated,
)

#: What makes the tables of each machine, parents before children.
DDL: dict[str, str] = {
    "parent": """
CREATE TABLE parent (
    id    integer PRIMARY KEY,
    code  text CONSTRAINT parent_code_key UNIQUE,
    name  text NOT NULL,
    lo    integer,
    hi    integer,
    price numeric(10,2),
    info  jsonb,
    CONSTRAINT parent_span CHECK (lo <= hi)
);""",
    "child": """
CREATE TABLE child (
    id        integer PRIMARY KEY,
    parent_id integer NOT NULL CONSTRAINT child_parent_fkey REFERENCES parent ON DELETE CASCADE,
    spare_id  integer CONSTRAINT child_spare_fkey REFERENCES parent ON DELETE SET NULL,
    above_id  integer CONSTRAINT child_above_fkey REFERENCES child,
    note      text
);""",
    "pair": """
CREATE TABLE pair (
    a integer,
    b text,
    n integer,
    v jsonb,
    PRIMARY KEY (b, a)
);""",
    # A trigger of each row writes another table, also where a statement moves rows under other keys.
    "counted": """
CREATE TABLE counted (a integer, b text, n integer, PRIMARY KEY (b, a));
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE tally SET rows = rows - 1 WHERE b = OLD.b;
        IF NOT FOUND THEN INSERT INTO tally VALUES (OLD.b, -1); END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE tally SET rows = rows + 1 WHERE b = NEW.b;
        IF NOT FOUND THEN INSERT INTO tally VALUES (NEW.b, 1); END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_rows AFTER INSERT OR UPDATE OR DELETE ON counted FOR EACH ROW EXECUTE FUNCTION count_rows();""",
    "tally": "CREATE TABLE tally (b text PRIMARY KEY, rows integer);",
    # Triggers write the same row again: 3 becomes 0, 4 goes, and 5 puts itself in the place of what is there.
    "echo": """
CREATE TABLE echo (id integer PRIMARY KEY, v integer, w integer);
CREATE FUNCTION echo_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.v = 5 THEN DELETE FROM echo WHERE id = NEW.id; END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION echo_after() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.v = 3 THEN UPDATE echo SET v = 0 WHERE id = NEW.id; END IF;
    IF NEW.v = 4 THEN DELETE FROM echo WHERE id = NEW.id; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER echo_before BEFORE INSERT ON echo FOR EACH ROW EXECUTE FUNCTION echo_before();
CREATE TRIGGER echo_after AFTER INSERT OR UPDATE ON echo FOR EACH ROW EXECUTE FUNCTION echo_after();""",
    "late": """
CREATE TABLE late (
    id    integer PRIMARY KEY,
    up    integer CONSTRAINT late_up_fkey REFERENCES late DEFERRABLE INITIALLY DEFERRED,
    owner integer CONSTRAINT late_owner_fkey REFERENCES late ON DELETE CASCADE
);""",
    "loose": "CREATE TABLE loose (id integer PRIMARY KEY DEFERRABLE, v integer);",
    "kinds": """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE twin AS (n integer, t text);
CREATE DOMAIN short AS varchar(5) CHECK (value <> 'bad');
CREATE TABLE kinds (id numeric PRIMARY KEY, {kinds});""",
    "few": "CREATE TABLE few (id integer PRIMARY KEY, n integer, m integer);",
    "ruled": """
CREATE TABLE ruled (
    id    integer PRIMARY KEY,
    n1    integer,
    n2    integer,
    price numeric,
    at    integer,
    note  text,
    list  integer[],
    doc   jsonb
);""",
}

#: A column of each kind, with values as PostgreSQL writes them; some are equal and yet not the same.
KINDS: dict[str, tuple[str, list[str]]] = {
    "flag": ("boolean", ["true", "false"]),
    "big": ("bigint", ["9223372036854775807", "0"]),
    "amount": ("numeric(30,2)", ["1.00", "NaN", "12345678901234567890.50"]),
    "ratio": ("double precision", ["0", "-0", "NaN", "5e-324"]),
    "padded": ("character(5)", ["", "abc"]),
    "label": ("short", ["abc", "abc  "]),
    "raw": ("bytea", ["\\x", "\\x00ff"]),
    "day": ("date", ["infinity", "2024-02-29"]),
    "moment": ("timestamptz", ["2024-02-29 12:34:56.789012+00", "-infinity"]),
    "span": ("interval", ["1 mon", "30 days", "720:00:00"]),
    "uid": ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"]),
    "list": ("bigint[]", ["{}", "{1,NULL,3}", "[0:1]={1,2}"]),
    "feel": ("mood", ["sad", "ok"]),
    "twins": ("twin", ["(1,)", '(,"x y")', "(,)"]),
    "reach": ("int4range", ["empty", "[1,5)", "(,)"]),
    "many": ("int4multirange", ["{}", "{[1,3),[5,7)}"]),
    "addr": ("inet", ["10.0.0.1/8", "::1/128"]),
    "doc": ("json", ['{"b": 1,  "a": 2}', '{"b": 1, "a": 2}', "null"]),
    "spot": ("point", ["(1,2)", "(NaN,-0)"]),
    "words": ("tsvector", ["'a':1", "'a'", ""]),
}


def _counted(state: State, written: Written) -> State:
    tally = dict(state["tally"])
    for row, change in [(old, -1) for old, _ in written] + [(new, 1) for _, new in written]:
        if row is not None:
            (_, before) = tally.get((row[1],), (row[1], 0))
            tally[row[1],] = (row[1], before + change)
    return {**state, "tally": tally}


def _echoed(state: State, written: Written) -> State:
    rows = dict(state["echo"])
    for _, new in written:
        if new is not None and new[1] == 3:
            rows[new[0],] = (new[0], 0, new[2])
        if new is not None and new[1] == 4:
            del rows[new[0],]
    return {**state, "echo": rows}


SCHEMA: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "parent",
            {
                "id": "integer",
                "code": "text",
                "name": "text",
                "lo": "integer",
                "hi": "integer",
                "price": "numeric",
                "info": "jsonb",
            },
            key=("id",),
            not_null=("name",),
            unique={"parent_code_key": ("code",)},
            checks={"parent_span": lambda row: None in (row["lo"], row["hi"]) or row["lo"] <= row["hi"]},
        ),
        Table(
            "child",
            {"id": "integer", "parent_id": "integer", "spare_id": "integer", "above_id": "integer", "note": "text"},
            key=("id",),
            not_null=("parent_id",),
            foreign=(
                Foreign("child_parent_fkey", ("parent_id",), "parent", ("id",), "cascade"),
                Foreign("child_spare_fkey", ("spare_id",), "parent", ("id",), "set null"),
                Foreign("child_above_fkey", ("above_id",), "child", ("id",)),
            ),
        ),
        Table("pair", {"a": "integer", "b": "text", "n": "integer", "v": "jsonb"}, key=("b", "a")),
        Table("counted", {"a": "integer", "b": "text", "n": "integer"}, key=("b", "a"), fires=_counted),
        Table("tally", {"b": "text", "rows": "integer"}, key=("b",)),
        Table("echo", {"id": "integer", "v": "integer", "w": "integer"}, key=("id",), fires=_echoed),
        Table(
            "late",
            {"id": "integer", "up": "integer", "owner": "integer"},
            key=("id",),
            foreign=(
                Foreign("late_up_fkey", ("up",), "late", ("id",), deferred=True),
                Foreign("late_owner_fkey", ("owner",), "late", ("id",), "cascade"),
            ),
        ),
        Table("loose", {"id": "integer", "v": "integer"}, key=("id",)),
        Table("few", {"id": "integer", "n": "integer", "m": "integer"}, key=("id",)),
        Table("kinds", {"id": "numeric"} | {name: type_name for name, (type_name, _) in KINDS.items()}, key=("id",)),
        Table(
            "ruled",
            {
                "id": "integer",
                "n1": "integer",
                "n2": "integer",
                "price": "numeric",
                "at": "integer",
                "note": "text",
                "list": "integer[]",
                "doc": "jsonb",
            },
            key=("id",),
        ),
    )
}
DDL["kinds"] = DDL["kinds"].format(kinds=", ".join(f"{name} {type_name}" for name, (type_name, _) in KINDS.items()))
#: Types whose cells are what psycopg makes of them; cells of all others are the text that PostgreSQL writes.
PLAIN = {"integer", "numeric", "text", "jsonb", "integer[]"}

small = st.integers(1, 5)
texts = st.sampled_from(["", "x", "y", 'a"b', "it's", "ä\n"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from(["s", "t"]))
documents = st.recursive(
    scalars,
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=4,
).map(canonical)
VALUES: dict[tuple[str, str], st.SearchStrategy[Cell]] = {
    ("parent", "id"): small,
    ("parent", "code"): st.none() | st.sampled_from(["k", "l", "m"]),
    ("parent", "name"): texts,
    ("parent", "lo"): st.none() | st.integers(0, 3),
    ("parent", "hi"): st.none() | st.integers(0, 3),
    ("parent", "price"): st.none() | st.sampled_from([Decimal("0.00"), Decimal("1.50"), Decimal("-2.25")]),
    ("parent", "info"): st.none() | documents,
    ("child", "id"): small,
    ("child", "parent_id"): small,
    ("child", "spare_id"): st.none() | small,
    ("child", "above_id"): st.none() | small,
    ("child", "note"): st.none() | texts,
    ("pair", "a"): st.integers(1, 3),
    ("pair", "b"): st.sampled_from(["p", "P", "ö"]),
    ("pair", "n"): st.none() | st.integers(0, 3),
    ("pair", "v"): st.none() | documents,
    ("counted", "a"): st.integers(1, 4),
    ("counted", "b"): st.sampled_from(["p", "q"]),
    ("counted", "n"): st.integers(0, 3),
    ("tally", "b"): st.sampled_from(["p", "q", "r"]),
    ("tally", "rows"): st.integers(0, 3),
    ("echo", "id"): small,
    ("echo", "v"): st.none() | st.integers(1, 5),
    ("echo", "w"): st.integers(0, 3),
    ("late", "id"): small,
    ("late", "up"): st.none() | small,
    ("late", "owner"): st.none() | small,
    ("loose", "id"): small,
    ("loose", "v"): st.integers(0, 3),
    ("few", "id"): st.integers(1, 3),
    ("few", "n"): st.integers(0, 2),
    ("few", "m"): st.integers(0, 1),
    ("kinds", "id"): st.sampled_from([Decimal("1"), Decimal("2.5"), Decimal("3.00")]),
    ("ruled", "id"): small,
    ("ruled", "n1"): st.none() | st.integers(-2, 3),
    ("ruled", "n2"): st.none() | st.integers(-2, 3),
    ("ruled", "price"): st.none() | st.sampled_from([Decimal("1.5"), Decimal("-2.25"), Decimal("7")]),
    ("ruled", "at"): st.none() | st.integers(0, 3),
    ("ruled", "note"): st.none() | st.sampled_from(["", "x", "xy", "xyz", "xz", "z"]),
    ("ruled", "list"): st.none() | st.lists(st.integers(0, 3), max_size=3).map(tuple),
    ("ruled", "doc"): st.none() | documents | st.lists(st.integers(0, 3), max_size=3).map(canonical),
} | {("kinds", name): st.none() | st.sampled_from(values) for name, (_, values) in KINDS.items()}


def read_sql(table: str, source: str) -> str:
    """SELECT of the model's columns from a relation or function call."""
    columns = (
        c if type_name in PLAIN and type_name != "jsonb" else f"{c}::text"
        for c, type_name in SCHEMA[table].columns.items()
    )
    return f"SELECT {', '.join(columns)} FROM {source}"


def _kept(cell: Any) -> Cell:
    return tuple(cell) if isinstance(cell, list) else cell


def rows_of(table: str, fetched: Iterable[tuple[Any, ...]]) -> dict[Key, Row]:
    """Rows that `read_sql` gave, as the model holds them."""
    shape = SCHEMA[table]
    jsonb = [type_name == "jsonb" for type_name in shape.columns.values()]
    rows: dict[Key, Row] = {}
    for cells in fetched:
        row = tuple(
            canonical(json.loads(cell))
            if is_json and cell is not None
            else tuple(cell)
            if isinstance(cell, list)
            else cell
            for is_json, cell in zip(jsonb, cells, strict=True)
        )
        assert shape.key_of(row) not in rows, f"{table} has the key {shape.key_of(row)} twice"
        rows[shape.key_of(row)] = row
    return rows


def shapes(state: State) -> Mapping[str, Table]:
    """The tables that a state has."""
    return {table: SCHEMA[table] for table in state}


class Statement(Protocol):
    """`real`: on a real table, whose triggers fire. `is_possible`: what PostgreSQL refuses on a view."""

    @property
    def table(self) -> str: ...

    def sql(self) -> tuple[str, list[Cell]]: ...

    def apply(self, state: State, real: bool = False) -> State: ...


def fired(table: str, state: State, written: Written, real: bool) -> State:
    fires = SCHEMA[table].fires
    return fires(state, written) if fires and real and written else state


def _slot(table: str, column: str) -> str:
    type_name = SCHEMA[table].columns[column]
    return f"%s::{type_name}" if type_name in PLAIN else f"%s::text::{type_name}"


def _sent(cell: Cell) -> Cell:
    return list(cell) if isinstance(cell, tuple) else cell


def _where(table: str, keys: Iterable[Key]) -> tuple[str, list[Cell]]:
    shape = SCHEMA[table]
    one = "(" + " AND ".join(f"{column} = {_slot(table, column)}" for column in shape.key) + ")"
    listed = list(keys)
    return " OR ".join([one] * len(listed)) or "false", [cell for key in listed for cell in key]


@dataclass(frozen=True)
class Insert:
    table: str
    row: Row

    def sql(self) -> tuple[str, list[Cell]]:
        columns = SCHEMA[self.table].columns
        slots = ", ".join(_slot(self.table, column) for column in columns)
        return f"INSERT INTO {self.table} ({', '.join(columns)}) VALUES ({slots})", [_sent(cell) for cell in self.row]

    def apply(self, state: State, real: bool = False) -> State:
        if self.table == "echo" and self.row[1] == 5 and real:
            state = {**state, "echo": {key: row for key, row in state["echo"].items() if key != self.row[:1]}}
        after = inserted(shapes(state), state, self.table, self.row)
        return fired(self.table, after, [(None, self.row)], real)


@dataclass(frozen=True)
class Update:
    """One column of some rows; of a key column, one row."""

    table: str
    keys: tuple[Key, ...]
    column: str
    value: Cell

    def sql(self) -> tuple[str, list[Cell]]:
        where, cells = _where(self.table, self.keys)
        return f"UPDATE {self.table} SET {self.column} = {_slot(self.table, self.column)} WHERE {where}", [
            _sent(self.value),
            *cells,
        ]

    def apply(self, state: State, real: bool = False) -> State:
        place = SCHEMA[self.table].place(self.column)
        rows = state[self.table]
        changed = {k: (*rows[k][:place], self.value, *rows[k][place + 1 :]) for k in self.keys if k in rows}
        after = updated(shapes(state), state, self.table, changed)
        return fired(self.table, after, [(rows[k], row) for k, row in changed.items()], real)


@dataclass(frozen=True)
class Delete:
    table: str
    keys: tuple[Key, ...]

    def sql(self) -> tuple[str, list[Cell]]:
        where, cells = _where(self.table, self.keys)
        return f"DELETE FROM {self.table} WHERE {where}", cells

    def apply(self, state: State, real: bool = False) -> State:
        gone: Written = [(state[self.table][key], None) for key in self.keys if key in state[self.table]]
        return fired(self.table, deleted(shapes(state), state, self.table, self.keys), gone, real)


@dataclass(frozen=True)
class Replace:
    """A row deleted and inserted again, changed in one column, by one statement."""

    table: str
    key: Key
    column: str
    value: Cell

    def sql(self) -> tuple[str, list[Cell]]:
        where, cells = _where(self.table, [self.key])
        columns = SCHEMA[self.table].columns
        gone = f"WITH gone AS (DELETE FROM {self.table} WHERE {where} RETURNING *)"
        new = ", ".join(_slot(self.table, column) if column == self.column else column for column in columns)
        return f"{gone} INSERT INTO {self.table} ({', '.join(columns)}) SELECT {new} FROM gone", [*cells, self.value]

    def apply(self, state: State, real: bool = False) -> State:
        if self.key not in state[self.table]:
            return state
        old = state[self.table][self.key]
        place = SCHEMA[self.table].place(self.column)
        row = (*old[:place], self.value, *old[place + 1 :])
        after = {**state, self.table: {**state[self.table], self.key: row}}
        return fired(self.table, after, [(old, None), (None, row)], real)


@dataclass(frozen=True)
class Shift:
    """Every key one higher or lower, in one statement: a key is left by one row and taken by another.

    PostgreSQL checks keys row by row. Upwards, rows in the order in which they came get into each other's way.
    """

    table: str
    by: int

    def sql(self) -> tuple[str, list[Cell]]:
        column = SCHEMA[self.table].key[-1]
        return f"UPDATE {self.table} SET {column} = {column} + %s", [self.by]

    def apply(self, state: State, real: bool = False) -> State:
        place = SCHEMA[self.table].place(SCHEMA[self.table].key[-1])
        rows = state[self.table]
        changed = {k: (*row[:place], row[place] + self.by, *row[place + 1 :]) for k, row in rows.items()}
        after = updated(shapes(state), state, self.table, changed)
        return fired(self.table, after, [(rows[k], row) for k, row in changed.items()], real)


@dataclass(frozen=True)
class Upsert:
    """MERGE, or INSERT with ON CONFLICT: a row is changed where there is one, and there are two kinds of triggers."""

    table: str
    row: Row
    column: str
    is_merge: bool

    def sql(self) -> tuple[str, list[Cell]]:
        shape = SCHEMA[self.table]
        columns, slots = ", ".join(shape.columns), ", ".join(_slot(self.table, column) for column in shape.columns)
        if not self.is_merge:
            return (
                f"INSERT INTO {self.table} ({columns}) VALUES ({slots}) ON CONFLICT ({', '.join(shape.key)})"
                f" DO UPDATE SET {self.column} = excluded.{self.column}",
                list(self.row),
            )
        same = " AND ".join(f"t.{column} = s.{column}" for column in shape.key)
        new = ", ".join(f"s.{column}" for column in shape.columns)
        return (
            f"MERGE INTO {self.table} AS t USING (VALUES ({slots})) AS s ({columns}) ON {same}"
            f" WHEN MATCHED AND s.{self.column} = 2 THEN DELETE"
            f" WHEN MATCHED THEN UPDATE SET {self.column} = s.{self.column}"
            f" WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({new})",
            list(self.row),
        )

    def apply(self, state: State, real: bool = False) -> State:
        key = SCHEMA[self.table].key_of(self.row)
        takes_the_place = self.table == "echo" and self.row[1] == 5 and real and not self.is_merge
        if key not in state[self.table] or takes_the_place:
            return Insert(self.table, self.row).apply(state, real)
        value = self.row[SCHEMA[self.table].place(self.column)]
        if self.is_merge and value == 2:
            return Delete(self.table, (key,)).apply(state, real)
        return Update(self.table, (key,), self.column, value).apply(state, real)


@dataclass(frozen=True)
class Truncate:
    table: str

    def sql(self) -> tuple[str, list[Cell]]:
        return f"TRUNCATE {self.table}", []

    def apply(self, state: State, real: bool = False) -> State:
        return {**state, self.table: {}}


def is_possible(statement: Statement, real: bool, version: int) -> bool:
    """Views take neither TRUNCATE nor ON CONFLICT, and MERGE only from PostgreSQL 17 on."""
    if isinstance(statement, Truncate):
        return real
    return real or not isinstance(statement, Upsert) or (statement.is_merge and version >= 17)


def may_collide(statement: Statement, real: bool) -> bool:
    """Whether two rows may have one key for a moment: that depends on the order in which rows come."""
    return isinstance(statement, Shift) and not (real and statement.table == "loose")


#: Tables on which whole-table statements, nested ones and key shifts are tried.
#: Columns of `kinds` in which values may be equal and not the same.
TWINS = ["ratio", "span", "doc"]
NESTED = {"counted", "echo", "loose", "pair"}


@st.composite
def statements(draw: st.DrawFn, state: State) -> Statement:
    """A statement that is likely to hit existing rows of the state."""
    table = draw(st.sampled_from(sorted(state)))
    existing = sorted(state[table], key=repr)
    shape = SCHEMA[table]
    kinds = ["insert", "insert", "update", "update", "update", "rekey", "delete"]
    if table in NESTED:
        kinds += ["replace", "shift", "upsert", "merge", "truncate"]
    kind = draw(st.sampled_from(kinds))
    row = tuple(draw(VALUES[table, column]) for column in shape.columns)
    others = [column for column in shape.columns if column not in shape.key]
    if kind in ("upsert", "merge") and not (table == "loose" and kind == "upsert"):
        column = "v" if table == "loose" else "w" if table == "echo" else "n"
        return Upsert(table, row, column, kind == "merge")
    if kind == "insert" or not existing:
        return Insert(table, row)
    if kind == "shift" and all(-9 < key[-1] < 9 for key in existing):
        return Shift(table, draw(st.sampled_from([1, -1])))
    if kind == "truncate" and draw(st.integers(0, 4)) == 0:
        return Truncate(table)
    if kind == "replace":
        column = "v" if table == "loose" else "w" if table == "echo" else "n"
        return Replace(table, draw(st.sampled_from(existing)), column, draw(VALUES[table, column]))
    some = st.lists(st.sampled_from(existing), min_size=1, max_size=3, unique=True).map(tuple)
    if kind == "delete":
        return Delete(table, draw(some))
    if kind == "rekey":
        column = draw(st.sampled_from(shape.key))
        return Update(table, (draw(st.sampled_from(existing)),), column, draw(VALUES[table, column]))
    column = draw(st.sampled_from(TWINS if table == "kinds" and draw(st.booleans()) else others))
    value = draw(VALUES[table, column])
    if column in shape.not_null and draw(st.integers(0, 19)) == 0:
        value = None
    return Update(table, draw(some), column, value)
