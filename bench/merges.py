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
CONFLICTS = "SELECT jsonb_typeof(pggit.detect_conflicts('{0}', '{1}') -> 'conflicts')"
# The least that a merge has to do: three states of the rows that theirs changed, merged cell by cell.
PLANNED_BY_HAND = """
    CREATE TEMPORARY TABLE by_hand AS
    SELECT t.c{key} AS id, o.ctid AS at, {merged}, {in_conflict} AS in_conflict
      FROM (SELECT d.* FROM pggit._delta_{table} AS d WHERE d._b = {branch} ORDER BY d.c{key} OFFSET 0) AS t
      LEFT JOIN (
        SELECT l.* FROM pggit._log_{table} AS l
         WHERE l._xid = (SELECT n._xid FROM pggit._log_{table} AS n ORDER BY n._xid DESC LIMIT 1)
      ) AS b ON b.c{key} = t.c{key}
      JOIN orders AS o ON o.id = t.c{key};
    ANALYZE by_hand (id);
"""
APPLIED_BY_HAND = """
    UPDATE orders AS o SET ({names}) = ROW({values}) FROM by_hand AS p WHERE o.ctid = p.at AND o.id = p.id;
"""


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


def by_hand(pair: Pair, changes: int, number: int) -> tuple[float, float]:
    """The CPU of SQL written by hand that plans the same merge, and of all of it; no check, no digest, no commit."""
    pair.leave(changed(pair, changes, number))
    session = pair.pggit
    ((table, branch),) = session.run(
        "SELECT t.table_id, b.branch_id FROM pggit.tables AS t, pggit.branches AS b"
        " WHERE t.table_name = 'orders' AND b.name = %s",
        f"m{number}",
    )
    columns = session.run("SELECT c.name, c.column_id FROM pggit.columns AS c WHERE c.table_id = %s ORDER BY 2", table)
    before = {n: f"CASE WHEN b._xid IS NULL THEN o.{name} ELSE b.c{n} END" for name, n in columns}
    theirs = {n: f"t.c{n} IS DISTINCT FROM {before[n]}" for _, n in columns}
    plan = PLANNED_BY_HAND.format(
        table=table,
        branch=branch,
        key=columns[0][1],
        merged=", ".join(f"CASE WHEN {theirs[n]} THEN t.c{n} ELSE o.{name} END AS c{n}" for name, n in columns),
        in_conflict=" OR ".join(f"{theirs[n]} AND o.{name} IS DISTINCT FROM {before[n]}" for name, n in columns),
    )
    write = APPLIED_BY_HAND.format(
        names=", ".join(name for name, _ in columns), values=", ".join(f"p.c{n}" for _, n in columns)
    )
    session.run("SET random_page_cost = 0.1; SET enable_hashjoin = off")
    planned = session.cpu(lambda s: s.run(plan))
    written = session.cpu(lambda s: s.run(write))
    session.run("DROP TABLE by_hand; RESET random_page_cost; RESET enable_hashjoin")
    return planned, planned + written


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
        detected = statistics.median(spent(large, CONFLICTS, "m3", "array") for _ in range(3))
        planned_by_hand, all_by_hand = (
            statistics.median(times) for times in zip(*(by_hand(large, few, n) for n in range(50, 53)), strict=True)
        )
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
        yield Figure(f"merge of {few:,} changes, plan alone / UPDATE … FROM", planned, plain_cpu, None)
        yield Figure(f"conflicts of {few:,} changes alone / UPDATE … FROM", detected, plain_cpu, 0.5)
        yield Figure(f"merge of {few:,} changes / by hand", large_cpu, all_by_hand, None)
        yield Figure(f"merge of {few:,} changes, plan alone / by hand", planned, planned_by_hand, None)
        yield Figure(f"merge of {few:,} changes by hand / UPDATE … FROM", all_by_hand, plain_cpu, None)
        yield Figure(f"merge of {few:,} changes in {large.rows:,} / {small.rows:,} rows", large_cpu, small_cpu, 1.5)
        yield Figure(f"merge of {few:,} changes into a view / into main", into_view, large_cpu, 2)
        yield Figure(f"merge of {few:,} changes into a table / into main", into_table, large_cpu, 2)
    with lab.pair() as pair:
        many_cpu, many_plain_cpu = merged(pair, many, 0), updated(pair, many, 0)
        changed(pair, many, 2)
        detected = statistics.median(spent(pair, CONFLICTS, "m2", "array") for _ in range(3))
        yield Figure(f"merge of {many:,} changes / UPDATE … FROM", many_cpu, many_plain_cpu, 2.5)
        yield Figure(f"conflicts of {many:,} changes alone / UPDATE … FROM", detected, many_plain_cpu, 0.5)
        yield Figure(f"merge of {many:,} changes / by hand", many_cpu, by_hand(pair, many, 1)[1], None)
    if lab.large:
        with lab.pair(lab.rows * 10) as huge:
            cpu = statistics.median(merged(huge, few, n) for n in range(3))
        yield Figure(f"merge of {few:,} changes in {lab.rows * 10:,} / {lab.rows:,} rows", cpu, large_cpu, 1.5)
    yield from related(lab)
