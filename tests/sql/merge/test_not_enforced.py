"""PostgreSQL 18's NOT ENFORCED constraints bind nobody, a merge neither."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query


@pytest.mark.pg(18)
@pytest.mark.parametrize("constraint", ["CHECK (w > 0) NOT ENFORCED", "FOREIGN KEY (w) REFERENCES p NOT ENFORCED"])
def test_a_merge_does_not_enforce_what_is_not_enforced(db: Database, constraint: str) -> None:
    db.run(f"CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE t (id integer PRIMARY KEY, w integer, {constraint})")
    db.run("INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET w = -1")
    result, detail = db.row("SELECT m.result, m.detail FROM pggit.merge('dev', 'main') AS m")
    assert result == "fast_forward", detail
