"""Many random rows are merged as one full join of three whole copies says, and none is lost.

`--merged-rows 1000000 -s` merges a million and prints the counts.
"""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, Servers, query
from postgres import Server

# Whole copies of the three sides, few values a cell so that all cases of the truth table come up.
SIDES = """
CREATE SCHEMA copy;
SELECT setseed({seed});
CREATE TABLE copy.base AS
SELECT n AS id, (random() * 3)::integer AS a, CASE WHEN random() < 0.8 THEN chr(97 + (random() * 2)::integer) END AS b,
       jsonb_build_object('x', (random() * 2)::integer, 'y', (random() * 2)::integer) AS c
  FROM generate_series(1, {rows}) AS n WHERE random() < 0.8;
"""
SIDE = """
CREATE TABLE copy.{side} AS
SELECT b.id, CASE WHEN random() < 0.2 THEN (random() * 3)::integer ELSE b.a END AS a,
       CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.2 THEN chr(97 + (random() * 2)::integer) ELSE b.b END AS b,
       CASE WHEN random() < 0.2 THEN b.c || jsonb_build_object('x', (random() * 2)::integer) ELSE b.c END
       || CASE WHEN random() < 0.1 THEN jsonb_build_object('z', (random() * 1)::integer) ELSE '{{}}' END AS c
  FROM copy.base AS b WHERE random() < 0.9
UNION ALL
SELECT n, (random() * 1)::integer, 'n', '{{}}' FROM generate_series(1, {rows}) AS n
 WHERE random() < 0.3 AND NOT EXISTS (SELECT FROM copy.base AS b WHERE b.id = n);
"""
BRING = """
DELETE FROM t WHERE NOT EXISTS (SELECT FROM copy.{side} AS s WHERE s.id = t.id);
UPDATE t SET a = s.a, b = s.b, c = s.c FROM copy.{side} AS s
 WHERE s.id = t.id AND (t.a, t.b, t.c) IS DISTINCT FROM (s.a, s.b, s.c);
INSERT INTO t SELECT s.* FROM copy.{side} AS s WHERE NOT EXISTS (SELECT FROM t WHERE t.id = s.id);
"""
# A cell: who alone changed it has it; both alike; else it is open and ours here. jsonb: the same for each of its keys.
CELL = """
CASE WHEN t.{0} IS NOT DISTINCT FROM b.{0} THEN o.{0} WHEN o.{0} IS NOT DISTINCT FROM b.{0} THEN t.{0} ELSE o.{0} END
"""
OPEN = "(t.{0} IS DISTINCT FROM b.{0} AND o.{0} IS DISTINCT FROM b.{0} AND o.{0} IS DISTINCT FROM t.{0})"
KEYS = "unnest('{x,y,z}'::text[]) AS k"
KEY = f"(SELECT jsonb_strip_nulls(jsonb_object_agg(k, {CELL.replace('.{0}', '.c -> k')})) FROM {KEYS})"
OPEN_KEY = f"EXISTS (SELECT FROM {KEYS} WHERE {OPEN.replace('.{0}', '.c -> k')})"
A, B = (CELL.format(column) for column in "ab")
WANTED = f"""
CREATE TABLE copy.wanted AS
SELECT id, CASE kept WHEN 'theirs' THEN t.a WHEN 'ours' THEN o.a ELSE {A} END AS a,
       CASE kept WHEN 'theirs' THEN t.b WHEN 'ours' THEN o.b ELSE {B} END AS b,
       CASE WHEN kept = 'theirs' THEN t.c WHEN kept = 'ours' OR {OPEN_KEY} THEN o.c ELSE {KEY} END AS c,
       CASE kept WHEN 'ours' THEN is_open::integer WHEN 'theirs' THEN 0
                 ELSE {OPEN.format("a")}::integer + {OPEN.format("b")}::integer + ({OPEN_KEY})::integer END AS conflicts
  FROM copy.base AS b FULL JOIN copy.ours AS o USING (id) FULL JOIN copy.theirs AS t USING (id)
 CROSS JOIN LATERAL (
    SELECT CASE WHEN b.c IS NOT NULL AND o.c IS NOT NULL AND t.c IS NOT NULL THEN 'both'
                WHEN ROW(o.a, o.b, o.c) IS NOT DISTINCT FROM ROW(b.a, b.b, b.c) THEN 'theirs' ELSE 'ours' END AS kept,
           ROW(t.a, t.b, t.c) IS DISTINCT FROM ROW(b.a, b.b, b.c)
           AND ROW(o.a, o.b, o.c) IS DISTINCT FROM ROW(t.a, t.b, t.c) AS is_open
 ) AS k;
"""
WRONG = """
SELECT count(*) FROM (SELECT id, a, b, c FROM copy.wanted WHERE c IS NOT NULL) AS w FULL JOIN {shown} AS r USING (id)
 WHERE (w.a, w.b, w.c) IS DISTINCT FROM (r.a, r.b, r.c)
"""
MERGE = """SELECT (pggit.merge(%s, %s, p_options => '{"on_conflict": "ours"}')).result"""


def merge(db: Database, rows: int, seed: float, target: str, form: str) -> tuple[int, int, int]:
    """Merge three random copies of a table; how many rows and conflicts there were, and how many rows are wrong."""
    db.run(
        SIDES.format(seed=seed, rows=rows) + "".join(SIDE.format(side=side, rows=rows) for side in ("ours", "theirs"))
    )
    db.run("CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, c jsonb)")
    db.run(
        "INSERT INTO t SELECT * FROM copy.base; ANALYZE t; SELECT pggit.track_table('t'); SELECT pggit.commit('base')"
    )
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    on_main, on_dev = ("ours", "theirs") if target == "main" else ("theirs", "ours")
    db.run(BRING.format(side=on_main))
    query(db.connect(branch="dev"), BRING.format(side=on_dev))
    db.run(WANTED)

    source = "dev" if target == "main" else "main"
    merged, conflicts = db.row("SELECT count(*), sum(conflicts) FROM copy.wanted")
    assert db.value("SELECT conflicts FROM pggit.plan_merge(%s, %s)", source, target) == conflicts
    assert db.value("SELECT pggit.detect_conflicts(%s, %s) -> 'conflict_count'", source, target) == conflicts
    assert db.value(MERGE, source, target) == "merged"
    return merged, conflicts, db.value(WRONG.format(shown="t" if target == "main" else '"public@dev".t'))


def test_many_rows_are_merged_as_a_full_join_says(
    servers: Servers, server: Server, pytestconfig: pytest.Config
) -> None:
    """From a branch into main and back, as a view and as a real table; conflicts are counted and go to ours."""
    asked: int = pytestconfig.getoption("--merged-rows")
    merged = conflicts = number = 0
    while merged < asked:
        db = servers.create(server.version, template=servers.template(server.version))
        target, form = ("main", "dev")[number % 2], ("none", "all")[number // 2 % 2]
        rows, open_cells, wrong = merge(db, min(asked // 3, 100_000), number / (number + 7), target, form)
        assert wrong == 0
        servers.drop(db)
        merged, conflicts, number = merged + rows, conflicts + open_cells, number + 1
    print(f"{merged:,} random rows merged in {number} merges, {conflicts:,} conflicts, no row lost or changed")
