"""Random rows merged by rules are what a slow cell-by-cell merge says, in both directions."""

from __future__ import annotations

from itertools import count
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query

Cell: TypeAlias = int | None
Row: TypeAlias = tuple[Cell, ...] | None

#: Column → rule; `at` decides for `newer`, and is itself what is greater.
RULES = {"most": "max", "least": "min", "stock": "sum", "known": "non_null", "newer": "newest", "at": "max"}
OPEN = object()


def decided(rule: str, base: Cell, ours: Cell, theirs: Cell, at: tuple[Cell, Cell]) -> Any:
    """The cell's value after a merge, or OPEN."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    there = [value for value in (ours, theirs) if value is not None]
    if rule in ("max", "min"):
        return max(there) if rule == "max" else min(there)
    if rule == "sum":
        return ours + theirs - (base or 0) if ours is not None and theirs is not None else OPEN
    if rule == "non_null":
        return there[0] if len(there) == 1 else OPEN
    if at[0] is None or at[1] is None or at[0] == at[1]:
        return OPEN
    return ours if at[0] > at[1] else theirs


def merged(base: Row, ours: Row, theirs: Row) -> Any:
    """The row after a merge, or OPEN."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if ours is None or theirs is None:
        return OPEN
    before = base or (None,) * len(RULES)
    at = (ours[-1], theirs[-1])
    cells = []
    for rule, b, o, t in zip(RULES.values(), before, ours, theirs, strict=True):
        # Of two new rows every cell that differs has to be decided, NULL against a value too.
        apart = base is None and o != t and (o is None or t is None)
        cells.append(decided(rule, object() if apart else b, o, t, at))  # type: ignore[arg-type]
    return OPEN if OPEN in cells else tuple(cells)


rows = st.none() | st.tuples(*[st.none() | st.integers(-2, 3)] * len(RULES))
histories = st.lists(st.tuples(rows, rows, rows), min_size=1, max_size=25)
numbers = count(1)


@given(histories)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rules_decide_as_the_model_says(db: Database, history: list[tuple[Row, Row, Row]]) -> None:
    n = next(numbers)
    table, ours, theirs = f"t{n}", f"ours{n}", f"theirs{n}"
    columns = ", ".join(RULES)
    db.run(f"CREATE TABLE {table} (id integer PRIMARY KEY, {' integer, '.join(RULES)} integer)")
    db.run("SELECT pggit.track_schema('public')")
    values = ", ".join(["%s"] * (len(RULES) + 1))
    for key, (base, _, _) in enumerate(history):
        if base is not None:
            db.run(f"INSERT INTO {table} (id, {columns}) VALUES ({values})", key, *base)
    db.run("SELECT pggit.commit('base', p_allow_empty => true)")
    for side, branch in ((1, ours), (2, theirs)):
        db.run("SELECT pggit.create_branch(%s)", branch)
        session = db.connect(branch=branch)
        for key, states in enumerate(history):
            changed = states[side]
            if changed != states[0]:
                query(session, f"DELETE FROM {table} WHERE id = %s", key)
                if changed is not None:
                    query(session, f"INSERT INTO {table} (id, {columns}) VALUES ({values})", key, *changed)
        query(session, "SELECT pggit.commit('side', p_allow_empty => true)")

    options: dict[str, Any] = {
        "rules": [
            {"table": table, "column": c, "rule": r} | ({"by": "at"} if r == "newest" else {}) for c, r in RULES.items()
        ]
    }
    for source, target, flip in ((theirs, ours, False), (ours, theirs, True)):
        wanted = {key: merged(base, *((t, o) if flip else (o, t))) for key, (base, o, t) in enumerate(history)}
        open_keys = {key for key, row in wanted.items() if row is OPEN}
        db.run("BEGIN")
        try:
            db.run("SELECT pggit.merge(%s, %s, p_options => %s)", source, target, Jsonb(options))
            found = db.rows(
                "SELECT DISTINCT (key ->> 'id')::integer FROM pggit.merge_conflicts WHERE resolution IS NULL"
            )
            assert {key for (key,) in found} == open_keys
            db.run(
                "SELECT pggit.merge(%s, %s, p_options => %s)", source, target, Jsonb({**options, "on_conflict": "ours"})
            )
            for key, row in wanted.items():
                if row is not OPEN:
                    shown = db.rows(f'SELECT {columns} FROM "public@{target}".{table} WHERE id = %s', key)
                    assert shown == ([] if row is None else [row])
        finally:
            db.run("ROLLBACK")


lines = st.lists(st.sampled_from("abc"), max_size=7).map("\n".join)


@given(lines, lines, lines)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merged_lines_keep_the_laws(db: Database, base: str, ours: str, theirs: str) -> None:
    """What one side did alone stands, both directions are the same, and no line comes from nowhere or gets lost."""
    both: str | None = db.value("SELECT pggit._merge_lines(%s, %s, %s)", base, ours, theirs)
    assert db.value("SELECT pggit._merge_lines(%s, %s, %s)", base, theirs, ours) == both
    assert db.value("SELECT pggit._merge_lines(%s, %s, %s)", base, ours, base) == ours
    assert db.value("SELECT pggit._merge_lines(%s, %s, %s)", base, ours, ours) == ours
    if both is not None:
        for line in "abc":
            counts = [text.split("\n").count(line) for text in (base, ours, theirs, both)]
            assert counts[3] <= counts[1] + counts[2]
            # Both may have added the same line in the same place.
            assert counts[3] >= max(counts[1], counts[2]) - counts[0]
