"""A rebase puts a branch's own commits on top of another ref, all of them or none."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query, raises
from fixtures.repositories import shown


@pytest.fixture(params=["none", "all"])
def parted(db: Database, request: pytest.FixtureRequest) -> Database:
    """dev has commits 'two' and 'three', main has changed row 1."""
    return db.begin(part, request.param)


def part(db: Database, form: str) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a text)")
    db.run("INSERT INTO t VALUES (1, 'a')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO t VALUES (2, 'b')")
    query(dev, "SELECT pggit.commit('two', p_author => 'ann')")
    query(dev, "INSERT INTO t VALUES (3, 'c')")
    query(dev, "SELECT pggit.commit('three', p_author => 'bob')")
    db.run("UPDATE t SET a = 'main' WHERE id = 1")


LOG = "SELECT message, author, cardinality(parents) FROM pggit.log(%s)"
REBASE = "SELECT result, rows_inserted, rows_updated, rows_deleted, conflicts FROM pggit.rebase('dev', 'main')"


def test_the_branch_is_on_top(parted: Database) -> None:
    """Its pending changes too; what main has not committed is committed there first."""
    query(parted.connect(branch="dev"), "DELETE FROM t WHERE id = 2")
    assert parted.row(REBASE) == ("merged", 0, 1, 0, 0)
    assert shown(parted, "dev") == [(1, "main"), (3, "c")]
    assert shown(parted) == [(1, "main")]
    assert [message for message, _, _ in parted.rows(LOG, "dev")] == [
        "pending changes before a rebase",
        "three",
        "two",
        "pending changes of main",
        "first",
    ]
    assert parted.rows("SELECT author FROM pggit.log('dev') WHERE message IN ('two', 'three') ORDER BY 1") == [
        ("ann",),
        ("bob",),
    ]
    assert parted.value("SELECT pggit.merge_base('main', 'dev') = pggit.resolve_ref('main')") is True
    assert parted.row(REBASE) == ("up_to_date", 0, 0, 0, 0)
    assert parted.value("SELECT (pggit.merge('dev')).result") == "fast_forward"
    assert shown(parted) == [(1, "main"), (3, "c")]
    assert parted.rows("SELECT * FROM pggit.verify()") == []


def test_a_conflict_leaves_the_branch_as_it_was_and_is_decided_step_by_step(parted: Database) -> None:
    """Two commits in conflict: each is decided once, and what was decided is not asked again."""
    dev = parted.connect(branch="dev")
    query(dev, "UPDATE t SET a = 'dev' WHERE id = 1")
    query(dev, "SELECT pggit.commit('four')")
    parted.run("INSERT INTO t VALUES (3, 'main')")
    before = parted.value("SELECT pggit.resolve_ref('dev')")

    merge_id, result, stopped_by = parted.row(
        "SELECT merge_id, result, detail ->> 'stopped_by' FROM pggit.rebase('dev', 'main')"
    )
    assert (result, parted.value("SELECT message FROM pggit.log(%s, 1)", stopped_by)) == ("conflicted", "three")
    assert parted.value("SELECT pggit.resolve_ref('dev')") == before
    assert shown(parted, "dev") == [(1, "dev"), (2, "b"), (3, "c")]

    conflicts = "SELECT conflict_id, kind, key ->> 'id' FROM pggit.merge_conflicts WHERE merge_id = %s"
    ((first, kind, key),) = parted.rows(conflicts, merge_id)
    assert (kind, key) == ("insert_insert", "3")
    parted.run("SELECT pggit.resolve_conflict(%s, %s, 'value', %s)", merge_id, first, Jsonb({"id": 3, "a": "both"}))
    assert parted.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "conflicted"
    ((second, kind, key),) = parted.rows(conflicts, merge_id)
    assert (kind, key) == ("update_update", "1")
    parted.run("SELECT pggit.resolve_conflict(%s, %s, 'theirs')", merge_id, second)
    assert parted.value("SELECT (pggit.continue_merge(%s)).result", merge_id) == "merged"
    assert shown(parted, "dev") == [(1, "dev"), (2, "b"), (3, "both")]
    assert parted.rows("SELECT * FROM pggit.verify()") == []


def test_a_rebase_with_conflicts_can_be_aborted(parted: Database) -> None:
    parted.run("INSERT INTO t VALUES (3, 'main')")
    merge_id = parted.value("SELECT (pggit.rebase('dev', 'main')).merge_id")
    assert parted.value("SELECT pggit.abort_merge(%s)", merge_id) is True
    assert shown(parted, "dev") == [(1, "a"), (2, "b"), (3, "c")]


def test_a_merge_in_the_branch_counts_as_what_it_brought(parted: Database) -> None:
    """What came from main is there already; the commit that brings nothing new is left out."""
    parted.run("SELECT pggit.merge('main', 'dev', 'from main')")
    parted.run("INSERT INTO t VALUES (9, 'main')")
    assert parted.row(REBASE)[0] == "merged"
    assert shown(parted, "dev") == [(1, "main"), (2, "b"), (3, "c"), (9, "main")]
    assert "from main" not in [message for message, _, _ in parted.rows(LOG, "dev")]


def test_a_branch_without_commits_of_its_own_moves(parted: Database) -> None:
    parted.run("SELECT pggit.create_branch('idle', 'main~0')")
    parted.run("UPDATE t SET a = 'more'")
    assert parted.value("SELECT (pggit.rebase('idle', 'main')).result") == "fast_forward"
    assert shown(parted, "idle") == [(1, "more")]


def test_what_would_break_a_constraint_is_refused_whole(parted: Database) -> None:
    parted.run("CREATE TABLE child (id integer PRIMARY KEY, t integer REFERENCES t)")
    parted.run("SELECT pggit.commit('child')")
    parted.run("SELECT pggit.create_branch('work')")
    work = parted.connect(branch="work")
    query(work, "INSERT INTO child VALUES (1, 1)")
    query(work, "SELECT pggit.commit('child of 1')")
    parted.run("DELETE FROM t WHERE id = 1")
    assert parted.row("SELECT result, violations FROM pggit.rebase('work', 'main')") == ("refused", 1)
    assert query(work, "SELECT * FROM t").fetchall() == [(1, "main")]
    assert query(work, "SELECT * FROM child").fetchall() == [(1, 1)]


def test_a_protected_branch_is_not_rebased(parted: Database) -> None:
    parted.run("SELECT pggit.protect_branch('dev')")
    with raises("VG301"):
        parted.run("SELECT pggit.rebase('dev', 'main')")
