"""A table that came under version control after a commit is not in that commit, also within one transaction."""

from __future__ import annotations

from fixtures.postgres import Database, raises


def test_it_was_not_there_yet(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('zero');
    """)
    db.run("""
        BEGIN;
        INSERT INTO t VALUES (1);
        SELECT pggit.commit('first');
        CREATE TABLE n (id integer PRIMARY KEY);
        COMMIT;
    """)
    first = db.value("SELECT pggit.resolve_ref('HEAD')")
    db.run("INSERT INTO n VALUES (1)")
    with raises("VG005"):
        db.rows("SELECT * FROM pggit.as_of(NULL::n, %s)", first)


def test_a_commit_says_that_the_table_came(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('zero');
    """)
    db.run("""
        BEGIN;
        INSERT INTO t VALUES (1);
        SELECT pggit.commit('first');
        CREATE TABLE n (id integer PRIMARY KEY);
        COMMIT;
    """)
    db.run("SELECT pggit.commit('n comes', p_allow_empty => true)")
    assert "public.n" in db.value("SELECT content FROM pggit.commits WHERE message = 'n comes'")
