"""A value given for a conflict is held to the column's type and domain, as an UPDATE would be."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises


def conflict(db: Database, column_type: str, values: tuple[str, str, str]) -> tuple[str, str]:
    """An open merge of main into dev, with one conflict: merge id, conflict id."""
    db.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {column_type})")
    db.run("INSERT INTO t VALUES (1, %s)", values[0])
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    query(db.connect(branch="dev"), "UPDATE t SET v = %s", values[1])
    db.run("UPDATE t SET v = %s", values[2])
    assert db.value("SELECT (pggit.merge('main', 'dev')).result") == "conflicted"
    merge_id, conflict_id = db.row("SELECT merge_id::text, conflict_id FROM pggit.merge_conflicts")
    return merge_id, conflict_id


REFUSED = {
    "too long": ("varchar(5)", ("a", "b", "c"), '"Cambridge"'),
    "too long in an array": ("varchar(5)[]", ("{a}", "{b}", "{c}"), '["Cambridge"]'),
    "too long in an array written as text": ("varchar(5)[]", ("{a}", "{b}", "{c}"), '"{Cambridge}"'),
    "too many bits": ("bit(3)", ("000", "001", "010"), '"11111"'),
    "not in the domain": ("even", ("0", "2", "4"), "3"),
    "no number": ("integer", ("0", "2", "4"), '"x"'),
}
TAKEN = {
    "quotes": ("text", ("a", "b", "c"), 'it\'s \\ "so"'),
    "an array written as text": ("text[]", ("{a}", "{b}", "{c}"), '{"x y",NULL}'),
    "a composite": ("pair", ("(1,a)", "(2,b)", "(3,c)"), '(4,"d, e")'),
    "a range": ("int4range", ("[1,2)", "[2,3)", "[3,4)"), "[5,9)"),
    "nothing": ("text", ("a", "b", "c"), ""),
}


@pytest.fixture
def types(db: Database) -> Database:
    db.run("CREATE DOMAIN even AS integer CHECK (value % 2 = 0); CREATE TYPE pair AS (n integer, w text)")
    return db


@pytest.mark.parametrize("case", REFUSED)
def test_a_value_that_does_not_fit_is_refused(types: Database, case: str) -> None:
    column_type, values, value = REFUSED[case]
    merge_id, conflict_id = conflict(types, column_type, values)
    with raises("VG204"):
        types.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, conflict_id, value)


@pytest.mark.parametrize("case", TAKEN)
def test_a_value_is_taken_as_it_is_written(types: Database, case: str) -> None:
    column_type, values, value = TAKEN[case]
    merge_id, conflict_id = conflict(types, column_type, values)
    types.run("SELECT pggit.resolve_conflict(%s, %s, 'value', to_jsonb(%s::text))", merge_id, conflict_id, value)
    assert types.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert query(types.connect(branch="dev"), "SELECT v::text FROM t").fetchone() == (value,)


def test_null_in_a_whole_row_is_null_also_in_a_json_column(db: Database) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a text, info jsonb); INSERT INTO t VALUES (1, 'a', '{}')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = db.connect(branch="dev")
    query(dev, "DELETE FROM t")
    db.run("UPDATE t SET a = 'b', info = NULL")
    merge_id = db.value("SELECT (pggit.merge('main', 'dev')).merge_id")
    conflict_id, theirs = db.row("SELECT conflict_id, theirs FROM pggit.merge_conflicts")
    assert theirs == {"id": 1, "a": "b", "info": None}
    with raises("VG204", "no value for info"):
        db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, conflict_id, Jsonb({"id": 1, "a": "b"}))
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, conflict_id, Jsonb(theirs))
    db.run("SELECT pggit.continue_merge(%s)", merge_id)
    assert query(dev, "SELECT id, a, info::text FROM t").fetchall() == [(1, "b", None)]


def test_a_time_is_of_the_session_that_gave_it(db: Database) -> None:
    """Whoever goes on with the merge may have another zone and another order of day and month."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, day date, span interval, during tstzrange)")
    db.run("INSERT INTO t VALUES (1), (2); SELECT pggit.track_table('t'), pggit.commit('base')")
    db.run("SELECT pggit.create_branch('dev')")
    sets = (
        "SET at = '2026-0{0}-01 00:00+00', day = '2026-0{0}-02', span = '{0} days', during = '[2026-0{0}-01 00:00+00,)'"
    )
    query(db.connect(branch="dev"), f"UPDATE t {sets.format(1)} WHERE id = 1; DELETE FROM t WHERE id = 2")
    db.run(f"UPDATE t {sets.format(2)}")
    merge_id = db.value("SELECT merge_id FROM pggit.merge('dev', 'main')")
    given = {"at": "01.07.2026 08:00", "day": "04/05/06", "span": "1 mon -2 days", "during": "[01.07.2026 00:00,)"}
    session = db.connect()
    query(session, "SET timezone = 'Europe/Zurich'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard'")
    for conflict, column in db.rows("SELECT conflict_id, column_name FROM pggit.merge_conflicts"):
        value = given[column] if column else {"id": 2} | given
        query(session, "SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, conflict, Jsonb(value))
    query(
        session,
        "CREATE TABLE wanted AS SELECT %s::timestamptz AS at, %s::date, %s::interval, %s::tstzrange",
        *given.values(),
    )
    db.run("SET timezone = 'Asia/Tokyo'; SET datestyle = 'ISO, MDY'")
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    wanted = db.row("SELECT * FROM wanted")
    assert db.rows("SELECT at, day, span, during FROM t ORDER BY id") == [wanted, wanted]
