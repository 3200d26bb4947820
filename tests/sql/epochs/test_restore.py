"""A database that was dumped and restored elsewhere shows the same history, and goes on from there."""

from __future__ import annotations

import pytest

from fixtures.dumps import How, go_on, make_history, no_problem, restore, seen
from fixtures.postgres import Database, Servers, query


@pytest.mark.parametrize(
    ("before", "after", "how"), [(15, 15, "plain"), (15, 18, "custom"), (18, 18, "directory")], ids=str
)
def test_all_is_there_and_goes_on(servers: Servers, elsewhere: Servers, before: int, after: int, how: How) -> None:
    """In another cluster, and then back in the first one's newer version: three epochs."""
    db = servers.create(before, template=servers.template(before))
    make_history(db)
    for word, cluster in [("again", elsewhere), ("back", servers)]:
        restored = cluster.create(after)
        then = seen(db)
        restore(db, restored, how)
        assert seen(restored) == then
        no_problem(restored)
        go_on(restored, word)
        db = restored
    assert db.value("SELECT last_value FROM pggit._epoch") == 3


def test_a_plain_owner_restores(db: Database, elsewhere: Servers) -> None:
    """Event triggers can't come along: capture notices DDL without them from the first commit on."""
    make_history(db)
    before = seen(db)
    restored = elsewhere.create(db.version)
    restored.run(f"""
        DO $$BEGIN IF to_regrole('shopkeeper') IS NULL THEN CREATE ROLE shopkeeper LOGIN; END IF; END$$;
        ALTER DATABASE "{restored.name}" OWNER TO shopkeeper; ALTER SCHEMA public OWNER TO shopkeeper""")
    said = restore(db, restored, "custom", "--no-owner", user="shopkeeper")
    assert {line for line in said.splitlines() if "error:" in line} == {
        f'pg_restore: error: could not execute query: ERROR:  permission denied to create event trigger "{name}"'
        for (name,) in db.rows("SELECT evtname FROM pg_event_trigger")
    }
    assert seen(restored) == before
    owner = restored.connect(user="shopkeeper")
    query(owner, "UPDATE orders SET note = 'mine' WHERE id = 3; SELECT pggit.commit('after the restore')")
    query(owner, "ALTER TABLE orders ADD added integer DEFAULT 7")
    query(owner, "UPDATE orders SET note = 'again', added = 8 WHERE id = 3")
    assert query(owner, "SELECT pggit.commit('after the change')").fetchone()
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []


def test_ddl_is_the_first_thing_that_happens(db: Database, elsewhere: Servers) -> None:
    """Columns have other attnums than the ones recorded, and what is renamed is still found."""
    db.run("""
        CREATE TABLE t (gone integer, id integer PRIMARY KEY, went integer, a text, b text);
        ALTER TABLE t DROP gone, DROP went;
        INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)
    restored = elsewhere.create(db.version)
    restore(db, restored)
    assert restored.rows("SELECT * FROM pggit.as_of(NULL::t, 'main') ORDER BY id") == [(1, "a1", "b1"), (2, "a2", "b2")]
    restored.run("ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME id TO k; ALTER TABLE t RENAME b TO a")
    restored.run("UPDATE t SET c = 'x' WHERE k = 2; SELECT pggit.commit('renamed')")
    assert restored.rows("SELECT k, c, a FROM pggit.as_of(NULL::t, 'main~1') ORDER BY k") == [
        (1, "a1", "b1"),
        (2, "a2", "b2"),
    ]
    assert restored.rows("SELECT old_row, new_row FROM pggit.diff_rows('t', 'main~1', 'main')") == [
        ({"k": 2, "c": "a2", "a": "b2"}, {"k": 2, "c": "x", "a": "b2"})
    ]
    no_problem(restored)
    elsewhere.drop(restored)
