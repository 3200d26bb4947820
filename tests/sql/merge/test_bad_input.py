"""What makes no sense is refused with an error of pggit's own, and nothing is lost by it."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises


def tear(small: Database) -> None:
    small.run("INSERT INTO t VALUES (2, 'b'); ALTER TABLE t ADD j jsonb; SELECT pggit.commit('two')")
    small.run("SELECT pggit.create_branch('side', p_materialize => 'none')")
    query(small.connect(branch="side"), "UPDATE t SET a = 'side' WHERE id = 1; DELETE FROM t WHERE id = 2")
    small.run("UPDATE t SET a = 'main'")


@pytest.fixture
def torn(small: Database) -> Database:
    """Row 1 is another on both sides, row 2 is deleted on the branch and changed on main."""
    return small.begin(tear)


MERGE = "SELECT merge_id FROM pggit.merge('side', 'main', NULL, %s)"


def test_a_value_that_was_forgotten_deletes_nothing(torn: Database) -> None:
    with raises("VG204", "has no value"):
        torn.run(MERGE, '{"resolutions": [{"table": "t", "take": "value"}]}')
    merge = torn.value(MERGE, "{}")
    row = torn.value("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s AND column_name IS NULL", merge)
    with raises("VG204", "JSON null to delete the row"):
        torn.run("SELECT pggit.resolve_conflict(%s, %s, 'value')", merge, row)
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'value', 'null')", merge, row)
    torn.run("SELECT pggit.resolve_conflicts(%s, 'ours')", merge)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert torn.rows("SELECT id, a FROM t") == [(1, "main")]


@pytest.mark.parametrize(
    ("resolution", "why"),
    [
        ('{"tabel": "t", "take": "ours"}', "names no conflict"),
        ('{"table": "t", "colunm": "a", "take": "ours"}', "no field 'colunm'"),
        ('{"take": "ours"}', "names no conflict"),
        ('{"table": null, "take": "ours"}', "names no conflict"),
        ('"ours"', "no object"),
        ('{"table": "t", "key": 1, "take": "ours"}', "its key is no object"),
        ('{"table": "t", "take": "our"}', "not by 'our'"),
        ('{"table": "t"}', "not by NULL"),
    ],
)
def test_a_misspelled_resolution_decides_nothing(torn: Database, resolution: str, why: str) -> None:
    """It would be for all conflicts, or for more than it names."""
    with raises("VG204", why):
        torn.run(MERGE, f'{{"resolutions": [{resolution}]}}')


def nested(depth: int, leaf: str) -> str:
    return '{"a": ' * depth + leaf + "}" * depth


@pytest.mark.parametrize(("depth", "result"), [(150, "merged"), (3000, "conflicted")])
def test_a_document_that_is_nested_deeper_than_can_be_merged_is_a_conflict(
    torn: Database, depth: int, result: str
) -> None:
    torn.run("SELECT pggit.merge('side', 'main', NULL, '{\"on_conflict\": \"ours\"}')")
    torn.run("UPDATE t SET j = %s WHERE id = 1", nested(depth, '{"x": 1, "y": 1}'))
    torn.run("SELECT pggit.merge('main', 'side')")
    query(torn.connect(branch="side"), "UPDATE t SET j = %s WHERE id = 1", nested(depth, '{"x": 2, "y": 1}'))
    torn.run("UPDATE t SET j = %s WHERE id = 1", nested(depth, '{"x": 1, "y": 2}'))
    assert torn.value("SELECT result FROM pggit.merge('side', 'main')") == result
    if result == "merged":
        assert torn.value("SELECT j = %s FROM t WHERE id = 1", nested(depth, '{"x": 2, "y": 2}'))


def test_triggers_fire_or_do_not(torn: Database) -> None:
    with raises("VG202", "NULL is neither"):
        torn.run("SELECT pggit.fire_triggers('t', NULL)")


@pytest.mark.parametrize(
    "call", ["revert(NULL)", "cherry_pick(NULL, 'dev')", "reset('main', NULL)", "reset('main', NULL, 'soft')"]
)
def test_null_names_no_commit_to_undo(db: Database, call: str) -> None:
    """As a subquery gives it that finds nothing."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_table('t'), pggit.commit('first')")
    db.run(
        "INSERT INTO t VALUES (1); SELECT pggit.commit('second'), pggit.create_branch('dev'); INSERT INTO t VALUES (2)"
    )
    with raises("VG202", "no commit is named"):
        db.run(f"SELECT pggit.{call}")
    assert db.rows("SELECT id FROM t ORDER BY 1") == [(1,), (2,)]


