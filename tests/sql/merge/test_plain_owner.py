"""The owner of a database on a managed service is no superuser: foreign keys fire while his merges are written."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from fixtures.postgres import INSTALL, Connection, Database, query, raises

FAMILIES = """
    CREATE TABLE parent (id integer PRIMARY KEY, v text);
    CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent);
    INSERT INTO parent VALUES (1, 'goes'), (2, 'stays');
    INSERT INTO child VALUES (10, 1), (20, 2);
"""
CHANGES = """
    DELETE FROM child WHERE id = 10;
    DELETE FROM parent WHERE id = 1;
    INSERT INTO parent VALUES (3, 'comes');
    INSERT INTO child VALUES (30, 3);
"""
MOVES = "UPDATE parent SET v = 'moved' WHERE id = 2"


@pytest.fixture
def plain(db: Database) -> Connection:
    """A session of a role that owns the database's content and may nothing else."""
    db.run("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE "{db.name}" TO plain')
    db.psql("-f", str(INSTALL.with_name("uninstall.sql")))
    db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    session = db.connect(user="plain")
    assert query(session, "SELECT pggit._may_replicate()").fetchall() == [(False,)]
    return session


def merged(session: Connection, source: str, target: str) -> str:
    ((result, detail),) = query(session, "SELECT result, detail FROM pggit.merge(%s, %s)", source, target).fetchall()
    assert result in ("merged", "fast_forward"), detail
    return str(result)


@pytest.mark.parametrize("moves", ["SELECT 1", MOVES], ids=["fast_forward", "merge"])
@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_the_order_of_tables_does_not_matter(
    db: Database, plain: Connection, target: str, materialize: str, moves: str
) -> None:
    """A parent goes with its child and another comes with a child, in one merge: no order of whole tables does both."""
    query(plain, FAMILIES)
    query(plain, "SELECT pggit.track_schema('public')")
    query(plain, "SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    source = "side" if target == "main" else "main"
    there = {"main": plain, "side": db.connect(user="plain", branch="side")}
    query(there[source], CHANGES)
    query(there[target], moves)

    merged(plain, source, target)

    assert query(there[target], "SELECT id FROM parent ORDER BY id").fetchall() == [(2,), (3,)]
    assert query(there[target], "SELECT id, parent FROM child ORDER BY id").fetchall() == [(20, 2), (30, 3)]
    assert query(plain, "SELECT * FROM pggit.verify()").fetchall() == []
    assert query(plain, "SELECT * FROM pggit.diff('main', 'side')").fetchall() == [] or moves == MOVES


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_rows_that_refer_to_each_other_come_and_go(db: Database, plain: Connection, materialize: str) -> None:
    query(
        plain,
        """
        CREATE TABLE team (id integer PRIMARY KEY, lead integer NOT NULL);
        CREATE TABLE person (id integer PRIMARY KEY, team integer NOT NULL REFERENCES team);
        ALTER TABLE team ADD FOREIGN KEY (lead) REFERENCES person DEFERRABLE INITIALLY IMMEDIATE;
        SELECT pggit.track_schema('public');
        """,
    )
    query(plain, "WITH t AS (INSERT INTO team VALUES (1, 1)) INSERT INTO person VALUES (1, 1)")
    query(plain, "SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    query(plain, "WITH t AS (DELETE FROM team) DELETE FROM person")
    query(plain, "WITH t AS (INSERT INTO team VALUES (2, 2)) INSERT INTO person VALUES (2, 2)")

    merged(plain, "main", "side")
    side = db.connect(user="plain", branch="side")
    assert query(side, "SELECT t.id, p.id FROM team AS t JOIN person AS p ON p.id = t.lead").fetchall() == [(2, 2)]


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "all")])
def test_triggers_beside_foreign_keys_that_wait(db: Database, plain: Connection, target: str, materialize: str) -> None:
    """A trigger can be switched on again only when no foreign key of its table waits to be checked."""
    query(
        plain,
        """
        CREATE TABLE late (
            id integer PRIMARY KEY, up integer REFERENCES late DEFERRABLE INITIALLY DEFERRED,
            u integer UNIQUE DEFERRABLE INITIALLY DEFERRED
        );
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger'; END $$;
        INSERT INTO late VALUES (1, NULL, 1), (2, 1, 2);
        """,
    )
    query(plain, "SELECT pggit.track_schema('public')")
    query(plain, "SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    source = "side" if target == "main" else "main"
    there = {"main": plain, "side": db.connect(user="plain", branch="side")}
    query(there[source], "INSERT INTO late VALUES (3, 1, 3), (4, 3, 4)")
    query(there[source], "UPDATE late SET up = 4, u = 5 WHERE id = 2")
    for on in there.values():
        schema = query(on, "SELECT current_schema()").fetchall()[0][0]
        if (schema == "public") is (target == "main"):
            query(on, "CREATE TRIGGER fails AFTER INSERT OR UPDATE ON late FOR EACH ROW EXECUTE FUNCTION public.fail()")
    merged(plain, source, target)
    wanted = [(1, None, 1), (2, 4, 5), (3, 1, 3), (4, 3, 4)]
    assert query(there[target], "SELECT * FROM late ORDER BY id").fetchall() == wanted
    with pytest.raises(psycopg.Error, match="a trigger"):
        query(there[target], "INSERT INTO late VALUES (9, NULL, 9)")


def test_writers_that_never_pause_do_not_keep_a_merge_from_tables_with_triggers(
    plain: Connection, db: Database
) -> None:
    query(
        plain,
        FAMILIES
        + """
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER nothing BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION nothing();
        SELECT pggit.track_schema('public'); SELECT pggit.commit('first');
        SELECT pggit.create_branch('b', 'main', 'schema', 'all');
        INSERT INTO parent VALUES (3, 'comes');
        """,
    )
    stop = threading.Event()

    def write(key: int) -> int:
        session = db.connect(user="plain", branch="b")
        written = 0
        while not stop.is_set():
            written += query(session, "UPDATE parent SET v = %s WHERE id = %s", str(written), key).rowcount
        return written

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, key) for key in (1, 2)]
        try:
            assert merged(plain, "main", "b") == "merged"
        finally:
            stop.set()
        written = [writer.result() for writer in writers]
    found = query(plain, 'SELECT v FROM "public@b".parent ORDER BY id').fetchall()
    assert found == [*((str(times - 1),) for times in written), ("comes",)]


