"""Names may change; what was committed under the old ones is still as it was."""

from __future__ import annotations

from fixtures.postgres import Database


def test_verify_knows_renamed_columns_and_tables(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("UPDATE t SET v = 'b'")
    db.run("SELECT pggit.commit('second')")
    db.run("ALTER TABLE t RENAME v TO w; ALTER TABLE t RENAME TO other")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT w FROM pggit.as_of(NULL::other, 'HEAD~1')") == [("a",)]
    db.run("UPDATE pggit.commits SET content = jsonb_set(content, '{public.t,updated}', '2') WHERE message = 'second'")
    assert {check for check, *_ in db.rows("SELECT * FROM pggit.verify()")} == {"commit id", "commit content"}
