"""Every line of the truth table, in both directions, on views and on real tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.postgres import Database, query

Row = tuple[str | None, int | None, str | None] | None


@dataclass(frozen=True)
class Case:
    base: Row
    ours: Row
    theirs: Row
    merged: Row
    conflict: str | None = None
    column: str | None = None


CASES = {
    "theirs inserts": Case(None, None, ("x", 1, None), ("x", 1, None)),
    "both insert the same row": Case(None, ("x", 1, None), ("x", 1, None), ("x", 1, None)),
    "both insert different rows": Case(None, ("x", 1, None), ("y", 1, None), ("x", 1, None), "insert_insert"),
    "theirs changes": Case(("x", 1, None), ("x", 1, None), ("x", 2, None), ("x", 2, None)),
    "ours changes": Case(("x", 1, None), ("x", 2, None), ("x", 1, None), ("x", 2, None)),
    "different cells": Case(("x", 1, None), ("x", 2, None), ("y", 1, None), ("y", 2, None)),
    "the same cell alike": Case(("x", 1, None), ("x", 2, None), ("x", 2, None), ("x", 2, None)),
    "the same cell differently": Case(
        ("x", 1, None), ("x", 2, None), ("y", 3, None), ("y", 2, None), "update_update", "n"
    ),
    "NULL here, a value there": Case(
        ("x", 1, None), ("x", None, None), ("x", 3, None), ("x", None, None), "update_update", "n"
    ),
    "from NULL to a value": Case(("x", None, None), ("y", None, None), ("x", 3, None), ("y", 3, None)),
    "theirs deletes": Case(("x", 1, None), ("x", 1, None), None, None),
    "changed here, deleted there": Case(("x", 1, None), ("x", 2, None), None, ("x", 2, None), "update_delete"),
    "deleted here, changed there": Case(("x", 1, None), None, ("x", 2, None), None, "delete_update"),
    "ours deletes": Case(("x", 1, None), None, ("x", 1, None), None),
    "both delete": Case(("x", 1, None), None, None, None),
    "jsonb by key": Case(
        ("x", 1, '{"a": 1, "b": {"c": 1}}'),
        ("x", 1, '{"a": 2, "b": {"c": 1}}'),
        ("x", 1, '{"a": 1, "b": {"c": 1, "d": 2}}'),
        ("x", 1, '{"a": 2, "b": {"c": 1, "d": 2}}'),
    ),
    "jsonb, one key dropped": Case(
        ("x", 1, '{"a": 1, "b": 1}'),
        ("x", 1, '{"a": 1, "b": 1, "c": 1}'),
        ("x", 1, '{"a": 1}'),
        ("x", 1, '{"a": 1, "c": 1}'),
    ),
    "jsonb, the same key differently": Case(
        ("x", 1, '{"a": 1, "b": 1}'),
        ("x", 1, '{"a": 2, "b": 1}'),
        ("x", 1, '{"a": 3, "b": 2}'),
        ("x", 1, '{"a": 2, "b": 1}'),
        "update_update",
        "doc",
    ),
    "jsonb arrays are one value": Case(
        ("x", 1, "[1]"), ("x", 1, "[1, 2]"), ("x", 1, "[0, 1]"), ("x", 1, "[1, 2]"), "update_update", "doc"
    ),
}


def put(conn: Any, key: int, before: Row, after: Row) -> None:
    """Turn one row into another on whatever branch the session shows."""
    if before == after:
        return
    if after is None:
        query(conn, "DELETE FROM t WHERE id = %s", key)
    elif before is None:
        query(conn, "INSERT INTO t VALUES (%s, %s, %s, %s)", key, *after)
    else:
        query(conn, "UPDATE t SET s = %s, n = %s, doc = %s WHERE id = %s", *after, key)


def rows(conn: Any) -> dict[int, Row]:
    found = query(conn, "SELECT id, s, n, doc::text FROM t").fetchall()
    return {key: (s, n, doc) for key, s, n, doc in found}


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_the_truth_table(db: Database, target: str, materialize: str) -> None:
    source = "side" if target == "main" else "main"
    db.run("CREATE TABLE t (id integer PRIMARY KEY, s text, n integer, doc jsonb)")
    for key, case in enumerate(CASES.values()):
        put(db.conn, key, None, case.base)
    put(db.conn, 100, None, ("untouched", 1, None))
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    theirs, ours = db.connect(branch=source), db.connect(branch=target)
    for key, case in enumerate(CASES.values()):
        put(theirs, key, case.base, case.theirs)
        put(ours, key, case.base, case.ours)
    put(ours, 101, None, ("ours alone", 1, None))

    before = rows(ours)
    merge, result = db.row("SELECT (m).merge_id, (m).result FROM pggit.merge(%s, %s) AS m", source, target)
    assert result == "conflicted"
    assert rows(ours) == before, "a merge in conflict writes nothing"
    found = {
        (row[0]["id"], row[1], row[2])
        for row in db.rows("SELECT key, kind, column_name FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    }
    assert found == {(key, case.conflict, case.column) for key, case in enumerate(CASES.values()) if case.conflict}

    assert db.value("SELECT pggit.resolve_conflicts(%s, 'ours')", merge) == len(found)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    wanted = {key: case.merged for key, case in enumerate(CASES.values()) if case.merged}
    assert rows(ours) == wanted | {100: ("untouched", 1, None), 101: ("ours alone", 1, None)}
    assert db.rows("SELECT * FROM pggit.status(%s)", target) == []
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "up_to_date"
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("take", ["ours", "theirs", "base", "value"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_every_way_to_resolve(db: Database, target: str, take: str) -> None:
    source = "side" if target == "main" else "main"
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, s text, n integer, doc jsonb);
        INSERT INTO t VALUES (1, 'base', 1), (2, 'base', 1), (3, 'base', 1);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
        SELECT pggit.create_branch('side', p_materialize => 'none');
    """)
    theirs, ours = db.connect(branch=source), db.connect(branch=target)
    query(theirs, "UPDATE t SET s = 'theirs', n = 2 WHERE id = 1; DELETE FROM t WHERE id = 2")
    query(theirs, "UPDATE t SET s = 'theirs' WHERE id = 3; INSERT INTO t VALUES (4, 'theirs', 1)")
    query(
        ours, "UPDATE t SET s = 'ours' WHERE id <= 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4, 'ours', 1)"
    )

    merge = db.value("SELECT (pggit.merge(%s, %s)).merge_id", source, target)
    values = {
        1: '"it\'s %s"',
        2: '{"id": 2, "s": "value", "n": null, "doc": {"k": [1]}}',
        3: "null",
        4: '{"id": 4, "s": "value", "n": null, "doc": null}',
    }
    for key, conflict in db.rows("SELECT key, conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge):
        value = values[key["id"]] if take == "value" else None
        db.run("SELECT pggit.resolve_conflict(%s, %s, %s, %s)", merge, conflict, take, value)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"

    assert (
        rows(ours)
        == {
            "ours": {1: ("ours", 2, None), 2: ("ours", 1, None), 4: ("ours", 1, None)},
            "theirs": {1: ("theirs", 2, None), 3: ("theirs", 1, None), 4: ("theirs", 1, None)},
            "base": {1: ("base", 2, None), 2: ("base", 1, None), 3: ("base", 1, None)},
            "value": {1: ("it's %s", 2, None), 2: ("value", None, '{"k": [1]}'), 4: ("value", None, None)},
        }[take]
    )


def test_conflict_ids_are_the_same_in_every_plan_and_session(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, f float8);
        INSERT INTO t VALUES (1, '2026-01-01 12:00+00', 0.1);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
        UPDATE t SET at = '2026-01-02 12:00+00', f = 0.2;
    """)
    query(db.connect(branch="side"), "UPDATE t SET at = '2026-01-03 12:00+00', f = 0.3")
    ids = []
    for zone in ("UTC", "Asia/Tokyo"):
        session = db.connect()
        query(session, f"SET timezone = '{zone}'; SET extra_float_digits = 0; SET datestyle = 'German'")
        merge = query(session, "SELECT (pggit.plan_merge('side')).merge_id").fetchone()
        ids.append(
            query(
                session, "SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1", *(merge or ())
            ).fetchall()
        )
    assert len(ids[0]) == 2
    assert ids[0] == ids[1]


@pytest.mark.parametrize(("value", "stored"), [(None, None), ("null", "null"), ('{"a": null}', '{"a": null}')])
def test_a_json_cell_can_become_null_in_both_senses(db: Database, value: str | None, stored: str | None) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, doc jsonb);
        INSERT INTO t VALUES (1, '[1]');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side');
        UPDATE t SET doc = '[2]';
    """)
    query(db.connect(branch="side"), "UPDATE t SET doc = '[3]'")
    merge = db.value("SELECT (pggit.merge('side')).merge_id")
    conflict = db.value("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge, conflict, value)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert db.value("SELECT doc::text FROM t") == stored


@pytest.mark.parametrize("target", ["main", "side"])
def test_hstore_by_key(db: Database, target: str) -> None:
    source = "side" if target == "main" else "main"
    db.run("""
        CREATE SCHEMA "odd.place";
        CREATE EXTENSION hstore SCHEMA "odd.place";
        CREATE DOMAIN tags AS "odd.place".hstore;
        CREATE TABLE t (id integer PRIMARY KEY, tags "odd.place".hstore, more tags);
        INSERT INTO t SELECT i, 'a=>1, b=>1', 'a=>1, b=>1' FROM generate_series(1, 5) AS i;
        INSERT INTO t VALUES (6, NULL, NULL);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => 'none');
    """)
    theirs, ours = db.connect(branch=source), db.connect(branch=target)
    changes = {
        1: ("a=>2, b=>1", "a=>1, b=>1, c=>NULL"),
        2: ("a=>1", "a=>1, b=>1, d=>4"),
        3: ("", "a=>1, b=>1"),
        4: ("a=>2, b=>1", "a=>3, b=>1"),
        5: ("a=>NULL, b=>1", "a=>1"),
        6: ("a=>1", "b=>1"),
    }
    for key, (mine, other) in changes.items():
        query(ours, "UPDATE t SET tags = %s, more = %s WHERE id = %s", mine, mine, key)
        query(theirs, "UPDATE t SET tags = %s, more = %s WHERE id = %s", other, other, key)

    merge = db.value("SELECT (pggit.merge(%s, %s)).merge_id", source, target)
    assert db.rows(
        "SELECT key -> 'id', column_name FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1, 2", merge
    ) == [(4, "more"), (4, "tags"), (6, "more"), (6, "tags")]
    assert db.value("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge) == 4
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    merged = ["a=>2, b=>1, c=>NULL", "a=>1, d=>4", "", "a=>3, b=>1", "a=>NULL", "b=>1"]
    for column in ("tags", "more"):
        found = query(ours, f"SELECT {column}::text FROM t ORDER BY id").fetchall()
        assert found == [(db.value('SELECT (%s::"odd.place".hstore)::text', wanted),) for wanted in merged]
