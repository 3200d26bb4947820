"""A merge has to see what others committed; on an old snapshot it would break or lose their rows, so it is refused."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


@pytest.fixture
def repo(db: Database) -> Database:
    db.begin("CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p)")
    db.run("INSERT INTO p VALUES (5)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "DELETE FROM p WHERE id = 5")
    return db


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_merge_on_an_old_snapshot_is_refused(repo: Database, level: str) -> None:
    session = repo.connect(autocommit=False)
    query(session, f"SET TRANSACTION ISOLATION LEVEL {level}")
    query(session, "SELECT count(*) FROM p")
    repo.run("INSERT INTO c VALUES (1, 5)")

    with raises("VG401", f"a merge needs READ COMMITTED, and this transaction is {level}"):
        query(session, "SELECT pggit.merge('dev', 'main')")
    session.rollback()
    assert repo.rows("SELECT c.* FROM c LEFT JOIN p ON p.id = c.p WHERE p.id IS NULL") == []
    assert repo.value("SELECT (pggit.merge('dev', 'main')).result") == "refused", (
        "the row that came meanwhile refers to 5"
    )


def test_a_plan_may_be_continued_in_read_committed_only(repo: Database) -> None:
    session = repo.connect(autocommit=False)
    query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    planned = query(session, "SELECT merge_id, result FROM pggit.plan_merge('dev', 'main')").fetchone()
    assert planned is not None
    assert planned[1] == "planned"
    session.commit()
    query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    with raises("VG401"):
        query(session, "SELECT pggit.continue_merge(%s)", planned[0])
    session.rollback()
    assert repo.value("SELECT (pggit.continue_merge(%s)).result", planned[0]) == "fast_forward"


def test_what_copies_rows_is_refused_too(repo: Database) -> None:
    session = repo.connect(autocommit=False)
    for sql in (
        "SELECT pggit.materialize('dev', 'p')",
        "SELECT pggit.delete_branch('dev', true)",
        "SELECT pggit.stash()",
    ):
        query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with raises("VG401", "needs READ COMMITTED"):
            query(session, sql)
        session.rollback()
    assert repo.rows("SELECT name FROM pggit.list_branches() ORDER BY 1") == [("dev",), ("main",)]


def test_who_has_read_a_branch_keeps_merges_out_of_it(repo: Database) -> None:
    repo.run("INSERT INTO p VALUES (6); INSERT INTO c VALUES (1, 6); SET lock_timeout = '50ms'")
    session = repo.connect(branch="dev", autocommit=False)
    query(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert query(session, "SELECT * FROM c").fetchall() == []
    with raises("VG401"):
        repo.run("SELECT pggit.merge('main', 'dev')")
    assert query(session, "SELECT * FROM p").fetchall() == []
    session.rollback()
    assert repo.value("SELECT (pggit.merge('main', 'dev')).result") == "merged"
    assert query(session, "SELECT * FROM p").fetchall() == [(6,)]
