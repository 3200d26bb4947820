"""History is not in the way of what users do to their types, and is not changed by it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

TABLE = """
    CREATE EXTENSION citext;
    CREATE SCHEMA other;
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE pair AS (n integer, t text);
    CREATE DOMAIN few AS integer CHECK (value < 10);
    CREATE TABLE t (id integer PRIMARY KEY, m mood, p pair, f few, c citext, w text);
    CREATE TABLE k (k mood PRIMARY KEY, w text);
    INSERT INTO t VALUES (1, 'sad', '(1,a)', 1, 'A'), (2, 'ok', '(2,b)', 2, 'B');
    INSERT INTO k VALUES ('sad');
    SELECT pggit.track_schema('public');
    SELECT pggit.tag('v1', pggit.commit('v1'));
    UPDATE t SET m = 'ok', p = '(3,c)', f = 3, c = 'C';
    UPDATE k SET w = 'x';
    SELECT pggit.commit('v2');
"""
CHANGES = """
    ALTER TYPE mood ADD VALUE 'glad';
    ALTER TYPE mood RENAME TO feeling;
    ALTER TYPE feeling SET SCHEMA other;
    ALTER TYPE pair RENAME ATTRIBUTE t TO u;
    ALTER DOMAIN few ADD CONSTRAINT positive CHECK (value > 0);
    ALTER DOMAIN few RENAME TO handful;
    ALTER EXTENSION citext SET SCHEMA other
