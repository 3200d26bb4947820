"""Thousands of random histories at once: each is a world of its own in the same tables, and all are merged together.

Rows of different worlds never meet, for every key, unique constraint and foreign key begins with the world. So one
merge has to do in each world what the slow model says of that world alone. What fails in one of many fails alone:
`--worlds 1 --first-world N --universe N` is the history that a failure names, and nothing else.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Connection, Database, Servers, query
from model.counts import Graph, Rows
from model.counts import merged as counted
from model.reference import (
    Foreign,
    Key,
    Outcome,
    Refused,
    Repository,
    Row,
    State,
    Table,
    canonical,
    deleted,
    inserted,
    updated,
)
from postgres import Server

pytestmark = pytest.mark.each_version

UNIVERSES = 2
DDL = """
CREATE TABLE parent (
    world integer, id integer, code text, lo integer, hi integer, info jsonb, PRIMARY KEY (world, id),
    CONSTRAINT parent_code_key UNIQUE (world, code), CONSTRAINT parent_span CHECK (lo <= hi)
);
CREATE TABLE child (
    world integer, id integer, parent integer NOT NULL, above integer, note text, PRIMARY KEY (world, id),
    CONSTRAINT child_parent_fkey FOREIGN KEY (world, parent) REFERENCES parent ON DELETE CASCADE,
    CONSTRAINT child_above_fkey FOREIGN KEY (world, above) REFERENCES child
);
CREATE TABLE seen (world integer, what integer);
SELECT pggit.track_schema('public');
SELECT pggit.commit('first', p_allow_empty => true);
"""
SCHEMA = {
    "parent": Table(
        "parent",
        {"id": "integer", "code": "text", "lo": "integer", "hi": "integer", "info": "jsonb"},
        ("id",),
        unique={"parent_code_key": ("code",)},
        checks={"parent_span": lambda row: None in (row["lo"], row["hi"]) or row["lo"] <= row["hi"]},
    ),
    "child": Table(
        "child",
        {"id": "integer", "parent": "integer", "above": "integer", "note": "text"},
        ("id",),
        not_null=("parent",),
        foreign=(
            Foreign("child_parent_fkey", ("parent",), "parent", ("id",), "cascade"),
            Foreign("child_above_fkey", ("above",), "child", ("id",)),
        ),
    ),
}
EMPTY: State = {name: {} for name in SCHEMA}
KINDS = {"23502": "not_null", "23514": "check", "23505": "unique", "23503": "foreign_key"}


def columns(table: str, *, types: bool = False, alias: str = "") -> str:
    named = SCHEMA[table].columns.items()
    return ", ".join(f"{alias}{name} {kind}" if types else f"{alias}{name}" for name, kind in named)


def sql_of(kind: str, table: str) -> str:
    """A statement that writes one row in each of many worlds, given as a JSON array."""
    given = f"jsonb_to_recordset(%s) AS r(world integer, was integer, {columns(table, types=True)})"
    if kind == "insert":
        return f"INSERT INTO {table} SELECT r.world, {columns(table, alias='r.')} FROM {given}"
    found = "t.world = r.world AND t.id = r.was"
    if kind == "delete":
        return f"DELETE FROM {table} AS t USING {given} WHERE {found}"
    return f"UPDATE {table} AS t SET ({columns(table)}) = ROW({columns(table, alias='r.')}) FROM {given} WHERE {found}"


@dataclass(frozen=True)
class Write:
    kind: str
    table: str
    key: Key
    row: Row

    def applied(self, state: State) -> State:
        if self.kind == "insert":
            return inserted(SCHEMA, state, self.table, self.row)
        if self.kind == "delete":
            return deleted(SCHEMA, state, self.table, [self.key])
        return updated(SCHEMA, state, self.table, {self.key: self.row})

    def given(self, world: int) -> dict[str, Any]:
        cells = SCHEMA[self.table].named(self.row)
        if cells.get("info"):
            cells["info"] = json.loads(cells["info"])
        return {"world": world, "was": self.key[0], **cells}


def random_row(rng: random.Random, table: str) -> Row:
    few = rng.randint(1, 4)
    if table == "child":
        return few, rng.randint(1, 4), rng.choice([None, None, 1, 2, 3]), rng.choice([None, "", "x", "y"])
    info = {name: rng.choice([1, True, {"z": rng.randint(1, 2)}]) for name in "xy" if rng.random() < 0.5}
    return few, rng.choice([None, "a", "b", "c"]), rng.randint(1, 3), rng.choice([None, 2, 3]), canonical(info)


def random_write(rng: random.Random, state: State) -> Write:
    table = rng.choice(list(SCHEMA))
    fresh = random_row(rng, table)
    if not state[table] or rng.random() < 0.4:
        return Write("insert", table, fresh[:1], fresh)
    key, row = rng.choice(sorted(state[table].items()))
    if rng.random() < 0.25:
        return Write("delete", table, key, row)
    kept = rng.randint(0, 4)
    return Write(
        "update",
        table,
        key,
        tuple(new if i == kept else old for i, (old, new) in enumerate(zip(row, fresh, strict=False))),
    )


@dataclass
class World:
    number: int
    rng: random.Random
    repo: Repository = field(default_factory=lambda: Repository(SCHEMA))

    def write(self, branch: str) -> Write | None:
        """A statement that PostgreSQL would take, done in the model; None if three tries found none."""
        here = self.repo.branches[branch]
        for _ in range(3):
            write = random_write(self.rng, here.state)
            try:
                here.state = write.applied(here.state)
            except Refused:
                continue
            return write
        return None


class Universe:
    """Worlds that branch, commit and merge at the same moments, and write whatever each likes in between."""

    def __init__(self, db: Database, seed: int, worlds: Iterable[int]) -> None:
        self.db, self.rng = db, random.Random(seed)
        self.worlds = {n: World(n, random.Random(f"{seed} {n}")) for n in worlds}
        self.sessions: dict[str, Connection] = {"main": db.connect()}
        self.seen: dict[str, Rows] = {"main": Counter()}
        self.graph = Graph()
        self.heads: dict[str, str] = {}
        self.ids: list[str] = []
        self.merges = self.conflicts = self.refused = 0
        db.run(DDL)
        for world in self.worlds.values():
            world.repo.commit(world.repo.branches["main"], allow_empty=True)
        self.known("main", db.value("SELECT head FROM pggit.branches WHERE name = 'main'"), [])

    def known(self, branch: str, commit: str, parents: list[str]) -> None:
        self.ids.append(commit)
        self.heads[branch] = commit
        self.graph.parents[commit] = parents
        self.graph.rows[commit] = self.seen[branch].copy()

    # --- what is done -----------------------------------------------------------------------------------------------

    def write(self, branch: str) -> None:
        """One statement of each world; those that are alike are one statement of the server's."""
        session = self.sessions[branch]
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for n, world in self.worlds.items():
            if write := world.write(branch):
                groups.setdefault((write.kind, write.table), []).append(write.given(n))
        for (kind, table), rows in groups.items():
            query(session, sql_of(kind, table), Jsonb(rows))
        come = [(n, w.rng.randint(1, 2)) for n, w in self.worlds.items() if w.rng.random() < 0.3]
        gone = [(n, w.rng.randint(1, 2)) for n, w in self.worlds.items() if w.rng.random() < 0.1]
        query(session, "INSERT INTO seen SELECT r[1], r[2] FROM jsonb_path_query(%s, '$[*]') AS j, LATERAL (SELECT ARRAY[(j -> 0)::integer, (j -> 1)::integer]) AS x(r)", Jsonb(come))  # fmt: skip # noqa: E501
        self.seen[branch].update(come)
        query(session, "DELETE FROM seen WHERE jsonb_build_array(world, what) IN (SELECT jsonb_path_query(%s, '$[*]'))", Jsonb(gone))  # fmt: skip # noqa: E501
        for row in gone:
            del self.seen[branch][row]

    def commit(self, branch: str) -> None:
        commit = self.db.value("SELECT pggit.commit('next', %s, p_allow_empty => true)", branch)
        for world in self.worlds.values():
            world.repo.commit(world.repo.branches[branch], allow_empty=True)
        self.known(branch, commit, [self.heads[branch]])

    def fork(self, source: str) -> None:
        name, form = f"b{len(self.sessions)}", self.rng.choice(["none", "all"])
        self.commit(source)
        self.db.run("SELECT pggit.create_branch(%s, %s, p_materialize => %s)", name, source, form)
        self.sessions[name] = self.db.connect(branch=name)
        self.seen[name], self.heads[name] = self.seen[source].copy(), self.heads[source]
        for world in self.worlds.values():
            world.repo.fork(name, world.repo.branches[source])

    def merge(self, source: str | int, target: str) -> None:
        """From a branch, or a commit by its place, into a branch; worlds that can't be merged are emptied first."""
        for branch in {source, target} & self.sessions.keys():
            self.commit(str(branch))
        ref = self.ids[source] if isinstance(source, int) else source
        on_conflict = self.rng.choice(["ours", "theirs"])
        fast_forward = self.rng.choice(["auto", "never"])
        options = {"on_conflict": on_conflict, "fast_forward": fast_forward}

        planned = self.in_each_world(source, target, "stop", fast_forward == "auto", undo=True)
        found = self.result("SELECT * FROM pggit.plan_merge(%s, %s)", ref, target)
        assert self.listed_conflicts(found["merge_id"]) == {
            (conflict.kind, conflict.table, n, *conflict.key, conflict.column)
            for n, outcome in planned.items()
            for conflict in outcome.conflicts
        }
        self.same_conflicts(ref, target, found["merge_id"])
        self.conflicts += found["conflicts"]

        wanted = self.in_each_world(source, target, on_conflict, fast_forward == "auto", undo=True)
        found = self.result("SELECT * FROM pggit.merge(%s, %s, 'merge', %s)", ref, target, Jsonb(options))
        broken = {n for n, outcome in wanted.items() if outcome.violations}
        if broken:
            assert found["result"] == "refused"
            assert self.listed_violations(found["merge_id"]) == {
                (KINDS[one.sqlstate], n, one.table) for n in broken for one in wanted[n].violations
            }
            self.refused += len(broken)
            self.empty(broken, {source, target} & self.sessions.keys())
            return self.merge(source if isinstance(source, str) else target, target)
        wanted = self.in_each_world(source, target, on_conflict, fast_forward == "auto")
        (result,) = {outcome.result for outcome in wanted.values()}
        assert found["result"] == result
        self.merges += result == "merged"
        theirs = self.ids[source] if isinstance(source, int) else self.heads[source]
        if result == "fast_forward":
            self.seen[target], self.heads[target] = self.graph.rows[theirs].copy(), theirs
        elif result == "merged":
            base = self.graph.base(self.graph.bases(self.heads[target], theirs))
            self.seen[target] = counted(base, self.seen[target], self.graph.rows[theirs])
            self.known(target, found["commit_id"], [self.heads[target], theirs])
        self.check(target)
        return None

    def in_each_world(
        self, source: str | int, target: str, on_conflict: str, fast_forward: bool, *, undo: bool = False
    ) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        for n, world in self.worlds.items():
            repo, into = world.repo, world.repo.branches[target]
            before = into.head, into.state, len(repo.commits)
            theirs = repo.commits[source] if isinstance(source, int) else repo.branches[source]
            outcomes[n] = repo.merge(theirs, into, on_conflict=on_conflict, fast_forward=fast_forward)
            if undo:
                into.head, into.state = before[:2]
                del repo.commits[before[2] :]
        return outcomes

    def empty(self, worlds: set[int], branches: Iterable[str | int]) -> None:
        for branch in map(str, branches):
            for table in SCHEMA:
                query(self.sessions[branch], f"DELETE FROM {table} WHERE world = ANY (%s)", list(worlds))
            for n in worlds:
                self.worlds[n].repo.branches[branch].state = EMPTY

    # --- what is compared -------------------------------------------------------------------------------------------

    def result(self, sql: str, *args: object) -> dict[str, Any]:
        cursor = query(self.db.conn, sql, *args)
        assert cursor.description
        return dict(zip([column.name for column in cursor.description], cursor.fetchone() or (), strict=True))

    def listed_conflicts(self, merge_id: str) -> set[tuple[Any, ...]]:
        sql = "SELECT kind, table_name, key, column_name FROM pggit.merge_conflicts WHERE merge_id = %s"
        found = self.db.rows(sql, merge_id)
        listed = {(kind, table.split(".")[1], key["world"], key["id"], column) for kind, table, key, column in found}
        assert len(listed) == len(found)
        return listed

    def same_conflicts(self, source: str, target: str, merge_id: str) -> None:
        """What looks for conflicts alone finds those of the plan."""
        planned = "SELECT conflict_id, base, ours, theirs FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1"
        alone = "SELECT conflict_id, base, ours, theirs FROM pggit.detect_data_conflicts(%s, %s) ORDER BY 1"
        assert self.db.rows(alone, source, target) == self.db.rows(planned, merge_id)

    def listed_violations(self, merge_id: str) -> set[tuple[Any, ...]]:
        sql = "SELECT kind, (key ->> 'world')::integer, table_name FROM pggit.merge_violations WHERE merge_id = %s"
        return {(kind, world, table.split(".")[1]) for kind, world, table in self.db.rows(sql, merge_id)}

    def check(self, branch: str) -> None:
        states = {n: world.repo.branches[branch].state for n, world in self.worlds.items()}
        for table in SCHEMA:
            self.same(query(self.sessions[branch], f"SELECT * FROM {table}").fetchall(), states, table, branch)
        assert Counter(query(self.sessions[branch], "SELECT * FROM seen").fetchall()) == self.seen[branch], branch

    def same(self, rows: list[Row], states: dict[int, State], table: str, where: str) -> None:
        shown: dict[int, dict[Key, Row]] = {}
        for world, *cells in rows:
            if table == "parent" and cells[-1] is not None:
                cells[-1] = canonical(cells[-1])
            shown.setdefault(world, {})[tuple(cells[:1])] = tuple(cells)
        wrong = [n for n, state in states.items() if shown.get(n, {}) != state[table]]
        assert not wrong, (
            f"{table} on {where}, worlds {wrong[:9]}: {shown.get(wrong[0])}, not {states[wrong[0]][table]}"
        )

    def check_commits(self) -> None:
        """Each commit shows what it had, whatever came after it."""
        for place, commit in enumerate(self.ids):
            states = {n: world.repo.commits[place].state for n, world in self.worlds.items()}
            for table in SCHEMA:
                rows = self.db.rows(f"SELECT * FROM pggit.as_of(NULL::{table}, %s)", commit)
                self.same(rows, states, table, f"commit {place}")
            assert Counter(self.db.rows("SELECT * FROM pggit.as_of(NULL::seen, %s)", commit)) == self.graph.rows[commit]