def refused(db: Database, sql: str, *args: object) -> tuple[str, str, str]:
    """SQLSTATE, message and hint."""
    with pytest.raises(psycopg.Error) as error:
        db.run(sql, *args)
    said = error.value.diag
    return said.sqlstate or "", said.message_primary or "", said.message_hint or ""


#: option → (what is given, what the error says, how the hint begins)
MISSPELLED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a column to fill": (
        {"fill": {"t.jj": "1"}},
        "option fill: no tracked table has a column 't.jj', on any branch",
        "Did you mean 't.j'? ",
    ),
    "a table to fill": (
        {"fill": {"public.tt.a": "1"}},
        "option fill: no tracked table has a column 'public.tt.a', on any branch",
        "Did you mean 'public.t.a' or ",
    ),
    "an option": ({"on_conflct": "ours"}, "there is no merge option 'on_conflct'", "Did you mean 'on_conflict'? "),
    "a rule's table": (
        {"rules": [{"table": "tt", "rule": "ours"}]},
        "merge rule ours: there is no tracked table 'tt'",
        "Did you mean 't'? ",
    ),
    "a rule's column": (
        {"rules": [{"table": "t", "column": "aa", "rule": "ours"}]},
        "merge rule ours: table t has no column 'aa'",
        "Did you mean 'a'? ",
    ),
    "a rule's other column": (
        {"rules": [{"table": "t", "column": "a", "rule": "newest", "by": "att"}]},
        "merge rule newest: table t has no column 'att'",
        "There is 'a', 'id', 'j'. ",
    ),
    "a resolution's table": (
        {"resolutions": [{"table": "public.tt", "take": "ours"}]},
        "there is no conflict in table public.tt in this merge",
        "Did you mean 't'? ",
    ),
    "a resolution's column": (
        {"resolutions": [{"table": "t", "column": "aa", "take": "ours"}]},
        "there is no conflict in table t column aa in this merge",
        "Did you mean 'a'? ",
    ),
    "a resolution's key": (
        {"resolutions": [{"table": "t", "key": {"id": 7}, "column": "a", "take": "ours"}]},
        'there is no conflict in table t key {"id": 7} column a in this merge',
        "Without it the merge waits with its conflicts",
    ),
}


@pytest.mark.parametrize("case", MISSPELLED)
def test_a_name_in_the_options_that_is_not_there_is_told(torn: Database, case: str) -> None:
    options, said, hint = MISSPELLED[case]
    _, message, way_out = refused(torn, "SELECT pggit.plan_merge('side', 'main', %s)", Jsonb(options))
    assert (message, way_out[: len(hint)]) == (said, hint)
    assert torn.rows("SELECT * FROM pggit.merge_status()") == []


def test_columns_that_only_a_branch_has_can_be_named(torn: Database) -> None:
    """What is to be filled, and what two branches have both added."""
    query(torn.connect(branch="side"), "ALTER TABLE t ADD n integer; UPDATE t SET n = 1")
    torn.run("SELECT pggit.commit('side', 'side'), pggit.create_branch('other', 'side')")
    query(torn.connect(branch="side"), "UPDATE t SET n = 3")
    query(torn.connect(branch="other"), "UPDATE t SET n = 7")
    options = Jsonb({"rules": [{"table": "t", "column": "n", "rule": "max"}]})
    assert torn.value("SELECT result FROM pggit.merge('other', 'side', NULL, %s)", options) == "merged"
    assert query(torn.connect(branch="side"), "SELECT n FROM t").fetchall() == [(7,)]
    for name in ("t.n", "public.t.n"):
        options = Jsonb({"fill": {name: "0"}, "on_conflict": "ours"})
        assert torn.value("SELECT result FROM pggit.plan_merge('side', 'main', %s)", options) == "planned"


#: (rule, column, by or expression, what the error says)
IDLE = {
    "a sum of texts": ("sum", "a", {}, "operator does not exist: text + text"),
    "texts as arrays": ("union", "a", {}, "it is for arrays"),
    "documents by line": ("diff3", "j", {}, "it is for texts"),
    "what has no order": ("max", "j2", {}, "could not identify a comparison function for type json"),
    "newer by what has no order": ("newest", "a", {"by": "j2"}, "operator does not exist: json <> json"),
    "an expression of another type": ("expression", "a", {"expression": "length(ours)"}, "it gives another type"),
    "an expression of what is not there": ("expression", "a", {"expression": "our || theirs"}, '"our" does not exist'),
    "the key": ("sum", "id", {}, "column id of table t is in its key"),
    "a generated column": ("ours", "g", {}, "column g of table t is generated from others"),
}


