# ruff: noqa: E501 - SQL is not wrapped
"""Tables that a branch made or dropped, in dumps, stashes, reverts, resets and under gc."""

from __future__ import annotations

from fixtures.dumps import on_branch, restore
from fixtures.postgres import Database, query, raises

from .schema import SHOP, rows

MADE = "CREATE TABLE parcels (id serial PRIMARY KEY, gone int, note text); CREATE TABLE lines (line text); "


def test_a_restored_branch_has_its_tables_and_lacks_what_it_dropped(db: Database, empty_db: Database) -> None:
    db.run(
        SHOP
        + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'none')"
    )
    dev = db.connect(branch="dev")
    query(
        dev,
        MADE
        + "INSERT INTO parcels (note) VALUES ('a'), ('b'); INSERT INTO lines VALUES ('x'), ('x'); SELECT pggit.commit('made')",
    )
    query(dev, "ALTER TABLE parcels DROP gone; UPDATE parcels SET note = 'c' WHERE id = 1; SELECT pggit.commit('more')")
    query(dev, "DROP TABLE orders; SELECT pggit.commit('fewer')")
    restore(db, empty_db)
    for sql in (
        "SELECT * FROM pggit.diff('main', 'dev')",
        "SELECT * FROM pggit.diff('dev~1', 'dev')",
        "SELECT * FROM pggit.diff('dev~2', 'dev~1')",
        "SELECT * FROM pggit.log('dev')",
    ):
        assert empty_db.rows(sql) == db.rows(sql), sql
    there = on_branch(empty_db, "dev")
    query(there, "INSERT INTO parcels (note) VALUES ('there'); DELETE FROM lines; SELECT pggit.commit('there')")
    with raises("42P01"):
        query(there, "SELECT * FROM orders")
    assert empty_db.rows("SELECT result, detail ->> 'reason' FROM pggit.merge('dev', 'main')") == [
        ("fast_forward", None)
    ]
    assert empty_db.rows("SELECT id, note FROM parcels ORDER BY 1") == [(1, "c"), (2, "b"), (3, "there")]
    assert empty_db.rows("SELECT * FROM pggit.verify()") == []


def test_stash_revert_reset_and_gc_know_a_branch_s_own_tables(db: Database) -> None:
    db.run(
        SHOP
        + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'all')"
    )
    dev = db.connect(branch="dev")
    query(dev, MADE + "INSERT INTO parcels (note) VALUES ('a'), ('b'); SELECT pggit.commit('made')")
    query(dev, "UPDATE parcels SET note = 'z'; SELECT pggit.stash('dev')")
    assert rows(dev, "SELECT DISTINCT note FROM parcels ORDER BY 1") == [("a",), ("b",)]
    query(dev, "SELECT pggit.unstash('stash-1', 'dev')")
    assert rows(dev, "SELECT DISTINCT note FROM parcels ORDER BY 1") == [("z",)]
    query(dev, "SELECT pggit.commit('z'); SELECT pggit.revert('HEAD', 'dev')")
    assert rows(dev, "SELECT DISTINCT note FROM parcels ORDER BY 1") == [("a",), ("b",)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    query(dev, "SELECT pggit.reset('dev', 'main')")
    assert rows(dev, "SELECT to_regclass('parcels'), to_regclass('lines')") == [(None, None)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("SET pggit.retention = '0'; SELECT pggit.gc(false)")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    query(dev, MADE + "INSERT INTO parcels (note) VALUES ('new'); SELECT pggit.commit('again')")
    assert db.rows("SELECT result, detail ->> 'reason' FROM pggit.merge('dev', 'main')") == [("fast_forward", None)]
    db.run("SET pggit.retention = '0'; SELECT pggit.gc(false)")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    query(dev, "SELECT pggit.checkout('main'); SELECT pggit.delete_branch('dev')")
    assert db.rows("SELECT note FROM parcels") == [("new",)]
    db.run("DROP TABLE lines; SELECT pggit.commit('lines')")
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_table_is_made_anew_under_its_name(db: Database) -> None:
    db.run(
        "CREATE TABLE notes (id int PRIMARY KEY, a text); INSERT INTO notes SELECT g, 'a' FROM generate_series(1, 3) AS g"
    )
    db.run(
        "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'none')"
    )
    dev = db.connect(branch="dev")
    query(
        dev,
        "CREATE TABLE notes_new (id bigint PRIMARY KEY, b text); INSERT INTO notes_new SELECT id, a || 'b' FROM notes; SELECT pggit.commit('new')",
    )
    query(
        dev,
        "DROP TABLE notes; ALTER TABLE notes_new RENAME TO notes; UPDATE notes SET b = 'c' WHERE id = 2; SELECT pggit.commit('swapped')",
    )
    assert rows(dev, "SELECT id, b FROM notes ORDER BY 1") == [(1, "ab"), (2, "c"), (3, "ab")]
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == [("public.notes", 3, 0, 0), ("public.notes", 0, 0, 3)]
    assert rows(dev, "SELECT change, old_row, new_row FROM pggit.diff_rows('notes', 'HEAD~1')") == [
        ("update", {"id": 2, "b": "ab"}, {"id": 2, "b": "c"})
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT result, schema_changes FROM pggit.merge('dev', 'main')") == [("fast_forward", 2)]
    assert db.rows("SELECT id, b FROM notes ORDER BY 1") == [(1, "ab"), (2, "c"), (3, "ab")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    query(dev, "ALTER TABLE notes RENAME TO other; SELECT pggit.commit('renamed')")
    assert db.rows("SELECT result, schema_changes FROM pggit.merge('dev', 'main')") == [("fast_forward", 1)]
    assert db.rows("SELECT id, b FROM other ORDER BY 1") == [(1, "ab"), (2, "c"), (3, "ab")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
