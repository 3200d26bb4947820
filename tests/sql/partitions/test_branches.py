# ruff: noqa: E501 - SQL is not wrapped
"""Branches of partitioned tables, as views and as real tables, and merges in all directions."""

from __future__ import annotations

import json

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .history import ROWS, TABLES, Rows

FORMS = ["none", "all"]


@pytest.fixture(params=FORMS)
def work(db: Database, request: pytest.FixtureRequest) -> Connection:
    """A session on the branch `work`, of views or of real tables."""
    db.run(TABLES)
    db.run("""
        CREATE TABLE children (id integer PRIMARY KEY, r integer, k integer, CONSTRAINT of_p FOREIGN KEY (r, k) REFERENCES p);
        INSERT INTO children VALUES (1, 2, 2);
        SELECT pggit.track_schema('public');
    """)
    db.run("SELECT pggit.create_branch('work', p_materialize => %s)", request.param)
    return db.connect(branch="work")


def rows(session: Connection) -> Rows:
    return query(session, ROWS.format("p")).fetchall()


def merge(db: Database, source: str, target: str) -> object:
    return db.value("SELECT result FROM pggit.merge(%s, %s)", source, target)


def test_merges_in_all_directions(db: Database, work: Connection) -> None:
    """Rows go where the partitions of main take them, whichever side moved them."""
    query(
        work,
        "UPDATE p SET r = 3, v = 'moved' WHERE k = 1; UPDATE p SET v = 'changed' WHERE k = 400; DELETE FROM p WHERE k = 3",
    )
    query(work, "INSERT INTO p VALUES (50, 1, 'new', 2), (51, 4, 'new', NULL); INSERT INTO children VALUES (2, 1, 50)")
    db.run("UPDATE p SET r = 1, v = 'main' WHERE k = 4; INSERT INTO p VALUES (60, 2, 'main')")
    assert merge(db, "work", "main") == "merged"
    both = [
        (1, 4, "main", 2),
        (1, 50, "new", 2),
        (2, 2, "b", 1),
        (2, 60, "main", None),
        (3, 1, "moved", 1),
        (4, 51, "new", None),
        (4, 400, "changed", None),
    ]
    assert rows(db.conn) == both
    assert db.rows("SELECT tableoid::regclass::text, array_agg(k ORDER BY k) FROM p GROUP BY 1 ORDER BY 1") == [
        ("p1", [4, 50]),
        ("p2", [2, 60]),
        ("p3_low", [1, 51]),
        ("p3_rest", [400]),
    ]
    assert merge(db, "main", "work") == "fast_forward"
    assert rows(work) == both
    db.run("SELECT pggit.create_branch('other', 'work')")
    other = db.connect(branch="other")
    query(other, "UPDATE p SET r = r % 2 + 1 WHERE k IN (4, 60)")
    assert merge(db, "other", "work") == "fast_forward"
    assert rows(work) == rows(other)
    assert merge(db, "work", "main") == "fast_forward"
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_undo(db: Database, work: Connection) -> None:
    """Revert, stash, unstash and reset, on the branch and on main."""
    before = rows(work)
    for session, name in ((work, "work"), (db.conn, "main")):
        query(session, "UPDATE p SET r = 3 WHERE k = 1")
        query(session, "SELECT pggit.commit('move', %s)", name)
        moved = rows(session)
        query(session, "DELETE FROM p WHERE k = 400")
        query(session, "SELECT pggit.stash('put aside', %s)", name)
        assert rows(session) == moved
        assert query(session, "SELECT result FROM pggit.revert('HEAD', %s)", name).fetchall() == [("merged",)]
        assert rows(session) == before
        assert query(session, "SELECT result FROM pggit.unstash(NULL, %s)", name).fetchall() == [("merged",)]
        assert len(rows(session)) == len(before) - 1
        query(session, "SELECT pggit.reset(%s, 'HEAD~1')", name)
        assert rows(session) == moved
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_rows_that_no_partition_takes(db: Database, work: Connection) -> None:
    """Refused by a view at once, as by the table; from a real table they are violations of the merge, before anything is written."""
    form = db.value("SELECT form FROM pggit.branch_tables JOIN pggit.tables USING (table_id) WHERE table_name = 'p'")
    if form == "view":
        for statement in ("INSERT INTO p VALUES (1, 9)", "UPDATE p SET r = 9 WHERE k = 1"):
            with raises("23514", 'no partition of relation "p" found for row'):
                query(work, statement)
        db.run("CREATE TABLE p9 PARTITION OF p FOR VALUES IN (9)")
    query(work, "INSERT INTO p VALUES (1, 9, 'x')")
    if form == "view":
        db.run("DROP TABLE p9 CASCADE")
    assert db.value("SELECT result FROM pggit.plan_merge('work', 'main')") == "planned"
    assert merge(db, "work", "main") == "refused"
    assert db.rows("SELECT DISTINCT kind, table_name, key, side FROM pggit.merge_violations") == [
        ("partition", "public.p", {"r": 9, "k": 1}, "theirs")
    ]
    db.run("CREATE TABLE p9 PARTITION OF p FOR VALUES IN (9)")
    assert merge(db, "work", "main") in ("merged", "fast_forward")
    assert db.rows("SELECT k, r, v FROM p9") == [(1, 9, "x")]


