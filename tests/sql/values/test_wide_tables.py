"""As many columns as PostgreSQL's tables and pggit's stores have room for."""

from __future__ import annotations

from fixtures.postgres import Database, query, raises


def columns(count: int) -> str:
    return "id integer PRIMARY KEY" + "".join(f", c{n} integer" for n in range(2, count + 1))


def test_1590_columns_are_tracked_and_written_on_branches(db: Database) -> None:
    db.run(f"CREATE TABLE w ({columns(1590)}); INSERT INTO w (id, c2, c1590) VALUES (1, 1, 1), (2, 2, 2)")
    db.run("SELECT pggit.track_table('w')")
    db.run("SELECT pggit.tag('v1', pggit.commit('first'))")
    db.run("UPDATE w SET c2 = 5 WHERE id = 1")
    assert db.rows("SELECT id, c2 FROM pggit.as_of(NULL::w, 'v1') ORDER BY id") == [(1, 1), (2, 2)]
    for form in ("none", "all"):
        db.run("SELECT pggit.create_branch(%s, 'v1', 'schema', %s)", form, form)
        work = db.connect(branch=form)
        query(work, "UPDATE w SET c3 = 7 WHERE id = 1; INSERT INTO w (id) VALUES (3); DELETE FROM w WHERE id = 2")
        assert query(work, "SELECT id, c2, c3, c1590 FROM w ORDER BY id").fetchall() == [
            (1, 1, 7, 1),
            (3, None, None, None),
        ]


def test_more_columns_are_refused(db: Database) -> None:
    db.run(f"CREATE TABLE w ({columns(1591)})")
    with raises("VG203", match="more than 1590 columns"):
        db.run("SELECT pggit.track_table('w')")
