"""Whatever ends a merge of a migration, at any of its statements, leaves the schema and rows before it."""

from __future__ import annotations

import pytest

from fixtures.postgres import INSTALL, Database, query
from fixtures.ticking import cancelled_at, make_ticking, run_until, statements_of, waiting_at
from postgres import FAST, Server

BEFORE = """
    CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, mood mood);
    CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customers,
                         total numeric NOT NULL DEFAULT 0, note text, state text);
    CREATE VIEW totals AS SELECT id, total FROM orders;
    INSERT INTO customers SELECT n, 'c' || n, 'fine' FROM generate_series(1, 3) AS n;
    INSERT INTO orders SELECT n, 1 + n % 3, n * 10, 'note ' || n, 'new' FROM generate_series(1, 6) AS n;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
    SELECT pggit.create_branch('seen', p_materialize => 'none');
"""
MIGRATION = """
    CREATE FUNCTION half(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT n / 2';
    DROP VIEW totals;
    ALTER TABLE orders DROP note, ALTER total TYPE bigint, ADD paid numeric DEFAULT 1,
        ADD CONSTRAINT positive CHECK (total >= 0);
    ALTER TABLE orders RENAME state TO status;
    CREATE INDEX by_half ON orders (half(total));
    CREATE VIEW totals AS SELECT id, total, paid FROM orders;
    CREATE TABLE refunds (id int PRIMARY KEY, of_order int NOT NULL REFERENCES orders, why mood);
    INSERT INTO refunds VALUES (1, 2, 'bad');
    UPDATE orders SET paid = 5 WHERE id = 3;
    ALTER TYPE size ADD VALUE 'm' BEFORE 'l';
    SELECT pggit.commit('migration');
    DELETE FROM refunds;
    INSERT INTO orders VALUES (7, 1, 70, 'new', 7);
"""
#: The only trace that a merge may leave: labels that no row has.
LABELS = "ALTER TYPE size ADD VALUE 'm' AFTER 's'"
OPTIONS = """p_options => '{"on_conflict": "ours", "fill": {"orders.paid": "1"}}'"""
MERGES = {
    "into main": f"SELECT pggit.merge('dev', 'main', {OPTIONS})",
    "into a real table": f"SELECT pggit.merge('main', 'dev', {OPTIONS})",
    "plan": "SELECT pggit.plan_merge('dev', 'main')",
}
STATE = """
SELECT (SELECT array_agg(ROW(b.name, b.head, b.head_at) ORDER BY b.name)::text FROM pggit.branches AS b),
       (SELECT array_agg(ROW(b.name, s.*) ORDER BY b.name, s.*)::text
          FROM pggit.branches AS b, pggit.status(b.name) AS s),
       (SELECT array_agg(ROW(b.name, o.*) ORDER BY b.name, o.object_type, o.object_name)::text
          FROM pggit.branches AS b, pggit._schema_objects(b.branch_id) AS o),
       (SELECT array_agg(ROW(n.nspname, c.relname, c.relkind, c.relfilenode) ORDER BY 1)::text
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE nspname !~ '^(pg_|information_schema|ticks)'),
       (SELECT array_agg(ROW(n.nspname, p.proname, p.prosrc) ORDER BY 1, p.oid)::text
          FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE nspname LIKE 'public%'),
       (SELECT array_agg(ROW(t.tgrelid, t.tgname, t.tgenabled) ORDER BY 1, 2)::text FROM pg_trigger AS t),
       (SELECT array_agg(m ORDER BY m.created_at)::text FROM pggit.merges AS m), (SELECT count(*) FROM pggit.commits),
       (SELECT array_agg(c ORDER BY c.column_id)::text FROM pggit.columns AS c),
       (SELECT array_agg(o ORDER BY id)::text FROM orders AS o),
       (SELECT array_agg(o ORDER BY id)::text FROM "public@dev".orders AS o),
       (SELECT array_agg(o ORDER BY id)::text FROM "public@seen".orders AS o)
"""


def migrate(db: Database, branch: str) -> Database:
    """The migration on one of the two, other work on the other, neither all committed."""
    db.run(BEFORE)
    query(db.connect(branch="dev"), "CREATE TYPE size AS ENUM ('s', 'l'); ALTER TABLE customers ADD size size")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "fast_forward"
    other = "dev" if branch == "main" else "main"
    query(db.connect(branch=branch), MIGRATION)
    if branch != "main":
        db.run(LABELS)
    query(
        db.connect(branch=other),
        "UPDATE orders SET total = total + 1 WHERE id < 4; INSERT INTO orders VALUES (9, 2, 90, 'x', 'paid');"
        "CREATE TABLE kept (id int PRIMARY KEY); SELECT pggit.commit('other work');"
        "UPDATE customers SET mood = 'bad' WHERE id = 1",
    )
    return db


def has_done(db: Database, merge: str) -> None:
    if merge == "plan":
        assert db.value("SELECT result FROM pggit.merges ORDER BY created_at DESC LIMIT 1") == "planned"
    else:
        there = "" if merge == "into main" else "@dev"
        assert db.value("SELECT result FROM pggit.merges ORDER BY created_at DESC LIMIT 1") == "merged", db.value(
            "SELECT to_jsonb(s) FROM pggit.schema_conflicts AS s LIMIT 1"
        )
        rows = db.rows(f'SELECT id, customer, total, status, paid FROM "public{there}".orders ORDER BY id')
        assert rows[0] == (1, 2, 11, "new", 1)
        assert [rows[2], *rows[6:]] == [(3, 1, 31, "new", 5), (7, 1, 70, "new", 7), (9, 2, 90, "paid", 1)]
        assert db.value(f'SELECT count(*) FROM "public{there}".refunds') == 0
        assert db.value(f'SELECT count(*) FROM "public{there}".totals') == 8
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("merge", MERGES)
def test_whoever_dies_in_it_has_done_nothing(db: Database, merge: str, pytestconfig: pytest.Config) -> None:
    migrate(db, "main" if merge == "into a real table" else "dev")
    before = db.rows(STATE)
    make_ticking(db)
    statements = statements_of(db, MERGES[merge])
    deaths: int = pytestconfig.getoption("--deaths") or statements
    for number in range(deaths):
        assert run_until(db, MERGES[merge], 1 + number * statements // deaths)
        assert db.rows(STATE) == before
    session = cancelled_at(db, MERGES[merge], statements // 2)
    assert db.rows(STATE) == before
    query(session, MERGES[merge])
    has_done(db, merge)
    print(f"{merge}: {deaths} deaths at {statements} statements")


def test_a_server_that_is_killed_in_it(server: Server, pytestconfig: pytest.Config) -> None:
    # Under wal_level minimal PostgreSQL itself forgets how far a sequence was that the same transaction made and used.
    safe = FAST | {"synchronous_commit": "on", "wal_level": "replica"}
    with Server(server.version, settings=safe) as own:
        own.psql("-1", "-f", str(INSTALL))
        db = migrate(Database(own, "postgres"), "dev")
        before = db.rows(STATE)
        make_ticking(db)
        statements = statements_of(db, MERGES["into main"])
        kills: int = pytestconfig.getoption("--load-kills")
        for number in range(kills):
            session = waiting_at(db, MERGES["into main"], statements * (number + 1) // (kills + 1))
            own.kill()
            session.close()
            db.close()
            own.start()
            assert db.rows(STATE) == before
        db.run(MERGES["into main"])
        own.kill()
        db.close()
        own.start()
        has_done(db, "into main")
        db.close()
