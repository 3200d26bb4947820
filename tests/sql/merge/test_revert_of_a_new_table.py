"""Reverting the commit in which a table and its rows came."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database


@pytest.fixture
def repo(db: Database) -> Database:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'a');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none');
    """)
    return db


def test_the_rows_go_or_it_is_refused(repo: Database) -> None:
    """Reverting the commit in which a table came, rows and all, does not say merged and leave the rows."""
    repo.run("CREATE TABLE n (id integer PRIMARY KEY)")
    if not repo.value("SELECT count(*) FROM pggit.tables WHERE table_name = 'n'"):
        repo.run("SELECT pggit.track_table('n')")
    repo.run("INSERT INTO n VALUES (1)")
    repo.run("UPDATE t SET a = 'x' WHERE id = 1")
    repo.run("SELECT pggit.commit('n comes')")
    result = repo.value("SELECT (pggit.revert('HEAD')).result")
    assert result == "refused" or repo.rows("SELECT * FROM n") == []