def test_rows_that_a_policy_hides_from_the_owner_are_not_taken_for_none(plain: Connection) -> None:
    """FORCE ROW LEVEL SECURITY: what was tracked, branched, committed and merged had only the rows that it shows."""
    query(plain, "CREATE TABLE t (id integer PRIMARY KEY, who text); INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    query(plain, "CREATE POLICY p ON t USING (who = 'x'); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    force, no_force = (
        "ALTER TABLE public.t FORCE ROW LEVEL SECURITY",
        "ALTER TABLE public.t NO FORCE ROW LEVEL SECURITY",
    )
    query(plain, force)
    with raises("42501", "row-level security"):
        query(plain, "SELECT pggit.track_schema('public')")
    query(plain, no_force)
    query(
        plain, "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('side')"
    )
    query(plain, "SELECT pggit.checkout('side'); DELETE FROM t WHERE id = 1; SELECT pggit.checkout('main')")
    query(plain, "UPDATE t SET who = 'z' WHERE id = 2")
    query(plain, force)
    for call in ("commit('second')", "create_branch('more')", "ensure_branch('more')", "merge('side')", "verify()"):
        with raises("42501", "row-level security"):
            query(plain, f"SELECT * FROM pggit.{call}")
    query(plain, no_force)
    merged(plain, "side", "main")
    assert query(plain, "SELECT * FROM t UNION ALL SELECT 0, problem FROM pggit.verify()").fetchall() == [(2, "z")]
