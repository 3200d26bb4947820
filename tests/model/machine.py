"""Random work on a real repository and on the model beside it; after every step both must say the same."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import psycopg
import pytest
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
    Row,
    Rule,
    Stash,
    State,
    changes,
    count_changes,
    first_parents,
    violations,
)
from model.statements import (
    DDL,
    PLAIN,
    SCHEMA,
    VALUES,
    Statement,
    Truncate,
    is_possible,
    may_collide,
    read_sql,
    rows_of,
    statements,
)

NAMES = ["b1", "feature/x", 'we"ird', "Ärger", "b5", "b6"]
MAX_BRANCHES = 4
MAX_FLIGHTS = 3
#: What a transaction may do between its statements.
MIDWAY = ["nothing", "commit", "fork", "merge"]


def branches() -> st.SearchStrategy[Branch]:
    return st.runner().flatmap(lambda machine: st.sampled_from(list(machine.repo.branches.values())))


def _commits() -> st.SearchStrategy[Commit]:
    """Those that can be read."""
    return st.runner().flatmap(lambda machine: st.sampled_from(machine.readable()))


_forms = st.sampled_from(["none", "all", "some"])
_on_conflict = st.sampled_from(["stop", "ours", "theirs"])
_options = st.fixed_dictionaries(
    {},
    optional={
        "fast_forward": st.just("never"),
        "on_conflict": st.sampled_from(["ours", "theirs"]),
        "squash": st.just(True),
    },
)


class DiffersError(AssertionError):
    """Rows are other ones than the model's."""


class VerifyComplainsError(AssertionError):
    """`pggit.verify()` finds something."""


@dataclass(eq=False)
class Flight:
    """A transaction that stays open over what others do.

    `rows`: what it has written, by table and key, `found`: what was there; `began`: what there was when it began, and
    `snapshot` too, if it is REPEATABLE READ.
    """

    branch: Branch
    session: Connection
    began: State
    snapshot: State | None
    rows: dict[tuple[str, tuple[Any, ...]], Row | None] = field(default_factory=dict)
    found: dict[tuple[str, tuple[Any, ...]], Row | None] = field(default_factory=dict)

    @property
    def sees(self) -> State:
        return self.over(self.branch.state if self.snapshot is None else self.snapshot)

    def is_behind(self) -> bool:
        """Whether others have changed something that it cannot see."""
        return self.snapshot is not None and self.snapshot != self.branch.state

    def overtaken(self, table: str) -> dict[tuple[Any, ...], Row]:
        """The rows that it sees others have written since it began: who writes them now is not the first to."""
        before = self.began[table]
        seen = self.sees[table].items()
        return {key: row for key, row in seen if before.get(key) != row and (table, key) not in self.rows}

    def over(self, before: State) -> State:
        """The state with what it has written."""
        state = {table: dict(rows) for table, rows in before.items()}
        for (table, key), row in self.rows.items():
            state[table].pop(key, None)
            if row is not None:
                state[table][key] = row
        return state


