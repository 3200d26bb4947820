"""After a criss-cross there are several best common ancestors; what a branch did after them is not dropped silently."""

from __future__ import annotations

import json
import re

import pytest

from fixtures.postgres import Database, query

pytestmark = pytest.mark.by_turns


def test_what_a_branch_did_after_a_criss_cross_is_merged_or_in_conflict(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text)")
    db.run("CREATE TABLE other (id integer PRIMARY KEY)")
    db.run("INSERT INTO t VALUES (7, 'seven')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = db.connect(branch="dev")
    db.run("DELETE FROM t WHERE id = 7")
    a = db.value("SELECT pggit.commit('A: main deletes row 7')")
    query(dev, "INSERT INTO other VALUES (1)")
    b = db.value("SELECT pggit.commit('B: dev does something else', 'dev')")
    assert db.value("SELECT (pggit.merge(%s, 'dev')).result", a) == "merged"
    assert db.value("SELECT (pggit.merge(%s, 'main')).result", b) == "merged"

    query(dev, "INSERT INTO t VALUES (7, 'seven')")  # dev wants it back; main has done nothing to it since A
    db.run("SELECT pggit.commit('dev inserts row 7 again', 'dev')")

    assert db.value("SELECT (pggit.merge('dev', 'main')).result") in ("merged", "fast_forward")
    assert db.rows("SELECT * FROM t") == [(7, "seven")]


COLUMNS = {
    # name: (main before, dev before, dev after, main after, the rows of both then, by name)
    "both added, one dropped again": (
        "ALTER TABLE t ADD m int DEFAULT 1",
        "ALTER TABLE t ADD d int DEFAULT 2; ALTER TABLE t RENAME v TO w; INSERT INTO t VALUES (3, 'dev')",
        "ALTER TABLE t DROP m; INSERT INTO t VALUES (4, 'later')",
        "UPDATE t SET d = 5 WHERE id = 1",
        [
            {"id": 1, "w": "one", "d": 5},
            {"id": 2, "w": "two", "d": 2},
            {"id": 3, "w": "dev", "d": 2},
            {"id": 4, "w": "later", "d": 2},
        ],
    ),
    "renamed, and renamed back": (
        "ALTER TABLE t RENAME v TO w; CREATE INDEX by_w ON t (w)",
        "UPDATE t SET v = 'dev' WHERE id = 2",
        "ALTER TABLE t RENAME w TO v",
        "UPDATE t SET w = 'main' WHERE id = 1; COMMENT ON INDEX by_w IS 'kept'",
        [{"id": 1, "v": "main"}, {"id": 2, "v": "dev"}],
    ),
    "retyped": (
        "UPDATE t SET v = '17' WHERE id = 1",
        "UPDATE t SET v = '3' WHERE id = 2",
        "ALTER TABLE t ALTER v TYPE int USING v::int",
        "INSERT INTO t VALUES (5, '5')",
        [{"id": 1, "v": 17}, {"id": 2, "v": 3}, {"id": 5, "v": 5}],
    ),
    "dropped here, dropped and made again there": (
        "ALTER TABLE t DROP v",
        "INSERT INTO t VALUES (3)",
        "ALTER TABLE t ADD v int DEFAULT 7",
        "DELETE FROM t WHERE id = 1",
        [{"id": 2, "v": 7}, {"id": 3, "v": 7}],
    ),
}


@pytest.mark.parametrize("first", ["dev", "main"])
@pytest.mark.parametrize("case", COLUMNS)
def test_columns_after_a_criss_cross(db: Database, case: str, first: str) -> None:
    main_before, dev_before, dev_after, main_after, expected = COLUMNS[case]
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = db.connect(branch="dev")
    db.run(main_before)
    a = db.value("SELECT pggit.commit('A')")
    query(dev, dev_before)
    b = query(dev, "SELECT pggit.commit('B')").fetchall()[0][0]
    for source, target in ((a, "dev"), (b, "main")):
        assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s)", source, target) == ("merged", None)
    query(dev, dev_after)
    db.run(main_after)
    # From here the branches have two best common ancestors, A and B.
    for source, target in (("dev", "main"), ("main", "dev")) if first == "dev" else (("main", "dev"), ("dev", "main")):
        result = db.row("SELECT result, conflicts, schema_conflicts, detail FROM pggit.merge(%s, %s)", source, target)
        assert result[0] in ("merged", "fast_forward"), result
    rows = "SELECT to_jsonb(t) FROM t ORDER BY id"
    assert [row for (row,) in db.rows(rows)] == [row for (row,) in query(dev, rows)] == expected
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == []
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []


def test_the_base_of_several_ancestors_is_read_once_a_row(db: Database) -> None:
    """Each cell of it used to read the rows of all ancestors anew: plans of wide tables took gigabytes."""
    columns = ", ".join(f"v{n} integer" for n in range(8))
    db.run(f"CREATE TABLE t (id integer PRIMARY KEY, {columns}); SELECT pggit.track_schema('public')")
    db.run("INSERT INTO t SELECT g FROM generate_series(1, 9) AS g; SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev')")
    dev = db.connect(branch="dev")
    for number in range(2):
        db.run(f"UPDATE t SET v1 = {number} WHERE id = 1; SELECT pggit.commit('main {number}')")
        query(dev, f"UPDATE t SET v2 = {number} WHERE id = 2; SELECT pggit.commit('dev {number}')")
        db.run(f"SELECT pggit.tag('main-{number}', 'main'), pggit.tag('dev-{number}', 'dev')")
        assert db.value("SELECT result FROM pggit.merge(%s, 'main')", f"dev-{number}") == "merged"
        assert db.value("SELECT result FROM pggit.merge(%s, 'dev')", f"main-{number}") == "merged"
    (base,) = db.row(
        "SELECT pggit._base_row_sql(1, pggit._merge_bases(pggit.resolve_ref('main'), pggit.resolve_ref('dev')))"
    )
    plan = db.value(f"EXPLAIN (FORMAT JSON) SELECT b.* FROM (SELECT 1 AS c1) AS k, LATERAL ({base}) AS b")
    assert len(re.findall("Node Type", json.dumps(plan))) < 200
