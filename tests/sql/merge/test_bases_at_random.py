"""Definitions of three branches that are merged crosswise again and again, against a slow model of what they have in
common: values merged three ways, of several best common ancestors one after the other, in dispute where they conflict.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import Any, NamedTuple

import pytest

from fixtures.postgres import Connection, Database, query

START = """
    CREATE TABLE t (id integer PRIMARY KEY, v text, y integer, n0 integer);
    INSERT INTO t VALUES (1, 'one', 1, 1), (2, 'two', 2, 2);
    SELECT pggit.track_schema('public'); SELECT pggit.commit('start');
"""
#: What is changed, the object that it is part of, and the statements that give it each of its values, from any other.
SLOTS = {
    "v comment": ("column t.v", [f"COMMENT ON COLUMN t.v IS {c}" for c in ("NULL", "'1'", "'2'")]),
    "v default": ("column t.v", [f"ALTER TABLE t ALTER v SET DEFAULT {d}" for d in ("NULL::text", "'1'", "'2'")]),
    "y type": ("column t.y", [f"ALTER TABLE t ALTER y TYPE {k}" for k in ("integer", "bigint", "numeric")]),
    "y comment": ("column t.y", [f"COMMENT ON COLUMN t.y IS {c}" for c in ("NULL", "'1'", "'2'")]),
    "n name": ("column t.n", [f"ALTER TABLE t RENAME {{n}} TO n{i}" for i in range(3)]),
    "n comment": ("column t.n", [f"COMMENT ON COLUMN t.{{n}} IS {c}" for c in ("NULL", "'1'", "'2'")]),
    "check": (
        "constraint t.k",
        [
            "ALTER TABLE t DROP CONSTRAINT IF EXISTS k",
            *(f"ALTER TABLE t DROP CONSTRAINT IF EXISTS k, ADD CONSTRAINT k CHECK (id > -{i})" for i in (1, 2)),
        ],
    ),
    "index": (
        "index t.i",
        ["DROP INDEX i", *(f"{{drop}}; CREATE INDEX i ON t ({c})" for c in ("v", "id"))],
    ),
    "view": (
        "view w",
        ["DROP VIEW w", *(f"CREATE OR REPLACE VIEW w AS SELECT id FROM t WHERE id > {i}" for i in (1, 2))],
    ),
}
#: What each of these has now, 0 to 2.
STATE = """
    WITH a AS (SELECT * FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped)
    SELECT jsonb_build_object(
        'v comment', (SELECT coalesce(col_description(attrelid, attnum)::integer, 0) FROM a WHERE attname = 'v'),
        'v default', (SELECT coalesce(substring(pg_get_expr(adbin, adrelid) FROM '[12]')::integer, 0)
                        FROM a LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attname = 'v'),
        'y type', (SELECT array_position('{integer,bigint,numeric}', atttypid::regtype::text) - 1
                     FROM a WHERE attname = 'y'),
        'y comment', (SELECT coalesce(col_description(attrelid, attnum)::integer, 0) FROM a WHERE attname = 'y'),
        'n name', (SELECT substr(attname, 2)::integer FROM a WHERE attname ~ '^n[012]$'),
        'n comment', (SELECT coalesce(col_description(attrelid, attnum)::integer, 0) FROM a WHERE attname ~ '^n[012]$'),
        'check', (SELECT coalesce(max(substring(pg_get_constraintdef(oid) FROM '[12]')), '0')::integer
                    FROM pg_constraint WHERE conrelid = 't'::regclass AND conname = 'k'),
        'index', (SELECT coalesce(max(CASE pg_get_indexdef(indexrelid, 1, false) WHEN 'v' THEN 1 ELSE 2 END), 0)
                    FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 't'::regclass AND relname = 'i'),
        'view', (SELECT coalesce(max(substring(pg_get_viewdef(oid) FROM '> ([12])')), '0')::integer FROM pg_class
                  WHERE relname = 'w' AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 't'::regclass)))
"""
State = dict[str, Any]


class Dispute:
    """A value that nobody has, and that is no other dispute's."""


class Commit(NamedTuple):
    number: int
    parents: tuple[str, ...]


