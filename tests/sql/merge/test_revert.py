"""Revert, cherry-pick and reset: one commit undone or brought over, a branch moved to another commit, nothing lost."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


@pytest.fixture
def repo(db: Database) -> Database:
    """Main has 1..3; 'first' made them, 'one' changes row 1, 'two' changes rows 2 and deletes 3."""
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text, b text);
        INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'), (3, 'a3', 'b3');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        UPDATE t SET a = 'one' WHERE id = 1;
        SELECT pggit.commit('one', p_author => 'ann');
        UPDATE t SET a = 'two' WHERE id = 2;
        DELETE FROM t WHERE id = 3;
        SELECT pggit.commit('two');
    """)
    return db


def rows(db: Database, branch: str = "main") -> list[tuple[int, str, str]]:
    found = query(db.connect(branch=branch), "SELECT * FROM t ORDER BY id").fetchall()
    return [(key, a, b) for key, a, b in found]


TWO = [(1, "one", "b1"), (2, "two", "b2")]


def test_a_revert_undoes_one_commit_and_keeps_what_came_after(repo: Database) -> None:
    result, commit_id = repo.row("SELECT m.result, m.commit_id FROM pggit.revert('HEAD~1') AS m")
    assert result == "merged"
    assert rows(repo) == [(1, "a1", "b1"), (2, "two", "b2")]
    message, parents = repo.row("SELECT message, parents FROM pggit.show('HEAD')")
    one = repo.value("SELECT pggit.resolve_ref('HEAD~2')")
    assert message == f'Revert "one"\n\nThis reverts commit {one}.'
    assert parents == [repo.value("SELECT pggit.resolve_ref('HEAD~1')")]
    assert repo.value("SELECT (pggit.revert(%s)).result", commit_id) == "merged", "a revert can be reverted"
    assert rows(repo) == TWO
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_nothing_left_to_revert(repo: Database) -> None:
    repo.run("SELECT pggit.revert('HEAD')")
    assert repo.value("SELECT (pggit.revert('HEAD~1')).result") == "up_to_date"


def test_a_cell_that_changed_again_is_a_conflict(repo: Database) -> None:
    repo.run("UPDATE t SET a = 'three', b = 'three' WHERE id = 1")
    merge_id, result = repo.row("SELECT merge_id, result FROM pggit.revert('HEAD~1')")
    assert result == "conflicted"
    found = repo.rows("SELECT kind, column_name, base, ours, theirs, conflict_id FROM pggit.merge_conflicts")
    assert [row[:-1] for row in found] == [("update_update", "a", "one", "three", "a1")]
    repo.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge_id, found[0][-1])
    assert repo.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert rows(repo) == [(1, "a1", "three"), (2, "two", "b2")]


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_merge_is_reverted_in_one_call(repo: Database, materialize: str) -> None:
    repo.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    repo.run("INSERT INTO t VALUES (4, 'main', '')")
    query(repo.connect(branch="dev"), "INSERT INTO t VALUES (5, 'dev', '')")
    assert repo.value("SELECT (pggit.merge('main', 'dev')).result") == "merged"
    assert rows(repo, "dev") == [*TWO, (4, "main", ""), (5, "dev", "")]
    assert repo.value("SELECT (pggit.revert('dev', 'dev')).result") == "merged"
    assert rows(repo, "dev") == [*TWO, (5, "dev", "")]
    assert repo.value("SELECT (pggit.revert('HEAD', 'dev')).result") == "merged"
    assert repo.value("SELECT (pggit.revert('HEAD~2', 'dev', '{\"parent\": 2}')).result") == "merged"
    assert rows(repo, "dev") == [*TWO, (4, "main", "")]
    assert repo.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_cherry_pick_brings_one_commit(repo: Database, materialize: str) -> None:
    repo.run("SELECT pggit.create_branch('dev', 'HEAD~2', 'schema', %s)", materialize)
    assert repo.value("SELECT (pggit.cherry_pick('main', 'dev')).result") == "merged"
    assert rows(repo, "dev") == [(1, "a1", "b1"), (2, "two", "b2")]
    assert repo.value("SELECT (pggit.cherry_pick('main~1', 'dev')).result") == "merged"
    assert rows(repo, "dev") == TWO
    one = repo.value("SELECT pggit.resolve_ref('main~1')")
    assert repo.row("SELECT author, message FROM pggit.show('dev')") == (
        "ann",
        f"one\n\n(cherry picked from commit {one})",
    )
    assert repo.value("SELECT (pggit.cherry_pick('main', 'dev')).result") == "up_to_date"


