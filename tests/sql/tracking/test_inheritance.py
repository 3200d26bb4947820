# ruff: noqa: E501 - SQL is not wrapped
"""Tables that inherit from each other: each has its own rows in its own history, whichever of them a statement names."""

from __future__ import annotations

import random

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises

TABLES = """
    CREATE TABLE p (id integer PRIMARY KEY, v text CHECK (v <> 'bad'));
    CREATE TABLE c (extra text, PRIMARY KEY (id)) INHERITS (p);
    CREATE TABLE g (more integer DEFAULT 7, PRIMARY KEY (id)) INHERITS (c);
    CREATE TABLE other (n integer, gone text, v text, id integer PRIMARY KEY);
    ALTER TABLE other DROP gone, ADD CONSTRAINT p_v_check CHECK (v <> 'bad');
    INSERT INTO p VALUES (1, 'p1'), (2, 'p2');
    INSERT INTO c VALUES (1, 'c1', 'x'), (3, 'c3', 'y');
    INSERT INTO g VALUES (1, 'g1', 'x', 1), (4, 'g4', 'y', 2);
    INSERT INTO other VALUES (5, 'o5', 1), (6, 'o6', 2);
"""
NAMES = ("p", "c", "g", "other")
State = dict[str, list[tuple[object, ...]]]


def state(session: Connection, ref: str | None = None) -> State:
    return {
        name: query(
            session,
            f"SELECT * FROM {f'pggit.as_of(NULL::{name}, {ref!r})' if ref else f'ONLY {name}'} AS r ORDER BY id",
        ).fetchall()
        for name in NAMES
    }


def family(session: Connection) -> list[tuple[object, ...]]:
    return query(session, "SELECT id, v FROM p ORDER BY 1, 2").fetchall()


@pytest.fixture
def repo(db: Database) -> Database:
    db.begin(TABLES)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    return db


WRITES = (
    "UPDATE p SET v = v || 'p' WHERE id % 3 = {a} % 3",
    "UPDATE ONLY p SET v = v || 'o'",
    "UPDATE c SET extra = extra || 'c', v = 'of c' WHERE id < {a}",
    "UPDATE p SET id = id + 10 WHERE id = {a}",
    "DELETE FROM p WHERE id = {a}",
    "DELETE FROM c WHERE id = {a} + 10",
    "INSERT INTO p VALUES ({a}, 'new')",
    "INSERT INTO c VALUES ({a}, 'new', 'c') ON CONFLICT (id) DO UPDATE SET v = c.v || 'u'",
    "INSERT INTO g SELECT {a} + n, 'new', 'g' FROM generate_series(0, 3) AS n ON CONFLICT DO NOTHING",
    "WITH d AS (DELETE FROM p WHERE id = {a} RETURNING id) INSERT INTO c SELECT id, 'moved' FROM d ON CONFLICT DO NOTHING",
    "MERGE INTO g USING (VALUES ({a}), (77)) AS s (k) ON g.id = s.k WHEN MATCHED THEN UPDATE SET more = more + 1 WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.k, 'm')",
    "TRUNCATE c",
    "ALTER TABLE other INHERIT p",
    "ALTER TABLE other NO INHERIT p",
    "SAVEPOINT s; DELETE FROM p; ROLLBACK TO s",
)


@pytest.mark.parametrize("form", ["main", "branch"])
def test_random_writes(repo: Database, form: str) -> None:
    session = repo.conn
    if form == "branch":
        repo.run("SELECT pggit.create_branch('work')")
        session = repo.connect(branch="work")
    query(
        session,
        """CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                          IF pg_trigger_depth() = 1 AND NEW.id % 4 = 0 THEN UPDATE p SET v = v || 't' WHERE id < 4; END IF; RETURN NULL; END $$"""
        if form == "main"
        else "SELECT 1",
    )
    if form == "main":
        query(session, "CREATE TRIGGER more AFTER INSERT OR UPDATE ON c FOR EACH ROW EXECUTE FUNCTION more()")
    chance = random.Random(3)
    seen: dict[str, State] = {}
    for n in range(60):
        query(session, "BEGIN")
        for _ in range(chance.randint(1, 3)):
            try:
                query(
                    session,
                    "SAVEPOINT w; "
                    + chance.choice(WRITES if form == "main" else WRITES[:12]).format(a=chance.randint(1, 8)),
                )
            except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable, psycopg.errors.UndefinedTable):
                query(session, "ROLLBACK TO w")
        query(session, "COMMIT")
        seen[f"t{n}"] = state(session)
        query(session, f"SELECT pggit.tag('t{n}', pggit.commit('next', p_allow_empty => true))")
    assert {tag: state(session, tag) for tag in seen} == seen
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []


