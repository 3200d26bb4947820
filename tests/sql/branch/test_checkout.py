# ruff: noqa: E501 - SQL is not wrapped
"""A session works on a branch under plain names, and on nothing else by accident."""

from __future__ import annotations

from fixtures.postgres import Database, query, raises

from .schema import rows, shop, value


def test_checkout_and_back(db: Database) -> None:
    work = shop(db)
    assert rows(work, "SHOW search_path") == [('"$user", "public@work", public',)]
    assert value(work, "SELECT pggit.current_branch()") == "work"
    assert value(work, "SELECT pggit.branch_schema(NULL)") == "public@work"
    assert value(work, "SELECT pggit.branch_schema('main')") == "public"
    assert value(work, "SELECT pggit.checkout('work')") == "work"
    assert value(work, "SELECT pggit.checkout('main')") == "main"
    assert rows(work, "SHOW search_path") == [('"$user", public',)]
    assert value(work, "SELECT pggit.current_branch()") == "main"
    with raises("VG001", "no branch 'nowhere'"):
        query(work, "SELECT pggit.checkout('nowhere')")
    with raises("VG008"):
        query(work, "SELECT pggit.branch_schema('work', 'other')")


def test_a_rollback_takes_checkout_back(db: Database) -> None:
    shop(db)
    session = db.connect(autocommit=False)
    query(session, "SELECT pggit.checkout('work')")
    session.rollback()
    assert value(session, "SELECT pggit.current_branch()") == "main"


def test_paths_are_kept(db: Database) -> None:
    work = shop(db)
    db.run('CREATE SCHEMA "odd, ""one"')
    query(
        work,
        "SELECT pggit.checkout('main'); SET search_path = \"odd, \"\"one\", public, pg_temp; SELECT pggit.checkout('work')",
    )
    assert rows(work, "SHOW search_path") == [('"odd, ""one", "public@work", public, pg_temp',)]
    query(work, "SET search_path = pg_catalog; SELECT pggit.checkout('work')")
    assert rows(work, "SHOW search_path") == [('"public@work", pg_catalog',)]


def test_main_is_not_written_from_a_branch(db: Database) -> None:
    work = shop(db)
    with raises("VG309", "on branch 'work'"):
        query(work, "UPDATE public.orders SET amount = 1")
    assert value(work, "SELECT count(*) FROM public.orders") == 200


def test_a_table_that_is_newer_than_the_branch_is_not_written_from_it(db: Database) -> None:
    work = shop(db)
    db.run("CREATE TABLE later (id integer PRIMARY KEY)")
    with raises("VG309", "writes table public.later of main") as refused:
        query(work, "INSERT INTO later VALUES (1)")
    assert "SELECT pggit.merge('main', 'work'); brings it" in str(refused.value.diag.message_hint)
    query(work, "SELECT pggit.merge('main', 'work')")
    query(work, "INSERT INTO later VALUES (1)")
    assert value(work, "SELECT count(*) FROM later") == 1
    assert value(work, "SELECT count(*) FROM public.later") == 0


def test_a_role_with_nothing_but_its_branch(db: Database) -> None:
    shop(db)
    db.run('CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA "public@work" TO clerk')
    db.run('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "public@work" TO clerk')
    clerk = db.connect(user="clerk")
    query(clerk, 'SET search_path = "public@work"')
    assert rows(clerk, "INSERT INTO orders (customer_id) VALUES (1) RETURNING id") == [(201,)]
    query(clerk, "UPDATE orders SET amount = 3 WHERE id = 201")
    query(clerk, "DELETE FROM customers WHERE id = 2")
    with raises("23505", "customers_email_once"):
        query(clerk, "INSERT INTO customers (email) VALUES ('c3@example.org')")
    with raises("42501"):
        query(clerk, "SELECT * FROM public.orders")
    with raises("42501"):
        query(clerk, "DELETE FROM pggit.branches")
    db.run("UPDATE pggit.branches SET role_name = 'clerk' WHERE name = 'work'")
    assert db.value("SELECT session_role FROM pggit.transactions ORDER BY xid DESC LIMIT 1") == "clerk"
    clerk.close()
    db.run("DROP OWNED BY clerk; DROP ROLE clerk")


def test_owners_use_their_tables_on_a_branch(db: Database) -> None:
    """A superuser makes the branch; the tables' owner, no superuser, works on it in either form."""
    db.run("CREATE ROLE app LOGIN; CREATE SCHEMA shop AUTHORIZATION app")
    app = db.connect(user="app")
    query(
        app,
        """
        CREATE FUNCTION shop.odd(integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 2 = 1';
        CREATE TABLE shop.t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v integer);
        CREATE TABLE shop.checked (id integer PRIMARY KEY CHECK (shop.odd(id)));
        INSERT INTO shop.t (v) VALUES (1), (2);
        INSERT INTO shop.checked VALUES (1), (3);
        """,
    )
    db.run("SELECT pggit.track_schema('shop')")
    with raises("VG307", "functions of another user"):
        db.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    db.run("SELECT pggit.create_branch('b', p_materialize => 'shop.checked')")
    query(app, 'SET search_path = "shop@b"')
    assert rows(app, "INSERT INTO t (v) VALUES (3) RETURNING id") == [(3,)]
    query(app, "UPDATE t SET v = 4 WHERE id = 1")
    query(app, "INSERT INTO checked VALUES (5)")
    with raises("23514"):
        query(app, "INSERT INTO checked VALUES (6)")
    assert db.row("SELECT count(*), sum(v) FROM shop.t") == (2, 3)
    app.close()
    db.run("SELECT pggit.delete_branch('b', true); DROP OWNED BY app CASCADE; DROP ROLE app")


