"""A soft reset to a commit of the same transaction does not put rows of a running statement into another commit."""

from __future__ import annotations

from fixtures.postgres import Database


def test_the_commit_has_what_it_said(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        CREATE TABLE kept (id text);
        CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE v text;
        BEGIN
            INSERT INTO t VALUES (2, 'of b');
            v := pggit.commit('b');
            INSERT INTO kept VALUES (v);
            PERFORM pggit.reset('main', 'HEAD~1', 'soft');
            RETURN 3;
        END $$;
        BEGIN;
        INSERT INTO t VALUES (1, 'of a');
        SELECT pggit.commit('a');
        INSERT INTO t SELECT f(), 'of the statement';
        COMMIT;
    """)
    b = db.value("SELECT id FROM kept")
    assert db.rows("SELECT id FROM pggit.as_of(NULL::t, %s) ORDER BY 1", b) == [(1,), (2,)]
