"""What a state of the past, or a branch that begins there, does not have is not main's of now; a table that can't be
shown keeps nothing else from being read; rights are main's of now."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

SHOP = """
    CREATE TABLE customers (id bigint PRIMARY KEY, name text);
    CREATE TABLE notes (line text, extra integer);
    CREATE TABLE parts (id integer PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
    CREATE VIEW names AS SELECT name FROM customers;
    SELECT pggit.track_schema('public');
    INSERT INTO customers VALUES (1, 'Ada');
    INSERT INTO notes VALUES ('a', 1), ('a', 1);
    INSERT INTO parts VALUES (1);
    SELECT pggit.commit('first');
    SELECT pggit.tag('v1');
"""
LATER = """
    CREATE TYPE mood AS ENUM ('good');
    CREATE TABLE later (id integer PRIMARY KEY, mood mood, line text);
    INSERT INTO later VALUES (1, 'good', 'x');
    CREATE VIEW later_view AS SELECT line FROM later;
    CREATE VIEW mixed AS SELECT c.name, l.line FROM customers AS c JOIN later AS l USING (id);
    ALTER TABLE customers ADD COLUMN age integer;
    CREATE VIEW ages AS SELECT age FROM customers;
    SELECT pggit.commit('second');
"""


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(SHOP)


def test_names_that_a_state_does_not_have_are_not_mains(shop: Database) -> None:
    shop.run(LATER + "CREATE FUNCTION counted() RETURNS bigint RETURN (SELECT count(*) FROM later)")
    session = shop.connect(branch=None)
    query(session, "SELECT pggit.checkout('v1')")
    shop.run("CREATE TABLE newest (id integer PRIMARY KEY); CREATE VIEW newest_view AS SELECT id FROM customers")
    shop.run("ALTER TABLE later RENAME TO renamed")
    names = ("later", "later_view", "mixed", "parts_1", "newest", "newest_view", "renamed")
    for name in names:
        with raises("42P01", f'relation "{name}" does not exist'):
            query(session, f"SELECT * FROM {name}")
    with raises("42P01"):
        query(session, "SELECT line FROM later WHERE id = 1")
    with raises("42P01"):
        query(session, "INSERT INTO later VALUES (2, 'good', 'y')")
    for reader in ("ages", "counted()"):
        with raises("VG302", "can't be shown as of that state"):
            query(session, f"SELECT * FROM {reader}")
    with raises("VG301"):
        query(session, "CREATE TABLE later (id integer)")
    query(session, "CREATE TEMP TABLE later AS SELECT 1 AS one")
    assert query(session, "SELECT n.name, p.id FROM names AS n, parts AS p").fetchall() == [("Ada", 1)]
    shop.run("CREATE SCHEMA other; SELECT pggit.track_schema('other'); ALTER TABLE customers RENAME TO clients")
    shop.run("ALTER TABLE notes SET SCHEMA other; INSERT INTO other.notes VALUES ('now', 2)")
    for name in ("customers", "clients"):
        assert query(session, f"SELECT id FROM {name}").fetchall() == [(1,)]
        with raises("VG301"):
            query(session, f"DELETE FROM {name}")
    assert query(session, "SELECT line FROM notes").fetchall() == [("a",), ("a",)]
    query(session, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT rows FROM pggit.gc(false) WHERE object = 'pggit.branches'") == 1
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'public@%'") == []
    shop.run("DROP VIEW later_view, mixed; DROP FUNCTION counted; DROP TABLE renamed; DROP TYPE mood")


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_branch_of_the_past_has_no_table_that_is_newer(shop: Database, materialize: str) -> None:
    shop.run(LATER.replace("mood mood, ", "").replace("'good', 'x'", "'x'"))
    shop.run("ALTER TABLE notes RENAME TO old_notes; CREATE TABLE notes (line text, extra integer)")
    for name in ("one", "two"):
        query(shop.conn, "SELECT pggit.create_branch(%s, 'v1', p_materialize => %s)", name, materialize)
    one, two = shop.connect(branch="one"), shop.connect(branch="two")
    for name in ("later", "later_view", "mixed", "notes"):
        with raises("42P01"):
            query(one, f"SELECT * FROM {name}")
    with raises("VG302"):
        query(one, "SELECT * FROM ages")
    query(one, "INSERT INTO customers VALUES (2, 'Bob'); SELECT pggit.commit('on one')")
    assert query(one, "SELECT result FROM pggit.merge('main', 'one')").fetchall() == [("merged",)]
    assert query(one, "SELECT * FROM mixed").fetchall() == [("Ada", "x")]
    assert query(one, "SELECT count(*) FROM ages").fetchall() == [(2,)]
    assert shop.rows("SELECT * FROM pggit.diff_schema('main', 'one')") == []
    query(two, "CREATE TABLE later (x integer); INSERT INTO later VALUES (9)")
    assert query(two, "SELECT * FROM later").fetchall() == [(9,)]
    query(two, "DROP TABLE later; DROP TABLE IF EXISTS notes; SELECT pggit.commit('on two')")
    for name in ("later", "notes"):
        with raises("42P01"):
            query(two, f"SELECT * FROM {name}")
    query(two, "DROP TABLE parts")
    with raises("42P01"):
        query(two, "SELECT * FROM parts WHERE id = '1'")
    assert query(two, "SELECT result FROM pggit.merge('two', 'main')").fetchall() == [("merged",)]
    assert shop.rows("SELECT line FROM later") == [("x",)]
    query(two, "SELECT pggit.checkout('main'); SELECT pggit.delete_branch('two', true)")
    assert shop.rows("SELECT * FROM pggit.verify()") == []


def test_one_table_that_can_not_be_shown_keeps_no_other_from_being_read(shop: Database) -> None:
    shop.run(
        """CREATE VIEW lines AS SELECT line FROM notes;
           SET pggit.save_limit = '0';
           ALTER TABLE customers DROP COLUMN name CASCADE;
           RESET pggit.save_limit;
           ALTER TABLE notes DROP COLUMN extra;
           ALTER TABLE notes ADD COLUMN other text DEFAULT 'now';
           SELECT pggit.commit('second')"""
    )
    session = shop.connect()
    query(session, "SELECT pggit.checkout('v1')")
    with raises("VG306", "table public.customers can't be shown as it was: columns of .* were dropped or retyped"):
        query(session, "SELECT name FROM customers WHERE id > 0")
    assert query(session, "SELECT * FROM notes").fetchall() == [("a", 1), ("a", 1)]
    assert query(session, "SELECT * FROM lines").fetchall() == [("a",), ("a",)]
    assert query(session, "SELECT * FROM parts").fetchall() == [(1,)]
    for statement in ("DELETE FROM notes", "TRUNCATE notes", "ALTER TABLE notes ADD x integer"):
        with raises("VG301"):
            query(session, statement)
    shop.run("SELECT pggit.checkout('v1'); SELECT pggit.checkout('main'); ALTER TABLE notes DROP COLUMN line CASCADE")
    assert query(session, "SELECT count(extra) FROM notes").fetchall() == [(2,)]
    query(session, "SELECT pggit.checkout('main')")
    assert shop.value("SELECT rows FROM pggit.gc(false) WHERE object = 'pggit.branches'") == 1


def test_a_state_of_a_branch_that_had_other_columns_and_a_table_that_is_gone(shop: Database) -> None:
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(
        dev, "ALTER TABLE customers ADD COLUMN age integer DEFAULT 7; CREATE TABLE own (id integer PRIMARY KEY, x text)"
    )
    query(dev, "INSERT INTO own VALUES (1, 'then'); INSERT INTO notes VALUES ('b', 2)")
    ((time,),) = query(dev, "SELECT clock_timestamp()::text").fetchall()  # in no commit
    query(dev, "UPDATE customers SET age = 8; ALTER TABLE own DROP COLUMN x; DROP TABLE own; DELETE FROM notes")
    query(dev, "SELECT pggit.commit('later')")
    query(dev, "SELECT pggit.checkout(%s)", time)
    assert query(dev, "SELECT * FROM customers").fetchall() == [(1, "Ada", 7)]
    assert query(dev, "SELECT * FROM own").fetchall() == [(1, "then")]
    assert query(dev, "SELECT count(*) FROM notes").fetchall() == [(3,)]


def test_tables_that_had_each_others_names(shop: Database) -> None:
    shop.run("CREATE TABLE goods (id integer PRIMARY KEY); SELECT pggit.commit('goods')")
    shop.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = shop.connect(branch="dev")
    query(dev, "ALTER TABLE goods RENAME TO old; ALTER TABLE customers RENAME TO goods")
    query(dev, "ALTER TABLE old RENAME TO customers; SELECT pggit.commit('swapped'); SELECT pggit.tag('swapped')")
    query(dev, "ALTER TABLE goods RENAME TO people; SELECT pggit.commit('people')")
    query(dev, "SELECT pggit.checkout('swapped')")
    assert query(dev, "SELECT name FROM goods").fetchall() == [("Ada",)]
    assert query(dev, "SELECT count(*) FROM customers").fetchall() == [(0,)]


def test_rights_of_a_state_are_mains_at_once(shop: Database) -> None:
    shop.run(
        """CREATE ROLE state_reader LOGIN; CREATE ROLE state_keeper LOGIN;
           GRANT USAGE ON SCHEMA pggit, public TO state_reader, state_keeper;
           ALTER TABLE notes OWNER TO state_keeper;
           CREATE FUNCTION total() RETURNS bigint SECURITY DEFINER RETURN (SELECT count(*) FROM customers);
           GRANT SELECT ON customers, notes, names, parts TO state_reader"""
    )
    name = shop.value("SELECT pggit.checkout('v1')")
    shop.run("SELECT pggit.checkout('main')")
    reader, keeper = shop.connect(user="state_reader"), shop.connect(user="state_keeper")
    holder = shop.connect(autocommit=False)
    query(reader, "SELECT pggit.checkout(%s)", name)
    query(holder, "SELECT pggit.checkout(%s)", name)
    query(holder, "SELECT * FROM customers, notes")  # what is read is locked until the transaction ends
    shop.run("SET lock_timeout = '2s'")

    def may_read(column: str, table: str) -> bool:
        state = f'"public@{name}".{table}'
        return bool(shop.value("SELECT has_column_privilege('state_reader', %s, %s, 'SELECT')", state, column))

    def seen() -> list[bool]:
        return [may_read("id", "customers"), may_read("line", "notes"), may_read("id", "parts")]

    assert seen() == [True, True, True]
    shop.run("REVOKE SELECT ON customers FROM state_reader; REVOKE SELECT ON notes FROM state_reader")
    assert seen() == [False, False, True]
    with raises("42501"):
        query(reader, "SELECT id FROM customers")
    shop.run("GRANT SELECT (id) ON customers TO state_reader; GRANT SELECT ON notes TO state_reader")
    assert seen() == [True, True, True]
    with raises("42501"):
        query(reader, "SELECT name FROM customers")
    assert query(reader, "SELECT total()").fetchall() == [(1,)]
    shop.run("REVOKE EXECUTE ON FUNCTION total FROM PUBLIC")
    with raises("42501"):
        query(reader, "SELECT total()")
    holder.rollback()
    query(holder, "SELECT pggit.checkout(%s)", name)
    warned = list[str]()
    shop.conn.add_notice_handler(lambda notice: warned.append(notice.message_primary or ""))
    shop.run("ALTER TABLE parts ENABLE ROW LEVEL SECURITY; ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
    assert seen() == [True, False, False]
    assert not any(name in warning for warning in warned)
    shop.run("ALTER TABLE parts DISABLE ROW LEVEL SECURITY; ALTER TABLE notes DISABLE ROW LEVEL SECURITY")
    assert seen() == [True, True, True]
    for statement in ("ALTER TABLE {} ADD x integer", "DROP TABLE {}", "TRUNCATE {}"):
        with raises("VG301", "a state of the past"):
            query(keeper, statement.format(f'"public@{name}".notes'))
    with raises("VG301"):
        shop.run(f'DROP SCHEMA "public@{name}" CASCADE')
    query(keeper, f'GRANT SELECT ON "public@{name}".notes TO PUBLIC')
    shop.run("REVOKE SELECT ON notes FROM state_reader")
    assert seen() == [True, False, True]
    shop.run("REVOKE USAGE ON SCHEMA public FROM state_reader, PUBLIC")
    with raises("42P01"):
        query(reader, "SELECT id FROM customers")