@pytest.mark.parametrize("branch", ["main", "dev"])
@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_hard_reset_shows_the_commit_and_loses_nothing(repo: Database, branch: str, materialize: str) -> None:
    repo.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    session = repo.connect(branch=branch)
    query(session, "INSERT INTO t VALUES (4, 'pending', '')")
    first = repo.value("SELECT pggit.resolve_ref('main~2')")
    assert repo.value("SELECT pggit.reset(%s, %s)", branch, first) == first
    assert rows(repo, branch) == [(1, "a1", "b1"), (2, "a2", "b2"), (3, "a3", "b3")]
    assert repo.rows("SELECT * FROM pggit.status(%s)", branch) == []
    assert repo.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch) == first
    pending = repo.value("SELECT commit_id FROM pggit.commits WHERE message = 'pending changes before a reset'")
    assert repo.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY id", pending) == [(1,), (2,), (4,)]
    assert repo.value("SELECT pggit.reset(%s, %s)", branch, pending) == pending
    assert rows(repo, branch) == [*TWO, (4, "pending", "")]
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_a_soft_reset_keeps_the_rows_as_pending(repo: Database) -> None:
    first = repo.value("SELECT pggit.reset('main', 'HEAD~2', 'soft')")
    assert rows(repo) == TWO
    assert repo.rows("SELECT * FROM pggit.status()") == [("public.t", 0, 2, 1)]
    repo.run("SELECT pggit.commit('one and two together')")
    assert repo.rows("SELECT message FROM pggit.log()") == [("one and two together",), ("first",)]
    assert repo.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY id", first) == [(1,), (2,), (3,)]
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_a_row_that_would_break_a_foreign_key_stops_a_revert(repo: Database) -> None:
    repo.run("CREATE TABLE c (id integer PRIMARY KEY, t integer REFERENCES t)")
    repo.run("SELECT pggit.track_table('c')")
    repo.run("SELECT pggit.commit('c comes', p_allow_empty => true)")
    repo.run("INSERT INTO t VALUES (7, '', '')")
    repo.run("SELECT pggit.commit('seven')")
    repo.run("INSERT INTO c VALUES (1, 7)")
    repo.run("SELECT pggit.commit('refers to seven')")
    assert repo.value("SELECT (pggit.revert('HEAD~1')).result") == "refused"
    assert repo.rows("SELECT kind, table_name FROM pggit.merge_violations") == [("foreign_key", "public.t")]


def test_what_makes_no_sense_is_refused(repo: Database) -> None:
    with raises("VG202", "it has no parent"):
        repo.run("SELECT pggit.revert('HEAD~2')")
    with raises("VG202", "no parent number 2"):
        repo.run("SELECT pggit.cherry_pick('HEAD', 'main', '{\"parent\": 2}')")
    with raises("VG202", "there is no revert option 'squash'"):
        repo.run("SELECT pggit.revert('HEAD', 'main', '{\"squash\": true}')")
    with raises("VG202", "soft or hard"):
        repo.run("SELECT pggit.reset('main', 'HEAD', 'mixed')")
    with raises("VG002"):
        repo.run("SELECT pggit.reset('main', 'nowhere')")
    repo.run("SELECT pggit.protect_branch('main')")
    with raises("VG301"):
        repo.run("SELECT pggit.reset('main', 'HEAD~1')")
    assert rows(repo) == TWO


@pytest.mark.parametrize("branch", ["main", "dev"])
@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_stash_is_put_aside_and_taken_back(repo: Database, branch: str, materialize: str) -> None:
    repo.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    session = repo.connect(branch=branch)
    query(session, "UPDATE t SET b = 'mine' WHERE id = 1")
    query(session, "INSERT INTO t VALUES (9, 'new', '')")
    before = repo.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch)
    name = repo.value("SELECT pggit.stash(NULL, %s)", branch)
    assert rows(repo, branch) == TWO
    assert repo.rows("SELECT * FROM pggit.status(%s)", branch) == []
    assert repo.rows("SELECT name FROM pggit.stashes") == [(name,)]

    query(session, "UPDATE t SET a = 'other' WHERE id = 1")
    assert repo.row("SELECT m.result, m.commit_id FROM pggit.unstash(NULL, %s) AS m", branch) == ("merged", None)
    assert rows(repo, branch) == [(1, "other", "mine"), (2, "two", "b2"), (9, "new", "")]
    assert repo.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch) == before
    assert repo.rows("SELECT inserted, updated, deleted FROM pggit.status(%s)", branch) == [(1, 1, 0)]
    assert repo.rows("SELECT name FROM pggit.stashes") == []
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_a_stash_that_is_in_conflict_stays_until_it_is_settled(repo: Database) -> None:
    repo.run("UPDATE t SET a = 'mine' WHERE id = 1")
    name = repo.value("SELECT pggit.stash('half done')")
    repo.run("UPDATE t SET a = 'other' WHERE id = 1")
    merge_id, result = repo.row("SELECT m.merge_id, m.result FROM pggit.unstash(%s) AS m", name)
    assert result == "conflicted"
    assert repo.rows("SELECT name FROM pggit.stashes") == [(name,)]
    repo.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id)
    assert repo.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert rows(repo) == [(1, "mine", "b1"), (2, "two", "b2")]
    assert repo.rows("SELECT name FROM pggit.stashes") == []
    repo.run("SELECT pggit.commit('all of it')")
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_stashes_that_are_not_there(repo: Database) -> None:
    with raises("VG304", "nothing to stash"):
        repo.run("SELECT pggit.stash()")
    with raises("VG002", "branch 'main' has no stash"):
        repo.run("SELECT pggit.unstash()")
    with raises("VG002", "there is no stash 'stash-1'"):
        repo.run("SELECT pggit.unstash('stash-1')")
