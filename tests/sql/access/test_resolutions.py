"""What a Merge's resolutions decide can be corrected for as long as the merge has not happened."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query

OWNER = Jsonb({"installation": "here", "namespace": "team", "name": "m", "uid": "1"})


@pytest.mark.parametrize("corrected", [{"take": "value", "value": "4"}, {"take": "ours"}])
def test_a_resolution_that_broke_a_constraint_is_corrected(db: Database, corrected: dict[str, str]) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (n >= 0)); INSERT INTO t VALUES (1, 1)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET n = 2")
    db.run("UPDATE t SET n = 3")

    def run(**decision: str) -> tuple[str, bool]:
        given = Jsonb([{"table": "public.t", "key": {"id": "1"}, "column": "n", **decision}])
        sql = "SELECT merge_id, was_run FROM pggit.run_merge(%s, 'dev', 'main', NULL, '{}', %s)"
        merge_id, was_run = db.row(sql, OWNER, given)
        return db.value("SELECT result FROM pggit.merges WHERE merge_id = %s", merge_id), was_run

    assert run(take="value", value="-4") == ("refused", True)
    assert run(take="value", value="-4") == ("refused", False), "asked again, nothing runs"
    assert run(**corrected) == ("merged", True)
    assert db.rows("SELECT n FROM t") == [(int(corrected.get("value", "3")),)]
    assert run(**corrected) == ("merged", False)


def test_conflicts_of_definitions_wait_and_are_decided_too(db: Database) -> None:
    db.run(
        "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1); SELECT pggit.track_schema('public')"
    )
    db.run("SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = db.connect(branch="dev")
    query(dev, "ALTER TABLE t ADD twice int; UPDATE t SET twice = a * 2")
    db.run("INSERT INTO t VALUES (2, 5)")
    run = "SELECT merge_id FROM pggit.run_merge(%s, 'dev', 'main', p_resolutions => %s)"
    merge_id = db.value(run, OWNER, Jsonb([]))
    described = "SELECT result, conflicts, open_conflicts FROM pggit.describe_merge(%s)"
    assert db.row(described, merge_id) == ("conflicted", 1, 1)
    ((conflict_id, kind, name, ours),) = db.rows(
        "SELECT conflict_id, kind, table_name, ours FROM pggit.describe_conflicts(%s)", merge_id
    )
    assert (kind, name, ours) == ("needs_fill", "public.t.twice", '{"rows": 1}')
    # A value in text form, which is no expression: who writes it may have fewer rights than who carries it out.
    given = [{"conflict_id": conflict_id, "take": "value", "value": "10"}]
    assert db.value(run, OWNER, Jsonb(given)) == merge_id
    assert db.row(described, merge_id) == ("merged", 1, 0)
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, 1, 2), (2, 5, 10)]
    assert db.rows("SELECT ddl FROM pggit.describe_merge_ddl(%s)", merge_id) == [
        ("ALTER TABLE public.t ADD COLUMN twice integer DEFAULT NULL",)
    ]