def test_branches_show_the_family_and_merge(repo: Database) -> None:
    repo.run("SELECT pggit.create_branch('work')")
    work = repo.connect(branch="work")
    assert family(work) == family(repo.conn)
    query(work, "UPDATE p SET v = v || 'w' WHERE id = 1; DELETE FROM p WHERE id = 4; SELECT pggit.commit('work')")
    repo.run("UPDATE p SET v = 'main' WHERE id = 3; INSERT INTO g VALUES (9, 'g9', 'z')")
    assert repo.value("SELECT result FROM pggit.merge('work', 'main')") == "merged"
    assert family(repo.conn) == [(1, "c1w"), (1, "g1w"), (1, "p1w"), (2, "p2"), (3, "main"), (9, "g9")]
    assert repo.value("SELECT result FROM pggit.merge('main', 'work')") == "fast_forward"
    assert family(work) == family(repo.conn)
    assert state(work) == state(repo.conn)
    with raises("VG309", "public.[pcg] of main"):
        query(work, "UPDATE public.p SET v = 'x'")
    with raises("VG307", "takes part in inheritance"):
        repo.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_ddl_of_a_parent_is_ddl_of_its_children(repo: Database) -> None:
    """Here and on a branch: new columns are known, and what goes away is saved before."""
    repo.run("SELECT pggit.create_branch('work')")
    for session in (repo.connect(branch="main"), repo.connect(branch="work")):
        query(session, "ALTER TABLE p ADD w integer DEFAULT 5, DROP v")
        query(
            session,
            "UPDATE p SET w = id; SELECT pggit.commit('changed'); DELETE FROM p WHERE id > 1; SELECT pggit.commit('deleted')",
        )
        gone = [
            query(session, f"SELECT old_row ->> 'w' FROM pggit.diff_rows('public.{name}', 'HEAD~1', 'HEAD')").fetchall()
            for name in "pcg"
        ]
        assert gone == [[("2",)], [("3",)], [("4",)]]
        gone = [
            query(session, f"SELECT old_row ->> 'v' FROM pggit.diff_rows('public.{name}', 'HEAD~2', 'HEAD')").fetchall()
            for name in "pcg"
        ]
        assert gone == [[("p2",)], [("c3",)], [("g4",)]]
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_a_table_above_that_is_not_tracked(db: Database) -> None:
    """What is written through it is in the history of the tables below, from the moment that they inherit from it."""
    db.run(
        "CREATE TABLE above (id integer NOT NULL); CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2); SELECT pggit.track_table('t'); SELECT pggit.commit('first')"
    )
    db.run(
        "ALTER TABLE t INHERIT above; UPDATE above SET id = id + 10; SELECT pggit.commit('second'); ALTER TABLE t NO INHERIT above; DELETE FROM t"
    )
    assert db.rows("SELECT id FROM pggit.as_of(NULL::t, 'HEAD~1') ORDER BY 1") == [(1,), (2,)]
    assert db.rows("SELECT id FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY 1") == [(11,), (12,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_cannot_be_tracked_is_named(repo: Database) -> None:
    repo.run("CREATE TABLE keyless () INHERITS (p)")
    with raises("VG203", "keyless .it takes part in inheritance, and has no primary key of its own"):
        repo.run("SELECT pggit.track_schema('public')")
    repo.run("INSERT INTO keyless VALUES (50, 'k'); UPDATE p SET v = v || '!'; SELECT pggit.commit('all but that')")
    assert state(repo.conn, "HEAD") == state(repo.conn)
    with raises("VG307", "public.keyless inherits from public.p, but public.keyless is not on the branch"):
        repo.run("SELECT pggit.create_branch('work')")
    repo.run("ALTER TABLE keyless NO INHERIT p; SELECT pggit.create_branch('work')")
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_ordinary_tables_have_no_trigger_on_rows_but_that_of_replicas(db: Database) -> None:
    """What statement triggers do for all other tables costs no call per row; neither is there a BEFORE ROW trigger, which would keep COPY from writing many rows at once."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    assert db.rows(
        "SELECT tgname, tgenabled::text, tgtype::integer & 3 FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 1"
    ) == [
        (f"  pggit_row_{db.value('SELECT table_id FROM pggit.tables')}", "R", 1),
        ("pggit_before", "A", 2),
        ("pggit_delete", "A", 0),
        ("pggit_insert", "A", 0),
        ("pggit_truncate", "A", 2),
        ("pggit_update", "A", 0),
    ]
