"""A writer that has one row of a merge and then wants another goes on: the merge gives way, and tries again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.postgres import Database, query

SCHEMA = """
    CREATE TABLE a (id integer PRIMARY KEY, x integer, y integer);
    CREATE TABLE b (id integer PRIMARY KEY, x integer, y integer);
    INSERT INTO a VALUES (1, 0, 0), (2, 0, 0);
    INSERT INTO b VALUES (1, 0, 0), (2, 0, 0);
    CREATE FUNCTION takes_time() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END$$;
    CREATE TRIGGER slow AFTER UPDATE OF x ON a FOR EACH STATEMENT EXECUTE FUNCTION takes_time();
    ALTER TABLE a ENABLE ALWAYS TRIGGER slow;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', NULL, 'schema', 'none');
"""


@pytest.mark.parametrize("of_b", ["UPDATE b SET x = 1 WHERE id = 1", "DELETE FROM b WHERE id = 1"])
def test_the_merge_gives_way(db: Database, of_b: str) -> None:
    db.run(SCHEMA)
    dev = db.connect(branch="dev")
    query(dev, f"UPDATE a SET x = 1 WHERE id = 1; {of_b}; SELECT pggit.commit('work')")
    writer, merger = db.connect(autocommit=False), db.connect()
    query(writer, "UPDATE b SET y = 7 WHERE id = 2; SELECT FROM b WHERE id = 1 FOR UPDATE")
    waiting = f"SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = {merger.info.backend_pid}"
    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(query, merger, "SELECT result FROM pggit.merge('dev', 'main')")
        while not db.value(waiting):
            time.sleep(0.02)
        query(writer, "UPDATE a SET y = 7 WHERE id = 1")
        writer.commit()
        assert merging.result().fetchall() == [("merged",)]
    assert db.rows("SELECT * FROM a ORDER BY id") == [(1, 1, 7), (2, 0, 0)]
    assert db.rows("SELECT * FROM b ORDER BY id") == ([(1, 1, 0)] if "UPDATE" in of_b else []) + [(2, 0, 7)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
