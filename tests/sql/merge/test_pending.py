"""Merges that wait: several at once, on branches that move on, for decisions that were made before."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.postgres import Database, query, raises


@pytest.fixture
def torn(small: Database) -> Database:
    """main, a and b each have another value of row 1, and b another row 2."""
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
    return small


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
    for call in ("merge('a')", "plan_merge('a')", f"continue_merge('{merge}')"):
        with raises("VG002", "'a' is no branch"):
            torn.run(f"SELECT pggit.{call}")
    with raises("VG001"):
        torn.run("SELECT pggit.merge('main', 'a')")
    assert torn.value("SELECT pggit.abort_merge(%s)", merge) is True
    assert shown(torn, "main") == [(1, "main"), (2, "b")]


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
