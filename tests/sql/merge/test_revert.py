"""Revert, cherry-pick and reset: one commit undone or brought over, a branch moved to another commit, nothing lost."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises
from fixtures.repositories import TWO, shown


def test_a_revert_undoes_one_commit_and_keeps_what_came_after(history: Database) -> None:
    result, commit_id = history.row("SELECT m.result, m.commit_id FROM pggit.revert('HEAD~1') AS m")
    assert result == "merged"
    assert shown(history) == [(1, "a1", "b1"), (2, "two", "b2")]
    message, parents = history.row("SELECT message, parents FROM pggit.show('HEAD')")
    one = history.value("SELECT pggit.resolve_ref('HEAD~2')")
    assert message == f'Revert "one"\n\nThis reverts commit {one}.'
    assert parents == [history.value("SELECT pggit.resolve_ref('HEAD~1')")]
    assert history.value("SELECT (pggit.revert(%s)).result", commit_id) == "merged", "a revert can be reverted"
    assert shown(history) == TWO
    assert history.rows("SELECT * FROM pggit.verify()") == []


def test_nothing_left_to_revert(history: Database) -> None:
    history.run("SELECT pggit.revert('HEAD')")
    assert history.value("SELECT (pggit.revert('HEAD~1')).result") == "up_to_date"


def test_a_cell_that_changed_again_is_a_conflict(history: Database) -> None:
    history.run("UPDATE t SET a = 'three', b = 'three' WHERE id = 1")
    merge_id, result = history.row("SELECT merge_id, result FROM pggit.revert('HEAD~1')")
    assert result == "conflicted"
    found = history.rows("SELECT kind, column_name, base, ours, theirs, conflict_id FROM pggit.merge_conflicts")
    assert [row[:-1] for row in found] == [("update_update", "a", "one", "three", "a1")]
    history.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge_id, found[0][-1])
    assert history.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert shown(history) == [(1, "a1", "three"), (2, "two", "b2")]


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_merge_is_reverted_in_one_call(history: Database, materialize: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    history.run("INSERT INTO t VALUES (4, 'main', '')")
    query(history.connect(branch="dev"), "INSERT INTO t VALUES (5, 'dev', '')")
    assert history.value("SELECT (pggit.merge('main', 'dev')).result") == "merged"
    assert shown(history, "dev") == [*TWO, (4, "main", ""), (5, "dev", "")]
    assert history.value("SELECT (pggit.revert('dev', 'dev')).result") == "merged"
    assert shown(history, "dev") == [*TWO, (5, "dev", "")]
    assert history.value("SELECT (pggit.revert('HEAD', 'dev')).result") == "merged"
    assert history.value("SELECT (pggit.revert('HEAD~2', 'dev', '{\"parent\": 2}')).result") == "merged"
    assert shown(history, "dev") == [*TWO, (4, "main", "")]
    assert history.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_cherry_pick_brings_one_commit(history: Database, materialize: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD~2', 'schema', %s)", materialize)
    assert history.value("SELECT (pggit.cherry_pick('main', 'dev')).result") == "merged"
    assert shown(history, "dev") == [(1, "a1", "b1"), (2, "two", "b2")]
    assert history.value("SELECT (pggit.cherry_pick('main~1', 'dev')).result") == "merged"
    assert shown(history, "dev") == TWO
    one = history.value("SELECT pggit.resolve_ref('main~1')")
    assert history.row("SELECT author, message FROM pggit.show('dev')") == (
        "ann",
        f"one\n\n(cherry picked from commit {one})",
    )
    assert history.value("SELECT (pggit.cherry_pick('main', 'dev')).result") == "up_to_date"


@pytest.mark.parametrize("branch", ["main", "dev"])
@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_hard_reset_shows_the_commit_and_loses_nothing(history: Database, branch: str, materialize: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    session = history.connect(branch=branch)
    query(session, "INSERT INTO t VALUES (4, 'pending', '')")
    first = history.value("SELECT pggit.resolve_ref('main~2')")
    assert history.value("SELECT pggit.reset(%s, %s)", branch, first) == first
    assert shown(history, branch) == [(1, "a1", "b1"), (2, "a2", "b2"), (3, "a3", "b3")]
    assert history.rows("SELECT * FROM pggit.status(%s)", branch) == []
    assert history.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch) == first
    pending = history.value("SELECT commit_id FROM pggit.commits WHERE message = 'pending changes before a reset'")
    assert history.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY id", pending) == [(1,), (2,), (4,)]
    assert history.value("SELECT pggit.reset(%s, %s)", branch, pending) == pending
    assert shown(history, branch) == [*TWO, (4, "pending", "")]
    assert history.rows("SELECT * FROM pggit.verify()") == []


def test_a_soft_reset_keeps_the_rows_as_pending(history: Database) -> None:
    first = history.value("SELECT pggit.reset('main', 'HEAD~2', 'soft')")
    assert shown(history) == TWO
    assert history.rows("SELECT * FROM pggit.status()") == [("public.t", 0, 2, 1)]
    history.run("SELECT pggit.commit('one and two together')")
    assert history.rows("SELECT message FROM pggit.log()") == [("one and two together",), ("first",)]
    assert history.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY id", first) == [(1,), (2,), (3,)]
    assert history.rows("SELECT * FROM pggit.verify()") == []


def test_a_row_that_would_break_a_foreign_key_stops_a_revert(history: Database) -> None:
    history.run("CREATE TABLE c (id integer PRIMARY KEY, t integer REFERENCES t)")
    history.run("SELECT pggit.track_table('c')")
    history.run("SELECT pggit.commit('c comes', p_allow_empty => true)")
    history.run("INSERT INTO t VALUES (7, '', '')")
    history.run("SELECT pggit.commit('seven')")
    history.run("INSERT INTO c VALUES (1, 7)")
    history.run("SELECT pggit.commit('refers to seven')")
    assert history.value("SELECT (pggit.revert('HEAD~1')).result") == "refused"
    assert history.rows("SELECT kind, table_name FROM pggit.merge_violations") == [("foreign_key", "public.t")]


def test_what_makes_no_sense_is_refused(history: Database) -> None:
    with raises("VG202", "it has no parent"):
        history.run("SELECT pggit.revert('HEAD~2')")
    with raises("VG202", "no parent number 2"):
        history.run("SELECT pggit.cherry_pick('HEAD', 'main', '{\"parent\": 2}')")
    with raises("VG202", "there is no revert option 'squash'"):
        history.run("SELECT pggit.revert('HEAD', 'main', '{\"squash\": true}')")
    with raises("VG202", "soft or hard"):
        history.run("SELECT pggit.reset('main', 'HEAD', 'mixed')")
    with raises("VG002"):
        history.run("SELECT pggit.reset('main', 'nowhere')")
    history.run("SELECT pggit.protect_branch('main')")
    with raises("VG301"):
        history.run("SELECT pggit.reset('main', 'HEAD~1')")
    assert shown(history) == TWO


def test_a_commit_in_which_a_table_came_is_reverted_and_comes_again(small: Database) -> None:
    small.run("CREATE TABLE n (id serial PRIMARY KEY, t integer REFERENCES t); CREATE INDEX of_t ON n (t)")
    small.run("INSERT INTO n (t) VALUES (1)")
    small.run("UPDATE t SET a = 'x' WHERE id = 1; CREATE TABLE lines AS SELECT 'one' AS line")
    small.run("SELECT pggit.commit('n comes'), pggit.create_branch('b', p_materialize => 'none')")
    assert small.value("SELECT (pggit.revert('HEAD')).result") == "merged"
    assert small.row("SELECT to_regclass('n'), to_regclass('lines'), (SELECT a FROM t WHERE id = 1) = 'x'") == (
        None,
        None,
        False,
    )
    assert query(small.connect(branch="b"), "INSERT INTO n (t) VALUES (1) RETURNING id").fetchall() == [(2,)]
    assert small.value("SELECT (pggit.revert('HEAD')).result") == "merged"
    assert small.rows("SELECT id, t, line FROM n, lines") == [(1, 1, "one")]
    assert small.value("SELECT count(*) FROM pg_index WHERE indrelid = 'n'::regclass") == 2
    small.run("INSERT INTO n (t) VALUES (1); SELECT pggit.commit('one more')")
    result, detail = small.row("SELECT m.result, m.detail FROM pggit.revert('HEAD~1') AS m")
    assert (result, detail["sqlstate"]) == ("refused", "VG302")
    assert "has been changed on 'main' since" in detail["reason"]
    assert small.rows("SELECT * FROM pggit.verify()") == []


def test_a_commit_in_which_a_table_that_was_there_came_is_not_reverted(small: Database) -> None:
    small.run("CREATE SCHEMA other; CREATE TABLE other.n (id integer PRIMARY KEY)")
    small.run("SELECT pggit.track_table('other.n')")
    small.run("SELECT pggit.commit('n comes', p_allow_empty => true)")
    result, detail = small.row("SELECT m.result, m.detail FROM pggit.revert('HEAD') AS m")
    assert (result, detail["sqlstate"]) == ("refused", "VG302")
    assert "table other.n was not under version control there yet" in detail["reason"]


def test_all_commits_since_an_earlier_one_are_undone_as_one(history: Database) -> None:
    history.run("UPDATE t SET b = 'later' WHERE id = 2")
    history.run("SELECT pggit.commit('three')")

    assert history.value("""SELECT (pggit.revert('HEAD~1', 'main', '{"since": "HEAD~3"}')).result""") == "merged"

    assert shown(history) == [(1, "a1", "b1"), (2, "a2", "later"), (3, "a3", "b3")]
    assert history.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize(
    "options", ['{"since": "HEAD"}', '{"since": null}', '{"since": "dev"}', '{"since": "HEAD~2", "parent": 1}']
)
def test_a_revert_goes_back_to_a_commit_before(history: Database, options: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD~2', 'schema', 'none')")
    query(history.connect(branch="dev"), "DELETE FROM t; SELECT pggit.commit('elsewhere')")
    with raises("VG202", "can't be reverted back to"):
        history.run("SELECT pggit.revert('HEAD~1', 'main', %s)", options)
