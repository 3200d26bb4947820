"""A branch's login sees its branch and nothing else, on every supported PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.postgres import Connection, Database, raises

UNINSTALL = Path(__file__).resolve().parents[3] / "sql" / "uninstall.sql"
VERIFIER = (
    "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
    "eFkDWGPBTmdPZoGwhKDDwWSZNeMyVYoIcDSVKnnxHBI=:zgyRNxTmDdnmAb8nsTgDH5ZYKTgYDiYsXY0hlzwyl6E="
)
TABLES = "CREATE TABLE items (id serial PRIMARY KEY, name text); INSERT INTO items (name) VALUES ('a'), ('b');"

pytestmark = pytest.mark.pg(15, 16, 17, 18)


def prepared(db: Database, materialize: str = "none", name: str = "fix") -> str:
    """A tracked table, a branch, its login; the login's name."""
    db.begin(TABLES + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch(%s, p_materialize => %s)", name, materialize)
    assert db.value("SELECT pggit.ensure_branch_login(%s, %s, 'one')", name, VERIFIER) is True
    return str(db.value("SELECT role_name FROM pggit.branch_login(%s)", name))


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_it_reads_and_writes_its_branch_only(db: Database, materialize: str) -> None:
    role = prepared(db, materialize)
    there = db.connect(user=role)

    assert there.execute("SELECT name FROM items ORDER BY id").fetchall() == [("a",), ("b",)]
    there.execute("INSERT INTO items (name) VALUES ('c')")
    there.execute("UPDATE items SET name = 'A' WHERE id = 1")
    there.execute("DELETE FROM items WHERE id = 2")

    assert there.execute("SELECT id, name FROM items ORDER BY id").fetchall() == [(1, "A"), (3, "c")]
    assert db.rows("SELECT id, name FROM public.items ORDER BY id") == [(1, "a"), (2, "b")]
    for forbidden in ("SELECT FROM public.items", "SELECT FROM pggit.branches", "SELECT pggit.list_branches()"):
        with raises("42501"):
            there.execute(forbidden.encode())


def test_calling_again_changes_nothing_and_another_password_changes_the_password(db: Database) -> None:
    prepared(db)

    assert db.value("SELECT pggit.ensure_branch_login('fix', %s, 'one')", VERIFIER) is False
    assert db.value("SELECT pggit.ensure_branch_login('fix', %s, 'two')", VERIFIER) is True


def test_it_is_switched_off_and_on_again(db: Database) -> None:
    role = prepared(db)
    db.connect(user=role)

    assert db.value("SELECT pggit.disable_branch_login('fix')") is True
    assert db.value("SELECT pggit.disable_branch_login('fix')") is False
    assert db.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", role) is False

    assert db.value("SELECT pggit.ensure_branch_login('fix', %s, 'one')", VERIFIER) is True
    assert db.connect(user=role).execute("SELECT count(*) FROM items").fetchone() == (2,)


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_it_goes_with_its_branch(db: Database, materialize: str) -> None:
    role = prepared(db, materialize)
    owner = '{"installation": "i", "namespace": "n", "name": "x", "uid": "u"}'
    db.run("SELECT pggit.claim_branch('fix', %s)", owner)

    assert db.value("SELECT pggit.discard_branch('fix', %s)", owner.replace('"x"', '"y"')) is False
    assert db.value("SELECT pggit.discard_branch('fix', %s)", owner) is True
    assert db.value("SELECT pggit.discard_branch('fix', %s)", owner) is False

    assert db.rows("SELECT FROM pg_roles WHERE rolname = %s", role) == []
    assert db.rows("SELECT name FROM pggit.list_branches()") == [("main",)]


def test_a_login_that_can_only_read(db: Database) -> None:
    role = prepared(db)
    db.run("SELECT pggit.ensure_branch_login('fix', %s, 'one', false)", VERIFIER)
    there = db.connect(user=role)

    assert there.execute("SELECT count(*) FROM items").fetchone() == (2,)
    with raises("42501"):
        there.execute("DELETE FROM items")


@pytest.mark.parametrize("name", ["feature/" + "ü" * 90, 'we"ird;DROP', "x" * 190])
def test_odd_names_of_branches(db: Database, name: str) -> None:
    role = prepared(db, name=name)

    assert len(role.encode()) <= 63
    assert db.connect(user=role).execute("SELECT count(*) FROM items").fetchone() == (2,)


def test_a_copy_of_the_database_has_roles_of_its_own(db: Database) -> None:
    role = prepared(db)
    number = db.value("SELECT oid FROM pg_database WHERE datname = current_database()")

    assert f"_{number}_" in role


def test_what_makes_no_sense(conn: Connection) -> None:
    with raises("VG202", "is the live tables themselves"):
        conn.execute("SELECT pggit.ensure_branch_login('main', 'SCRAM-SHA-256$x', 'one')")


def test_a_password_in_clear_is_refused(db: Database) -> None:
    prepared(db)

    with raises("VG202", "needs a SCRAM verifier"):
        db.run("SELECT pggit.ensure_branch_login('fix', 'secret', 'one')")


def test_an_open_table_is_a_way_to_main(db: Database) -> None:
    prepared(db)
    db.run("GRANT UPDATE (name) ON items TO PUBLIC")

    with raises("VG305", "everybody has rights on items"):
        db.run("SELECT pggit.ensure_branch_login('fix', %s, 'one')", VERIFIER)


def test_uninstalling_takes_the_logins_along(db: Database) -> None:
    role = prepared(db, "all")

    db.psql("-f", str(UNINSTALL))

    assert db.rows("SELECT FROM pg_roles WHERE rolname = %s", role) == []
    assert db.rows("SELECT name FROM items ORDER BY id") == [("a",), ("b",)]
