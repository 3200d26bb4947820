"""A folder of numbered SQL files, run by psql on the connection of a branch."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database

from .tools import contents, dump, owned, psql, shape, statements

pytestmark = pytest.mark.each_version

FIRST, LATER = ("V1__accounts.sql",), ("V2__constraints.sql", "V3__amounts.sql", "V4__contacts.sql")


@pytest.mark.parametrize("form", ["all", "none"])
def test_files_are_run(db: Database, empty_db: Database, form: str) -> None:
    for site in (db, empty_db):
        psql(owned(site), "main", *FIRST)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    main, before = dump(db), contents(db, "public")

    psql(db, "dev", *LATER)
    psql(empty_db, "main", *LATER)
    assert shape(db, "public@dev") == shape(empty_db, "public")
    assert contents(db, "public@dev") == contents(empty_db, "public")
    assert (dump(db), contents(db, "public")) == (main, before)
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", ["all", "none"])
def test_main_is_in_the_end_as_if_they_had_run_there(db: Database, empty_db: Database, form: str) -> None:
    for site in (db, empty_db):
        psql(owned(site), "main", *FIRST)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    psql(db, "dev", *LATER)
    result, detail = db.row("SELECT result, detail FROM pggit.merge('dev', 'main')")
    assert result == "fast_forward", detail

    psql(empty_db, "main", *LATER)
    main, twin = statements(db), statements(empty_db)
    assert [one for one in main if one not in twin] == []
    assert main == twin
    assert contents(db, "public") == contents(empty_db, "public")
    assert db.rows("SELECT * FROM pggit.verify()") == []
