"""A merge that has kept others from main's tables for as long as they may wait gives the tables back, and says so."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.postgres import Database, query

BEFORE = """
    CREATE TABLE t (id integer PRIMARY KEY, n numeric, name varchar(20));
    INSERT INTO t SELECT i, i, 'row ' || i FROM generate_series(1, 100) AS i;
    SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('dev');
"""
SOMEBODY_WAITS = """
    CREATE FUNCTION somebody_waits() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        FOR i IN 1 .. 6000 LOOP
            IF EXISTS (SELECT FROM pg_locks AS l WHERE l.relation = 'public.t'::regclass AND NOT l.granted) THEN
                RETURN true;
            END IF;
            PERFORM pg_sleep(0.01);
        END LOOP;
        RETURN false;
    END;
    $$;
"""
CHECKED = """{"checks": [{"name": "somebody waits", "sql": "SELECT public.somebody_waits()"}]}"""
SHAPE = "SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"


def write_when_it_is_locked(db: Database) -> None:
    """One UPDATE, which comes when the merge has the table."""
    session = db.connect()
    locked = """SELECT EXISTS (SELECT FROM pg_locks AS l WHERE l.relation = 'public.t'::regclass AND l.granted
                                                           AND l.mode = 'AccessExclusiveLock')"""
    until = time.monotonic() + 60
    while not query(session, locked).fetchall()[0][0] and time.monotonic() < until:
        time.sleep(0.005)
    query(session, "UPDATE t SET n = n + 1 WHERE id = 1")


@pytest.mark.parametrize("merge", ["pggit.plan_merge('dev', 'main', %s)", "pggit.merge('dev', 'main', NULL, %s)"])
def test_it_gives_up_when_somebody_waits_for_too_long(db: Database, merge: str) -> None:
    db.run(BEFORE + SOMEBODY_WAITS)
    query(db.connect(branch="dev"), "ALTER TABLE t ADD more integer DEFAULT 3, ALTER n TYPE numeric(12, 2)")
    before = db.rows(SHAPE)
    told = []
    for patience in ("1ms", "1min"):
        query(db.conn, f"SET pggit.lock_timeout = '{patience}'")
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write_when_it_is_locked, db)
            told.append(db.row(f"SELECT result, detail FROM {merge}", CHECKED))
            writer.result()
        if patience == "1ms":
            assert db.rows(SHAPE) == before
            assert db.rows("SELECT id, n FROM t WHERE n <> id") == [(1, 2)]
    (refused, why), (done, detail) = told
    assert (refused, why["sqlstate"]) == ("refused", "VG403")
    assert "public.t" in why["reason"]
    assert "pggit.lock_timeout is 0.001 s" in why["reason"]
    assert "SET pggit.lock_timeout" in why["hint"]
    assert done == ("planned" if "plan" in merge else "merged")
    print(f"gave up: {why['reason']}; with a minute: {detail['held_seconds']} s")
    assert db.value("SELECT n FROM t WHERE id = 1") == 3
    assert (db.rows(SHAPE) == before) is ("plan" in merge)
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_it_goes_on_as_long_as_nobody_waits(db: Database) -> None:
    db.begin(BEFORE)
    query(db.connect(branch="dev"), "ALTER TABLE t ADD more integer DEFAULT 3")
    db.run("SET pggit.lock_timeout = '1ms'")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "fast_forward"


@pytest.mark.parametrize(
    ("ddl", "way_out"),
    [
        ("ALTER TABLE t ALTER n TYPE numeric(12, 2)", "RESET pggit.max_locked_bytes"),
        ("CREATE INDEX by_n ON t (n)", "CREATE INDEX by_n ON t (n)"),
        ("ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0)", ""),
    ],
)
def test_what_takes_long_is_not_begun(db: Database, ddl: str, way_out: str) -> None:
    db.begin(BEFORE)
    query(db.connect(branch="dev"), ddl)
    db.run("SET pggit.max_locked_bytes = '8kB'")
    result, why = db.row("SELECT result, detail FROM pggit.merge('dev', 'main')")
    assert (result, why["sqlstate"]) == ("refused", "VG403")
    assert why["reason"].startswith("PostgreSQL would read or write t whole") or "public.t whole" in why["reason"]
    if way_out:
        db.run(way_out)
    later = "now" if way_out else "later"
    done = db.value(
        "SELECT result FROM pggit.merge('dev', 'main', NULL, jsonb_build_object('validate', %s::text))", later
    )
    assert done in ("merged", "fast_forward")


def test_what_postgresql_does_in_the_catalog_is_free(db: Database) -> None:
    db.begin(BEFORE)
    query(db.connect(branch="dev"), "ALTER TABLE t ADD more integer NOT NULL DEFAULT 3")
    query(db.connect(branch="dev"), "ALTER TABLE t ALTER more DROP NOT NULL")
    db.run("SET pggit.max_locked_bytes = '8kB'")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "fast_forward"
    assert db.value("SELECT count(*) FROM t WHERE more = 3") == 100
