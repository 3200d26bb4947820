# ruff: noqa: E501 - SQL is not wrapped
"""Real tables of a branch have every object of the table on main, under its own name."""

from __future__ import annotations

from fixtures.postgres import Database, query

from .schema import branch, rows, shop, tracked, value

EVERYTHING = """
    CREATE ROLE reader;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END';
    CREATE TABLE parent (a integer, b text COLLATE "C", PRIMARY KEY (a, b));
    CREATE TABLE t (
        id      integer GENERATED ALWAYS AS IDENTITY,
        n       serial,
        a       integer, b text COLLATE "C",
        touched integer DEFAULT 0 NOT NULL,
        amount  numeric(8,2) CONSTRAINT "Positive %" CHECK (amount > 0),
        twice   numeric GENERATED ALWAYS AS (amount * 2) STORED,
        CONSTRAINT "the key" PRIMARY KEY (id),
        CONSTRAINT odd_unique UNIQUE NULLS NOT DISTINCT (a, n) DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT "to parent" FOREIGN KEY (a, b) REFERENCES parent MATCH FULL ON DELETE SET NULL (a) DEFERRABLE
    ) WITH (fillfactor = 70, autovacuum_enabled = false);
    CREATE UNIQUE INDEX "an expression" ON t (lower(b) DESC NULLS LAST, (a + 1)) INCLUDE (n) WHERE a > 5;
    CREATE INDEX gin ON t USING gin (to_tsvector('simple', b));
    CREATE STATISTICS related (ndistinct, dependencies) ON a, n FROM t;
    ALTER TABLE t ALTER a SET STATISTICS 500, ALTER b SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
    CREATE TRIGGER touching BEFORE UPDATE OF b ON t FOR EACH ROW WHEN (NEW.a IS NULL) EXECUTE FUNCTION touch();
    COMMENT ON TABLE t IS 'all there is'; COMMENT ON COLUMN t.a IS 'one'; COMMENT ON INDEX gin IS 'words'; COMMENT ON CONSTRAINT odd_unique ON t IS 'odd';
    GRANT SELECT, UPDATE (a) ON t TO reader; GRANT USAGE ON SCHEMA public TO reader;
    INSERT INTO parent VALUES (1, 'x'); INSERT INTO t (a, b, amount) VALUES (1, 'x', 5), (NULL, NULL, 6);
"""


def described(db: Database, schema: str) -> dict[str, object]:
    relation = f'"{schema}".t'
    name = f"'{relation}'::regclass"
    queries = {
        "constraints": f"""SELECT conname, replace(pg_get_constraintdef(oid), '{schema}.', ''), convalidated, obj_description(oid, 'pg_constraint')
                           FROM pg_constraint WHERE conrelid = {name} AND contype <> 't' ORDER BY 1""",
        "indexes": f"""SELECT c.relname, replace(replace(pg_get_indexdef(c.oid), '"{schema}".', ''), '{schema}.', ''), obj_description(c.oid, 'pg_class')
                       FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid WHERE indrelid = {name} ORDER BY 1""",
        "columns": f"""SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attstorage, coalesce(attstattarget, -1), attcollation,
                              col_description(attrelid, attnum), attacl::text, pg_get_expr(adbin, adrelid)
                       FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = {name} AND attnum > 0 ORDER BY attnum""",
        "statistics": f"SELECT stxname, stxkind::text, stxkeys::text FROM pg_statistic_ext WHERE stxrelid = {name}",
        "table": f"SELECT reloptions, relreplident, relacl::text, obj_description(oid, 'pg_class') FROM pg_class WHERE oid = {name}",
        "triggers": f"""SELECT tgname, tgenabled, replace(replace(pg_get_triggerdef(t.oid), '"{schema}".', ''), 'public.', '') FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = tgfoid
                        WHERE tgrelid = {name} AND NOT tgisinternal AND pronamespace <> 'pggit'::regnamespace""",
    }
    return {kind: [str(r).replace(f'"{schema}".', "") for r in db.rows(sql)] for kind, sql in queries.items()}


def test_every_object_under_its_name(db: Database) -> None:
    work = tracked(db, EVERYTHING, "all")
    db.run("SET search_path = pg_catalog")
    assert described(db, "public@work") == described(db, "public")
    query(work, "UPDATE t SET b = NULL WHERE a IS NULL")
    assert rows(work, "SELECT touched, twice FROM t ORDER BY id") == [(0, 10), (1, 12)]
    assert rows(work, "INSERT INTO t (amount) VALUES (1) RETURNING id, n") == [(3, 3)]
    db.run("DROP OWNED BY reader; DROP ROLE reader")


def test_a_view_becomes_real(db: Database) -> None:
    work = shop(db)
    query(work, "UPDATE orders SET amount = 7 WHERE id < 5")
    query(work, "DELETE FROM orders WHERE id = 9")
    query(work, "SELECT pggit.commit('before')")
    before = rows(work, "SELECT * FROM orders ORDER BY id")
    db.run("UPDATE orders SET status = 'moved'")
    db.run('CREATE ROLE clerk; GRANT SELECT ON "public@work".orders TO clerk')

    query(work, "SELECT pggit.materialize('work', 'orders')")
    query(work, "SELECT pggit.materialize('work', 'orders')")

    assert rows(work, "SELECT * FROM orders ORDER BY id") == before
    assert rows(work, "SELECT * FROM pggit.status()") == []
    assert rows(work, "SELECT has_table_privilege('clerk', 'orders', 'SELECT')") == [(True,)]
    query(work, "INSERT INTO orders (id, customer_id) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET amount = 8")
    query(work, "TRUNCATE orders")
    assert rows(work, "SELECT * FROM pggit.status()") == [("public.orders", 0, 0, 199)]
    assert rows(work, "SELECT count(*) FROM pggit.as_of(NULL::public.orders, 'work')") == [(199,)]
    db.run("DROP OWNED BY clerk; DROP ROLE clerk")


