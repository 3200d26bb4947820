"""What a soft reset took back can be committed again, at the same time with the same message."""

from __future__ import annotations

from fixtures.postgres import Database, query


def test_commit_again_as_before(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        INSERT INTO t VALUES (1, 'a');
    """)
    commit = "SELECT pggit.commit('work', p_committed_at => '2026-01-01 00:00+00')"
    db.run(commit)
    db.run("SELECT pggit.reset('main', 'HEAD~1', 'soft')")
    db.run(commit)


def test_the_same_on_two_branches(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev');
        INSERT INTO t VALUES (1, 'a');
    """)
    query(db.connect(branch="dev"), "INSERT INTO t VALUES (1, 'a')")
    commit = "SELECT pggit.commit('work', %s, p_committed_at => '2026-01-01 00:00+00')"
    db.run(commit, "main")
    db.run(commit, "dev")
