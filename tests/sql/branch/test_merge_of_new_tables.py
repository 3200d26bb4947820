# ruff: noqa: E501 - SQL is not wrapped
"""A merge takes the tables that one side made: definition, owner, rows; afterwards both sides have one table."""

from __future__ import annotations

import re

import pytest

from fixtures.dumps import run
from fixtures.postgres import Connection, Database, query, raises

from .schema import SHOP, intact, merged, rows, value

PARCELS = """
    CREATE TABLE parcels (
        id     serial PRIMARY KEY,
        "of"   integer NOT NULL CONSTRAINT parcels_of REFERENCES orders ON DELETE CASCADE,
        note   varchar(20) COLLATE "C" NOT NULL DEFAULT 'x' CONSTRAINT noted CHECK (note <> ''),
        feels  mood DEFAULT 'ok',
        worth  price,
        double integer GENERATED ALWAYS AS ("of" * 2) STORED,
        no     bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5)
    ) WITH (fillfactor = 80);
    CREATE UNIQUE INDEX parcels_once ON parcels ("of") WHERE note = 'x';
    CREATE INDEX ON parcels (lower(note) DESC) INCLUDE (worth);
    CREATE STATISTICS parcels_of_note ON "of", note FROM parcels;
    COMMENT ON TABLE parcels IS 'it''s boxes';
    COMMENT ON COLUMN parcels.note IS 'what''s on it';
    ALTER TABLE parcels ALTER note SET STATISTICS 50, ALTER note SET STORAGE EXTERNAL, ENABLE ROW LEVEL SECURITY;
    CREATE POLICY seen ON parcels FOR SELECT USING (note <> 'secret');
    CREATE TRIGGER same BEFORE UPDATE ON parcels FOR EACH ROW WHEN (old.note = new.note) EXECUTE FUNCTION suppress_redundant_updates_trigger();
    INSERT INTO parcels ("of") VALUES (1), (2), (3);
"""


def dumped(db: Database, table: str) -> list[str]:
    """What pg_dump says of a table, without the names of schemas and what pggit adds."""
    text = run(db.server.bin / "pg_dump", "-s", "-O", "-t", table, db.dsn)
    lines = [line.replace('"public@dev".', "").replace("public.", "").strip() for line in text.splitlines()]
    return [
        line
        for line in lines
        if line and not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\")) and "pggit" not in line
    ]


