"""Deleting, renaming and protecting branches: nothing of value goes by accident."""

from __future__ import annotations

import threading

import psycopg
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
    query(work, "SELECT pggit.checkout('main')")
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
    shop(db).close()
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
    work = shop(db)
    work.close()
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
    shop(db).close()
    user = db.connect(autocommit=False)
    query(user, 'SELECT count(*) FROM "public@work".orders')
    db.run("SET pggit.lock_timeout = '200ms'")
    with raises("VG401", f"in use by process {user.info.backend_pid}"):
        db.run("SELECT pggit.delete_branch('work', true)")
    assert db.value("SHOW lock_timeout") == "0"
    user.rollback()
    assert db.value("SELECT pggit.delete_branch('work', true)") is True


@pytest.mark.parametrize("form", FORMS)
def test_a_branch_that_others_have_checked_out_stays_as_it_is(db: Database, form: str) -> None:
    """Else the path of their session would name a schema that is gone, and they would read main."""
    users = [shop(db, form), db.connect(branch="work", autocommit=False)]
    users[1].rollback()
    branch(db, "other")
    query(db.connect(branch="other"), "SELECT")
    query(users[0], "SELECT pggit.checkout('work')")
    db.run("SET pggit.lock_timeout = '100ms'")
    pids = sorted(user.info.backend_pid for user in users)
    for sql, what in [("delete_branch('work', true)", "deleted"), ("rename_branch('work', 'new')", "renamed")]:
        held = rf"'work' can't be {what}: it is checked out by process {pids[0]} .*, process {pids[1]} "
        with raises("VG401", held):
            db.run(f"SELECT pggit.{sql}")
    assert db.value("SHOW lock_timeout") == "0"

    query(users[0], "SELECT pggit.checkout('main')")
    with raises("VG401", f"by process {users[1].info.backend_pid} "):
        query(db.conn, "SELECT pggit.rename_branch('work', 'new')")
    query(users[1], "SELECT pggit.rename_branch('work', 'new')")
    users[1].commit()
    with raises("VG001"):
        query(users[1], "SELECT pggit.checkout('work')")
    users[1].rollback()
    assert value(users[1], "SELECT count(*) FROM orders") == 200
    query(users[1], "SELECT pggit.checkout('other')")
    users[1].commit()
    query(db.conn, "SELECT pggit.rename_branch('new', 'newer')")
    assert db.value("SELECT pggit.delete_branch('newer', true)") is True


def test_who_checks_a_branch_out_waits_for_its_deletion(db: Database) -> None:
    shop(db).close()
    branch(db, "other")
    deleter = db.connect(autocommit=False)
    query(deleter, "SELECT pggit.delete_branch('work', true)")
    user = db.connect(branch="other")
    ended: list[str | None] = []

    def run() -> None:
        try:
            query(user, "SELECT pggit.checkout('work')")
            ended.append(None)
        except psycopg.Error as error:
            ended.append(error.sqlstate)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(0.3)
    assert ended == []
    deleter.commit()
    thread.join(20)
    assert ended == ["VG001"]
    assert value(user, "SELECT pggit.current_branch()") == "other"
    db.run("SET pggit.lock_timeout = '100ms'")
    with raises("VG401", "checked out by process"):
        db.run("SELECT pggit.delete_branch('other', true)")


@pytest.mark.parametrize("what", ["SELECT pggit.reset('work', 'HEAD')", "SELECT pggit.stash(NULL, 'work')"])
def test_a_reset_or_a_stash_does_not_count_as_keeping_commits(db: Database, what: str) -> None:
    work = shop(db)
    query(work, "DELETE FROM orders WHERE id = 1")
    query(work, "SELECT pggit.commit('work')")
    query(work, "DELETE FROM orders WHERE id = 2")
    query(work, what)
    with raises("VG311", "1 commit that no other branch or tag has"):
        db.run("SELECT pggit.delete_branch('work')")


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("p_force", [True, False])
def test_what_a_writer_commits_while_a_branch_is_being_deleted_counts(
    small: Database, materialize: str, p_force: bool
) -> None:
    """Without force the branch stays; with it the history ends with what was there."""
    small.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)", materialize)
    writer, deleter = small.connect(autocommit=False), small.connect()
    query(writer, """UPDATE "public@dev".t SET a = 'late'""")
    ended: list[str] = []

    def delete() -> None:
        try:
            query(deleter, "SELECT pggit.delete_branch('dev', %s)", p_force)
            ended.append("deleted")
        except psycopg.Error as error:
            ended.append(str(error.sqlstate))

    thread = threading.Thread(target=delete)
    thread.start()
    thread.join(0.5)
    assert ended == []
    writer.commit()
    thread.join(20)

    assert ended == (["deleted"] if p_force else ["VG311"])
    if not p_force:
        assert small.rows('SELECT a FROM "public@dev".t') == [("late",)]
    assert small.rows("SELECT * FROM pggit.verify()") == []
