"""Deleting, renaming and protecting branches: nothing of value goes by accident."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

from .schema import FORMS, branch, rows, shop, value


@pytest.mark.parametrize("form", FORMS)
def test_delete(db: Database, form: str) -> None:
    work = shop(db, form)
    assert db.value("SELECT pggit.delete_branch('nowhere')") is False
    with raises("VG202"):
        db.run("SELECT pggit.delete_branch('main')")
    with raises("VG308", "checked out by this session"):
        query(work, "SELECT pggit.delete_branch('work')")
    query(work, "DELETE FROM orders WHERE id = 1")
    with raises("VG311", "changes that are not committed"):
        db.run("SELECT pggit.delete_branch('work')")
    commit = value(work, "SELECT pggit.commit('gone')")
    with raises("VG311", "1 commit that no other branch or tag has"):
        db.run("SELECT pggit.delete_branch('work')")
    db.run("SELECT pggit.tag('kept', 'work')")
    assert db.value("SELECT pggit.delete_branch('work')") is True
    assert db.value("SELECT to_regnamespace('\"public@work\"') IS NULL") is True
    assert db.rows("SELECT name FROM pggit.list_branches()") == [("main",)]

    branch(db, "work", "kept", form)
    assert db.value('SELECT count(*) FROM "public@work".orders') == 199
    assert db.row("SELECT head, parent FROM pggit.list_branches() WHERE name = 'work'")[0] == commit
    db.run('DELETE FROM "public@work".orders')
    assert db.value("SELECT pggit.delete_branch('work', true)") is True
    assert db.value("SELECT count(*) FROM orders") == 200


def test_protection(db: Database) -> None:
    shop(db)
    db.run("SELECT pggit.protect_branch('work')")
    assert db.value("SELECT is_protected FROM pggit.list_branches() WHERE name = 'work'") is True
    for sql in ("SELECT pggit.delete_branch('work', true)", "SELECT pggit.rename_branch('work', 'other')"):
        with raises("VG301", "is protected"):
            db.run(sql)
    db.run("SELECT pggit.unprotect_branch('work')")
    db.run("SELECT pggit.delete_branch('work', true)")
    with raises("VG001"):
        db.run("SELECT pggit.protect_branch('work')")


@pytest.mark.parametrize("form", FORMS)
def test_rename(db: Database, form: str) -> None:
    work = shop(db, form)
    query(work, "DELETE FROM orders WHERE id = 1")
    with raises("VG101"):
        query(work, "SELECT pggit.rename_branch('work', 'main')")
    with raises("VG201"):
        query(work, "SELECT pggit.rename_branch('work', 'a b')")
    query(work, "SELECT pggit.rename_branch('work', 'feature/new')")
    assert rows(work, "SHOW search_path") == [('"$user", "public@feature/new", public',)]
    query(work, "DELETE FROM orders WHERE id = 2")
    assert value(work, "SELECT count(*) FROM orders") == 198
    assert rows(work, "SELECT * FROM pggit.status()") == [("public.orders", 0, 0, 2)]
    branch(db, "work", form=form)


def test_objects_of_others_are_never_dropped(db: Database) -> None:
    shop(db)
    db.run('CREATE VIEW big_orders AS SELECT * FROM "public@work".orders WHERE amount > 100')
    with raises("VG308", r"view (public\.)?big_orders"):
        db.run("SELECT pggit.delete_branch('work', true)")
    with raises("VG308", r"view (public\.)?big_orders"):
        db.run("SELECT pggit.materialize('work', 'orders')")
    db.run('DROP VIEW big_orders; CREATE TABLE "public@work".mine (id integer)')
    with raises("VG308", 'table "public@work".mine'):
        db.run("SELECT pggit.delete_branch('work', true)")
    db.run('DROP TABLE "public@work".mine')
    assert db.value("SELECT pggit.delete_branch('work', true)") is True


def test_a_branch_in_use_says_by_whom(db: Database) -> None:
    shop(db)
    user = db.connect(branch="work", autocommit=False)
    query(user, "SELECT count(*) FROM orders")
    db.run("SET pggit.lock_timeout = '200ms'")
    with raises("VG401", f"in use by process {user.info.backend_pid}"):
        db.run("SELECT pggit.delete_branch('work', true)")
    assert db.value("SHOW lock_timeout") == "0"
    user.rollback()
    assert db.value("SELECT pggit.delete_branch('work', true)") is True
