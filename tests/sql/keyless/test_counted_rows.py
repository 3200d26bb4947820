# ruff: noqa: E501 - SQL is not wrapped
"""Merges of tables without a key: nothing is doubled or lost, constraints hold, and concurrent writers cost a second try at most."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from fixtures.postgres import INSTALL, Connection, Database, query, raises

LOG = "CREATE TABLE log (line text, n integer)"


def ready(db: Database, tables: str = LOG, session: Connection | None = None) -> Connection:
    """The tables on main and on branch side; a session on it."""
    owner = session or db.conn
    query(owner, tables)
    query(owner, "SELECT pggit.track_schema('public')")
    query(owner, "SELECT pggit.commit('first'), pggit.create_branch('side', 'main', 'schema', 'none')")
    return db.connect(user=owner.info.user, branch="side")


def merge(session: Connection, source: str = "side", target: str = "main") -> tuple[object, ...]:
    sql = 'SELECT result, rows_inserted, rows_deleted FROM pggit.merge(%s, %s, NULL, \'{"fast_forward": "never"}\')'
    (found,) = query(session, sql, source, target).fetchall()
    return found


def rows(session: Connection) -> list[tuple[object, ...]]:
    return sorted(query(session, "SELECT * FROM log").fetchall(), key=repr)


#: How often a row was there in the base, is in ours and in theirs, and comes out.
COUNTS = [
    (1, 0, 0, 0), (1, 0, 1, 0), (1, 1, 0, 0), (0, 1, 1, 2), (2, 1, 1, 0), (3, 1, 1, 0), (3, 2, 2, 1), (1, 3, 0, 2), (0, 0, 2, 2), (2, 5, 1, 4), (1, 2, 2, 3),
]  # fmt: skip


@pytest.mark.parametrize("target", ["main", "side"])
def test_ours_and_theirs_without_the_base(db: Database, target: str) -> None:
    def fill(session: Connection, column: int) -> None:
        query(session, "DELETE FROM log")
        for number, counts in enumerate(COUNTS):
            query(session, f"INSERT INTO log SELECT NULL, {number} FROM generate_series(1, {counts[column]})")

    db.run(LOG)
    fill(db.conn, 0)
    side = ready(db, "SELECT 1")
    there = {"main": db.conn, "side": side}
    source = "side" if target == "main" else "main"
    fill(there[target], 1)
    fill(there[source], 2)
    merge(db.conn, source, target)
    found = Counter(number for _, number in rows(there[target]))
    assert [found[number] for number in range(len(COUNTS))] == [counts[3] for counts in COUNTS]
    assert merge(db.conn, source, target)[0] == "up_to_date"
    merge(db.conn, target, source)
    assert rows(there[source]) == rows(there[target])
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_both_sides_change_a_row(db: Database) -> None:
    """Nobody can say that it is one row: there is no conflict, and both changes are there."""
    side = ready(db, f"{LOG}; INSERT INTO log VALUES ('a', 1)")
    query(side, "UPDATE log SET n = 2")
    db.run("UPDATE log SET n = 3")
    assert merge(db.conn) == ("merged", 1, 0)
    assert rows(db.conn) == [("a", 2), ("a", 3)]


CONSTRAINED = """
    CREATE TABLE parent (id integer PRIMARY KEY);
    INSERT INTO parent VALUES (1), (2);
    CREATE TABLE log (line text NOT NULL, n integer REFERENCES parent CHECK (n <> 9), j json, g text GENERATED ALWAYS AS (line || '!') STORED);
    CREATE UNIQUE INDEX "u %" ON log (lower(line)) WHERE n = 2;
    INSERT INTO log VALUES ('a', 1), ('a', 1), ('b', 2);
