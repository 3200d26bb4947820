# ruff: noqa: E501 - SQL is not wrapped
"""Tables that are made and dropped on a branch have a history there like all others."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import SHOP, intact, rows, value

PARCELS = """
    CREATE TABLE parcels (
        id     serial PRIMARY KEY,
        of     integer REFERENCES orders,
        note   text NOT NULL DEFAULT 'x' CHECK (note <> ''),
        double integer GENERATED ALWAYS AS (of * 2) STORED
    );
    INSERT INTO parcels (of) VALUES (1), (2), (3)
"""


def test_a_table_made_on_a_branch_has_a_history_there(shop: Database, dev: Connection) -> None:
    query(dev, PARCELS)
    assert rows(dev, "SELECT * FROM pggit.status()") == [("public.parcels", 3, 0, 0)]
    first = value(dev, "SELECT pggit.commit('parcels')")
    query(dev, "UPDATE parcels SET note = 'y' WHERE id = 1; DELETE FROM parcels WHERE id = 2")
    query(dev, "ALTER TABLE parcels ADD weight integer DEFAULT 5, DROP COLUMN double")
    assert rows(dev, "SELECT * FROM pggit.status()") == [("public.parcels", 0, 1, 1)]
    query(dev, "SELECT pggit.commit('more')")
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == [("public.parcels", 2, 0, 0)]
    assert rows(dev, "SELECT change, key FROM pggit.diff_rows('parcels', 'HEAD~1', 'HEAD')") == [
        ("update", {"id": 1}),
        ("delete", {"id": 2}),
    ]
    assert rows(dev, "SELECT id, note, weight FROM pggit.as_of(NULL::parcels, 'HEAD~1') ORDER BY id") == [
        (1, "x", None),
        (2, "x", None),
        (3, "x", None),
    ]
    assert [message for (message,) in rows(dev, "SELECT message FROM pggit.log(p_limit => 2)")] == ["more", "parcels"]
    assert rows(dev, "SELECT to_regclass('public.parcels')") == [(None,)]
    assert shop.rows("SELECT table_name FROM pggit.tracked_tables ORDER BY 1") == [
        ("public.customers",),
        ("public.orders",),
    ]
    with raises("VG005", "was not there at"):
        query(dev, "SELECT * FROM pggit.as_of(NULL::parcels, 'main')")
    assert intact(shop)

    query(dev, "SELECT pggit.rename_branch('dev', 'work')")
    query(
        dev, "UPDATE parcels SET weight = 6 WHERE id = 3; SELECT pggit.commit('renamed'); SELECT pggit.checkout('main')"
    )
    assert shop.value("SELECT pggit.delete_branch('work', true)")
    assert shop.rows("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'public@%'") == [(0,)]
    assert shop.rows("SELECT id, note FROM pggit.as_of(NULL::pggit._main_3, %s) ORDER BY id", first) == [
        (1, "x"),
        (2, "x"),
        (3, "x"),
    ]
    assert intact(shop)


def test_a_branch_of_the_branch_has_the_table_with_all_its_parts(shop: Database, dev: Connection) -> None:
    query(dev, PARCELS)
    query(
        dev,
        "ALTER TABLE parcels ADD gone integer; ALTER TABLE parcels DROP gone, ADD \"a 'b'\" numeric(8,2), ADD big bigint GENERATED ALWAYS AS IDENTITY (START 100)",
    )
    query(
        dev,
        "CREATE UNIQUE INDEX one ON parcels (of) WHERE note = 'x'; COMMENT ON TABLE parcels IS 'boxes'; ALTER TABLE parcels ALTER note SET STATISTICS 50",
    )
    query(
        dev,
        "CREATE TABLE labels (parcel integer REFERENCES parcels, text text); INSERT INTO labels VALUES (1, 'a'), (1, 'a')",
    )
    query(dev, "SELECT pggit.create_branch('sub', p_materialize => 'none')")
    sub = shop.connect(branch="sub")
    assert rows(sub, "SELECT * FROM parcels ORDER BY id") == rows(dev, "SELECT * FROM parcels ORDER BY id")
    assert rows(sub, "SELECT * FROM labels") == [(1, "a"), (1, "a")]
    query(sub, "INSERT INTO parcels (of) VALUES (4); INSERT INTO labels VALUES (4, 'b'); SELECT pggit.commit('fourth')")
    assert rows(sub, "SELECT id, big FROM parcels ORDER BY id DESC LIMIT 1") == [(4, 103)]
    assert rows(sub, "SELECT * FROM pggit.diff('dev')") == [("public.labels", 1, 0, 0), ("public.parcels", 1, 0, 0)]
    for sql in (
        "INSERT INTO parcels (of) VALUES (1)",
        "INSERT INTO parcels (of) VALUES (999)",
        "DELETE FROM parcels WHERE id = 1",
        "UPDATE parcels SET note = ''",
    ):
        with pytest.raises(Exception, match="violates"):
            query(sub, sql)
    definition = """
        SELECT obj_description('parcels'::regclass), ARRAY(SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'parcels'::regclass ORDER BY 1),
               ARRAY(SELECT regexp_replace(pg_get_indexdef(indexrelid), '"public@[a-z]*"', '') FROM pg_index WHERE indrelid = 'parcels'::regclass ORDER BY 1),
               ARRAY(SELECT (attname, atttypid, atttypmod, attstattarget, attidentity)::text FROM pg_attribute WHERE attrelid = 'parcels'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum)"""
    assert rows(sub, definition) == rows(dev, definition)
    query(dev, "SELECT pggit.checkout('main'); SELECT pggit.delete_branch('dev', true)")
    query(sub, "INSERT INTO parcels (of) VALUES (5); SELECT pggit.commit('fifth')")
    assert intact(shop)


@pytest.mark.parametrize(
    ("ddl", "counts"),
    [
        ("CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 4) AS g", 4),
        ("SELECT id, status INTO t FROM orders", 200),
        ("CREATE TABLE t (LIKE orders INCLUDING ALL)", 0),
        ("BEGIN; CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE t ADD PRIMARY KEY (a); COMMIT", 1),
        (
            'CREATE TABLE t ("we""ird; DROP TABLE x" int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, "c 1" text); INSERT INTO t VALUES (1)',
            1,
        ),
        ("DO $$ BEGIN EXECUTE 'CREATE TA' || 'BLE t AS SELECT 1 AS a'; END $$", 1),
    ],
)
def test_however_a_table_is_made_it_is_versioned(shop: Database, ddl: str, counts: int) -> None:
    shop.run("SELECT pggit.create_branch('dev')")
    dev = shop.connect(branch="dev")
    query(dev, ddl)
    assert rows(dev, "SELECT * FROM pggit.status()") == [("public.t", counts, 0, 0)]
    query(dev, "SELECT pggit.commit('t'); DELETE FROM t; SELECT pggit.commit('empty', p_allow_empty => true)")
    assert rows(dev, "SELECT count(*) FROM pggit.as_of(NULL::t, 'HEAD~1')") == [(counts,)]
    assert rows(dev, "SELECT count(*) FROM pggit.as_of(NULL::t, 'HEAD')") == [(0,)]
    assert intact(shop)


@pytest.mark.parametrize(
    ("ddl", "why"),
    [
        ("CREATE UNLOGGED TABLE t (a int)", "temporary or unlogged"),
        (
            "CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE t1 PARTITION OF t DEFAULT",
            "partitioned",
        ),
        ("CREATE TABLE t (a int PRIMARY KEY) INHERITS (orders)", "inheritance"),
        ("CREATE TABLE t ()", "no columns"),
    ],
)
def test_what_has_no_history_is_said(shop: Database, ddl: str, why: str) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = shop.connect(branch="dev")
    said: list[str] = []
    dev.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    query(dev, ddl)
    assert len(said) == 1
    assert "has no history" in said[0]
    assert why in said[0]
    query(dev, "UPDATE orders SET status = 'x' WHERE id = 1; SELECT pggit.commit('x')")
    assert shop.row("SELECT result, detail ->> 'left_behind' FROM pggit.merge('dev', 'main')") == (
        "fast_forward",
        '["public.t"]',
    )
    query(dev, "CREATE TEMP TABLE x (a int); DROP TABLE t")
    assert len(said) == 1


def test_a_table_made_on_a_branch_can_be_dropped_there(shop: Database, dev: Connection) -> None:
    query(dev, PARCELS + "; CREATE TABLE labels AS SELECT id AS parcel FROM parcels; SELECT pggit.commit('parcels')")
    query(dev, "BEGIN; DROP TABLE parcels, labels; ROLLBACK; DROP TABLE IF EXISTS labels; DROP TABLE parcels")
    assert rows(dev, "SELECT * FROM pggit.status()") == [("public.labels", 0, 0, 3), ("public.parcels", 0, 0, 3)]
    query(dev, "SELECT pggit.commit('gone')")
    assert rows(dev, "SELECT * FROM pggit.diff('main')") == []
    assert rows(dev, "SELECT change, key FROM pggit.diff_rows('parcels', 'main', 'HEAD~1')") == [
        ("insert", {"id": n}) for n in (1, 2, 3)
    ]
    query(dev, PARCELS + "; SELECT pggit.commit('again'); SELECT pggit.checkout('main')")
    assert rows(dev, "SELECT * FROM pggit.diff('main', 'dev')") == [("public.parcels", 3, 0, 0)]
    assert intact(shop)
    assert shop.value("SELECT pggit.delete_branch('dev', true)")
    assert intact(shop)


# --- without event triggers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["SELECT pggit.ddl('dev', %s)", "the statement alone"])
def test_tables_are_followed_where_no_event_trigger_tells_of_them(plain_owner: Connection, by: str) -> None:
    query(
        plain_owner,
        SHOP
        + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('dev', p_materialize => 'all'); SELECT pggit.checkout('dev')",
    )

    def run(sql: str) -> None:
        if by.startswith("SELECT"):
            query(plain_owner, by, sql)
        else:
            query(plain_owner, sql)

    run(PARCELS)
    query(plain_owner, "SELECT pggit.commit('parcels')")
    query(plain_owner, "UPDATE parcels SET note = 'y' WHERE id = 1; SELECT pggit.commit('one')")
    assert rows(plain_owner, "SELECT * FROM pggit.diff('HEAD~2', 'HEAD~1')") == [("public.parcels", 3, 0, 0)]
    assert rows(plain_owner, "SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [("public.parcels", 0, 1, 0)]
    run("DROP TABLE parcels")
    query(plain_owner, "SELECT pggit.commit('gone')")
    assert rows(plain_owner, "SELECT * FROM pggit.diff('HEAD~3', 'HEAD')") == []
    assert rows(plain_owner, "SELECT * FROM pggit.verify()") == []
    if by.startswith("SELECT"):
        assert rows(plain_owner, "SELECT count(*) FROM pggit.diff_rows('parcels', 'HEAD~3', 'HEAD~1')") == [(3,)]
    else:
        with raises("VG306"):
            query(plain_owner, "SELECT * FROM pggit.diff('HEAD~3', 'HEAD~1')")
