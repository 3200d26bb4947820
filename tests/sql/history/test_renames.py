"""Names may change; what was committed under the old ones is still as it was."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query


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


@pytest.mark.parametrize(
    ("ddl", "name"),
    [
        ("ALTER TABLE t RENAME TO u", "public.u"),
        ("ALTER INDEX t RENAME TO u", "public.u"),
        ("CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s", "s.t"),
        ("ALTER SCHEMA public RENAME TO s", "s.t"),
        ("ALTER TABLE parents RENAME TO p; ALTER TABLE p RENAME id TO k", "public.t"),
    ],
)
def test_writes_of_main_and_of_branches_follow_names(db: Database, ddl: str, name: str) -> None:
    db.run("CREATE TABLE parents (id integer PRIMARY KEY); INSERT INTO parents VALUES (1)")
    db.run("CREATE TABLE t (id integer PRIMARY KEY, parent integer REFERENCES parents)")
    db.run("INSERT INTO t VALUES (1, 1); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('work', 'main', 'schema', 'none')")
    branch = db.connect(branch="work")
    db.run(ddl)
    query(branch, "INSERT INTO t VALUES (2, 1); SELECT pggit.commit('of the branch')")
    assert db.rows("SELECT result FROM pggit.merge('work', 'main')") == [("fast_forward",)]
    db.run(f"TRUNCATE {name}; SELECT pggit.commit('second')")
    assert db.rows(f"SELECT * FROM pggit.as_of(NULL::{name}, 'HEAD~1') ORDER BY id") == [(1, 1), (2, 1)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run(f"CREATE TABLE {name.split('.')[0]}.later (id integer PRIMARY KEY)")
    assert db.value("SELECT count(*) FROM pggit.tracked_tables WHERE table_name ~ 'later'") == (
        0 if "SET SCHEMA" in ddl else 1
    )
