"""History has one key's changes in the order in which they happened, whatever ran inside what."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database

Rows = list[tuple[int, str]]


@pytest.fixture
def repo(db: Database) -> Database:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t SELECT g, 'v' || g FROM generate_series(3, 1, -1) AS g;  -- physically 3, 2, 1
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)
    return db


FIRST = [(1, "v1"), (2, "v2"), (3, "v3")]


def as_of(db: Database, ref: str) -> Rows:
    return [(key, v) for key, v in db.rows("SELECT id, v FROM pggit.as_of(NULL::public.t, %s) ORDER BY id", ref)]


def check(db: Database, statement: str, after: Rows) -> None:
    """After the statement both commits read right, and so they do when all keys have changed once more."""
    db.run(statement)
    assert db.rows("SELECT id, v FROM t ORDER BY id") == after
    db.run("SELECT pggit.commit('second', p_allow_empty => true)")
    for later in (
        "SELECT 1",
        "UPDATE t SET v = v || '!'",
        "DELETE FROM t",
        "INSERT INTO t VALUES (1), (2), (3), (4), (5)",
    ):
        db.run(later)
        assert as_of(db, "HEAD~1") == FIRST
        assert as_of(db, "HEAD") == after
    assert db.rows("SELECT * FROM pggit.verify()") == []


STATEMENTS = {
    "several updates in one transaction": (
        "BEGIN; UPDATE t SET v = 'a' WHERE id = 1; UPDATE t SET v = 'b' WHERE id = 1; DELETE FROM t WHERE id = 1;"
        "INSERT INTO t VALUES (1, 'c'); COMMIT",
        [(1, "c"), (2, "v2"), (3, "v3")],
    ),
    "a key in OLD and in NEW of one statement": ("UPDATE t SET id = id + 1", [(2, "v1"), (3, "v2"), (4, "v3")]),
    "a key change and back": (
        "BEGIN; UPDATE t SET id = 7 WHERE id = 1; UPDATE t SET id = 1, v = 'x' WHERE id = 7; COMMIT",
        [(1, "x"), (2, "v2"), (3, "v3")],
    ),
    "a CTE that deletes and inserts": (
        "WITH d AS (DELETE FROM t WHERE id = 1 RETURNING *) INSERT INTO t SELECT id, v || 'moved' FROM d",
        [(1, "v1moved"), (2, "v2"), (3, "v3")],
    ),
    "a CTE that inserts and one that deletes": (
        "WITH i AS (INSERT INTO t VALUES (5, 'five')), d AS (DELETE FROM t WHERE id = 2) SELECT 1",
        [(1, "v1"), (3, "v3"), (5, "five")],
    ),
    "upsert": (
        "INSERT INTO t VALUES (1, 'up'), (4, 'in') ON CONFLICT (id) DO UPDATE SET v = t.v || excluded.v",
        [(1, "v1up"), (2, "v2"), (3, "v3"), (4, "in")],
    ),
    "merge": (
        """MERGE INTO t USING (VALUES (1, 'm'), (2, NULL), (6, 'six')) AS s (id, v) ON t.id = s.id
           WHEN MATCHED AND s.v IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v
           WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)""",
        [(1, "m"), (3, "v3"), (6, "six")],
    ),
    "truncate and fill": ("TRUNCATE t; INSERT INTO t VALUES (1, 'filled')", [(1, "filled")]),
    "insert and delete again": ("BEGIN; INSERT INTO t VALUES (8, 'x'); DELETE FROM t WHERE id = 8; COMMIT", FIRST),
    "copy of a row that was deleted": (
        "BEGIN; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (3, 'v3'); COMMIT",
        FIRST,
    ),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_both_commits_read_right_after(repo: Database, name: str) -> None:
    check(repo, *STATEMENTS[name])


TRIGGERS = {
    "an AFTER ROW trigger that writes the same row": (
        """CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF pg_trigger_depth() < 3 THEN UPDATE t SET v = v || '+' WHERE id = NEW.id; END IF; RETURN NULL; END $$;
           CREATE TRIGGER again AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION again()""",
        "INSERT INTO t VALUES (4, 'n'); UPDATE t SET v = 'u' WHERE id = 1",
        [(1, "u++"), (2, "v2"), (3, "v3"), (4, "n++")],
    ),
    "an AFTER ROW trigger that deletes the row just inserted": (
        """CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             DELETE FROM t WHERE id = NEW.id; RETURN NULL; END $$;
           CREATE TRIGGER gone AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id = 5) EXECUTE FUNCTION gone()""",
        "INSERT INTO t VALUES (4, 'n'), (5, 'n')",
        [(1, "v1"), (2, "v2"), (3, "v3"), (4, "n")],
    ),
    "a BEFORE ROW trigger that deletes the key first": (
        """CREATE FUNCTION room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             DELETE FROM t WHERE id = NEW.id; RETURN NEW; END $$;
           CREATE TRIGGER room BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION room()""",
        "INSERT INTO t VALUES (1, 'replaced')",
        [(1, "replaced"), (2, "v2"), (3, "v3")],
    ),
    "an AFTER STATEMENT trigger of the user, with a name before ours": (
        """CREATE FUNCTION after_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF pg_trigger_depth() = 1 THEN UPDATE t SET v = upper(v); END IF; RETURN NULL; END $$;
           CREATE TRIGGER "AAA" AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION after_all()""",
        "UPDATE t SET v = 'u' WHERE id = 1",
        [(1, "U"), (2, "V2"), (3, "V3")],
    ),
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_both_commits_read_right_with(repo: Database, name: str) -> None:
    trigger, statement, after = TRIGGERS[name]
    repo.run(trigger)
    repo.run(statement)
    assert repo.rows("SELECT id, v FROM t ORDER BY id") == after
    second = repo.value("SELECT pggit.commit('second')")
    assert as_of(repo, "HEAD~1") == FIRST
    assert as_of(repo, second) == after
    repo.run("DELETE FROM t")
    assert as_of(repo, "HEAD~1") == FIRST
    assert as_of(repo, second) == after


def test_a_cascade_into_the_same_table(db: Database) -> None:
    db.run("""
        CREATE TABLE tree (id integer PRIMARY KEY, above integer REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE);
        INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, NULL), (5, 4);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        UPDATE tree SET id = 40 WHERE id = 4;
        DELETE FROM tree WHERE id = 1;
        INSERT INTO tree VALUES (3, 40);
    """)
    second = db.value("SELECT pggit.commit('second')")
    db.run("TRUNCATE tree")
    at = "SELECT id, above FROM pggit.as_of(NULL::public.tree, %s) ORDER BY id"
    assert db.rows(at, "HEAD~1") == [(1, None), (2, 1), (3, 2), (4, None), (5, 4)]
    assert db.rows(at, second) == [(3, 40), (5, 40), (40, None)]
