"""Rules decide cells that both sides changed; what they can't decide stays a conflict that says why."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises

#: rule → (type, base, ours, theirs, merged), and (…, part of the note) where it can't decide. `at` of ours is later.
DECIDED: dict[str, tuple[dict[str, str], str, str | None, str | None, str | None, str]] = {
    "ours": ({"rule": "ours"}, "integer", "1", "2", "3", "2"),
    "theirs": ({"rule": "theirs"}, "integer", "1", "2", "3", "3"),
    "base": ({"rule": "base"}, "integer", "1", "2", "3", "1"),
    "max": ({"rule": "max"}, "integer", "1", "20", "3", "20"),
    "min of dates": ({"rule": "min"}, "date", "2026-01-01", "2026-03-01", "2026-02-01", "2026-02-01"),
    "max takes the one that is there": ({"rule": "max"}, "integer", "1", None, "3", "3"),
    "sum": ({"rule": "sum"}, "integer", "10", "13", "8", "11"),
    "sum from nothing": ({"rule": "sum"}, "numeric(10,2)", None, "1.50", "2.25", "3.75"),
    "sum keeps below the limit": ({"rule": "sum"}, "smallint", "32000", "32700", "32010", "32710"),
    "sum of money": ({"rule": "sum"}, "money", "1", "3", "4", "$6.00"),
    "newest": ({"rule": "newest", "by": "at"}, "text", "a", "later", "earlier", "later"),
    "union": ({"rule": "union"}, "text[]", "{a,b}", "{b,c}", "{a,b,d}", "{b,c,d}"),
    "union of nothing": ({"rule": "union"}, "text[]", "{a,b}", "{b}", "{a}", "{}"),
    "union with NULL elements": ({"rule": "union"}, "integer[]", "{1}", "{1,NULL}", "{1,2}", "{1,NULL,2}"),
    "union in jsonb": ({"rule": "union"}, "jsonb", "[1]", '[1, "a"]', "[1, {}]", '[1, "a", {}]'),
    "concat": ({"rule": "concat"}, "text", "log", "log, ours", "log, theirs", "log, ours, theirs"),
    "concat of two beginnings": ({"rule": "concat"}, "text", None, "ours", "theirs", "ours\ntheirs"),
    "diff3": ({"rule": "diff3"}, "text", "a\nb\nc\n", "A\nb\nc\n", "a\nb\nC\nd\n", "A\nb\nC\nd\n"),
    "diff3, both added alike": ({"rule": "diff3"}, "text", "a\nb", "x\na\nb", "x\na\nB", "x\na\nB"),
    "non_null": ({"rule": "non_null"}, "integer", "1", None, "3", "3"),
    "expression": (
        {"rule": "expression", "expression": "greatest(ours, theirs) + base % 7"},
        "integer",
        "9",
        "1",
        "3",
        "5",
    ),
    "expression of a literal": ({"rule": "expression", "expression": "'100%'"}, "text", "a", "b", "c", "100%"),
}
OPEN: dict[str, tuple[dict[str, str], str, str | None, str | None, str | None, str]] = {
    "sum of NULL": ({"rule": "sum"}, "integer", "1", None, "3", "one side is NULL"),
    "sum of text": ({"rule": "sum"}, "text", "a", "b", "c", "operator does not exist"),
    "sum too large": ({"rule": "sum"}, "smallint", "0", "32000", "32001", "out of range"),
    "max of what has no order": ({"rule": "max"}, "json", "1", "2", "3", "comparison function"),
    "union of text": ({"rule": "union"}, "text", "a", "b", "c", "does not exist|polymorphic"),
    "union of an object": ({"rule": "union"}, "jsonb", "[1]", "{}", "[2]", "not all arrays"),
    "union of matrices": ({"rule": "union"}, "integer[]", "{1}", "{{1}}", "{2}", "one dimension"),
    "concat of a rewritten text": ({"rule": "concat"}, "text", "log", "logs", "lo", "more than add"),
    "diff3 of one line": ({"rule": "diff3"}, "text", "a\nb", "a\nB", "a\nc", "same lines"),
    "diff3 without base": ({"rule": "diff3"}, "text", None, "a", "b", "same lines"),
    "two values": ({"rule": "non_null"}, "integer", "1", "2", "3", "both sides have a value"),
    "an expression that fails": (
        {"rule": "expression", "expression": "ours / 0"},
        "integer",
        "1",
        "2",
        "3",
        "division by zero",
    ),
    "an expression of another type": (
        {"rule": "expression", "expression": "ours * 1.5"},
        "integer",
        "1",
        "2",
        "3",
        "gives numeric",
    ),
    "an expression that is none": (
        {"rule": "expression", "expression": "ours +"},
        "integer",
        "1",
        "2",
        "3",
        "syntax error",
    ),
    "a value that does not fit": (
        {"rule": "expression", "expression": "ours || theirs"},
        "varchar(3)",
        "a",
        "bb",
        "cc",
        "too long",
    ),
}


def parted(db: Database, column_type: str, base: str | None, ours: str | None, theirs: str | None) -> None:
    """Branch dev and main have changed cell v of row 1 of t; main has done so later."""
    db.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {column_type}, at integer DEFAULT 0)")
    db.run("INSERT INTO t VALUES (1, %s)", base)
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev')")
    query(db.connect(branch="dev"), "UPDATE t SET v = %s, at = 1", theirs)
    db.run("UPDATE t SET v = %s, at = 2", ours)


def merge(db: Database, *rules: dict[str, str], source: str = "dev", **options: Any) -> str:
    result: str = db.value(
        "SELECT (pggit.merge(%s, p_options => %s)).result", source, Jsonb({"rules": rules, **options})
    )
    return result


LATER = {"rule": "max", "column": "at"}


@pytest.mark.parametrize("case", DECIDED)
def test_a_rule_decides(db: Database, case: str) -> None:
    rule, column_type, base, ours, theirs, merged = DECIDED[case]
    parted(db, column_type, base, ours, theirs)
    assert merge(db, {**rule, "column": "v"}, LATER) == "merged"
    assert db.value("SELECT v::text FROM t") == merged
    assert db.value("SELECT rule FROM pggit.merge_conflicts WHERE column_name = 'v'") == rule["rule"]
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("case", OPEN)
def test_what_a_rule_cannot_decide_is_a_conflict_that_says_why(db: Database, case: str) -> None:
    rule, column_type, base, ours, theirs, note = OPEN[case]
    parted(db, column_type, base, ours, theirs)
    assert merge(db, {**rule, "column": "v"}, LATER) == "conflicted"
    column, said = db.row("SELECT column_name, note FROM pggit.merge_conflicts WHERE resolution IS NULL")
    assert column == "v"
    with pytest.raises(AssertionError, match=note):
        raise AssertionError(said)


@pytest.mark.pg(15)  # the wheels of 16 to 18 are built without ICU
def test_texts_are_merged_as_they_are_written(db: Database) -> None:
    """Not as a collation compares them: what it takes for equal would be lost."""
    db.run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    parted(db, "text COLLATE ci", "a\nb\nc", "A\nb\nc", "a\nb\nd")
    assert merge(db, {"rule": "diff3", "column": "v"}, LATER) == "merged"
    assert db.value("SELECT v FROM t") == "A\nb\nd"


def test_one_cell_that_fails_does_not_keep_the_rule_from_the_others(small: Database) -> None:
    """Of three counters one would be too large."""
    small.run("CREATE TABLE n (id integer PRIMARY KEY, v smallint)")
    small.run("INSERT INTO n VALUES (1, 0), (2, 0), (3, 0)")
    small.run("SELECT pggit.commit('counters')")
    small.run("SELECT pggit.create_branch('dev')")
    query(small.connect(branch="dev"), "UPDATE n SET v = CASE id WHEN 2 THEN 32001 ELSE 1 END")
    small.run("UPDATE n SET v = CASE id WHEN 2 THEN 32000 ELSE 2 END")
    assert merge(small, {"rule": "sum", "table": "n"}) == "conflicted"
    assert small.rows("SELECT key ->> 'id', resolved_value::text, note FROM pggit.merge_conflicts ORDER BY 1") == [
        ("1", "3", None),
        ("2", None, "sum: smallint out of range"),
        ("3", "3", None),
    ]


def test_the_first_rule_that_can_decides(db: Database) -> None:
    """Those given come before those kept, exact names before patterns; one that can't is followed by the next."""
    parted(db, "integer", "1", None, "3")
    db.run("SELECT pggit.add_merge_rule('*', '*', 'ours')")
    db.run("SELECT pggit.add_merge_rule('public.t', 'v', 'non_null')")
    db.run("SELECT pggit.add_merge_rule('t', '*', 'max')")
    assert merge(db, {"rule": "sum", "column": "v"}) == "merged"
    assert db.row("SELECT v, at FROM t") == (3, 2)
    decided = "SELECT column_name, rule FROM pggit.merge_conflicts ORDER BY 1"
    assert db.rows(decided) == [("at", "max"), ("v", "non_null")]
    assert db.value(
        "SELECT outcome.detail -> 'decided_by_rules' FROM (SELECT (m.outcome).* FROM pggit.merges AS m) AS outcome"
    ) == {
        "max": 1,
        "non_null": 1,
    }


