"""Columns whose names are short are columns like any other."""

from __future__ import annotations

from fixtures.postgres import Database, query


def test_a_conflict_names_its_row_though_a_column_is_called_r(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, r text)")
    db.run("INSERT INTO t VALUES (1, 'a'), (2, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET r = 'b'")
    db.run("DELETE FROM t")
    assert db.value("SELECT (pggit.merge('dev', 'main')).result") == "conflicted"
    found = db.rows("SELECT key, base, theirs FROM pggit.merge_conflicts ORDER BY key ->> 'id'")
    assert found == [({"id": n}, {"id": n, "r": "a"}, {"id": n, "r": "b"}) for n in (1, 2)]
    assert db.value("SELECT count(DISTINCT conflict_id) FROM pggit.merge_conflicts") == 2


def test_a_violation_names_its_row_though_a_column_is_called_v(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v integer, w integer, CHECK (v + w < 10))")
    db.run("INSERT INTO t VALUES (1, 0, 0)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET v = 9")
    db.run("UPDATE t SET w = 9")
    assert db.value("SELECT (pggit.merge('dev', 'main')).result") == "refused"
    assert db.rows("SELECT key, side FROM pggit.merge_violations") == [({"id": 1}, "both")]


def test_diff_rows_shows_rows_though_a_column_is_called_r(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, r text)")
    db.run("INSERT INTO t VALUES (1, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    first = db.value("SELECT pggit.commit('first')")
    db.run("UPDATE t SET r = 'b'")
    db.run("SELECT pggit.commit('second')")
    assert db.rows("SELECT key, old_row, new_row FROM pggit.diff_rows('t', %s, 'main')", first) == [
        ({"id": 1}, {"id": 1, "r": "a"}, {"id": 1, "r": "b"})
    ]


def test_blame_shows_cells_though_a_column_is_called_n(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, n text)")
    db.run("INSERT INTO t VALUES (1, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("UPDATE t SET n = 'b'")
    db.run("SELECT pggit.commit('second')")
    blamed = db.rows("SELECT column_name, value FROM pggit.blame('t', '{\"id\": 1}') ORDER BY 1")
    assert blamed == [("id", 1), ("n", "b")]


def test_columns_may_have_the_names_of_captures_own_variables(db: Database) -> None:
    db.run("CREATE TABLE t (v_seq integer PRIMARY KEY, v_xid text, v_nest text, n text, o text)")
    db.run("INSERT INTO t VALUES (1, 'a', 'b', 'c', 'd')")
    db.run("SELECT pggit.track_schema('public')")
    first = db.value("SELECT pggit.commit('first')")
    db.run("UPDATE t SET v_seq = 2, v_xid = 'x' WHERE v_seq = 1; INSERT INTO t VALUES (1, 'new', '', '', '')")
    db.run("DELETE FROM t WHERE v_seq = 2; TRUNCATE t")
    assert db.rows("SELECT * FROM pggit.as_of(NULL::t, %s)", first) == [(1, "a", "b", "c", "d")]
    for how in ("none", "all"):
        db.run("SELECT pggit.create_branch(%s, %s, 'schema', %s)", how, first, how)
        session = db.connect(branch=how)
        query(session, "UPDATE t SET v_seq = 3, v_nest = 'y'; INSERT INTO t VALUES (1, 'new', '', '', '')")
        assert query(session, "SELECT v_seq, v_nest FROM t ORDER BY 1").fetchall() == [(1, ""), (3, "y")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
