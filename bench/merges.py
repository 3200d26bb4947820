"""Merges into main and into branches, 5 % of whose changes are in conflict, with capture on."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from lab import Figure, Lab, Pair, Session

RELATED = """
    CREATE SCHEMA related;
    CREATE TABLE related.parents (id bigint PRIMARY KEY, name text NOT NULL, note text);
    CREATE TABLE related.children (
        id bigint PRIMARY KEY, parent_id bigint NOT NULL REFERENCES related.parents, amount integer NOT NULL, note text
    );
    INSERT INTO related.parents SELECT g, 'parent ' || g, md5(g::text) FROM generate_series(1, {rows}) AS g;
    INSERT INTO related.children
    SELECT g, 1 + g::bigint * 7919 % {rows}, g % 100, md5(g::text) FROM generate_series(1, {rows}) AS g;
    CREATE INDEX ON related.children (parent_id);
    SELECT pggit.track_schema('related');
    SELECT pggit.commit('related tables');
"""
MERGE = "SELECT (pggit.merge('{0}', '{1}', NULL, '{{\"on_conflict\": \"theirs\"}}')).result"
PLAN = "SELECT (pggit.plan_merge('{0}', '{1}')).result"


def changed(pair: Pair, changes: int, number: int) -> Session:
    """A branch and main with as many changes each, 5 % of them to the same cells (of fewer than 20 none)."""
    step = pair.rows // changes
    meets = f"id / {step} % 20 = 0" if changes >= 20 else "false"
    session = pair.branch(f"m{number}")
    session.run(f"UPDATE orders SET note = 'branch {number}' WHERE id % {step} = {number}")
    session.run("SELECT pggit.commit('branch')")
    pair.pggit.run(
        f"UPDATE orders SET note = 'main {number}'"
        f" WHERE id % {step} = CASE WHEN {meets} THEN {number} ELSE {number + 5} END"
    )
    pair.pggit.run("SELECT pggit.commit('main')")
    pair.vacuum()
    return session


def spent(pair: Pair, sql: str, branch: str, result: str, target: str = "main") -> float:
    """The CPU of a merge or a plan that must end in a way."""
    outcome: list[tuple[object, ...]] = []
    cpu = pair.pggit.cpu(lambda session: outcome.extend(session.run(sql.format(branch, target))))
    if outcome != [(result,)]:
        raise RuntimeError(f"the merge ended with {outcome}")
    return cpu


def merged(pair: Pair, changes: int, number: int) -> float:
    """The CPU of merging as many changes on both sides into main."""
    session = changed(pair, changes, number)
    cpu = spent(pair, MERGE, f"m{number}", "merged")
    pair.leave(session)
    return cpu


def merged_into_a_branch(pair: Pair, changes: int, number: int, materialize: str) -> float:
    """The CPU of the same merge into a branch that is as main is."""
    source = changed(pair, changes, number)
    target = pair.branch(f"as_main{number}", materialize)
    cpu = spent(pair, MERGE, f"m{number}", "merged", f"as_main{number}")
    pair.leave(source)
    pair.leave(target)
    return cpu


def updated(pair: Pair, changes: int, number: int) -> float:
    """The CPU of one UPDATE … FROM of as many rows without pggit."""
    new = f"new_{changes}_{number}"
    step = pair.rows // changes
    pair.plain.run(f"CREATE TABLE {new} AS SELECT id, 'branch' AS note FROM orders WHERE id % {step} = {number}")
    pair.plain.run("ANALYZE")
    return pair.plain.cpu(lambda s: s.run(f"UPDATE orders AS o SET note = n.note FROM {new} AS n WHERE n.id = o.id"))


def related(lab: Lab) -> Iterator[Figure]:
    """Edits of two large tables that a foreign key connects, half of them on either side."""
    with lab.pair() as pair:
        pair.pggit.run(RELATED.format(rows=pair.rows))
        pair.vacuum()
        session = pair.branch("edits")
        ((schema,),) = session.run("SELECT quote_ident(pggit.branch_schema('edits', 'related'))")
        for side, name, first in ((session, schema, 0), (pair.pggit, "related", 50)):
            of_side = f"id % 200 BETWEEN {first} AND {first + 2}"
            side.run(f"UPDATE {name}.parents SET name = name || '!' WHERE {of_side}")
            side.run(f"UPDATE {name}.children SET amount = amount + 1 WHERE {of_side}")
        session.run("SELECT pggit.commit('edits', 'edits')")
        pair.pggit.run("SELECT pggit.commit('main')")
        pair.vacuum()
        seconds = spent(pair, MERGE, "edits", "merged") / 1000
    yield Figure(f"merge of {lab.rows * 6 // 100:,} edits of two tables", seconds, None, 20, "s")


def merges(lab: Lab) -> Iterator[Figure]:
    """Merges into main beside one UPDATE of as many rows, and beside the same merge in fewer rows."""
    with lab.pair() as large, lab.pair(lab.rows // 10) as small:
        few, many = large.changes, large.changes * 10
        large_cpu, small_cpu, plain_cpu = (
            statistics.median(times)
            for times in zip(
                *((merged(large, few, n), merged(small, few, n), updated(large, few, n)) for n in range(3)), strict=True
            )
        )
        changed(large, few, 3)
        planned = spent(large, PLAN, "m3", "planned")
        into_view, into_table = (
            statistics.median(merged_into_a_branch(large, few, first + n, how) for n in range(3))
            for first, how in ((30, "none"), (40, "all"))
        )
        one_cpu, fewer_cpu, fewer_plain_cpu = (
            statistics.median(times)
            for times in zip(
                *(
                    (merged(large, 1, n), merged(large, few // 10, n + 10), updated(large, few // 10, n + 10))
                    for n in range(10, 13)
                ),
                strict=True,
            )
        )
        yield Figure("merge of one change", one_cpu, None, None)
        yield Figure(f"merge of {few // 10:,} changes / UPDATE … FROM", fewer_cpu, fewer_plain_cpu, None)
        yield Figure(f"merge of {few:,} changes / UPDATE … FROM", large_cpu, plain_cpu, 2.5)
        yield Figure(f"merge of {few:,} changes, plan alone / UPDATE … FROM", planned, plain_cpu, 0.5)
        yield Figure(f"merge of {few:,} changes in {large.rows:,} / {small.rows:,} rows", large_cpu, small_cpu, 1.5)
        yield Figure(f"merge of {few:,} changes into a view / into main", into_view, large_cpu, 2)
        yield Figure(f"merge of {few:,} changes into a table / into main", into_table, large_cpu, 2)
    with lab.pair() as pair:
        yield Figure(f"merge of {many:,} changes / UPDATE … FROM", merged(pair, many, 0), updated(pair, many, 0), 2.5)
    if lab.large:
        with lab.pair(lab.rows * 10) as huge:
            cpu = statistics.median(merged(huge, few, n) for n in range(3))
        yield Figure(f"merge of {few:,} changes in {lab.rows * 10:,} / {lab.rows:,} rows", cpu, large_cpu, 1.5)
    yield from related(lab)
