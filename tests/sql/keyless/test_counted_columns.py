# ruff: noqa: E501 - SQL is not wrapped
"""Merges of tables without a key whose columns were changed on one side or both, in both directions: no row is lost, doubled or given a value that nobody wrote."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

BEFORE = """
    CREATE TABLE log (line text, n integer, old text);
    INSERT INTO log VALUES ('a', 1, 'x'), ('a', 1, 'x'), ('b', 2, NULL), ('c', 3, 'z'), ('d', 4, NULL);
    SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('side', 'main');
"""

#: What one side does, what the other does, the option fill, and the rows that come out, or the conflicts.
CASES: list[tuple[str, str, str, str, object]] = [
    ("added, rows there",
     "ALTER TABLE log ADD m integer DEFAULT 7", "INSERT INTO log VALUES ('e', 5, NULL); DELETE FROM log WHERE line = 'c'", "{}",
     ["a|1|x|7", "a|1|x|7", "b|2||7", "d|4||7", "e|5||7"]),
    ("added and filled, a copy and a row gone there",
     "ALTER TABLE log ADD m integer; UPDATE log SET m = n * 10", "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'a'); DELETE FROM log WHERE line = 'b'", "{}",
     ["a|1|x|10", "c|3|z|30", "d|4||40"]),
    ("added and filled, rows there",
     "ALTER TABLE log ADD m integer; UPDATE log SET m = n * 10", "INSERT INTO log VALUES ('e', 5, NULL); UPDATE log SET n = 6 WHERE line = 'b'", "{}",
     [("column", "needs_fill")]),
    ("the same with a value",
     "ALTER TABLE log ADD m integer; UPDATE log SET m = n * 10", "INSERT INTO log VALUES ('e', 5, NULL); UPDATE log SET n = 6 WHERE line = 'b'", '{"log.m": "n * 10"}',
     ["a|1|x|10", "a|1|x|10", "b|6||60", "c|3|z|30", "d|4||40", "e|5||50"]),
    ("dropped, others written there",
     "ALTER TABLE log DROP old", "UPDATE log SET n = 20 WHERE line = 'b'; DELETE FROM log WHERE line = 'd'", "{}",
     ["a|1", "a|1", "b|20", "c|3"]),
    ("dropped, written there",
     "ALTER TABLE log DROP old", "UPDATE log SET old = 'new' WHERE line = 'b'", "{}",
     [("column", "delete")]),
    ("one with a default dropped, others written there",
     "ALTER TABLE log DROP \"d f\"", "UPDATE log SET n = 20 WHERE line = 'b'; INSERT INTO log VALUES ('e', 5, NULL)", "{}",
     ["a|1|x", "a|1|x", "b|20|", "c|3|z", "d|4|", "e|5|"]),
    ("renamed, written there",
     "ALTER TABLE log RENAME n TO number", "UPDATE log SET n = n + 1 WHERE line = 'a'; INSERT INTO log VALUES ('e', 5, 'e')", "{}",
     ["a|2|x", "a|2|x", "b|2|", "c|3|z", "d|4|", "e|5|e"]),
    ("another type, written there",
     "ALTER TABLE log ALTER n TYPE numeric(8, 2)", "UPDATE log SET n = 9 WHERE line = 'b'; DELETE FROM log WHERE line = 'c'; INSERT INTO log VALUES ('e', 5, NULL)", "{}",
     ["a|1.00|x", "a|1.00|x", "b|9.00|", "d|4.00|", "e|5.00|"]),
    ("another type by USING, written there",
     "ALTER TABLE log ALTER n TYPE text USING 'n' || n", "UPDATE log SET old = 'y' WHERE line = 'b'; DELETE FROM log WHERE line = 'c'", "{}",
     [("column", "needs_fill")]),
    ("the same with a value",
     "ALTER TABLE log ALTER n TYPE text USING 'n' || n", "UPDATE log SET old = 'y' WHERE line = 'b'; DELETE FROM log WHERE line = 'c'", '{"log.n": "\'n\' || n"}',
     ["a|n1|x", "a|n1|x", "b|n2|y", "d|n4|"]),
    ("a narrower type, a value there that it can't hold",
     "ALTER TABLE log ALTER old TYPE varchar(1)", "INSERT INTO log VALUES ('e', 5, 'long')", "{}",
     [("column", "needs_fill")]),
    ("the same with a value",
     "ALTER TABLE log ALTER old TYPE varchar(1)", "INSERT INTO log VALUES ('e', 5, 'long'), ('f', 6, 's')", '{"log.old": "upper(right(old, 1))"}',
     ["a|1|x", "a|1|x", "b|2|", "c|3|z", "d|4|", "e|5|G", "f|6|s"]),
    ("columns on both sides, each filled",
     "ALTER TABLE log ADD p integer; UPDATE log SET p = n", "ALTER TABLE log ADD q text; UPDATE log SET q = line; DELETE FROM log WHERE line = 'c'", "{}",
     ["a|1|x|1|a", "a|1|x|1|a", "b|2||2|b", "d|4||4|d"]),
    ("one column on both sides, filled in other rows",
     "ALTER TABLE log ADD p integer; UPDATE log SET p = 1 WHERE line = 'b'", "ALTER TABLE log ADD p integer; UPDATE log SET p = 2 WHERE line = 'c'", "{}",
     ["a|1|x|", "a|1|x|", "b|2||1", "c|3|z|2", "d|4||"]),
    ("one column on both sides, filled differently",
     "ALTER TABLE log ADD p integer; UPDATE log SET p = 1", "ALTER TABLE log ADD p integer; UPDATE log SET p = 2 WHERE line = 'c'", "{}",
     [("column", "needs_fill")]),
    ("numbered, rows there",
     "ALTER TABLE log ADD id integer GENERATED ALWAYS AS IDENTITY", "INSERT INTO log VALUES ('e', 5, NULL); DELETE FROM log WHERE line = 'b'", "{}",
     ["a|1|x|1", "a|1|x|2", "c|3|z|4", "d|4||5", "e|5||6"]),
]  # fmt: skip


def shown(session: Connection) -> list[str]:
    names = [c.name for c in query(session, "SELECT * FROM log LIMIT 0").description or []]
    order = ["line", "n", "number", "old", *sorted(set(names) - {"line", "n", "number", "old"})]
    listed = ", ".join(f"coalesce({name}::text, '')" for name in (f'"{n}"' for n in order if n in names))
    return [row for (row,) in query(session, f"SELECT concat_ws('|', {listed}) FROM log ORDER BY 1").fetchall()]


@pytest.mark.parametrize("target", ["main", "side"])
@pytest.mark.parametrize(
    ("changes", "writes", "fill", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_columns_of_tables_without_a_key(
    db: Database, target: str, changes: str, writes: str, fill: str, expected: list[object]
) -> None:
    db.begin(BEFORE.replace("old text)", 'old text, "d f" integer DEFAULT 5)') if "d f" in changes else BEFORE)
    there = {"main": db.conn, "side": db.connect(branch="side")}
    source = "side" if target == "main" else "main"
    query(there[source], changes)
    query(there[target], writes)
    before = shown(there[target])
    options = f'{{"fast_forward": "never", "fill": {fill}}}'
    result, detail = db.row("SELECT result, detail FROM pggit.merge(%s, %s, NULL, %s)", source, target, options)
    if isinstance(expected[0], tuple):
        (kind,) = [kind for _, kind in db.rows("SELECT object_type, kind FROM pggit.merge_schema_conflicts")]
        assert (result, expected[0][1] in kind) == ("conflicted", True), detail
        assert shown(there[target]) == before
        return
    assert result == "merged", detail
    assert shown(there[target]) == expected
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT * FROM pggit.status('main')") + db.rows("SELECT * FROM pggit.status('side')") == []
    # The other way nothing is left to decide, and then nothing is left to do.
    assert db.value("SELECT result FROM pggit.merge(%s, %s)", target, source) == "fast_forward"
    assert shown(there[source]) == expected
    assert db.value("SELECT result FROM pggit.merge(%s, %s)", source, target) == "up_to_date"
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_branches_begin_where_columns_came_by_a_merge_or_were_others(db: Database) -> None:
    db.run(BEFORE)
    side = db.connect(branch="side")
    db.run("SELECT pggit.tag('before', 'main')")
    query(side, "ALTER TABLE log ADD m integer DEFAULT 7, DROP old; INSERT INTO log VALUES ('e', 5, 9)")
    assert db.value("SELECT result FROM pggit.merge('side', 'main')") == "fast_forward"
    for number, begins in enumerate(("main", "side", "before")):
        db.run("SELECT pggit.create_branch(%s, %s)", f"new{number}", begins)
        new = db.connect(branch=f"new{number}")
        assert len(shown(new)) == (5 if begins == "before" else 6)
        query(new, "INSERT INTO log (line, n) VALUES ('new', 1)")
        assert db.value("SELECT result FROM pggit.merge(%s, 'main')", f"new{number}") in ("merged", "fast_forward")
        assert db.value("SELECT result FROM pggit.merge('main', %s)", f"new{number}") in ("fast_forward", "up_to_date")
        assert shown(new) == shown(db.conn)
    assert shown(db.conn) == ["a|1|7", "a|1|7", "b|2|7", "c|3|7", "d|4|7", "e|5|9", "new|1|7", "new|1|7", "new|1|7"]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_reverted_column_is_not_taken_from_rows_that_were_given_it_since(db: Database) -> None:
    db.run(BEFORE)
    query(db.connect(branch="side"), "ALTER TABLE log ADD m integer DEFAULT 7, ALTER n TYPE bigint")
    db.run("INSERT INTO log VALUES ('main', 8, NULL)")
    commit = db.value("SELECT commit_id FROM pggit.merge('side', 'main')")
    db.run("INSERT INTO log (line, m) VALUES ('late', 9)")
    assert db.value("SELECT result FROM pggit.revert(%s, 'main')", commit) == "conflicted"
    assert [kind for (kind,) in db.rows("SELECT kind FROM pggit.merge_schema_conflicts")] == ["update_delete"]
    db.run("UPDATE log SET m = 7 WHERE line = 'late'")
    result, detail = db.row("SELECT result, detail FROM pggit.revert(%s, 'main')", commit)
    assert result == "merged", detail
    assert shown(db.conn) == ["a|1|x", "a|1|x", "b|2|", "c|3|z", "d|4|", "late||", "main|8|"]
    assert db.rows("SELECT * FROM pggit.verify()") == []


FILLED = "ALTER TABLE made ADD c text; UPDATE made SET c = 'new'{}; ALTER TABLE made ALTER c SET DEFAULT 'new'"


@pytest.mark.parametrize("filled", ["", " WHERE x = 1", " WHERE false"])
@pytest.mark.parametrize("target", ["main", "dev", "other"])
def test_a_default_that_came_after_the_column_doubles_no_row(db: Database, target: str, filled: str) -> None:
    """Add a column, fill it, and then give it a default, as migrations do: the target gets the column with the default."""
    db.run("""
        CREATE TABLE made (x integer, y text);
        INSERT INTO made VALUES (1, 'a'), (1, 'a'), (2, 'b');
        SELECT pggit.track_schema('public'); SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev'); SELECT pggit.create_branch('other');
    """)
    source = "main" if target == "dev" else "dev"
    session = db.connect(branch=source)
    query(session, FILLED.format(filled))
    query(
        db.connect(branch=target),
        "INSERT INTO made (x, y) VALUES (3, 'c')" if filled == "" else "DELETE FROM made WHERE x = 2",
    )
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "merged"
    value = {1: None if "false" in filled else "new", 2: "new" if filled == "" else None, 3: "new"}
    expected = [(x, y, value[x]) for x, y in ((1, "a"), (1, "a"), (2, "b"), (3, "c")) if filled == "" or x == 1]
    rows = "SELECT * FROM made ORDER BY x"
    assert query(db.connect(branch=target), rows).fetchall() == expected
    assert db.value("SELECT (pggit.merge(%s, %s)).result", target, source) == "fast_forward"
    assert query(session, rows).fetchall() == expected
    db.run("SELECT pggit.create_branch('again', %s)", target)
    assert query(db.connect(branch="again"), rows).fetchall() == expected
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_the_last_column_is_not_dropped_on_a_branch(db: Database, materialize: str) -> None:
    """Without one there is nothing to tell rows by."""
    db.run("CREATE TABLE log (line text); INSERT INTO log VALUES ('a'), ('a')")
    db.run("SELECT pggit.track_schema('public'), pggit.commit('first')")
    db.run(f"SELECT pggit.create_branch('side', p_materialize => '{materialize}')")
    side = db.connect(branch="side")
    with raises("VG307", "log would have no columns on branch 'side'"):
        query(side, "ALTER TABLE log DROP line")
    query(side, "ALTER TABLE log DROP line, ADD n integer DEFAULT 7; SELECT pggit.commit('another')")
    assert query(side, "SELECT * FROM log").fetchall() == [(7,), (7,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.value("SELECT (pggit.merge('side')).result") == "fast_forward"
    assert db.rows("SELECT * FROM log") == [(7,), (7,)]
