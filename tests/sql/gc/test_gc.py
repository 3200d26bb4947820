"""What gc takes, what it leaves, and what it says of it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from fixtures.postgres import INSTALL, Database, query, raises
from fixtures.repositories import shown

NOW = "0 seconds"


@pytest.fixture
def old(db: Database) -> Database:
    """Main with c0, c1, c2 of long ago and c3 of yesterday. Row 1 changes in each, row 2 in c1, row 3 goes in c2."""
    db.begin("""
        CREATE TABLE t (id integer PRIMARY KEY, a text);
        INSERT INTO t VALUES (1, 'c0'), (2, 'c0'), (3, 'c0');
        SELECT pggit.track_schema('public')""")
    for number, (days, sql) in enumerate(
        [
            (90, "SELECT 1"),
            (80, "UPDATE t SET a = 'c1' WHERE id IN (1, 2)"),
            (70, "UPDATE t SET a = 'c2' WHERE id = 1; DELETE FROM t WHERE id = 3"),
            (1, "UPDATE t SET a = 'c3' WHERE id = 1"),
        ]
    ):
        db.run(sql)
        commit(db, f"c{number}", days)
    return db


def commit(db: Database, message: str, days: int, branch: str | None = None) -> str:
    """A commit that says it was made so many days ago."""
    sql = "SELECT pggit.commit(%s, %s, p_committed_at => now() - make_interval(days => %s))"
    found: str = db.value(sql, message, branch, days)
    return found


def gc(db: Database, retention: str | None = None, *, dry_run: bool = False) -> list[tuple[Any, ...]]:
    with db.conn.transaction():
        db.run("SELECT set_config('pggit.retention', %s, true)", retention or "")
        return db.rows("SELECT * FROM pggit.gc(%s)", dry_run)


def ids(db: Database, ref: str = "main") -> dict[str, str]:
    """Commit ids by message."""
    return dict(db.rows("SELECT message, commit_id FROM pggit.log(%s)", ref))


def as_of(db: Database, ref: str) -> list[tuple[Any, ...]]:
    return db.rows("SELECT * FROM pggit.as_of(NULL::public.t, %s) ORDER BY id", ref)


def log_rows(db: Database) -> int:
    found: int = db.value("SELECT count(*) FROM pggit._log_1")
    return found


def test_a_dry_run_says_what_the_run_does_and_changes_nothing(old: Database) -> None:
    before = old.rows("SELECT * FROM pggit._log_1 ORDER BY _at")
    planned = gc(old, dry_run=True)
    assert old.rows("SELECT * FROM pggit._log_1 ORDER BY _at") == before
    assert old.rows("SELECT * FROM pggit.gc()") == planned, "a dry run is the default, 30 days the default retention"
    assert gc(old) == planned
    assert gc(old) == []
    assert {(object_, reason) for object_, _, _, reason in planned} == {
        ("pggit.commits", "commits older than the retention that stay in the log; their rows can't be read any more"),
        ("public.t", "changes of main that no readable state needs"),
        ("pggit.transactions", "writers whose changes blame can't tell any more"),
    }


def test_bytes_are_those_of_the_columns(old: Database) -> None:
    sizes = "coalesce(pg_column_size({0}), 0)"
    columns = ["_at", "_seq", "_xid", "_op", "c1", "c2"]
    total = f"SELECT count(*), sum({' + '.join(sizes.format(column) for column in columns)}) FROM pggit._log_1"
    rows, size = old.row(total)
    ((gone, bytes_),) = [(r, b) for object_, r, b, _ in gc(old) if object_ == "public.t"]
    left, left_size = old.row(total)
    assert (gone, bytes_) == (rows - left, size - left_size)


def test_what_is_left_of_a_key_is_its_oldest_row(old: Database) -> None:
    """Main at c2 is what c3 is compared with; what was between c0 and c2 goes."""
    old.run("SELECT pggit.tag('v0', %s)", ids(old)["c0"])
    gc(old, NOW)
    assert old.rows("SELECT c1, c2, _op FROM pggit._log_1 ORDER BY _at") == [
        (1, "c0", "U"),
        (2, "c0", "U"),
        (3, "c0", "D"),
        (1, "c2", "U"),
    ]
    assert as_of(old, "v0") == [(1, "c0"), (2, "c0"), (3, "c0")]
    assert old.rows("SELECT * FROM pggit.diff('v0', 'HEAD')") == [("public.t", 0, 2, 1)]
    assert old.rows("SELECT * FROM pggit.verify()") == []


READS = {
    "as_of": "SELECT * FROM pggit.as_of(NULL::public.t, %s)",
    "diff": "SELECT * FROM pggit.diff(%s, 'HEAD')",
    "diff to it": "SELECT * FROM pggit.diff('HEAD', %s)",
    "diff_rows": "SELECT * FROM pggit.diff_rows('t', %s)",
    "blame": "SELECT * FROM pggit.blame('t', NULL, %s)",
    "state_digest": "SELECT pggit.state_digest(%s)",
    "create_branch": "SELECT pggit.create_branch('b', %s)",
    "tag": "SELECT pggit.tag('v1', %s)",
    "reset": "SELECT pggit.reset('main', %s)",
    "soft reset": "SELECT pggit.reset('main', %s, 'soft')",
    "revert": "SELECT pggit.revert(%s)",
    "cherry_pick": "SELECT pggit.cherry_pick(%s)",
    "merge": "SELECT pggit.merge(%s)",
    "plan_merge": "SELECT pggit.plan_merge(%s)",
}


@pytest.mark.parametrize("call", READS.values(), ids=READS.keys())
def test_a_collected_commit_is_in_the_log_but_its_rows_are_refused(old: Database, call: str) -> None:
    listed = old.rows("SELECT * FROM pggit.log()")
    gc(old)
    assert old.rows("SELECT * FROM pggit.log()") == listed
    c1 = ids(old)["c1"]
    assert old.value("SELECT message FROM pggit.show(%s)", c1) == "c1"
    with raises("VG306", "older than the retention \\(pggit.retention, 30 days\\)"):
        old.rows(call, c1)
    assert old.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert old.rows("SELECT * FROM pggit.log()") == listed
    assert shown(old) == [(1, "c3"), (2, "c1")]


def test_every_commit_of_the_retention_can_be_reverted(old: Database) -> None:
    """Where main was when the retention began can be read; what was before cannot, so that commit is not reverted."""
    gc(old)
    assert old.value("SELECT result FROM pggit.revert('HEAD')") == "merged"
    assert shown(old) == [(1, "c2"), (2, "c1")]
    with raises("VG306"):
        old.rows("SELECT * FROM pggit.revert(%s)", ids(old)["c2"])


def test_infinity_keeps_all_and_what_is_no_time_is_refused(old: Database) -> None:
    assert gc(old, "infinity") == []
    assert gc(old, "100 days") == []
    assert gc(old, "100000000 days") == []
    for wrong in ("soon", "-1 days"):
        with raises("VG202", "pggit.retention"):
            gc(old, wrong)
    assert len(as_of(old, ids(old)["c0"])) == 3


def test_pending_changes_stay_pending(old: Database) -> None:
    old.run("UPDATE t SET a = 'pending'; INSERT INTO t VALUES (4, 'pending')")
    status = old.rows("SELECT * FROM pggit.status()")
    gc(old, NOW)
    assert old.rows("SELECT * FROM pggit.status()") == status == [("public.t", 1, 2, 0)]
    old.run("SELECT pggit.commit('pending')")
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_tags_snapshots_and_stashes_are_kept(old: Database) -> None:
    commits = ids(old)
    owner = '{"installation": "i", "namespace": "n", "name": "s", "uid": "u"}'
    old.run("SELECT pggit.tag('v1', %s)", commits["c1"])
    old.run("SELECT pggit.take_snapshot(%s, 'main', 's1')", owner)
    old.run("SELECT pggit.delete_tag('s1'); UPDATE t SET a = 'stashed' WHERE id = 1")
    stash = old.value("SELECT pggit.stash()")
    old.run("UPDATE t SET a = 'later' WHERE id = 2")
    commit(old, "later", 0)
    gc(old, NOW)
    assert as_of(old, "v1") == [(1, "c1"), (2, "c1"), (3, "c0")]
    assert as_of(old, commits["c3"]) == [(1, "c3"), (2, "c1")], "the snapshot's"
    assert old.value("SELECT result FROM pggit.unstash(%s)", stash) == "merged"
    assert shown(old) == [(1, "stashed"), (2, "later")]
    with raises("VG306"):
        as_of(old, commits["c2"])


def test_a_merge_in_conflict_can_still_go_on(old: Database) -> None:
    """Also when its branch is gone: the merge keeps what it was asked to merge, and the base of that."""
    old.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    query(old.connect(branch="b"), "UPDATE t SET a = 'theirs' WHERE id = 1")
    head = commit(old, "theirs", 60, "b")
    old.sessions.pop().close()
    old.run("UPDATE t SET a = 'ours' WHERE id = 1")
    commit(old, "ours", 50)
    merge = old.row("SELECT merge_id, result FROM pggit.merge(%s, 'main')", head)
    assert merge[1] == "conflicted"
    old.run("SELECT pggit.delete_branch('b', true)")
    gc(old, NOW)
    old.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge[0])
    assert old.value("SELECT result FROM pggit.continue_merge(%s)", merge[0]) == "merged"
    assert shown(old) == [(1, "theirs"), (2, "c1")]


def test_what_a_reset_left_is_kept_for_the_retention(old: Database) -> None:
    left = ids(old)["c2"]
    old.run("SELECT pggit.reset('main', 'HEAD~2')")
    old.run("UPDATE pggit.commits SET committed_at = committed_at - interval '1 year'")
    gc(old)
    assert as_of(old, ids(old, "main")["c1"])
    with raises("VG306"):
        as_of(old, left)
    assert old.value("SELECT count(*) FROM pggit.commits WHERE message = 'c3' AND collected_at IS NULL") == 1
    old.run("UPDATE pggit.merges SET finished_at = finished_at - interval '1 year'")
    gc(old)
    with raises("VG002"):
        as_of(old, left)
    assert sorted(ids(old)) == ["c0", "c1"]


def test_a_deleted_branch_leaves_nothing_once_it_is_old(old: Database) -> None:
    old.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    session = old.connect(branch="b")
    query(session, "UPDATE t SET a = 'b1' WHERE id = 1; DELETE FROM t WHERE id = 2")
    head = commit(old, "b1", 0, "b")
    session.close()
    old.run("SELECT pggit.delete_branch('b', true)")
    gc(old)
    assert as_of(old, head) == [(1, "b1")], "as long as the retention"
    gc(old, NOW)
    with raises("VG002"):
        as_of(old, head)
    for store in ("_delta_1", "_mask_1", "_undo_1", "branch_bases"):
        assert old.rows(f"SELECT * FROM pggit.{store}") == [], store
    assert old.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_tagged_commit_of_a_deleted_branch_stays(old: Database, form: str) -> None:
    old.run("SELECT pggit.create_branch('b', 'HEAD', 'schema', %s)", form)
    session = old.connect(branch="b")
    query(session, "UPDATE t SET a = 'b1' WHERE id = 1; DELETE FROM t WHERE id = 2")
    old.run("SELECT pggit.tag('v1', %s)", commit(old, "b1", 0, "b"))
    query(session, "UPDATE t SET a = 'b2'")
    query(session, "UPDATE t SET a = 'b3'")
    session.close()
    old.run("SELECT pggit.delete_branch('b', true)")
    before = old.value("SELECT count(*) FROM pggit._undo_1")
    gc(old, NOW)
    assert old.value("SELECT count(*) FROM pggit._undo_1") < before
    assert as_of(old, "v1") == [(1, "b1")]
    assert old.rows("SELECT * FROM pggit.verify()") == []
    old.run("SELECT pggit.delete_tag('v1')")
    gc(old, NOW)
    assert old.value("SELECT count(*) FROM pggit._undo_1") == 0


def test_a_branch_keeps_standing_where_it_stands(old: Database) -> None:
    """Its place on main is before all that goes, and main's rows of then are read through the log."""
    old.run("SELECT pggit.create_branch('b', %s, 'schema', 'none')", ids(old)["c1"])
    session = old.connect(branch="b")
    query(session, "UPDATE t SET a = 'b' WHERE id = 3")
    old.run("UPDATE t SET a = 'c4'; INSERT INTO t VALUES (9, 'c4')")
    commit(old, "c4", 0)
    gc(old, NOW)
    rows = query(session, "SELECT * FROM t ORDER BY id").fetchall()
    assert rows == [(1, "c1"), (2, "c1"), (3, "b")]
    merged = old.row("SELECT result, conflicts FROM pggit.merge('b', 'main')")
    assert merged == ("conflicted", 1), (
        "the base of this merge was kept: row 3 is deleted on one side, changed on the other"
    )


