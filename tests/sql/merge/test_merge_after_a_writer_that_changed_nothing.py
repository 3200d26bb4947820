"""A merge commit has what the merge wrote, whoever touched the row between plan and write."""

from __future__ import annotations

import threading
import time

import pytest

from fixtures.postgres import Database, query

MERGE = "SELECT result, commit_id FROM pggit.merge('dev', 'main')"


@pytest.fixture
def repo(db: Database) -> Database:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a'), (2, 'b');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none');
    """)
    query(db.connect(branch="dev"), "UPDATE t SET a = 'of dev' WHERE id = 1")
    db.run("INSERT INTO t VALUES (3, 'main')")
    return db


def test_a_writer_that_sets_a_row_to_itself(repo: Database) -> None:
    writer = repo.connect(autocommit=False)
    query(writer, "UPDATE t SET a = a WHERE id = 1")
    merges = repo.connect()
    found: list[tuple[str, str]] = []
    merging = threading.Thread(target=lambda: found.extend(query(merges, MERGE).fetchall()))
    merging.start()
    time.sleep(0.4)
    writer.commit()
    merging.join()
    assert found[0][0] == "merged"
    assert repo.rows("SELECT * FROM t ORDER BY id") == [(1, "of dev"), (2, "b"), (3, "main")]
    merged = repo.rows("SELECT id, a FROM pggit.as_of(NULL::t, %s) ORDER BY id", found[0][1])
    assert merged == [(1, "of dev"), (2, "b"), (3, "main")]
    assert repo.rows("SELECT * FROM pggit.status('main')") == []


def test_a_hard_reset_leaves_nothing_pending(repo: Database) -> None:
    repo.run("UPDATE t SET a = 'later' WHERE id = 1")
    repo.run("SELECT pggit.commit('later')")
    writer = repo.connect(autocommit=False)
    query(writer, "UPDATE t SET a = a WHERE id = 1")
    resets = repo.connect()
    resetting = threading.Thread(target=lambda: query(resets, "SELECT pggit.reset('main', 'HEAD~1')"))
    resetting.start()
    time.sleep(0.4)
    writer.commit()
    resetting.join()
    assert repo.rows("SELECT a FROM t WHERE id = 1") == [("a",)]
    assert repo.rows("SELECT * FROM pggit.status('main')") == []


def test_a_key_that_came_and_went_is_in_the_merge_commit(repo: Database) -> None:
    """A writer inserts and deletes the key that the merge inserts, and commits between plan and write."""
    query(repo.connect(branch="dev"), "INSERT INTO t VALUES (9, 'of dev')")
    writer = repo.connect(autocommit=False)
    query(writer, "INSERT INTO t VALUES (9, 'not to stay')")
    query(writer, "DELETE FROM t WHERE id = 9")
    merges = repo.connect()
    found: list[tuple[str, str]] = []
    merging = threading.Thread(target=lambda: found.extend(query(merges, MERGE).fetchall()))
    merging.start()
    time.sleep(0.4)
    writer.commit()
    merging.join()
    assert repo.rows("SELECT id, a FROM pggit.as_of(NULL::t, %s) WHERE id = 9", found[0][1]) == [(9, "of dev")]


def test_a_branch_made_from_the_merge_has_what_was_merged(repo: Database) -> None:
    test_rows = "SELECT a FROM t WHERE id = 1"
    writer = repo.connect(autocommit=False)
    query(writer, "UPDATE t SET a = a WHERE id = 1")
    merges = repo.connect()
    merging = threading.Thread(target=lambda: query(merges, "SELECT pggit.merge('dev', 'main')"))
    merging.start()
    time.sleep(0.4)
    writer.commit()
    merging.join()
    repo.run("SELECT pggit.reset('main', 'HEAD')")
    assert repo.rows(test_rows) == [("of dev",)], "a reset to the merge took back what was merged"
