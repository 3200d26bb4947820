"""Random changes of the same columns and rows on both sides: a merge gives what a Python model says, or a conflict."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query

START = """
    CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int);
    INSERT INTO t SELECT n, n, n * 10, n * 100 FROM generate_series(1, 6) AS n;
    CREATE INDEX by_a ON t (a); ALTER TABLE t ADD CONSTRAINT positive CHECK (b > 0);
    SELECT pggit.track_schema('public'); SELECT pggit.commit('start');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
"""
FILL = 5


@dataclass
class Table:
    """Columns by what they were made as: name and default. Rows by key, cells by column."""

    columns: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    rows: dict[int, dict[str, int | None]] = field(default_factory=dict)

    def copy(self) -> Table:
        return Table(dict(self.columns), {key: dict(row) for key, row in self.rows.items()})

    def named(self) -> list[dict[str, Any]]:
        return [
            {"id": key} | {self.columns[column][0]: value for column, value in row.items()}
            for key, row in sorted(self.rows.items())
        ]


class Conflict(Exception):
    """The model says that somebody has to decide."""


def change(side: Table, name: str, number: int, chance: random.Random) -> str:
    """One random statement, done to the model of a side as well."""
    fresh = f"{name}{number}"
    kind = chance.choice(["insert", "update", "update", "delete", "add", "rename", "drop", "fill"])
    column = chance.choice(sorted(side.columns)) if side.columns else None
    key = chance.choice(sorted(side.rows)) if side.rows else None
    if kind == "add":
        default = chance.choice([None, 7])
        side.columns[fresh] = (fresh, default)
        for row in side.rows.values():
            row[fresh] = default
        return f"ALTER TABLE t ADD {fresh} int" + (f" DEFAULT {default}" if default else "")
    if kind == "insert" or column is None or key is None:
        new = (1000 if name == "m" else 2000) + number
        side.rows[new] = {c: default for c, (_, default) in side.columns.items()}
        return f"INSERT INTO t (id) VALUES ({new})"
    called = side.columns[column][0]
    if kind == "update":
        side.rows[key][column] = number + (100 if name == "m" else 200)
        return f"UPDATE t SET {called} = {side.rows[key][column]} WHERE id = {key}"
    if kind == "fill":
        for n, row in side.rows.items():
            row[column] = n + number * 1000
        return f"UPDATE t SET {called} = id + {number * 1000}"
    if kind == "delete":
        del side.rows[key]
        return f"DELETE FROM t WHERE id = {key}"
    if kind == "rename":
        side.columns[column] = (fresh, side.columns[column][1])
        return f"ALTER TABLE t RENAME {called} TO {fresh}"
    del side.columns[column]
    for row in side.rows.values():
        del row[column]
    return f"ALTER TABLE t DROP {called}"


def wrote(base: Table, side: Table, column: str) -> bool:
    return any(
        row[column] != (base.rows[key][column] if key in base.rows else side.columns[column][1])
        for key, row in side.rows.items()
    )


def cell(base: int | None, ours: int | None, theirs: int | None) -> int | None:
    if theirs in (base, ours):
        return ours
    if ours != base:
        raise Conflict
    return theirs


def touched(base: Table, side: Table, key: int) -> bool:
    return any(side.rows[key][c] != base.rows[key][c] for c in base.columns if c in side.columns)


def merged(base: Table, ours: Table, theirs: Table) -> Table:
    result = Table()
    for column in {**base.columns, **ours.columns, **theirs.columns}:
        if column in base.columns and not (column in ours.columns and column in theirs.columns):
            for side in (ours, theirs):
                if column in side.columns and wrote(base, side, column):
                    raise Conflict
            continue
        sides = [side.columns[column] for side in (ours, theirs) if column in side.columns]
        if len(sides) == 1:
            result.columns[column] = sides[0]
            continue
        names = {name for name, _ in sides} - {base.columns[column][0]}
        if len(names) > 1:
            raise Conflict
        result.columns[column] = (names.pop() if names else base.columns[column][0], sides[0][1])

    for key in {**ours.rows, **theirs.rows}:
        rows = [side.rows.get(key) for side in (base, ours, theirs)]
        kept = [c for c in base.columns if c in result.columns]
        if key in base.rows and None in rows[1:]:
            left = ours if key in ours.rows else theirs
            if touched(base, left, key) and any(left.rows[key][c] != base.rows[key][c] for c in kept):
                raise Conflict
            continue
        row: dict[str, int | None] = {}
        for column, (_, default) in result.columns.items():
            if column in base.columns:
                old, mine, other = ((r or {}).get(column) for r in rows)
                row[column] = cell(old, mine, other) if None not in rows else (mine if rows[1] else other)
                continue
            side, there = (ours, theirs) if column in ours.columns else (theirs, ours)
            row[column] = side.rows[key][column] if key in side.rows else default
            if any(side.rows[k][column] != default for k in base.rows if k in side.rows):
                everywhere = all(r[column] != default for r in side.rows.values())
                if key in there.rows and (key not in side.rows or (everywhere and touched(base, there, key))):
                    row[column] = FILL
        result.rows[key] = row
    return result


def shown(session: Connection) -> list[dict[str, Any]]:
    return [row for (row,) in query(session, "SELECT to_jsonb(t) FROM t ORDER BY id")]


@pytest.mark.parametrize("seed", range(12))
def test_a_merge_is_what_the_model_says(db: Database, seed: int) -> None:
    chance = random.Random(seed)
    db.run(START)
    dev = db.connect(branch="dev")
    base = Table({c: (c, None) for c in "abc"}, {n: {"a": n, "b": n * 10, "c": n * 100} for n in range(1, 7)})
    main, branch = base.copy(), base.copy()
    log: list[str] = []
    for number in range(1, 9):
        side, session, name = chance.choice([(main, db.conn, "m"), (branch, dev, "d")])
        log.append(f"{name}: {change(side, name, number, chance)}")
        query(session, log[-1][3:])
    source, target = ("dev", "main") if seed % 2 else ("main", "dev")
    ours, theirs = (main, branch) if target == "main" else (branch, main)
    names = {name for side in (main, branch) for name, _ in side.columns.values()}
    options = json.dumps({"fill": {f"t.{name}": str(FILL) for name in names}})
    result = db.row(
        "SELECT result, conflicts, schema_conflicts, detail ->> 'reason' FROM pggit.merge(%s, %s, NULL, %s)",
        source,
        target,
        options,
    )
    try:
        expected = merged(base, ours, theirs)
    except Conflict:
        assert result[0] == "conflicted", (log, result)
        assert (shown(db.conn), shown(dev)) == (main.named(), branch.named()), log
    else:
        assert result[0] in ("merged", "fast_forward", "up_to_date"), (log, result)
        assert shown(db.conn if target == "main" else dev) == expected.named(), log
        back = db.row("SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s)", target, source)
        assert back[0] in ("fast_forward", "up_to_date"), (log, back)
        assert shown(db.conn) == shown(dev), log
        assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == [], log
        assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == [], log
    assert db.rows("SELECT * FROM pggit.verify()") == [], log
