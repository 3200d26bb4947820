"""What docs/guide/roles.md says of a core without event triggers, installed by a plain owner."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Database, raises


@pytest.fixture
def unnoticed(db: Database) -> Database:
    db.run("DROP EVENT TRIGGER pggit_ddl_end; DROP EVENT TRIGGER pggit_drop")
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    return db


@pytest.mark.parametrize(
    "happens",
    [
        "CREATE TABLE other (id integer PRIMARY KEY); INSERT INTO other VALUES (1)",
        "ALTER TABLE t ADD COLUMN w text; UPDATE t SET w = 'new'",
    ],
)
def test_new_tables_and_columns_are_in_no_history(unnoticed: Database, happens: str) -> None:
    unnoticed.run(happens)
    assert unnoticed.rows("SELECT inserted, updated FROM pggit.status()") == []


@pytest.mark.parametrize("happens", ["ALTER TABLE t RENAME COLUMN v TO w", "ALTER TABLE t DROP COLUMN v"])
def test_after_a_rename_or_a_drop_updates_fail(unnoticed: Database, happens: str) -> None:
    unnoticed.run(happens)
    with raises("42703"):
        unnoticed.run("UPDATE t SET id = 2")


def test_after_a_table_is_dropped_its_history_can_not_be_read(unnoticed: Database) -> None:
    unnoticed.run("INSERT INTO t VALUES (2, 'b')")
    unnoticed.run("DROP TABLE t")
    with pytest.raises(psycopg.Error):
        unnoticed.run("SELECT * FROM pggit.status()")
