"""The model is worth comparing with only if it keeps the laws of merging itself."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.reference import (
    Base,
    Commit,
    Conflict,
    Refused,
    Repository,
    State,
    base_of,
    merge_bases,
    merged,
    one_base,
    violations,
)
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
    assert list(violations(SCHEMA, moved(data, EMPTY, 12), at_once=True)) == []


@laws
@given(st.data())
def test_a_side_that_changed_nothing_takes_the_other(data: st.DataObject) -> None:
    base, ours, _ = three(data)
    assert merged(SCHEMA, Base(base), ours, base).state == ours
    assert merged(SCHEMA, Base(base), base, ours).state == ours
    assert merged(SCHEMA, Base(base), ours, ours).conflicts == []


@laws
@given(st.data())
def test_both_directions_give_the_same_rows_and_mirrored_conflicts(data: st.DataObject) -> None:
    base, ours, theirs = three(data)
    there, back = merged(SCHEMA, Base(base), ours, theirs), merged(SCHEMA, Base(base), theirs, ours)
    assert set(there.conflicts) == {mirrored(conflict) for conflict in back.conflicts}
    if not there.conflicts:
        assert there.state == back.state


@laws
@given(st.data())
def test_no_row_is_lost(data: st.DataObject) -> None:
    base, ours, theirs = three(data)
    found = merged(SCHEMA, Base(base), ours, theirs)
    for table in SCHEMA:
        in_conflict = {conflict.key for conflict in found.conflicts if conflict.table == table}
        for key in ours[table].keys() | theirs[table].keys():
            deleted = key in base[table] and (key not in ours[table] or key not in theirs[table])
            assert key in found.state[table] or key in in_conflict or deleted


@laws
@given(st.data())
def test_after_a_criss_cross_the_order_of_the_bases_does_not_matter(data: st.DataObject) -> None:
    root, left, right = three(data)
    ours, theirs = moved(data, left, 3), moved(data, right, 3)
    there = merged(SCHEMA, one_base(SCHEMA, [left, right], lambda i, j: Base(root)), ours, theirs)
    back = merged(SCHEMA, one_base(SCHEMA, [right, left], lambda i, j: Base(root)), ours, theirs)
    assert {(c.table, c.key, c.column) for c in there.conflicts} == {(c.table, c.key, c.column) for c in back.conflicts}
    assert there.state == back.state


@laws
@given(st.data())
def test_after_a_criss_cross_no_side_loses_what_it_did_to_both_bases(data: st.DataObject) -> None:
    root, left, right = three(data)
    both = merged(SCHEMA, Base(root), left, right).state
    theirs = moved(data, both, 4)
    found = merged(SCHEMA, one_base(SCHEMA, [left, right], lambda i, j: Base(root)), both, theirs)
    for table in SCHEMA:
        in_conflict = {conflict.key for conflict in found.conflicts if conflict.table == table}
        for key in both[table].keys() | theirs[table].keys():
            if key not in in_conflict:
                assert found.state[table].get(key) == theirs[table].get(key)


def test_the_bases_of_a_criss_cross_become_one() -> None:
    keep: State = {"parent": {(1,): (1, "a", "b", None, None, None, None)}}
    drop: State = {"parent": {}}
    repo = Repository(SCHEMA)
    root = repo.add((), {**EMPTY, **keep}, "root")
    left, right = repo.add((root,), {**EMPTY, **drop}, "left"), repo.add((root,), {**EMPTY, **keep}, "right")
    one, other = repo.add((left, right), {**EMPTY, **drop}, "one"), repo.add((right, left), {**EMPTY, **drop}, "other")
    assert merge_bases(one, other) == [right, left]
    assert base_of(SCHEMA, [right, left]) == Base({**EMPTY, **drop}), "left alone changed it"
    assert merge_bases(one, left) == [left]
    assert merge_bases(one, Commit(9, (), EMPTY, "unrelated")) == []
