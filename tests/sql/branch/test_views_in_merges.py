# ruff: noqa: E501 - SQL is not wrapped
"""Views and materialized views of a branch in merges, and what a branch says that it has not."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

from .schema import FORMS, merged, rows

SMALL = (
    "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'a'); CREATE VIEW top AS SELECT a FROM t;"
)
MATERIALIZED = "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM t; CREATE MATERIALIZED VIEW goes AS SELECT 1 AS one FROM t; CREATE VIEW over AS SELECT n FROM counted;"


def branch(db: Database, sql: str, form: str) -> Connection:
    db.run(sql + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('b', p_materialize => %s)", form)
    return db.connect(branch="b")


@pytest.mark.parametrize("form", FORMS)
def test_a_view_that_one_side_changed_and_the_other_dropped_with_its_table_is_a_conflict(
    db: Database, form: str
) -> None:
    b = branch(db, SMALL, form)
    query(b, "DROP VIEW top; DROP TABLE t; SELECT pggit.commit('dropped')")
    db.run("CREATE OR REPLACE VIEW top AS SELECT a, 1 AS one FROM t; SELECT pggit.commit('changed')")
    assert db.row("SELECT result, schema_conflicts FROM pggit.plan_merge('b', 'main')") == ("planned", 1)
    merge_id, result = db.row("SELECT merge_id, result FROM pggit.merge('b', 'main')")
    (conflict,) = db.rows(
        "SELECT conflict_id, object_name, kind FROM pggit.merge_schema_conflicts WHERE merge_id = %s", merge_id
    )
    assert (result, *conflict[1:]) == ("conflicted", "public.top", "update_delete")
    assert db.rows("SELECT * FROM top") == [("a", 1)]
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", merge_id, conflict[0])
    result, reason = db.row("SELECT result, detail ->> 'reason' FROM pggit.continue_merge(%s)", merge_id)
    assert (result, "view top depends on table t" in reason) == ("refused", True)
    merge_id = db.value("SELECT merge_id FROM pggit.merge('b', 'main')")
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge_id, conflict[0])
    assert db.row("SELECT result, schema_changes FROM pggit.continue_merge(%s)", merge_id) == ("merged", 2)
    assert db.row("SELECT to_regclass('t'), to_regclass('top')") == (None, None)
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", FORMS)
def test_views_of_a_branch_follow_main_and_their_dropping_is_merged_also_after_another_merge(
    db: Database, form: str
) -> None:
    b = branch(db, SMALL + MATERIALIZED, form)
    db.run("SELECT pggit.create_branch('other', p_materialize => 'none')")
    other = db.connect(branch="other")
    db.run(
        "DROP VIEW over; DROP MATERIALIZED VIEW counted; CREATE MATERIALIZED VIEW counted AS SELECT max(a) AS m, count(*) AS n FROM t;"
        "CREATE VIEW over AS SELECT n FROM counted; DROP MATERIALIZED VIEW goes; CREATE MATERIALIZED VIEW comes AS SELECT min(a) FROM t;"
        "SELECT pggit.commit('changed')"
    )
    query(b, "INSERT INTO t VALUES (2, 'b')")
    assert merged(db, "main", "b") == "merged"
    assert rows(b, "SELECT * FROM counted, over, comes") == [("b", 2, 2, "a")]
    assert rows(b, "SELECT to_regclass('goes')") == [(None,)]
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'b')") == []
    query(b, "DROP VIEW over; DROP VIEW counted; DROP VIEW top; SELECT pggit.commit('less')")
    assert merged(db, "b", "main") == "fast_forward"
    assert db.row("SELECT to_regclass('over'), to_regclass('counted'), to_regclass('top')") == (None, None, None)
    assert merged(db, "main", "other") == "fast_forward"
    assert rows(other, "SELECT to_regclass('over'), to_regclass('counted'), to_regclass('top')") == [(None, None, None)]
    assert rows(other, "SELECT * FROM comes") == [("a",)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_a_branch_has_not_is_told(db: Database) -> None:
    b = branch(db, SMALL + "CREATE UNLOGGED TABLE quick (id int); CREATE TEMPORARY TABLE mine (id int);", "all")
    db.run(
        "CREATE TABLE later (id int PRIMARY KEY); CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (id int) SERVER s"
    )
    query(b, "DROP VIEW top; DROP TABLE t")
    told = dict(db.rows("SELECT table_name, way_out FROM pggit.branch_capabilities('b') WHERE kind = 'left_out'"))
    assert told == {
        "public.far": "There is none.",
        "public.later": "SELECT pggit.merge('main', 'b');",
        "public.quick": "On main, before the branch is made: ALTER TABLE public.quick SET LOGGED;",
    }
