"""Values that PostgreSQL takes for equal though they are written otherwise: no writing is lost silently."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

#: type → base, ours, theirs, all equal
EQUAL = {
    "numeric": ("1", "1.0", "1.00"),
    "citext": ("abc", "ABC", "Abc"),
    "double precision": ("0", "-0", "0"),
    "interval": ("30 days", "1 month", "720 hours"),
    "jsonb": ("1", "1.0", "1.00"),
    "numeric[]": ("{1}", "{1.0}", "{1.00}"),
}


@pytest.mark.parametrize("target", ["main", "side"])
def test_another_writing_is_another_value(db: Database, target: str) -> None:
    """Rows: only theirs writes it otherwise, only ours does, both do."""
    source = "side" if target == "main" else "main"
    db.run("CREATE EXTENSION citext")
    names = [f"c{n}" for n in range(len(EQUAL))]
    db.run(
        f"CREATE TABLE t (id integer PRIMARY KEY, {', '.join(f'{n} {k}' for n, k in zip(names, EQUAL, strict=True))})"
    )
    marks = ", ".join(["%s"] * len(names))
    for row in (1, 2, 3):
        db.run(f"INSERT INTO t VALUES ({row}, {marks})", *[values[0] for values in EQUAL.values()])
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('base'); SELECT pggit.create_branch('side')")
    there = {"main": db.conn, "side": db.connect(branch="side")}
    sets = ", ".join(f"{name} = %s" for name in names)
    ours, theirs = there[target], there[source]
    query(theirs, f"UPDATE t SET {sets} WHERE id IN (1, 3)", *[values[2] for values in EQUAL.values()])
    query(ours, f"UPDATE t SET {sets} WHERE id IN (2, 3)", *[values[1] for values in EQUAL.values()])
    merge = db.value("SELECT (pggit.merge(%s, %s)).merge_id", source, target)
    torn = [name for name, three in zip(names, EQUAL.values(), strict=True) if len(set(three)) == 3]
    found = db.rows("SELECT key ->> 'id', column_name FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 2", merge)
    assert found == [("3", name) for name in torn]
    db.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    cells = ", ".join(f"{name}::text" for name in names)
    written = [query(ours, f"SELECT {cells} FROM t WHERE id = {row}").fetchone() for row in (1, 2, 3)]
    said = [
        db.row("SELECT " + ", ".join(f"%s::{k}::text" for k in EQUAL), *[v[n] for v in EQUAL.values()]) for n in (1, 2)
    ]
    assert written[:2] == [said[1], said[0]]
    assert written[2] == tuple(
        s if n in torn else said[0][i] for i, (n, s) in enumerate(zip(names, said[1], strict=True))
    )
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
@pytest.mark.parametrize("key", ["citext", "numeric"])
def test_keys_that_are_equal_are_one_key(db: Database, key: str, target: str, materialize: str) -> None:
    """Theirs writes a key otherwise, alone or with its row, deletes it and inserts it so, inserts what ours does."""
    source = "side" if target == "main" else "main"
    written = {"citext": ("k{}", "K{}"), "numeric": ("{}", "{}.0")}[key]
    one, other = ([how.format(n) for n in range(1, 6)] for how in written)
    db.run("CREATE EXTENSION citext")
    db.run(
        f"CREATE TABLE t (k {key} PRIMARY KEY, v text); CREATE TABLE c (id integer PRIMARY KEY, k {key} REFERENCES t)"
    )
    db.run(f"INSERT INTO t SELECT k::{key}, 'base' FROM unnest(%s::text[]) AS k", one[:3])
    db.run("INSERT INTO c VALUES (1, %s)", one[0])
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    there = {"main": db.conn, "side": db.connect(branch="side")}
    ours, theirs = there[target], there[source]
    query(theirs, "UPDATE t SET k = %s WHERE k = %s", other[0], one[0])
    query(ours, "UPDATE t SET v = 'ours' WHERE k = %s", one[0])
    query(theirs, "UPDATE t SET k = %s, v = 'theirs' WHERE k = %s", other[1], one[1])
    query(theirs, "DELETE FROM t WHERE k = %s", one[2])
    query(theirs, "INSERT INTO t VALUES (%s, 'theirs')", other[2])
    query(theirs, "INSERT INTO t VALUES (%s, 'same'), (%s, 'theirs')", other[3], other[4])
    query(ours, "INSERT INTO t VALUES (%s, 'same'), (%s, 'ours')", one[3], one[4])
    merge, result = db.row("SELECT merge_id, result FROM pggit.merge(%s, %s)", source, target)
    assert result == "conflicted"
    found = db.rows("SELECT kind FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    assert found == [("insert_insert",), ("insert_insert",)]
    db.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    rows = [(other[0], "ours"), (other[1], "theirs"), (other[2], "theirs"), (other[3], "same"), (other[4], "theirs")]
    assert query(ours, "SELECT k::text, v FROM t ORDER BY k").fetchall() == rows
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.value("SELECT (pggit.merge(%s, %s)).result", target, source) == "fast_forward"
    assert query(theirs, "SELECT k::text, v FROM t ORDER BY k").fetchall() == rows


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
@pytest.mark.parametrize(
    ("key", "base", "ours", "theirs"), [("citext", "ab", "AB", "Ab"), ("numeric", "1", "1.0", "1.00")]
)
def test_two_writings_of_a_key_are_a_conflict(
    db: Database, key: str, base: str, ours: str, theirs: str, target: str, materialize: str
) -> None:
    source = "side" if target == "main" else "main"
    db.run("CREATE EXTENSION citext")
    db.run(f"CREATE TABLE t (k {key} PRIMARY KEY, v text)")
    db.run("INSERT INTO t VALUES (%s, 'base')", base)
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    there = {"main": db.conn, "side": db.connect(branch="side")}
    query(there[target], "UPDATE t SET k = %s", ours)
    query(there[source], "UPDATE t SET k = %s, v = 'theirs'", theirs)
    assert (
        db.value('SELECT conflicts FROM pggit.plan_merge(%s, %s, \'{"on_conflict": "theirs"}\')', source, target) == 0
    )
    assert (
        db.value('SELECT conflicts FROM pggit.plan_merge(%s, %s, \'{"rules": [{"rule": "theirs"}]}\')', source, target)
        == 0
    )
    merge = db.value("SELECT merge_id FROM pggit.merge(%s, %s)", source, target)
    name, conflict = db.row("SELECT column_name, conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    assert name == "k"
    with raises("VG204", "must keep the conflict's key"):
        db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', '7')", merge, conflict)
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge, conflict)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert query(there[target], "SELECT k::text, v FROM t").fetchall() == [(theirs, "theirs")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


#: Values that a plan compares by their own operator, as no two of them are equal in other bytes; some that it does not.
COMPARED = {
    "smallint": ("0", "-1", "7"),
    "bigint": ("0", "9223372036854775807", "-1"),
    "uuid": ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "boolean": ("true", "false"),
    "date": ("infinity", "-infinity", "2026-11-29"),
    "timestamp without time zone": ("infinity", "2026-11-29 10:00", "2026-11-29 10:00:00.000001"),
    "timestamp(3) with time zone": ("-infinity", "2026-11-29 10:00+00", "2026-11-29 11:00+01"),
    "text": ("", "a", "A", "a ", "é", "é"),
    "character varying(3)": ("", "a", "a ", "A"),
    "character(3)": ("a", "a ", "A"),
    "numeric": ("1", "1.0", "NaN", "Infinity"),
    "double precision": ("0", "-0", "NaN"),
    "jsonb": ("1", "1.0", '{"a": 1}'),
    "date[]": ("{2026-11-29}", "{}"),
}


@pytest.mark.parametrize("kind", COMPARED)
def test_values_differ_where_their_bytes_do(db: Database, kind: str) -> None:
    db.run(f"CREATE TABLE public.pairs (a {kind}, b {kind})")
    if kind == "text" and db.value("SELECT current_setting('server_version_num')::integer") < 160000:
        # The wheels of 16 to 18 are built without ICU.
        db.run("""
            CREATE COLLATION public.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
            ALTER TABLE public.pairs ALTER a TYPE text COLLATE public.loose, ALTER b TYPE text COLLATE public.loose
        """)
    values = [None, *COMPARED[kind]]
    for a in values:
        for b in values:
            db.run("INSERT INTO public.pairs VALUES (%s, %s)", a, b)
    differs = db.value("SELECT pggit._differs_sql(%s, 'p.a', 'p.b')", kind)
    assert db.value(f"SELECT count(*) FROM public.pairs AS p WHERE {differs}") > 0
    assert (
        db.rows(
            f"SELECT p.* FROM public.pairs AS p WHERE ({differs}) IS DISTINCT FROM (ROW(a)::record *<> ROW(b)::record)"
        )
        == []
    )
