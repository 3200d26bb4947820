# ruff: noqa: E501 - SQL is not wrapped
"""Each commit has the schema of its moment, and its id covers what changed in it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .rich import CLEAN, RICH, TRACKED, branch_id

pytestmark = pytest.mark.each_version

SAME = """
    SELECT object_type, object_name FROM pggit._schema_tree(pggit.resolve_ref(%s)) AS t FULL JOIN pggit._schema_objects(%s) AS n USING (object_type, object_name)
     WHERE t IS DISTINCT FROM n"""


def changes(session: Connection, ref: str = "HEAD") -> object:
    ((schema,),) = query(session, "SELECT changes -> 'schema' FROM pggit.show(%s)", ref).fetchall()
    return schema and sorted((o["change"], o["type"], o["name"]) for o in schema["objects"])


@pytest.mark.parametrize("told", [True, False])
def test_commits_keep_the_schema_of_their_moment(db: Database, plain_owner: Connection, told: bool) -> None:
    session = db.conn if told else plain_owner
    query(
        session,
        "CREATE TABLE t (id integer PRIMARY KEY, a text); SELECT pggit.track_schema('public'), pggit.commit('first')",
    )
    query(session, "CREATE INDEX by_a ON t (a); CREATE VIEW v AS SELECT a FROM t; SELECT pggit.commit('second')")
    assert changes(session) == [("create", "index", "public.by_a"), ("create", "view", "public.v")]
    query(
        session,
        "DROP INDEX by_a; CREATE OR REPLACE VIEW v AS SELECT a FROM t WHERE id > 0; INSERT INTO t VALUES (1); SELECT pggit.commit('third')",
    )
    assert changes(session) == [("alter", "view", "public.v"), ("drop", "index", "public.by_a")]
    counts = query(session, "SELECT message, rows_changed, objects_changed FROM pggit.log()").fetchall()
    assert counts[:2] == [("third", 1, 2), ("second", 0, 2)]
    names = [
        query(session, "SELECT object_name FROM pggit._schema_tree(pggit.resolve_ref(%s)) ORDER BY 1", ref).fetchall()
        for ref in ("HEAD", "HEAD~1", "HEAD~2")
    ]
    assert [[("public.by_a",) in n, ("public.v",) in n] for n in names] == [[False, True], [True, True], [False, False]]
    assert query(session, SAME, "HEAD", 1).fetchall() == []
    query(session, "INSERT INTO t VALUES (2); SELECT pggit.commit('rows alone')")
    assert changes(session) is None
    with raises("VG304"):
        query(session, "SELECT pggit.commit('nothing')")
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []


def test_ids_cover_changes_of_the_schema_and_are_as_before_where_there_are_none(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'), pggit.commit('first')")

    def id_after(change: str) -> str:
        with db.conn.transaction(force_rollback=True):
            db.run(change)
            return str(
                db.value(
                    "SELECT pggit.commit('second', p_author => 'a', p_allow_empty => true, p_committed_at => '2026-01-01')"
                )
            )

    parent = db.value("SELECT pggit.resolve_ref('main')")
    without = "SELECT pggit._commit_id(ARRAY[%s], '{}', 'a', 'second', '2026-01-01')"
    assert id_after("SELECT 1") == db.value(without, parent)
    ids = [id_after(f"ALTER TABLE t ADD CHECK (id > {n})") for n in (0, 1, 0)]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.event_triggers("DDL of a branch finds views")
def test_a_branch_stands_on_the_schema_that_main_had(db: Database) -> None:
    db.run(RICH)
    db.run(TRACKED)
    db.run("SELECT pggit.create_branch('work', p_materialize => 'public.above,public.below,public.secret')")
    db.run(
        "ALTER TABLE customers ADD later text; DROP INDEX trigrams; CREATE TYPE added AS ENUM (); SELECT pggit.commit('main goes on')"
    )
    work = db.connect(branch="work")
    assert query(work, "SELECT pggit.commit('nothing', p_allow_empty => true)").rowcount == 1
    assert changes(work) is None
    query(work, "COMMENT ON TABLE above IS 'on the branch'; SELECT pggit.commit('a comment')")
    assert changes(work) == [("alter", "table", "public.above")]
    assert db.rows(SAME, "work", branch_id(db, "work")) == []
    query(work, "DROP VIEW counted, shown_again; DROP FUNCTION parsed; SELECT pggit.commit('drops')")
    assert changes(work) == [
        ("drop", "function", "public.parsed(bigint)"),
        ("drop", "index", "public.counted_n"),
        ("drop", "materialized view", "public.counted"),
        ("drop", "view", "public.shown_again"),
    ]
    query(work, "CREATE VIEW shown_again AS SELECT 1 AS one; SELECT pggit.commit('another one')")
    assert changes(work) == [("create", "view", "public.shown_again")]
    query(work, "DROP TABLE parts; SELECT pggit.commit('a table with its partitions')")
    left = "SELECT object_name FROM pggit._schema_tree(pggit.resolve_ref('work')) WHERE object_name ~ 'parts'"
    assert db.rows(left) == []
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run(CLEAN)


def test_verify_finds_a_changed_byte_of_a_definition_and_an_object_put_in_or_out(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'), pggit.commit('first')")
    for damage in (
        """UPDATE pggit.schema_definitions SET definition = '{"type": "bigint"}' WHERE definition ->> 'type' = 'integer'""",
        "DELETE FROM pggit.schema_entries WHERE object_type = 'constraint'",
        "UPDATE pggit.schema_trees SET digest = 'x'",
        "UPDATE pggit.schema_entries SET hash = NULL WHERE object_type = 'constraint'; UPDATE pggit.schema_trees AS t SET digest = pggit._tree_digest(t.tree_id)",
    ):
        with db.conn.transaction(force_rollback=True):
            db.run(damage)
            assert {check for check, _, _ in db.rows("SELECT * FROM pggit.verify()")} & {
                "schema definition",
                "schema tree",
                "commit schema",
            }
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_many_changes_of_one_tree(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'), pggit.commit('first')")
    for n in range(60):
        db.run(f"CREATE TABLE x{n} (id integer PRIMARY KEY); SELECT pggit.commit('more')")
    assert db.rows(SAME, "HEAD", 1) == []
    assert (
        db.value("SELECT count(*) FROM pggit._schema_tree(pggit.resolve_ref('HEAD~10')) WHERE object_type = 'table'")
        == 51
    )
    assert db.value("SELECT count(*) FROM pggit.schema_trees WHERE parent_id IS NULL") == 2
