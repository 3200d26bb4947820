# ruff: noqa: E501 - SQL is not wrapped
"""Where nothing tells of DDL, partitions that come and go are noticed by the next statement or commit, or there is a clear gap."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .history import History

TABLES = """
    CREATE TABLE p (k integer, r integer, v text, parent integer, PRIMARY KEY (r, k)) PARTITION BY LIST (r);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
    INSERT INTO p VALUES (1, 1, 'a'), (2, 2, 'b');
    CREATE TABLE q (k integer NOT NULL, r integer NOT NULL, v text, parent integer, PRIMARY KEY (r, k));
    INSERT INTO q VALUES (1, 9, 'q'), (2, 9, 'r');
"""
ATTACH = "ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (9)"
SEEN = {
    "a new partition written directly": (
        "CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)",
        "INSERT INTO p3 VALUES (3, 3, 'c'), (4, 3, 'd')",
        "UPDATE p3 SET k = k + 10",
        "DELETE FROM p3 WHERE k = 13",
        "BEGIN; INSERT INTO p3 VALUES (13, 3, 'again'); DELETE FROM p3 WHERE k = 13; INSERT INTO p3 VALUES (13, 3, 'last'); COMMIT",
    ),
    "a new partition in one transaction": (
        "BEGIN; CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3); INSERT INTO p3 VALUES (3, 3, 'c'); UPDATE p3 SET v = 'd'; COMMIT",
    ),
    "a new partition written through the root": (
        "CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)",
        "INSERT INTO p VALUES (3, 3, 'c')",
        "UPDATE p3 SET v = 'd'",
        "UPDATE p SET r = 3 WHERE k = 1",
        "MERGE INTO p USING (VALUES (3)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 1",
    ),
    "attach, then the root": (ATTACH, "UPDATE p SET v = 'x'", "DELETE FROM q WHERE k = 1"),
    "attach, then the partition": (ATTACH, "UPDATE q SET v = 'x' WHERE k = 1"),
    "attach, then a commit": (ATTACH,),
    "detach, then a write": (
        "ALTER TABLE p DETACH PARTITION p2",
        "UPDATE p2 SET v = 'alone'",
        "DELETE FROM p2",
        "INSERT INTO p2 VALUES (5, 2)",
    ),
    "detach, then a drop after a commit": (
        "ALTER TABLE p DETACH PARTITION p2",
        "SELECT pggit.commit('detached')",
        "DROP TABLE p2",
    ),
    "detach, and a new column": (
        "BEGIN; ALTER TABLE p DETACH PARTITION p2; ALTER TABLE p ADD added integer DEFAULT 1; COMMIT",
        "UPDATE p SET added = 2",
        "DELETE FROM p2",
    ),
    "vacuum full, a write, then a detach": (
        "VACUUM FULL p2",
        "UPDATE p SET v = 'x' WHERE r = 1",
        "ALTER TABLE p DETACH PARTITION p2",
    ),
    "detach, attach, and vacuum full": (
        "ALTER TABLE p DETACH PARTITION p2",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
        "UPDATE p2 SET v = 'x'",
        "VACUUM FULL p",
    ),
    "a new column whose values are written": ("ALTER TABLE p ADD w float DEFAULT random()",),
    "detach and truncate in one transaction": ("BEGIN; ALTER TABLE p DETACH PARTITION p2; TRUNCATE p2; COMMIT",),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_is_noticed(db: Database, plain_owner: Connection, name: str) -> None:
    history = History(db, plain_owner, TABLES)
    for statement in SEEN[name]:
        query(plain_owner, statement)
    assert history.commit() == []
    assert history.after("UPDATE p SET v = v || '?'") == []


UNSEEN = {
    "drop": ("DROP TABLE p2",),
    "values computed anew": ("ALTER TABLE p ALTER v TYPE varchar USING v || 'x'", "INSERT INTO p VALUES (5, 1)"),
    "detach, then other values": (
        "ALTER TABLE p DETACH PARTITION p2",
        "ALTER TABLE p2 ALTER v TYPE text USING v || 'x'",
        "INSERT INTO p VALUES (5, 1)",
    ),
    "detach, other values, attach": (
        "ALTER TABLE p DETACH PARTITION p2",
        "ALTER TABLE p2 ALTER v TYPE text USING v || 'x'",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
    ),
    "detach, another column of the same name, attach": (
        "ALTER TABLE p DETACH PARTITION p2",
        "ALTER TABLE p2 DROP v, ADD v text",
        "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
        "UPDATE p SET v = 'x' WHERE r = 1",
    ),
    "detach, then another column": (
        "ALTER TABLE p DETACH PARTITION p2",
        "ALTER TABLE p2 RENAME v TO w",
        "INSERT INTO p2 VALUES (5, 2)",
    ),
    "attach of a table that was not tracked, then the partition": (
        "CREATE SCHEMA aside; CREATE TABLE aside.q (LIKE q INCLUDING ALL); INSERT INTO aside.q VALUES (1, 8, 'q')",
        "ALTER TABLE p ATTACH PARTITION aside.q FOR VALUES IN (8)",
        "UPDATE aside.q SET v = 'x'",
    ),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_not_is_a_gap(db: Database, plain_owner: Connection, name: str) -> None:
    history = History(db, plain_owner, TABLES)
    for statement in UNSEEN[name]:
        query(plain_owner, statement)
    query(plain_owner, "SELECT pggit.commit('gone', p_allow_empty => true)")
    with raises("VG306"):
        history.wrong()
    history.states.clear()
    assert history.after("UPDATE p SET v = v || '?'") == []


@pytest.mark.parametrize(("form", "told"), [("none", "reshaped"), ("all", "updated")])
def test_a_branch_goes_on_over_a_gap(db: Database, plain_owner: Connection, form: str, told: str) -> None:
    """A view tells of the rows that are left; a real table has them all."""
    history = History(db, plain_owner, TABLES)
    query(plain_owner, f"SELECT pggit.create_branch('b', 'main', 'schema', '{form}')")
    b = db.connect(user="plain", branch="b")
    query(plain_owner, "DROP TABLE p2")
    query(b, "UPDATE p SET v = 'after' WHERE r = 1; SELECT pggit.commit('after')")
    rows = query(b, "SELECT * FROM p ORDER BY k").fetchall()
    assert len(rows) == {"none": 1, "all": 2}[form]
    query(b, "INSERT INTO p VALUES (5, 1); SELECT pggit.commit('last')")
    assert query(b, "SELECT * FROM pggit.as_of(NULL::p, 'HEAD~1') ORDER BY k").fetchall() == rows
    assert query(
        b, "SELECT content -> 'public.p' ? %s FROM pggit.commits WHERE message = 'after'", told
    ).fetchall() == [(True,)]
    assert "lost" in str(history.rows("SELECT detail ->> 'reason' FROM pggit.merge('b', 'main')"))
    query(b, "SELECT pggit.reset('b', 'HEAD~1')")
    assert query(b, "SELECT * FROM p ORDER BY k").fetchall() == rows
    assert history.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize(
    ("ddl", "busy"),
    [
        ("CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)", "p3"),
        ("ALTER TABLE p DETACH PARTITION p2", "p2"),
    ],
)
def test_who_notices_a_partition_waits_for_nobody_who_writes_it(
    db: Database, plain_owner: Connection, ddl: str, busy: str
) -> None:
    history = History(db, plain_owner, TABLES)
    query(plain_owner, ddl)
    other = db.connect(user="plain", autocommit=False)
    query(other, f"LOCK TABLE {busy} IN ROW EXCLUSIVE MODE")
    query(plain_owner, "SET statement_timeout = '60s'")
    query(plain_owner, "INSERT INTO p VALUES (5, 1, 'x')")
    other.rollback()
    query(plain_owner, "INSERT INTO p SELECT 6, 3, 'y' WHERE to_regclass('p3') IS NOT NULL")
    assert history.commit() == []
    assert history.after("UPDATE p SET v = v || '?'") == []


def test_a_merge_keeps_triggers_of_partitions_out(db: Database, plain_owner: Connection) -> None:
    """Switched off for the merge by their names, and on again."""
    history = History(db, plain_owner, TABLES)
    query(plain_owner, "SELECT pggit.create_branch('work')")
    query(db.connect(user="plain", branch="work"), "UPDATE p SET v = 'x', r = 3 - r")
    query(plain_owner, "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''fired''; END'")
    query(plain_owner, "CREATE TRIGGER bad BEFORE INSERT OR UPDATE OR DELETE ON p2 FOR EACH ROW EXECUTE FUNCTION bad()")
    assert history.rows("SELECT result FROM pggit.merge('work', 'main')") == [("merged",)]
    assert history.rows("SELECT k, r, v FROM p ORDER BY k") == [(1, 2, "x"), (2, 1, "x")]
    assert history.rows("SELECT tgenabled FROM pg_trigger WHERE tgname = 'bad'") == [("O",)]
    assert history.wrong() == []
