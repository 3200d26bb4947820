"""A stash is put aside and taken back whole, once, whoever writes meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from fixtures.postgres import Database, query, raises
from fixtures.repositories import TWO, shown


@pytest.mark.parametrize("branch", ["main", "dev"])
@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_stash_is_put_aside_and_taken_back(history: Database, branch: str, materialize: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    session = history.connect(branch=branch)
    query(session, "UPDATE t SET b = 'mine' WHERE id = 1")
    query(session, "INSERT INTO t VALUES (9, 'new', '')")
    before = history.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch)
    name = history.value("SELECT pggit.stash(NULL, %s)", branch)
    assert shown(history, branch) == TWO
    assert history.rows("SELECT * FROM pggit.status(%s)", branch) == []
    assert history.rows("SELECT name FROM pggit.stashes") == [(name,)]

    query(session, "UPDATE t SET a = 'other' WHERE id = 1")
    assert history.row("SELECT m.result, m.commit_id FROM pggit.unstash(NULL, %s) AS m", branch) == (
        "merged",
        None,
    )
    assert shown(history, branch) == [(1, "other", "mine"), (2, "two", "b2"), (9, "new", "")]
    assert history.value("SELECT head FROM pggit.list_branches() WHERE name = %s", branch) == before
    assert history.rows("SELECT inserted, updated, deleted FROM pggit.status(%s)", branch) == [(1, 1, 0)]
    assert history.rows("SELECT name FROM pggit.stashes") == []
    assert history.rows("SELECT * FROM pggit.verify()") == []


def test_a_stash_that_is_in_conflict_stays_until_it_is_settled(history: Database) -> None:
    history.run("UPDATE t SET a = 'mine' WHERE id = 1")
    name = history.value("SELECT pggit.stash('half done')")
    history.run("UPDATE t SET a = 'other' WHERE id = 1")
    merge_id, result = history.row("SELECT m.merge_id, m.result FROM pggit.unstash(%s) AS m", name)
    assert result == "conflicted"
    assert history.rows("SELECT name FROM pggit.stashes") == [(name,)]
    history.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id)
    assert history.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert shown(history) == [(1, "mine", "b1"), (2, "two", "b2")]
    assert history.rows("SELECT name FROM pggit.stashes") == []
    history.run("SELECT pggit.commit('all of it')")
    assert history.rows("SELECT * FROM pggit.verify()") == []


def test_a_stash_is_thrown_away(history: Database) -> None:
    history.run("UPDATE t SET a = 'mine' WHERE id = 1")
    name = history.value("SELECT pggit.stash('half done')")
    commit = history.value("SELECT commit_id FROM pggit.stashes")
    history.run("UPDATE t SET a = 'other' WHERE id = 1")
    waiting = history.value("SELECT (pggit.unstash()).merge_id")
    assert history.value("SELECT pggit.drop_stash(%s)", name) == commit
    assert history.rows("SELECT * FROM pggit.stashes") == []
    history.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", waiting)
    assert history.row("SELECT result, detail ->> 'reason' FROM pggit.continue_merge(%s)", waiting) == (
        "refused",
        "the stash is gone: it has been taken back or dropped",
    )
    assert history.value("SELECT a FROM t WHERE id = 1") == "other"
    assert history.value("SELECT a FROM pggit.as_of(NULL::t, %s) WHERE id = 1", commit) == "mine"
    for gone in (name, None):
        with raises("VG002"):
            history.run("SELECT pggit.drop_stash(%s)", gone)


def test_stashes_that_are_not_there(history: Database) -> None:
    with raises("VG304", "nothing to stash"):
        history.run("SELECT pggit.stash()")
    with raises("VG002", "branch 'main' has no stash"):
        history.run("SELECT pggit.unstash()")
    with raises("VG002", "there is no stash 'stash-1'"):
        history.run("SELECT pggit.unstash('stash-1')")


STASHED = "SELECT r.id FROM pggit.stashes AS s, pggit.as_of(NULL::t, s.commit_id) AS r ORDER BY 1"


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_writer_that_commits_while_a_stash_waits_keeps_its_row(small: Database, materialize: str) -> None:
    small.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    mine = small.connect(branch="dev")
    query(mine, "INSERT INTO t VALUES (2, 'put aside')")
    writer = small.connect(branch="dev", autocommit=False)
    query(writer, "INSERT INTO t VALUES (3, 'of the other session')")
    stashing = threading.Thread(target=lambda: query(mine, "SELECT pggit.stash()"))
    stashing.start()
    time.sleep(0.5)
    writer.commit()
    stashing.join()
    assert query(mine, "SELECT id FROM t ORDER BY id").fetchall() == [(1,)]
    assert small.rows(STASHED) == [(1,), (2,), (3,)]
    query(mine, "SELECT pggit.unstash()")
    assert query(mine, "SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,), (3,)]


def test_a_row_that_comes_to_main_while_a_stash_waits_stays_there(small: Database) -> None:
    small.run("INSERT INTO t VALUES (2, 'put aside')")
    hold = small.connect(autocommit=False)  # stands for any delay within the stash
    query(hold, "LOCK TABLE pggit.commits IN SHARE MODE")
    mine = small.connect()
    stashing = threading.Thread(target=lambda: query(mine, "SELECT pggit.stash()"))
    stashing.start()
    time.sleep(0.5)
    query(small.connect(), "INSERT INTO t VALUES (3, 'of the other session')")
    hold.commit()
    stashing.join()
    here, aside = small.rows("SELECT id FROM t ORDER BY id"), small.rows(STASHED)
    assert sorted({*here, *aside}) == [(1,), (2,), (3,)], (here, aside)


def test_a_stash_is_taken_back_once(small: Database) -> None:
    small.run("UPDATE t SET a = 'mine' WHERE id = 1")
    name = small.value("SELECT pggit.stash()")
    small.run("UPDATE t SET a = 'other' WHERE id = 1")
    first = small.value("SELECT (pggit.unstash(%s)).merge_id", name)
    small.run("SELECT pggit.reset('main', 'HEAD')")
    small.run("SELECT pggit.unstash(%s)", name)
    small.run("SELECT pggit.commit('mine')")
    small.run("UPDATE t SET a = 'a' WHERE id = 1")
    small.run("SELECT pggit.commit('back to a')")
    assert small.value("SELECT (pggit.continue_merge(%s)).result", first) == "refused"
    assert small.rows("SELECT a FROM t") == [("a",)], "the stash was taken back a second time, after it was gone"


@pytest.mark.parametrize("rows", [[], [(1,)]])
def test_a_table_that_was_made_is_put_aside_and_comes_back_with_its_rows(
    small: Database, rows: list[tuple[int]]
) -> None:
    small.run("CREATE TABLE n (id integer PRIMARY KEY)")
    for row in rows:
        small.run("INSERT INTO n VALUES (%s)", *row)
    small.run("UPDATE t SET a = 'mine' WHERE id = 1")
    before = small.rows("SELECT * FROM t")
    small.run("SELECT pggit.stash()")
    assert small.value("SELECT to_regclass('n')") is None
    assert small.rows("SELECT * FROM t") != before
    assert small.value("SELECT (pggit.unstash()).result") == "merged"
    assert (small.rows("SELECT * FROM n"), small.rows("SELECT * FROM t")) == (rows, before)


def test_what_could_not_be_taken_back_is_not_put_aside(small: Database) -> None:
    small.run("CREATE SCHEMA other; CREATE TABLE other.n (id integer PRIMARY KEY); SELECT pggit.track_table('other.n')")
    small.run("UPDATE t SET a = 'mine' WHERE id = 1")
    with raises("VG302", "table other.n was not under version control there yet"):
        small.run("SELECT pggit.stash()")
    assert small.rows("SELECT * FROM t") == [(1, "mine")]
