"""What kinds of merges leave in the history, and what they do with keys and with several tables."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query
from fixtures.repositories import TWO, shown


@pytest.mark.parametrize("target", ["main", "dev"])
def test_fast_forward_only_and_never(history: Database, target: str) -> None:
    source = "dev" if target == "main" else "main"
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none')")
    there, here = history.connect(branch=source), history.connect(branch=target)
    sql = "SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s, NULL, %s)"
    only, never = '{"fast_forward": "only"}', '{"fast_forward": "never"}'
    query(there, "UPDATE t SET a = 'x' WHERE id = 1")
    assert history.row(sql, source, target, only) == ("fast_forward", None)
    query(there, "UPDATE t SET a = 'y' WHERE id = 1")
    assert history.row(sql, source, target, never) == ("merged", None)
    assert history.value("SELECT cardinality(parents) FROM pggit.show(%s)", target) == 2
    query(there, "UPDATE t SET a = 'z' WHERE id = 1")
    query(here, "UPDATE t SET b = 'mine' WHERE id = 2")
    result, reason = history.row(sql, source, target, only)
    assert result == "refused"
    assert f"branch '{target}' has moved on" in reason
    assert shown(history, target) == [(1, "y", "b1"), (2, "two", "mine")]


def test_a_squash_is_no_merge_for_the_history(history: Database) -> None:
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'all')")
    dev = history.connect(branch="dev")
    query(dev, "UPDATE t SET a = 'x' WHERE id = 1; SELECT pggit.commit('x'); INSERT INTO t VALUES (5, 'five', '')")
    squash = "SELECT result FROM pggit.merge('dev', 'main', 'all of it', '{\"squash\": true}')"
    assert history.value(squash) == "merged"
    assert history.row("SELECT message, cardinality(parents) FROM pggit.show('main')") == ("all of it", 1)
    query(dev, "INSERT INTO t VALUES (6, 'six', '')")
    history.run("UPDATE t SET b = 'main' WHERE id = 1")
    assert history.value(squash) == "merged"
    assert shown(history) == [(1, "x", "main"), TWO[1], (5, "five", ""), (6, "six", "")]
    query(dev, "UPDATE t SET b = 'later' WHERE id = 5")
    assert history.value(squash) == "conflicted"
    assert history.rows("SELECT kind, key FROM pggit.merge_conflicts") == [("insert_insert", {"id": 5})]


@pytest.mark.parametrize("target", ["main", "dev"])
def test_a_key_that_changes_while_its_row_is_written(history: Database, target: str) -> None:
    """Row 1 by theirs, row 2 by ours."""
    source = "dev" if target == "main" else "main"
    history.run("SELECT pggit.create_branch('dev', 'HEAD', 'schema', 'none')")
    for branch, changes, writes in ((source, 1, 2), (target, 2, 1)):
        session = history.connect(branch=branch)
        query(session, "UPDATE t SET id = id + 10 WHERE id = %s", changes)
        query(session, "UPDATE t SET b = 'written' WHERE id = %s", writes)
    merge, result = history.row("SELECT merge_id, result FROM pggit.merge(%s, %s)", source, target)
    assert result == "conflicted"
    found = "SELECT key ->> 'id', kind, conflict_id FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY 1"
    (one, two) = history.rows(found, merge)
    assert (one[:2], two[:2]) == (("1", "update_delete"), ("2", "delete_update"))
    history.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", merge, one[2])
    history.run("SELECT pggit.resolve_conflict(%s, %s, 'ours')", merge, two[2])
    assert history.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert shown(history, target) == [(1, "one", "written"), (11, "one", "b1"), (12, "two", "b2")]


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_cherry_pick_over_foreign_keys_goes_on(small: Database, form: str) -> None:
    small.run("""
        CREATE TABLE c (id integer PRIMARY KEY, t integer NOT NULL REFERENCES t, v text);
        INSERT INTO c VALUES (1, 1, 'base');
        SELECT pggit.track_table('c'), pggit.commit('c comes');
    """)
    small.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    dev = small.connect(branch="dev")
    small.run("INSERT INTO t VALUES (7, 'parent'); SELECT pggit.commit('the parent')")
    small.run("INSERT INTO c VALUES (7, 7, 'child'); UPDATE c SET v = 'main' WHERE id = 1")
    small.run("UPDATE t SET a = 'main' WHERE id = 1; SELECT pggit.commit('the child')")
    query(dev, "UPDATE t SET a = 'dev' WHERE id = 1; UPDATE c SET v = 'dev' WHERE id = 1; SELECT pggit.commit('dev')")
    merge, result, conflicts = small.row("SELECT merge_id, result, conflicts FROM pggit.cherry_pick('main', 'dev')")
    assert (result, conflicts) == ("conflicted", 2)
    small.run("SELECT pggit.resolve_conflicts(%s, 'theirs', 'c')", merge)
    small.run("SELECT pggit.resolve_conflicts(%s, 'ours', 't', 'a')", merge)
    assert small.value("SELECT (pggit.continue_merge(%s)).result", merge) == "refused", "the parent is not there"
    found = "SELECT constraint_name, key, side FROM pggit.merge_violations WHERE merge_id = %s"
    assert small.rows(found, merge) == [("c_t_fkey", {"id": 7}, "theirs")]
    assert small.value("SELECT (pggit.cherry_pick('main~1', 'dev')).result") == "merged"
    assert small.value("SELECT (pggit.continue_merge(%s)).result", merge) == "merged"
    assert query(dev, "SELECT * FROM c ORDER BY id").fetchall() == [(1, 1, "main"), (7, 7, "child")]
    assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "dev"), (7, "parent")]
    assert small.rows("SELECT * FROM pggit.verify()") == []