@pytest.mark.parametrize("case", IDLE)
def test_a_rule_that_can_never_decide_is_refused(torn: Database, case: str) -> None:
    """Where it names one column; one for many is for those of them that it can decide."""
    rule, column, more, why = IDLE[case]
    torn.run("ALTER TABLE t ADD j2 json, ADD g text GENERATED ALWAYS AS (a || '!') STORED")
    given = {"table": "t", "column": column, "rule": rule, **more}
    with raises("VG202", f"merge rule {rule}: .*{re.escape(why)}"):
        torn.run("SELECT pggit.plan_merge('side', 'main', %s)", Jsonb({"rules": [given]}))
    keep = "SELECT pggit.add_merge_rule(%s, %s, %s, %s, %s)"
    with raises("VG202", re.escape(why)):
        torn.run(keep, "t", column, rule, more.get("by"), more.get("expression"))
    assert torn.value(keep, "*", column, rule, more.get("by"), more.get("expression")) == 1


def test_a_rule_is_given_where_it_can_decide(torn: Database) -> None:
    torn.run("ALTER TABLE t ADD n smallint, ADD xs text[], ADD at timestamptz, ADD c varchar(9), ADD d date")
    for rule, column, by, expression in (
        ("sum", "n", None, None),
        ("max", "d", None, None),
        ("max", "j", None, None),
        ("union", "xs", None, None),
        ("union", "j", None, None),
        ("newest", "j", "at", None),
        ("concat", "c", None, None),
        ("diff3", "a", None, None),
        ("non_null", "xs", None, None),
        ("expression", "c", None, "'100%%'"),
        ("expression", "n", None, "(1 / (ours - ours))::smallint"),
        ("base", "j", None, None),
    ):
        assert torn.value("SELECT pggit.add_merge_rule('t', %s, %s, %s, %s)", column, rule, by, expression) > 0


def test_a_misspelled_column_decides_none_of_many(torn: Database) -> None:
    merge = torn.value(MERGE, "{}")
    call = "SELECT pggit.resolve_conflicts(%s, %s, %s, %s)"
    for table, said in (("t", "table public.t has no column 'aa'"), (None, "no tracked table has a column 'aa'")):
        code, message, hint = refused(torn, call, merge, "ours", table, "aa")
        assert (code, message) == ("VG202", said)
        assert hint.startswith("Did you mean 'a'? ")
    with raises("VG004", "there is no table 'tt'"):
        torn.run(call, merge, "ours", "tt", None)
    for how in ("our", None):
        with raises("VG204", "ours, theirs, base or remembered"):
            torn.run(call, merge, how, "t", "j")
    assert torn.value(call, merge, "ours", "t", "j") == 0
    assert torn.value(call, merge, "ours", "t", "a") == 1


OTHERWISE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"table": "t", "key": {"id": 1}, "column": "a", "take": "ours"}, {"table": "t", "key": {"id": 1}, "column": "a"}),
    ({"table": "t", "key": {"id": 1}, "take": "ours"}, {"table": "t", "column": "a"}),
    ({"table": "t", "take": "ours"}, {"table": "public.t"}),
    ({"column": "a", "take": "value", "value": "x"}, {"column": "a", "value": "y", "take": "value"}),
]


@pytest.mark.parametrize("number", range(len(OTHERWISE)))
def test_a_conflict_that_is_decided_in_two_ways_is_not_decided(torn: Database, number: int) -> None:
    one, other = OTHERWISE[number]
    given = [one, {"take": "theirs"} | other]
    before = torn.rows("SELECT * FROM t ORDER BY id")
    for both in (given, given[::-1]):
        with raises("VG204", "is decided in two ways: by resolution"):
            torn.run(MERGE, Jsonb({"on_conflict": "ours", "resolutions": both}))
    assert torn.rows("SELECT * FROM t ORDER BY id") == before
    both = [one, one]
    assert (
        torn.value(MERGE.replace("merge_id", "result"), Jsonb({"on_conflict": "ours", "resolutions": both})) == "merged"
    )


def test_a_conflict_id_that_is_decided_in_two_ways_is_refused_before_anything(torn: Database) -> None:
    """Whether it is of a row or of a definition, and before other merges are spoken of."""
    torn.run(MERGE, "{}")
    said: list[str] = []
    torn.conn.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    both = [{"conflict_id": "0123456789abcdef", "take": take} for take in ("ours", "theirs")]
    with raises("VG204", "'0123456789abcdef' is decided in two ways"):
        torn.run(MERGE, Jsonb({"resolutions": both}))
    with raises("VG202", "no merge option"):
        torn.run(MERGE, '{"on_conflct": "ours"}')
    assert said == []
    torn.run(MERGE, "{}")
    assert said == ["merge of 'side' into 'main' waits already for decisions about conflicts; this is another one"]


