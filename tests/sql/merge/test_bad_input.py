"""What makes no sense is refused with an error of pggit's own, and nothing is lost by it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


@pytest.fixture
def torn(small: Database) -> Database:
    """Row 1 is another on both sides, row 2 is deleted on the branch and changed on main."""
    small.run("INSERT INTO t VALUES (2, 'b'); ALTER TABLE t ADD j jsonb; SELECT pggit.commit('two')")
    small.run("SELECT pggit.create_branch('side', p_materialize => 'none')")
    query(small.connect(branch="side"), "UPDATE t SET a = 'side' WHERE id = 1; DELETE FROM t WHERE id = 2")
    small.run("UPDATE t SET a = 'main'")
    return small


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