def test_a_rule_is_kept_until_it_is_deleted(db: Database) -> None:
    parted(db, "integer", "1", "2", "3")
    number = db.value("SELECT pggit.add_merge_rule('t', '*', 'theirs')")
    assert db.value("SELECT pggit.delete_merge_rule(%s)", number) is True
    assert db.value("SELECT pggit.delete_merge_rule(%s)", number) is False
    assert merge(db) == "conflicted"


def test_two_rows_with_one_key_are_decided_cell_by_cell(small: Database) -> None:
    small.run("CREATE TABLE n (id integer PRIMARY KEY, v integer, w text, same text)")
    small.run("SELECT pggit.commit('n')")
    small.run("SELECT pggit.create_branch('dev')")
    query(small.connect(branch="dev"), "INSERT INTO n VALUES (1, 5, 'theirs', 's'), (2, 5, 'w', 's')")
    small.run("INSERT INTO n VALUES (1, 7, 'ours', 's'), (2, 7, 'w', 's')")
    assert merge(small, {"rule": "sum", "table": "n", "column": "v"}) == "conflicted"
    assert small.rows("SELECT key ->> 'id', rule, note FROM pggit.merge_conflicts ORDER BY 1") == [
        ("1", None, "w: no rule"),
        ("2", "sum", None),
    ]
    assert merge(small, {"rule": "sum", "table": "n", "column": "v"}, {"rule": "theirs", "column": "w"}) == "merged"
    assert small.rows("SELECT * FROM n ORDER BY id") == [(1, 12, "theirs", "s"), (2, 12, "w", "s")]