def test_a_table_made_on_a_branch_comes_to_main(shop: Database, dev: Connection) -> None:
    query(dev, PARCELS + "SELECT pggit.commit('parcels')")
    before = shop.rows("SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
    planned = shop.row(
        "SELECT result, rows_inserted, schema_changes, detail -> 'ddl' FROM pggit.plan_merge('dev', 'main')"
    )
    assert planned[:3] == ("planned", 3, 1)
    assert any(
        str(line).startswith("CREATE TABLE public.parcels (id integer DEFAULT nextval('parcels_id_seq'::regclass)")
        for line in planned[3]
    ), planned[3]
    assert (
        shop.rows("SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1") == before
    )
    expected = dumped(shop, '"public@dev".parcels')
    query(
        dev,
        "UPDATE parcels SET note = 'y' WHERE id = 2; INSERT INTO parcels (\"of\") VALUES (4); DELETE FROM orders WHERE id = 9",
    )
    assert merged(shop, "dev", "main") == "fast_forward"
    assert dumped(shop, "public.parcels") == expected
    assert shop.rows('SELECT id, "of", note, double, no FROM parcels ORDER BY id') == [
        (1, 1, "x", 2, 100),
        (2, 2, "y", 4, 105),
        (3, 3, "x", 6, 110),
        (4, 4, "x", 8, 115),
    ]
    assert shop.rows("SELECT * FROM pggit.diff('main', 'dev')") == []
    assert shop.rows("SELECT table_name FROM pggit.tracked_tables ORDER BY 1") == [
        ("public.customers",),
        ("public.orders",),
        ("public.parcels",),
    ]
    assert intact(shop)

    # One table from here on: numbers never meet, changes of either side go to the other once.
    query(dev, "INSERT INTO parcels (\"of\") VALUES (5); UPDATE parcels SET note = 'dev' WHERE id = 1")
    shop.run(
        "INSERT INTO parcels (\"of\") VALUES (6); UPDATE parcels SET worth = 7 WHERE id = 1; SELECT pggit.commit('main')"
    )
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT id, note, worth, no FROM parcels WHERE id IN (1, 5, 6) ORDER BY id") == [
        (1, "dev", 7, 100),
        (5, "x", None, 120),
        (6, "x", None, 125),
    ]
    assert merged(shop, "main", "dev") == "fast_forward"
    assert rows(dev, "SELECT * FROM parcels ORDER BY id") == shop.rows("SELECT * FROM parcels ORDER BY id")
    for source, target in (("dev", "main"), ("main", "dev")):
        assert merged(shop, source, target) == "up_to_date"
    assert intact(shop)
    query(dev, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT pggit.delete_branch('dev')")
    assert shop.value("SELECT count(*) FROM parcels") == 6
    assert intact(shop)


@pytest.mark.parametrize("columns", ["line text", "id int PRIMARY KEY, line text DEFAULT 'a'"])
@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("tracked", ["from the beginning", "with rows"])
def test_a_table_made_on_main_comes_to_a_branch(shop: Database, columns: str, materialize: str, tracked: str) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => %s)", materialize)
    dev = shop.connect(branch="dev")
    query(dev, "UPDATE orders SET status = 'dev' WHERE id = 1; SELECT pggit.commit('dev')")
    first, second = ("('a')", "('b')") if columns.startswith("line") else ("(1)", "(2)")
    if tracked == "with rows":
        shop.run("SELECT pggit.track_schema('public', ARRAY['logs'])")
    shop.run(f"CREATE TABLE logs ({columns}); INSERT INTO logs VALUES {first}; SELECT pggit.track_table('logs')")
    shop.run(
        f"INSERT INTO logs VALUES {second}; SELECT pggit.commit('logs'); UPDATE orders SET status = 'main' WHERE id = 2; SELECT pggit.commit('more')"
    )
    expected = shop.rows("SELECT * FROM logs ORDER BY 1")
    assert shop.row("SELECT result, rows_inserted, schema_changes FROM pggit.plan_merge('main', 'dev')") == (
        "planned",
        2,
        1,
    )
    assert merged(shop, "main", "dev") == "merged"
    assert rows(dev, "SELECT * FROM logs ORDER BY 1") == expected
    assert value(dev, "SELECT to_regclass('logs')::oid <> to_regclass('public.logs')::oid")
    assert shop.row(
        "SELECT form FROM pggit.branch_tables JOIN pggit.tables USING (table_id) WHERE table_name = 'logs'"
    )[0] == ("view" if materialize == "none" and "KEY" in columns else "table")
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == [("public.orders", 0, 1, 0)]
    assert rows(dev, "SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [
        ("public.logs", 2, 0, 0),
        ("public.orders", 0, 1, 0),
    ]
    assert rows(dev, "SELECT count(*) FROM pggit.as_of(NULL::logs, 'HEAD')") == [(2,)]
    assert intact(shop)
    query(dev, "UPDATE logs SET line = 'new' WHERE line = 'a'; SELECT pggit.commit('logs on dev')")
    shop.run("DELETE FROM logs WHERE line = 'a' AND false; SELECT pggit.commit('nothing', p_allow_empty => true)")
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT * FROM logs ORDER BY 1") == rows(dev, "SELECT * FROM logs ORDER BY 1")
    assert intact(shop)


