"""What a merge is going to run is known before it does, with the locks that it takes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from fixtures.postgres import Connection, Database, Servers, query, raises

DDL = """
    ALTER TABLE "we ird" ADD CHECK (n > 0);
    ALTER TABLE "we ird" ALTER t SET NOT NULL;
    ALTER TABLE "we ird" ALTER n TYPE bigint;
    ALTER TABLE "we ird" ADD UNIQUE (u);
    CREATE INDEX we_t ON "we ird" (t);
    ALTER TABLE q ADD FOREIGN KEY (w) REFERENCES "we ird";
    ALTER TABLE q ADD x int DEFAULT 5;
    ALTER TABLE q DROP COLUMN gone;
    CREATE TABLE z (id int PRIMARY KEY);
    CREATE VIEW v AS SELECT * FROM q;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER tr BEFORE UPDATE ON q FOR EACH ROW EXECUTE FUNCTION f();
    COMMENT ON TABLE q IS 'x';
    CREATE POLICY pol ON q USING (true);
    ALTER TABLE q RENAME y TO yy;
"""
TABLES = """
    CREATE TYPE mood AS ENUM ('a', 'b');
    CREATE TABLE "we ird" (id bigint PRIMARY KEY, n int, t text, u text);
    CREATE TABLE q (id bigint PRIMARY KEY, w bigint, gone int, y int, m mood);
"""
# From the weakest to the strongest of those that keep writers, or other DDL, waiting.
MODES = ("ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
HELD = """
    SELECT l.mode FROM pg_locks AS l
     WHERE l.pid = pg_backend_pid() AND l.relation IN ('q'::regclass, '"we ird"'::regclass)
"""


@pytest.fixture
def dev(db: Database) -> Connection:
    db.run(TABLES)
    db.run("""
        INSERT INTO "we ird" SELECT g, g, g, g FROM generate_series(1, 1000) AS g;
        SELECT pggit.track_schema('public'); SELECT pggit.commit('x'); SELECT pggit.create_branch('dev');
    """)
    return db.connect(branch="dev")


def test_locks_and_bytes_are_those_that_postgresql_takes(servers: Servers, db: Database, dev: Connection) -> None:
    query(dev, DDL)
    merge_id = db.value("SELECT merge_id FROM pggit.plan_merge('dev', 'main')")
    steps = db.rows("SELECT step, phase, ddl, lock, bytes FROM pggit.merge_steps(%s) ORDER BY step", merge_id)
    assert [step for step, *_ in steps] == list(range(1, len(steps) + 1))
    assert {phase for _, phase, *_ in steps} == {"apply"}
    size = db.value("""SELECT pg_total_relation_size('"we ird"')""")
    assert {bytes_ for *_, bytes_ in steps} - {0, size, db.value("SELECT pg_total_relation_size('q')")} == set()
    assert len([ddl for *_, ddl, _, bytes_ in steps if bytes_ == size]) == 5

    # The same statements, one by one, where there is no pggit.
    plain = servers.create(db.version)
    plain.run(TABLES)
    query(alone := plain.connect(autocommit=False), "SELECT 1")
    for *_, ddl, lock, _ in steps:
        query(alone, ddl)
        taken = {mode for (mode,) in query(alone, HELD).fetchall()}
        alone.commit()
        strongest = max((mode for mode in taken if mode in MODES), key=MODES.index, default=None)
        assert strongest == lock, ddl
    servers.drop(plain)


def test_what_has_to_be_done_before(db: Database, dev: Connection) -> None:
    query(dev, "ALTER TYPE mood ADD VALUE 'c'")
    query(dev, "INSERT INTO q (id, m) VALUES (1, 'c')")
    merge_id, result = db.row("SELECT merge_id, result FROM pggit.merge('dev', 'main')")
    assert result == "refused"
    ((phase, ddl, lock, bytes_),) = db.rows("SELECT phase, ddl, lock, bytes FROM pggit.merge_steps(%s)", merge_id)
    assert (phase, lock, bytes_) == ("prepare", None, 0)
    db.run(ddl)
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) in ("merged", "fast_forward")
    assert db.rows("SELECT id, m::text FROM q") == [(1, "c")]


def test_no_such_merge_and_one_without_ddl(db: Database, dev: Connection) -> None:
    with raises("VG006"):
        db.rows("SELECT * FROM pggit.merge_steps(%s)", uuid4())
    query(dev, "INSERT INTO q (id) VALUES (1)")
    assert db.rows("SELECT s.* FROM pggit.plan_merge('dev', 'main') AS p, pggit.merge_steps(p.merge_id) AS s") == []
