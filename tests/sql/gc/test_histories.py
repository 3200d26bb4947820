"""Random histories on two databases, one of which collects: all that stays readable reads the same, and what is done
later comes out the same."""

from __future__ import annotations

import itertools
import json
import random
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from fixtures.postgres import Connection, Database, Servers, query
from postgres import Server

KEYS = range(1, 7)
NAMES = ["b1", "b2", "b3"]
RESULT = "result, rows_inserted, rows_updated, rows_deleted, conflicts, violations"


class Twins:
    """One history in two databases: `lean` runs gc, `whole` does not. A commit has the same number in both."""

    def __init__(self, lean: Database, whole: Database) -> None:
        self.lean, self.whole, self.rng = lean, whole, random.Random(0)
        self.ids: list[tuple[str, str]] = []
        self.parents: list[list[int]] = []
        self.first = 0
        self.last = (0, 0)
        self.states: dict[int, Any] = {}
        self.sessions: dict[tuple[Database, str], Connection] = {}
        self.branches = ["main"]
        self.tags: list[str] = []
        self.stashes = 0
        self.waiting: list[tuple[Any, Any]] = []
        self.readable: set[int] = set()
        self.in_flight: tuple[Connection, Connection] | None = None
        self.collected_rows = 0
        self.log: list[str] = []
        for db in (lean, whole):
            db.run(f'ALTER DATABASE "{db.name}" SET jit = off; SET jit = off')
            db.run("""
                CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer);
                INSERT INTO t SELECT i, 0, 0 FROM generate_series(1, 4) AS i;
                SELECT pggit.track_schema('public')""")
            db.run("SELECT pggit.commit('first')")
        self.see_commits()

    # --- both databases -------------------------------------------------------------------------------------------

    def both(self, sql: str, *args: Any, refs: tuple[int, ...] = ()) -> list[Any] | None:
        """The same rows in both; None when lean says that it does not have the rows of these commits any more."""
        self.log.append(f"{sql} {args} {refs}")
        answers = []
        for side, db in enumerate((self.lean, self.whole)):
            given = [self.ids[arg.number][side] if isinstance(arg, Number) else arg for arg in args]
            try:
                answers.append(db.rows(sql, *given))
            except psycopg.Error as error:
                answers.append([(error.sqlstate,)])
            if answers == [[("VG306",)]]:
                assert not self.readable.issuperset(refs), f"{sql} {args}"
                return None
        assert answers[0] == answers[1], f"{sql} {args}"
        self.see_commits()
        return answers[0]

    def see_commits(self) -> None:
        sql = "SELECT commit_id, commit_no, parents FROM pggit.commits WHERE commit_no > %s ORDER BY commit_no"
        found = []
        for side, db in enumerate((self.lean, self.whole)):
            last = self.last[side]
            found.append(db.rows(sql, last))
        assert len(found[0]) == len(found[1])
        if found[0]:
            self.last = (found[0][-1][1], found[1][-1][1])
        for one, other in zip(*found, strict=True):
            self.readable.add(len(self.ids))
            self.parents.append([[real for _, real in self.ids].index(parent) for parent in other[2]])
            self.ids.append((one[0], other[0]))

    def session(self, db: Database, branch: str) -> Connection:
        if (db, branch) not in self.sessions:
            self.sessions[db, branch] = db.connect(branch=None if branch == "main" else branch)
        return self.sessions[db, branch]

    def a_commit(self) -> Number:
        """One that can be read, of this history rather than of those before it."""
        return Number(self.rng.choice([n for n in sorted(self.readable) if n >= self.first] or sorted(self.readable)))

    def same_branches(self) -> None:
        for branch in self.branches:
            sessions = [self.session(db, branch) for db in (self.lean, self.whole)]
            lean, whole = (query(session, "SELECT * FROM t ORDER BY id").fetchall() for session in sessions)
            assert lean == whole, branch

    def same_pending(self) -> None:
        for branch in self.branches:
            lean, whole = (db.rows("SELECT * FROM pggit.status(%s)", branch) for db in (self.lean, self.whole))
            assert lean == whole, branch

    def state(self, number: int) -> Any:
        if number not in self.states:
            sql = "SELECT * FROM pggit.as_of(NULL::public.t, %s) ORDER BY id"
            self.states[number] = self.whole.rows(sql, self.ids[number][1])
        return self.states[number]

    # --- what is done ---------------------------------------------------------------------------------------------

    def write(self) -> None:
        branch, rng = self.rng.choice(self.branches), self.rng
        statements = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            key, value = rng.choice(KEYS), rng.randrange(4)
            statements.append(
                rng.choice(
                    [
                        f"INSERT INTO t SELECT {key}, {value}, 0 WHERE NOT EXISTS (SELECT FROM t WHERE id = {key})",
                        f"UPDATE t SET a = {value} WHERE id = {key}",
                        f"UPDATE t SET b = {value} WHERE id <= {key}",
                        f"DELETE FROM t WHERE id = {key}",
                    ]
                )
            )
        self.log.append(f"{branch}: {statements}")
        for db in (self.lean, self.whole):
            with suppress(psycopg.errors.LockNotAvailable), self.session(db, branch).transaction():
                for statement in statements:
                    query(self.session(db, branch), statement)

    def fly(self) -> None:
        """A transaction that stays open over what comes next."""
        if self.in_flight:
            keep = self.rng.random() < 0.7
            self.log.append(f"in flight ends {keep}")
            for session in self.in_flight:
                query(session, "COMMIT" if keep else "ROLLBACK")
            self.in_flight = None
            return
        sessions = [db.connect() for db in (self.lean, self.whole)]
        key = self.rng.choice([7, 8])
        statements = ["BEGIN", f"INSERT INTO t VALUES ({key}, 1, 1) ON CONFLICT (id) DO UPDATE SET a = t.a + 1"]
        self.log.append(f"in flight {key}")
        for session, statement in itertools.product(sessions, statements):
            query(session, statement)
        self.in_flight = (sessions[0], sessions[1])

    def commit(self) -> None:
        self.both("SELECT length(pggit.commit('work', %s))", self.rng.choice(self.branches))

    def tag(self) -> None:
        if self.tags and self.rng.random() < 0.4:
            self.both("SELECT pggit.delete_tag(%s)", self.tags.pop(self.rng.randrange(len(self.tags))))
            return
        commit, name = self.a_commit(), f"v{len(self.log)}"
        self.tags.append(name)
        assert self.both("SELECT length(pggit.tag(%s, %s))", name, commit, refs=(commit.number,)) == [(64,)]

    def branch(self) -> None:
        name = next((name for name in NAMES if name not in self.branches), None)
        if name is None:
            self.delete()
            return
        form = self.rng.choice(["none", "all"])
        sql = "SELECT name FROM pggit.create_branch(%s, %s, 'schema', %s)"
        if self.rng.random() < 0.5:
            made = self.both(sql, name, self.rng.choice(self.branches), form)
        else:
            commit = self.a_commit()
            made = self.both(sql, name, commit, form, refs=(commit.number,))
        assert made == [(name,)]
        self.branches.append(name)

    def delete(self) -> None:
        name = self.rng.choice(self.branches)
        if name == "main":
            return
        for db in (self.lean, self.whole):
            if (db, name) in self.sessions:
                self.sessions.pop((db, name)).close()
        self.both("SELECT pggit.delete_branch(%s, true)", name)
        self.branches.remove(name)

    def materialize(self) -> None:
        name = self.rng.choice(self.branches)
        if name != "main":
            self.both("SELECT pggit.materialize(%s, 't')", name)

    def merge(self) -> None:
        into = self.rng.choice(self.branches)
        options: dict[str, Any] = dict(self.rng.choice([{}, {"fast_forward": "never"}, {"squash": True}]))
        if self.rng.random() < 0.8:
            options["on_conflict"] = self.rng.choice(["ours", "theirs"])
        source: Any = self.rng.choice(self.branches) if self.rng.random() < 0.75 else self.a_commit()
        refs = (source.number,) if isinstance(source, Number) else ()
        found = self.both(
            f"SELECT {RESULT} FROM pggit.merge(%s, %s, 'merge', %s)", source, into, json.dumps(options), refs=refs
        )
        assert found is not None
        if found[0][0] == "conflicted":
            sql = "SELECT merge_id FROM pggit.merges ORDER BY created_at DESC LIMIT 1"
            self.waiting.append((self.lean.value(sql), self.whole.value(sql)))

    def settle(self) -> None:
        if not self.waiting:
            return
        ids = self.waiting.pop(self.rng.randrange(len(self.waiting)))
        side = self.rng.choice(["ours", "theirs"])
        found = []
        for db, merge_id in zip((self.lean, self.whole), ids, strict=True):
            try:
                db.run("SELECT pggit.resolve_conflicts(%s, %s)", merge_id, side)
                found.append(db.rows(f"SELECT {RESULT} FROM pggit.continue_merge(%s)", merge_id))
            except psycopg.Error as error:
                found.append([(error.sqlstate,)])
        self.log.append(f"settled {side} {found}")
        assert found[0] == found[1]
        self.see_commits()

    def replay(self) -> None:
        commit, into = self.a_commit(), self.rng.choice(self.branches)
        parents = self.parents[commit.number]
        if not parents:
            return
        which = self.rng.randrange(len(parents))
        options = json.dumps({"parent": which + 1, "on_conflict": self.rng.choice(["ours", "theirs"])})
        verb = self.rng.choice(["revert", "cherry_pick"])
        sql = f"SELECT {RESULT} FROM pggit.{verb}(%s, %s, %s)"
        self.both(sql, commit, into, options, refs=(commit.number, parents[which]))

    def reset(self) -> None:
        commit = self.a_commit()
        sql = "SELECT length(pggit.reset(%s, %s, %s))"
        mode = self.rng.choice(["hard", "hard", "soft"])
        self.both(sql, self.rng.choice(self.branches), commit, mode, refs=(commit.number,))

    def stash(self) -> None:
        branch = self.rng.choice(self.branches)
        if self.rng.random() < 0.5:
            self.both("SELECT pggit.stash(NULL, %s)", branch)
        else:
            names = self.whole.rows("SELECT name FROM pggit.stashes ORDER BY stash_no")
            if names:
                self.both(f"SELECT {RESULT} FROM pggit.unstash(%s, %s)", self.rng.choice(names)[0], branch)

    def compare(self) -> None:
        one, other = self.a_commit(), self.a_commit()
        sql = "SELECT change, key, old_row, new_row FROM pggit.diff_rows('t', %s, %s)"
        assert self.both(sql, one, other, refs=(one.number, other.number)) is not None

    def blame(self) -> None:
        """What blame says after gc is what it says without, or nothing."""
        number = self.a_commit().number
        sql = "SELECT key, column_name, value, commit_id, db_role FROM pggit.blame('t', NULL, %s)"
        lean, whole = self.lean.rows(sql, self.ids[number][0]), self.whole.rows(sql, self.ids[number][1])
        known = dict(self.ids)
        for mine, real in zip(lean, whole, strict=True):
            assert mine[:3] == real[:3]
            assert mine[3] is None or known[mine[3]] == real[3]
            assert mine[4] is None or mine[4] == real[4]

    # --- gc ---------------------------------------------------------------------------------------------------------

    def needed(self, recent: set[int]) -> set[int]:
        """The rule said slowly: what is named, and the best common ancestors of any two, again and again."""
        numbers = {real: n for n, (_, real) in enumerate(self.ids)}
        above: dict[int, set[int]] = {}
        for number in range(len(self.ids)):
            above[number] = {number}.union(*(above[p] for p in self.parents[number]))
        named = {
            numbers[i]
            for (i,) in self.whole.rows("""
                SELECT head FROM pggit.branches WHERE deleted_at IS NULL
                UNION SELECT commit_id FROM pggit.tags
                UNION SELECT commit_id FROM pggit.stashes
                UNION SELECT c.parents[1] FROM pggit.stashes JOIN pggit.commits AS c USING (commit_id)
                UNION SELECT source_commit FROM pggit.merges AS m JOIN pggit.branches AS b ON branch_id = target_id
                       WHERE m.result = 'conflicted' AND b.deleted_at IS NULL
                UNION SELECT c.parents[1] FROM pggit.merges AS m JOIN pggit.branches AS b ON branch_id = target_id
                        JOIN pggit.commits AS c ON c.commit_id = m.source_commit
                       WHERE m.result = 'conflicted' AND m.kind = 'unstash' AND b.deleted_at IS NULL""")
        }
        found = named | recent
        while True:
            more = set(found)
            for one, other in itertools.combinations(sorted(found), 2):
                common = above[one] & above[other]
                more |= {c for c in common if not any(c in above[d] for d in common if d != c)}
            if more == found:
                return found
            found = more

    def gc(self) -> None:
        keep = self.rng.choice(["nothing", "nothing", "some", "all"])
        readable = set(self.readable)
        with self.lean.conn.transaction():
            since = "now()"
            if keep == "some":
                commit_id = self.ids[self.a_commit().number][0]
                since = f"(SELECT committed_at FROM pggit.commits WHERE commit_id = '{commit_id}')"
            setting = "'infinity'" if keep == "all" else f"(now() - {since})::text"
            self.lean.run(f"SELECT set_config('pggit.retention', {setting}, true)")
            cutoff = self.lean.value("SELECT pggit._kept_since()::text")
            sql = "SELECT commit_id FROM pggit.commits WHERE committed_at >= %s::text::timestamptz"
            recent = {i for (i,) in self.lean.rows(sql, cutoff)}
            planned = self.lean.rows("SELECT * FROM pggit.gc()")
            assert self.lean.rows("SELECT * FROM pggit.gc(false)") == planned
            assert self.lean.rows("SELECT * FROM pggit.gc(false)") == []
            self.collected_rows += sum(rows for object_, rows, *_ in planned if object_ == "public.t")
        left = dict(self.lean.rows("SELECT commit_id, collected_at IS NULL FROM pggit.commits"))
        self.readable = {n for n, (i, _) in enumerate(self.ids) if left.get(i)}
        needed = self.needed({n for n, (i, _) in enumerate(self.ids) if i in recent}) & readable
        self.log.append(f"gc {keep}: {planned}; readable {sorted(self.readable)}, needed {sorted(needed)}")
        assert needed <= self.readable <= readable
        if keep == "nothing":
            assert needed == self.readable
        elif keep == "all":
            assert readable == self.readable
        self.same_states()
        self.same_pending()

    def same_states(self) -> None:
        sql = "SELECT * FROM pggit.as_of(NULL::public.t, %s) ORDER BY id"
        for number in self.readable:
            assert self.lean.rows(sql, self.ids[number][0]) == self.state(number), number
        for number, (mine, _) in enumerate(self.ids):
            if number not in self.readable and self.rng.random() < 0.1:
                with pytest.raises(psycopg.Error) as refused:
                    self.lean.rows(sql, mine)
                assert refused.value.sqlstate in ("VG306", "VG002")

    def begin(self, seed: int) -> None:
        """Another history, which starts with what the one before left on main."""
        self.rng, self.log, self.first = random.Random(seed), [], len(self.ids) - 1
        if self.in_flight:
            self.fly()
        for db, merge_id in (
            (db, ids[side]) for ids in self.waiting for side, db in enumerate((self.lean, self.whole))
        ):
            db.run(
                "SELECT pggit.abort_merge(%s) FROM pggit.merges WHERE merge_id = %s AND finished_at IS NULL",
                merge_id,
                merge_id,
            )
        self.waiting.clear()
        for (db, branch), session in list(self.sessions.items()):
            if branch != "main":
                session.close()
                del self.sessions[db, branch]
        for name in self.branches[1:]:
            self.both("SELECT pggit.delete_branch(%s, true)", name)
        for name in self.tags:
            self.both("SELECT pggit.delete_tag(%s)", name)
        self.branches, self.tags = ["main"], []
        self.both("DELETE FROM pggit.stashes RETURNING 1")

    def run(self, steps: int) -> None:
        often = [self.write, self.commit, self.merge, self.gc]
        sometimes = [self.branch, self.replay, self.reset, self.stash, self.tag, self.fly, self.compare, self.settle]
        seldom = [self.blame, self.delete, self.materialize]
        for db in (self.lean, self.whole):
            db.run("SET lock_timeout = '100ms'; SET pggit.lock_timeout = '100ms'")
        for _ in range(steps):
            self.rng.choice(self.rng.choice([often] * 7 + [sometimes] * 4 + [seldom]))()
            self.same_branches()
        self.gc()
        assert self.lean.rows("SELECT * FROM pggit.verify()") == []


class Number:
    """A commit as an argument of a statement."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"<{self.number}>"


def test_what_is_readable_reads_the_same_and_later_merges_come_out_the_same(
    servers: Servers, server: Server, pytestconfig: pytest.Config
) -> None:
    first, count = pytestconfig.getoption("--gc-first"), pytestconfig.getoption("--gc-histories")
    lean, whole = (servers.create(server.version, template=servers.template(server.version)) for _ in range(2))
    twins = Twins(lean, whole)
    try:
        for seed in range(first, first + count):
            twins.begin(seed)
            twins.run(16)
    except BaseException:
        print(*twins.log, sep="\n")
        raise
    finally:
        servers.drop(lean)
        servers.drop(whole)
    assert twins.collected_rows > count
