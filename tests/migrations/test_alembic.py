"""Alembic, unchanged, on the connection of a branch."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

from .tools import alembic, contents, dump, owned, shape

ROWS = """
    INSERT INTO authors (name, born) VALUES ('Ada', 1815), ('Blaise', 1623);
    INSERT INTO books (author_id, title, price, shelf) VALUES (1, 'Notes', 5, 'A'), (2, 'Thoughts', 12, NULL);
    INSERT INTO tags (word) VALUES ('old');
    INSERT INTO book_tags VALUES (1, 1), (2, 1);
"""


@pytest.fixture(params=["a superuser", "a plain owner"])
def library(db: Database, request: pytest.FixtureRequest) -> Database:
    """Main after the second migration, with rows, and a branch of it; pggit was installed by one or the other."""
    core = request.getfixturevalue("plain_owner") if request.param == "a plain owner" else db.conn
    alembic(owned(db), "main", "upgrade", "0002")
    query(core, ROWS + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")
    query(core, "SELECT pggit.create_branch('dev', p_materialize => 'all')")
    return db


@pytest.fixture
def elsewhere(empty_db: Database) -> Database:
    """The same without pggit."""
    alembic(owned(empty_db), "main", "upgrade", "0002")
    empty_db.run(ROWS)
    return empty_db


def test_migrations_go_up_and_down(library: Database, elsewhere: Database) -> None:
    main, rows = dump(library), contents(library, "public")
    began = shape(library, "public@dev"), contents(library, "public@dev")
    assert began == (shape(elsewhere, "public"), contents(elsewhere, "public"))

    alembic(library, "dev", "upgrade", "head")
    alembic(elsewhere, "main", "upgrade", "head")
    assert shape(library, "public@dev") == shape(elsewhere, "public")
    assert contents(library, "public@dev") == contents(elsewhere, "public")
    assert "No new upgrade operations detected" in alembic(library, "dev", "check")
    library.run("SELECT pggit.checkout('dev'); SELECT pggit.commit('migrated'); SELECT pggit.checkout('main')")

    alembic(library, "dev", "downgrade", "0002")
    assert (shape(library, "public@dev"), contents(library, "public@dev")) == began
    assert (dump(library), contents(library, "public")) == (main, rows)
    assert library.rows("SELECT * FROM pggit.verify()") == []


def test_a_new_branch_has_nothing_to_migrate(db: Database) -> None:
    alembic(owned(db), "main", "upgrade", "head")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    assert "No new upgrade operations detected" in alembic(db, "dev", "check")