"""


#: What theirs and ours do, and the violation that comes of it.
STATES: list[tuple[str, str, str | None, object]] = [
    ("INSERT INTO log VALUES ('c', 2)", "INSERT INTO log VALUES ('C', 2)", "unique", {"line": "c", "n": 2, "j": None}),
    ("INSERT INTO log VALUES ('x', 2)", "DELETE FROM log WHERE n = 2; DELETE FROM parent WHERE id = 2", "foreign_key", {"line": "x", "n": 2, "j": None}),
    ("DELETE FROM log WHERE n = 2; DELETE FROM parent WHERE id = 2", "INSERT INTO log VALUES ('x', 2)", "foreign_key", {"line": "x", "n": 2, "j": None}),
    ("INSERT INTO log VALUES ('e', 1, '{\"a\": 1}')", "SELECT 1", None, None),
    ("UPDATE log SET j = '[1]' WHERE n = 2", "INSERT INTO log VALUES ('b', 1)", None, None),
    ("DELETE FROM log WHERE n = 1; DELETE FROM parent WHERE id = 1", "SELECT 1", None, None),
]  # fmt: skip


@pytest.mark.parametrize("target", ["main", "side"])
def test_the_merged_state_is_checked(db: Database, target: str) -> None:
    """Each case begins from the same commit, on a branch of its own for theirs or for ours."""
    ready(db, CONSTRAINED).close()
    shown = "SELECT line, n, j::text FROM log ORDER BY 1, 2, 3"
    for number, (theirs, ours, kind, key) in enumerate(STATES):
        name = f"case {number}".replace(" ", "-")
        db.run("SELECT pggit.create_branch(%s, 'main', 'schema', 'none')", name)
        there = {"main": db.conn, "side": db.connect(branch=name)}
        source = "side" if target == "main" else "main"
        query(there[source], theirs)
        query(there[target], ours)
        before = query(there[target], shown).fetchall()
        found = merge(db.conn, *((name, "main") if target == "main" else ("main", name)))
        after = query(there[target], shown).fetchall()
        violations = db.rows("SELECT DISTINCT kind, key FROM pggit.merge_violations")
        assert (found[0], violations) == (("refused", [(kind, key)]) if kind else ("merged", [])), theirs
        assert (after == before) == bool(kind)
        db.run("DELETE FROM pggit.violations; SELECT pggit.reset('main', (SELECT commit_id FROM pggit.commits ORDER BY commit_no LIMIT 1))")  # fmt: skip
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_trigger_that_fires_all_the_same_is_found(db: Database) -> None:
    side = ready(db)
    db.run("""CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := 7; RETURN NEW; END $$;
              CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE log ENABLE ALWAYS TRIGGER t""")
    query(side, "INSERT INTO log VALUES ('a', 1)")
    assert db.row("SELECT result, detail->>'sqlstate' FROM pggit.merge('side', 'main')") == ("refused", "VG310")
    assert rows(db.conn) == []


def test_writers_of_the_same_rows_during_a_merge(db: Database) -> None:
    """The copy that a merge wants to delete goes, or is changed, before the merge gets it: it takes another, or none."""
    side = ready(db, f"{LOG}; INSERT INTO log SELECT 'a', 1 FROM generate_series(1, 3)")
    query(side, "DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 2)")
    db.run("INSERT INTO log VALUES ('main', 1); SELECT pggit.commit('on main')")
    writer = db.connect(autocommit=False)
    query(writer, "UPDATE log SET n = n + 1 WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'a')")
    query(writer, "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'a' AND n = 1)")
    done: list[tuple[object, ...]] = []
    merger = threading.Thread(target=lambda: done.append(merge(db.connect())))
    merger.start()
    time.sleep(0.5)
    writer.commit()
    merger.join()
    # 3 were there, the writer took two of them and brought one that is another; the merge takes what is left of its two.
    assert done == [("merged", 0, 1)]
    assert rows(db.conn) == [("a", 2), ("main", 1)]
    assert db.rows("SELECT inserted, deleted FROM pggit.status('main')") == []
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_nothing_is_lost_or_doubled_while_all_write(db: Database) -> None:
    side = ready(db, f"{LOG}; INSERT INTO log SELECT 'old', g % 3 FROM generate_series(1, 90) AS g")
    side.close()
    stop = threading.Event()
    failed: list[object] = []
    counts: Counter[str] = Counter()

    def write(branch: str) -> None:
        session = db.connect(branch=None if branch == "main" else branch)
        while not stop.is_set():
            query(session, "INSERT INTO log VALUES (%s, 1), (%s, 1)", branch, branch)
            counts[branch] += 2
            query(session, "WITH gone AS (DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = %s) RETURNING *) INSERT INTO log SELECT 'moved', n FROM gone", branch)  # fmt: skip
            counts["moves"] += 1

    def guarded(branch: str) -> None:
        try:
            write(branch)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    writers = [threading.Thread(target=guarded, args=(branch,)) for branch in ("main", "side")]
    for thread in writers:
        thread.start()
    merger = db.connect()
    for turn in range(6):
        with merger.transaction():
            query(merger, "SET LOCAL pggit.lock_timeout = '30s'")
            try:
                with merger.transaction():
                    merge(merger, *(("side", "main") if turn % 2 else ("main", "side")))
            except Exception as error:
                if getattr(error, "sqlstate", None) not in {"VG401", "VG402"}:
                    raise
    stop.set()
    for thread in writers:
        thread.join()
    assert not failed
    merge(merger, "side", "main")
    merge(merger, "main", "side")
    there = db.connect(branch="side")
    assert rows(there) == rows(db.conn)
    found = Counter(line for line, _ in rows(db.conn))
    assert found["old"] == 90
    assert found["main"] + found["side"] + found["moved"] == counts["main"] + counts["side"]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def owner(db: Database) -> Connection:
    """A session of a role that owns the database's content and may nothing else."""
    db.run("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE "{db.name}" TO plain')
    db.psql("-f", str(INSTALL.with_name("uninstall.sql")))
    db.psql("-c", "SET ROLE plain", "-f", str(INSTALL))
    return db.connect(user="plain")


def test_the_owner_of_a_managed_database_merges_too(db: Database) -> None:
    plain = owner(db)
    side = ready(db, f"{LOG}; CREATE UNIQUE INDEX ON log (line); INSERT INTO log VALUES ('a', 1), ('b', 1)", plain)
    query(side, "UPDATE log SET n = 2 WHERE line = 'a'; INSERT INTO log VALUES ('c', 1)")
    query(plain, "DELETE FROM log WHERE line = 'b'")
    assert merge(plain) == ("merged", 2, 1)
    assert rows(plain) == [("a", 2), ("c", 1)]
    query(plain, "ALTER TABLE log ADD more integer DEFAULT 3")
    query(plain, "INSERT INTO log VALUES ('d', 1, 2)")
    query(plain, "SELECT pggit.commit('more')")
    query(plain, "ALTER TABLE log DROP n")
    query(plain, "SELECT pggit.commit('less')")
    assert query(plain, "SELECT * FROM pggit.verify()").fetchall() == []
    assert query(plain, "SELECT count(*) FROM pggit.branch_tables").fetchall() == [(1,)]


@pytest.mark.parametrize("target", ["main", "side"])
def test_a_cascade_that_would_take_a_changed_row_for_a_deleted_one_is_refused(db: Database, target: str) -> None:
    plain = owner(db)
    tables = "CREATE TABLE log (line text UNIQUE, n integer); CREATE TABLE child (id integer PRIMARY KEY, line text REFERENCES log (line) ON DELETE CASCADE); INSERT INTO log VALUES ('a', 1); INSERT INTO child VALUES (1, 'a')"
    there = {"side": ready(db, tables, plain), "main": plain}
    query(there["side" if target == "main" else "main"], "UPDATE log SET n = 2")
    found = query(plain, "SELECT result, detail->>'sqlstate' FROM pggit.merge(%s, %s)", "side" if target == "main" else "main", target).fetchall()  # fmt: skip
    assert found == [("refused", "VG310")]
    assert query(there[target], "SELECT * FROM child").fetchall() == [(1, "a")]
    assert db.value("SELECT result FROM pggit.merge(%s, %s)", "side" if target == "main" else "main", target) == "fast_forward"  # fmt: skip
    assert query(there[target], "SELECT * FROM child, log").fetchall() == [(1, "a", "a", 2)]


def test_foreign_keys_between_views_and_rows_that_are_counted(db: Database) -> None:
    side = ready(
        db,
        """
        CREATE TABLE top (id integer PRIMARY KEY);
        CREATE TABLE log (line text UNIQUE, top integer REFERENCES top ON DELETE CASCADE);
        CREATE TABLE leaf (id integer PRIMARY KEY, line text REFERENCES log (line) ON UPDATE CASCADE);
        INSERT INTO top VALUES (1), (2); INSERT INTO log VALUES ('a', 1), ('b', 2); INSERT INTO leaf VALUES (1, 'a')""",
    )
    assert db.rows("SELECT form FROM pggit.branch_tables ORDER BY table_id") == [("view",), ("table",), ("view",)]
    for wrong in (
        "INSERT INTO log VALUES ('c', 3)",
        "INSERT INTO leaf VALUES (2, 'c')",
        "DELETE FROM log WHERE line = 'a'",
        "DELETE FROM top",
    ):
        with raises("23503"):
            query(side, wrong)
    query(side, "DELETE FROM top WHERE id = 2; UPDATE log SET line = 'A' WHERE line = 'a'; INSERT INTO top VALUES (3)")
    query(side, "INSERT INTO log VALUES ('c', 3); INSERT INTO leaf VALUES (2, 'c')")
    assert merge(db.conn)[0] == "merged"
    assert rows(db.conn) == [("A", 1), ("c", 3)] == rows(side)
    assert db.rows("SELECT * FROM leaf ORDER BY id") == [(1, "A"), (2, "c")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_branch_as_it_was_at_a_time(db: Database) -> None:
    side = ready(db, f"{LOG}; INSERT INTO log VALUES ('a', 1), ('a', 1)")
    states = []
    for session, step in (
        (side, "INSERT INTO log VALUES ('side', 1)"),
        (db.conn, "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)"),
        (db.conn, "SELECT pggit.merge('main', 'side')"),
        (side, "DELETE FROM log WHERE line = 'a'"),
        (db.conn, "SELECT pggit.merge('side', 'main')"),
        (db.conn, "INSERT INTO log VALUES ('main', 1)"),
    ):
        query(session, step)
        states.append((db.value("SELECT pggit.tick()"), rows(side), rows(db.conn)))
    for moment, on_side, on_main in states:
        for session, then in ((side, on_side), (db.conn, on_main)):
            assert sorted(query(session, "SELECT l.line, l.n FROM pggit.as_of(NULL::public.log, %s) AS l", str(moment))) == then  # fmt: skip


def test_a_branch_changes_the_columns(db: Database) -> None:
    """Its commits keep the columns and rows they had, also when main does and when they are merged."""
    side = ready(db, f"{LOG}; INSERT INTO log VALUES ('a', 1), ('a', 1), ('b', 2)")
    digests = [db.value("SELECT pggit.state_digest('side')")]
    for step in (
        "INSERT INTO log VALUES ('c', 3); ALTER TABLE log ADD more integer DEFAULT 5",
        "UPDATE log SET more = 6 WHERE line = 'a'",
        "ALTER TABLE log DROP n; DELETE FROM log WHERE line = 'b'",
        "ALTER TABLE log ALTER more TYPE text USING more || '!'",
        "ALTER TABLE log RENAME line TO words; ALTER TABLE log ALTER words TYPE text USING words || '?'",
        "TRUNCATE log; INSERT INTO log VALUES ('d', 'e'), ('d', 'e')",
    ):
        query(side, step)
        assert db.rows("SELECT * FROM pggit.verify()") == [], step
        query(side, "SELECT pggit.commit('next')")
        now = query(side, "SELECT pggit.state_digest('WORKING')").fetchall()[0][0]
        digests.append(db.value("SELECT pggit.state_digest('side')"))
        assert digests[-1] == now
        assert [db.value("SELECT pggit.state_digest(%s)", f"side~{n}") for n in range(len(digests))][::-1] == digests
    commits = [db.value("SELECT commit_id FROM pggit.show(%s)", f"side~{n}") for n in range(len(digests))][::-1]
    assert db.rows("SELECT inserted, deleted FROM pggit.diff('side~6', 'side~5')") == [(1, 0)]
    assert db.rows("SELECT inserted, deleted FROM pggit.diff('side~1', 'side')") == [(2, 3)]
    assert rows(db.conn) == [("a", 1), ("a", 1), ("b", 2)]
    db.run("ALTER TABLE log ALTER line TYPE varchar; DELETE FROM log")
    assert db.value("SELECT pggit.state_digest('side~6')") == digests[0]
    for source, target in (("main", "side"), ("side", "main")):
        result, detail = db.row("SELECT result, detail FROM pggit.merge(%s, %s)", source, target)
        assert result in ("merged", "fast_forward"), detail
        assert [db.value("SELECT pggit.state_digest(%s)", commit) for commit in commits] == digests
        assert db.rows("SELECT * FROM pggit.verify()") == []
    # Main deleted rows that are others on the branch.
    assert (
        query(side, "SELECT words, more FROM log").fetchall()
        == db.rows("SELECT words, more FROM log")
        == [("d", "e"), ("d", "e")]
    )


def test_a_branch_goes_on_when_main_loses_what_a_column_held(db: Database) -> None:
    side = ready(db, f"{LOG}; INSERT INTO log VALUES ('a', 1), ('a', 1)")
    query(side, "INSERT INTO log VALUES ('b', 2); SELECT pggit.commit('one'); SELECT pggit.tag('one', 'side')")
    db.run("SET pggit.save_limit = '0'; ALTER TABLE log DROP n")
    query(side, "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log); SELECT pggit.commit('two')")
    assert db.rows("SELECT inserted, deleted FROM pggit.diff('side~1', 'side')") == [(0, 1)]
    assert sorted(query(side, "SELECT * FROM pggit.as_of(NULL::log, 'one')")) == [("a", 1), ("a", 1), ("b", 2)]
    assert sorted(query(side, "SELECT * FROM pggit.as_of(NULL::log, 'side')")) == [("a", 1), ("b", 2)]
    with raises("VG306"):
        db.run("SELECT pggit.as_of(NULL::log, 'main')")
    assert db.value("SELECT result FROM pggit.merge('side', 'main')") == "refused"
    assert db.rows("SELECT * FROM pggit.verify()") == []
