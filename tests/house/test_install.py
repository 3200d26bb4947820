"""The core goes in with psql, twice, and comes out again, twice, without a trace."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fixtures.postgres import INSTALL, ROOT, Database, query
from pggit_operator.pggit.schema import bundled_version

pytestmark = pytest.mark.each_version

SETUP = ROOT / "sql" / "setup.sql"
UNINSTALL = ROOT / "sql" / "uninstall.sql"
INSTALLED = f"pggit {bundled_version()} is installed. Next: SELECT pggit.track_schema('public');\n"
GONE = (
    "pggit and its history are gone from this database; the tables stay. "
    "To install it again: psql -1 -f sql/setup.sql\n"
)

# Every object of the database, by name.
OBJECTS = """
SELECT 'relation', c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace <> 'pg_toast'::regnamespace
 UNION ALL SELECT 'function', p.oid::regprocedure::text FROM pg_proc AS p
 UNION ALL SELECT 'type', t.oid::regtype::text FROM pg_type AS t
 UNION ALL SELECT 'schema', n.nspname FROM pg_namespace AS n WHERE n.nspname NOT LIKE 'pg_t%'
 UNION ALL SELECT 'trigger', g.tgname || ' on ' || g.tgrelid::regclass FROM pg_trigger AS g
 UNION ALL SELECT 'event trigger', e.evtname FROM pg_event_trigger AS e
 UNION ALL SELECT 'constraint', k.conname || ' on ' || k.conrelid::regclass FROM pg_constraint AS k
 UNION ALL SELECT 'column', a.attrelid::regclass || '.' || a.attname || ' ' || a.atttypid::regtype
             FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid AND c.relnamespace = 'public'::regnamespace
 UNION ALL SELECT 'cast', k.castsource::regtype || ' to ' || k.casttarget::regtype FROM pg_cast AS k
 UNION ALL SELECT 'extension', x.extname FROM pg_extension AS x
 UNION ALL SELECT 'setting', s.setrole::regrole || ' ' || s.setconfig::text FROM pg_db_role_setting AS s
 UNION ALL SELECT 'default privilege', d.defaclacl::text FROM pg_default_acl AS d
 UNION ALL SELECT 'large object', l.oid::text FROM pg_largeobject_metadata AS l
