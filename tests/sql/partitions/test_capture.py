# ruff: noqa: E501 - SQL is not wrapped
"""Every way to write a partitioned table is in its history: through the root, a partition, other tables and DDL."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

from .history import TABLES, History


@pytest.fixture
def history(db: Database) -> History:
    return History(db)


STATEMENTS = {
    "insert through the root": "INSERT INTO p VALUES (9, 1, 'x'), (9, 2, 'y'), (900, 3, 'z')",
    "writes of single partitions": "INSERT INTO p1 (k, r, v) VALUES (9, 1, 'x'); UPDATE p2 SET v = 'y'; DELETE FROM p3_low WHERE k = 3",
    "an update": "UPDATE p SET v = 'x'",
    "an update that moves rows": "UPDATE p SET r = CASE r WHEN 4 THEN 1 ELSE r + 1 END, v = v || 'm'",
    "keys that change hands between partitions": "UPDATE p SET k = 2, r = 1 WHERE r = 2; UPDATE p SET k = k + 1, r = CASE r WHEN 1 THEN 2 ELSE 1 END WHERE r < 3",
    "a move within a partition that has partitions": "UPDATE p3 SET k = k + 300",
    "a move there and back": "BEGIN; UPDATE p SET r = 2 WHERE r = 1; UPDATE p SET r = 1 WHERE r = 2 AND k = 1; COMMIT",
    "upsert": "INSERT INTO p VALUES (1, 1, 'up'), (8, 1, 'in'), (3, 3, 'up') ON CONFLICT (r, k) DO UPDATE SET v = p.v || excluded.v",
    "merge that moves": "MERGE INTO p USING (VALUES (1), (3)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 2, v = 'm'",
    "merge that moves and inserts": "MERGE INTO p USING (VALUES (1), (7)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 2 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, 'i')",
    "merge that moves and deletes": "MERGE INTO p USING (VALUES (1), (3)) AS s (k) ON p.k = s.k WHEN MATCHED AND s.k = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET r = 3",
    "merge that does it all": """MERGE INTO p USING (VALUES (1), (2), (7)) AS s (k) ON p.k = s.k WHEN MATCHED AND s.k = 2 THEN DELETE
                                 WHEN MATCHED THEN UPDATE SET r = 2, k = 9 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1, 'i')""",
    "merge of a partition that has partitions": "MERGE INTO p3 USING (VALUES (3), (400)) AS s (k) ON p3.k = s.k WHEN MATCHED THEN UPDATE SET k = 403 - s.k",
    "merge after writes in one transaction": "BEGIN; UPDATE p SET v = 'u' WHERE k = 1; MERGE INTO p USING (VALUES (1)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 3; DELETE FROM p WHERE k = 1; COMMIT",
    "a CTE that moves and inserts": "WITH u AS (UPDATE p SET r = 2 WHERE k = 1 RETURNING k), i AS (INSERT INTO p VALUES (7, 1, 'i')) SELECT FROM u",
    "a CTE that takes rows to another partition": "WITH d AS (DELETE FROM p WHERE r = 1 RETURNING *) INSERT INTO p SELECT k, 2, v, parent FROM d",
    "cascades": "UPDATE parents SET id = 7 WHERE id = 1; DELETE FROM parents WHERE id = 2",
    "truncate": "TRUNCATE p",
    "truncate of one partition": "TRUNCATE p2",
    "truncate of a partition that has partitions": "TRUNCATE p3",
    "truncate by cascade": "TRUNCATE parents CASCADE",
    "truncate of two levels at once": "TRUNCATE p3, p3_low, p",
    "a new partition": "CREATE TABLE p9 PARTITION OF p FOR VALUES IN (9); INSERT INTO p9 VALUES (1, 9, 'x'); INSERT INTO p VALUES (2, 9, 'y')",
    "a new partition of a partition": "CREATE TABLE p3_top PARTITION OF p3 FOR VALUES FROM (1000) TO (2000); INSERT INTO p3_top VALUES (1001, 3, 'x'); UPDATE p SET k = 1003 WHERE k = 3",
    "attach": "CREATE TABLE other (r integer NOT NULL, v text, k integer NOT NULL, parent integer); INSERT INTO other VALUES (9, 'x', 1), (9, 'y', 2); ALTER TABLE p ATTACH PARTITION other FOR VALUES IN (9); UPDATE other SET v = 'z' WHERE k = 1",
    "attach of a table with partitions": "CREATE TABLE other (LIKE p, PRIMARY KEY (r, k)) PARTITION BY HASH (k); CREATE TABLE other0 PARTITION OF other FOR VALUES WITH (modulus 1, remainder 0); INSERT INTO other VALUES (1, 9, 'x'); ALTER TABLE p ATTACH PARTITION other FOR VALUES IN (9); UPDATE other0 SET v = 'y'",
    "detach": "ALTER TABLE p DETACH PARTITION p2; INSERT INTO p2 (k, r) VALUES (77, 2); DELETE FROM p2 WHERE k = 2",
    "detach of a partition's partition": "ALTER TABLE p3 DETACH PARTITION p3_low",
    "detach of a partition that has partitions": "ALTER TABLE p DETACH PARTITION p3; UPDATE p3 SET v = 'alone'; DELETE FROM p3_low",
    "detach and attach": "ALTER TABLE p DETACH PARTITION p2; UPDATE p2 SET v = 'x'; ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2)",
    "drop": "DROP TABLE p1",
    "drop of a partition that has partitions": "DROP TABLE IF EXISTS p3, p1",
    "drop in code": "DO $$ BEGIN EXECUTE format('DROP TABLE %s%s', 'p', 3); END $$",
    "a drop that is taken back": "BEGIN; DROP TABLE p1; ROLLBACK",
    "a drop of something else with such a name": "CREATE VIEW p1_view AS SELECT 1 AS one; CREATE TABLE x.p1 (id integer); DROP TABLE x.p1",
    "a partition written and dropped in one transaction": "BEGIN; UPDATE p1 SET v = 'x'; INSERT INTO p1 VALUES (8, 1); DROP TABLE p1; COMMIT",
    "a drop of a schema": "ALTER TABLE p2 SET SCHEMA x; DROP SCHEMA x CASCADE",
    "a partition under an odd name": 'CREATE TABLE "we""ird; DROP TABLE p" PARTITION OF p FOR VALUES IN (9); INSERT INTO p VALUES (1, 9); SELECT pggit.commit(\'odd\'); DROP TABLE "we""ird; DROP TABLE p"',
    "a renamed partition": "ALTER TABLE p1 RENAME TO q1; UPDATE q1 SET v = 'x'; ALTER TABLE q1 SET SCHEMA x; UPDATE x.q1 SET v = 'y'",
    "a renamed column": "BEGIN; ALTER TABLE p RENAME v TO w; UPDATE p SET r = 2 WHERE r = 1; ALTER TABLE p RENAME w TO v; COMMIT",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_history_is_true_after(history: History, name: str) -> None:
    query(history.session, "CREATE SCHEMA x")
    assert history.after(STATEMENTS[name]) == []


def test_copy_and_detach_concurrently(history: History) -> None:
    """COPY into root and partition; DETACH … CONCURRENTLY, which commits in between."""
    with history.session.cursor() as cursor:
        with cursor.copy("COPY p (k, r, v) FROM STDIN") as copy:
            copy.write("11\t1\tx\n12\t2\ty\n")
        with cursor.copy("COPY p2 (k, r, v) FROM STDIN") as copy:
            copy.write("13\t2\tz\n")
    assert history.commit() == []
    query(history.session, "ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY")
    assert history.after("INSERT INTO p2 (k, r) VALUES (14, 2)") == []


def test_the_limit_of_saving_counts_all_partitions(history: History) -> None:
    query(history.session, "SET pggit.save_limit = '1kB'; ALTER TABLE p DROP v, ADD v text")
    with raises("VG306"):
        history.wrong()


def test_partitions_count_as_one_table(db: Database) -> None:
    db.run(TABLES)
    assert db.value("SELECT pggit.track_schema('public')") == 2
    assert db.rows("SELECT table_name FROM pggit.tracked_tables ORDER BY 1") == [("public.p",), ("public.parents",)]
    assert db.rows("SELECT * FROM pggit.unsupported_tables('public')") == []
    with raises("VG203", "partition of p"):
        db.run("SELECT pggit.track_table('p1')")
    with raises("VG005", "p1 is not tracked"):
        db.run("SELECT * FROM pggit.as_of(NULL::p1, 'HEAD')")
    db.run("SELECT pggit.untrack_table('p', p_keep_history => false); UPDATE p1 SET v = 'free'")
    assert (
        db.rows(
            "SELECT g.tgname FROM pg_trigger AS g WHERE g.tgrelid IN ('p'::regclass, 'p1'::regclass) AND g.tgname LIKE 'pggit%%'"
        )
        == []
    )


def test_a_tracked_table_that_becomes_a_partition(history: History) -> None:
    """Its own history ends there, and stays; its rows are inserts of the partitioned table. Detached, it is a new table."""
    assert history.after("CREATE TABLE own (LIKE p, PRIMARY KEY (r, k)); INSERT INTO own VALUES (1, 9, 'x')") == []
    query(history.session, "ALTER TABLE p ATTACH PARTITION own FOR VALUES IN (9)")
    assert history.commit() == []
    assert history.rows("SELECT change, key FROM pggit.diff_rows('p', 'HEAD~1')") == [("insert", {"r": 9, "k": 1})]
    assert history.rows("SELECT count(*) FROM pggit.tables WHERE table_name = 'own' AND untracked_at IS NOT NULL") == [
        (1,)
    ]
    query(history.session, "ALTER TABLE p DETACH PARTITION own")
    assert history.commit() == []
    assert ("public.own",) in history.rows("SELECT table_name FROM pggit.tracked_tables")
    assert history.rows("SELECT v FROM pggit.as_of(NULL::own, 'HEAD')") == [("x",)]


def test_a_drop_in_a_function_is_followed(history: History) -> None:
    query(history.session, "CREATE FUNCTION away() RETURNS void LANGUAGE sql AS 'DROP TABLE p1'")
    query(history.session, "SELECT away()")
    assert history.wrong() == []
    assert history.after("UPDATE p SET r = 2 WHERE r = 3") == []


def test_a_drop_that_nothing_names_is_a_gap(history: History) -> None:
    """What was before can't be read, with an error that says so; what comes after can."""
    query(history.session, "DROP TABLE U&\"p!0031\" UESCAPE '!'")
    with raises("VG306"):
        history.wrong()
    history.states.clear()
    assert history.after("UPDATE p SET r = 2 WHERE r = 3") == []


