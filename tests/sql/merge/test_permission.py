"""Who may not write a table does not by a merge, either."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

#: All that pgGit itself needs, and reading the table.
RIGHTS = """
    GRANT USAGE ON SCHEMA pggit TO reader;
    GRANT ALL ON ALL TABLES IN SCHEMA pggit TO reader;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA pggit TO reader;
    GRANT SELECT ON t TO reader;
"""


@pytest.mark.parametrize("granted", ["", RIGHTS])
def test_a_merge_needs_the_rights_of_its_writes(small: Database, granted: str) -> None:
    small.run("DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    small.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(small.connect(branch="dev"), "INSERT INTO t VALUES (2, 'dev')")
    if granted:
        small.run(granted)
    session = small.connect(user="reader")
    with raises("42501"):
        query(session, "SELECT pggit.merge('dev', 'main')")
    assert small.rows("SELECT * FROM t") == [(1, "a")]
    assert small.rows("SELECT source FROM pggit.merges") == []
