"""Looking keys up in a log goes by the key, also where statistics are older than the newest transactions."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

pytestmark = pytest.mark.each_version

POSITION = "(SELECT (b.head_at) FROM pggit.branches AS b WHERE b.name = %s)"


def plan_of_changes(db: Database, branch: str, keys: int) -> str:
    """How 5,000 changes that statistics do not know yet are read; keys is what pggit._changes_sql is told of them."""
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t SELECT g, 'v' FROM generate_series(1, 20000) AS g;
        SELECT pggit.track_schema('public');
        UPDATE t SET v = 'w';
        SELECT pggit.create_branch('side', p_materialize => 'none');
    """)
    session = db.connect(branch=branch)
    query(session, "UPDATE t SET v = 'old' WHERE id <= 5000")
    db.run("SELECT pggit.commit('one', %s)", branch)
    db.run("ANALYZE pggit._log_1; ANALYZE pggit._undo_1; ANALYZE pggit._delta_1; ANALYZE pggit._mask_1")
    query(session, "UPDATE t SET v = 'new' WHERE id <= 5000")

    sql = db.value(
        f"SELECT pggit._changes_sql(1, {POSITION}, pggit._working_position((pggit._branch(%s)).branch_id), %s)",
        branch,
        branch,
        keys,
    )
    if keys:
        db.run("SET enable_nestloop = off; SET enable_memoize = off")
    return "\n".join(line for (line,) in db.rows("EXPLAIN (COSTS OFF) " + sql.replace("%", "%%")))


@pytest.mark.parametrize("branch", ["main", "side"])
def test_many_changes_are_read_once_and_their_rows_by_index(db: Database, branch: str) -> None:
    plan = plan_of_changes(db, branch, 5000)
    assert "CTE Scan on o_first" in plan
    assert ("CTE Scan on o_own" in plan) == (branch == "side")  # what it owns is not looked up either
    assert "Join Filter" not in plan, plan  # that would be each key with each log row
    assert "Seq Scan on t" not in plan, plan
    assert "Index Scan using t_pkey" in plan, plan


@pytest.mark.parametrize("branch", ["main", "side"])
def test_changes_are_looked_up_by_key(db: Database, branch: str) -> None:
    plan = plan_of_changes(db, branch, 0)
    lookups = plan[plan.index("Nested Loop") :]
    by_transaction = [line for line in lookups.splitlines() if "_xid_idx" in line]
    assert len(by_transaction) <= 1, plan  # the set of changed keys alone is found by transaction
    assert "Seq Scan" not in lookups, plan
    assert db.rows("SELECT * FROM pggit.status(%s)", branch) == [("public.t", 0, 5000, 0)]


def test_a_key_that_changes_hands_is_logged_where_the_table_is_real(db: Database) -> None:
    """A fork from before the merge still finds the key unowned, and main's row of then."""
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t VALUES (1, 'base'), (2, 'base');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => 'all');
    """)
    side = db.connect(branch="side")
    query(side, "UPDATE t SET v = 'side' WHERE id = 2")
    before = db.value("SELECT pggit.commit('before the merge', 'side')")
    db.run("UPDATE t SET v = 'main' WHERE id = 1")
    assert db.value("SELECT (pggit.merge('main', 'side')).result") == "merged"
    query(side, "UPDATE t SET v = 'again'")
    db.run("SELECT pggit.create_branch('then', %s, p_materialize => 'none')", before)
    assert query(db.connect(branch="then"), "SELECT * FROM t ORDER BY id").fetchall() == [(1, "base"), (2, "side")]
    db.run("UPDATE t SET v = 'main once more'")
    assert query(db.connect(branch="then"), "SELECT * FROM t ORDER BY id").fetchall() == [(1, "base"), (2, "side")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_branch_that_the_statistics_do_not_know_gets_into_them(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t SELECT g, 'v' FROM generate_series(1, 500) AS g;
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('one', p_materialize => 'none');
        SELECT pggit.create_branch('two', p_materialize => 'none');
    """)
    query(db.connect(branch="one"), "UPDATE t SET v = 'one'")
    db.run("ANALYZE pggit._delta_1")
    query(db.connect(branch="two"), "UPDATE t SET v = 'two'")
    known = "SELECT n_distinct FROM pg_stats WHERE schemaname = 'pggit' AND tablename = '_delta_1' AND attname = '_b'"
    assert db.value(known) == 1
    db.run("SELECT pggit.commit('two', 'two')")
    assert db.value(known) == 2
    db.run("UPDATE t SET v = 'main' WHERE id = 1; SELECT pggit.commit('main')")
