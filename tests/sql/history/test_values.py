"""Values of every kind go through capture, as-of, branches and merges unchanged, under names nobody should choose."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

TYPES = {
    "smallint": ("1", "2"),
    "bigint": ("9223372036854775807", "-9223372036854775808"),
    "numeric": ("1.0", "1.00"),
    "numeric(20,5)": ("NaN", "12345.67890"),
    "real": ("0.1", "-0"),
    "double precision": ("0.30000000000000004", "Infinity"),
    "money": ("$1.50", "$2.50"),
    "boolean": ("t", "f"),
    "text": ("", "ä\t\\ '\" %s %I $1"),
    "varchar(5)": ("abc", "abc  "),
    "char(5)": ("abc", "abd"),
    "name": ("n", "m"),
    "bytea": ("\\x00ff", "\\x"),
    "date": ("4713-01-01 BC", "infinity"),
    "time": ("12:00:00.000001", "24:00:00"),
    "timetz": ("12:00:00+05:30", "12:00:00-08"),
    "timestamp": ("2024-02-29 12:34:56.789012", "-infinity"),
    "timestamptz": ("2024-02-29 12:34:56.789012+00", "2024-10-27 02:30:00+02"),
    "interval": ("1 mon", "30 days"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
    "json": ('{"b": 1,  "a": 2}', '{"b": 1, "a": 2}'),
    "jsonb": ('{"a": [1, 2.50, null]}', "null"),
    "inet": ("10.0.0.1/8", "::1"),
    "cidr": ("10.0.0.0/8", "::/0"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04"),
    "bit(3)": ("101", "110"),
    "varbit": ("101", ""),
    "point": ("(1,2)", "(2,1)"),
    "box": ("(2,2),(1,1)", "(3,3),(1,1)"),
    "polygon": ("((0,0),(1,1),(1,0))", "((0,0),(1,0),(1,1))"),
    "circle": ("<(1,1),2>", "<(1,1),3>"),
    "tsvector": ("'a':1 'b':2", "'a' 'b'"),
    "tsquery": ("'a' & 'b'", "'a' | 'b'"),
    "int4range": ("[1,5)", "empty"),
    "datemultirange": ("{[2024-01-01,2024-02-01)}", "{}"),
    "integer[]": ("{1,NULL,3}", "[0:1]={1,2}"),
    "text[]": ('{"a,b","",NULL}', "{{a},{b}}"),
    "mood": ("happy", "sad"),
    "pair": ("(1,x)", "(,)"),
    "positive": ("1", "2"),
    "public.pair[]": ('{"(1,x)"}', "{}"),
    "oid": ("1", "4294967295"),
    "pg_lsn": ("0/1", "FFFFFFFF/FFFFFFFF"),
}
TABLE = 'public."we""ird; DROP TABLE x %I"'
COLUMNS = [f'"c{number} ""q"" %L"' for number in range(len(TYPES))]


@pytest.fixture
def repo(db: Database) -> Database:
    """One row of first values, one of second values, one of NULLs; committed as v1, v2 swaps the first two."""
    db.begin("""
        CREATE TYPE mood AS ENUM ('happy', 'sad');
        CREATE TYPE pair AS (n integer, t text);
        CREATE DOMAIN positive AS integer CHECK (value > 0);
    """)
    listed = ", ".join(f"{column.replace('%', '%%')} {kind}" for column, kind in zip(COLUMNS, TYPES, strict=True))
    db.run(f'CREATE TABLE {TABLE} ("the key" text PRIMARY KEY, {listed})'.replace("%%", "%"))
    for key, place in (("one", 0), ("two", 1)):
        put(db, key, place)
    db.run(f'INSERT INTO {TABLE} ("the key") VALUES ($$null$$)')
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.tag('v1', pggit.commit('v1'))")
    return db


def put(db: Database, key: str, place: int) -> None:
    cells = ", ".join(f"{quoted(values[place])}::{kind}" for kind, values in TYPES.items())
    db.run(f"DELETE FROM {TABLE} WHERE \"the key\" = '{key}'; INSERT INTO {TABLE} VALUES ('{key}', {cells})")


def quoted(value: str) -> str:
    return "E'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def content(db: Database, source: str = TABLE, *args: object) -> list[tuple[str]]:
    """Rows as text: what a user can tell apart."""
    source = source if args else source.replace("%", "%")
    return [(row,) for (row,) in db.rows(f"SELECT r::text FROM {source} AS r ORDER BY 1", *args)]


def as_of(db: Database, ref: str) -> list[tuple[str]]:
    return content(db, f"pggit.as_of(NULL::{TABLE}, {quoted(ref)})")


def test_history_gives_back_every_value(repo: Database) -> None:
    first = content(repo)
    assert as_of(repo, "v1") == first
    put(repo, "one", 1)
    put(repo, "two", 0)
    second = content(repo)
    repo.run("SELECT pggit.commit('v2')")
    repo.run(f'UPDATE {TABLE} SET "the key" = "the key" || \'!\'')
    repo.run("SELECT pggit.commit('v3')")
    repo.run(f"DELETE FROM {TABLE}")
    assert as_of(repo, "v1") == first
    assert as_of(repo, "HEAD~1") == second
    assert repo.rows("SELECT * FROM pggit.verify()") == []


def test_a_change_of_one_cell_is_one_change(repo: Database) -> None:
    """Also where the type has no equality, or one that calls different texts equal."""
    wrong = []
    for column, (kind, values) in zip(COLUMNS, TYPES.items(), strict=True):
        for value, expected in ((values[1], [(0, 1, 0)]), (values[0], [])):
            repo.run(f"UPDATE {TABLE} SET {column} = {quoted(value)}::{kind} WHERE \"the key\" = 'one'")
            found = repo.rows("SELECT inserted, updated, deleted FROM pggit.status()")
            if found != expected:
                wrong.append((kind, value, found))
    assert wrong == []


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_a_branch_and_its_merge_give_back_every_value(repo: Database, materialize: str) -> None:
    first = content(repo)
    repo.run("SELECT pggit.create_branch('b', 'main', 'schema', %s)", materialize)
    branch = repo.connect(branch="b")
    table = TABLE.removeprefix("public.")
    read = f"SELECT r::text FROM {table} AS r ORDER BY 1"
    assert query(branch, read).fetchall() == first
    changes = ", ".join(
        f"{column} = {quoted(values[1])}::{kind}" for column, (kind, values) in zip(COLUMNS, TYPES.items(), strict=True)
    )
    query(branch, f"UPDATE {table} SET {changes} WHERE \"the key\" <> 'two'")
    second = query(branch, read).fetchall()
    assert content(repo) == first
    assert repo.row("SELECT result, rows_updated FROM pggit.merge('b', 'main')") == ("fast_forward", 2)
    assert content(repo) == second
    assert as_of(repo, "b") == second
    assert as_of(repo, "v1") == first


def test_cells_of_every_type_merge_beside_each_other(repo: Database) -> None:
    """Each side changes every second column of the same row."""
    repo.run("SELECT pggit.create_branch('b', 'main', 'schema', 'none')")
    branch = repo.connect(branch="b")
    sets = [
        f"{column} = {quoted(values[1])}::{kind}" for column, (kind, values) in zip(COLUMNS, TYPES.items(), strict=True)
    ]
    query(branch, f"UPDATE {TABLE.removeprefix('public.')} SET {', '.join(sets[::2])} WHERE \"the key\" = 'one'")
    repo.run(f"UPDATE {TABLE} SET {', '.join(sets[1::2])} WHERE \"the key\" = 'one'")
    assert repo.row("SELECT result, rows_updated FROM pggit.merge('b', 'main')") == ("merged", 1)
    cells = ", ".join(f"{quoted(values[1])}::{kind}" for kind, values in TYPES.items())
    assert repo.value(
        f"SELECT (SELECT t::text FROM {TABLE} AS t WHERE \"the key\" = 'one') = row('one', {cells})::text"
    )


def test_both_sides_changing_the_same_cell_differently_is_a_conflict_for_every_type(repo: Database) -> None:
    repo.run("SELECT pggit.create_branch('b', 'main', 'schema', 'none')")
    branch = repo.connect(branch="b")
    sets = [
        f"{column} = {quoted(values[1])}::{kind}" for column, (kind, values) in zip(COLUMNS, TYPES.items(), strict=True)
    ]
    query(branch, f"UPDATE {TABLE.removeprefix('public.')} SET {', '.join(sets)} WHERE \"the key\" = 'one'")
    nulls = ", ".join(f"{column} = NULL" for column in COLUMNS)
    repo.run(f"UPDATE {TABLE} SET {nulls} WHERE \"the key\" = 'one'")
    merge_id, result, conflicts = repo.row("SELECT merge_id, result, conflicts FROM pggit.merge('b', 'main')")
    assert (result, conflicts) == ("conflicted", len(TYPES))
    assert repo.value("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id) == len(TYPES)
    assert repo.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    assert (
        content(repo)
        == query(branch, f"SELECT r::text FROM {TABLE.removeprefix('public.')} AS r ORDER BY 1").fetchall()
    )