def test_foreign_keys_become_real_with_their_second_end(db: Database) -> None:
    work = shop(db)
    keys = "SELECT conname, confrelid::regclass::text FROM pg_constraint WHERE conrelid = '\"public@work\".orders'::regclass AND contype = 'f'"
    query(work, "SELECT pggit.materialize('work', 'orders')")
    assert db.rows(keys) == []
    query(work, "SELECT pggit.materialize('work', 'customers')")
    assert db.rows(keys) == [("orders_customer", '"public@work".customers')]
    left = "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^pggit_(child|parent)_'"
    assert db.value(left) == 0


def test_row_level_security_needs_a_real_table(db: Database) -> None:
    shop(db)
    db.run(
        "ALTER TABLE customers ENABLE ROW LEVEL SECURITY; CREATE POLICY nobody ON customers FOR SELECT USING (region = 1)"
    )
    assert db.value("SELECT materialized FROM pggit.create_branch('b', p_materialize => 'auto')") == [
        "public.customers",
        "public.orders",
    ]
    branch(db, "c", form="customers")
    assert db.rows("SELECT polname, polcmd FROM pg_policy WHERE polrelid = '\"public@c\".customers'::regclass") == [
        ("nobody", "r")
    ]


def test_row_level_security_that_comes_later_is_told_of(db: Database) -> None:
    shop(db)
    db.run("SELECT pggit.create_branch('seen', p_materialize => 'none')")
    told: list[str] = []
    db.conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    db.run("ALTER TABLE customers ENABLE ROW LEVEL SECURITY")
    assert told == [
        "row-level security of table public.customers does not hold on branches that show it as a view: seen, work"
    ]
    limits = "SELECT table_name FROM pggit.branch_capabilities('seen') WHERE kind = 'row_security'"
    assert db.rows(limits) == [("public.customers",)]
    db.run("SELECT pggit.materialize('seen', 'customers')")
    assert db.rows(limits) == []


def test_nested_statements_are_logged_in_order(db: Database) -> None:
    """A user's row trigger writes the same row; a CTE deletes and inserts: the first log row is still the row as it was."""
    work = tracked(
        db,
        """
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.v NOT LIKE ''%!'' THEN UPDATE t SET v = NEW.v || ''!'' WHERE id = NEW.id; END IF; RETURN NULL; END';
        CREATE TRIGGER again AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION again();
        INSERT INTO t VALUES (1, 'one!'), (2, 'two!');
        """,
        "all",
    )
    query(work, "UPDATE t SET v = 'uno' WHERE id = 1")
    query(work, "WITH d AS (DELETE FROM t WHERE id = 2 RETURNING *) INSERT INTO t SELECT id, 'due' FROM d")
    query(work, "INSERT INTO t VALUES (3, 'tre')")
    assert rows(work, "SELECT id, v FROM t ORDER BY id") == [(1, "uno!"), (2, "due!"), (3, "tre!")]
    assert rows(work, "SELECT * FROM pggit.as_of(NULL::public.t, 'work') ORDER BY id") == [(1, "one!"), (2, "two!")]
    numbers = value(work, "SELECT pggit.commit('numbers')")
    query(work, "DELETE FROM t")
    branch(db, "past", str(numbers))
    branch(db, "then", "work")
    assert db.rows('SELECT * FROM "public@past".t ORDER BY id') == [(1, "uno!"), (2, "due!"), (3, "tre!")]
    assert db.rows('SELECT * FROM "public@then".t ORDER BY id') == []


def test_identity_columns_are_set_by_what_loads_rows(db: Database) -> None:
    """As `setval(pg_get_serial_sequence(…), …)` after a load, or RESTART, does it: what comes after has new keys."""
    db.run("""
        CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text);
        INSERT INTO t (a) VALUES ('one'), ('two');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('dev', p_materialize => 'all');
    """)
    dev = db.connect(branch="dev")
    for number, sql in enumerate(
        [
            "INSERT INTO t VALUES (7); SELECT setval(pg_get_serial_sequence('t', 'id'), 7)",
            "SELECT setval(pg_get_serial_sequence('t', 'id'), 20, false)",
            "SELECT setval(pg_get_serial_sequence('t', 'id'), 30); INSERT INTO t VALUES (30)",
            "ALTER TABLE t ALTER id RESTART WITH 50",
        ]
    ):
        query(dev, f"{sql}; INSERT INTO t (a) VALUES ('a{number}'), ('b{number}')")
    found = query(dev, "SELECT id, a FROM t WHERE id > 2 ORDER BY id").fetchall()
    assert found == [
        (7, None),
        (8, "a0"),
        (9, "b0"),
        (22, "a1"),
        (23, "b1"),
        (30, None),
        (31, "a2"),
        (32, "b2"),
        (52, "a3"),
        (53, "b3"),
    ]
    db.run("INSERT INTO t (a) VALUES ('main')")
    assert db.value("SELECT max(id) FROM t") == 54