def test_tables_go_from_branch_to_branch_and_then_to_main(shop: Database, dev: Connection) -> None:
    shop.run("SELECT pggit.create_branch('other', 'main', p_materialize => 'none')")
    other = shop.connect(branch="other")
    query(
        dev,
        PARCELS
        + "CREATE TABLE labels (parcel integer REFERENCES parcels DEFERRABLE, line text); INSERT INTO labels VALUES (1, 'a'), (1, 'a'); SELECT pggit.commit('two')",
    )
    query(other, "UPDATE orders SET status = 'other' WHERE id = 3; SELECT pggit.commit('other')")
    assert merged(shop, "dev", "other") == "merged"
    assert rows(other, 'SELECT id, "of", note FROM parcels ORDER BY id') == rows(
        dev, 'SELECT id, "of", note FROM parcels ORDER BY id'
    )
    assert rows(other, "SELECT * FROM labels") == [(1, "a"), (1, "a")]
    with raises("23503"):
        query(other, "INSERT INTO labels VALUES (77, 'b')")
    query(
        other,
        "UPDATE parcels SET note = 'other' WHERE id = 1; DELETE FROM labels WHERE ctid = (SELECT min(ctid) FROM labels); INSERT INTO parcels (\"of\") VALUES (8); SELECT pggit.commit('more')",
    )
    assert intact(shop)
    assert merged(shop, "other", "main") == "fast_forward"
    assert shop.rows("SELECT id, note FROM parcels ORDER BY id") == [(1, "other"), (2, "x"), (3, "x"), (4, "x")]
    assert shop.rows("SELECT * FROM labels") == [(1, "a")]
    query(dev, 'UPDATE parcels SET worth = 3 WHERE id = 1; INSERT INTO parcels ("of") VALUES (9)')
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT id, note, worth FROM parcels WHERE id IN (1, 5) ORDER BY id") == [
        (1, "other", 3),
        (5, "x", None),
    ]
    for branch in ("dev", "other"):
        assert merged(shop, "main", branch) in ("merged", "fast_forward")
        assert shop.rows("SELECT * FROM pggit.diff('main', %s)", branch) == []
    assert intact(shop)


@pytest.mark.parametrize("also", ["main", "other"])
def test_one_name_and_one_definition_is_one_table(shop: Database, dev: Connection, also: str) -> None:
    made = "CREATE TABLE tags (name text PRIMARY KEY, n integer DEFAULT 1 CHECK (n > 0)); CREATE INDEX ON tags (n);"
    query(dev, made + "INSERT INTO tags VALUES ('a', 1), ('b', 1), ('both', 1); SELECT pggit.commit('tags')")
    query(dev, "UPDATE tags SET n = 2 WHERE name = 'a'; SELECT pggit.commit('two')")
    shop.run("SELECT pggit.create_branch('other', 'main', p_materialize => 'none')")
    there = shop.connect(branch=also)
    query(there, made + "INSERT INTO tags VALUES ('c', 1), ('both', 1); SELECT pggit.commit('too')")
    assert merged(shop, "dev", also) == "merged"
    assert rows(there, "SELECT * FROM tags ORDER BY 1") == [("a", 2), ("b", 1), ("both", 1), ("c", 1)]
    assert rows(dev, "SELECT * FROM pggit.diff_rows('tags', 'HEAD~1', 'HEAD')") == [
        ("update", {"name": "a"}, {"name": "a", "n": 1}, {"name": "a", "n": 2})
    ]
    assert intact(shop)
    query(dev, "DELETE FROM tags WHERE name = 'b'")
    assert merged(shop, "dev", also) == "merged"
    assert merged(shop, also, "dev") == "fast_forward"
    assert (
        rows(dev, "SELECT * FROM tags ORDER BY 1")
        == rows(there, "SELECT * FROM tags ORDER BY 1")
        == [("a", 2), ("both", 1), ("c", 1)]
    )
    assert intact(shop)


def test_the_same_row_in_both_is_a_conflict_unless_it_is_equal(shop: Database, dev: Connection) -> None:
    made = "CREATE TABLE tags (name text PRIMARY KEY, n integer);"
    query(dev, made + "INSERT INTO tags VALUES ('a', 1), ('b', 2)")
    shop.run(made + "INSERT INTO tags VALUES ('a', 1), ('b', 3)")
    (merge,) = shop.row("SELECT merge_id FROM pggit.merge('dev', 'main') WHERE result = 'conflicted'")
    assert shop.rows("SELECT table_name, key, kind FROM pggit.merge_conflicts") == [
        ("public.tags", {"name": "b"}, "insert_insert")
    ]
    assert shop.rows("SELECT count(*) FROM pggit.tables WHERE table_name = 'tags'") == [(2,)]
    shop.run("SELECT pggit.resolve_conflict(%s, conflict_id, 'theirs') FROM pggit.merge_conflicts", merge)
    assert shop.value("SELECT result FROM pggit.continue_merge(%s)", merge) == "merged"
    assert shop.rows("SELECT * FROM tags ORDER BY 1") == [("a", 1), ("b", 2)]
    assert intact(shop)


