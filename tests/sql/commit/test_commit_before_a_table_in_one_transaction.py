"""A table that came under version control after a commit is not in that commit, also within one transaction."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, raises


@pytest.fixture
def repo(small: Database) -> Database:
    small.run("""
        BEGIN;
        INSERT INTO t VALUES (2, 'b');
        SELECT pggit.commit('second');
        CREATE TABLE n (id integer PRIMARY KEY);
        COMMIT;
    """)
    return small


def test_it_was_not_there_yet(repo: Database) -> None:
    second = repo.value("SELECT pggit.resolve_ref('HEAD')")
    repo.run("INSERT INTO n VALUES (1)")
    with raises("VG005"):
        repo.rows("SELECT * FROM pggit.as_of(NULL::n, %s)", second)


def test_a_commit_says_that_the_table_came(repo: Database) -> None:
    repo.run("SELECT pggit.commit('n comes', p_allow_empty => true)")
    assert "public.n" in repo.value("SELECT content FROM pggit.commits WHERE message = 'n comes'")
