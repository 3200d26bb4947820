"""The tables of the model tests, and random statements on them: each knows its SQL and what it does in the model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from hypothesis import strategies as st

from model.reference import Cell, Foreign, Key, Row, State, Table, canonical, deleted, inserted, updated

DDL = """
CREATE TABLE parent (
    id    integer PRIMARY KEY,
    code  text CONSTRAINT parent_code_key UNIQUE,
    name  text NOT NULL,
    lo    integer,
    hi    integer,
    price numeric(10,2),
    info  jsonb,
    CONSTRAINT parent_span CHECK (lo <= hi)
);
CREATE TABLE child (
    id        integer PRIMARY KEY,
    parent_id integer NOT NULL CONSTRAINT child_parent_fkey REFERENCES parent ON DELETE CASCADE,
    spare_id  integer CONSTRAINT child_spare_fkey REFERENCES parent ON DELETE SET NULL,
    above_id  integer CONSTRAINT child_above_fkey REFERENCES child,
    note      text
);
CREATE TABLE pair (
    a integer,
    b text,
    n integer,
    v jsonb,
    PRIMARY KEY (b, a)
);
"""

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
    )
}

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
}


def read_sql(table: str, source: str) -> str:
    """SELECT of the model's columns from a relation or function call."""
    columns = (f"{c}::text" if type_name == "jsonb" else c for c, type_name in SCHEMA[table].columns.items())
    return f"SELECT {', '.join(columns)} FROM {source}"


def rows_of(table: str, fetched: Iterable[tuple[Any, ...]]) -> dict[Key, Row]:
    """Rows that `read_sql` gave, as the model holds them."""
    shape = SCHEMA[table]
    jsonb = [type_name == "jsonb" for type_name in shape.columns.values()]
    rows: dict[Key, Row] = {}
    for cells in fetched:
        row = tuple(
            canonical(json.loads(cell)) if is_json and cell is not None else cell
            for is_json, cell in zip(jsonb, cells, strict=True)
        )
        assert shape.key_of(row) not in rows, f"{table} has the key {shape.key_of(row)} twice"
        rows[shape.key_of(row)] = row
    return rows


class Statement(Protocol):
    def sql(self) -> tuple[str, list[Cell]]: ...

    def apply(self, state: State) -> State: ...


def _slot(table: str, column: str) -> str:
    return f"%s::{SCHEMA[table].columns[column]}"


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
        return f"INSERT INTO {self.table} ({', '.join(columns)}) VALUES ({slots})", list(self.row)

    def apply(self, state: State) -> State:
        return inserted(SCHEMA, state, self.table, self.row)


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
            self.value,
            *cells,
        ]

    def apply(self, state: State) -> State:
        place = SCHEMA[self.table].place(self.column)
        rows = state[self.table]
        changed = {k: (*rows[k][:place], self.value, *rows[k][place + 1 :]) for k in self.keys if k in rows}
        return updated(SCHEMA, state, self.table, changed)


@dataclass(frozen=True)
class Delete:
    table: str
    keys: tuple[Key, ...]

    def sql(self) -> tuple[str, list[Cell]]:
        where, cells = _where(self.table, self.keys)
        return f"DELETE FROM {self.table} WHERE {where}", cells

    def apply(self, state: State) -> State:
        return deleted(SCHEMA, state, self.table, self.keys)


@dataclass(frozen=True)
class Replace:
    """A row of `pair` deleted and inserted again, changed, by one statement."""

    key: Key
    n: Cell

    def sql(self) -> tuple[str, list[Cell]]:
        where, cells = _where("pair", [self.key])
        gone = f"WITH gone AS (DELETE FROM pair WHERE {where} RETURNING *)"
        return f"{gone} INSERT INTO pair (a, b, n, v) SELECT a, b, %s::integer, v FROM gone", [*cells, self.n]

    def apply(self, state: State) -> State:
        return Update("pair", (self.key,), "n", self.n).apply(state)


@st.composite
def statements(draw: st.DrawFn, state: State) -> Statement:
    """A statement that is likely to hit existing rows of the state."""
    table = draw(st.sampled_from(sorted(SCHEMA)))
    existing = sorted(state[table], key=repr)
    shape = SCHEMA[table]
    kind = draw(st.sampled_from(["insert", "insert", "update", "update", "update", "rekey", "delete", "replace"]))
    if kind == "insert" or not existing:
        return Insert(table, tuple(draw(VALUES[table, column]) for column in shape.columns))
    if kind == "replace" and state["pair"]:
        return Replace(draw(st.sampled_from(sorted(state["pair"], key=repr))), draw(VALUES["pair", "n"]))
    some = st.lists(st.sampled_from(existing), min_size=1, max_size=3, unique=True).map(tuple)
    if kind == "delete":
        return Delete(table, draw(some))
    if kind == "rekey":
        column = draw(st.sampled_from(shape.key))
        return Update(table, (draw(st.sampled_from(existing)),), column, draw(VALUES[table, column]))
    column = draw(st.sampled_from([column for column in shape.columns if column not in shape.key]))
    value = draw(VALUES[table, column])
    if column in shape.not_null and draw(st.integers(0, 19)) == 0:
        value = None
    return Update(table, draw(some), column, value)