@pytest.mark.parametrize(
    ("on_dev", "on_main", "says"),
    [
        (
            "CREATE TABLE t (id int PRIMARY KEY, a text)",
            "CREATE TABLE t (id int PRIMARY KEY, a varchar(5))",
            "'dev' and 'main' both made a table public.t, and not the same one: CREATE TABLE there.t",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY)",
            "CREATE VIEW t AS SELECT 1 AS id",
            "main has something else by the name of table public.t",
        ),
        (
            "CREATE TABLE t (id int PRIMARY KEY); CREATE INDEX one ON t (id)",
            "CREATE INDEX one ON orders (id)",
            'relation "one" already exists',
        ),
        (
            "CREATE UNLOGGED TABLE u (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, u int)",
            "CREATE TABLE orders_ (id int)",
            None,
        ),
    ],
)
def test_what_main_can_not_have_is_refused(
    shop: Database, dev: Connection, on_dev: str, on_main: str, says: str | None
) -> None:
    query(dev, on_dev + "; INSERT INTO t VALUES (1); SELECT pggit.commit('t')")
    shop.run(on_main)
    before = shop.rows("SELECT oid, relname FROM pg_class ORDER BY 1")
    result, sqlstate, reason = shop.row(
        "SELECT result, detail ->> 'sqlstate', detail ->> 'reason' FROM pggit.merge('dev', 'main')"
    )
    if says is None:
        assert result == "merged"
        return
    assert (result, sqlstate) == ("refused", "VG302")
    assert re.search(says, reason), reason
    assert shop.rows("SELECT oid, relname FROM pg_class ORDER BY 1") == before
    query(dev, "INSERT INTO t VALUES (2); SELECT pggit.commit('on')")
    assert intact(shop)


def test_functions_that_columns_and_constraints_call_come_first(shop: Database, dev: Connection) -> None:
    query(
        dev,
        """
        CREATE TYPE colour AS ENUM ('red');
        CREATE FUNCTION known(c colour) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT c IS NOT NULL';
        CREATE FUNCTION loud(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(t)';
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TABLE paints (id int PRIMARY KEY, c colour DEFAULT 'red' CONSTRAINT is_known CHECK (known(c)), label text DEFAULT loud('x'));
        CREATE INDEX ON paints (loud(label));
        CREATE TRIGGER touched BEFORE UPDATE ON paints FOR EACH ROW EXECUTE FUNCTION touch();
        INSERT INTO paints VALUES (1);
        ALTER TABLE orders ADD heard text GENERATED ALWAYS AS (loud(status)) STORED;
        CREATE VIEW reds AS SELECT id FROM paints WHERE known(c);
        CREATE FUNCTION ids() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT id FROM reds; END;
        SELECT pggit.commit('paints');
    """,
    )
    planned = shop.row("SELECT result, detail -> 'code', detail FROM pggit.plan_merge('dev', 'main')")
    assert planned[0] == "planned", planned
    assert {
        "constraint public.paints.is_known",
        "function public.known(colour)",
        "function public.loud(text)",
        "function public.touch()",
        "function public.ids()",
        "trigger public.paints.touched",
        "view public.reds",
    } <= set(planned[1])
    assert merged(shop, "dev", "main") == "fast_forward"
    assert shop.rows("SELECT p.*, o.heard, ids() FROM paints AS p, orders AS o WHERE o.id = 1") == [
        (1, "red", "X", "NEW", 1)
    ]
    assert shop.rows("SELECT object_name FROM pggit.diff_schema('main', 'dev')") == []
    assert intact(shop)


def test_a_row_that_lost_its_parent_is_a_violation_and_abort_leaves_nothing(shop: Database, dev: Connection) -> None:
    query(dev, PARCELS + "SELECT pggit.commit('parcels')")
    shop.run("DELETE FROM orders WHERE id = 2; SELECT pggit.commit('gone')")
    before = shop.rows("SELECT oid, relname FROM pg_class ORDER BY 1")
    merge, result, violations = shop.row("SELECT merge_id, result, violations FROM pggit.merge('dev', 'main')")
    assert (result, violations) == ("refused", 1)
    assert shop.rows("SELECT kind, constraint_name, table_name, key, side FROM pggit.merge_violations") == [
        ("foreign_key", "parcels_of", "public.parcels", {"id": 2}, "theirs")
    ]
    assert shop.rows("SELECT oid, relname FROM pg_class ORDER BY 1") == before
    assert shop.value("SELECT pggit.abort_merge(%s)", merge)
    query(dev, "DELETE FROM parcels WHERE id = 2")
    assert merged(shop, "dev", "main") == "merged"
    assert shop.rows("SELECT id FROM parcels ORDER BY id") == [(1,), (3,)]
    assert intact(shop)