def test_a_table_that_is_dropped_whole(history: History) -> None:
    query(history.session, "DROP TABLE p")
    assert history.rows("SELECT * FROM pggit.partitions") == []
    query(history.session, TABLES.replace("CREATE TABLE parents (id integer PRIMARY KEY);", "TRUNCATE parents;"))
    history.states.clear()
    assert history.commit() == []


def test_partitions_that_cannot_be_tracked(db: Database) -> None:
    """They end the tracking of the table when they come, with a warning; before that they keep it from beginning."""
    db.run(TABLES)
    db.run("SELECT pggit.track_schema('public')")
    said: list[str] = []
    db.conn.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
    db.run("CREATE UNLOGGED TABLE fleeting PARTITION OF p FOR VALUES IN (9)")
    assert "table public.p is no longer tracked: its partition public.fleeting is temporary or unlogged" in said
    db.run("UPDATE p SET r = 2 WHERE r = 1; UPDATE p1 SET v = 'x'")
    with raises("VG203", "partition public.fleeting is temporary or unlogged"):
        db.run("SELECT pggit.track_schema('public')")


def test_a_branch_does_not_write_partitions_of_main(history: History) -> None:
    query(history.session, "SELECT pggit.create_branch('work')")
    work = history.db.connect(branch="work")
    for name in ("p", "p1", "p3", "p3_low"):
        with raises("VG309", f"public.{name} of main"):
            query(work, f"DELETE FROM public.{name}")


