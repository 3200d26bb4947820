"""A row that somebody commits on main while a fast-forward is under way stays."""

from __future__ import annotations

import threading
import time

import psycopg

from fixtures.postgres import Database, query


def test_a_row_committed_during_a_fast_forward_is_kept(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text)")
    db.run("INSERT INTO t VALUES (1, 'a'), (3, 'c')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET v = 'b' WHERE id = 1")
    # Makes the window between "commit what is pending" and "plan" wide; it is there without, only narrower
    # (a no-op UPDATE of 100,000 rows on main before the merge widens it as well).
    db.run("""
        CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END';
        CREATE TRIGGER nap BEFORE UPDATE OF source_commit ON pggit.merges FOR EACH ROW EXECUTE FUNCTION nap();
    """)

    results: list[object] = []

    def merge() -> None:
        with psycopg.connect(db.dsn, autocommit=True) as session:
            results.extend(query(session, "SELECT (pggit.merge('dev', 'main')).result").fetchall())

    merging = threading.Thread(target=merge)
    merging.start()
    time.sleep(0.6)
    db.run("INSERT INTO t VALUES (2, 'committed meanwhile')")
    db.run("UPDATE t SET v = 'c2' WHERE id = 3")
    merging.join()

    assert results, "the merge itself must not fail"
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, "b"), (2, "committed meanwhile"), (3, "c2")]
