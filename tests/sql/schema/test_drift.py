"""What nobody answers for in main's schema is drift, with who made it when and how; no secret is kept."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

pytestmark = pytest.mark.each_version

DRIFT = "SELECT object_kind, object_name, change FROM pggit.schema_drift() ORDER BY 1, 2"

SHOP = """
CREATE TABLE orders (id integer PRIMARY KEY, total numeric);
CREATE FUNCTION twice(n integer, "odd arg" text) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n';
CREATE TYPE mood AS ENUM ('good');
"""


@pytest.fixture(params=["told of DDL", "by scans alone"])
def shop(request: pytest.FixtureRequest, db: Database) -> Connection:
    """A session with a committed schema, with event triggers and without."""
    session = db.conn if request.param == "told of DDL" else request.getfixturevalue("plain_owner")
    query(session, SHOP + "SELECT pggit.track_schema('public')")
    assert query(session, DRIFT).fetchall() == []
    query(session, "SELECT pggit.commit('first')")
    assert query(session, DRIFT).fetchall() == []
    return session


def test_drift_is_what_was_changed_past_merges(shop: Connection) -> None:
    query(
        shop,
        """
        SELECT pggit.create_branch('work');
        SELECT pggit.ddl('work', 'ALTER TABLE orders ADD note text');
        SELECT pggit.ddl('work', 'CREATE VIEW large AS SELECT id FROM orders WHERE total > 100');
        SELECT pggit.commit('on work', 'work');
        ALTER TABLE orders ADD hot text;
        SELECT pggit.commit('a commit accepts nothing');
        SELECT pggit.merge('work', 'main');
        """,
    )
    assert query(shop, DRIFT).fetchall() == [("column", "public.orders.hot", "create")]
    query(
        shop,
        'DROP FUNCTION twice; ALTER TABLE orders RENAME TO "Or.ders"; CREATE INDEX "by ""x""" ON "Or.ders" (total);'
        'ALTER TABLE "Or.ders" DROP hot',
    )
    assert query(shop, DRIFT).fetchall() == [
        ("function", "public.twice(integer, text)", "drop"),
        ("index", 'public."by ""x"""', "create"),
        ("table", 'public."Or.ders"', "rename"),
    ]
    assert query(shop, """SELECT pggit.accept_drift('"Or.ders"')""").fetchone() == (2,)
    assert query(shop, DRIFT).fetchall() == [("function", "public.twice(integer, text)", "drop")]
    assert query(shop, "SELECT pggit.accept_drift()").fetchone() == (1,)
    assert query(shop, DRIFT).fetchall() == []
    with raises("VG202", "'nothing' is no object that has drifted"):
        query(shop, "SELECT pggit.accept_drift('nothing')")
    assert query(shop, "SELECT * FROM pggit.verify()").fetchall() == []


def test_what_is_tracked_later_is_accepted_by_the_next_commit(shop: Connection) -> None:
    query(shop, "CREATE SCHEMA other; CREATE TABLE other.t (id integer PRIMARY KEY)")
    query(shop, "SELECT pggit.track_schema('other')")
    assert query(shop, DRIFT).fetchall() == []
    query(shop, "SELECT pggit.commit('other')")
    assert query(shop, DRIFT).fetchall() == []
    query(shop, "ALTER TABLE other.t ADD a integer")
    assert query(shop, DRIFT).fetchall() == [("column", "other.t.a", "create")]
    query(shop, "SELECT pggit.merge_base('main', 'main'), pggit.revert('HEAD', 'main')")
    query(shop, "ALTER TABLE other.t DROP a")
    assert query(shop, DRIFT).fetchall() == []


