"""Random changes of shape and rows on main and on a branch: both directions of a merge give one schema and "
"one set of rows."""

from __future__ import annotations

import json
import random

import pytest

from fixtures.postgres import Connection, Database, query

START = """
    CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b text, c numeric);
    INSERT INTO t SELECT n, n, 'b' || n, n FROM generate_series(1, 8) AS n;
    SELECT pggit.track_schema('public'); SELECT pggit.commit('start');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
"""


class Side:
    """One line, which changes only rows and columns that the other leaves alone, so that merges have no conflicts."""

    def __init__(self, session: Connection, name: str, chance: random.Random) -> None:
        self.session, self.name, self.chance = session, name, chance
        self.number = 0
        self.columns: list[str] = []

    def step(self) -> str:
        self.number += 1
        fresh = f"{self.name}{self.number}"
        mine = [n for n in range(1, 9) if n % 2 == (self.name == "m")]
        key = self.chance.choice(mine)
        kinds = ["insert", "update", "delete", "add", "index", "check", "default"] + ["fill", "rename", "drop"] * bool(
            self.columns
        )
        kind = self.chance.choice(kinds)
        column = self.chance.choice(self.columns) if self.columns else ""
        start = 1000 if self.name == "m" else 2000
        if kind == "rename":
            self.columns[self.columns.index(column)] = fresh
        elif kind == "drop":
            self.columns.remove(column)
        elif kind == "add":
            self.columns.append(fresh)
        kind_of_column = self.chance.choice(["int", "text DEFAULT 7", "int NOT NULL DEFAULT 3"])
        indexed = self.chance.choice(["b", "a, c", column or "c"])
        return {
            "insert": f"INSERT INTO t (id, b) VALUES ({start + self.number}, '{fresh}')",
            "update": f"UPDATE t SET b = '{fresh}' WHERE id = {key}",
            "delete": f"DELETE FROM t WHERE id = {key}",
            "add": f"ALTER TABLE t ADD COLUMN {fresh} {kind_of_column}",
            "index": f"CREATE INDEX i{fresh} ON t ({indexed})",
            "check": f"ALTER TABLE t ADD CONSTRAINT k{fresh} CHECK (id > 0)",
            "default": f"ALTER TABLE t ALTER {'a' if self.name == 'm' else 'c'} SET DEFAULT {self.number}",
            "fill": f"UPDATE t SET {column} = {self.number} WHERE id = {key}",
            "rename": f"ALTER TABLE t RENAME {column} TO {fresh}",
            "drop": f"ALTER TABLE t DROP COLUMN {column}",
        }[kind]


def objects(db: Database, branch: str) -> set[tuple[object, ...]]:
    sql = "SELECT object_type, object_name, definition::text FROM pggit._schema_objects(%s)"
    return set(db.rows(sql, db.value("SELECT branch_id FROM pggit.branches WHERE name = %s", branch)))


def rows(session: Connection) -> set[str]:
    return {row for (row,) in query(session, "SELECT to_jsonb(t)::text FROM t")}


@pytest.mark.seeds(6)
def test_merges_both_ways_agree(db: Database, seed: int) -> None:
    chance = random.Random(seed)
    db.run(START)
    branch = db.connect(branch="dev")
    main, dev = Side(db.conn, "m", chance), Side(branch, "d", chance)
    log: list[str] = []
    fill: dict[str, str] = {}
    for _ in range(3):
        for _ in range(6):
            side = chance.choice([main, dev])
            log.append(f"{side.name}: {side.step()}")
            query(side.session, log[-1][3:])
        keys = {session: {key for (key,) in query(session, "SELECT id FROM t")} for session in (db.conn, branch)}
        for source, target in (("dev", "main"), ("main", "dev")):
            names = main.columns + dev.columns
            fill = {f"t.{name}": "5" for name in names}
            result = db.row(
                "SELECT result, conflicts, schema_conflicts, detail FROM pggit.merge(%s, %s,"
                " p_options => jsonb_build_object('fill', %s::jsonb))",
                source,
                target,
                json.dumps(fill),
            )
            assert result[0] in ("merged", "fast_forward", "up_to_date"), (log, result)
            log.append(f"{source} into {target}: {result[0]}")
        assert objects(db, "main") == objects(db, "dev"), log
        assert rows(db.conn) == rows(branch), log
        lost = {key for key in keys[db.conn] | keys[branch] if key > 8} - {
            key for (key,) in query(branch, "SELECT id FROM t")
        }
        assert not lost, log
        assert db.rows("SELECT * FROM pggit.verify()") == [], log
        assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == [], log
