"""Children and parents that others write while a merge changes unique columns beside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.postgres import Database, query, raises

SWAP = """
UPDATE child SET u = 3 WHERE id = 1;
UPDATE child SET u = 1 WHERE id = 2;
UPDATE child SET u = 2 WHERE id = 1
"""


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


@pytest.mark.parametrize("action", ["NO ACTION", "CASCADE"])
@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("u integer UNIQUE", SWAP),
        ("u integer GENERATED ALWAYS AS IDENTITY", "UPDATE child SET u = DEFAULT"),
    ],
    ids=["values that change hands", "identity"],
)
def test_a_parent_whose_child_a_merge_writes_anew_is_not_deleted(
    db: Database, column: str, change: str, action: str
) -> None:
    """The child was deleted and inserted again, and who deleted its parent meanwhile found none."""
    db.run(f"""
        CREATE TABLE parent (id integer PRIMARY KEY);
        CREATE TABLE child (
            id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES parent ON DELETE {action}, {column});
        INSERT INTO parent VALUES (1), (2);
        INSERT INTO child (id, parent_id, u) OVERRIDING SYSTEM VALUE VALUES (1, 1, 1), (2, 2, 2);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('b');
        INSERT INTO parent VALUES (3);
    """)
    query(db.connect(branch="b"), change)
    merging, writing = db.connect(autocommit=False), db.connect()
    assert query(merging, "SELECT result, rows_updated FROM pggit.merge('b', 'main')").fetchone() == ("merged", 2)
    with ThreadPoolExecutor(1) as pool:
        delete = pool.submit(query, writing, "DELETE FROM parent WHERE id = 1")
        while not db.value("SELECT cardinality(pg_blocking_pids(%s))", writing.info.backend_pid):
            assert not delete.done()
        merging.commit()
        if action == "CASCADE":
            delete.result()
        else:
            with raises("23503"):
                delete.result()
    orphans = "SELECT FROM child AS c WHERE NOT EXISTS (SELECT FROM parent AS p WHERE p.id = c.parent_id)"
    assert db.rows(orphans) == []
    assert db.rows("SELECT * FROM pggit.verify()") == []
