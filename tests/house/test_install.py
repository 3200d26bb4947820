"""The core goes in with psql, twice, and comes out again, twice, without a trace."""

from __future__ import annotations

import pytest

from fixtures.postgres import INSTALL, ROOT, Database

UNINSTALL = ROOT / "sql" / "uninstall.sql"

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
        assert empty_db.psql("-c", quiet, "-1", "-f", str(UNINSTALL)).strip() == ""
    assert sorted(empty_db.rows(OBJECTS)) == before
    assert empty_db.rows("SELECT * FROM orders") == [(1, 20)]
    empty_db.run("UPDATE orders SET total = 30; DELETE FROM orders")


@pytest.mark.pg(15, 16, 17, 18)
def test_installing_after_uninstalling_starts_anew(db: Database) -> None:
    db.psql("-1", "-f", str(UNINSTALL))
    db.psql("-1", "-f", str(INSTALL))
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    assert db.value("SELECT count(*) FROM pggit.log()") == 1
