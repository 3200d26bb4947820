"""A branch with commits that nobody else has is not deleted without force, also after a reset or a stash on it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


@pytest.mark.parametrize("what", ["SELECT pggit.reset('dev', 'HEAD')", "SELECT pggit.stash(NULL, 'dev')", "SELECT 1"])
def test_the_guard_of_delete_branch_stays(db: Database, what: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none');
    """)
    session = db.connect(branch="dev")
    query(session, "INSERT INTO t VALUES (2, 'work')")
    query(session, "SELECT pggit.commit('work')")
    query(session, "INSERT INTO t VALUES (3, 'pending')")
    query(session, what)
    if what == "SELECT 1":
        query(session, "SELECT pggit.commit('pending')")
    with raises("VG311"):
        db.run("SELECT pggit.delete_branch('dev')")
