"""A merge with option approved_plan does what was approved, or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises
from fixtures.repositories import shown

BRANCH = "SELECT pggit.create_branch('dev', 'HEAD', 'schema', %s)"


def dev(db: Database, sql: str) -> None:
    query(db.connect(branch="dev"), sql)


def planned(db: Database, source: str = "dev", target: str = "main", **options: Any) -> str:
    found: str = db.value("SELECT plan_hash FROM pggit.plan_merge(%s, %s, %s)", source, target, Jsonb(options))
    return found


def merged(db: Database, approved: str | None, target: str = "main", **options: Any) -> tuple[str, str]:
    sql = "SELECT result, plan_hash FROM pggit.merge('dev', %s, NULL, %s)"
    result, plan_hash = db.row(sql, target, Jsonb({"approved_plan": approved, **options}))
    return result, plan_hash


@pytest.mark.parametrize("materialize", ["none", "all"])
def test_what_was_approved_is_done(history: Database, materialize: str) -> None:
    history.run(BRANCH, materialize)
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1; INSERT INTO t VALUES (7, 'new', '')")
    plan = planned(history)

    assert merged(history, None) == ("refused", plan)
    assert merged(history, "0" * 64) == ("refused", plan)
    assert shown(history)[0] == (1, "one", "b1"), "nothing is written"
    assert merged(history, plan, approved_by="ann") == ("fast_forward", plan)
    assert shown(history) == shown(history, "dev")
    options = history.value("SELECT options FROM pggit.merges WHERE result = 'fast_forward'")
    assert options == {"approved_plan": plan, "approved_by": "ann"}


def test_what_others_do_elsewhere_needs_no_new_approval(history: Database) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    plan = planned(history)
    history.run("UPDATE t SET a = 'main' WHERE id = 2")
    history.run("SELECT pggit.commit('elsewhere')")

    assert merged(history, plan) == ("merged", plan)


@pytest.mark.parametrize(
    ("side", "change"),
    [
        ("dev", "UPDATE t SET a = 'dev again' WHERE id = 1"),
        ("dev", "INSERT INTO t VALUES (9, '', '')"),
        ("dev", "UPDATE t SET a = 'one' WHERE id = 1"),
        ("main", "UPDATE t SET b = 'main' WHERE id = 1"),
        ("main", "UPDATE t SET a = 'dev' WHERE id = 1"),
    ],
)
def test_other_effects_need_a_new_approval(history: Database, side: str, change: str) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1; UPDATE t SET a = 'dev' WHERE id = 2")
    plan = planned(history)
    query(history.connect(branch=side), change)
    before = shown(history)

    result, new = merged(history, plan)

    assert result == "refused"
    assert new != plan
    assert shown(history) == before
    reason = history.value("SELECT (outcome).detail ->> 'reason' FROM pggit.merges WHERE result = 'refused'")
    assert reason == f"what was approved is not what would be done now, which is plan {new}"
    assert new == planned(history)
    assert merged(history, new)[0] in ("merged", "fast_forward")


def test_a_decision_is_part_of_what_is_approved(history: Database) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    history.run("UPDATE t SET a = 'main' WHERE id = 1")
    decided = [{"table": "t", "take": "theirs"}]
    undecided, theirs = planned(history), planned(history, resolutions=decided)

    assert undecided != theirs
    assert merged(history, theirs)[0] == "conflicted"
    assert merged(history, theirs, resolutions=[{"table": "t", "take": "ours"}])[0] == "refused"
    assert merged(history, theirs, resolutions=decided)[0] == "merged"
    assert shown(history)[0] == (1, "dev", "b1")


def test_an_approval_is_for_one_target(history: Database) -> None:
    history.run(BRANCH, "none")
    history.run("SELECT pggit.create_branch('staging', 'HEAD', 'schema', 'none')")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    plan = planned(history, target="staging")

    assert merged(history, plan)[0] == "refused"
    assert merged(history, plan, "staging")[0] == "fast_forward"


def test_a_merge_that_waits_for_approval_is_continued_only_as_approved(history: Database) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    sql = """SELECT merge_id FROM pggit.merge('dev', 'main', NULL, '{"approved_plan": null}')"""
    merge_id = history.value(sql)

    assert history.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "refused"
    assert shown(history)[0] == (1, "one", "b1")


def test_nothing_to_do_needs_no_approval(history: Database) -> None:
    history.run(BRANCH, "none")
    assert merged(history, None)[0] == "up_to_date"


@pytest.mark.parametrize("call", ["pggit.revert('HEAD~1', 'main', %s)", "pggit.cherry_pick('main~1', 'dev', %s)"])
def test_reverts_and_cherry_picks_take_it_too(history: Database, call: str) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD~2', 'schema', 'none')")
    result, plan = history.row(f"SELECT result, plan_hash FROM {call}", Jsonb({"approved_plan": None}))
    assert result == "refused"
    assert history.value(f"SELECT result FROM {call}", Jsonb({"approved_plan": plan})) == "merged"


@pytest.mark.parametrize(
    "options", ['{"approved_plan": 1}', '{"approved_by": "ann"}', '{"approved_plan": "x", "approved_by": 1}']
)
def test_options_that_make_no_sense(history: Database, options: str) -> None:
    history.run(BRANCH, "none")
    with raises("VG202", "approved_"):
        history.run("SELECT pggit.merge('dev', 'main', NULL, %s)", options)


def test_changed_columns_are_part_of_what_is_approved(history: Database) -> None:
    """Also where no row is written in them."""
    history.run("CREATE TABLE u (id integer PRIMARY KEY)")
    history.run("SELECT pggit.commit('another table')")
    history.run(BRANCH, "all")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    plans = [planned(history)]
    for change in (
        "ADD COLUMN c integer DEFAULT 5",
        "ALTER COLUMN c TYPE bigint",
        "RENAME COLUMN c TO d",
        "DROP COLUMN d",
    ):
        dev(history, f"ALTER TABLE u {change}")
        assert merged(history, plans[-1])[0] == "refused", change
        plans.append(planned(history))
    assert len(set(plans)) == 4, "in the end the table is as it was"
    assert merged(history, plans[0])[0] != "refused"


def test_into_a_protected_branch_only_an_approved_plan_is_merged(history: Database) -> None:
    """A fast-forward, a revert and a cherry-pick too; writes and commits go on."""
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1; SELECT pggit.commit('dev')")
    history.run(
        "SELECT pggit.protect_branch('main'); UPDATE t SET b = 'main' WHERE id = 2; SELECT pggit.commit('main')"
    )
    before = shown(history)
    for call in ("merge('dev')", "revert('HEAD')", "cherry_pick('dev')"):
        result, detail, plan = history.row(f"SELECT result, detail, plan_hash FROM pggit.{call}")
        assert (result, detail["reason"]) == (
            "refused",
            f"branch 'main' is protected: plan {plan} has to be approved",
        )
    assert shown(history) == before
    plan = planned(history)
    assert merged(history, plan) == ("merged", plan)
    assert shown(history)[0] == (1, "dev", "b1")
    assert history.value("SELECT result FROM pggit.merge('dev')") == "up_to_date"
    assert history.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"


def test_a_merge_that_goes_on_into_a_protected_branch_is_approved_as_it_says(history: Database) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    history.run("UPDATE t SET a = 'main' WHERE id = 1; SELECT pggit.protect_branch('main')")
    merge = history.value("SELECT merge_id FROM pggit.merge('dev')")
    history.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
    result, detail = history.row("SELECT result, detail FROM pggit.continue_merge(%s)", merge)
    assert result == "refused"
    for options in ('{"approved_by": "ann"}', '{"squash": true}', '{"aproved_plan": null}', "[]"):
        with raises("VG202"):
            history.run("SELECT pggit.continue_merge(%s, %s)", merge, options)
    assert history.value('SELECT result FROM pggit.continue_merge(%s, \'{"approved_plan": "x"}\')', merge) == "refused"
    approve = detail["way_out"].split(" approves that plan")[0]
    assert history.value(approve) == "merged"
    assert shown(history)[0] == (1, "dev", "b1")


def test_a_rebase_that_goes_on_takes_no_options(history: Database) -> None:
    history.run(BRANCH, "none")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1; SELECT pggit.commit('dev')")
    history.run("UPDATE t SET a = 'main' WHERE id = 1; SELECT pggit.commit('main')")
    rebase = history.value("SELECT merge_id FROM pggit.rebase('dev', 'main')")
    with raises("VG202", "a rebase that goes on takes no option 'approved_plan'"):
        history.run("SELECT pggit.continue_merge(%s, '{\"approved_plan\": null}')", rebase)
    history.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", rebase)
    assert history.value("SELECT result FROM pggit.continue_merge(%s)", rebase) == "merged"
