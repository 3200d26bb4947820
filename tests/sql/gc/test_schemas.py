# ruff: noqa: E501 - SQL is not wrapped
"""gc takes schemas and stand-ins that nothing refers to any more, and nothing that can be read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fixtures.postgres import Database, query, raises

STORED = "SELECT count(*) FROM pggit.schema_definitions AS d WHERE NOT EXISTS (SELECT FROM pggit.schema_entries AS e WHERE e.hash = d.hash) AND NOT EXISTS (SELECT FROM pggit.function_notes AS n WHERE n.hash = d.hash)"
STANDS_IN = "SELECT count(*) FROM pg_class AS c WHERE c.relnamespace = 'pggit'::regnamespace AND c.relname ~ '_2($|_)'"


def gc(db: Database, *, dry_run: bool = False) -> list[tuple[Any, ...]]:
    return db.rows("SELECT * FROM pggit.gc(%s)", dry_run)


def readable(db: Database) -> list[object]:
    """All that the log and the tag tell of schemas."""
    commits = [commit for (commit,) in db.rows("SELECT commit_id FROM pggit.commits ORDER BY commit_no")]
    return [db.rows("SELECT changes FROM pggit.show(%s)", commit) for commit in commits] + [
        db.rows("SELECT * FROM pggit.export_schema_hashes(%s)", commit) for commit in commits
    ]


@pytest.fixture
def tagged(db: Database) -> Database:
    """A deleted branch that had a table of its own, in commits of which a tag has the first."""
    db.begin(
        "CREATE TABLE t (id integer PRIMARY KEY, a text); SELECT pggit.track_schema('public'); SELECT pggit.commit('main')"
    )
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    session = db.connect(branch="dev")
    query(
        session,
        "CREATE TABLE parcels (id serial PRIMARY KEY, note text CHECK (note <> '')); INSERT INTO parcels VALUES (1, 'one')",
    )
    query(session, "SELECT pggit.tag('v1', pggit.commit('parcels'))")
    query(session, "ALTER TABLE parcels ADD weight integer; UPDATE parcels SET weight = 5")
    query(session, "SELECT pggit.commit('weights')")
    session.close()
    db.run("SELECT pggit.delete_branch('dev', true)")
    db.run(f"ALTER DATABASE \"{db.name}\" SET pggit.retention = '0'")
    db.close()
    db.connect()
    return db


def test_what_a_tag_on_a_deleted_branch_has_is_readable_until_the_tag_goes(tagged: Database) -> None:
    before = readable(tagged)[0:2]
    shown = tagged.rows("SELECT * FROM pggit.export_schema_hashes('v1')")
    assert gc(tagged, dry_run=True) == gc(tagged)
    assert tagged.value("SELECT count(*) FROM pggit.commits") == 2
    assert readable(tagged)[0:2] == before
    assert tagged.rows("SELECT * FROM pggit.export_schema_hashes('v1')") == shown
    assert tagged.rows("SELECT inserted FROM pggit.diff('main', 'v1')") == [(1,)]
    assert tagged.value(STORED) == 0
    assert tagged.value(STANDS_IN) > 0
    assert tagged.rows("SELECT * FROM pggit.verify()") == []

    tagged.run("SELECT pggit.delete_tag('v1')")
    assert gc(tagged, dry_run=True) == gc(tagged)
    assert tagged.value(STANDS_IN) == 0
    assert tagged.value("SELECT count(*) FROM pggit.tables") == 1
    assert (
        tagged.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'pggit'::regnamespace AND proname ~ '_2_'") == 0
    )
    assert (
        tagged.rows("SELECT DISTINCT object_name FROM pggit.schema_entries WHERE object_name LIKE 'public.parcels%%'")
        == []
    )
    assert tagged.value(STORED) == 0
    assert tagged.rows("SELECT * FROM pggit.verify()") == []
    assert gc(tagged) == []

    tagged.run("SELECT pggit.create_branch('again')")
    session = tagged.connect(branch="again")
    query(
        session,
        "CREATE TABLE parcels (id serial PRIMARY KEY, note text CHECK (note <> '')); INSERT INTO parcels VALUES (1, 'one')",
    )
    query(session, "SELECT pggit.commit('parcels'); SELECT pggit.merge('again', 'main')")
    assert tagged.rows("SELECT * FROM parcels") == [(1, "one")]
    assert tagged.rows("SELECT * FROM pggit.verify()") == []


def test_gc_knows_all_that_refers_to_trees_and_definitions(db: Database) -> None:
    """Whoever adds one tells pggit._kept_trees, or pggit._collect_schemas."""
    assert {
        name
        for (name,) in db.rows("""
            SELECT c.conrelid::regclass::text FROM pg_constraint AS c WHERE c.confrelid = 'pggit.schema_trees'::regclass
            UNION SELECT a.attrelid::regclass::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                   WHERE c.relnamespace = 'pggit'::regnamespace AND c.relkind = 'r' AND a.attname = 'hash'""")
    } == {
        f"pggit.{name}"
        for name in [
            "accepted_schema",
            "deployments",
            "function_notes",
            "schema_commits",
            "schema_definitions",
            "schema_entries",
            "schema_moves",  # with definitions of its own
            "schema_places",
            "schema_scans",
            "schema_trees",
        ]
    }


def test_a_definition_that_gc_takes_is_stored_again_by_who_has_it_now(tagged: Database) -> None:
    tagged.run("SELECT pggit.create_branch('again')")
    session = tagged.connect(branch="again")
    query(session, "CREATE TABLE parcels (id serial PRIMARY KEY, note text CHECK (note <> ''))")
    tagged.run("SELECT pggit.delete_tag('v1')")
    collecting = tagged.connect(autocommit=False)
    query(collecting, "SELECT * FROM pggit.gc(false)")
    committing = threading.Thread(target=query, args=(session, "SELECT pggit.commit('parcels')"))
    committing.start()
    committing.join(0.3)
    collecting.commit()
    committing.join(20)
    assert tagged.value("SELECT message FROM pggit.log('again', 1)") == "parcels"
    assert tagged.rows("SELECT * FROM pggit.verify()") == []
    with raises("VG002"):
        tagged.run("SELECT * FROM pggit.export_schema_hashes('v1')")


def test_a_definition_that_is_just_being_used_stays(tagged: Database) -> None:
    tagged.run("SELECT pggit.create_branch('again')")
    session = tagged.connect(branch="again", autocommit=False)
    query(session, "CREATE TABLE parcels (id serial PRIMARY KEY, note text CHECK (note <> ''))")
    query(session, "SELECT pggit.commit('parcels')")
    tagged.run("SELECT pggit.delete_tag('v1')")
    gc(tagged)
    session.commit()
    assert tagged.rows("SELECT * FROM pggit.verify()") == []
    gc(tagged)
    assert tagged.rows("SELECT * FROM pggit.verify()") == []
    assert tagged.value(STORED) == 0


def test_of_what_was_typed_before_the_retention_the_last_about_each_object_stays(db: Database) -> None:
    """Drift tells who did it, however long ago."""
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'); SELECT pggit.commit('main'); SELECT pggit.create_branch('dev')"
    )
    dev = db.connect(branch="dev")
    query(dev, "ALTER TABLE t ADD a text; SELECT pggit.commit('a')")
    dev.close()
    db.run("SELECT pggit.delete_branch('dev', true)")
    for default in (1, 2, 3):
        db.run(f"ALTER TABLE t ALTER id SET DEFAULT {default}; SELECT pggit.commit('{default}')")
    drift = db.rows("SELECT object_name, changed_by, statement FROM pggit.schema_drift()")
    assert not any(object == "pggit.ddl_log" for object, *_ in gc(db))
    db.run("SET pggit.retention = '0'")
    assert gc(db, dry_run=True) == gc(db)
    assert db.rows("SELECT object_name, changed_by, statement FROM pggit.schema_drift()") == drift
    kept = db.rows(
        "SELECT branch_id, object_name, count(*) FROM pggit.ddl_log GROUP BY 1, 2, object_type HAVING count(*) > 1 OR branch_id > 1"
    )
    assert kept == [], kept
    assert any("SET DEFAULT" in statement for (statement,) in db.rows("SELECT statement FROM pggit.ddl_log"))
