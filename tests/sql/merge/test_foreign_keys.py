"""Foreign keys with every action, MATCH FULL too: the merged state decides, nothing is done a second time."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query

ACTIONS = {
    "no_action": "NO ACTION",
    "strict": "RESTRICT",
    "cascade": "CASCADE",
    "nulled": "SET NULL",
    "lost": "SET DEFAULT",
}
SIDES = [("main", "none"), ("side", "none"), ("side", "all")]
#: Which tables are real on the branch.
MIXED = [*SIDES, ("side", "public.parent"), ("side", ",".join(f"public.{table}" for table in ACTIONS))]
FAMILY = """
    CREATE TABLE parent (id integer PRIMARY KEY, v text);
    INSERT INTO parent SELECT n, 'goes' FROM generate_series(1, 5) AS n;
    INSERT INTO parent VALUES (8, 'stays'), (9, 'default');
""" + "".join(
    f"""
    CREATE TABLE {table} (
        id integer PRIMARY KEY, p integer DEFAULT 9 REFERENCES parent ON DELETE {action} ON UPDATE CASCADE, v text);
    INSERT INTO {table} VALUES (10, {n}, 'a'), (20, 8, 'b');"""
    for n, (table, action) in enumerate(ACTIONS.items(), 1)
)
TRACK = "SELECT pggit.track_schema('public'); SELECT pggit.commit('base')"


@pytest.fixture(params=["postgres", "plain"])
def owner(request: pytest.FixtureRequest, db: Database) -> Connection:
    """For whom no foreign key fires while a merge is written, and for whom they do."""
    if request.param == "plain":
        session: Connection = request.getfixturevalue("plain_owner")
        return session
    return db.conn


def parted(db: Database, owner: Connection, setup: str, target: str, form: str) -> tuple[Connection, Connection]:
    """Sessions of theirs and ours, after the setup."""
    query(owner, setup)
    query(owner, TRACK)
    query(owner, f"SELECT pggit.create_branch('side', p_materialize => '{form}')")
    user = owner.info.user
    there = {"main": db.connect(user=user), "side": db.connect(user=user, branch="side")}
    return there["side" if target == "main" else "main"], there[target]


def merge(session: Connection, target: str, options: str = "{}") -> tuple[str, list[tuple[Any, ...]]]:
    """The result and the violations: constraint, id, side; or why it was refused."""
    source = "side" if target == "main" else "main"
    sql = "SELECT merge_id, result, detail FROM pggit.merge(%s, %s, NULL, %s)"
    ((number, result, detail),) = query(session, sql, source, target, options).fetchall()
    sql = (
        "SELECT constraint_name, (key ->> 'id')::integer, side FROM pggit.merge_violations WHERE merge_id = %s"
        " ORDER BY constraint_name, 2"
    )
    found = query(session, sql, number).fetchall()
    return result, found or ([(detail,)] if result == "refused" else [])


def rows(session: Connection, *tables: str) -> list[list[tuple[Any, ...]]]:
    return [query(session, f"SELECT * FROM {table} ORDER BY id").fetchall() for table in tables]


@pytest.mark.parametrize(("target", "form"), MIXED)
def test_parents_that_theirs_deletes(db: Database, owner: Connection, target: str, form: str) -> None:
    """What the action did on their side comes as rows; a child that ours added since is in the way of each action."""
    theirs, ours = parted(db, owner, FAMILY, target, form)
    query(
        theirs, "DELETE FROM no_action WHERE id = 10; DELETE FROM strict WHERE id = 10; DELETE FROM parent WHERE id < 6"
    )
    query(theirs, "INSERT INTO parent VALUES (7, 'new')")
    for table in ACTIONS:
        query(theirs, f"INSERT INTO {table} VALUES (30, 7, 'with a new parent')")
        query(ours, f"INSERT INTO {table} SELECT 11, id, 'new' FROM parent WHERE id = {[*ACTIONS].index(table) + 1}")
    before = rows(ours, "parent", *ACTIONS)
    violations = sorted((f"{table}_p_fkey", 11, None) for table in ACTIONS)
    assert merge(owner, target) == ("refused", violations)
    assert rows(ours, "parent", *ACTIONS) == before
    for table in ACTIONS:
        query(ours, f"DELETE FROM {table} WHERE id = 11; UPDATE {table} SET v = 'mine' WHERE id = 20")
    assert merge(owner, target) == ("merged", [])
    left: dict[str, list[tuple[Any, ...]]] = {"nulled": [(10, None, "a")], "lost": [(10, 9, "a")]}
    wanted = [[*left.get(table, []), (20, 8, "mine"), (30, 7, "with a new parent")] for table in ACTIONS]
    assert rows(ours, "parent", *ACTIONS) == [[(7, "new"), (8, "stays"), (9, "default")], *wanted]
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []


@pytest.mark.parametrize(("target", "form"), SIDES)
def test_children_that_ours_changes_while_theirs_deletes_their_parents(db: Database, target: str, form: str) -> None:
    """Their action has deleted the child, a conflict, or has changed its reference, another cell."""
    owner = db.conn
    theirs, ours = parted(db, owner, FAMILY, target, form)
    query(theirs, "DELETE FROM parent WHERE id IN (3, 4, 5)")
    for table in ("cascade", "nulled", "lost"):
        query(ours, f"UPDATE {table} SET v = 'mine' WHERE id = 10")
    assert merge(owner, target) == ("conflicted", [("cascade_p_fkey", 10, None)])
    found = query(owner, "SELECT kind, table_name, key FROM pggit.merge_conflicts").fetchall()
    assert found == [("update_delete", "public.cascade", {"id": 10})]
    assert merge(owner, target, '{"on_conflict": "ours"}') == ("refused", [("cascade_p_fkey", 10, None)])
    assert merge(owner, target, '{"on_conflict": "theirs"}') == ("merged", [])
    assert rows(ours, "cascade", "nulled", "lost") == [
        [(20, 8, "b")],
        [(10, None, "mine"), (20, 8, "b")],
        [(10, 9, "mine"), (20, 8, "b")],
    ]


@pytest.mark.parametrize(("target", "form"), [SIDES[0], MIXED[-1]])
def test_a_key_that_theirs_changes_with_its_children(db: Database, owner: Connection, target: str, form: str) -> None:
    theirs, ours = parted(db, owner, FAMILY, target, form)
    query(theirs, "UPDATE parent SET id = id + 100 WHERE id < 6")
    for table in ACTIONS:
        query(ours, f"UPDATE {table} SET v = 'mine' WHERE id = 10")
    query(ours, "INSERT INTO cascade VALUES (11, 3, 'new')")
    assert merge(owner, target) == ("refused", [("cascade_p_fkey", 11, None)])
    query(ours, "UPDATE cascade SET p = 8 WHERE id = 11")
    assert merge(owner, target) == ("merged", [])
    assert rows(ours, "lost", "cascade") == [
        [(10, 105, "mine"), (20, 8, "b")],
        [(10, 103, "mine"), (11, 8, "new"), (20, 8, "b")],
    ]


@pytest.mark.parametrize("own", ["", "own"])
@pytest.mark.parametrize(("target", "form"), SIDES)
def test_references_of_which_each_side_changes_a_part(db: Database, target: str, form: str, own: str) -> None:
    """(1, 1) is (2, 1) here and (1, 2) there, together (2, 2), which nobody has; half of it NULL is for SIMPLE only.

    own: ours has columns of its own, so that main's catalog does not say which foreign keys it has.
    """
    kinds = ("simple", "full")
    setup = """
        CREATE TABLE parent (id integer PRIMARY KEY, a integer, b integer, UNIQUE (a, b));
        INSERT INTO parent VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2);
    """ + "".join(
        f"""
        CREATE TABLE match_{kind} (
            id integer PRIMARY KEY, a integer, b integer, FOREIGN KEY (a, b) REFERENCES parent (a, b) MATCH {kind});
        INSERT INTO match_{kind} VALUES (10, 1, 1), (20, 1, 1);"""
        for kind in kinds
    )
    theirs, ours = parted(db, db.conn, setup, target, form)
    if own:
        query(ours, "ALTER TABLE match_simple ADD own integer; ALTER TABLE match_full ADD own integer")
    for kind in kinds:
        query(theirs, f"UPDATE match_{kind} SET b = 2")
        query(
            ours,
            f"UPDATE match_{kind} SET a = 2 WHERE id = 10; UPDATE match_{kind} SET a = NULL, b = NULL WHERE id = 20",
        )
    broken = [
        ("match_full_a_b_fkey", 10, "both"),
        ("match_full_a_b_fkey", 20, "both"),
        ("match_simple_a_b_fkey", 10, "both"),
    ]
    assert merge(db.conn, target, '{"on_conflict": "theirs"}') == ("refused", broken)
    for kind in kinds:
        query(ours, f"UPDATE match_{kind} SET a = 1 WHERE id = 10")
    assert merge(db.conn, target, '{"on_conflict": "ours"}') == ("merged", [])
    more = (None,) if own else ()
    assert rows(ours, "match_simple", "match_full") == [[(10, 1, 2, *more), (20, None, None, *more)]] * 2
