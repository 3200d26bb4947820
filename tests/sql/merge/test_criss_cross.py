"""After a criss-cross there are several best common ancestors; what a branch did after them is not dropped silently."""

from __future__ import annotations

from fixtures.postgres import Database, query


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
