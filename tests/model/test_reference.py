"""The model is worth comparing with only if it keeps the laws of merging itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.reference import Commit, Conflict, Refused, Repository, State, merge_base, merged, violations
from model.statements import SCHEMA, statements

EMPTY: State = {name: {} for name in SCHEMA}


def moved(data: st.DataObject, state: State, steps: int) -> State:
    for _ in range(steps):
        try:
            state = data.draw(statements(state)).apply(state)
        except Refused:
            continue
    return state


def three(data: st.DataObject) -> tuple[State, State, State]:
    base = moved(data, EMPTY, 8)
    return base, moved(data, base, 4), moved(data, base, 4)


def mirrored(conflict: Conflict) -> Conflict:
    kind = {"update_delete": "delete_update", "delete_update": "update_delete"}.get(conflict.kind, conflict.kind)
    return Conflict(kind, conflict.table, conflict.key, conflict.column, conflict.base, conflict.theirs, conflict.ours)


laws = settings(max_examples=100, deadline=None, derandomize=True)


@laws
@given(st.data())
def test_statements_keep_every_constraint(data: st.DataObject) -> None:
    assert list(violations(SCHEMA, moved(data, EMPTY, 12))) == []


@laws
@given(st.data())
def test_a_side_that_changed_nothing_takes_the_other(data: st.DataObject) -> None:
    base, ours, _ = three(data)
    assert merged(SCHEMA, base, ours, base).state == ours
    assert merged(SCHEMA, base, base, ours).state == ours
    assert merged(SCHEMA, base, ours, ours).conflicts == []


@laws
@given(st.data())
def test_both_directions_give_the_same_rows_and_mirrored_conflicts(data: st.DataObject) -> None:
    base, ours, theirs = three(data)
    there, back = merged(SCHEMA, base, ours, theirs), merged(SCHEMA, base, theirs, ours)
    assert set(there.conflicts) == {mirrored(conflict) for conflict in back.conflicts}
    if not there.conflicts:
        assert there.state == back.state


@laws
@given(st.data())
def test_no_row_is_lost(data: st.DataObject) -> None:
    base, ours, theirs = three(data)
    found = merged(SCHEMA, base, ours, theirs)
    for table in SCHEMA:
        in_conflict = {conflict.key for conflict in found.conflicts if conflict.table == table}
        for key in ours[table].keys() | theirs[table].keys():
            deleted = key in base[table] and (key not in ours[table] or key not in theirs[table])
            assert key in found.state[table] or key in in_conflict or deleted


def test_the_base_of_a_criss_cross_is_the_newest_of_the_best() -> None:
    repo = Repository(SCHEMA)
    root = repo.add((), EMPTY, "root")
    left, right = repo.add((root,), EMPTY, "left"), repo.add((root,), EMPTY, "right")
    one, other = repo.add((left, right), EMPTY, "one"), repo.add((right, left), EMPTY, "other")
    assert merge_base(one, other) is right
    assert merge_base(one, left) is left
    assert merge_base(one, Commit(9, (), EMPTY, "unrelated")) is None