def test_every_world_is_merged_as_if_it_were_alone(
    servers: Servers, server: Server, pytestconfig: pytest.Config
) -> None:
    asked: int = pytestconfig.getoption("--worlds")
    first: int = pytestconfig.getoption("--first-world")
    one: int | None = pytestconfig.getoption("--universe")
    merges = conflicts = refused = 0
    # Other ones on each version.
    for seed in range(server.version * UNIVERSES, (server.version + 1) * UNIVERSES) if one is None else [one]:
        db = servers.create(server.version, template=servers.template(server.version))
        universe = Universe(db, seed, range(first, first + asked))
        for _ in range(4):
            universe.write("main")
        for _ in range(8):
            if len(universe.sessions) < 4:
                universe.fork(universe.rng.choice(list(universe.sessions)))
            source, target = universe.rng.sample(list(universe.sessions), 2)
            for branch in (source, target, target):
                universe.write(branch)
            past = universe.rng.randrange(len(universe.ids)) if universe.rng.random() < 0.2 else None
            universe.merge(source if past is None else past, target)
        for branch in list(universe.sessions):
            if branch != "main":
                universe.merge(branch, "main")
        universe.check_commits()
        assert db.rows("SELECT * FROM pggit.verify()") == []
        servers.drop(db)
        merges, conflicts, refused = (
            merges + universe.merges,
            conflicts + universe.conflicts,
            refused + universe.refused,
        )
    assert merges > 0
    print(f"{asked * (1 if one is not None else UNIVERSES):,} random histories: {merges} merges of all worlds at once, {conflicts:,} conflicts, {refused:,} worlds refused")  # fmt: skip # noqa: E501