def test_what_says_most_closely_which_conflict_it_means_decides(torn: Database) -> None:
    """In whatever order they are given."""
    merge = torn.value(MERGE, "{}")
    cell = torn.value("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s AND column_name = 'a'", merge)
    given: list[dict[str, Any]] = [{"table": "t", "take": "theirs"}]
    decided = "SELECT resolution, resolved_value FROM pggit.merge_conflicts WHERE merge_id = %s AND column_name = 'a'"
    for closer, expected in (
        ({"table": "t", "column": "a", "take": "base"}, ("base", None)),
        ({"table": "t", "key": {"id": 1}, "column": "a", "take": "ours"}, ("ours", None)),
        ({"conflict_id": cell, "take": "value", "value": "mine"}, ("value", "mine")),
    ):
        given = [closer, *given]
        for order in (given, given[::-1]):
            plan = torn.value(
                "SELECT merge_id FROM pggit.plan_merge('side', 'main', %s)", Jsonb({"resolutions": order})
            )
            assert torn.row(decided, plan) == expected
    result = torn.value(MERGE.replace("merge_id", "result"), Jsonb({"resolutions": given}))
    assert (result, torn.rows("SELECT id, a FROM t")) == ("merged", [(1, "mine")])


def test_a_key_may_be_given_in_text_form(torn: Database) -> None:
    for key in ({"id": "1"}, {"id": 1}, {"id": 1.0}):
        options = Jsonb({"resolutions": [{"table": "t", "key": key, "take": "theirs"}], "on_conflict": "ours"})
        plan = torn.value("SELECT merge_id FROM pggit.plan_merge('side', 'main', %s)", options)
        assert torn.rows(
            "SELECT key, resolution FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY key", plan
        ) == [({"id": 1}, "theirs"), ({"id": 2}, "ours")]


@pytest.mark.parametrize(
    "call",
    [
        "continue_merge(NULL)",
        "abort_merge(NULL)",
        "merge_steps(NULL)",
        "resolve_conflicts(NULL, 'ours')",
        "resolve_conflict(NULL, 'x', 'ours')",
    ],
)
def test_null_names_no_merge(torn: Database, call: str) -> None:
    """As a subquery gives it that finds nothing."""
    assert refused(torn, f"SELECT pggit.{call}")[:2] == ("VG202", "no merge is named: its id is NULL")


def test_options_are_no_message(torn: Database) -> None:
    code, message, hint = refused(torn, """SELECT pggit.merge('side', 'main', '{"on_conflict": "ours"}')""")
    assert (code, message) == ("VG202", "the options of a merge are given as its message")
    assert """p_options => '{"on_conflict": "ours"}'""" in hint
    for empty in ("", " "):
        with raises("VG202", "the message of a merge is not empty"):
            torn.run("SELECT pggit.merge('side', 'main', %s)", empty)
    torn.run("SELECT pggit.merge('side', 'main', NULL, '{\"on_conflict\": \"ours\"}')")
    for number, said in enumerate(('{"ticket": 7}', "{squash}", '{"squash": true} is what it was')):
        query(torn.connect(branch="side"), f"INSERT INTO t VALUES ({number + 7})")
        assert torn.value("SELECT result FROM pggit.merge('side', 'main', %s)", said) == "merged"
        assert torn.value("SELECT message FROM pggit.log() LIMIT 1") == said


def test_what_is_pending_is_merged_by_the_name_of_its_branch(torn: Database) -> None:
    for call in ("merge('WORKING', 'main')", "cherry_pick('WORKING')", "reset('side', 'WORKING')"):
        code, message, hint = refused(torn, f"SELECT pggit.{call}")
        assert (code, message) == ("VG002", "'WORKING' is a branch as it is now, and here a commit is asked for")
        assert "given by its name" in hint


def test_what_a_reset_takes_away_is_named(torn: Database) -> None:
    said: list[tuple[str, str]] = []
    torn.conn.add_notice_handler(lambda notice: said.append((notice.message_primary or "", notice.message_hint or "")))
    torn.run("SELECT pggit.reset('main', 'HEAD')")
    ((kept, way_back),) = said
    assert torn.value("SELECT count(*) FROM t WHERE a = 'main'") == 0
    assert re.fullmatch("what was pending on branch 'main' is kept in commit [0-9a-f]{12}", kept)
    torn.run(way_back.removesuffix(" brings the branch back there."))
    assert torn.value("SELECT count(*) FROM t WHERE a = 'main'") == 2
    torn.run("SELECT pggit.reset('main', 'HEAD~1')")
    assert len(said) == 1, "nothing was pending"
