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


def test_a_soft_reset_in_a_statement_moves_no_row_into_another_commit(small: Database) -> None:
    small.run("""
        CREATE TABLE kept (id text);
        CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE v text;
        BEGIN
            INSERT INTO t VALUES (3, 'of b');
            v := pggit.commit('b');
            INSERT INTO kept VALUES (v);
            PERFORM pggit.reset('main', 'HEAD~1', 'soft');
            RETURN 4;
        END $$;
        BEGIN;
        INSERT INTO t VALUES (2, 'of a');
        SELECT pggit.commit('a');
        INSERT INTO t SELECT f(), 'of the statement';
        COMMIT;
    """)
    b = small.value("SELECT id FROM kept")
    assert small.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY 1", b) == [(1,), (2,), (3,)]