"""


def test_changed_types_are_followed(db: Database) -> None:
    """On main and on branches of both forms, in new sessions and old ones."""
    db.begin(TABLE)
    first = db.rows("SELECT r::text FROM pggit.as_of(NULL::t, 'v1') AS r ORDER BY 1")
    for form in ("none", "all"):
        db.run("SELECT pggit.create_branch(%s, 'main', 'schema', %s)", form, form)
        query(db.connect(branch=form), "UPDATE t SET m = 'sad'; UPDATE k SET w = 'y'")
    for change in CHANGES.split(";"):
        db.run(change)
        for session in (db.conn, *(db.connect(branch=form) for form in ("none", "all"))):
            query(session, "UPDATE t SET w = %s, m = 'ok', c = c || 'x' WHERE id = 1", change)
            query(session, "UPDATE t SET id = -id WHERE id = 2; UPDATE t SET id = -id WHERE id = -2")
            query(session, "UPDATE k SET w = %s", change)
            query(session, "SELECT pggit.commit('changed')")
        assert db.rows("SELECT r::text FROM pggit.as_of(NULL::t, 'v1') AS r ORDER BY 1") == first, change
        assert db.rows("SELECT * FROM pggit.verify()") == [], change
    assert db.value("SELECT count(*) FROM pggit.blame('k')") == 2
    assert db.value("SELECT conflicts FROM pggit.merge('all', 'none')") == 0


def test_a_renamed_label_is_shown_in_all_history(db: Database) -> None:
    db.begin(TABLE)
    db.run("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    assert db.rows("SELECT id, m::text FROM pggit.as_of(NULL::t, 'v1') ORDER BY 1") == [(1, "blue"), (2, "ok")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("UPDATE t SET m = 'blue'; SELECT pggit.commit('after')")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("DELETE FROM pggit._log_2 WHERE _at = (SELECT max(_at) FROM pggit._log_2)")
    assert db.value("SELECT count(*) > 0 FROM pggit.verify()")


@pytest.mark.parametrize("told", [True, False])
def test_types_that_only_history_uses_can_be_changed_and_dropped(db: Database, told: bool) -> None:
    """Without event triggers from the next commit on."""
    db.begin(TABLE)
    if not told:
        for (trigger,) in db.rows("SELECT evtname FROM pg_event_trigger"):
            db.run(f"DROP EVENT TRIGGER {trigger}")
    db.run("ALTER TABLE t DROP m, DROP p, DROP c, DROP f; DROP TABLE k")
    db.run("SELECT pggit.commit('gone', p_allow_empty => true)")
    for change in (
        "ALTER TYPE pair ADD ATTRIBUTE z integer",
        "DROP TYPE mood",
        "DROP TYPE pair",
        "DROP DOMAIN few",
        "DROP EXTENSION citext",
    ):
        db.run(change)
    db.run("UPDATE t SET w = 'z'; SELECT pggit.commit('after')")
    assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY 1") == [(1, "z"), (2, "z")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_writes_go_on_when_a_type_takes_its_columns_along(db: Database) -> None:
    db.begin(TABLE)
    db.run("DROP TYPE pair CASCADE; DROP EXTENSION citext CASCADE")
    db.run("UPDATE t SET w = 'after'; INSERT INTO t (id) VALUES (3); SELECT pggit.commit('after'); DELETE FROM t")
    assert db.rows("SELECT id, m::text, f, w FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY 1") == [
        (1, "ok", 3, "after"),
        (2, "ok", 3, "after"),
        (3, None, None, None),
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_row_types_that_only_history_uses_can_be_changed_and_dropped(db: Database) -> None:
    db.run("""
        CREATE TABLE a (id integer PRIMARY KEY, x integer);
        CREATE VIEW b AS SELECT 1 AS one;
        CREATE TABLE t (id integer PRIMARY KEY, a a, list a[], b b);
        INSERT INTO t VALUES (1, '(1,2)', '{"(3,4)"}', '(5)');
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('v1', pggit.commit('v1'));
        ALTER TABLE t DROP a, DROP list, DROP b;
    """)
    db.run("ALTER TABLE a ALTER x TYPE text; DROP VIEW b")
    db.run("UPDATE t SET id = 2; SELECT pggit.commit('v2')")
    assert db.value("SELECT old_row FROM pggit.diff_rows('t', 'v1') WHERE change = 'delete'") == {
        "id": 1,
        "a": "(1,2)",
        "list": '{"(3,4)"}',
        "b": "(5)",
    }
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("DROP TABLE a")


def test_a_table_of_a_type_follows_it(db: Database) -> None:
    db.run("""
        CREATE TYPE kind AS (id integer, v text, n integer);
        CREATE TABLE t OF kind (PRIMARY KEY (id));
        INSERT INTO t VALUES (1, 'a', 1);
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('v1', pggit.commit('v1'));
    """)
    db.run("ALTER TYPE kind RENAME ATTRIBUTE v TO w CASCADE; ALTER TYPE kind ADD ATTRIBUTE x text CASCADE")
    db.run("UPDATE t SET w = 'b', x = 'x'; SELECT pggit.commit('v2')")
    assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'v1')") == [(1, "a", 1, None)]
    db.run("ALTER TYPE kind ALTER ATTRIBUTE n TYPE text CASCADE, DROP ATTRIBUTE x CASCADE")
    db.run("UPDATE t SET n = 'n'; SELECT pggit.commit('v3')")
    with raises("VG306"):
        db.run("SELECT * FROM pggit.as_of(NULL::t, 'v1')")
    db.run("DELETE FROM t")
    assert db.rows("SELECT * FROM pggit.as_of(NULL::t, 'HEAD')") == [(1, "b", "n")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("change", ["DROP ATTRIBUTE b", "ADD ATTRIBUTE c integer"])
def test_attributes_of_a_type_that_history_uses_come_and_go(db: Database, change: str) -> None:
    """History shows the attributes that the type has, and what digests were made of is known no more: no complaint."""
    db.run("""
        CREATE TYPE pair AS (a integer, b text);
        CREATE TABLE t (id integer PRIMARY KEY, c pair, list pair[]);
        CREATE TABLE loose (c pair, n integer);
        INSERT INTO t VALUES (1, (1, 'x'), ARRAY[(3, 'y')::pair]);
        INSERT INTO loose VALUES ((1, 'x'), 1);
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('v1', pggit.commit('v1'));
        UPDATE t SET c = (2, 'x');
        SELECT pggit.create_branch('dev', p_materialize => 'none');
    """)
    query(db.connect(branch="dev"), "UPDATE t SET c = (5, 'x'); SELECT pggit.commit('on dev')")
    db.run(f"ALTER TYPE pair {change}")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.value("SELECT (c).a FROM pggit.as_of(NULL::t, 'v1')") == 1
    db.run("UPDATE t SET list = NULL; SELECT pggit.commit('v2')")
    assert db.rows("SELECT result FROM pggit.merge('dev', 'main')") == [("merged",)]
    assert db.rows("SELECT id, (c).a, list FROM t") == [(1, 5, None)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_another_collation_of_a_key_goes_into_the_stores(db: Database) -> None:
    """The key of a branch view is read by the indexes of main and of the branch's rows, sorted in one way."""
    db.run("""
        CREATE TABLE s (id text PRIMARY KEY, w text);
        INSERT INTO s VALUES ('a', 'x'), ('b', 'y');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        ALTER TABLE s ALTER id TYPE text COLLATE "POSIX", ALTER w TYPE text COLLATE "POSIX";
        SELECT pggit.create_branch('dev', p_materialize => 'none');
        SELECT pggit.checkout('dev');
        UPDATE s SET w = 'z' WHERE id = 'a';
        SELECT pggit.commit('second');
    """)
    assert db.rows("SELECT * FROM s WHERE id < 'm' ORDER BY w") == [("b", "y"), ("a", "z")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