class Machine(RuleBasedStateMachine):
    """`make` and `drop` are given by the test: a database of its own for every run.

    `tables` says what the repository has, and so what the machine is about.
    """

    tables: tuple[str, ...] = ("parent", "child", "pair")
    #: Tables of which branches make single ones real.
    alone = "child"
    #: The table that transactions in flight write.
    flown = "pair"
    #: How often each result of a merge came up, in all histories.
    outcomes: ClassVar[Counter[str]] = Counter()

    @staticmethod
    def make() -> Database:
        raise NotImplementedError

    @staticmethod
    def drop(db: Database) -> None:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.db = self.make()
        self.schema = {table: SCHEMA[table] for table in self.tables}
        self.repo = Repository(self.schema)
        self.sessions: dict[str, Connection] = {}
        self.lost: set[Commit] = set()
        self.known_json: dict[tuple[str, str], Any] = {}
        self.flights: list[Flight] = []
        self.times: list[tuple[str, dict[str, Branch], dict[str, State]]] = []

    def teardown(self) -> None:
        try:
            if self.repo.commits and sys.exc_info()[0] is None:
                self.end_flights(True)
                self.come_together()
                for commit in self.readable():
                    self.check_commit(commit)
                for commit in self.lost:
                    with raises_gone():
                        self.check_commit(commit)
                complaints = self.db.rows("SELECT * FROM pggit.verify()")
                if complaints:
                    raise VerifyComplainsError(f"verify says {complaints}")
        finally:
            self.drop(self.db)

    # --- what the server says -----------------------------------------------------------------------------------

    def readable(self) -> list[Commit]:
        return [commit for commit in self.repo.commits if commit.id and commit not in self.lost]

    def session(self, branch: Branch) -> Connection:
        if branch.name not in self.sessions:
            self.sessions[branch.name] = self.db.connect(branch=None if branch.name == "main" else branch.name)
        return self.sessions[branch.name]

    def state_of(self, session: Connection) -> State:
        return {table: rows_of(table, query(session, read_sql(table, table)).fetchall()) for table in self.schema}

    def check_commit(self, commit: Commit) -> None:
        for table in self.schema:
            rows = self.db.rows(read_sql(table, f"pggit.as_of(NULL::public.{table}, %s)"), commit.id)
            require_same(rows_of(table, rows), commit.state[table], f"{table} as of commit {commit.number}")

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
            found = self.state_of(self.session(branch))
            for table in self.schema:
                require_same(found[table], branch.state[table], f"{table} on {branch.name}")
        for flight in self.flights:
            for (table, key), row in flight.found.items():
                assert flight.branch.state[table].get(key) == row, f"{table} {key} changed under who is writing it"

    # --- writing --------------------------------------------------------------------------------------------------

    @initialize(data=st.data(), before=st.integers(0, 4), after=st.integers(0, 4), materialize=_forms)
    def begin(self, data: st.DataObject, before: int, after: int, materialize: str) -> None:
        self.db.run(f"ALTER DATABASE \"{self.db.name}\" SET jit = off; SET jit = off; SET lock_timeout = '30s'")
        self.db.run("".join(DDL[table] for table in self.tables))
        main = self.repo.branches["main"]
        for _ in range(before):
            self.execute(main, data.draw(statements(main.state)))
        self.db.run("SELECT pggit.track_schema('public')")
        for _ in range(after):
            self.execute(main, data.draw(statements(main.state)))
        self.repo.commit(main, "first", allow_empty=True)
        self.db.run("SELECT pggit.commit('first', p_allow_empty => true)")
        self.create_branch(main, "main", materialize)

    def is_real(self, branch: Branch, table: str) -> bool:
        """Whether it is main's or a real table of the branch, with triggers."""
        sql = "SELECT %s = ANY (materialized) FROM pggit.list_branches() WHERE name = %s"
        return branch.name == "main" or bool(self.db.value(sql, f"public.{table}", branch.name))

    def execute(self, branch: Branch, statement: Statement, *, deferred: bool = False) -> None:
        """The statement does on the server what it does in the model, or is refused on both."""
        real = self.is_real(branch, statement.table)
        if not is_possible(statement, real, self.db.version):
            return
        sql, cells = statement.sql()
        after: State | None = None
        try:
            after = statement.apply(branch.state, real)
            broken = {found.sqlstate for found in violations(self.schema, after) if not deferred}
            allowed: set[str | None] = {*broken} or {None}
            if may_collide(statement, real):
                allowed.add("23505")
        except Refused as error:
            allowed = {*error.sqlstates}
        answer, text = None, "accepted"
        try:
            with self.session(branch).transaction():
                query(self.session(branch), sql, *cells)
        except psycopg.errors.IntegrityError as error:
            answer, text = error.sqlstate, str(error)
        assert answer in allowed, f"{sql} {cells}: {text}; the model says {allowed}"
        if answer is None:
            assert after is not None
            branch.state = after

    @rule(branch=branches(), data=st.data())
    def write(self, branch: Branch, data: st.DataObject) -> None:
        with self.unless_locked():
            self.execute(branch, data.draw(statements(branch.state)))

    @rule(
        branch=branches(), data=st.data(), count=st.integers(2, 4), keep=st.booleans(), midway=st.sampled_from(MIDWAY)
    )
    def transaction(self, branch: Branch, data: st.DataObject, count: int, keep: bool, midway: str) -> None:
        """Several statements in one transaction, perhaps with a commit, a fork or a merge in between, some in a
        subtransaction that is rolled back, kept or rolled back; what is deferred holds at its end."""
        put_back = self.remember()
        session, is_refused = self.session(branch), False
        with self.unless_locked():
            try:
                with session.transaction(force_rollback=not keep):
                    for number in range(count):
                        if number == count - 1:
                            self.unless_undone(session, data, partial(self.in_between, branch, session, data, midway))
                        statement = data.draw(statements(branch.state))
                        go = partial(self.execute, branch, statement, deferred=True)
                        self.unless_undone(session, data, go)
                    is_refused = bool(list(violations(self.schema, branch.state)))
            except psycopg.errors.IntegrityError:
                assert keep
                assert is_refused
            else:
                assert not (keep and is_refused)
            if is_refused or not keep:
                put_back()

    def unless_undone(self, session: Connection, data: st.DataObject, go: Callable[[], None]) -> None:
        """In a subtransaction, some of which are undone."""
        undone, put_back = data.draw(st.integers(0, 3), label="undone") == 0, self.remember()
        with session.transaction(force_rollback=undone):
            go()
        if undone:
            put_back()

    def in_between(self, branch: Branch, session: Connection, data: st.DataObject, what: str) -> None:
        """An operation of the session's own transaction, which has written before."""
        if what == "commit":
            self.commit_in(branch, session)
        if list(violations(self.schema, branch.state)):
            return  # what is deferred has to hold where rows are moved
        name = self.new_name()
        if what == "fork" and name and len(self.repo.branches) < MAX_BRANCHES:
            self.fork_on_both(name, branch, branch.name, data.draw(_forms, label="form"), session)
        others = [other for other in self.repo.branches.values() if other is not branch]
        if what == "merge" and others:
            other, to = data.draw(st.sampled_from(others), label="other"), data.draw(st.booleans(), label="to")
            source, into = (branch, other) if to else (other, branch)
            options = {"on_conflict": data.draw(st.sampled_from(["ours", "theirs"]), label="on_conflict")}
            if not self.gives_up(into, data):
                self.merge_on_both(source, source.name, into, options, [], session)

    def remember(self) -> Callable[[], None]:
        """What puts the model back to what it is now."""
        was = [(branch, branch.head, branch.state) for branch in self.repo.branches.values()]
        known, branches, stashes = len(self.repo.commits), dict(self.repo.branches), list(self.repo.stashes)

        def put_back() -> None:
            del self.repo.commits[known:]
            self.repo.branches, self.repo.stashes = branches, stashes
            for branch, head, state in was:
                branch.head, branch.state = head, state

        return put_back

    # --- other sessions' transactions -------------------------------------------------------------------------------

    @contextmanager
    def unless_locked(self) -> Iterator[None]:
        """What waits for a transaction in flight is given up, and nothing has been done."""
        if not self.flights:
            yield
            return
        put_back = self.remember()
        for session in (self.db.conn, *self.sessions.values()):
            query(session, "SET lock_timeout = '100ms'; SET pggit.lock_timeout = '100ms'")
        try:
            yield
        except psycopg.Error as error:
            if error.sqlstate not in ("55P03", "VG401", "VG402"):
                raise
            event("given up")
            put_back()

    def is_flown(self, branch: Branch) -> bool:
        return any(flight.branch is branch for flight in self.flights)

    def gives_up(self, branch: Branch, data: st.DataObject) -> bool:
        """What moves a branch waits for its writers, in vain: once in a while is enough."""
        is_waiting = self.is_flown(branch) and branch.name != "main"
        return is_waiting and data.draw(st.integers(0, 2), label="waits") > 0

    @precondition(lambda self: len(self.flights) < MAX_FLIGHTS and self.repo.commits)
    @rule(branch=branches(), data=st.data(), count=st.integers(0, 2), repeatable=st.booleans())
    def take_off(self, branch: Branch, data: st.DataObject, count: int, repeatable: bool) -> None:
        """A transaction begins, reads, perhaps writes, and stays open."""
        session = self.db.connect(branch=None if branch.name == "main" else branch.name)
        query(session, "SET lock_timeout = '100ms'")
        session.autocommit = False
        if repeatable:
            session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        query(session, f"SELECT FROM {self.flown}")  # so that it has its snapshot, and what follows are subtransactions
        flight = Flight(branch, session, branch.state, branch.state if repeatable else None)
        self.flights.append(flight)
        self.fly(flight, data, count)

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), count=st.integers(1, 2))
    def fly_on(self, data: st.DataObject, count: int) -> None:
        """One of them writes more, on top of what others have committed since."""
        self.fly(self.a_flight(data), data, count)

    def a_flight(self, data: st.DataObject) -> Flight:
        return self.flights[data.draw(st.integers(0, len(self.flights) - 1), label="flight")]

    def fly(self, flight: Flight, data: st.DataObject, count: int) -> None:
        """Some of it in subtransactions that are undone."""
        real = self.is_real(flight.branch, self.flown)
        for _ in range(count):
            undone = data.draw(st.integers(0, 3), label="undone") == 0
            mine = flight.sees
            aims_at = mine[self.flown]
            if data.draw(st.booleans(), label="overtaken"):
                aims_at = flight.overtaken(self.flown) or aims_at
            statement = data.draw(statements({self.flown: aims_at}))
            if isinstance(statement, Truncate) or not is_possible(statement, real, self.db.version):
                continue  # a table that is truncated cannot even be read by others
            sql, cells = statement.sql()
            try:
                after, is_refused = statement.apply(mine, real), False
            except Refused:
                after, is_refused = mine, True
            if is_refused and flight.is_behind():
                continue  # PostgreSQL looks for keys among the rows that are there now, which it cannot see
            try:
                with flight.session.transaction(force_rollback=undone):
                    query(flight.session, sql, *cells)
            except psycopg.errors.LockNotAvailable:
                assert len(self.flights) > 1, f"{sql} {cells} waits, and for whom?"
                continue
            except psycopg.errors.SerializationFailure:
                assert flight.is_behind(), f"{sql} {cells}"
                continue
            except psycopg.errors.IntegrityError:
                assert is_refused or may_collide(statement, real) or flight.is_behind(), f"{sql} {cells}"
                continue
            assert not is_refused, f"{sql} {cells}"
            if not undone:
                for table in after:
                    for _, key, _, row in changes(mine, after, table):
                        flight.rows[table, key] = row
                        flight.found.setdefault((table, key), flight.branch.state[table].get(key))
        self.check_flight(flight)

    def check_flight(self, flight: Flight) -> None:
        """It sees what it wrote, and of others what its isolation level lets it see."""
        found = self.state_of(flight.session)
        for table in self.schema:
            require_same(found[table], flight.sees[table], f"{table} on {flight.branch.name} in flight")

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), keep=st.booleans())
    def land(self, data: st.DataObject, keep: bool) -> None:
        self.end_flight(self.a_flight(data), keep)

    def end_flights(self, keep: bool) -> None:
        for flight in list(self.flights):
            self.end_flight(flight, keep)

    def end_flight(self, flight: Flight, keep: bool) -> None:
        """It ends: what it wrote is pending, on whatever the branch has become."""
        self.flights.remove(flight)
        if keep:
            flight.session.commit()
            flight.branch.state = flight.over(flight.branch.state)
        flight.session.close()
        if not self.flights:
            for session in (self.db.conn, *self.sessions.values()):
                query(session, "SET lock_timeout = '30s'; RESET pggit.lock_timeout")

    # --- commits, tags, reading back --------------------------------------------------------------------------------

    def commit_in(self, branch: Branch, session: Connection) -> None:
        if self.repo.commit(branch):
            query(session, "SELECT pggit.commit('work', %s)", branch.name)
            return
        with raises("VG304"), session.transaction():
            query(session, "SELECT pggit.commit('work', %s)", branch.name)

    @rule(branch=branches())
    def commit(self, branch: Branch) -> None:
        with self.unless_locked():
            self.commit_in(branch, self.db.conn)

    @rule(commit=_commits())
    def tag(self, commit: Commit) -> None:
        name = f"v{len(self.repo.tags)}"
        if len(self.repo.tags) == 3:
            name = "v1"
            del self.repo.tags[name]
            self.db.run("SELECT pggit.delete_tag(%s)", name)
        self.repo.tags[name] = commit
        assert self.db.value("SELECT pggit.tag(%s, %s)", name, commit.id) == commit.id
        assert self.db.value("SELECT pggit.resolve_ref(%s)", name) == commit.id

    @rule(commit=_commits())
    def look_back(self, commit: Commit) -> None:
        self.check_commit(commit)

    @rule(one=_commits(), other=_commits(), data=st.data())
    def compare_commits(self, one: Commit, other: Commit, data: st.DataObject) -> None:
        table = self.a_table(data)
        self.check_diff(table, one.id, other.id, one.state, other.state)

    def a_table(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.schema)), label="table")

    @rule(branch=branches(), data=st.data())
    def compare_working(self, branch: Branch, data: st.DataObject) -> None:
        table = self.a_table(data)
        assert branch.head is not None
        self.check_diff(table, "HEAD", "WORKING", branch.head.state, branch.state, self.session(branch))
        counted = {
            (name.split(".")[-1], "insert", inserted): (updated, deleted)
            for name, inserted, updated, deleted in self.db.rows("SELECT * FROM pggit.status(%s)", branch.name)
        }
        expected = {}
        for name in self.schema:
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
            return repr((change, loosely(key), loosely(old), loosely(new)))

        expected = [
            fingerprint(
                change,
                old and self.as_json(table, old),
                new and self.as_json(table, new),
                dict(zip(shape.key, key, strict=True)),
            )
            for change, key, old, new in changes(before, after, table)
        ]
        told = {fingerprint(change, old, new, key) for change, key, old, new in found}
        assert len(told) == len(found)
        assert told == set(expected), f"told by one alone: {told ^ set(expected)}"

    @rule(branch=branches())
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
    @rule(source=branches(), materialize=_forms)
    def fork(self, source: Branch, materialize: str) -> None:
        self.create_branch(source, source.name, materialize)

    @precondition(lambda self: len(self.repo.branches) < MAX_BRANCHES)
    @rule(source=_commits(), data=st.data(), materialize=_forms)
    def fork_the_past(self, source: Commit, data: st.DataObject, materialize: str) -> None:
        source = self.overwritten(source, data)
        self.create_branch(source, source.id[:20], materialize)

    def overwritten(self, commit: Commit, data: st.DataObject) -> Commit:
        """Most often not the given commit but a new one of a branch that has written again since."""
        if data.draw(st.integers(0, 2), label="as given") == 0:
            return commit
        branch = data.draw(branches(), label="branch")
        for _ in range(data.draw(st.integers(1, 2), label="writes")):
            self.write(branch, data)
        self.commit(branch)
        self.same()
        assert branch.head is not None
        commit = branch.head
        for _ in range(data.draw(st.integers(1, 3), label="writes since")):
            self.write(branch, data)
        return commit

    def create_branch(self, source: Branch | Commit, ref: str, materialize: str) -> None:
        name = self.new_name()
        assert name
        with self.unless_locked():
            self.fork_on_both(name, source, ref, materialize, self.db.conn)

    def fork_on_both(self, name: str, source: Branch | Commit, ref: str, materialize: str, session: Connection) -> None:
        made = self.repo.fork(name, source)
        sql = "SELECT name FROM pggit.create_branch(%s, %s, 'schema', %s)"
        form = self.alone if materialize == "some" else materialize
        assert query(session, sql, name, ref, form).fetchone() == (made.name,)

    @precondition(lambda self: len(self.repo.branches) > 2)
    @rule(branch=branches())
    def delete_branch(self, branch: Branch) -> None:
        if branch.name == "main" or self.is_flown(branch):
            return
        self.session(branch).close()
        del self.sessions[branch.name]
        with self.unless_locked():
            assert self.db.value("SELECT pggit.delete_branch(%s, true)", branch.name)
            del self.repo.branches[branch.name]
            self.repo.stashes = [stash for stash in self.repo.stashes if stash.branch is not branch]

    @rule(branch=branches(), data=st.data())
    def materialize(self, branch: Branch, data: st.DataObject) -> None:
        table = self.a_table(data)
        if branch.name != "main":
            with self.unless_locked():
                self.db.run("SELECT pggit.materialize(%s, %s)", branch.name, table)

    @rule()
    def gc(self) -> None:
        """Nothing is kept but what is needed; all that is needed can still be read, also by who has begun before."""
        with self.unless_locked(), self.db.conn.transaction():
            self.db.run("SET LOCAL pggit.retention = '0s'")
            self.db.run("SELECT * FROM pggit.gc(false)")
        left = dict(self.db.rows("SELECT commit_id, collected_at IS NULL FROM pggit.commits"))
        self.lost = {commit for commit in self.repo.commits if not left.get(commit.id)}
        gone = self.repo.needed() & self.lost
        assert not gone, f"gc took {gone}, which are needed"
        for flight in self.flights:
            self.check_flight(flight)
        self.times = []

    # --- times ------------------------------------------------------------------------------------------------------

    @rule()
    def note_the_time(self) -> None:
        if self.repo.commits:
            at = self.db.value("SELECT clock_timestamp()::text FROM pg_sleep(0.001)")
            self.db.run("SELECT pg_sleep(0.001)")
            branches = dict(self.repo.branches)
            self.times.append((at, branches, {name: branch.state for name, branch in branches.items()}))

    @precondition(lambda self: self.times)
    @rule(data=st.data())
    def look_at_a_time(self, data: st.DataObject) -> None:
        """A branch at a time is what it was then, whatever it became."""
        at, branches, states = data.draw(st.sampled_from(self.times), label="time")
        name = data.draw(st.sampled_from(sorted(branches)), label="branch")
        if self.repo.branches.get(name) is branches[name]:
            for table in self.schema:
                sql = read_sql(table, f"pggit.as_of(NULL::public.{table}, %s)")
                rows = query(self.session(branches[name]), sql, at).fetchall()
                require_same(rows_of(table, rows), states[name][table], f"{table} on {name} at {at}")

    @precondition(lambda self: self.times and len(self.repo.branches) < MAX_BRANCHES)
    @rule(data=st.data(), materialize=_forms)
    def fork_a_time(self, data: st.DataObject, materialize: str) -> None:
        """What main had then and had not committed is pending on the new branch."""
        at, _, states = data.draw(st.sampled_from(self.times), label="time")
        (head,) = self.db.row("SELECT commit_id FROM pggit.resolve_time(%s, 'main')", at)
        found = [commit for commit in self.readable() if commit.id == head]
        if not found:
            return
        known = set(self.repo.branches)
        self.create_branch(found[0], at, materialize)
        for name in set(self.repo.branches) - known:
            self.repo.branches[name].state = states["main"]

    # --- stash and rebase -------------------------------------------------------------------------------------------

    @rule(branch=branches(), data=st.data())
    def stash(self, branch: Branch, data: st.DataObject) -> None:
        if self.gives_up(branch, data):
            return
        with self.unless_locked():
            stash = self.repo.stash(branch)
            if stash is None:
                with suppress_state("VG304"):
                    self.db.run("SELECT pggit.stash('aside', %s)", branch.name)
                    raise AssertionError("there was something to stash")
                return
            stash.name = self.db.value("SELECT pggit.stash('aside', %s)", branch.name)
            sql = "SELECT commit_id FROM pggit.stashes WHERE name = %s"
            stash.commit.id = self.db.value(sql, stash.name)

    @precondition(lambda self: self.repo.stashes)
    @rule(into=branches(), data=st.data())
    def unstash(self, into: Branch, data: st.DataObject) -> None:
        if self.gives_up(into, data):
            return
        stash: Stash = data.draw(st.sampled_from(self.repo.stashes), label="stash")
        with self.unless_locked():
            before = into.state
            outcome = self.repo.unstash(stash, into)
            found = self.result("SELECT * FROM pggit.unstash(%s, %s)", stash.name, into.name)
            event(f"unstash: {outcome.result}")
            self.check_outcome(outcome, found, before)
            if outcome.result == "conflicted":
                self.same()
                self.settle(outcome, into, found["merge_id"], data, partial(self.repo.unstash, stash, into))

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(branch=branches(), onto=branches(), data=st.data())
    def rebase(self, branch: Branch, onto: Branch, data: st.DataObject) -> None:
        if self.gives_up(branch, data) or branch is onto or branch.name == "main" or branch.head is None:
            return
        if self.lost & set(first_parents(branch.head)):
            return
        with self.unless_locked():
            known = len(self.repo.commits)
            outcome = self.repo.rebase(branch, onto)
            found = self.result("SELECT * FROM pggit.rebase(%s, %s)", branch.name, onto.name)
            event(f"rebase: {outcome.result}")
            assert found["result"] == outcome.result
            if outcome.result == "conflicted":
                assert found["conflicts"] == len(outcome.conflicts)
                assert self.db.value("SELECT pggit.abort_merge(%s)", found["merge_id"])
            self.name_commits(known)

    def name_commits(self, known: int) -> None:
        """Commits that no branch has any more, such as what was pending before a reset, by their order."""
        made = [commit for commit in self.repo.commits[known:] if not commit.id]
        sql = "SELECT commit_id FROM pggit.commits ORDER BY commit_no DESC LIMIT %s"
        ids = [commit_id for (commit_id,) in self.db.rows(sql, len(self.repo.commits) - known)][::-1]
        for commit, commit_id in zip(self.repo.commits[known:], ids, strict=True):
            if commit in made:
                self.identify(commit, commit_id)

    # --- merges -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(source=branches(), into=branches(), plan=st.booleans(), data=st.data(), options=_options)
    def merge(
        self, source: Branch, into: Branch, plan: bool, data: st.DataObject, options: dict[str, str | bool]
    ) -> None:
        """To and fro, both written before: most merges that are chosen freely have nothing to bring."""
        if source is into and data.draw(st.integers(0, 4), label="other") > 0:
            others = [branch for branch in self.repo.branches.values() if branch is not source]
            into = data.draw(st.sampled_from(others), label="into")
        for _ in range(data.draw(st.integers(1, 3), label="merges")):
            for branch in (source, into):
                for _ in range(data.draw(st.integers(0, 3), label="writes")):
                    self.write(branch, data)
            self.merge_from(source, source.name, into, plan, data, options)
            self.same()
            if data.draw(st.booleans(), label="fro"):
                source, into = into, source

    @precondition(lambda self: len(self.repo.branches) > 1)
    @rule(source=_commits(), into=branches(), plan=st.booleans(), data=st.data(), options=_options)
    def merge_the_past(
        self, source: Commit, into: Branch, plan: bool, data: st.DataObject, options: dict[str, str | bool]
    ) -> None:
        """A commit of any branch, also of a deleted one."""
        source = self.overwritten(source, data)
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
        if self.gives_up(into, data):
            return
        rules = self.rules_given(data)
        asked: dict[str, Any] = options | ({"rules": [rule_json(one) for one in rules]} if rules else {})
        with self.unless_locked():
            self.carry_out(source, ref, into, plan, data, asked, rules)

    def rules_given(self, data: st.DataObject) -> list[Rule]:
        return []

    def carry_out(
        self,
        source: Branch | Commit,
        ref: str,
        into: Branch,
        plan: bool,
        data: st.DataObject,
        options: dict[str, Any],
        rules: list[Rule],
    ) -> None:
        if plan:
            sql = "SELECT * FROM pggit.plan_merge(%s, %s, %s)"
            planned = self.result(sql, ref, into.name, Jsonb(options))
            self.same()
        outcome, found, go_on = self.merge_on_both(source, ref, into, options, rules)
        is_merge = outcome.result == "merged" and not options.get("squash")
        if is_merge and data.draw(st.integers(0, 3), label="once more") == 0:
            assert self.result("SELECT * FROM pggit.merge(%s, %s)", ref, into.name)["result"] == "up_to_date"
        if plan:
            for count in ("rows_inserted", "rows_updated", "rows_deleted", "conflicts", "violations"):
                assert planned[count] == found[count], count
        if outcome.result == "conflicted":
            self.same()
            self.settle(outcome, into, found["merge_id"], data, go_on)

    def merge_on_both(
        self,
        source: Branch | Commit,
        ref: str,
        into: Branch,
        options: dict[str, Any],
        rules: list[Rule],
        session: Connection | None = None,
    ) -> tuple[Outcome, dict[str, Any], Callable[..., Outcome]]:
        """What the model says, what the server says, and how the model goes on when conflicts are resolved."""
        before = into.state
        squash, fast_forward = bool(options.get("squash")), options.get("fast_forward") != "never"
        on_conflict = str(options.get("on_conflict", "stop"))
        go = partial(self.repo.merge, source, into, fast_forward=fast_forward, squash=squash, rules=rules)
        outcome = go(on_conflict=on_conflict)
        sql = "SELECT * FROM pggit.merge(%s, %s, 'merge', %s)"
        found = self.result(sql, ref, into.name, Jsonb(options), session=session)
        note(f"model {outcome.result}, server {found}")
        event(f"merge: {outcome.result}")
        self.outcomes[outcome.result] += 1
        self.check_outcome(outcome, found, before, open_conflicts="on_conflict" not in options)
        return outcome, found, go

    def come_together(self) -> None:
        """At the end of a history main gets what every branch has."""
        main = self.repo.branches["main"]
        for branch in self.repo.branches.values():
            if branch is not main and callable(self.merge):
                self.merge_on_both(branch, branch.name, main, {"on_conflict": "ours"}, [])
        self.same()

    @rule(commit=_commits(), into=branches(), data=st.data(), back=st.booleans(), on_conflict=_on_conflict)
    def replay(self, commit: Commit, into: Branch, data: st.DataObject, back: bool, on_conflict: str) -> None:
        """Revert (back) or pick one commit, against any of its parents."""
        commit = self.overwritten(commit, data)
        if not commit.parents or self.gives_up(into, data):
            return
        parent = data.draw(st.integers(1, len(commit.parents)), label="parent")
        other = commit.parents[parent - 1]
        if other in self.lost:
            return
        base, theirs = (commit, other) if back else (other, commit)
        rules = [] if back else self.repo.kept_rules()
        with self.unless_locked():
            self.replay_between(commit, base, theirs, into, data, back, on_conflict, parent, rules)

    def replay_between(
        self,
        commit: Commit,
        base: Commit,
        theirs: Commit,
        into: Branch,
        data: st.DataObject,
        back: bool,
        on_conflict: str,
        parent: int,
        rules: list[Rule],
    ) -> None:
        before = into.state
        go = partial(self.repo.replay, base, theirs, into, rules=rules)
        outcome = go(on_conflict=on_conflict)
        sql = f"SELECT * FROM pggit.{'revert' if back else 'cherry_pick'}(%s, %s, %s)"
        options = Jsonb({"parent": parent, "on_conflict": on_conflict})
        found = self.result(sql, commit.id[:20], into.name, options)
        note(f"model {outcome.result}, server {found}")
        event(f"{'revert' if back else 'cherry-pick'}: {outcome.result}")
        self.check_outcome(outcome, found, before, open_conflicts=on_conflict == "stop")
        if outcome.result == "conflicted":
            self.same()
            self.settle(outcome, into, found["merge_id"], data, go)

    @rule(branch=branches(), commit=_commits(), hard=st.booleans(), data=st.data())
    def reset(self, branch: Branch, commit: Commit, hard: bool, data: st.DataObject) -> None:
        if hard and self.gives_up(branch, data):
            return
        with self.unless_locked():
            known = len(self.repo.commits)
            self.repo.reset(branch, commit, hard=hard)
            sql = "SELECT pggit.reset(%s, %s, %s)"
            assert self.db.value(sql, branch.name, commit.id, "hard" if hard else "soft") == commit.id
            self.name_commits(known)

    def result(self, sql: str, *args: object, session: Connection | None = None) -> dict[str, Any]:
        cursor = query(session or self.db.conn, sql, *args)
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
            assert list(violations(self.schema, outcome.planned)) == []

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
                   FROM pggit.merge_conflicts WHERE merge_id = %s AND resolution IS NULL"""
        listed = self.db.rows(sql, merge_id)
        ids = {
            (kind, name, tuple(from_json(name, column, key[column]) for column in SCHEMA[name].key), column): i
            for i, kind, name, key, column in (
                (i, kind, table.split(".")[-1], key, column) for i, kind, table, key, column, *_ in listed
            )
        }
        assert len(ids) == len(listed)
        wanted = {(c.kind, c.table, c.key, c.column): c for c in outcome.conflicts}
        assert set(ids) == set(wanted)
        values = {
            i: tuple(map(loosely, sides)) for i, *_, base, ours, theirs in listed for sides in [(base, ours, theirs)]
        }
        for name, conflict in wanted.items():
            sides = (conflict.base, conflict.ours, conflict.theirs)
            assert values[ids[name]] == tuple(loosely(self.cell_json(conflict, side)) for side in sides), name

        if data.draw(st.booleans(), label="abort"):
            assert self.db.value("SELECT pggit.abort_merge(%s)", merge_id)
            return
        resolutions = self.resolve(merge_id, [(ids[name], conflict) for name, conflict in wanted.items()], data)
        before = target.state
        with self.unless_locked():
            again = go_on(resolutions=resolutions)
            found = self.result("SELECT * FROM pggit.continue_merge(%s)", merge_id)
            note(f"model {again.result}, server {found}")
            event(f"resolved: {again.result}")
            self.check_resolved(again, found, before)

    def check_resolved(self, again: Outcome, found: dict[str, Any], before: State) -> None:
        assert found["result"] == again.result
        if again.result == "merged":
            assert again.planned is not None
            assert count_changes(before, again.planned) == {
                "insert": found["rows_inserted"],
                "update": found["rows_updated"],
                "delete": found["rows_deleted"],
            }

    def resolve(
        self, merge_id: str, conflicts: list[tuple[str, Conflict]], data: st.DataObject
    ) -> dict[Conflict, tuple[str, Any]]:
        """One by one, or all of a table or a column at once, and then one more by itself."""
        resolutions: dict[Conflict, tuple[str, Any]] = {}
        by = data.draw(st.sampled_from(["each", "table", "column", "all"]), label="resolved by")
        if by != "each":
            side = data.draw(st.sampled_from(["ours", "theirs", "base"]), label="side")
            one = data.draw(st.sampled_from([conflict for _, conflict in conflicts]), label="conflict")
            table = None if by == "all" else one.table
            column = one.column if by == "column" else None
            meant = [
                conflict
                for _, conflict in conflicts
                if table in (None, conflict.table) and column in (None, conflict.column)
            ]
            sql = "SELECT pggit.resolve_conflicts(%s, %s, %s, %s)"
            count = self.db.value(sql, merge_id, side, table and f"public.{table}", column)
            assert count == len(meant)
            resolutions |= dict.fromkeys(meant, (side, None))
        for conflict_id, conflict in conflicts:
            if conflict in resolutions:
                continue
            label = f"resolution of {conflict.table} {conflict.key} {conflict.column}"
            how = data.draw(st.sampled_from(["ours", "theirs", "base", "value"]), label=label)
            value = self.draw_value(conflict, data) if how == "value" else None
            if how == "value" and value is None:
                how = "ours"
            resolutions[conflict] = (how, value)
            given = None
            if how == "value":
                given = Jsonb(self.cell_json(conflict, value), dumps=partial(json.dumps, default=float))
            self.db.run("SELECT pggit.resolve_conflict(%s, %s, %s, %s)", merge_id, conflict_id, how, given)
        return resolutions

    def draw_value(self, conflict: Conflict, data: st.DataObject) -> Any:
        types = SCHEMA[conflict.table].columns
        if conflict.column is not None:
            return self.as_given(types[conflict.column], data.draw(VALUES[conflict.table, conflict.column]))
        row = conflict.ours or conflict.theirs
        drawn = (*row[:-1], data.draw(VALUES[conflict.table, list(types)[-1]]))
        given = [self.as_given(name, cell) for name, cell in zip(types.values(), drawn, strict=True)]
        # In a whole row null is NULL, also of a json.
        return tuple(
            None if name in ("json", "jsonb") and cell == "null" else cell
            for name, cell in zip(types.values(), given, strict=True)
        )

    def as_given(self, type_name: str, cell: Any) -> Any:
        """A value is given as jsonb, which keeps of a json what it says and not how it is written."""
        return self.db.value("SELECT %s::jsonb::text", cell) if type_name == "json" and cell is not None else cell

    # --- rows as JSON -----------------------------------------------------------------------------------------------

    def as_json(self, table: str, row: Iterable[Any]) -> dict[str, Any]:
        """A model row as to_jsonb shows it."""
        types = SCHEMA[table].columns.items()
        return {column: self.json_of(name, cell) for (column, name), cell in zip(types, row, strict=True)}

    def json_of(self, type_name: str, cell: Any) -> Any:
        """As to_jsonb shows it. Only the server knows that of its types, and a json is not one value for it."""
        if cell is None or (type_name in PLAIN and type_name != "jsonb"):
            return list(cell) if isinstance(cell, tuple) else cell
        if type_name == "jsonb":
            return json.loads(cell)
        if type_name == "json":
            return json.loads(cell)
        if (type_name, cell) not in self.known_json:
            self.known_json[type_name, cell] = self.db.value(f"SELECT to_jsonb(%s::text::{type_name})", cell)
        return self.known_json[type_name, cell]

    def cell_json(self, conflict: Conflict, value: Any) -> Any:
        if value is None:
            return None
        if conflict.column is None:
            return self.as_json(conflict.table, value)
        return self.json_of(SCHEMA[conflict.table].columns[conflict.column], value)


def from_json(table: str, column: str, cell: Any) -> Any:
    """A cell of a key out of JSON."""
    return Decimal(str(cell)) if SCHEMA[table].columns[column] == "numeric" else cell


def rule_json(one: Rule) -> dict[str, Any]:
    given = {"table": one.table, "column": one.column, "rule": one.rule, "by": one.by, "expression": one.expression}
    return {name: value for name, value in given.items() if value is not None}


def require_same(found: Mapping[Any, Row], wanted: Mapping[Any, Row], what: str) -> None:
    differing = {key: (found.get(key), wanted.get(key)) for key in found.keys() | wanted.keys()}
    differing = {key: sides for key, sides in differing.items() if sides[0] != sides[1]}
    if differing:
        raise DiffersError(f"{what}: the server has (the model has) {differing}")


@contextmanager
def suppress_state(sqlstate: str) -> Iterator[None]:
    """The block may be refused with this SQLSTATE."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate != sqlstate:
            raise


def raises_gone() -> Any:
    """What gc took is refused and never read as something else."""
    return pytest.RaisesExc(psycopg.Error, check=lambda error: error.sqlstate in ("VG306", "VG001", "VG002"))


def loosely(value: Any) -> str:
    """A JSON value for comparison, where 7, 7.0 and 7.00 are the same number."""
    return json.dumps(_with_floats(value), sort_keys=True)


def _with_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_floats(inner) for inner in value]
    return float(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value
