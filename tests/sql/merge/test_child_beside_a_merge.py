"""A child that is inserted while a merge changes a unique column of its parent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fixtures.postgres import Database, query


def test_a_unique_column_that_a_merge_changes_does_not_refuse_children(db: Database) -> None:
    """The row was deleted and inserted again, and the foreign key, which had waited for it, found it gone: 23503."""
    db.run("""
        CREATE TABLE parent (id integer PRIMARY KEY, email text UNIQUE);
        CREATE TABLE child (id serial PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent);
        INSERT INTO parent VALUES (1, 'a'), (2, 'b');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('b');
        INSERT INTO parent VALUES (3, 'main');
    """)
    query(db.connect(branch="b"), "UPDATE parent SET email = 'other' WHERE id = 1")
    merging, writing = db.connect(autocommit=False), db.connect()
    assert query(merging, "SELECT result FROM pggit.merge('b', 'main')").fetchone() == ("merged",)
    with ThreadPoolExecutor(1) as pool:
        insert = pool.submit(query, writing, "INSERT INTO child (parent_id) VALUES (1)")
        while not db.value("SELECT cardinality(pg_blocking_pids(%s))", writing.info.backend_pid):
            assert not insert.done()
        merging.commit()
        insert.result()
    assert db.rows("SELECT parent_id FROM child") == [(1,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
