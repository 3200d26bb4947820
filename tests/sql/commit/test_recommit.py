"""The same change on the same parent, by the same author at the same time, is the same commit, as in Git."""

from __future__ import annotations

from fixtures.postgres import Database, query

COMMIT = "SELECT pggit.commit('work', %s, p_committed_at => '2026-01-01 00:00+00')"


def test_commit_again_what_a_soft_reset_took_back(small: Database) -> None:
    small.run("INSERT INTO t VALUES (2, 'b')")
    made = small.value(COMMIT, "main")
    small.run("SELECT pggit.reset('main', 'HEAD~1', 'soft')")
    assert small.value(COMMIT, "main") == made
    assert small.rows("SELECT message FROM pggit.log()") == [("work",), ("first",)]
    assert small.rows("SELECT * FROM pggit.status()") == []
    assert small.rows("SELECT * FROM pggit.verify()") == []


def test_the_same_on_two_branches(small: Database) -> None:
    small.run("SELECT pggit.create_branch('dev')")
    small.run("INSERT INTO t VALUES (2, 'b')")
    query(small.connect(branch="dev"), "INSERT INTO t VALUES (2, 'b')")
    assert small.value(COMMIT, "main") == small.value(COMMIT, "dev")
    assert small.value("SELECT (pggit.merge('dev', 'main')).result") == "up_to_date"
    assert small.rows("SELECT * FROM pggit.verify()") == []