def test_above_read_committed_no_row_is_lost(history: History) -> None:
    """Rows that are committed after the snapshot would go unseen, so detaching and dropping are refused there."""
    other = history.db.connect(autocommit=False)
    for command in ("ALTER TABLE p DETACH PARTITION p1", "DROP TABLE p1", "TRUNCATE p1"):
        query(other, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        query(other, "SELECT count(*) FROM parents")
        with raises("VG401"):
            query(other, command)
        other.rollback()
    assert history.wrong() == []


def test_columns_that_change_hands_in_triggers(history: History) -> None:
    """A row trigger of the user's that writes the same table, while a MERGE moves rows."""
    assert (
        history.after("""
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF pg_trigger_depth() < 2 THEN
                INSERT INTO p VALUES (NEW.k + 50, NEW.r, 'more') ON CONFLICT (r, k) DO UPDATE SET v = 'again';
                MERGE INTO p USING (VALUES (2)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 5 - p.r;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER more AFTER INSERT OR UPDATE ON p FOR EACH ROW EXECUTE FUNCTION more();
        UPDATE p SET r = 2 WHERE r = 1;
        MERGE INTO p USING (VALUES (1), (3), (77)) AS s (k) ON p.k = s.k WHEN MATCHED THEN UPDATE SET r = 1 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1);
        DROP TRIGGER more ON p;
    """)
        == []
    )
