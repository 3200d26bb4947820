"""Merges that wait: several at once, on branches that move on, for decisions that were made before."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.postgres import Database, query, raises


def tear(small: Database) -> None:
    small.run("""
        INSERT INTO t VALUES (2, 'b');
        SELECT pggit.commit('two');
        SELECT pggit.create_branch('a', p_materialize => 'none');
        SELECT pggit.create_branch('b', p_materialize => 'all');
        UPDATE t SET a = 'main' WHERE id = 1;
    """)
    for branch, last in (("a", 1), ("b", 2)):
        with small.connect(branch=branch) as session:
            query(session, "UPDATE t SET a = %s WHERE id <= %s", f"of {branch}", last)


@pytest.fixture
def torn(small: Database) -> Database:
    """main, a and b each have another value of row 1, and b another row 2."""
    return small.begin(tear)


def begin(db: Database, source: str, target: str) -> Any:
    merge, result = db.row("SELECT merge_id, result FROM pggit.merge(%s, %s)", source, target)
    assert result == "conflicted"
    return merge


def shown(db: Database, branch: str) -> list[tuple[Any, ...]]:
    return query(db.connect(branch=branch), "SELECT * FROM t ORDER BY id").fetchall()


def test_several_merges_wait_and_each_is_decided_for_itself(torn: Database) -> None:
    one, two, three = begin(torn, "a", "main"), begin(torn, "main", "b"), begin(torn, "b", "a")
    for merge, side in ((one, "theirs"), (two, "ours"), (three, "base")):
        assert torn.value("SELECT pggit.resolve_conflicts(%s, %s)", merge, side) == 1
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", three) == "merged"
    assert shown(torn, "a") == [(1, "a"), (2, "of b")]
    # Its source has moved since: what was decided was about another conflict, and there is none now.
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", one) == "merged"
    assert shown(torn, "main") == [(1, "main"), (2, "of b")]
    # b is an ancestor of main now.
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", two) in ("merged", "fast_forward")
    assert shown(torn, "b") == [(1, "main"), (2, "of b")]
    for merge in (one, two, three):
        with raises("VG303", "is settled"):
            torn.run("SELECT pggit.continue_merge(%s)", merge)


def test_what_still_applies_is_kept_when_both_sides_move(torn: Database) -> None:
    query(torn.connect(branch="a"), "UPDATE t SET a = 'of a' WHERE id = 2")
    torn.run("UPDATE t SET a = 'main' WHERE id = 2")
    merge = begin(torn, "a", "main")
    ids = "SELECT (key ->> 'id')::integer, conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1"
    for key, conflict in torn.rows(ids, merge):
        torn.run("SELECT pggit.resolve_conflict(%s, %s, 'value', to_jsonb(%s::text))", merge, conflict, f"both {key}")
    torn.run("INSERT INTO t VALUES (3, 'new'); UPDATE t SET a = 'main again' WHERE id = 2")
    query(torn.connect(branch="a"), "INSERT INTO t VALUES (4, 'new there')")
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "conflicted"
    found = "SELECT (key ->> 'id')::integer, resolution FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1"
    assert torn.rows(found, merge) == [(1, "value"), (2, None)]
    torn.run("SELECT pggit.resolve_conflicts(%s, 'ours')", merge)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert shown(torn, "main") == [(1, "both 1"), (2, "main again"), (3, "new"), (4, "new there")]


def test_a_source_that_is_gone(torn: Database) -> None:
    merge = begin(torn, "a", "main")
    torn.run("SELECT pggit.delete_branch('a', p_force => true)")
    for call in ("merge('a')", "plan_merge('a')"):
        with raises("VG002", "'a' is no branch"):
            torn.run(f"SELECT pggit.{call}")
    with raises("VG002", "branch 'a' has been deleted since merge"):
        torn.run("SELECT pggit.continue_merge(%s)", merge)
    with raises("VG001"):
        torn.run("SELECT pggit.merge('main', 'a')")
    assert torn.value("SELECT pggit.abort_merge(%s)", merge) is True
    assert shown(torn, "main") == [(1, "main"), (2, "b")]


REMADE = """
    SELECT pggit.delete_branch('{0}', p_force => true);
    SELECT pggit.create_branch('{0}', 'main', p_materialize => 'none');
