"""A merge commit has what the merge wrote, whoever touched the row between plan and write."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from fixtures.postgres import Database, query

MERGE = "SELECT result, commit_id FROM pggit.merge('dev', 'main')"


ROW = "SELECT a FROM t WHERE id = 1"


@pytest.fixture
def repo(small: Database) -> Database:
    small.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none')")
    query(small.connect(branch="dev"), "UPDATE t SET a = 'of dev' WHERE id = 1")
    small.run("INSERT INTO t VALUES (3, 'main')")
    return small


def beside_a_writer(repo: Database, writes: str, sql: str) -> list[tuple[Any, ...]]:
    """What `sql` gives while another session has written and commits a moment later."""
    writer = repo.connect(autocommit=False)
    query(writer, writes)
    session, found = repo.connect(), list[tuple[Any, ...]]()
    running = threading.Thread(target=lambda: found.extend(query(session, sql).fetchall()))
    running.start()
    time.sleep(0.4)
    writer.commit()
    running.join()
    return found


def test_a_writer_that_sets_a_row_to_itself(repo: Database) -> None:
    ((result, commit_id),) = beside_a_writer(repo, "UPDATE t SET a = a WHERE id = 1", MERGE)
    assert result == "merged"
    assert repo.rows("SELECT * FROM t ORDER BY id") == [(1, "of dev"), (3, "main")]
    merged = repo.rows("SELECT * FROM pggit.as_of(NULL::t, %s) ORDER BY id", commit_id)
    assert merged == [(1, "of dev"), (3, "main")]
    assert repo.rows("SELECT * FROM pggit.status('main')") == []
    repo.run("SELECT pggit.reset('main', 'HEAD')")
    assert repo.rows(ROW) == [("of dev",)], "a reset to the merge took back what was merged"


def test_a_hard_reset_leaves_nothing_pending(repo: Database) -> None:
    repo.run("UPDATE t SET a = 'later' WHERE id = 1")
    repo.run("SELECT pggit.commit('later')")
    beside_a_writer(repo, "UPDATE t SET a = a WHERE id = 1", "SELECT pggit.reset('main', 'HEAD~1')")
    assert repo.rows(ROW) == [("a",)]
    assert repo.rows("SELECT * FROM pggit.status('main')") == []


def test_a_key_that_came_and_went_is_in_the_merge_commit(repo: Database) -> None:
    """A writer inserts and deletes the key that the merge inserts, and commits between plan and write."""
    query(repo.connect(branch="dev"), "INSERT INTO t VALUES (9, 'of dev')")
    came_and_went = "INSERT INTO t VALUES (9, 'not to stay'); DELETE FROM t WHERE id = 9"
    ((_, commit_id),) = beside_a_writer(repo, came_and_went, MERGE)
    assert repo.rows("SELECT * FROM pggit.as_of(NULL::t, %s) WHERE id = 9", commit_id) == [(9, "of dev")]
