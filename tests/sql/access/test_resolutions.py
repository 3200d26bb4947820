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
