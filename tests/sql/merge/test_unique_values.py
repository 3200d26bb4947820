"""Unique values that change hands: only the merged state counts, whoever merges, however the index is made."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query

SETUP = """
    CREATE TABLE t (
        id integer PRIMARY KEY, code text, live boolean DEFAULT true, a integer, n integer, v text,
        late integer UNIQUE DEFERRABLE INITIALLY DEFERRED, CONSTRAINT no_two UNIQUE NULLS NOT DISTINCT (n, a)
    );
    CREATE UNIQUE INDEX live_code ON t (lower(code)) WHERE live;
    CREATE TABLE child (id integer PRIMARY KEY, t integer REFERENCES t ON DELETE CASCADE);
    INSERT INTO t SELECT n, chr(96 + n), n < 4, n, n, 'v', n FROM generate_series(1, 5) AS n;
    INSERT INTO child VALUES (1, 1), (2, 2), (3, 3);
    CREATE TABLE seen (id serial PRIMARY KEY, what text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.seen (what) VALUES (TG_OP); RETURN coalesce(NEW, OLD); END $$;
    SELECT pggit.track_schema('public', p_exclude => '{seen}');
    SELECT pggit.commit('base');
"""
NOTE = "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note()"
ROUND = """
    UPDATE t SET code = '~' || code, late = late + 100, n = n + 100 WHERE id <= 3;
    UPDATE t SET code = chr(97 + id % 3), late = 1 + id % 3, n = 1 + id % 3, a = 1 + id % 3 WHERE id <= 3;
"""


@pytest.fixture(params=["postgres", "plain"])
def owner(request: pytest.FixtureRequest, db: Database) -> Connection:
    if request.param == "plain":
        session: Connection = request.getfixturevalue("plain_owner")
        return session
    return db.conn


def shown(session: Connection) -> list[tuple[Any, ...]]:
    return query(session, "SELECT id, code, late, n, a, v FROM t ORDER BY id").fetchall()


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
def test_three_rows_pass_their_values_round(db: Database, owner: Connection, target: str, materialize: str) -> None:
    """No trigger, no foreign key and no child notices how the rows are written."""
    user = owner.info.user
    query(owner, SETUP)
    query(owner, NOTE)
    query(owner, f"SELECT pggit.create_branch('side', p_materialize => '{materialize}')")
    there = {"main": db.connect(user=user), "side": db.connect(user=user, branch="side")}
    source = "side" if target == "main" else "main"
    query(there[source], ROUND)
    query(there[target], "UPDATE t SET v = 'mine'")
    query(owner, "DELETE FROM seen")
    result, detail = query(owner, "SELECT result, detail FROM pggit.merge(%s, %s)", source, target).fetchall()[0]
    assert result == "merged", detail
    rows = [(1, "b", 2, 2, 2, "mine"), (2, "c", 3, 3, 3, "mine"), (3, "a", 1, 1, 1, "mine")]
    assert shown(there[target])[:3] == rows
    assert query(there[target], "SELECT id, t FROM child ORDER BY id").fetchall() == [(1, 1), (2, 2), (3, 3)]
    assert query(owner, "TABLE seen").fetchall() == []
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []
    with pytest.raises(Exception, match="live_code"):
        query(there[target], "UPDATE t SET code = 'A' WHERE id = 1")