def test_a_branch_that_is_gone_leaves_the_path(db: Database) -> None:
    """Its schema would come back with the next branch of that name, and writes meant for main would go there."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    session = db.connect()
    path = query(session, "SHOW search_path").fetchone()
    for name in ("dev", 'we"ird/x', "e" * 70):
        db.run("SELECT pggit.create_branch(%s)", name)
        query(session, "SELECT pggit.checkout(%s)", name)
        # Back on the branch, but it no longer keeps others from deleting it.
        query(session, "BEGIN; SELECT pggit.checkout('main'); ROLLBACK")
        db.run("SELECT pggit.delete_branch(%s, true)", name)
        query(session, "SELECT pggit.checkout('main')")
        assert query(session, "SHOW search_path").fetchone() == path
        db.run("SELECT pggit.create_branch(%s)", name)
        query(session, "UPDATE t SET n = n + 1")
        query(session, "SELECT pggit.checkout(%s)", name)
        assert query(session, "SELECT n FROM t").fetchone() != query(session, "SELECT n FROM public.t").fetchone()
        query(session, "SELECT pggit.checkout('main')")
    assert db.value("SELECT n FROM t") == 3


def test_other_names_of_checkout_and_commit(db: Database) -> None:
    work = shop(db)
    assert value(work, "SELECT pggit.switch_branch('main')") == "main"
    assert value(work, "SELECT pggit.current_branch()") == "main"
    commit = value(work, "SELECT pggit.create_commit('nothing', 'work', 'ann', p_allow_empty => true)")
    assert commit == value(work, "SELECT head FROM pggit.list_branches() WHERE name = 'work'")
    assert value(work, "SELECT author FROM pggit.log('work', 1)") == "ann"


def test_a_branch_that_is_gone_for_all_but_an_old_snapshot(db: Database) -> None:
    db.run(
        "CREATE TABLE goods (id bigint PRIMARY KEY); SELECT pggit.track_schema('public'); SELECT pggit.commit('first');"
        "SELECT pggit.create_branch('work'); INSERT INTO goods VALUES (1)"
    )
    session = db.connect()
    query(session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM goods")
    db.run("SELECT pggit.delete_branch('work', true)")
    with raises("VG401", "has been deleted or renamed since this transaction began"):
        query(session, "SELECT pggit.checkout('work')")
    session.rollback()
    with raises("VG001"):
        query(session, "SELECT pggit.checkout('work')")


def test_a_session_on_the_target_sees_a_schema_that_its_merge_brought(db: Database) -> None:
    db.run(
        "CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public'); SELECT pggit.commit('first', p_allow_empty => true)"
    )
    db.run("SELECT pggit.create_branch('dev')")
    dev = db.connect()
    query(dev, "SET search_path = public, crm; SELECT pggit.checkout('dev')")
    db.run(
        "CREATE SCHEMA crm; CREATE TABLE crm.lead (id integer PRIMARY KEY); SELECT pggit.track_schema('crm'); SELECT pggit.commit('crm')"
    )
    assert query(dev, "SELECT result FROM pggit.merge('main', 'dev')").fetchall() == [("fast_forward",)]
    db.run("INSERT INTO crm.lead VALUES (1)")
    assert query(dev, "SELECT * FROM lead").fetchall() == []
    query(dev, "INSERT INTO lead VALUES (2)")
    assert db.rows("SELECT id FROM crm.lead") == [(1,)]
    assert query(dev, "SHOW search_path").fetchall() == [('"public@dev", public, "crm@dev", crm',)]


def test_who_writes_as_a_replica_is_warned_of_views(db: Database) -> None:
    """PostgreSQL calls no trigger of a view then: it takes writes, and drops them."""
    shop(db)
    db.run("SELECT pggit.create_branch('views', p_materialize => 'none')")
    db.run("SELECT pggit.create_branch('tables', p_materialize => 'all')")
    session = db.connect()
    told: list[str] = []
    session.add_notice_handler(lambda found: told.append(f"{found.severity}: {found.message_primary}"))
    query(session, "SET session_replication_role = replica")
    for branch in ("tables", "main", "views"):
        query(session, "SELECT pggit.checkout(%s)", branch)
    assert [message.partition(" is lost")[0] for message in told] == [
        "WARNING: what this session writes to views of branch 'views'"
    ]
    lost = "SELECT count(*) FROM pggit.branch_capabilities(%s) WHERE kind = 'replica'"
    assert db.value(lost, "views") > 0
    assert db.value(lost, "tables") == 0
