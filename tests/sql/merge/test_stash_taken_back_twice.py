"""A stash is taken back once."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database


@pytest.fixture
def repo(db: Database) -> Database:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none');
    """)
    return db


def test_a_stash_is_taken_back_once(repo: Database) -> None:
    repo.run("UPDATE t SET a = 'mine' WHERE id = 1")
    name = repo.value("SELECT pggit.stash()")
    repo.run("UPDATE t SET a = 'other' WHERE id = 1")
    first = repo.value("SELECT (pggit.unstash(%s)).merge_id", name)
    repo.run("SELECT pggit.reset('main', 'HEAD')")
    repo.run("SELECT pggit.unstash(%s)", name)
    repo.run("SELECT pggit.commit('mine')")
    repo.run("UPDATE t SET a = 'a' WHERE id = 1")
    repo.run("SELECT pggit.commit('back to a')")
    assert repo.value("SELECT (pggit.continue_merge(%s)).result", first) == "refused"
    assert repo.rows("SELECT a FROM t") == [("a",)], "the stash was taken back a second time, after it was gone"