def test_what_was_approved_covers_the_definition(shop: Database, dev: Connection) -> None:
    query(dev, "CREATE TABLE t (id int PRIMARY KEY); SELECT pggit.commit('t')")
    plan = shop.value("SELECT plan_hash FROM pggit.plan_merge('dev', 'main')")
    query(dev, "ALTER TABLE t ADD CHECK (id > 0)")
    approve = "SELECT result FROM pggit.merge('dev', 'main', NULL, jsonb_build_object('approved_plan', %s::text))"
    assert shop.value(approve, plan) == "refused"
    assert shop.value("SELECT to_regclass('public.t')") is None
    assert shop.value(approve, shop.value("SELECT plan_hash FROM pggit.plan_merge('dev', 'main')")) == "fast_forward"
    assert shop.value("SELECT count(*) FROM pg_constraint WHERE conrelid = 'public.t'::regclass AND contype = 'c'") == 1


def test_the_table_belongs_to_whom_the_others_do_and_no_code_gets_more_rights(db: Database) -> None:
    db.run("""
        CREATE ROLE app; CREATE ROLE mallory LOGIN; CREATE ROLE report;
        GRANT CREATE ON SCHEMA public TO app, mallory; SET ROLE app;
        CREATE TABLE orders (id int PRIMARY KEY); ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO report; RESET ROLE;
        CREATE SCHEMA evil AUTHORIZATION mallory;
        CREATE FUNCTION evil.f(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
        ALTER FUNCTION evil.f(integer) OWNER TO mallory; GRANT USAGE ON SCHEMA evil TO PUBLIC;
        SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev');
        GRANT CREATE ON SCHEMA "public@dev" TO mallory;
    """)
    try:
        dev = db.connect(branch="dev")
        query(
            dev,
            "SET ROLE mallory; CREATE TABLE t (id serial PRIMARY KEY, a int); GRANT ALL ON t TO report; RESET ROLE; INSERT INTO t (a) VALUES (1); SELECT pggit.commit('t')",
        )
        assert merged(db, "dev", "main") == "fast_forward"
        granted = "SELECT relowner::regrole::text, ARRAY(SELECT privilege_type FROM aclexplode(relacl) WHERE grantee = 'report'::regrole) FROM pg_class WHERE oid = 'public.t'::regclass"
        assert db.row(granted) == ("app", ["SELECT"])
        assert db.value("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'public.t_id_seq'::regclass") == "app"
        query(
            dev,
            "SET ROLE mallory; CREATE TABLE bad (id int PRIMARY KEY); RESET ROLE; INSERT INTO bad VALUES (1); SET ROLE mallory; ALTER TABLE bad ADD CHECK (evil.f(id)) NOT VALID; RESET ROLE; SELECT pggit.commit('bad')",
        )
        assert "call functions of another user, evil.f(integer)" in merged(db, "dev", "main")
        assert db.value("SELECT to_regclass('public.bad')") is None
    finally:
        db.run("SELECT pggit.checkout('main')")
        for session in db.sessions[1:]:
            session.close()
        db.run("SELECT pggit.delete_branch('dev', true)")
        db.run(
            "DROP OWNED BY mallory CASCADE; DROP OWNED BY app CASCADE; DROP OWNED BY report CASCADE; DROP ROLE mallory, app, report"
        )


def test_a_plain_owner_merges_new_tables_too(plain_owner: Connection) -> None:
    query(
        plain_owner,
        SHOP
        + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'all'); SELECT pggit.checkout('dev')",
    )
    query(plain_owner, "SELECT pggit.ddl('dev', %s)", PARCELS)
    query(plain_owner, "SELECT pggit.commit('parcels'); SELECT pggit.checkout('main')")
    assert rows(plain_owner, "SELECT result, rows_inserted, schema_changes FROM pggit.merge('dev', 'main')") == [
        ("fast_forward", 3, 1)
    ]
    query(plain_owner, "UPDATE parcels SET note = 'main' WHERE id = 1; SELECT pggit.commit('main')")
    assert rows(plain_owner, "SELECT result FROM pggit.merge('main', 'dev')") == [("merged",)]
    assert rows(plain_owner, "SELECT * FROM pggit.diff('main', 'dev')") == []
    assert rows(plain_owner, "SELECT * FROM pggit.verify()") == []