def test_partitions_that_come_and_go_on_main(db: Database, work: Connection) -> None:
    """The branch goes on seeing what it stands on, and takes over what happened when main is merged."""
    before = rows(work)
    db.run("""
        CREATE TABLE more (LIKE p); INSERT INTO more VALUES (1, 9, 'x', 1); ALTER TABLE p ATTACH PARTITION more FOR VALUES IN (9);
        ALTER TABLE p DETACH PARTITION p1; DROP TABLE p1; ALTER TABLE p3 DETACH PARTITION p3_low; DROP TABLE p3_low;
    """)
    assert rows(work) == before
    query(work, "UPDATE p SET v = 'changed' WHERE k = 2")
    assert merge(db, "main", "work") == "merged"
    assert rows(work) == [(2, 2, "changed", 1), (4, 400, "e", None), (9, 1, "x", 1)]
    assert merge(db, "work", "main") == "fast_forward"
    assert rows(db.conn) == rows(work)


def test_foreign_keys_of_the_branch(db: Database, work: Connection) -> None:
    with raises("23503"):
        query(work, "DELETE FROM p WHERE k = 2")
    with raises("23503"):
        query(work, "INSERT INTO children VALUES (2, 1, 77)")
    with raises("23503"):
        query(work, "INSERT INTO p VALUES (77, 1, 'x', 77)")
    query(work, "DELETE FROM parents WHERE id = 2")
    assert [row for row in rows(work) if row[1] == 4] == []


def test_foreign_keys_of_single_partitions(db: Database, work: Connection) -> None:
    """They hold on main alone; a merge that would break them is refused, though no trigger fires in it."""
    db.run("""
        ALTER TABLE p1 ADD CONSTRAINT p1_has FOREIGN KEY (k) REFERENCES parents;
        CREATE TABLE of_p2 (r integer, k integer, CONSTRAINT to_p2 FOREIGN KEY (r, k) REFERENCES p2, id integer PRIMARY KEY);
        INSERT INTO of_p2 VALUES (2, 2, 1);
    """)
    query(work, "INSERT INTO p VALUES (77, 1); DELETE FROM children; DELETE FROM p WHERE k = 2")
    assert merge(db, "work", "main") == "refused"
    assert db.rows("SELECT constraint_name, key FROM pggit.merge_violations ORDER BY 1") == [
        ("p1_has", {"r": 1, "k": 77}),
        ("to_p2", {"r": 2, "k": 2}),
    ]
    query(work, "UPDATE p SET r = 2 WHERE k = 77; INSERT INTO p VALUES (2, 2, 'back')")
    assert merge(db, "work", "main") == "merged"


def test_what_a_single_partition_says_refuses_a_merge(db: Database, work: Connection) -> None:
    """Its checks and unique indexes: nothing is written."""
    db.run("ALTER TABLE p1 ADD CONSTRAINT small CHECK (k < 100); CREATE UNIQUE INDEX once ON p2 (v)")
    before = rows(db.conn)
    query(work, "INSERT INTO p VALUES (101, 1)")
    assert db.row("SELECT result, detail ->> 'constraint' FROM pggit.merge('work', 'main')") == ("refused", "small")
    query(work, "DELETE FROM p WHERE k = 101; INSERT INTO p VALUES (5, 2, 'b')")
    assert db.row("SELECT result, detail ->> 'constraint' FROM pggit.merge('work', 'main')") == ("refused", "once")
    assert rows(db.conn) == before


def test_capabilities_say_it(db: Database, work: Connection) -> None:
    assert db.rows("SELECT table_name FROM pggit.branch_capabilities('work') WHERE kind = 'partitions'") == [
        ("public.p",)
    ]


def test_a_large_partitioned_table_is_a_view(db: Database) -> None:
    """Its size is that of its partitions."""
    db.run(
        "CREATE TABLE p (k integer PRIMARY KEY) PARTITION BY HASH (k); CREATE TABLE h PARTITION OF p FOR VALUES WITH (modulus 1, remainder 0)"
    )
    db.run(
        "INSERT INTO p SELECT generate_series(1, 20000); SELECT pggit.track_schema('public'); SET pggit.materialize_limit = '100kB'"
    )
    assert db.value("SELECT (pggit.create_branch('work')).materialized") == []


def test_index_paths(db: Database) -> None:
    """Every arm of the view, and every partition in it, is read by index; partitions that can't match are left out."""
    db.run("""
        CREATE TABLE p (day date, id integer, who integer, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
        CREATE TABLE p_a PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE p_b PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id);
        CREATE TABLE p_b0 PARTITION OF p_b FOR VALUES WITH (modulus 2, remainder 0);
        CREATE TABLE p_b1 PARTITION OF p_b FOR VALUES WITH (modulus 2, remainder 1);
        CREATE INDEX ON p (who);
        INSERT INTO p SELECT '2026-01-01'::date + g % 59, g, g / 3 FROM generate_series(1, 60000) AS g;
        ANALYZE;
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('work', p_materialize => 'none');
    """)
    db.run("UPDATE p SET who = -1 WHERE id % 100 = 0")
    work = db.connect(branch="work")
    for where, left_out in {
        "day = '2026-01-05' AND id = 4": ["p_b0", "p_b1"],
        "who = 77": [],
        "day > '2026-02-10' ORDER BY day, id LIMIT 10": ["p_a"],
        "true ORDER BY day DESC, id DESC LIMIT 5": [],
    }.items():
        plan = json.dumps(query(work, f"EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM p WHERE {where}").fetchall())
        scans = [
            node
            for node in _nodes(json.loads(plan)[0][0][0]["Plan"])
            if str(node.get("Relation Name")).startswith("p_")
        ]
        assert scans, plan
        assert all("Index" in str(node["Node Type"]) or node["Node Type"] == "Bitmap Heap Scan" for node in scans), plan
        assert not {node["Relation Name"] for node in scans} & set(left_out), plan
        assert "Subquery Scan" not in plan


def _nodes(plan: dict[str, object]) -> list[dict[str, object]]:
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return [plan, *(node for child in inner for node in _nodes(child))]
