"""Merges into main."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from lab import Figure, Lab, Pair


def merged(pair: Pair, changes: int, number: int) -> float:
    """As many changes on both sides, 5 % of them to the same cell; the CPU of merging them into main."""
    step = pair.rows // changes
    session = pair.branch(f"m{number}")
    session.run(f"UPDATE orders SET note = 'branch {number}' WHERE id % {step} = {number}")
    session.run("SELECT pggit.commit('branch')")
    pair.pggit.run(
        f"UPDATE orders SET note = 'main {number}'"
        f" WHERE id % {step} = CASE WHEN id / {step} % 20 = 0 THEN {number} ELSE {number + 5} END"
    )
    pair.pggit.run("SELECT pggit.commit('main')")
    pair.vacuum()
    merge = f"SELECT (pggit.merge('m{number}', 'main', NULL, '{{\"on_conflict\": \"theirs\"}}')).result"
    outcome: list[tuple[Any, ...]] = []
    spent = pair.pggit.cpu(lambda s: outcome.extend(s.run(merge)))
    if outcome != [("merged",)]:
        raise RuntimeError(f"the merge ended with {outcome}")
    pair.leave(session)
    return spent


def merges(lab: Lab) -> Iterator[Figure]:
    """Merges into main beside one UPDATE of as many rows, and beside the same merge in a tenth of the rows."""
    with lab.pair() as large, lab.pair(lab.rows // 10) as small:
        changes = large.changes
        spent: dict[str, list[float]] = {"large": [], "small": [], "plain": []}
        for number in range(3):
            spent["large"].append(merged(large, changes, number))
            spent["small"].append(merged(small, changes, number))
            large.plain.run(
                f"CREATE TABLE new_{number} AS SELECT id, 'branch' AS note FROM orders WHERE id % 100 = {number}"
            )
            large.plain.run("ANALYZE")
            update = f"UPDATE orders AS o SET note = n.note FROM new_{number} AS n WHERE n.id = o.id"
            spent["plain"].append(large.plain.cpu(lambda s, u=update: s.run(u)))  # type: ignore[misc]
        whole, tenth, plain = (statistics.median(times) for times in spent.values())
    yield Figure(f"merge of {changes:,} changes / UPDATE … FROM", whole, plain, 2.5)
    yield Figure(f"merge of {changes:,} changes in {large.rows:,} / {small.rows:,} rows", whole, tenth, 1.5)
