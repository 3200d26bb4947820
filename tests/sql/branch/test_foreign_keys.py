# ruff: noqa: E501 - SQL is not wrapped
"""Foreign keys on a branch: between views, between real tables, and where one end is a view."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Database, query, raises

from .schema import race, rows, tracked, value

FAMILIES = """
    CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE);
    CREATE TABLE restricted (id integer PRIMARY KEY, p integer CONSTRAINT k_restrict REFERENCES p ON DELETE RESTRICT);
    CREATE TABLE plain (id integer PRIMARY KEY, p integer CONSTRAINT k_plain REFERENCES p);
    CREATE TABLE cascaded (id integer PRIMARY KEY, code text CONSTRAINT k_cascade REFERENCES p (code) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE nulled (id integer PRIMARY KEY, p integer CONSTRAINT k_null REFERENCES p ON DELETE SET NULL ON UPDATE SET NULL);
    CREATE TABLE defaulted (id integer PRIMARY KEY, p integer DEFAULT 1 CONSTRAINT k_default REFERENCES p ON DELETE SET DEFAULT);
    CREATE TABLE tree (id integer PRIMARY KEY, up integer CONSTRAINT k_tree REFERENCES tree);
    CREATE TABLE later (id integer PRIMARY KEY, p integer CONSTRAINT k_later REFERENCES p DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO p SELECT g, 'code ' || g FROM generate_series(1, 9) AS g;
    INSERT INTO restricted VALUES (1, 2);
    INSERT INTO plain VALUES (1, 3);
    INSERT INTO cascaded VALUES (1, 'code 4'), (2, 'code 4'), (3, NULL);
    INSERT INTO nulled VALUES (1, 5);
    INSERT INTO defaulted VALUES (1, 6);
    INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2);
"""
FORMS = ("none", "all", "p", "restricted, plain, cascaded, nulled, defaulted, later")


@pytest.mark.parametrize("form", FORMS)
def test_actions(db: Database, form: str) -> None:
    work = tracked(db, FAMILIES, form)

    with raises("23001" if db.version >= 18 else "23503", "k_restrict"):
        query(work, "DELETE FROM p WHERE id = 2")
    with raises("23503", "k_plain"):
        query(work, "DELETE FROM p WHERE id = 3")
    with raises("23503", "k_plain"):
        query(work, "UPDATE p SET id = 33 WHERE id = 3")
    with raises("23503", "k_plain"):
        query(work, "INSERT INTO plain VALUES (2, 77)")
    with raises("23503", "k_cascade"):
        query(work, "INSERT INTO cascaded VALUES (9, 'code 77')")
    query(work, "UPDATE p SET code = 'other' WHERE id = 4")
    assert rows(work, "SELECT id, code FROM cascaded ORDER BY id") == [(1, "other"), (2, "other"), (3, None)]
    query(work, "DELETE FROM p WHERE id IN (4, 5, 6)")
    assert rows(work, "SELECT id FROM cascaded") == [(3,)]
    assert rows(work, "SELECT p FROM nulled") == [(None,)]
    assert rows(work, "SELECT p FROM defaulted") == [(1,)]
    assert rows(work, "SELECT count(*) FROM p") == [(6,)]
    assert db.value("SELECT count(*) FROM p") == 9


@pytest.mark.parametrize("form", FORMS)
def test_the_end_of_the_statement_counts(db: Database, form: str) -> None:
    work = tracked(db, FAMILIES, form)
    query(work, "INSERT INTO tree VALUES (11, 10), (10, 11)")
    query(work, "DELETE FROM tree")
    assert value(work, "SELECT count(*) FROM tree") == 0
    query(work, "INSERT INTO tree VALUES (1, 1)")
    with raises("23503", "k_tree"):
        query(work, "INSERT INTO tree VALUES (2, 3)")


@pytest.mark.parametrize("form", ["none", "all", "p", "q"])
def test_what_a_statement_cascades_to_is_looked_at_in_its_end(db: Database, form: str) -> None:
    """Rows that go one after the other, with the parents of one statement, may refer to each other."""
    cascading = """
        CREATE TABLE p (id integer PRIMARY KEY);
        CREATE TABLE q (id integer PRIMARY KEY, p integer REFERENCES p ON DELETE CASCADE);
        CREATE TABLE kid (id integer PRIMARY KEY, p integer REFERENCES p ON DELETE CASCADE, q integer CONSTRAINT k_q REFERENCES q, up integer CONSTRAINT k_up REFERENCES kid);
        INSERT INTO p VALUES (1), (2), (3);
        INSERT INTO q VALUES (1, 1), (2, 2);
        INSERT INTO kid VALUES (1, 1, 2, NULL), (2, 2, 1, 1), (3, 3, NULL, NULL);
    """
    work = tracked(db, cascading, form)
    query(work, "DELETE FROM p WHERE id < 3")
    assert rows(work, "SELECT id FROM kid") == [(3,)]
    query(
        work,
        "INSERT INTO p VALUES (1); INSERT INTO q VALUES (1, 1); INSERT INTO kid VALUES (4, 3, NULL, 3), (5, 1, NULL, 4)",
    )
    query(work, "UPDATE kid SET q = 1 WHERE id = 3")
    with raises("23503", "k_q"):
        query(work, "DELETE FROM p WHERE id = 1")
    assert rows(work, "SELECT id FROM kid ORDER BY id") == [(3,), (4,), (5,)]
    assert db.value("SELECT count(*) FROM pggit.pending_checks") == 0


def test_what_a_trigger_does_for_a_cascade_is_looked_at_by_itself(db: Database) -> None:
    triggered = """
        CREATE TABLE p (id integer PRIMARY KEY);
        CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p ON DELETE CASCADE);
        CREATE TABLE a (id integer PRIMARY KEY, p integer REFERENCES p);
        INSERT INTO p VALUES (1);
        INSERT INTO c VALUES (1, 1);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            BEGIN
                EXECUTE format('INSERT INTO %I.a VALUES (1, 500)', TG_TABLE_SCHEMA);
            EXCEPTION WHEN foreign_key_violation THEN
                EXECUTE format('INSERT INTO %I.a VALUES (1, NULL)', TG_TABLE_SCHEMA);
            END;
            RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER DELETE ON c FOR EACH ROW EXECUTE FUNCTION note();
    """
    work = tracked(db, triggered, "c")
    query(work, "DELETE FROM p")
    assert rows(work, "SELECT * FROM a") == [(1, None)]
    assert rows(work, "SELECT * FROM c") == []


@pytest.mark.parametrize("form", ["k", "all", "k, deep", "p, deep"])
def test_a_cascade_runs_triggers_as_postgresql_does(db: Database, form: str) -> None:
    """Under the search_path of who writes the parent, and with the rights of the child's owner, whoever installed pggit."""
    role = f"owner_of_{db.name}"
    db.run(f"CREATE ROLE {role} LOGIN; CREATE ROLE {role}_clerk LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    owner = db.connect(user=role)
    query(
        owner,
        """
        CREATE TYPE "Code" AS ENUM ('a', 'b', 'c');
        CREATE TABLE p (id "Code" PRIMARY KEY);
        CREATE TABLE k (id "Code" PRIMARY KEY, name varchar(3), p "Code" UNIQUE REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE deep (id integer PRIMARY KEY, k "Code" REFERENCES k (p) ON DELETE CASCADE ON UPDATE SET NULL);
        CREATE TABLE seen (what text, who text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO seen VALUES (TG_WHEN || ' ' || TG_OP || ' ' || TG_TABLE_NAME, current_user);
            RETURN coalesce(NEW, OLD);
        END $$;
        CREATE FUNCTION narrow() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
        BEGIN
            EXECUTE format('UPDATE %I.p SET id = id', TG_TABLE_SCHEMA);
            RETURN coalesce(NEW, OLD);
        END $$;
        CREATE TRIGGER a BEFORE UPDATE OR DELETE ON k FOR EACH ROW EXECUTE FUNCTION narrow();
        CREATE TRIGGER b BEFORE UPDATE OR DELETE ON k FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER d BEFORE UPDATE OR DELETE ON deep FOR EACH ROW EXECUTE FUNCTION note();
        INSERT INTO p VALUES ('a'), ('b');
        INSERT INTO k VALUES ('a', 'abc', 'a'), ('b', 'abc', 'b');
        INSERT INTO deep VALUES (1, 'a'), (2, 'b');
        """,
    )
    query(owner, f"GRANT UPDATE, DELETE, SELECT ON p TO {role}_clerk")
    db.run("SELECT pggit.track_table(t) FROM unnest(ARRAY['p', 'k', 'deep']) AS t; SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('work', 'main', 'schema', %s)", form)
    db.run(f"""GRANT INSERT ON seen TO {role}; GRANT USAGE ON SCHEMA "public@work" TO {role}, {role}_clerk""")
    clerk = db.connect(user=f"{role}_clerk")
    query(clerk, """SET search_path = "public@work", public; UPDATE p SET id = 'c' WHERE id = 'a'; DELETE FROM p""")
    triggers = [f"BEFORE {of}" for of in ["UPDATE k", "DELETE k", "DELETE k", "UPDATE deep", "DELETE deep"]]
    if "k" not in form and form != "all":
        triggers = triggers[3:]
    if "deep" not in form and form != "all":
        triggers = triggers[:3]
    assert sorted(db.rows("SELECT * FROM seen")) == sorted((of, role) for of in triggers)
    assert db.value('SELECT count(*) FROM "public@work".k') == 0
    assert query(clerk, "SHOW search_path").fetchone() == ('"public@work", public',)


def test_a_key_that_a_merge_brings_to_views_is_looked_at_in_the_end_of_the_statement(db: Database) -> None:
    tracked(
        db,
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE k (id integer PRIMARY KEY, p integer); INSERT INTO p VALUES (1); INSERT INTO k VALUES (1, 1)",
    )
    db.run("ALTER TABLE k ADD CONSTRAINT k_later FOREIGN KEY (p) REFERENCES p; SELECT pggit.commit('a key')")
    assert db.value("SELECT result FROM pggit.merge('main', 'work')") in ("merged", "fast_forward")
    session = db.connect(branch="work", autocommit=False)
    for sql in ("INSERT INTO k VALUES (2, 2)", "DELETE FROM p"):
        with raises("23503", "k_later"):
            query(session, sql)
        session.rollback()
    query(session, "INSERT INTO p VALUES (2); INSERT INTO k VALUES (2, 2)")
    session.commit()


@pytest.mark.parametrize("form", FORMS)
def test_deferred(db: Database, form: str) -> None:
    tracked(db, FAMILIES, form)
    session = db.connect(branch="work", autocommit=False)
    query(session, "INSERT INTO later VALUES (1, 50)")
    query(session, "INSERT INTO p VALUES (50, 'fifty')")
    session.commit()
    query(session, "DELETE FROM p WHERE id = 50")
    with raises("23503", "k_later"):
        session.commit()
    session.rollback()
    query(session, "INSERT INTO later VALUES (2, 51)")
    with raises("23503", "k_later"):
        query(session, "SET CONSTRAINTS ALL IMMEDIATE")
    session.rollback()
    assert value(session, "SELECT count(*) FROM later") == 1
    assert db.value("SELECT count(*) FROM pggit.pending_checks") == 0


@pytest.mark.parametrize("form", FORMS)
def test_no_orphans(db: Database, form: str) -> None:
    """One session takes a parent away while another refers to it; both have their snapshots before either writes."""
    tracked(db, FAMILIES, form)
    number = 10
    for isolation in (
        psycopg.IsolationLevel.READ_COMMITTED,
        psycopg.IsolationLevel.REPEATABLE_READ,
        psycopg.IsolationLevel.SERIALIZABLE,
    ):
        for child_first in (True, False):
            number += 1
            db.run('INSERT INTO "public@work".p VALUES (%s, NULL)', number)
            statements = [f"INSERT INTO plain VALUES ({number}, {number})", f"DELETE FROM p WHERE id = {number}"]
            if not child_first:
                statements.reverse()
            ended = race(db, isolation, *statements)
            assert ended in ("23503", "40001"), (isolation, statements)
            assert ended == "23503" or isolation != psycopg.IsolationLevel.READ_COMMITTED
    orphans = (
        'SELECT count(*) FROM "public@work".plain AS c WHERE NOT EXISTS (SELECT FROM "public@work".p WHERE p.id = c.p)'
    )
    assert db.value(orphans) == 0


@pytest.mark.parametrize("form", FORMS)
def test_children_of_one_parent_do_not_wait_for_each_other(db: Database, form: str) -> None:
    tracked(db, FAMILIES, form)
    sessions = [db.connect(branch="work", autocommit=False) for _ in range(5)]
    for number, session in enumerate(sessions):
        query(session, "SET LOCAL lock_timeout = '300ms'")
        query(session, "INSERT INTO plain VALUES (%s, 7)", 100 + number)
    for session in sessions:
        session.commit()
    assert db.value('SELECT count(*) FROM "public@work".plain WHERE p = 7') == 5


@pytest.mark.parametrize("deferrable", ["", "DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("form", ["none", "all", "p", "c"])
def test_set_default_leaves_no_orphan_where_the_default_is_the_row_that_goes(
    db: Database, form: str, deferrable: str
) -> None:
    work = tracked(
        db,
        f"""
        CREATE TABLE p (id integer PRIMARY KEY);
        CREATE TABLE c (id integer PRIMARY KEY, p integer DEFAULT 1 CONSTRAINT c_p REFERENCES p ON DELETE SET DEFAULT ON UPDATE SET DEFAULT {deferrable});
        INSERT INTO p VALUES (1), (2), (3);
        INSERT INTO c VALUES (1, 1), (2, 2);
        """,
        form,
    )
    for sql in ("DELETE FROM p WHERE id = 1", "UPDATE p SET id = 4 WHERE id = 1", "DELETE FROM p"):
        with raises("23503", "still referenced|violates foreign key constraint") as caught:
            query(work, sql)
        assert caught.value.diag.constraint_name == "c_p"
    query(work, "DELETE FROM p WHERE id = 2")
    query(work, "UPDATE p SET id = 4 WHERE id = 3")
    assert rows(work, "SELECT id, p FROM c ORDER BY id") == [(1, 1), (2, 1)]
    assert rows(work, "SELECT id FROM p ORDER BY id") == [(1,), (4,)]


def test_references_are_compared_as_the_foreign_key_does(db: Database) -> None:
    """citext knows no case, wherever the extension is: 'K1' refers to 'k1'."""
    db.run("""
        CREATE EXTENSION citext;
        CREATE TABLE p (k citext PRIMARY KEY);
        CREATE TABLE c (id integer PRIMARY KEY, k citext REFERENCES p);
        CREATE TABLE d (id integer PRIMARY KEY, k citext REFERENCES p ON DELETE CASCADE);
        INSERT INTO p VALUES ('k1'), ('k2'), ('k3');
        INSERT INTO c VALUES (1, 'K1');
        INSERT INTO d VALUES (2, 'K2');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('b', p_materialize => 'none');
    """)
    b = db.connect(branch="b")
    with raises("23503"):
        query(b, "DELETE FROM p WHERE k = 'k1'")
    query(b, "UPDATE p SET k = 'K1' WHERE k = 'k1'")
    query(b, "INSERT INTO c VALUES (3, 'K3')")
    query(b, "DELETE FROM p WHERE k = 'k2'")
    assert query(b, "SELECT k::text FROM p ORDER BY k").fetchall() == [("K1",), ("k3",)]
    assert query(b, "SELECT count(*) FROM d").fetchall() == [(0,)]


#: type → a setting under which its text is read as another value; a key, another, and one that no row has
VALUES_BY_SETTING = {
    "double precision": ("extra_float_digits = 0", "'0.30000000000000004'", "1", "'0.7999999999999999'"),
    "timestamptz": (
        "datestyle = 'SQL, DMY'",
        "'2026-01-02 10:00+05:30'",
        "'2026-03-04 05:00+00'",
        "'2026-01-02 10:00+02'",
    ),
}


@pytest.mark.parametrize("form", ["none", "p", "c"])
@pytest.mark.parametrize("kind", VALUES_BY_SETTING)
def test_keys_stay_what_they_are_under_every_setting(db: Database, kind: str, form: str) -> None:
    """A key goes from one end to the other as text, and texts say less, or something else, than values."""
    setting, key, other, missing = VALUES_BY_SETTING[kind]
    tables = f"""
        CREATE TABLE p (k {kind} PRIMARY KEY);
        CREATE TABLE c (id integer PRIMARY KEY, k {kind} CONSTRAINT c_k REFERENCES p ON UPDATE CASCADE DEFERRABLE);
        INSERT INTO p VALUES ({key}), ({other});
        INSERT INTO c VALUES (1, {other});
    """
    work = tracked(db, tables, form)
    query(work, f"SET {setting}; SET timezone = 'Asia/Kolkata'")
    query(work, f"INSERT INTO c VALUES (2, {key})")
    with raises("23503", "c_k"):
        query(work, f"INSERT INTO c VALUES (3, {missing})")
    with raises("23503", "c_k"):
        query(
            work,
            f"BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO c VALUES (3, {missing}); SET datestyle = 'ISO'; COMMIT",
        )
    query(work, "ROLLBACK")
    query(work, f"UPDATE p SET k = {missing} WHERE k = {other}")
    assert rows(work, f"SELECT id, k = {missing}, k = {key} FROM c ORDER BY id") == [(1, True, False), (2, False, True)]
    with raises("23503", "c_k"):
        query(work, f"DELETE FROM p WHERE k = {key}")


@pytest.mark.parametrize("form", ["none", "all", "p", "c"])
def test_columns_of_two_collations_are_compared_by_that_of_the_parent(db: Database, form: str) -> None:
    """As PostgreSQL does it: two collations that nobody chose between are no comparison (42P22)."""
    tables = """
        CREATE TABLE p (code text COLLATE "C" PRIMARY KEY, v integer);
        CREATE TABLE c (id integer PRIMARY KEY, code text COLLATE "POSIX" CONSTRAINT c_code REFERENCES p ON UPDATE CASCADE, v integer);
        INSERT INTO p VALUES ('a', 1), ('b', 2), ('z', 3);
        INSERT INTO c VALUES (1, 'a', 1), (2, 'b', 1);
    """
    work = tracked(db, tables, form)
    query(work, "INSERT INTO p VALUES ('n', 1); INSERT INTO c VALUES (3, 'n', 1)")
    with raises("23503", "c_code"):
        query(work, "INSERT INTO c VALUES (4, 'nn', 1)")
    with raises("23503", "c_code"):
        query(work, "DELETE FROM p WHERE code = 'b'")
    query(work, "UPDATE p SET code = 'a2' WHERE code = 'a'; DELETE FROM p WHERE code = 'z'")
    db.run("INSERT INTO p VALUES ('m', 1); INSERT INTO c VALUES (5, 'm', 1)")
    branch = value(work, "SELECT pggit.current_branch()")
    for source, target in ((branch, "main"), ("main", branch)):
        assert db.row("SELECT result, violations FROM pggit.merge(%s, %s)", source, target)[1] == 0
    for there in (db.conn, work):
        assert rows(there, "SELECT id, code FROM c ORDER BY id") == [(1, "a2"), (2, "b"), (3, "n"), (5, "m")]
        assert rows(there, "SELECT code FROM p ORDER BY code") == [("a2",), ("b",), ("m",), ("n",)]
    db.run("DELETE FROM c WHERE id = 3; DELETE FROM p WHERE code = 'n'")
    query(work, "INSERT INTO c VALUES (6, 'n', 1)")
    assert db.row("SELECT result, violations FROM pggit.merge(%s, 'main')", branch) == ("refused", 1)
