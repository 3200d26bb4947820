"""An identity column that is not the key, with another value on a branch, is merged like any other column."""

from __future__ import annotations

from fixtures.postgres import Database, query


def test_a_row_made_anew_with_another_identity_value_can_be_merged(db: Database) -> None:
    db.run("CREATE TABLE t (code text PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY, v text)")
    db.run("INSERT INTO t (code, v) VALUES ('a', '1')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = db.connect(branch="dev")
    query(dev, "DELETE FROM t WHERE code = 'a'")
    query(dev, "INSERT INTO t (code, v) VALUES ('a', '2')")
    rows = query(dev, "SELECT * FROM t").fetchall()

    result, detail = db.row("SELECT m.result, m.detail FROM pggit.merge('dev', 'main') AS m")
    assert result in ("merged", "fast_forward"), detail
    assert db.rows("SELECT * FROM t") == rows