"""


@pytest.mark.parametrize("call", ["merge('a', 'b')", "plan_merge('a', 'b')", "rebase('b', 'a')"])
@pytest.mark.parametrize(("gone", "sqlstate"), [("a", "VG002"), ("b", "VG001")])
def test_a_branch_that_was_made_again_is_another(torn: Database, call: str, gone: str, sqlstate: str) -> None:
    """As source or target, whoever has its name now; one that was renamed is still the same."""
    merge = torn.value(f"SELECT merge_id FROM pggit.{call}")
    torn.run("SELECT pggit.commit('of main'); UPDATE t SET a = 'newer' WHERE id = 2")
    torn.run(REMADE.format(gone))
    query(torn.connect(branch=gone), "DELETE FROM t WHERE id = 2")
    before = [shown(torn, branch) for branch in ("main", "a", "b")]
    torn.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    with raises(sqlstate, f"branch '{gone}' has been deleted since merge"):
        torn.run("SELECT pggit.continue_merge(%s)", merge)
    assert [shown(torn, branch) for branch in ("main", "a", "b")] == before
    assert torn.value("SELECT pggit.abort_merge(%s)", merge) is True


def test_a_branch_that_was_renamed_is_the_same(torn: Database) -> None:
    merge = begin(torn, "a", "b")
    torn.run("SELECT pggit.rename_branch('a', 'one'); SELECT pggit.rename_branch('b', 'two')")
    torn.run("SELECT pggit.create_branch('a', 'main', p_materialize => 'none')")
    torn.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert shown(torn, "two") == [(1, "of a"), (2, "of b")]
    assert torn.value("SELECT message FROM pggit.log('two') LIMIT 1") == "Merge one into two"


def test_a_tag_or_commit_that_waits_is_what_it_was(torn: Database) -> None:
    """A branch hides a tag of its name, and a tag may be set anew."""
    torn.run("SELECT pggit.commit('of a', 'a'); SELECT pggit.tag('v1', 'a')")
    merge = begin(torn, "v1", "main")
    torn.run("SELECT pggit.delete_tag('v1'); SELECT pggit.tag('v1', 'b')")
    torn.run("SELECT pggit.create_branch('v1', 'b', p_materialize => 'none')")
    torn.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert shown(torn, "main") == [(1, "of a"), (2, "b")]


def test_what_was_approved_is_approved_for_that_branch(torn: Database) -> None:
    """Not for another that has its name, though the same rows would be written."""
    plan = "SELECT plan_hash FROM pggit.plan_merge('a', 'c')"
    torn.run("SELECT pggit.tag('two', 'a'); SELECT pggit.create_branch('c', 'two', p_materialize => 'none')")
    approved = torn.value(plan)
    torn.run(REMADE.format("c").replace("'main'", "'two'"))
    assert torn.value(plan) != approved
    merge = "SELECT result FROM pggit.merge('a', 'c', NULL, jsonb_build_object('approved_plan', %s::text))"
    assert torn.value(merge, approved) == "refused"
    assert shown(torn, "c") == [(1, "a"), (2, "b")]
    assert torn.value(merge, torn.value(plan)) == "fast_forward"


def test_what_is_settled_takes_no_decisions(torn: Database) -> None:
    merge = begin(torn, "a", "main")
    conflict = torn.value("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge, conflict)
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", merge, conflict)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    with raises("VG303", "is settled: merged"):
        torn.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge, conflict)
    with raises("VG303", "is settled: merged"):
        torn.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    with raises("VG303"):
        torn.run("SELECT pggit.abort_merge(%s)", merge)
    assert shown(torn, "main") == [(1, "main"), (2, "b")]


def test_what_was_decided_is_offered_when_the_conflict_returns(torn: Database) -> None:
    """In a merge that is begun anew, by whomever; one that nobody has decided stays open, as does one that changed."""
    query(torn.connect(branch="a"), "UPDATE t SET a = 'of a' WHERE id = 2; INSERT INTO t VALUES (3, 'of a')")
    torn.run("UPDATE t SET a = 'main' WHERE id = 2; INSERT INTO t VALUES (3, 'main')")
    first = begin(torn, "a", "main")
    asked = "SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY (key ->> 'id')::integer"
    one, two, _ = [conflict for (conflict,) in torn.rows(asked, first)]
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", first, one)
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'value', '\"both\"')", first, one)
    torn.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", first, two)
    torn.run("SELECT pggit.abort_merge(%s)", first)
    torn.run("UPDATE t SET a = 'main again' WHERE id = 2")

    again = begin(torn, "a", "main")
    offered = (
        "SELECT remembered, remembered_value, resolution FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY key"
    )
    assert torn.rows(offered, again) == [("value", "both", None), (None, None, None), (None, None, None)]
    assert torn.value("SELECT pggit.resolve_conflicts(%s, 'remembered')", again) == 1
    assert torn.value("SELECT pggit.resolve_conflicts(%s, 'remembered')", again) == 0
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", again) == "conflicted"
    torn.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", again)
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", again) == "merged"
    assert shown(torn, "main") == [(1, "both"), (2, "of a"), (3, "of a")]


def test_what_is_decided_later_is_the_later_word(torn: Database) -> None:
    """The option resolutions was there first; and the conflict that it names may be gone when the merge goes on."""
    query(torn.connect(branch="a"), "UPDATE t SET a = 'of a'; INSERT INTO t VALUES (3, 'of a')")
    torn.run("UPDATE t SET a = 'main'; INSERT INTO t VALUES (3, 'main')")
    decided = '{"table": "t", "key": {"id": %s}, "take": "ours"}'
    options = f'{{"resolutions": [{decided % 1}, {decided % 2}]}}'
    merge, conflicts = torn.row("SELECT merge_id, conflicts FROM pggit.merge('a', 'main', NULL, %s)", options)
    assert conflicts == 1
    for (conflict,) in torn.rows("SELECT conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s", merge):
        torn.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge, conflict)
    torn.run("UPDATE t SET a = 'of a' WHERE id = 2")
    assert torn.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert shown(torn, "main") == [(1, "of a"), (2, "of a"), (3, "of a")]


def test_what_has_come_in_otherwise_leaves_nothing_open(torn: Database) -> None:
    merge = begin(torn, "b", "main")
    assert torn.value("SELECT (pggit.merge('b', 'main', NULL, '{\"on_conflict\": \"ours\"}')).result") == "merged"
    assert torn.row("SELECT result, conflicts FROM pggit.continue_merge(%s)", merge) == ("up_to_date", 0)
    assert torn.rows("SELECT * FROM pggit.merge_conflicts WHERE merge_id = %s", merge) == []
