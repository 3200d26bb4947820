"""Alembic, unchanged, on the connection of a branch."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

from .tools import alembic, contents, dump, owned, shape

pytestmark = pytest.mark.each_version

ROWS = """
    INSERT INTO authors (name, born) VALUES ('Ada', 1815), ('Blaise', 1623);
    INSERT INTO books (author_id, title, price, shelf) VALUES (1, 'Notes', 5, 'A'), (2, 'Thoughts', 12, NULL);
    INSERT INTO tags (word) VALUES ('old');
    INSERT INTO book_tags VALUES (1, 1), (2, 1);
"""


def branched(db: Database, core: Connection) -> Database:
    """Main after the second migration, with rows, and a branch of it."""
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


def test_migrations_go_up_and_down(db: Database, elsewhere: Database) -> None:
    library = branched(db, db.conn)
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


def test_where_a_plain_owner_installed_pggit(db: Database, plain_owner: Connection) -> None:
    library = branched(db, plain_owner)
    main, rows = dump(library), contents(library, "public")
    alembic(library, "dev", "upgrade", "head")
    assert "No new upgrade operations detected" in alembic(library, "dev", "check")
    query(plain_owner, "SELECT pggit.checkout('dev'); SELECT pggit.commit('migrated'); SELECT pggit.checkout('main')")
    assert (dump(library), contents(library, "public")) == (main, rows)
    assert library.rows("SELECT * FROM pggit.verify()") == []