class History:
    """The commits of the repository, and what the model says that each of them has."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.commits: dict[str, Commit] = {}
        self.states: dict[str, State] = {}

    def read(self) -> None:
        for commit, number, parents in self.db.rows("SELECT commit_id, commit_no, parents FROM pggit.commits"):
            self.commits[commit] = Commit(number, tuple(parents or ()))

    def ancestors(self, commit: str) -> set[str]:
        return {commit}.union(*(self.ancestors(parent) for parent in self.commits[commit].parents))

    def best(self, common: set[str]) -> list[str]:
        """Those that are no ancestors of others, the youngest first."""
        older = set().union(*(self.ancestors(commit) - {commit} for commit in common))
        return sorted(common - older, key=lambda commit: -self.commits[commit].number)

    def bases(self, ones: list[str], other: str) -> list[str]:
        """The best common ancestors of a commit and a merge of several."""
        return self.best(set().union(*(self.best(self.ancestors(one) & self.ancestors(other)) for one in ones)))

    def base(self, bases: list[str]) -> State:
        merged = self.states[bases[0]]
        for number, other in enumerate(bases[1:], start=1):
            before = self.base(self.bases(bases[:number], other))
            merged, disputes = merge(before, merged, self.states[other])
            merged |= {slot: Dispute() for slot in disputes}
        return merged


def merge(base: State, ours: State, theirs: State) -> tuple[State, set[str]]:
    """What both have then, and in what they are in conflict."""
    merged = {slot: ours[slot] if theirs[slot] == base[slot] else theirs[slot] for slot in SLOTS}
    return merged, {s for s in SLOTS if ours[s] != theirs[s] and base[s] not in (ours[s], theirs[s])}


class World:
    def __init__(self, db: Database, seed: int) -> None:
        self.db, self.chance, self.numbers = db, random.Random(seed), itertools.count(1)
        db.run(START)
        db.run("SELECT pggit.create_branch(b, p_materialize => 'all') FROM unnest(ARRAY['a', 'b']) AS b")
        self.sessions = {"main": db.conn, "a": db.connect(branch="a"), "b": db.connect(branch="b")}
        self.history = History(db)
        self.history.read()
        self.history.states[self.head("main")] = dict.fromkeys(SLOTS, 0)
        self.bases: list[int] = []

    def head(self, branch: str) -> str:
        return str(self.db.value("SELECT pggit.resolve_ref(%s)", branch))

    def now(self, branch: str) -> State:
        ((state,),) = query(self.sessions[branch], STATE).fetchall()
        return dict(state)

    def change(self, branch: str) -> None:
        """A few values are others; as there are three of each, many are made again."""
        state = dict(self.history.states[self.head(branch)])
        for slot in self.chance.sample(sorted(SLOTS), self.chance.choice([1, 1, 2, 3])):
            value = self.chance.choice([value for value in range(3) if value != state[slot]])
            statement = SLOTS[slot][1][value].replace("{n}", f"n{state['n name']}")
            statement = statement.replace("{drop}", "DROP INDEX i" if state[slot] else "")
            query(self.sessions[branch], statement)
            state[slot] = value
        query(self.sessions[branch], f"SELECT pggit.commit('{branch}')")
        assert self.now(branch) == state, (branch, self.now(branch), state)
        self.history.read()
        self.history.states[self.head(branch)] = state

    def merge(self, source: str, target: str) -> None:
        ours, theirs = self.head(target), self.head(source)
        bases = self.history.bases([ours], theirs)
        self.bases.append(len(bases))
        base = self.history.base(bases)
        merged, disputes = merge(base, self.history.states[ours], self.history.states[theirs])
        result = self.db.row("SELECT result, merge_id, detail ->> 'reason' FROM pggit.merge(%s, %s)", source, target)
        story = (
            source,
            target,
            [self.history.states[b] for b in bases],
            base,
            self.history.states[ours],
            self.history.states[theirs],
            disputes,
            result,
        )
        assert (result[0] == "conflicted") == bool(disputes), story
        if disputes:
            take = self.chance.choice(["ours", "theirs"])
            decided = self.db.row(
                "SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s, NULL, %s)",
                source,
                target,
                json.dumps({"on_conflict": take}),
            )
            assert decided[0] == "merged", (story, decided)
            merged |= {slot: self.history.states[ours if take == "ours" else theirs][slot] for slot in disputes}
        else:
            assert result[0] in ("merged", "fast_forward", "up_to_date"), story
        self.history.read()
        if result[0] == "up_to_date":
            merged = self.history.states[ours]
        assert self.now(target) == merged, (story, self.now(target), merged)
        self.history.states[self.head(target)] = merged

    def cross(self) -> None:
        """Each branch gets what some others have at this moment, in any order."""
        number = next(self.numbers)
        self.db.run(f"SELECT pggit.tag(b || '-{number}', b) FROM unnest(ARRAY['main', 'a', 'b']) AS b")
        pairs = [(f"{s}-{number}", t) for s, t in itertools.permutations(self.sessions, 2)]
        for source, target in self.chance.sample(pairs, self.chance.choice([4, 5])):
            self.merge(source, target)


def rows(session: Connection) -> list[tuple[Any, ...]]:
    return query(session, "SELECT id, v, y::integer FROM t ORDER BY id").fetchall()


@pytest.mark.parametrize("seed", range(2))
def test_definitions_are_merged_from_what_their_ancestors_have_in_common(db: Database, seed: int) -> None:
    world = World(db, seed + db.version)
    for _ in range(3):
        for branch in world.sessions:
            world.change(branch)
        world.cross()
    assert max(world.bases) >= 2
    for session in world.sessions.values():
        assert rows(session) == [(1, "one", 1), (2, "two", 2)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
