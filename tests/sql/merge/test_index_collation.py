"""A unique index with a collation of its own (not the column's) is held by a merge into a branch."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query


@pytest.mark.pg(15)  # the wheels of 16 to 18 are built without ICU
def test_a_merge_looks_at_a_unique_index_in_its_own_collation(db: Database) -> None:
    db.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    db.run("CREATE TABLE t (id integer PRIMARY KEY, w text)")
    db.run("CREATE UNIQUE INDEX ON t (w COLLATE ci)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO t VALUES (1, 'ABC')")
    db.run("INSERT INTO t VALUES (2, 'abc')")
    assert db.value("SELECT (pggit.merge('main', 'dev')).result") == "refused", query(dev, "SELECT * FROM t").fetchall()
