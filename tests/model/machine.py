"""Random work on a real repository and on the model beside it; after every step both must say the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import psycopg
from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from psycopg.types.json import Jsonb

from fixtures.postgres import Connection, Database, query, raises
from model.reference import (
    Branch,
    Commit,
    Conflict,
    Outcome,
    Refused,
    Repository,
    State,
    changes,
    count_changes,
    violations,
)
from model.statements import DDL, SCHEMA, VALUES, Statement, read_sql, rows_of, statements

NAMES = ["b1", "feature/x", 'we"ird', "Ärger", "b5", "b6"]
MAX_BRANCHES = 4


def _branches() -> st.SearchStrategy[Branch]:
    return st.runner().flatmap(lambda machine: st.sampled_from(list(machine.repo.branches.values())))


def _commits() -> st.SearchStrategy[Commit]:
    return st.runner().flatmap(lambda machine: st.sampled_from(machine.repo.commits))


_on_conflict = st.sampled_from(["stop", "ours", "theirs"])
_options = st.fixed_dictionaries(
    {},
    optional={
        "fast_forward": st.just("never"),
        "on_conflict": st.sampled_from(["ours", "theirs"]),
        "squash": st.just(True),
    },
)


class Machine(RuleBasedStateMachine):
    """`make` and `drop` are given by the test: a database of its own for every run."""

    @staticmethod
    def make() -> Database:
        raise NotImplementedError

    @staticmethod
    def drop(db: Database) -> None:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.db = self.make()
        self.repo = Repository(SCHEMA)
        self.sessions: dict[str, Connection] = {}

    def teardown(self) -> None:
        try:
            if self.repo.commits and sys.exc_info()[0] is None:
                for commit in self.repo.commits:
                    self.check_commit(commit)
                assert self.db.rows("SELECT * FROM pggit.verify()") == []
        finally:
            self.drop(self.db)

    # --- what the server says -----------------------------------------------------------------------------------

    def session(self, branch: Branch) -> Connection:
        if branch.name not in self.sessions:
            self.sessions[branch.name] = self.db.connect(branch=None if branch.name == "main" else branch.name)
        return self.sessions[branch.name]

    def state_of(self, branch: Branch) -> State:
        session = self.session(branch)
        return {table: rows_of(table, query(session, read_sql(table, table)).fetchall()) for table in SCHEMA}

    def check_commit(self, commit: Commit) -> None:
        for table in SCHEMA:
            rows = self.db.rows(read_sql(table, f"pggit.as_of(NULL::public.{table}, %s)"), commit.id)
            assert rows_of(table, rows) == commit.state[table], f"{table} as of commit {commit.number}"

    def identify(self, commit: Commit, commit_id: str) -> None:
        """The server's commit is the model's, and so are all before it."""
        if commit.id:
            assert commit.id == commit_id
            return
        commit.id = commit_id
        ((parents,),) = self.db.rows("SELECT parents FROM pggit.show(%s)", commit_id)
        assert len(parents) == len(commit.parents), f"parents of commit {commit.number}"
        for parent, parent_id in zip(commit.parents, parents, strict=True):
            self.identify(parent, parent_id)

    @invariant()
    def same(self) -> None:
        if not self.repo.commits:
            return
        heads = dict(self.db.rows("SELECT name, head FROM pggit.list_branches()"))
        assert set(heads) == set(self.repo.branches)
        for branch in self.repo.branches.values():
            assert branch.head is not None
            self.identify(branch.head, heads[branch.name])
            found = self.state_of(branch)
            for table in SCHEMA:
                assert found[table] == branch.state[table], f"{table} on {branch.name}"

    # --- writing --------------------------------------------------------------------------------------------------

    @initialize(data=st.data(), before=st.integers(0, 4), after=st.integers(0, 4))
    def begin(self, data: st.DataObject, before: int, after: int) -> None:
        self.db.run(DDL)
        main = self.repo.branches["main"]
        for _ in range(before):
            self.execute(main, data.draw(statements(main.state)))
        self.db.run("SELECT pggit.track_schema('public')")
        for _ in range(after):
            self.execute(main, data.draw(statements(main.state)))
        self.repo.commit(main, "first", allow_empty=True)
        self.db.run("SELECT pggit.commit('first', p_allow_empty => true)")

    def execute(self, branch: Branch, statement: Statement) -> None:
        """The statement does on the server what it does in the model, or is refused on both."""
        sql, cells = statement.sql()
        try:
            branch.state = statement.apply(branch.state)
            allowed: frozenset[str | None] = frozenset([None])
        except Refused as error:
            allowed = frozenset(error.sqlstates)
        answer, text = None, "accepted"
        try:
            with self.session(branch).transaction():
                query(self.session(branch), sql, *cells)
        except psycopg.errors.IntegrityError as error:
            answer, text = error.sqlstate, str(error)
        assert answer in allowed, f"{sql} {cells}: {text}; the model says {set(allowed)}"

    @rule(branch=_branches(), data=st.data())
    def write(self, branch: Branch, data: st.DataObject) -> None:
        self.execute(branch, data.draw(statements(branch.state)))

    @rule(branch=_branches(), data=st.data(), count=st.integers(2, 4), keep=st.booleans(), midway=st.booleans())
    def transaction(self, branch: Branch, data: st.DataObject, count: int, keep: bool, midway: bool) -> None:
        """Several statements in one transaction, perhaps with a commit in between, kept or rolled back."""
        before, head, known = branch.state, branch.head, len(self.repo.commits)
        with self.session(branch).transaction(force_rollback=not keep):
            for number in range(count):
                if midway and number == count - 1:
                    self.commit_in(branch, self.session(branch))
                self.execute(branch, data.draw(statements(branch.state)))
        if not keep:
            branch.state, branch.head = before, head
            del self.repo.commits[known:]

    # --- commits, tags, reading back --------------------------------------------------------------------------------

    def commit_in(self, branch: Branch, session: Connection) -> None:
        if self.repo.commit(branch):
            query(session, "SELECT pggit.commit('work', %s)", branch.name)
            return
        with raises("VG304"), session.transaction():
            query(session, "SELECT pggit.commit('work', %s)", branch.name)

    @rule(branch=_branches())
    def commit(self, branch: Branch) -> None:
        self.commit_in(branch, self.db.conn)

    @precondition(lambda self: len(self.repo.tags) < 3)
    @rule(commit=_commits())
    def tag(self, commit: Commit) -> None:
        name = f"v{len(self.repo.tags)}"
        self.repo.tags[name] = commit
        assert self.db.value("SELECT pggit.tag(%s, %s)", name, commit.id) == commit.id
        assert self.db.value("SELECT pggit.resolve_ref(%s)", name) == commit.id

    @rule(commit=_commits())
    def look_back(self, commit: Commit) -> None:
        self.check_commit(commit)

    @rule(one=_commits(), other=_commits(), table=st.sampled_from(sorted(SCHEMA)))
    def compare_commits(self, one: Commit, other: Commit, table: str) -> None:
        self.check_diff(table, one.id, other.id, one.state, other.state)

    @rule(branch=_branches(), table=st.sampled_from(sorted(SCHEMA)))
    def compare_working(self, branch: Branch, table: str) -> None:
        assert branch.head is not None
        self.check_diff(table, "HEAD", "WORKING", branch.head.state, branch.state, self.session(branch))
        counted = {
            (name.split(".")[-1], "insert", inserted): (updated, deleted)
            for name, inserted, updated, deleted in self.db.rows("SELECT * FROM pggit.status(%s)", branch.name)
        }
        expected = {}
        for name in SCHEMA:
            kinds = [change for change, *_ in changes(branch.head.state, branch.state, name)]
            if kinds:
                expected[name, "insert", kinds.count("insert")] = (kinds.count("update"), kinds.count("delete"))
        assert counted == expected

    def check_diff(
        self, table: str, one: str, other: str, before: State, after: State, session: Connection | None = None
    ) -> None:
        sql = "SELECT change, key, old_row, new_row FROM pggit.diff_rows(%s, %s, %s)"
        found = query(session or self.db.conn, sql, f"public.{table}", one, other).fetchall()
        shape = SCHEMA[table]

        def fingerprint(change: str, old: Any, new: Any, key: Any) -> str:
            return repr((change, sorted(key.items()), loosely(old), loosely(new)))

        expected = [
            fingerprint(
                change, old and as_json(table, old), new and as_json(table, new), dict(zip(shape.key, key, strict=True))
            )
            for change, key, old, new in changes(before, after, table)
        ]
        assert sorted(fingerprint(change, old, new, key) for change, key, old, new in found) == sorted(expected)

    @rule(branch=_branches())
    def read_log(self, branch: Branch) -> None:
        assert branch.head is not None
        listed = [commit_id for (commit_id,) in self.db.rows("SELECT commit_id FROM pggit.log(%s, 1000)", branch.name)]
        assert sorted(listed) == sorted(commit.id for commit in branch.head.ancestors())
        for commit in branch.head.ancestors():
            for parent in commit.parents:
                assert listed.index(commit.id) < listed.index(parent.id), "a parent comes after its child"

    # --- branches ---------------------------------------------------------------------------------------------------

    def new_name(self) -> str | None:
        return next((name for name in NAMES if name not in self.repo.branches), None)

    @precondition(lambda self: len(self.repo.branches) < MAX_BRANCHES)
    @rule(source=_branches(), materialize=st.sampled_from(["none", "all", "child"]))
    def fork(self, source: Branch, materialize: str) -> None:
        self.create_branch(source, source.name, materialize)

    @precondition(lambda self: len(self.repo.branches) < MAX_BRANCHES)
    @rule(source=_commits(), materialize=st.sampled_from(["none", "all", "child"]))
    def fork_the_past(self, source: Commit, materialize: str) -> None:
        self.create_branch(source, source.id[:20], materialize)

    def create_branch(self, source: Branch | Commit, ref: str, materialize: str) -> None:
        name = self.new_name()
        assert name
        made = self.repo.fork(name, source)
        sql = "SELECT name FROM pggit.create_branch(%s, %s, 'schema', %s)"
        assert self.db.value(sql, name, ref, materialize) == made.name

    @precondition(lambda self: len(self.repo.branches) > 2)
    @rule(branch=_branches())
    def delete_branch(self, branch: Branch) -> None:
        if branch.name == "main":
            return
        self.session(branch).close()
        del self.sessions[branch.name]
        del self.repo.branches[branch.name]
        assert self.db.value("SELECT pggit.delete_branch(%s, true)", branch.name)

    @rule(branch=_branches(), table=st.sampled_from(sorted(SCHEMA)))
    def materialize(self, branch: Branch, table: str) -> None:
        if branch.name != "main":
            self.db.run("SELECT pggit.materialize(%s, %s)", branch.name, table)

    # --- merges -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(source=_branches(), into=_branches(), plan=st.booleans(), data=st.data(), options=_options)
    def merge(
        self, source: Branch, into: Branch, plan: bool, data: st.DataObject, options: dict[str, str | bool]
    ) -> None:
        self.merge_from(source, source.name, into, plan, data, options)

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(source=_commits(), into=_branches(), plan=st.booleans(), data=st.data(), options=_options)
    def merge_the_past(
        self, source: Commit, into: Branch, plan: bool, data: st.DataObject, options: dict[str, str | bool]
    ) -> None:
        """A commit of any branch, also of a deleted one."""
        self.merge_from(source, source.id[:20], into, plan, data, options)

    def merge_from(
        self,
        source: Branch | Commit,
        ref: str,
        into: Branch,
        plan: bool,
        data: st.DataObject,
        options: dict[str, str | bool],
    ) -> None:
        if plan:
            sql = "SELECT * FROM pggit.plan_merge(%s, %s, %s)"
            planned = self.result(sql, ref, into.name, Jsonb(options))
            self.same()
        before = into.state
        squash, fast_forward = bool(options.get("squash")), options.get("fast_forward") != "never"
        on_conflict = str(options.get("on_conflict", "stop"))
        outcome = self.repo.merge(source, into, on_conflict=on_conflict, fast_forward=fast_forward, squash=squash)
        found = self.result("SELECT * FROM pggit.merge(%s, %s, 'merge', %s)", ref, into.name, Jsonb(options))
        note(f"model {outcome.result}, server {found}")
        event(f"merge: {outcome.result}")
        self.check_outcome(outcome, found, before, open_conflicts="on_conflict" not in options)
        if plan:
            for count in ("rows_inserted", "rows_updated", "rows_deleted", "conflicts", "violations"):
                assert planned[count] == found[count], count
        if outcome.result == "conflicted":
            self.same()
            again = partial(self.repo.merge, source, into, fast_forward=fast_forward, squash=squash)
            self.settle(outcome, into, found["merge_id"], data, again)

    @rule(commit=_commits(), into=_branches(), data=st.data(), back=st.booleans(), on_conflict=_on_conflict)
    def replay(self, commit: Commit, into: Branch, data: st.DataObject, back: bool, on_conflict: str) -> None:
        """Revert (back) or pick one commit, against any of its parents."""
        if not commit.parents:
            return
        parent = data.draw(st.integers(1, len(commit.parents)), label="parent")
        other = commit.parents[parent - 1]
        base, theirs = (commit, other) if back else (other, commit)
        before = into.state
        outcome = self.repo.replay(base, theirs, into, on_conflict=on_conflict)
        sql = f"SELECT * FROM pggit.{'revert' if back else 'cherry_pick'}(%s, %s, %s)"
        options = Jsonb({"parent": parent, "on_conflict": on_conflict})
        found = self.result(sql, commit.id[:20], into.name, options)
        note(f"model {outcome.result}, server {found}")
        event(f"{'revert' if back else 'cherry-pick'}: {outcome.result}")
        self.check_outcome(outcome, found, before, open_conflicts=on_conflict == "stop")
        if outcome.result == "conflicted":
            self.same()
            self.settle(outcome, into, found["merge_id"], data, partial(self.repo.replay, base, theirs, into))

    @rule(branch=_branches(), commit=_commits(), hard=st.booleans())
    def reset(self, branch: Branch, commit: Commit, hard: bool) -> None:
        made = len(self.repo.commits)
        self.repo.reset(branch, commit, hard=hard)
        sql = "SELECT pggit.reset(%s, %s, %s)"
        assert self.db.value(sql, branch.name, commit.id, "hard" if hard else "soft") == commit.id
        for pending in self.repo.commits[made:]:
            last = self.db.value("SELECT commit_id FROM pggit.commits ORDER BY commit_no DESC LIMIT 1")
            self.identify(pending, last)

    def result(self, sql: str, *args: object) -> dict[str, Any]:
        cursor = query(self.db.conn, sql, *args)
        assert cursor.description
        return dict(zip([column.name for column in cursor.description], cursor.fetchone() or (), strict=True))

    def check_outcome(
        self, outcome: Outcome, found: dict[str, Any], before: State, *, open_conflicts: bool = True
    ) -> None:
        assert found["result"] == outcome.result
        assert found["conflicts"] == (len(outcome.conflicts) if open_conflicts else 0)
        if not found["conflicts"]:
            assert bool(found["violations"]) == bool(outcome.violations)
        if outcome.result in ("merged", "fast_forward", "up_to_date"):
            assert outcome.planned is not None
            counts = count_changes(before, outcome.planned)
            assert counts == {
                "insert": found["rows_inserted"],
                "update": found["rows_updated"],
                "delete": found["rows_deleted"],
            }
            assert list(violations(SCHEMA, outcome.planned)) == []

    def settle(
        self,
        outcome: Outcome,
        target: Branch,
        merge_id: str,
        data: st.DataObject,
        go_on: Callable[..., Outcome],
    ) -> None:
        """Compare the conflicts, then abort, or resolve every one of them and go on."""
        sql = """SELECT conflict_id, kind, table_name, key, column_name, base, ours, theirs
                   FROM pggit.merge_conflicts WHERE merge_id = %s"""
        listed = self.db.rows(sql, merge_id)
        ids = {
            (kind, table.split(".")[-1], tuple(key[column] for column in SCHEMA[table.split(".")[-1]].key), column): i
            for i, kind, table, key, column, *_ in listed
        }
        assert len(ids) == len(listed)
        wanted = {(c.kind, c.table, c.key, c.column): c for c in outcome.conflicts}
        assert set(ids) == set(wanted)
        values = {
            i: tuple(map(loosely, sides)) for i, *_, base, ours, theirs in listed for sides in [(base, ours, theirs)]
        }
        for name, conflict in wanted.items():
            sides = (conflict.base, conflict.ours, conflict.theirs)
            assert values[ids[name]] == tuple(loosely(cell_json(conflict, side)) for side in sides), name

        if data.draw(st.booleans(), label="abort"):
            assert self.db.value("SELECT pggit.abort_merge(%s)", merge_id)
            return
        resolutions = {}
        for name, conflict in wanted.items():
            how = data.draw(st.sampled_from(["ours", "theirs", "base", "value"]), label=f"resolution of {name}")
            value = self.draw_value(conflict, data) if how == "value" else None
            if how == "value" and value is None:
                how = "ours"
            resolutions[conflict] = (how, value)
            given = (
                None if how != "value" else Jsonb(cell_json(conflict, value), dumps=partial(json.dumps, default=str))
            )
            self.db.run("SELECT pggit.resolve_conflict(%s, %s, %s, %s)", merge_id, ids[name], how, given)
        before = target.state
        again = go_on(resolutions=resolutions)
        found = self.result("SELECT * FROM pggit.continue_merge(%s)", merge_id)
        note(f"model {again.result}, server {found}")
        event(f"resolved: {again.result}")
        assert found["result"] == again.result
        if again.result == "merged":
            assert again.planned is not None
            assert count_changes(before, again.planned) == {
                "insert": found["rows_inserted"],
                "update": found["rows_updated"],
                "delete": found["rows_deleted"],
            }

    def draw_value(self, conflict: Conflict, data: st.DataObject) -> Any:
        if conflict.column is not None:
            return data.draw(VALUES[conflict.table, conflict.column])
        row = conflict.ours or conflict.theirs
        last = list(SCHEMA[conflict.table].columns)[-1]
        return (*row[:-1], data.draw(VALUES[conflict.table, last]))


def as_json(table: str, row: Iterable[Any]) -> dict[str, Any]:
    """A model row as to_jsonb shows it."""
    shape = SCHEMA[table]
    return {
        column: json.loads(cell) if type_name == "jsonb" and cell is not None else cell
        for (column, type_name), cell in zip(shape.columns.items(), row, strict=True)
    }


def cell_json(conflict: Conflict, value: Any) -> Any:
    if value is None:
        return None
    if conflict.column is None:
        return as_json(conflict.table, value)
    if SCHEMA[conflict.table].columns[conflict.column] == "jsonb":
        return json.loads(value)
    return value


def loosely(value: Any) -> str:
    """A JSON value for comparison, where 1.50 and 1.5 are the same number."""
    return json.dumps(value, sort_keys=True, default=float)
