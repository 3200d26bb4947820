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


SPARES = {
    # Two rows of a list change places; a spare place is above all, and no list.
    "integer CHECK (u > 0)": ("1", "2", "3"),
    "integer CHECK (u < 100)": ("98", "99", "1"),
    "date": ("'2024-01-01'", "'2024-01-02'", "'2024-01-03'"),
    "timestamptz": ("'2024-01-01'", "'infinity'", "'2024-01-03'"),
    "double precision": ("1", "2", "3"),
    "bytea": ("'a'", "'b'", "'c'"),
    "character(36)": ("'a'", "'b'", "'c'"),
    "places": ("1", "2", "3"),
}


def listed(plain: Connection, kind: str, values: tuple[str, str, str]) -> Connection:
    """Two rows that comments refer to; a branch of real tables swaps their unique values, main writes both rows."""
    one, two, free = values
    query(plain, "CREATE DOMAIN places AS integer CHECK (VALUE > 0); CREATE TYPE mood AS ENUM ('a', 'b', 'c')")
    query(
        plain,
        f"""
        CREATE TABLE list (id integer PRIMARY KEY);
        CREATE TABLE item (
            id integer PRIMARY KEY, list integer NOT NULL REFERENCES list, u {kind} NOT NULL, v text, UNIQUE (list, u)
        );
        CREATE TABLE remark (id integer PRIMARY KEY, item integer REFERENCES item ON DELETE CASCADE);
        INSERT INTO list VALUES (1);
        INSERT INTO item VALUES (1, 1, {one}, 'v'), (2, 1, {two}, 'v');
        INSERT INTO remark VALUES (1, 1), (2, 2);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
        SELECT pggit.create_branch('side', p_materialize => 'all');
        UPDATE item SET u = {free} WHERE id = 1;
        UPDATE item SET u = {one} WHERE id = 2;
        UPDATE item SET u = {two} WHERE id = 1;
        """,
    )
    return plain


@pytest.mark.parametrize("kind", SPARES)
def test_rows_that_others_refer_to_swap_values(db: Database, plain_owner: Connection, kind: str) -> None:
    """Where foreign keys fire, and no such column may be NULL."""
    query(listed(plain_owner, kind, SPARES[kind]), "SELECT pggit.commit('swapped')")
    side = db.connect(user="plain", branch="side")
    query(side, "UPDATE item SET v = 'mine'")
    result, detail = query(plain_owner, "SELECT result, detail FROM pggit.merge('main', 'side')").fetchall()[0]
    assert result == "merged", detail
    swapped = query(plain_owner, "SELECT id, list, u::text FROM item ORDER BY id").fetchall()
    assert query(side, "SELECT id, list, u::text FROM item ORDER BY id").fetchall() == swapped
    assert query(side, "SELECT id, item FROM remark ORDER BY id").fetchall() == [(1, 1), (2, 2)]


@pytest.mark.parametrize("key", ["id", "id, list"])
@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "all")])
def test_rows_that_come_in_the_merge_refer_to_rows_that_swap(
    db: Database, plain_owner: Connection, target: str, materialize: str, key: str
) -> None:
    """They would go with the parent, if that were deleted and inserted again."""
    query(
        plain_owner,
        f"""
        CREATE TABLE item (id integer, list integer, place integer NOT NULL UNIQUE, PRIMARY KEY ({key}));
        CREATE TABLE remark (
            no integer PRIMARY KEY, id integer, list integer, FOREIGN KEY ({key}) REFERENCES item ON DELETE CASCADE
        );
        INSERT INTO item VALUES (1, 1, 10), (2, 1, 20), (3, 1, 30);
        INSERT INTO remark VALUES (1, 3, 1);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
        SELECT pggit.create_branch('side', p_materialize => '{materialize}');
        """,
    )
    there = {"main": plain_owner, "side": db.connect(user="plain", branch="side")}
    source = "side" if target == "main" else "main"
    swap = "UPDATE item SET place = {} WHERE id = {}"
    query(there[source], ";".join(swap.format(*one) for one in ((99, 1), (10, 2), (20, 1))))
    query(there[source], "INSERT INTO remark VALUES (7, 1, 1), (8, 2, 1)")
    query(there[target], "INSERT INTO remark VALUES (9, 3, 1)")
    result, detail = query(plain_owner, "SELECT result, detail FROM pggit.merge(%s, %s)", source, target).fetchall()[0]
    assert result == "merged", detail
    assert query(there[target], "SELECT id, place FROM item ORDER BY id").fetchall() == [(1, 20), (2, 10), (3, 30)]
    assert query(there[target], "SELECT no, id FROM remark ORDER BY no").fetchall() == [(1, 3), (7, 1), (8, 2), (9, 3)]
    assert query(plain_owner, "SELECT * FROM pggit.verify()").fetchall() == []


def test_a_swap_without_a_spare_value_is_refused_and_says_why(db: Database, plain_owner: Connection) -> None:
    query(listed(plain_owner, "mood", ("'a'", "'b'", "'c'")), "SELECT pggit.commit('swapped')")
    side = db.connect(user="plain", branch="side")
    query(side, "UPDATE item SET v = 'mine'")
    merge = "SELECT result, detail ->> 'reason' FROM pggit.merge('main', 'side')"
    result, reason = query(plain_owner, merge).fetchall()[0]
    assert result == "refused"
    assert reason.startswith("unique values change hands between rows that others refer to")
    assert query(side, "SELECT id, u, v FROM item ORDER BY id").fetchall() == [(1, "a", "mine"), (2, "b", "mine")]
    assert query(db.conn, "SELECT result FROM pggit.merge('main', 'side')").fetchall() == [("merged",)], "a superuser"
    assert query(side, "SELECT id, u, v FROM item ORDER BY id").fetchall() == [(1, "b", "mine"), (2, "a", "mine")]


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
def test_a_unique_generated_column_swaps_too(db: Database, target: str, materialize: str) -> None:
    """Stores do not hold it, so that views have no index for it."""
    db.run("""
        CREATE TABLE g (id integer PRIMARY KEY, a integer, v text, s integer GENERATED ALWAYS AS (a * 2) STORED UNIQUE);
        INSERT INTO g (id, a) VALUES (1, 1), (2, 2);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
    """)
    db.run(f"SELECT pggit.create_branch('side', p_materialize => '{materialize}')")
    there = {"main": db.conn, "side": db.connect(branch="side")}
    source = "side" if target == "main" else "main"
    for change in ("a = 9 WHERE id = 1", "a = 1 WHERE id = 2", "a = 2 WHERE id = 1"):
        query(there[source], f"UPDATE g SET {change}")
    query(there[target], "UPDATE g SET v = 'mine'")
    assert db.value("SELECT result FROM pggit.merge(%s, %s)", source, target) == "merged"
    rows = [(1, 2, "mine", 4), (2, 1, "mine", 2)]
    assert query(there[target], "SELECT id, a, v, s FROM g ORDER BY id").fetchall() == rows