def test_a_row_that_one_side_deleted_is_decided_by_a_side_for_all_columns(db: Database) -> None:
    parted(db, "integer", "1", "2", "3")
    query(db.connect(branch="dev"), "DELETE FROM t")
    assert merge(db, {"rule": "theirs", "column": "v"}) == "conflicted"
    assert merge(db, {"rule": "max"}, {"rule": "theirs"}) == "merged"
    assert db.rows("SELECT * FROM t") == []


def test_a_person_overrules_a_rule(db: Database) -> None:
    """Also when the merge is planned again, by the option resolutions or by resolve_conflict."""
    parted(db, "text", "a", "b", "c")
    assert merge(db, {"rule": "theirs", "column": "v"}) == "conflicted"
    merge_id = db.value("SELECT merge_id FROM pggit.merges ORDER BY created_at DESC LIMIT 1")
    conflict = db.value(
        "SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s AND column_name = 'v'", merge_id
    )
    db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, conflict, Jsonb("mine"))
    db.run("SELECT pggit.resolve_conflicts(%s, 'ours')", merge_id)
    assert db.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert db.value("SELECT v FROM t") == "mine"


def test_a_resolution_that_is_given_overrules_a_rule(db: Database) -> None:
    parted(db, "text", "a", "b", "c")
    given = [{"table": "t", "column": "v", "take": "base"}]
    assert merge(db, {"rule": "theirs", "column": "v"}, LATER, resolutions=given) == "merged"
    assert db.value("SELECT v FROM t") == "a"


