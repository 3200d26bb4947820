# ruff: noqa: E501 - SQL is not wrapped, and there are no secrets
"""Random histories of a table without a key, next to a model that counts."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query
from model.counts import Graph, Rows, merged

TABLE = '"odd \' %"'
COLUMNS = 'v::text, "n %s"::text'
NAMES = ["main", "b1", "b2", "b3"]


class History:
    def __init__(self, db: Database, seed: int) -> None:
        self.db, self.rng = db, random.Random(seed)
        self.graph = Graph()
        self.heads: dict[str, str] = {}
        self.working: dict[str, Rows] = {}
        self.sessions: dict[str, Connection] = {}
        self.stashes: list[tuple[str, str]] = []
        self.log: list[str] = []
        self.open: tuple[Connection, Rows] | None = None
        self.lost: set[str] = set()
        self.stash_commits: dict[str, str] = {}
        db.run(
            f'SET jit = off; ALTER DATABASE "{db.name}" SET jit = off; ALTER DATABASE "{db.name}" SET pggit.retention = \'infinity\''
        )
        db.run(f"""CREATE TABLE {TABLE} (v json, "n %s" integer);
                   INSERT INTO {TABLE} VALUES ('1', 1), ('1', 1), ('1 ', NULL);
                   SELECT pggit.track_schema('public')""")  # fmt: skip
        self.sessions["main"] = db.connect()
        self.working["main"] = self.now("main")
        self.heads["main"] = db.value("SELECT pggit.commit('first')")
        self.graph.parents[self.heads["main"]] = []
        self.graph.rows[self.heads["main"]] = self.working["main"].copy()

    # --- what is there --------------------------------------------------------------------------------------------

    def now(self, branch: str) -> Rows:
        return Counter(query(self.sessions[branch], f"SELECT {COLUMNS} FROM {TABLE}").fetchall())

    def as_of(self, ref: str) -> Rows:
        sql = f"SELECT {COLUMNS} FROM pggit.as_of(NULL::public.{TABLE}, ".replace("%", "%%") + "%s)"
        return Counter(self.db.rows(sql, ref))

    def check(self) -> None:
        for branch, rows in self.working.items():
            assert self.now(branch) == rows, branch
            (change,) = self.db.rows("SELECT inserted, updated, deleted FROM pggit.status(%s)", branch) or [(0, 0, 0)]
            assert change == self.change(self.graph.rows[self.heads[branch]], rows), branch
            assert (
                self.db.value("SELECT head FROM pggit.branches WHERE name = %s AND deleted_at IS NULL", branch)
                == self.heads[branch]
            )

    def check_commits(self, commits: list[str]) -> None:
        for commit in commits:
            assert self.as_of(commit) == self.graph.rows[commit], commit

    @staticmethod
    def change(before: Rows, after: Rows) -> tuple[int, int, int]:
        return ((after - before).total(), 0, (before - after).total())

    # --- what is done ---------------------------------------------------------------------------------------------

    def do(self, sql: str, *args: Any, session: str = "main") -> list[tuple[Any, ...]]:
        self.log.append(f"{session}: {sql} {args}")
        return query(self.sessions[session], sql, *args).fetchall()

    def note(self, commit: str, rows: Rows) -> str:
        self.graph.parents[commit] = self.db.value("SELECT parents FROM pggit.commits WHERE commit_id = %s", commit)
        self.graph.rows[commit] = rows.copy()
        return commit

    def settled(self, branch: str) -> None:
        """What was pending on a branch has been committed, if anything was."""
        if self.working[branch] != self.graph.rows[self.heads[branch]]:
            (commit,) = self.db.rows(
                "SELECT commit_id FROM pggit.commits WHERE parents = ARRAY[%s] AND commit_id <> ALL (%s) AND branch_id = (SELECT branch_id FROM pggit.branches WHERE name = %s AND deleted_at IS NULL) ORDER BY commit_no LIMIT 1",
                self.heads[branch], list(self.graph.parents), branch,
            )[0]  # fmt: skip
            self.heads[branch] = self.note(commit, self.working[branch])

    def write(self) -> None:
        branch = self.rng.choice(list(self.working))
        v, w, n = (
            self.rng.choice(["'1'", "'1 '", "'{}'", "NULL"]),
            self.rng.choice(["'1'", "'2'"]),
            self.rng.randint(1, 2),
        )
        same = f"v::text IS NOT DISTINCT FROM {v}"
        statement = self.rng.choice([
            f"INSERT INTO {TABLE} SELECT {v}, {n} FROM generate_series(1, {self.rng.randint(1, 3)})",
            f"INSERT INTO {TABLE} SELECT {v}, {n} FROM generate_series(1, {self.rng.randint(1, 3)})",
            f"INSERT INTO {TABLE} SELECT * FROM {TABLE} LIMIT 2",
            f"DELETE FROM {TABLE} WHERE ctid IN (SELECT ctid FROM {TABLE} WHERE {same} LIMIT 1)",
            f"DELETE FROM {TABLE} WHERE {same}",
            f'UPDATE {TABLE} SET v = {w}, "n %s" = {n} WHERE {same}',
            f'UPDATE {TABLE} SET "n %s" = "n %s" WHERE {same}',
            f"UPDATE {TABLE} SET v = {w} WHERE ctid IN (SELECT ctid FROM {TABLE} WHERE {same} LIMIT 1)",
            f"TRUNCATE {TABLE}",
            f"WITH gone AS (DELETE FROM {TABLE} WHERE {same} RETURNING *) INSERT INTO {TABLE} SELECT {w}, {n} FROM gone",
            f"BEGIN; INSERT INTO {TABLE} VALUES ({v}, {n}); SAVEPOINT s; DELETE FROM {TABLE}; ROLLBACK TO s; UPDATE {TABLE} SET v = {w} WHERE {same}; COMMIT",
        ])  # fmt: skip
        if statement.startswith("TRUNCATE") and self.open:
            return
        self.log.append(f"{branch}: {statement}")
        self.sessions[branch].execute(statement.encode())
        self.working[branch] = self.now(branch)

    def begin(self) -> None:
        """A writer of main that is in flight for a while; nobody else touches its rows."""
        if self.open:
            session, rows = self.open
            session.execute("COMMIT")
            self.open = None
            self.working["main"] = self.working["main"] + rows
            self.log.append("main: the writer in flight commits")
        else:
            session = self.db.connect()
            n = self.rng.randint(7, 8)
            session.execute(f"BEGIN; INSERT INTO {TABLE} VALUES ('1', {n}), ('1', {n})".encode())
            self.open = session, Counter({("1", str(n)): 2})
            self.log.append("main: a writer in flight")

    def commit(self) -> None:
        branch = self.rng.choice(list(self.working))
        ((commit,),) = self.do("SELECT pggit.commit('next', %s, p_allow_empty => true)", branch)
        self.heads[branch] = self.note(commit, self.working[branch])

    def branch(self) -> None:
        name = next((name for name in NAMES if name not in self.working), None)
        if name is None:
            name = self.rng.choice(NAMES[1:])
            self.sessions.pop(name).close()
            self.do("SELECT pggit.delete_branch(%s, true)", name)
            del self.working[name]
            self.stashes = [(stash, branch) for stash, branch in self.stashes if branch != name]
            return
        source = self.rng.choice([*self.working, self.a_commit()])
        self.do(
            "SELECT pggit.create_branch(%s, %s, 'schema', %s)", name, source, self.rng.choice(["none", "auto", "all"])
        )
        if source in self.working:
            self.settled(source)
        self.heads[name] = self.heads.get(source, source) if source in self.working else source
        self.working[name] = self.graph.rows[self.heads[name]].copy()
        self.sessions[name] = self.db.connect(branch=name)

    def merge(self) -> None:
        source, target = self.rng.choice(list(self.working)), self.rng.choice(list(self.working))
        forward = self.rng.choice(["auto", "never"])
        planned = None
        if self.rng.random() < 0.3:
            planned = self.do("SELECT rows_inserted, rows_deleted FROM pggit.plan_merge(%s, %s)", source, target)[0]
        ((result, commit, inserted, deleted),) = self.do(
            "SELECT result, commit_id, rows_inserted, rows_deleted FROM pggit.merge(%s, %s, NULL, %s)", source, target, f'{{"fast_forward": "{forward}"}}',
        )  # fmt: skip
        if planned:
            assert planned == (inserted, deleted)
        self.settled(source)
        self.settled(target)
        if source == target or self.heads[source] in self.graph.ancestors(self.heads[target]):
            assert result == "up_to_date"
            return
        bases = self.graph.bases(self.heads[source], self.heads[target])
        rows = merged(self.graph.base(bases), self.working[target], self.working[source])
        assert (inserted, 0, deleted) == self.change(self.working[target], rows), (source, target)
        assert result == ("fast_forward" if forward == "auto" and bases == [self.heads[target]] else "merged")
        self.working[target] = rows
        self.heads[target] = commit if result == "fast_forward" else self.note(commit, rows)

    def step(self, target: str, base: Rows, theirs: Rows, result: str, commit: str | None) -> None:
        rows = merged(base, self.working[target], theirs)
        if rows == self.working[target]:
            assert result == "up_to_date"
        else:
            assert result == "merged"
            assert commit is not None
            self.working[target] = rows
            self.heads[target] = self.note(commit, rows)

    def pick(self) -> None:
        target = self.rng.choice(list(self.working))
        commit = self.a_commit()
        if not self.graph.parents[commit] or self.graph.parents[commit][0] in self.lost:
            return
        parent = self.graph.rows[self.graph.parents[commit][0]]
        kind = self.rng.choice(["revert", "cherry_pick"])
        ((result, made),) = self.do(f"SELECT result, commit_id FROM pggit.{kind}(%s, %s)", commit, target)
        self.settled(target)
        base, theirs = (self.graph.rows[commit], parent) if kind == "revert" else (parent, self.graph.rows[commit])
        self.step(target, base, theirs, result, made)

    def reset(self) -> None:
        target, commit = self.rng.choice(list(self.working)), self.a_commit()
        mode = self.rng.choice(["hard", "soft"])
        self.do("SELECT pggit.reset(%s, %s, %s)", target, commit, mode)
        if mode == "hard":
            self.settled(target)
            self.working[target] = self.graph.rows[commit].copy()
        self.heads[target] = commit

    def stash(self) -> None:
        target = self.rng.choice(list(self.working))
        mine = [stash for stash, branch in self.stashes if branch == target]
        if mine:
            ((result,),) = self.do("SELECT result FROM pggit.unstash(%s, %s)", mine[-1], target)
            commit = self.db.value("SELECT %s", self.stash_commits[mine[-1]])
            rows = merged(self.graph.rows[self.graph.parents[commit][0]], self.working[target], self.graph.rows[commit])
            assert result == ("up_to_date" if rows == self.working[target] else "merged")
            self.working[target] = rows
            self.stashes.remove((mine[-1], target))
        elif self.working[target] != self.graph.rows[self.heads[target]]:
            head = self.heads[target]
            ((name,),) = self.do("SELECT pggit.stash('aside', %s)", target)
            commit = self.db.value("SELECT commit_id FROM pggit.stashes WHERE name = %s", name)
            self.note(commit, self.working[target])
            self.stash_commits[name] = commit
            self.stashes.append((name, target))
            self.working[target] = self.graph.rows[head].copy()

    def rebase(self) -> None:
        target, onto = self.rng.choice(list(self.working)), self.rng.choice(list(self.working))
        if target in {onto, "main"} or self.lost & set(self.graph.first_parents(self.heads[target])):
            return
        ((result,),) = self.do("SELECT result FROM pggit.rebase(%s, %s)", target, onto)
        self.settled(onto)
        self.settled(target)
        old, new = self.heads[target], self.heads[onto]
        if new in self.graph.ancestors(old):
            assert result == "up_to_date"
            return
        own = [commit for commit in reversed(self.graph.first_parents(old)) if commit not in self.graph.ancestors(new)]
        self.working[target] = self.graph.rows[new].copy()
        head = self.db.value("SELECT head FROM pggit.branches WHERE name = %s AND deleted_at IS NULL", target)
        steps = []
        for commit in own:
            rows = merged(self.graph.rows[self.graph.parents[commit][0]], self.working[target], self.graph.rows[commit])
            if rows != self.working[target]:
                steps.append(rows)
                self.working[target] = rows
        made = [
            commit
            for (commit,) in self.db.rows(
                "SELECT commit_id FROM pggit._first_parents(%s) ORDER BY depth LIMIT %s", head, len(steps)
            )
        ][::-1]
        for commit, rows in zip(made, steps, strict=True):
            self.note(commit, rows)
        self.heads[target] = head

    def diff(self) -> None:
        one, other = (self.a_commit() for _ in range(2))
        found = self.db.rows("SELECT inserted, updated, deleted FROM pggit.diff(%s, %s)", one, other) or [(0, 0, 0)]
        assert found == [self.change(self.graph.rows[one], self.graph.rows[other])]
        rows = self.db.rows("SELECT change, count(*) FROM pggit.diff_rows(%s, %s, %s) GROUP BY 1", TABLE, one, other)
        assert dict(rows).get("insert", 0) == found[0][0]

    def collect(self) -> None:
        self.db.run("SET pggit.retention = '0s'; SELECT * FROM pggit.gc(false); RESET pggit.retention")
        self.log.append("gc")
        kept = {commit for (commit,) in self.db.rows("SELECT commit_id FROM pggit.commits WHERE collected_at IS NULL")}
        there = {commit for (commit,) in self.db.rows("SELECT commit_id FROM pggit.commits")}
        self.lost |= set(self.graph.rows) - kept
        for commit in set(self.graph.rows) - there:
            self.lost.add(commit)

    def a_commit(self) -> str:
        """One whose rows can still be read."""
        return self.rng.choice([commit for commit in self.graph.rows if commit not in self.lost])

    def run(self, steps: int) -> None:
        doings = [self.write] * 9 + [self.commit] * 2 + [self.merge] * 5 + [self.branch, self.branch, self.pick, self.reset, self.stash, self.rebase, self.diff, self.begin, self.collect]  # fmt: skip
        try:
            for _ in range(steps):
                self.rng.choice(doings)()
                self.check()
            if self.open:
                self.begin()
            self.check()
            self.check_commits([commit for commit in self.graph.rows if commit not in self.lost])
            assert self.db.rows("SELECT * FROM pggit.verify()") == []
            self.collect()
            self.check()
            self.check_commits([commit for commit in self.graph.rows if commit not in self.lost])
            assert self.db.rows("SELECT * FROM pggit.verify()") == []
        except BaseException:
            print("\n".join(self.log))
            raise


@pytest.mark.seeds(2)
def test_a_random_history_counts_as_the_model_does(db: Database, seed: int) -> None:
    history = History(db, seed)
    history.run(60)  # asserts after each step
    assert len(history.graph.rows) > 5
    assert db.rows("SELECT * FROM pggit.verify()") == []
