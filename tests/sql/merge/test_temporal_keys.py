"""A primary key WITHOUT OVERLAPS: a row is known by its whole key, and what overlaps it can't be there too."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

pytestmark = pytest.mark.pg(18)
ALL = "SELECT id, p::text, v FROM t ORDER BY id, p"


@pytest.fixture
def periods(db: Database) -> Database:
    db.run("CREATE EXTENSION btree_gist")
    db.run("CREATE TABLE t (id integer, p int4range, v text, PRIMARY KEY (id, p WITHOUT OVERLAPS))")
    db.run("INSERT INTO t VALUES (1, '[1,9)', 'whole'), (2, '[1,5)', 'left'), (2, '[5,9)', 'right')")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.tag('first', pggit.commit('first'))")
    return db


@pytest.mark.parametrize("target", ["main", "side"])
def test_periods_are_split_and_joined(periods: Database, target: str) -> None:
    with raises("VG307", "WITHOUT OVERLAPS"):
        periods.run("SELECT pggit.create_branch('side', p_materialize => 'none')")
    periods.run("SELECT pggit.create_branch('side')")
    there = {"main": periods.conn, "side": periods.connect(branch="side")}
    source = "side" if target == "main" else "main"
    before = query(there[source], ALL).fetchall()
    query(there[source], "UPDATE t SET p = '[1,4)' WHERE id = 1; INSERT INTO t VALUES (1, '[4,9)', 'new')")
    query(there[source], "DELETE FROM t WHERE v = 'left'; UPDATE t SET p = '[1,9)' WHERE v = 'right'")
    query(there[target], "INSERT INTO t VALUES (3, '[1,2)', 'ours')")
    after = [(1, "[1,4)", "whole"), (1, "[4,9)", "new"), (2, "[1,9)", "right")]
    assert query(there[source], ALL).fetchall() == after

    assert periods.value("SELECT result FROM pggit.merge(%s, %s)", source, target) == "merged"
    assert query(there[target], ALL).fetchall() == [*after, (3, "[1,2)", "ours")]
    assert periods.rows("SELECT id, p::text, v FROM pggit.as_of(NULL::public.t, 'first') ORDER BY id, p") == before
    assert periods.rows("SELECT * FROM pggit.verify()") == []
    query(there[source], "INSERT INTO t VALUES (4, '[1,5)', 'theirs')")
    query(there[target], "INSERT INTO t VALUES (4, '[3,8)', 'ours')")
    assert periods.row("SELECT result, violations FROM pggit.merge(%s, %s)", source, target) == ("refused", 1)
