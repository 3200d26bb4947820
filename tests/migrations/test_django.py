"""Django, unchanged, on the connection of a branch."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database

from .tools import contents, django, dump, owned, shape

pytestmark = pytest.mark.each_version

FIRST = ("migrate auth", "migrate shop 0002")


@pytest.fixture
def shop(db: Database) -> Database:
    """Main after the second migration, with rows, and a branch of it."""
    django(owned(db), "main", *FIRST)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    return db


def seen(db: Database, schema: str) -> tuple[object, object]:
    """The tables and all rows, but for those that say when a migration ran."""
    rows = contents(db, schema)
    del rows["django_migrations"]
    return shape(db, schema), rows


def test_migrations_go_up_and_down(shop: Database, empty_db: Database) -> None:
    main, before = dump(shop), contents(shop, "public")
    django(owned(empty_db), "main", *FIRST)
    assert seen(shop, "public@dev") == seen(empty_db, "public")
    assert django(shop, "dev", "inspectdb") == django(shop, "main", "inspectdb")

    migrated = django(shop, "dev", "migrate", "migrate --check", "makemigrations --check --dry-run", "inspectdb")
    assert migrated == django(
        empty_db, "main", "migrate", "migrate --check", "makemigrations --check --dry-run", "inspectdb"
    )
    assert "No changes detected" in migrated
    assert seen(shop, "public@dev") == seen(empty_db, "public")
    shop.run("SELECT pggit.checkout('dev'); SELECT pggit.commit('migrated'); SELECT pggit.checkout('main')")

    assert django(shop, "dev", "migrate shop 0003") == django(empty_db, "main", "migrate shop 0003")
    assert seen(shop, "public@dev") == seen(empty_db, "public")
    assert (dump(shop), contents(shop, "public")) == (main, before)
    assert shop.rows("SELECT * FROM pggit.verify()") == []