def test_both_bases_of_a_criss_cross_are_kept(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text, b text);
        INSERT INTO t VALUES (1, '-', '-');
        SELECT pggit.track_schema('public')""")
    db.run("SELECT pggit.commit('root')")
    db.run("SELECT pggit.create_branch('x', p_materialize => 'none')")
    x = db.connect(branch="x")
    query(x, "UPDATE t SET a = 'x'")
    one = db.value("SELECT pggit.commit('one', 'x')")
    db.run("UPDATE t SET b = 'm'")
    two = db.value("SELECT pggit.commit('two')")
    db.run("SELECT pggit.merge(%s, 'main', NULL, '{\"fast_forward\": \"never\"}')", one)
    db.run("SELECT pggit.merge(%s, 'x', NULL, '{\"fast_forward\": \"never\"}')", two)
    for branch in ("main", "x"):
        query(db.connect(branch=branch), f"UPDATE t SET a = a || '{branch}'")
        db.run("SELECT pggit.commit('more', %s)", branch)
    gc(db, NOW)
    kept = db.rows("SELECT message FROM pggit.commits WHERE collected_at IS NULL ORDER BY message")
    assert [message for (message,) in kept] == ["more", "more", "one", "root", "two"]
    assert db.value("SELECT result FROM pggit.merge('x', 'main')") == "conflicted"
    assert db.rows("SELECT column_name, base, ours, theirs FROM pggit.merge_conflicts") == [("a", "x", "xmain", "xx")]


def test_the_fork_of_a_branch_that_was_merged_is_not_kept(old: Database) -> None:
    """Nothing will be merged from there any more."""
    fork = old.value("SELECT base_commit FROM pggit.create_branch('b', p_materialize => 'none')")
    query(old.connect(branch="b"), "UPDATE t SET a = 'b' WHERE id = 2")
    old.sessions.pop().close()
    old.run("UPDATE t SET a = 'm' WHERE id = 1")
    old.run("SELECT pggit.merge('b', 'main')")
    old.run("SELECT pggit.delete_branch('b')")
    gc(old, NOW)
    with raises("VG306"):
        as_of(old, fork)


def test_a_commit_made_again_can_be_read_again(old: Database) -> None:
    """The same change on the same parent by the same author at the same time is the same commit."""
    make = "SELECT pggit.commit('x', p_author => 'ann', p_committed_at => '2020-01-01 00:00:00+00')"
    old.run("UPDATE t SET a = 'x' WHERE id = 1")
    made = old.value(make)
    old.run("UPDATE t SET a = 'y' WHERE id = 1")
    commit(old, "y", 0)
    old.run("SELECT pggit.tag('y', 'HEAD')")
    old.run("SELECT pggit.tag('parent', 'HEAD~2')")
    gc(old, NOW)
    with raises("VG306"):
        as_of(old, made)
    old.run("SELECT pggit.reset('main', 'parent')")
    old.run("UPDATE t SET a = 'x' WHERE id = 1")
    assert old.value(make) == made
    assert as_of(old, made) == shown(old) == [(1, "x"), (2, "c1")]
    gc(old, NOW)
    assert as_of(old, made) == [(1, "x"), (2, "c1")]
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_blame_within_the_retention_is_complete_and_before_it_nothing(old: Database) -> None:
    old.run("DO $$ BEGIN CREATE ROLE pat LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    query(old.connect(user="pat"), "UPDATE t SET a = 'pat' WHERE id = 1")
    query(old.connect(), "UPDATE t SET a = 'last' WHERE id = 1")
    commit(old, "c4", 0)
    me = old.value("SELECT current_user")
    gc(old)
    roles = "SELECT key ->> 'id', db_role FROM pggit.blame('t') WHERE column_name = 'a'"
    assert old.rows(roles) == [("1", me), ("2", None)]
    unknown = "SELECT commit_id, author, changed_at FROM pggit.blame('t', '{\"id\": 2}')"
    assert old.rows(unknown) == [(None, None, None)] * 2
    assert old.value("SELECT count(*) FROM pggit.transactions") == 4, "those of c3 and c4, and the last one before"

    old.run("SELECT pggit.tag('c4', 'HEAD')")
    old.run("UPDATE t SET a = 'next' WHERE id = 2")
    commit(old, "c5", 0)
    gc(old, NOW)
    assert ("1", "pat") not in old.rows(roles), (
        "the last writer's row of the log is gone: his predecessor is not the last"
    )


def test_locks_of_keys_are_collected_but_not_under_an_older_snapshot(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, a text UNIQUE);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('b', p_materialize => 'none')""")
    reader = db.connect(autocommit=False)
    query(reader, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    query(reader, "SELECT 1 FROM t")
    query(db.connect(branch="b"), "INSERT INTO t VALUES (1, 'one')")
    locks = "SELECT count(*) FROM pggit.key_locks"
    gc(db)
    assert db.value(locks) == 1
    reader.rollback()
    gc(db)
    assert db.value(locks) == 0


def test_facts_of_merges_that_ended_are_dropped_after_the_retention(old: Database) -> None:
    old.run("SELECT pggit.create_branch('b', p_materialize => 'none')")
    query(old.connect(branch="b"), "UPDATE t SET a = 'b' WHERE id = 1")
    old.run("UPDATE t SET a = 'main' WHERE id = 1")
    old.run("SELECT pggit.plan_merge('b', 'main')")
    old.run("SELECT pggit.merge('b', 'main', NULL, '{\"on_conflict\": \"ours\"}')")
    gc(old)
    assert old.value("SELECT count(*) FROM pggit.conflicts") == 2
    gc(old, NOW)
    assert old.value("SELECT count(*) FROM pggit.conflicts") == 0
    assert old.rows("SELECT result FROM pggit.merges") == [("merged",)]


def test_verify_still_finds_writes_that_no_trigger_saw(old: Database) -> None:
    gc(old)
    assert old.rows("SELECT * FROM pggit.verify()") == []
    old.run(
        "ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET a = 'unseen' WHERE id = 2; ALTER TABLE t ENABLE TRIGGER USER"
    )
    assert ("table rows", "public.t") in old.rows("SELECT check_name, object FROM pggit.verify()")


def test_a_commit_that_brings_a_table_in_can_still_be_verified(old: Database) -> None:
    old.run("CREATE TABLE late (id integer PRIMARY KEY, a text); INSERT INTO late VALUES (1, 'x')")
    old.run("UPDATE late SET a = 'y'")
    old.run("UPDATE late SET a = 'z'")
    commit(old, "late", 0)
    gc(old, NOW)
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_history_of_an_untracked_table_is_left_alone(old: Database) -> None:
    old.run("SELECT pggit.untrack_table('t')")
    before = log_rows(old)
    gc(old, NOW)
    assert log_rows(old) == before


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(old: Database) -> None:
    found = old.rows("SELECT * FROM pggit.gc(false, '0 seconds')")
    assert ("public.t", 0, 0, "left for the next run: p_within is over") in found
    assert as_of(old, "HEAD") == shown(old)
    with raises("VG306"):
        as_of(old, ids(old)["c1"])
    assert "public.t" in [object_ for object_, rows, *_ in gc(old) if rows]
    assert old.rows("SELECT * FROM pggit.verify()") == []


def test_a_plain_owner_runs_it_and_others_may_not(db: Database) -> None:
    for role in ("plain", "other"):
        db.run(f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE "{db.name}" TO plain')
    db.psql("-f", str(INSTALL.with_name("uninstall.sql")))
    db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    owner, other = db.connect(user="plain"), db.connect(user="other")
    query(owner, "CREATE TABLE t (id integer PRIMARY KEY, a text UNIQUE); SELECT pggit.track_schema('public')")
    for text in ("a", "b", "c"):
        query(owner, f"DELETE FROM t; INSERT INTO t VALUES (1, '{text}'); SELECT pggit.commit('{text}')")
    query(owner, "SET pggit.retention = '0'")
    assert ("public.t",) in query(owner, "SELECT object FROM pggit.gc(false)").fetchall()
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(other, "SELECT * FROM pggit.gc()")


def test_odd_names_and_every_kind_of_key(db: Database) -> None:
    name = '"Sch"."we""ird; DROP TABLE x"'
    db.run(f"""
        CREATE SCHEMA "Sch";
        CREATE TABLE {name} ("first" numeric, within text COLLATE "C", n timestamptz, l jsonb, r json,
                             PRIMARY KEY (within, n, "first"));
        SELECT pggit.track_schema('Sch')""")
    for number in range(3):
        db.run(f"INSERT INTO {name} VALUES ({number}, 'K', '2026-01-01', '{{}}', '{{}}')")
        db.run(f"UPDATE {name} SET l = '{{\"n\": {number}}}', r = '[{number}]'")
        db.run("SELECT pggit.commit('more')")
    db.run("SELECT pggit.tag('v0', 'HEAD~2')")
    before = db.value("SELECT pggit.state_digest('v0') || pggit.state_digest('HEAD')")
    assert '"Sch"."we""ird; DROP TABLE x"' in [object_ for object_, *_ in gc(db, NOW)]
    assert db.value("SELECT pggit.state_digest('v0') || pggit.state_digest('HEAD')") == before
    assert db.rows("SELECT * FROM pggit.verify()") == []
