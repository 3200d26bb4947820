"""A stash must not take away rows of a writer that were not put into the stash."""

from __future__ import annotations

import threading
import time

import pytest

from fixtures.postgres import Database, query

STASHED = "SELECT r.id FROM pggit.stashes AS s, pggit.as_of(NULL::t, s.commit_id) AS r ORDER BY 1"


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_writer_that_commits_while_a_stash_waits_keeps_its_row(db: Database, materialize: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)
    db.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    mine = db.connect(branch="dev")
    query(mine, "INSERT INTO t VALUES (2, 'put aside')")
    writer = db.connect(branch="dev", autocommit=False)
    query(writer, "INSERT INTO t VALUES (3, 'of the other session')")
    stashed = threading.Thread(target=lambda: query(mine, "SELECT pggit.stash()"))
    stashed.start()
    time.sleep(0.5)
    writer.commit()
    stashed.join()
    here = query(db.connect(branch="dev"), "SELECT id FROM t ORDER BY id").fetchall()
    kept = db.rows(STASHED)
    assert (3,) in here or (3,) in kept, f"the writer's row is neither on the branch {here} nor in the stash {kept}"
    query(db.connect(branch="dev"), "SELECT pggit.unstash()")
    assert query(db.connect(branch="dev"), "SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,), (3,)]


def test_on_main_too(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        INSERT INTO t VALUES (2, 'put aside');
    """)
    hold = db.connect(autocommit=False)  # stands for any delay between the stash's commit and its reset
    query(hold, "LOCK TABLE pggit.commits IN SHARE MODE")
    mine = db.connect()
    stashed = threading.Thread(target=lambda: query(mine, "SELECT pggit.stash()"))
    stashed.start()
    time.sleep(0.5)
    query(db.connect(), "INSERT INTO t VALUES (3, 'of the other session')")
    hold.commit()
    stashed.join()
    here = db.rows("SELECT id FROM t ORDER BY id")
    kept = db.rows(STASHED)
    assert (3,) in here or (3,) in kept, f"the writer's row is neither on main {here} nor in the stash {kept}"
