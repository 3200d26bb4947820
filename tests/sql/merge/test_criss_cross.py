"""After a criss-cross there are several best common ancestors; what a branch did after them is not dropped silently."""

from __future__ import annotations

import json
import re

import pytest

from fixtures.postgres import Connection, Database, query


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


def cross(db: Database, number: int, options: str = "{}") -> None:
    """Each of main and dev gets what the other one has at this moment."""
    db.run(f"SELECT pggit.tag('main-{number}', 'main'), pggit.tag('dev-{number}', 'dev')")
    assert db.value("SELECT result FROM pggit.merge(%s, 'main', NULL, %s)", f"dev-{number}", options) == "merged"
    assert db.value("SELECT result FROM pggit.merge(%s, 'dev', NULL, %s)", f"main-{number}", options) == "merged"


def parted(db: Database, main: str, dev: str, youngest: str) -> Connection:
    """The session of dev, which has done something else than main; one of them later than the other."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    db.run("CREATE TABLE k (v integer); INSERT INTO k VALUES (1), (1), (2)")
    db.run("CREATE TABLE other (id integer PRIMARY KEY); CREATE VIEW w AS SELECT id FROM t")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    there = {"main": db.conn, "dev": db.connect(branch="dev")}
    for branch, sql in sorted({"main": main, "dev": dev}.items(), key=lambda done: done[0] == youngest):
        query(there[branch], sql)
        query(there[branch], "SELECT pggit.commit('before')")
    return there["dev"]


DEFINITIONS = {
    # name: (the youngest ancestor, main before, dev before, dev after, main after, what both have then)
    "a default here, a comment there, which is taken back": (
        "main",
        "ALTER TABLE t ALTER v SET DEFAULT 'x'",
        "COMMENT ON COLUMN t.v IS 'dev'",
        "COMMENT ON COLUMN t.v IS NULL",
        "INSERT INTO other VALUES (1)",
        ("SELECT col_description('t'::regclass, 2)", [(None,)]),
    ),
    "a default here, which is taken back, a comment there": (
        "dev",
        "ALTER TABLE t ALTER v SET DEFAULT 'x'",
        "COMMENT ON COLUMN t.v IS 'dev'",
        "INSERT INTO other VALUES (1)",
        "ALTER TABLE t ALTER v DROP DEFAULT",
        ("SELECT count(*) FROM pg_attrdef WHERE adrelid = 't'::regclass", [(0,)]),
    ),
    "a column is renamed here, and a comment there is taken back": (
        "main",
        "ALTER TABLE t RENAME v TO w",
        "COMMENT ON COLUMN t.v IS 'dev'",
        "COMMENT ON COLUMN t.w IS NULL",
        "INSERT INTO other VALUES (1)",
        ("SELECT col_description('t'::regclass, 2)", [(None,)]),
    ),
    "a table is renamed, and renamed back": (
        "dev",
        "ALTER TABLE t RENAME TO u",
        "INSERT INTO other VALUES (1)",
        "ALTER TABLE u RENAME TO t",
        "INSERT INTO other VALUES (2)",
        ("SELECT * FROM t ORDER BY id", [(1, "one"), (2, "two")]),
    ),
    "a table is renamed, and renamed again": (
        "dev",
        "ALTER TABLE t RENAME TO u",
        "INSERT INTO other VALUES (1)",
        "ALTER TABLE u RENAME TO s",
        "INSERT INTO other VALUES (2)",
        ("SELECT * FROM s ORDER BY id", [(1, "one"), (2, "two")]),
    ),
    "a table is made, and gets a column there": (
        "dev",
        "CREATE TABLE n (id integer PRIMARY KEY); INSERT INTO n VALUES (1)",
        "INSERT INTO other VALUES (1)",
        "ALTER TABLE n ADD c integer; UPDATE n SET c = 7",
        "INSERT INTO other VALUES (2)",
        ("SELECT * FROM n", [(1, 7)]),
    ),
    "a table is made, and dropped there": (
        "dev",
        "CREATE TABLE n (id integer PRIMARY KEY); INSERT INTO n VALUES (1)",
        "INSERT INTO other VALUES (1)",
        "DROP TABLE n",
        "INSERT INTO other VALUES (2)",
        ("SELECT count(*) FROM pg_tables WHERE tablename = 'n'", [(0,)]),
    ),
    "a table that both have written is dropped there": (
        "main",
        "UPDATE t SET v = 'main' WHERE id = 1; DELETE FROM k WHERE v = 2",
        "UPDATE t SET v = 'dev' WHERE id = 2; INSERT INTO k VALUES (3)",
        "DROP VIEW w; DROP TABLE t, k",
        "INSERT INTO other VALUES (2)",
        ("SELECT count(*) FROM pg_tables WHERE tablename IN ('t', 'k') AND schemaname <> 'pggit'", [(0,)]),
    ),
    "a type that dev has made is dropped on main": (
        "main",
        "INSERT INTO other VALUES (1)",
        "CREATE TYPE e AS ENUM ('a')",
        "INSERT INTO other VALUES (2)",
        "DROP TYPE e",
        ("SELECT to_regtype('public.e')", [(None,)]),
    ),
    "a table without a key is made": (
        "dev",
        "CREATE TABLE n (v integer); INSERT INTO n VALUES (1), (1), (2)",
        "INSERT INTO other VALUES (1)",
        "DELETE FROM n WHERE v = 2; INSERT INTO n VALUES (3)",
        "INSERT INTO n VALUES (4)",
        ("SELECT v FROM n ORDER BY v", [(1,), (1,), (3,), (4,)]),
    ),
    "a table without a key gets a column": (
        "main",
        "ALTER TABLE k ADD c integer DEFAULT 9",
        "INSERT INTO k VALUES (3)",
        "DELETE FROM k WHERE v = 2; INSERT INTO k VALUES (4)",
        "INSERT INTO k VALUES (5)",
        ("SELECT * FROM k ORDER BY v", [(1, 9), (1, 9), (3, 9), (4, 9), (5, 9)]),
    ),
    "a column of a table without a key gets another type": (
        "dev",
        "ALTER TABLE k ALTER v TYPE bigint",
        "INSERT INTO k VALUES (3)",
        "DELETE FROM k WHERE v = 2; INSERT INTO k VALUES (4)",
        "ALTER TABLE k ADD c integer; INSERT INTO k VALUES (5)",
        ("SELECT v FROM k ORDER BY v", [(1,), (1,), (3,), (4,), (5,)]),
    ),
}


@pytest.mark.parametrize("case", DEFINITIONS)
def test_definitions_after_a_criss_cross(db: Database, case: str) -> None:
    """Whichever ancestor is the youngest one, what either has changed is what both sides begin with."""
    youngest, main_before, dev_before, dev_after, main_after, (question, answer) = DEFINITIONS[case]
    dev = parted(db, main_before, dev_before, youngest)
    cross(db, 1)
    query(dev, dev_after)
    db.run(main_after)
    for source, target in (("dev", "main"), ("main", "dev")):
        result = db.row("SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s)", source, target)
        assert result in [("merged", None), ("fast_forward", None)]
    assert db.rows(question) == query(dev, question).fetchall() == answer
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []


def test_a_table_whose_drop_is_taken_back_after_a_criss_cross_comes_back(db: Database) -> None:
    dev = parted(db, "DROP VIEW w; DROP TABLE t", "INSERT INTO other VALUES (1)", "dev")
    (dropped,) = db.row("SELECT pggit.resolve_ref('main')")
    cross(db, 1)
    assert db.value("SELECT result FROM pggit.revert(%s, 'dev')", dropped) == "merged"
    assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "one"), (2, "two")]
    db.run("INSERT INTO other VALUES (2); SELECT pggit.commit('main goes on')")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "merged"
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, "one"), (2, "two")]


def test_a_table_in_which_a_row_is_there_again_is_not_dropped(db: Database) -> None:
    """Against the ancestor that still has the row nothing has changed."""
    dev = parted(db, "DELETE FROM t WHERE id = 1", "INSERT INTO other VALUES (1)", "dev")
    cross(db, 1)
    db.run("INSERT INTO t VALUES (1, 'one')")
    query(dev, "DROP VIEW w; DROP TABLE t")
    result, reason = db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('dev', 'main')")
    assert (result, reason) == ("refused", "'dev' dropped table public.t, and 'main' has changed it since")
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, "one"), (2, "two")]


DISPUTES = {
    # name: (main, dev, a question, what main and what dev has)
    "a view": (
        "CREATE OR REPLACE VIEW w AS SELECT id FROM t WHERE id > 1",
        "CREATE OR REPLACE VIEW w AS SELECT id FROM t WHERE id < 2",
        "SELECT * FROM w",
        ([(2,)], [(1,)]),
    ),
    "a view that one has dropped": (
        "CREATE OR REPLACE VIEW w AS SELECT id FROM t WHERE id > 1",
        "DROP VIEW w",
        "SELECT count(*) FROM pg_views WHERE schemaname = current_schema() AND definition LIKE '%id > 1%'",
        ([(1,)], [(0,)]),
    ),
    "a type": (
        "ALTER TABLE k ALTER v TYPE bigint",
        "ALTER TABLE k ALTER v TYPE numeric",
        "SELECT DISTINCT pg_typeof(v)::text FROM k",
        ([("bigint",)], [("numeric",)]),
    ),
    "a name": (
        "ALTER TABLE t RENAME v TO m",
        "ALTER TABLE t RENAME v TO d",
        "SELECT DISTINCT jsonb_object_keys(to_jsonb(t) - 'id') FROM t",
        ([("m",)], [("d",)]),
    ),
    "a column that one has dropped and the other has written": (
        "UPDATE t SET v = 'main'",
        "ALTER TABLE t DROP v",
        "SELECT DISTINCT to_jsonb(t) ->> 'v' FROM t",
        ([("main",)], [(None,)]),
    ),
}


@pytest.mark.parametrize("case", DISPUTES)
def test_definitions_that_were_decided_differently_are_in_conflict_again(db: Database, case: str) -> None:
    """Neither side wins because its ancestor is the youngest one; and what is taken comes with its values."""
    main, dev_before, question, (of_main, of_dev) = DISPUTES[case]
    dev = parted(db, main, dev_before, "dev")
    cross(db, 1, '{"on_conflict": "ours"}')
    assert (db.rows(question), query(dev, question).fetchall()) == (of_main, of_dev)
    for source, target in (("dev", "main"), ("main", "dev")):
        result = db.row("SELECT result, schema_conflicts FROM pggit.merge(%s, %s)", source, target)
        assert result == ("conflicted", 1)
    decided = '{"on_conflict": "theirs"}'
    assert db.value("SELECT result FROM pggit.merge('main', 'dev', NULL, %s)", decided) == "merged"
    assert query(dev, question).fetchall() == of_main
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "fast_forward"
    assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == []
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []
    assert db.rows("SELECT * FROM pggit.verify()") == []


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
        cross(db, number)
    (base,) = db.row(
        "SELECT pggit._base_row_sql(1, pggit._merge_bases(pggit.resolve_ref('main'), pggit.resolve_ref('dev')))"
    )
    plan = db.value(f"EXPLAIN (FORMAT JSON) SELECT b.* FROM (SELECT 1 AS c1) AS k, LATERAL ({base}) AS b")
    assert len(re.findall("Node Type", json.dumps(plan))) < 200


def test_three_ancestors_are_compared_two_by_two(db: Database) -> None:
    """Two of three ancestors share a change that one of them has taken back, and the third does not know it."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)")
    db.run("CREATE TABLE counted (v integer); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('a'); SELECT pggit.create_branch('b')")
    a, b = db.connect(branch="a"), db.connect(branch="b")
    db.run("UPDATE t SET v = 1 WHERE id = 1; INSERT INTO counted VALUES (1); SELECT pggit.commit('shared')")
    assert db.value("SELECT result FROM pggit.merge('main', 'a')") == "fast_forward"
    query(a, "UPDATE t SET v = 2 WHERE id = 2; SELECT pggit.commit('a')")
    query(b, "UPDATE t SET v = 3 WHERE id = 3; SELECT pggit.commit('b')")
    db.run("UPDATE t SET v = 0 WHERE id = 1; SELECT pggit.commit('taken back')")
    db.run("SELECT pggit.tag('main-1', 'main'), pggit.tag('a-1', 'a'), pggit.tag('b-1', 'b')")
    for source, target in (("a-1", "main"), ("b-1", "main"), ("main-1", "a"), ("b-1", "a")):
        assert db.value("SELECT result FROM pggit.merge(%s, %s)", source, target) == "merged"
    query(a, "UPDATE t SET v = 1 WHERE id = 1; SELECT pggit.commit('wanted after all')")
    bases = "SELECT cardinality(pggit._merge_bases(pggit.resolve_ref('main'), pggit.resolve_ref('a')))"
    assert db.value(bases) == 3
    assert db.row("SELECT result, conflicts FROM pggit.merge('a', 'main')") == ("merged", 0)
    assert db.rows("SELECT * FROM t ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
    assert db.rows("SELECT * FROM counted") == [(1,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_was_decided_differently_at_every_criss_cross_is_a_conflict_again(db: Database) -> None:
    """What the ancestors have in common is itself in dispute, so that it does not say who has changed the cell."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (1, 0), (2, 0)")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev')")
    dev = db.connect(branch="dev")
    db.run("UPDATE t SET v = 10 WHERE id = 1; UPDATE t SET v = 20 WHERE id = 2; SELECT pggit.commit('main')")
    query(dev, "UPDATE t SET v = 11 WHERE id = 1; UPDATE t SET v = 21 WHERE id = 2; SELECT pggit.commit('dev')")
    for number, takes in enumerate((("theirs", "ours"), ("theirs", "ours"))):
        db.run(f"SELECT pggit.tag('main-{number}', 'main'), pggit.tag('dev-{number}', 'dev')")
        for source, target, ways in ((f"dev-{number}", "main", takes), (f"main-{number}", "dev", takes)):
            decided = [{"table": "t", "key": {"id": n + 1}, "take": way} for n, way in enumerate(ways)]
            options = json.dumps({"resolutions": decided})
            assert db.value("SELECT result FROM pggit.merge(%s, %s, NULL, %s)", source, target, options) == "merged"
    assert db.rows("SELECT v FROM t ORDER BY id") == [(10,), (20,)]
    assert query(dev, "SELECT v FROM t ORDER BY id").fetchall() == [(11,), (21,)]
    for source, target in (("dev", "main"), ("main", "dev")):
        assert db.row("SELECT result, conflicts FROM pggit.merge(%s, %s)", source, target) == ("conflicted", 2)


def test_rows_without_a_key_survive_any_number_of_criss_crosses(db: Database) -> None:
    db.run("CREATE TABLE t (v integer); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev')")
    dev = db.connect(branch="dev")
    for number in range(5):
        db.run(f"INSERT INTO t VALUES ({number}); SELECT pggit.commit('main')")
        query(dev, f"INSERT INTO t VALUES ({10 + number}); SELECT pggit.commit('dev')")
        cross(db, number)
        rows = sorted([*range(number + 1), *range(10, 11 + number)])
        for there in (db.conn, dev):
            assert [v for (v,) in query(there, "SELECT v FROM t ORDER BY v").fetchall()] == rows


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("dev", "all")])
def test_a_rule_does_not_add_up_from_one_of_several_bases(db: Database, target: str, materialize: str) -> None:
    """Both ancestors have counted on from 10, so that neither 15 nor 17 is what the sides have counted on from."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 10)")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", materialize)
    there = {"main": db.conn, "dev": db.connect(branch="dev")}
    query(there["main"], "UPDATE t SET n = n + 5; SELECT pggit.commit('main')")
    query(there["dev"], "UPDATE t SET n = n + 7; SELECT pggit.commit('dev')")
    db.run("SELECT pggit.tag('m', 'main'), pggit.tag('d', 'dev'), pggit.add_merge_rule('t', 'n', 'sum')")
    for source, into in (("d", "main"), ("m", "dev")):
        assert db.value("SELECT result FROM pggit.merge(%s, %s)", source, into) == "merged"
        assert query(there[into], "SELECT n FROM t").fetchall() == [(22,)]
    query(there["main"], "UPDATE t SET n = n + 1")
    query(there["dev"], "UPDATE t SET n = n + 2")
    source = "dev" if target == "main" else "main"
    merge, result = db.row("SELECT merge_id, result FROM pggit.merge(%s, %s)", source, target)
    assert result == "conflicted"
    note = db.value("SELECT note FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    assert note == "sum: the best common ancestors have different values"
    tried = "SELECT resolved, resolution_method FROM pggit.attempt_auto_resolution(1, p_merge_id => %s)"
    assert db.row(tried, merge) == (False, "manual")
    (rest,) = db.row("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', '25')", merge, rest)
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge) == "merged"
    assert query(there[target], "SELECT n FROM t").fetchall() == [(25,)]
