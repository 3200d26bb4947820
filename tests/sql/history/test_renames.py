# ruff: noqa: E501 - SQL is not wrapped
"""Names may change; what was committed under the old ones is still as it was."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


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
    assert db.rows("SELECT result FROM pggit.merge('work', 'main')") == [("merged",)]
    db.run(f"TRUNCATE {name}; SELECT pggit.commit('second')")
    assert db.rows(f"SELECT * FROM pggit.as_of(NULL::{name}, 'HEAD~1') ORDER BY id") == [(1, 1), (2, 1)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run(f"CREATE TABLE {name.split('.')[0]}.later (id integer PRIMARY KEY)")
    assert db.value("SELECT count(*) FROM pggit.tracked_tables WHERE table_name ~ 'later'") == (
        0 if "SET SCHEMA" in ddl else 1
    )


def untell(db: Database) -> None:
    """From here on no event trigger tells of DDL."""
    for name in ("ddl_path", "ddl_start", "rewrite", "ddl_end", "drop"):
        db.run(f"DROP EVENT TRIGGER pggit_{name}")


@pytest.mark.parametrize("told", [True, False])
def test_a_schema_without_tables_is_followed(db: Database, told: bool) -> None:
    if not told:
        untell(db)
    db.run("CREATE SCHEMA s; SELECT pggit.track_schema('s'); SELECT pggit.create_branch('work')")
    db.run(
        "ALTER SCHEMA s RENAME TO other; CREATE TABLE other.t (id integer PRIMARY KEY); SELECT pggit.commit('first')"
    )
    assert db.rows("SELECT table_name FROM pggit.tracked_tables") == [("other.t",)]
    assert db.rows("SELECT base_schema FROM pggit.branch_schemas WHERE base_schema <> 'public'") == [("other",)]


SHOP = """
    CREATE TABLE p (pid integer PRIMARY KEY);
    INSERT INTO p VALUES (1), (2);
    CREATE TABLE t (id integer PRIMARY KEY, v varchar(9) UNIQUE CHECK (v <> 'bad'), g integer GENERATED ALWAYS AS (id * 2) STORED, parent integer REFERENCES p ON UPDATE CASCADE);
    INSERT INTO t VALUES (1, 'a', DEFAULT, 1), (2, 'b', DEFAULT, 2);
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""


@pytest.mark.parametrize(("told", "form"), [(True, "none"), (False, "none"), (False, "p"), (False, "t")])
@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE t RENAME id TO k; ALTER TABLE p RENAME pid TO k; ALTER TABLE t RENAME parent TO id",
        "ALTER TABLE t ADD z integer NOT NULL CHECK (z IS NOT NULL) DEFAULT 1, ADD UNIQUE NULLS NOT DISTINCT (z, parent); ALTER TABLE t RENAME TO u; ALTER TABLE p RENAME TO q",
    ],
)
def test_a_branch_is_written_under_the_names_it_has(db: Database, told: bool, form: str, ddl: str) -> None:
    """Also where nobody has noticed that main's are others."""
    if not told:
        untell(db)
    db.run(SHOP)
    db.run(f"SELECT pggit.create_branch('work', 'main', 'schema', '{form}')")
    branch = db.connect(branch="work")
    db.run(ddl)
    insert = "INSERT INTO t (id, v, parent) VALUES "
    assert query(branch, insert + "(7, 'new', 1) RETURNING *").fetchall() == [(7, "new", 14, 1)]
    for row, state in (
        ("(1, 'x', 1)", "23505"),
        ("(8, 'a', 1)", "23505"),
        ("(8, 'bad', 1)", "23514"),
        ("(8, 'x', 9)", "23503"),
    ):
        with raises(state):
            query(branch, insert + row)
    assert query(branch, "UPDATE t SET id = 20 WHERE id = 2 RETURNING *").fetchall() == [(20, "b", 40, 2)]
    query(branch, "DELETE FROM t WHERE id = 20; UPDATE p SET pid = 5 WHERE pid = 1")
    with raises("23503"):
        query(branch, "DELETE FROM p WHERE pid = 5")
    rows = [(1, "a", 2, 5), (7, "new", 14, 5)]
    assert query(branch, "SELECT * FROM t ORDER BY id").fetchall() == rows
    query(branch, "SELECT pggit.commit('of the branch')")
    if form == "none" and "z" not in ddl:
        db.run("INSERT INTO t (k, v) VALUES (50, 'main'); SELECT pggit.commit('of main')")
        assert db.rows("SELECT result FROM pggit.merge('main', 'work')") == [("merged",)]
        # The names that main has by now have come along.
        query(branch, "UPDATE t SET v = v || '!' WHERE k >= 7")
        assert query(branch, "SELECT * FROM t ORDER BY k").fetchall() == [
            rows[0],
            (7, "new!", 14, 5),
            (50, "main!", 100, None),
        ]
    assert db.rows("SELECT * FROM pggit.verify()") == []
