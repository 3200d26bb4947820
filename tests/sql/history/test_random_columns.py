"""Whatever rows and columns went through, every commit shows the rows it had: a model beside it keeps full states."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fixtures.postgres import Database, Servers, query, raises
from postgres import Server

KINDS = ["insert", "update", "delete", "commit", "add", "drop", "rename", "retype", "rewrite", "widen", "begin", "end"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 99)), min_size=4, max_size=14)


@dataclass
class Column:
    """`line` follows a column through renames and types, `version` is another one with each type."""

    line: int
    version: int
    name: str
    type: str = "text"
    varchar: int = 0


@dataclass
class Table:
    columns: list[Column] = field(default_factory=list)
    rows: dict[int, dict[int, Any]] = field(default_factory=dict)


@dataclass
class Commit:
    id: str
    digest: str
    table: Table


def same(old: Any, new: Any) -> bool:
    return old == new or (old is not None and new is not None and str(old) == str(new))


class Model:
    """One table on a server and beside it: on main, with and without event triggers, or on a branch."""

    def __init__(self, db: Database, place: str) -> None:
        self.db, self.told, self.on_branch = db, place != "untold", place == "branch"
        self.numbers = itertools.count(1)
        self.table = Table([self.column("a"), self.column("b")], {1: {}, 2: {}})
        for row in self.table.rows.values():
            row.update({column.line: "7" for column in self.table.columns})
        self.commits: list[Commit] = []
        self.lost: list[Commit] = []
        self.saved: tuple[Table, int] | None = None
        if not self.told:
            for name in ("ddl_path", "ddl_start", "rewrite", "ddl_end", "drop"):
                db.run(f"DROP EVENT TRIGGER pggit_{name}")
        db.run(
            "CREATE TABLE t (id integer PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, '7', '7'), (2, '7', '7')"
        )
        db.run("SELECT pggit.track_schema('public')")
        self.commit()
        if self.on_branch:
            db.run("SELECT pggit.create_branch('dev', p_materialize => 'none'); SELECT pggit.checkout('dev')")

    def column(self, name: str) -> Column:
        number = next(self.numbers)
        return Column(number, number, name)

    def commit(self, *_: int) -> None:
        commit_id = self.db.value("SELECT pggit.commit('step', p_allow_empty => true)")
        digest = self.db.value("SELECT pggit.state_digest(%s)", commit_id)
        self.commits.append(Commit(commit_id, digest, copy.deepcopy(self.table)))

    def insert(self, n: int, m: int) -> None:
        key = n % 6
        if key not in self.table.rows:
            self.db.run(f"INSERT INTO t (id) VALUES ({key})")
            self.table.rows[key] = {column.line: None for column in self.table.columns}

    def update(self, n: int, m: int) -> None:
        if self.table.columns:
            column = self.table.columns[n % len(self.table.columns)]
            value: Any = m if column.type == "integer" else str(m)
            self.db.run(f'UPDATE t SET "{column.name}" = %s WHERE id %% 2 = {n % 2}', value)
            for key, row in self.table.rows.items():
                if key % 2 == n % 2:
                    row[column.line] = value

    def delete(self, n: int, m: int) -> None:
        self.db.run(f"DELETE FROM t WHERE id = {n % 6}")
        self.table.rows.pop(n % 6, None)

    def add(self, n: int, m: int) -> None:
        column = self.column(f"c {m % 4}")
        if all(column.name != other.name for other in self.table.columns):
            default = f"DEFAULT '{m}'" if n % 2 else ""
            column.varchar = 10 * (n % 3)
            kind = f"varchar({column.varchar})" if column.varchar else "text"
            self.db.run(f'ALTER TABLE t ADD COLUMN "{column.name}" {kind} {default}')
            for row in self.table.rows.values():
                row[column.line] = str(m) if default else None
            if default:
                self.db.run(f'ALTER TABLE t ALTER "{column.name}" DROP DEFAULT')
            self.table.columns.append(column)

    def loses(self) -> None:
        if not self.told:
            self.lost, self.commits = self.lost + self.commits, []

    def drop(self, n: int, m: int) -> None:
        if self.table.columns:
            column = self.table.columns.pop(n % len(self.table.columns))
            self.db.run(f'ALTER TABLE t DROP COLUMN IF EXISTS "{column.name}"')
            for row in self.table.rows.values():
                del row[column.line]
            self.loses()

    def rename(self, n: int, m: int) -> None:
        name = f"c {m % 4}"
        if self.table.columns and all(name != other.name for other in self.table.columns):
            column = self.table.columns[n % len(self.table.columns)]
            self.db.run(f'ALTER TABLE t RENAME "{column.name}" TO "{name}"')
            column.name = name

    def retype(self, n: int, m: int) -> None:
        if self.table.columns:
            column = self.table.columns[n % len(self.table.columns)]
            column.type, column.varchar, column.version = (
                "integer" if column.type == "text" else "text",
                0,
                next(self.numbers),
            )
            self.db.run(f'ALTER TABLE t ALTER "{column.name}" TYPE {column.type} USING "{column.name}"::{column.type}')
            for row in self.table.rows.values():
                if row[column.line] is not None:
                    row[column.line] = int(row[column.line]) if column.type == "integer" else str(row[column.line])
            self.loses()

    def rewrite(self, n: int, m: int) -> None:
        """The same type, other values."""
        if self.table.columns:
            column = self.table.columns[n % len(self.table.columns)]
            if column.type == "integer":
                self.db.run(f'ALTER TABLE t ALTER "{column.name}" TYPE integer USING "{column.name}" + 1')
                for row in self.table.rows.values():
                    if row[column.line] is not None:
                        row[column.line] += 1
                self.loses()

    def widen(self, n: int, m: int) -> None:
        """Another type, the same values, nothing written."""
        if self.table.columns:
            column = self.table.columns[n % len(self.table.columns)]
            if column.type == "text" and column.varchar:
                column.varchar += 10
                if self.on_branch:  # where it is another column that takes the place of the first
                    column.version = next(self.numbers)
                self.db.run(f'ALTER TABLE t ALTER "{column.name}" TYPE varchar({column.varchar})')

    def begin(self, n: int, m: int) -> None:
        if self.saved is None and self.told:
            self.db.run("BEGIN")
            self.saved = copy.deepcopy(self.table), len(self.commits)

    def end(self, n: int, m: int) -> None:
        if self.saved is not None:
            self.db.run("ROLLBACK" if n % 2 else "COMMIT")
            if n % 2:
                self.table, commits = self.saved
                del self.commits[commits:]
            self.saved = None

    # --- what the server says ---------------------------------------------------------------------------------------

    def shown(self, commit: Commit) -> list[tuple[Any, ...]]:
        """The commit's rows in the table's shape of now."""
        types = {column.line: column.type for column in self.table.columns}
        rows = []
        for key, row in sorted(commit.table.rows.items()):
            cells = [row.get(line) for line in types]
            casts = [int if kind == "integer" else str for kind in types.values()]
            rows.append((key, *(None if c is None else cast(c) for c, cast in zip(cells, casts, strict=True))))
        return rows

    def differ(self, commit: Commit) -> list[tuple[Any, ...]]:
        old, new = commit.table, self.table
        common = {c.line for c in old.columns} & {c.line for c in new.columns}
        updated = sum(
            not all(same(old.rows[key][line], new.rows[key][line]) for line in common)
            for key in old.rows.keys() & new.rows.keys()
        )
        counts = len(new.rows.keys() - old.rows.keys()), updated, len(old.rows.keys() - new.rows.keys())
        reshaped = {c.version for c in old.columns} != {c.version for c in new.columns}
        return [("public.t", *counts)] if any(counts) or reshaped else []

    def check(self) -> None:
        names = {column.version: column.name for column in self.table.columns}
        for commit in self.commits:
            assert self.db.rows("SELECT * FROM pggit.as_of(NULL::t, %s) ORDER BY 1", commit.id) == self.shown(commit)
            assert self.db.rows("SELECT * FROM pggit.diff(%s)", commit.id) == self.differ(commit)
            assert self.db.value("SELECT pggit.state_digest(%s)", commit.id) == commit.digest
            changed = self.db.rows("SELECT change, key, old_row, new_row FROM pggit.diff_rows('t', %s)", commit.id)
            assert len(changed) == sum(n for *_, i, u, d in self.differ(commit) for n in (i, u, d))
            for change, key, old, new in changed:
                if change != "insert":
                    row = commit.table.rows[key["id"]]
                    assert {"id": key["id"]}.items() <= old.items()
                    assert sorted(map(str, old.values())) == sorted(map(str, [key["id"], *row.values()]))
                if change != "delete":
                    row = self.table.rows[key["id"]]
                    assert new == {"id": key["id"], **{names[c.version]: row[c.line] for c in self.table.columns}}
        if self.saved is None:
            for commit in self.lost:
                with raises("VG306"):
                    query(self.db.conn, "SELECT * FROM pggit.as_of(NULL::t, %s)", commit.id)


@pytest.mark.parametrize("place", ["told", "untold", "branch"])
def test_every_commit_keeps_its_rows(servers: Servers, server: Server, place: str, pytestconfig: pytest.Config) -> None:
    examples: int | None = pytestconfig.getoption("--model-examples")

    @settings(
        max_examples=examples or 5,
        derandomize=examples is None,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(steps=STEPS)
    def history(steps: list[tuple[str, int, int]]) -> None:
        db = servers.create(server.version, template=servers.template(server.version))
        try:
            model = Model(db, place)
            for kind, n, m in steps:
                getattr(model, kind)(n, m)
                model.check()
            model.end(0, 0)
            model.commit()
            model.check()
            assert db.rows("SELECT * FROM pggit.verify()") == []
            if model.on_branch:
                assert db.rows("SELECT * FROM public.t ORDER BY 1") == [(1, "7", "7"), (2, "7", "7")]
        finally:
            servers.drop(db)

    history()
