"""What a Merge asks for is done once: approved, reverted, and its source deleted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises
from fixtures.repositories import TWO, shown

DEV = [(1, "dev", "b1"), (2, "two", "b2")]


def owner(name: str) -> Jsonb:
    return Jsonb({"installation": "here", "namespace": "team", "name": name, "uid": "1"})


def run(db: Database, name: str = "m", source: str | None = "dev", **arguments: Any) -> tuple[str, bool]:
    """Result of the merge of this name, and whether this call ran it."""
    given = {"resolutions": [], "options": {}, "revert_of": None, "target": "main", **arguments}
    sql = "SELECT merge_id, was_run FROM pggit.run_merge(%s, %s, %s, NULL, %s, %s, %s)"
    options, resolutions = Jsonb(given["options"]), Jsonb(given["resolutions"])
    merge_id, was_run = db.row(sql, owner(name), source, given["target"], options, resolutions, given["revert_of"])
    return db.value("SELECT result FROM pggit.merges WHERE merge_id = %s", merge_id), was_run


def undo(db: Database, name: str, revert_of: str, **arguments: Any) -> tuple[str, bool]:
    return run(db, name, None, revert_of=revert_of, **arguments)


def deleted(db: Database, name: str = "m") -> tuple[bool, str | None]:
    done, reason = db.row("SELECT * FROM pggit.delete_merged_source(%s)", owner(name))
    return done, reason


def dev(db: Database, sql: str) -> None:
    query(db.connect(branch="dev"), sql)
    db.sessions.pop().close()


@pytest.fixture(params=["none", "all"])
def branched(history: Database, request: pytest.FixtureRequest) -> Database:
    """`history`, and branch dev that changed row 1, with views or real tables."""
    history.begin(f"SELECT pggit.create_branch('dev', 'HEAD', 'schema', '{request.param}')")
    dev(history, "UPDATE t SET a = 'dev' WHERE id = 1")
    return history


def plan_hash(db: Database) -> str:
    found: str = db.value("SELECT m.plan_hash FROM pggit.merge_plans JOIN pggit.merges AS m USING (merge_id)")
    return found


def approving(plan: str | None, **more: Any) -> dict[str, Any]:
    return {"options": {"approved_plan": plan, **more}}


def test_nothing_but_the_plan_is_written_before_it_is_approved(branched: Database) -> None:
    before = branched.rows("SELECT * FROM pggit.log('main')")
    assert run(branched, **approving(None)) == ("planned", False)
    assert run(branched, **approving("0" * 64)) == ("planned", False)
    assert (shown(branched), branched.rows("SELECT * FROM pggit.log('main')")) == (TWO, before)
    assert branched.value("SELECT count(*) FROM pggit.merges") == 1, "one plan, the newest"

    plan = plan_hash(branched)
    assert run(branched, **approving(plan, approved_by="ann")) == ("fast_forward", True)
    assert shown(branched) == DEV
    assert branched.rows("SELECT result, plan_hash, options ->> 'approved_by' FROM pggit.merges") == [
        ("fast_forward", plan, "ann")
    ]
    assert branched.rows("SELECT * FROM pggit.merge_plans") == []
    dev(branched, "UPDATE t SET a = 'later'")
    assert run(branched, **approving(None)) == ("fast_forward", False), "it runs once, whatever is asked since"


def test_a_pending_row_that_changes_again_is_another_plan(branched: Database) -> None:
    run(branched, **approving(None))
    first = plan_hash(branched)
    dev(branched, "UPDATE t SET a = 'again' WHERE id = 1")

    assert run(branched, **approving(first)) == ("planned", False)
    second = plan_hash(branched)
    branched.run("UPDATE t SET b = 'main' WHERE id = 1")
    branched.run("UPDATE t SET b = 'main again' WHERE id = 1")
    assert run(branched, **approving(second)) == ("planned", False)
    third = plan_hash(branched)

    assert len({first, second, third}) == 3
    assert run(branched, **approving(third)) == ("merged", True)
    assert shown(branched)[0] == (1, "again", "main again")


def test_a_row_that_others_commit_while_what_was_approved_is_written(branched: Database) -> None:
    run(branched, **approving(None))
    plan = plan_hash(branched)
    writer = branched.connect(autocommit=False)
    query(writer, "UPDATE t SET b = 'late' WHERE id = 1")
    found: list[tuple[str, bool]] = []
    merger = threading.Thread(target=lambda: found.append(run(branched, **approving(plan))))
    merger.start()
    merger.join(0.5)
    assert merger.is_alive(), "it waits for the row"
    writer.commit()
    merger.join(20)

    assert found == [("planned", False)]
    assert shown(branched)[0] == (1, "one", "late")
    assert plan_hash(branched) != plan
    assert run(branched, **approving(plan_hash(branched))) == ("merged", True)
    assert shown(branched)[0] == (1, "dev", "late")


def test_decided_conflicts_are_approved_as_decided(branched: Database) -> None:
    branched.run("UPDATE t SET a = 'main' WHERE id = 1")
    assert run(branched) == ("conflicted", True), "no approval was asked for at first"
    assert run(branched, **approving(None)) == ("planned", False)
    open_plan = plan_hash(branched)
    assert run(branched, **approving(open_plan)) == ("planned", False), "an open conflict cannot be approved"
    theirs, ours = [[{"table": "t", "take": take}] for take in ("theirs", "ours")]

    assert run(branched, resolutions=theirs, **approving(open_plan)) == ("planned", False)
    plan = plan_hash(branched)
    assert run(branched, resolutions=ours, **approving(plan)) == ("planned", False)
    assert run(branched, resolutions=theirs, **approving(plan)) == ("merged", True)
    assert shown(branched) == DEV
    assert sorted(branched.rows("SELECT result FROM pggit.merges")) == [("aborted",), ("merged",)]


def test_other_options_reach_a_merge_that_waits(branched: Database) -> None:
    branched.run("UPDATE t SET a = 'main' WHERE id = 1")
    assert run(branched) == ("conflicted", True)
    assert run(branched, options={"squash": True, "on_conflict": "theirs"}) == ("merged", True)
    assert branched.value("SELECT cardinality(parents) FROM pggit.show('HEAD')") == 1


def test_a_merge_that_waits_is_begun_anew_with_a_branch_made_anew(branched: Database) -> None:
    """Also when both branches stand where they stood, and their plan was made before."""
    plan_for_another = "SELECT pggit.plan_merge_for(%s, 'dev', 'main')"
    branched.run("UPDATE t SET a = 'main' WHERE id = 1; SELECT pggit.commit('main')")
    assert run(branched) == ("conflicted", True)
    plan = branched.value(plan_for_another, owner("other"))
    branched.run("SELECT pggit.delete_branch('dev', p_force => true)")
    branched.run("SELECT pggit.create_branch('dev', 'HEAD~1', p_materialize => 'none')")
    dev(branched, "UPDATE t SET a = 'dev' WHERE id = 1")

    assert run(branched) == ("conflicted", True)
    results = "SELECT result FROM pggit.merges WHERE result <> 'planned' ORDER BY created_at"
    assert branched.rows(results) == [("aborted",), ("conflicted",)]
    assert branched.value(plan_for_another, owner("other")) != plan


@pytest.mark.parametrize("options", [{}, {"fast_forward": "never"}, {"squash": True}])
def test_a_merge_is_undone_once(branched: Database, options: dict[str, Any]) -> None:
    branched.run("SELECT pggit.commit('one more', 'dev')")
    dev(branched, "INSERT INTO t VALUES (5, 'five', '')")
    with raises("VG006", "there is no merge 'm' that has merged"):
        undo(branched, "u", "m")
    run(branched, options=options)
    branched.run("UPDATE t SET b = 'later' WHERE id = 2")

    assert undo(branched, "u", "m") == ("merged", True)
    assert undo(branched, "u", "m") == ("merged", False)
    assert shown(branched) == [(1, "one", "b1"), (2, "two", "later")]
    message = branched.value("SELECT message FROM pggit.show('HEAD')")
    assert message == "Undo merge m"
    assert undo(branched, "r", "u") == ("merged", True), "what undid can be undone"
    assert shown(branched) == [(1, "dev", "b1"), (2, "two", "later"), (5, "five", "")]
    assert branched.rows("SELECT * FROM pggit.verify()") == []
    with raises("VG104", "already ran with another intent: to revert 'm' on 'main'"):
        run(branched, "u")
    with raises("VG104", "already ran with another intent: 'dev' into 'main'"):
        undo(branched, "m", "u")


def test_undoing_meets_conflicts_and_approval_as_merging_does(branched: Database) -> None:
    run(branched)
    branched.run("UPDATE t SET a = 'later' WHERE id = 1")
    assert undo(branched, "u", "m", **approving(None)) == ("planned", False)
    decided = [{"table": "t", "key": {"id": "1"}, "column": "a", "take": "theirs"}]
    assert undo(branched, "u", "m", resolutions=decided, **approving(None)) == ("planned", False)
    assert undo(branched, "u", "m", resolutions=decided, **approving(plan_hash(branched))) == ("merged", True)
    assert shown(branched) == TWO

    assert undo(branched, "again", "u") == ("merged", True)
    branched.run("UPDATE t SET a = 'later' WHERE id = 1")
    assert undo(branched, "other", "m") == ("conflicted", True)
    assert undo(branched, "other", "m", resolutions=decided) == ("merged", True)
    assert shown(branched) == TWO


def test_undoing_is_for_the_branch_that_was_merged_into(branched: Database) -> None:
    branched.run("SELECT pggit.create_branch('staging', 'HEAD', 'schema', 'none')")
    run(branched, target="staging")
    with raises("VG202", "merge 'm' went into branch 'staging'"):
        undo(branched, "u", "m")
    assert undo(branched, "u", "m", target="staging") == ("merged", True)


def test_undoing_a_merge_that_brought_nothing(branched: Database) -> None:
    run(branched)
    assert run(branched, "again") == ("up_to_date", True)
    assert undo(branched, "u", "again") == ("up_to_date", True)
    assert shown(branched) == DEV


@pytest.mark.parametrize("options", [{}, {"squash": True}])
def test_the_source_is_deleted_once(branched: Database, options: dict[str, Any]) -> None:
    dev(branched, "SELECT pggit.commit('one more', 'dev'); UPDATE t SET b = 'dev' WHERE id = 2")
    with raises("VG006", "has not merged a branch"):
        deleted(branched)
    run(branched, options=options)

    assert deleted(branched) == (True, None)
    assert branched.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert branched.rows("SELECT * FROM pggit.verify()") == []
    branched.run("SELECT pggit.create_branch('dev')")
    assert deleted(branched) == (True, None)
    assert run(branched, options=options)[1] is False
    assert branched.rows("SELECT name FROM pggit.list_branches()") == [("main",), ("dev",)], "not the one made since"


@pytest.mark.parametrize("options", [{}, {"squash": True}])
def test_a_merge_is_undone_when_its_source_is_gone(branched: Database, options: dict[str, Any]) -> None:
    dev(branched, "SELECT pggit.commit('one more', 'dev'); INSERT INTO t VALUES (5, 'five', '')")
    run(branched, options=options)
    assert deleted(branched) == (True, None)
    branched.run("UPDATE t SET b = 'later' WHERE id = 2")

    assert undo(branched, "u", "m") == ("merged", True)
    assert shown(branched) == [(1, "one", "b1"), (2, "two", "later")]
    assert branched.rows("SELECT * FROM pggit.verify()") == []


def test_the_source_stays_for_whoever_uses_it(branched: Database) -> None:
    branched.run("SET pggit.lock_timeout = '100ms'")
    run(branched)
    branched.run("SELECT pggit.protect_branch('dev')")
    assert deleted(branched) == (False, "branch 'dev' is protected")
    branched.run("SELECT pggit.unprotect_branch('dev')")

    reader = branched.connect(branch="dev")
    done, reason = deleted(branched)
    assert not done
    assert "it is checked out by process" in str(reason)
    reader.close()

    branched.run('CREATE VIEW public.mine AS SELECT * FROM "public@dev".t')
    done, reason = deleted(branched)
    assert not done
    assert "depend on it: view public.mine" in str(reason)
    branched.run("DROP VIEW public.mine")

    holder = Jsonb({"installation": "here", "namespace": "team", "name": "dev", "uid": "2"})
    branched.run("SELECT pggit.claim_branch('dev', %s)", holder)
    branched.run("SELECT pggit.ensure_branch_login('dev', 'SCRAM-SHA-256$4096:c2FsdA==$YQ==:Yg==', 'x', true)")
    assert deleted(branched) == (False, "it belongs to team/dev of installation 'here'")
    branched.run("SELECT pggit.retire_branch('dev', %s)", holder)

    dev(branched, "UPDATE t SET a = 'later' WHERE id = 1")
    assert deleted(branched) == (False, "it has changed since the merge")
    branched.run("SELECT pggit.commit('later', 'dev')")
    assert deleted(branched) == (False, "it has changed since the merge")
    assert run(branched, "m2") == ("fast_forward", True)
    assert deleted(branched, "m2") == (True, None)
    assert deleted(branched) == (True, None)


def test_what_a_writer_commits_while_the_source_is_being_deleted_is_kept(branched: Database) -> None:
    run(branched)
    writer = branched.connect(autocommit=False)
    query(writer, "UPDATE \"public@dev\".t SET a = 'late' WHERE id = 1")
    found: list[tuple[bool, str | None]] = []
    deleter = threading.Thread(target=lambda: found.append(deleted(branched)))
    deleter.start()
    deleter.join(1)
    assert deleter.is_alive(), "it waits for the writer"
    writer.commit()
    deleter.join(20)

    assert found == [(False, "it has changed since the merge")]
    assert branched.rows('SELECT a FROM "public@dev".t WHERE id = 1') == [("late",)]


def test_what_is_left_is_validated_step_by_step_and_is_no_drift(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, -1);
        SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('dev', p_materialize => 'all');
        UPDATE t SET n = 1;
        SELECT pggit.commit('main moves on');
    """)
    step = "SELECT is_done, reason, steps, ddl IS NULL FROM pggit.run_finish_step(%s, %s)"
    with raises("VG006"):
        db.row(step, owner("m"), 1)
    dev(db, "UPDATE t SET n = 2; ALTER TABLE t ADD CONSTRAINT above CHECK (n > 0), ADD CONSTRAINT below CHECK (n < 9)")
    assert run(db, options={"on_conflict": "theirs", "validate": "later"})[0] == "merged"
    db.run("ALTER TABLE t DROP CONSTRAINT below; SELECT pggit.accept_drift()")
    assert db.row(step, owner("m"), 1) == (True, None, 2, False)
    assert db.row(step, owner("m"), 2) == (True, 'constraint "below" of relation "t" does not exist', 2, False)
    assert db.row(step, owner("m"), 3) == (True, None, 2, True)
    assert db.value(
        "SELECT convalidated FROM pg_constraint WHERE conname = 'above' AND conrelid = 'public.t'::regclass"
    )
    assert db.rows("SELECT * FROM pggit.schema_drift()") == []