"""
WHEN_MADE = " UNION ALL SELECT 'row of pg_proc', p.ctid::text FROM pg_proc AS p"


def typed(db: Database, file: Path, *, transaction: bool) -> str:
    """All that psql says to a person who runs the file; none of the switches that make it quiet."""
    command = [str(db.server.bin / "psql"), "-X", *(["-1"] if transaction else []), "-f", str(file), db.dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.pg(15, 16, 17, 18)
@pytest.mark.parametrize("transaction", [True, False])
def test_each_way_in_and_out_is_one_line(empty_db: Database, transaction: bool) -> None:
    for _ in range(2):
        assert typed(empty_db, SETUP, transaction=transaction) == INSTALLED
    empty_db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    empty_db.run("SELECT pggit.create_branch('b')")
    for _ in range(2):
        assert typed(empty_db, UNINSTALL, transaction=transaction) == GONE


def test_setup_leaves_the_session_as_it_was_and_says_nothing_where_it_fails(empty_db: Database) -> None:
    script = rf"\set QUIET off \\ \i {SETUP} \\ \echo :QUIET :ON_ERROR_STOP \\ SHOW client_min_messages;"
    command = [str(empty_db.server.bin / "psql"), "-X", "-A", "-t", empty_db.dsn]
    said = subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout
    assert said == INSTALLED + "off off\nnotice\n"

    typed(empty_db, UNINSTALL, transaction=True)
    empty_db.run("CREATE SCHEMA pggit; CREATE VIEW pggit.tables AS SELECT 1 AS one")
    done = subprocess.run([*command, "-f", str(SETUP)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "is installed" not in done.stdout


@pytest.mark.parametrize("transaction", [True, False])
def test_another_version_is_not_gone_over(db: Database, transaction: bool) -> None:
    db.run("CREATE OR REPLACE FUNCTION pggit.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '0.0.9' $$")
    before = sorted(db.rows(OBJECTS + WHEN_MADE))
    for file in (INSTALL, SETUP):
        command = [str(db.server.bin / "psql"), "-X", *(["-1"] if transaction else []), "-f", str(file), db.dsn]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert (
            f"pggit 0.0.9 is installed in this database, and pggit {bundled_version()} can't take it over"
            in done.stderr
        )
        assert "sql/uninstall.sql" in done.stderr
        assert sorted(db.rows(OBJECTS + WHEN_MADE)) == before
    typed(db, UNINSTALL, transaction=transaction)
    assert typed(db, SETUP, transaction=transaction) == INSTALLED


@pytest.mark.pg(15, 16, 17, 18)
def test_install_and_uninstall_run_twice_and_leave_no_trace(empty_db: Database) -> None:
    empty_db.run("""
        CREATE TABLE orders (id integer PRIMARY KEY, total numeric);
        CREATE TABLE "odd ""one" (a integer, "B b" text, PRIMARY KEY ("B b", a));
        INSERT INTO orders VALUES (1, 10);
    """)
    before = sorted(empty_db.rows(OBJECTS))
    quiet = "SET client_min_messages = warning"

    for _ in range(2):
        assert empty_db.psql("-c", quiet, "-1", "-f", str(INSTALL)).strip() == ""
    empty_db.run("""
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('b', p_materialize => 'none');
        SELECT pggit.create_branch('feature/"x', p_materialize => 'all');
        UPDATE orders SET total = 20;
        INSERT INTO "odd ""one" VALUES (1, 'x');
        SELECT pggit.commit('second');
    """)
    assert empty_db.psql("-c", quiet, "-1", "-f", str(INSTALL)).strip() == ""
    assert empty_db.value("SELECT count(*) FROM pggit.log('main')") == 2, "installing again keeps the history"
    assert empty_db.value("SELECT count(*) FROM pggit.list_branches()") == 3

    for _ in range(2):
        empty_db.psql("-1", "-f", str(UNINSTALL))
    assert sorted(empty_db.rows(OBJECTS)) == before
    assert empty_db.rows("SELECT * FROM orders") == [(1, 20)]
    empty_db.run("UPDATE orders SET total = 30; DELETE FROM orders")


@pytest.mark.pg(15, 16, 17, 18)
def test_uninstalling_names_who_is_on_a_branch(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'), pggit.create_branch('b')")
    other = db.connect()
    query(other, "SELECT pggit.checkout('b')")
    said = typed(db, UNINSTALL, transaction=True)
    assert f"from now on read and write main: processes {other.info.backend_pid}" in said
    typed(db, SETUP, transaction=True)
    db.psql("-c", "SELECT pggit.track_schema('public')")
    script = f"SELECT pggit.create_branch('b'); SELECT pggit.checkout('b');\n\\i {UNINSTALL}\n\\i {SETUP}\n"
    command = [str(db.server.bin / "psql"), "-X", "-v", "ON_ERROR_STOP=1", db.dsn]
    assert INSTALLED in subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout


def test_installing_after_uninstalling_starts_anew(db: Database) -> None:
    db.psql("-1", "-f", str(UNINSTALL))
    db.psql("-1", "-f", str(INSTALL))
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    assert db.value("SELECT count(*) FROM pggit.log()") == 1


TABLES = """
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE customers (id integer PRIMARY KEY, name text UNIQUE, feels mood DEFAULT 'good');
    CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer integer REFERENCES customers);
    CREATE TABLE log (line text);
    CREATE TABLE parted (id integer, k integer, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    CREATE TABLE swaps (id integer PRIMARY KEY DEFERRABLE);
    CREATE VIEW names AS SELECT name FROM customers;
    CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
    CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers';
    ALTER TABLE log ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everybody ON log USING (true);
    INSERT INTO customers VALUES (1, 'Ada');
    INSERT INTO log VALUES ('a line');
"""
WRITES = """
    INSERT INTO customers VALUES (7, 'Gil'); UPDATE customers SET feels = 'bad', name = 'Ida' WHERE id = 1;
    INSERT INTO log VALUES ('another'); UPDATE log SET line = 'x'; INSERT INTO orders (customer) VALUES (7);
    INSERT INTO parted VALUES (1, 1); UPDATE parted SET id = 2; INSERT INTO swaps VALUES (1), (2);
"""
MORE_ON_MAIN = """
    UPDATE swaps SET id = 3 - id; DELETE FROM parted_1; TRUNCATE parted, log; REFRESH MATERIALIZED VIEW totals;
    ALTER TABLE customers ADD note text; ALTER TABLE customers DROP note; CREATE TABLE t (i integer); DROP TABLE t;
"""


def used(db: Database) -> None:
    """A database that has had a life with pggit, and whose own tables are as they were."""
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.tag('v1', pggit.commit('first'))")
    db.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    db.run("SELECT pggit.create_branch('real', p_materialize => 'all')")
    for branch in ("views", "real"):
        query(db.connect(branch=branch), WRITES + "SELECT pggit.commit('writes')")
    query(db.sessions[-1], "ALTER TABLE orders ADD note text")
    query(db.connect(branch="v1"), "SELECT count(*) FROM customers")
    db.run("UPDATE customers SET name = 'Eva' WHERE id = 1")
    assert db.value("SELECT (pggit.merge('views')).result") == "conflicted"
    db.run("UPDATE customers SET name = 'aside'; SELECT pggit.stash(); SELECT pggit.tick(); SELECT pggit.gc(false)")
    for session in db.sessions[1:]:
        session.close()


def definitions(db: Database, *options: str) -> list[str]:
    """What pg_dump writes down of the schema, without what it says about itself."""
    command = [str(db.server.bin / "pg_dump"), "--schema-only", *options, db.dsn]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in said if line.strip() and not line.startswith(("--", "\\restrict", "\\unrestrict"))]


def test_a_dump_after_uninstalling_is_the_one_from_before(empty_db: Database) -> None:
    empty_db.run(TABLES)
    before = definitions(empty_db)
    typed(empty_db, SETUP, transaction=True)
    used(empty_db)
    assert typed(empty_db, UNINSTALL, transaction=True) == GONE
    assert definitions(empty_db) == before
    assert empty_db.rows("SELECT id, name FROM customers") == [(1, "Eva")]
    empty_db.run(WRITES + MORE_ON_MAIN)


def test_dropping_the_schema_leaves_main_as_it_was_and_says_what_stays(empty_db: Database) -> None:
    empty_db.run(TABLES)
    before = definitions(empty_db)
    typed(empty_db, SETUP, transaction=True)
    used(empty_db)
    said = empty_db.psql("-c", "DROP SCHEMA pggit CASCADE")
    assert (
        'HINT:  sql/uninstall.sql takes all of pggit away instead. Afterwards: DROP SCHEMA IF EXISTS "public@' in said
    )
    assert definitions(empty_db, "--exclude-schema=*@*") == before
    empty_db.run(WRITES + MORE_ON_MAIN)
    way_out = said.partition("Afterwards: ")[2].partition("\n")[0]
    empty_db.run(f"SET client_min_messages = error; {way_out}")
    assert definitions(empty_db) == before