@pytest.mark.event_triggers("nobody tells of statements")
def test_who_when_and_by_which_statement(db: Database) -> None:
    db.run(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SET application_name = 'psql of ann'; SET ROLE pg_database_owner; RESET ROLE")
    db.run(
        "/* password 'hidden1' */ INSERT INTO orders VALUES (1, 0);"
        "ALTER TABLE orders ADD a text DEFAULT 'hidden2' -- hidden3\n;"
        "ALTER TABLE orders ADD b text DEFAULT E'hidden\\'4'"
    )
    db.run(
        "DO $x$ BEGIN EXECUTE 'ALTER TABLE orders ALTER total TYPE text USING $q$hidden5$q$ || total';"
        "EXECUTE 'DROP TYPE mood'; END $x$"
    )
    db.run("GRANT SELECT ON orders TO PUBLIC; CREATE VIEW v AS SELECT 'hidden6;'::text AS secret, 1 AS a$b$")
    told = db.rows(
        "SELECT object_name, statement FROM pggit.schema_drift() WHERE changed_by = current_user"
        " AND changed_at BETWEEN now() - interval '1 minute' AND clock_timestamp() ORDER BY 1"
    )
    assert told == [
        ("public.mood", "DROP TYPE mood"),
        ("public.orders", "GRANT SELECT ON orders TO PUBLIC"),
        ("public.orders.a", "ALTER TABLE orders ADD a text DEFAULT '…'"),
        ("public.orders.b", "ALTER TABLE orders ADD b text DEFAULT E'…'"),
        ("public.orders.total", "ALTER TABLE orders ALTER total TYPE text USING $q$…$q$ || total"),
        ("public.v", "CREATE VIEW v AS SELECT '…'::text AS secret, 1 AS a$b$"),
    ]
    assert db.value("SELECT count(*) FROM pggit.ddl_log WHERE ddl_log::text ~ 'hidden'") == 0
    assert db.value("SELECT bool_and(application_name = 'psql of ann') FROM pggit.ddl_log WHERE object_name <> ''")


def test_secrets_of_servers_are_not_looked_at_and_temporary_tables_neither(db: Database) -> None:
    db.run(SHOP + "SELECT pggit.track_schema('public')")
    db.run(
        "CREATE ROLE carl PASSWORD 'hidden'; CREATE TEMP TABLE x (a text DEFAULT 'hidden');"
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE USER MAPPING FOR carl SERVER s OPTIONS (password 'hidden');"
        "DROP SERVER s CASCADE; DROP FOREIGN DATA WRAPPER w; DROP ROLE carl"
    )
    assert db.rows("SELECT command FROM pggit.ddl_log") == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a; ;b", ["a", "b"]),
        ("'it''s;' E'\\';' x", ["'…' E'…' x"]),
        ("$a$ ; $b$ ' $a$; $1 f$x$", ["$a$…$a$", "$1 f$x$"]),
        ("/* a /* ; */ ' */ b -- '\n c", ["b \n c"]),
        ('"a;""\'b" U&\'x\'', ['"a;""\'b" U&\'…\'']),
        ("'open", None),
        ("$$open", None),
        ("/* open", None),
        ("a é$x$ b; $é$hidden;$é$", ["a é$x$ b", "$é$…$é$"]),
        ("$b$ $a$b$ E'\\\\' e'a''\\'b' '\\d' x", ["$b$…$b$ E'…' e'…' '…' x"]),
        # What follows was read with another setting, or goes on with the escapes of the literal before.
        ("SET standard_conforming_strings = on; SELECT 'x\\'hidden\\'y'", None),
        ("SELECT E'a'\n'b\\'hidden\\'c'", None),
        ("", []),
    ],
)
def test_statements_are_masked(conn: Connection, text: str, kept: list[str] | None) -> None:
    assert query(conn, "SELECT pggit._masked_statements(%s)", text).fetchone() == (kept,)


@pytest.mark.parametrize("text", ["SELECT " + "'a'," * 16000, "SELECT " + "/**/" * 16000])
def test_masking_takes_time_as_the_text_grows(conn: Connection, text: str) -> None:
    query(conn, "SET statement_timeout = '60s'")
    assert query(conn, "SELECT cardinality(pggit._masked_statements(%s))", text).fetchone() == (1,)