def test_a_revert_takes_only_the_rules_given_with_it(db: Database) -> None:
    """sum takes away exactly what the commit added."""
    parted(db, "integer", "10", "13", "8")
    db.run("SELECT pggit.add_merge_rule('t', '*', 'max')")
    db.run("SELECT pggit.commit('plus three')")
    db.run("UPDATE t SET v = v + 4, at = 2")
    db.run("SELECT pggit.commit('plus four')")
    assert db.value("SELECT (pggit.revert('main~1')).result") == "conflicted"
    rules = Jsonb({"rules": [{"rule": "sum", "column": "v"}]})
    assert db.value("SELECT (pggit.revert('main~1', p_options => %s)).result", rules) == "merged"
    assert db.row("SELECT v, at FROM t") == (14, 0)


def test_rules_work_on_odd_names(small: Database) -> None:
    """A * in a name is also a *."""
    small.run("""CREATE TABLE "a.b %*" (id integer PRIMARY KEY, "x*_%y" integer, "x" integer)""")
    small.run('INSERT INTO "a.b %*" VALUES (1, 0, 0)')
    small.run("SELECT pggit.commit('odd')")
    small.run("SELECT pggit.create_branch('dev')")
    query(small.connect(branch="dev"), 'UPDATE "a.b %*" SET "x*_%y" = 1, x = 1')
    small.run('UPDATE "a.b %*" SET "x*_%y" = 2, x = 2')
    rules = [
        {"rule": "sum", "table": "a.b %*", "column": "x*_%y"},
        {"rule": "min", "table": "public.a*", "column": "x"},
    ]
    assert merge(small, *rules) == "merged"
    assert small.row('SELECT "x*_%y", x FROM "a.b %*"') == (3, 1)


def test_rules_decide_on_a_branch_and_the_branch_keeps_it(db: Database) -> None:
    parted(db, "integer", "1", "2", "3")
    rules = Jsonb({"rules": [{"rule": "sum"}]})
    assert db.value("SELECT (pggit.merge('main', 'dev', p_options => %s)).result", rules) == "merged"
    assert query(db.connect(branch="dev"), "SELECT v, at FROM t").fetchall() == [(4, 3)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_the_plan_says_what_rules_would_do(db: Database) -> None:
    parted(db, "integer", "1", "2", "3")
    plan = "SELECT result, conflicts, rows_updated FROM pggit.plan_merge('dev', p_options => %s)"
    assert db.row(plan, Jsonb({"rules": [{"rule": "sum"}]})) == ("planned", 0, 1)
    assert db.row("SELECT v, at FROM t") == (2, 2)


WRONG = {
    "no such rule": ({"rule": "mix"}, "there is no rule 'mix'"),
    "no rule": ({"column": "v"}, "there is no rule NULL"),
    "a field too many": ({"rule": "max", "type": "x"}, "no field 'type'"),
    "newest of what": ({"rule": "newest"}, "it needs by, the column"),
    "by for max": ({"rule": "max", "by": "at"}, "by is for the rule newest alone"),
    "expression for max": ({"rule": "max", "expression": "1"}, "expression is for the rule expression alone"),
    "no expression": ({"rule": "expression"}, "it needs expression"),
    "two statements": ({"rule": "expression", "expression": "1; DROP TABLE t"}, "has no ;"),
    "a comment": ({"rule": "expression", "expression": "1 -- x"}, "no comment"),
    "no such column": ({"rule": "max", "table": "t", "column": "w"}, "column 'w'"),
    "the key": ({"rule": "max", "table": "t", "column": "id"}, "column id of table t is in its key"),
    "no such column beside it": ({"rule": "newest", "table": "t", "column": "v", "by": "w"}, "has no column 'w'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_rule_that_makes_no_sense_is_refused(db: Database, case: str) -> None:
    rule, message = WRONG[case]
    parted(db, "integer", "1", "2", "3")
    with raises("VG202", message):
        merge(db, rule)


def test_an_expression_cannot_write(db: Database) -> None:
    """Not by a subquery that writes; a function that does is the caller's own doing, as in any query."""
    parted(db, "integer", "1", "2", "3")
    rule = {"rule": "expression", "column": "v", "expression": "(WITH x AS (DELETE FROM t RETURNING 1) SELECT 1)"}
    assert merge(db, rule, LATER) == "conflicted"
    assert db.value("SELECT count(*) FROM t") == 1
