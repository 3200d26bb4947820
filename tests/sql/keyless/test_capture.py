# ruff: noqa: E501 - SQL is not wrapped
"""Every way to write a table without a key is counted, and nothing a user does fails because of it."""

from __future__ import annotations

from collections import Counter

from fixtures.postgres import Database, query, raises

LOG = "CREATE TABLE log (line text, n integer); INSERT INTO log VALUES ('a', 1), ('a', 1), (NULL, NULL)"


def tracked(db: Database, tables: str = LOG) -> Database:
    db.run(tables)
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.tag('v1', pggit.commit('first'))")
    return db


def status(db: Database, branch: str = "main") -> list[tuple[object, ...]]:
    return db.rows("SELECT inserted, updated, deleted FROM pggit.status(%s)", branch)


def rows(db: Database, source: str = "log") -> Counter[tuple[object, ...]]:
    return Counter(db.rows(f"SELECT line, n FROM {source} AS l"))


def at(db: Database, ref: str) -> Counter[tuple[object, ...]]:
    return rows(db, f"pggit.as_of(NULL::public.log, '{ref}')")


WRITES: list[tuple[str, tuple[int, int, int] | None]] = [
    ("COPY (SELECT 'a', 1) TO '/tmp/pggit_keyless'; COPY log FROM '/tmp/pggit_keyless'", (1, 0, 0)),
    ("UPDATE log SET n = n", None),
    ("UPDATE log SET n = 2", (3, 0, 3)),
    ("TRUNCATE log", (0, 0, 3)),
    ("TRUNCATE log; INSERT INTO log VALUES ('a', 1)", (0, 0, 2)),
    ("CREATE UNIQUE INDEX u ON log (line) WHERE n > 5; INSERT INTO log VALUES ('x', 6); INSERT INTO log VALUES ('x', 6) ON CONFLICT (line) WHERE n > 5 DO UPDATE SET n = 7", (1, 0, 0)),
    ("MERGE INTO log USING (VALUES ('a', 5), ('b', 5)) AS s(l, m) ON line = l WHEN MATCHED THEN UPDATE SET n = m WHEN NOT MATCHED THEN INSERT VALUES (l, m)", (3, 0, 2)),
    ("SET session_replication_role = replica; INSERT INTO log VALUES ('r', 1); DELETE FROM log WHERE line IS NULL; RESET session_replication_role", (1, 0, 1)),
    ("BEGIN; DELETE FROM log; SAVEPOINT s; INSERT INTO log VALUES ('s', 1); ROLLBACK TO s; COMMIT", (0, 0, 3)),
    ("DELETE FROM log; INSERT INTO log VALUES ('a', 1), (NULL, NULL), ('a', 1)", None),
    ("UPDATE log SET line = 'A' WHERE ctid = (SELECT min(ctid) FROM log)", (1, 0, 1)),
    ("SET datestyle = 'SQL, DMY'; SET extra_float_digits = -15; SET bytea_output = escape; DELETE FROM log", (0, 0, 3)),
]  # fmt: skip


def test_a_write_is_counted(db: Database) -> None:
    tracked(db)
    states = [("v1", rows(db))]
    for number, (write, change) in enumerate(WRITES):
        db.run(write)
        assert status(db) == ([change] if change else []), write
        db.run("SELECT pggit.tag(%s, pggit.commit('next', p_allow_empty => true))", f"n{number}")
        states.append((f"n{number}", rows(db)))
        db.run(
            "TRUNCATE log; INSERT INTO log VALUES ('a', 1), ('a', 1), (NULL, NULL); SELECT pggit.commit('again', p_allow_empty => true)"
        )
    assert [(ref, at(db, ref)) for ref, _ in states] == states
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_statements_inside_each_other(db: Database) -> None:
    """A trigger that writes the same table, one that writes in between and commits, and a cascade."""
    tracked(
        db,
        LOG
        + """;
        CREATE TABLE parent (id integer PRIMARY KEY);
        INSERT INTO parent VALUES (1), (2);
        CREATE TABLE child (parent integer REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v text);
        INSERT INTO child VALUES (1, 'a'), (1, 'a'), (2, 'b');
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.n > 0 THEN
                INSERT INTO log VALUES (NEW.line, NEW.n - 1);
                PERFORM pggit.commit('in between', p_allow_empty => true);
                DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log WHERE n = 7);
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER before BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION more();
        CREATE TRIGGER a_after AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION more();""",
    )
    db.run("INSERT INTO log VALUES ('x', 2), ('y', 1)")
    db.run("DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 3 WHERE id = 2")
    assert db.rows("SELECT * FROM child") == [(3, "b")]
    db.run("SELECT pggit.tag('v2', pggit.commit('next'))")
    now = rows(db)
    states = [at(db, f"HEAD~{n}") for n in range(5)]
    db.run("DELETE FROM log; DELETE FROM child")
    assert at(db, "v2") == now
    assert [at(db, f"v2~{n}") for n in range(5)] == states
    assert db.rows("SELECT count(*) FROM pggit.as_of(NULL::child, 'v1')") == [(3,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_commits_amid_a_transaction_and_ddl_amid_commits(db: Database) -> None:
    tracked(db)
    session = db.connect(autocommit=False)
    seen = []
    for step in ("INSERT INTO log VALUES ('a', 1)", "DELETE FROM log WHERE line = 'a'", "ALTER TABLE log ADD more integer DEFAULT 5", "UPDATE log SET n = 3", "ALTER TABLE log DROP n", "TRUNCATE log"):  # fmt: skip
        query(session, step)
        query(session, "SELECT pggit.commit('step', p_allow_empty => true)")
        seen.append(query(session, "SELECT pggit.state_digest('HEAD')").fetchall())
    session.commit()
    assert [db.rows("SELECT pggit.state_digest(%s)", f"HEAD~{n}") for n in range(5, -1, -1)] == seen
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_writer_in_flight_is_in_the_next_commit_and_on_no_branch(db: Database) -> None:
    tracked(db)
    session = db.connect(autocommit=False)
    query(session, "INSERT INTO log VALUES ('f', 1); DELETE FROM log WHERE line IS NULL")
    db.run("INSERT INTO log VALUES ('g', 1); SELECT pggit.commit('without')")
    db.run("SELECT pggit.create_branch('side')")
    session.commit()
    assert status(db) == [(1, 0, 1)]
    assert status(db, "side") == []
    there = db.connect(branch="side")
    assert Counter(query(there, "SELECT * FROM log").fetchall()) == at(db, "HEAD") == at(db, "side")
    db.run("SELECT pggit.commit('with'), pggit.merge('main', 'side')")
    assert Counter(query(there, "SELECT * FROM log").fetchall()) == rows(db)
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_no_trigger_saw_is_found(db: Database) -> None:
    tracked(db)
    db.run("SELECT pggit.create_branch('side')")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("INSERT INTO log VALUES ('new', 1)")
    for table, edit, check in (
        ("log", "DELETE FROM log WHERE line = 'new'", "table rows"),
        ("log", "INSERT INTO log VALUES ('a', 1)", "table rows"),
        ("log", "UPDATE log SET n = 3 WHERE line = 'a'", "table rows"),
        ('"public@side".log', 'UPDATE "public@side".log SET n = 3', "branch rows"),
    ):
        with db.connect(autocommit=False) as session:
            query(session, f"ALTER TABLE {table} DISABLE TRIGGER ALL; {edit}")
            assert (check,) in query(session, "SELECT check_name FROM pggit.verify()").fetchall(), edit
            session.rollback()
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_key_may_come_and_go(db: Database) -> None:
    tracked(db, "CREATE TABLE log (line text, n integer); INSERT INTO log VALUES ('a', 1), ('b', 2)")
    db.run("SELECT pggit.create_branch('side')")
    for change, form in (
        ("ALTER TABLE log ADD CONSTRAINT k PRIMARY KEY (n)", "keyed"),
        ("ALTER TABLE log DROP CONSTRAINT k", "keyless"),
        ("BEGIN; INSERT INTO log VALUES ('c', 7); ALTER TABLE log ADD CONSTRAINT k PRIMARY KEY (n); INSERT INTO log VALUES ('c', 8); COMMIT", "keyed"),
        ("ALTER TABLE log DROP n", "keyless"),
    ):  # fmt: skip
        db.run(change)
        db.run("INSERT INTO log (line) VALUES ('x')" if " DROP n" in change else "INSERT INTO log VALUES ('x', 9)")
        assert db.rows("SELECT form FROM pggit.tracked_tables") == [(form,)]
        db.run("SELECT pggit.commit('next'); DELETE FROM log WHERE line = 'x'; SELECT pggit.commit('again')")
        assert db.rows("SELECT * FROM pggit.verify()") == []
        assert db.rows("SELECT line FROM pggit.as_of(NULL::log, 'v1') ORDER BY 1") == [("a",), ("b",)]
        there = db.connect(branch="side")
        query(there, "INSERT INTO log VALUES ('on the branch', 1)")
        there.close()


def test_columns_that_come_and_go(db: Database) -> None:
    """Rows of then have the columns of then, also where what a column held is gone from the table."""
    tracked(db)
    digests = [db.value("SELECT pggit.state_digest('HEAD')")]
    for step in (
        "ALTER TABLE log ADD extra integer DEFAULT 3; UPDATE log SET extra = 4 WHERE line = 'a'",
        "ALTER TABLE log DROP n; INSERT INTO log VALUES ('z', 1)",
        "ALTER TABLE log RENAME extra TO n; DELETE FROM log WHERE n = 4",
        "ALTER TABLE log ALTER n TYPE text USING n || '!'",
        "BEGIN; ALTER TABLE log ADD a1 text DEFAULT 'x', ADD a2 text DEFAULT 'y'; ALTER TABLE log DROP a1; ALTER TABLE log DROP a2; COMMIT",
        "BEGIN; ALTER TABLE log DROP line, ADD line text; ALTER TABLE log DROP n, ADD n integer; COMMIT",
        "UPDATE log SET n = 1",
    ):  # fmt: skip
        db.run(step)
        db.run("SELECT pggit.commit('next', p_allow_empty => true)")
        digests.append(db.value("SELECT pggit.state_digest('HEAD')"))
        assert [db.value("SELECT pggit.state_digest(%s)", f"HEAD~{n}") for n in range(len(digests))][::-1] == digests, (
            step
        )
        assert db.rows("SELECT * FROM pggit.verify()") == []
    changed = db.rows("SELECT change, new_row, old_row FROM pggit.diff_rows('log', 'v1', 'HEAD~5')")
    assert sorted(map(repr, changed)) == [repr(("insert", {"line": "z"}, None))]


def test_a_column_that_was_not_saved_is_a_gap(db: Database) -> None:
    tracked(db)
    db.run("SET pggit.save_limit = '0'")
    db.run("ALTER TABLE log DROP n; INSERT INTO log VALUES ('z')")
    with raises("VG306"):
        db.run("SELECT pggit.as_of(NULL::log, 'v1')")
    db.run("SELECT pggit.tag('v2', pggit.commit('next')); DELETE FROM log")
    assert db.rows("SELECT count(*) FROM pggit.as_of(NULL::log, 'v2')") == [(4,)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_what_has_no_key_and_can_not_be_tracked(db: Database) -> None:
    db.run("CREATE TABLE parted (id integer) PARTITION BY LIST (id); CREATE TABLE nothing ()")
    with raises("VG203", r"nothing \(it has no columns\), parted \(it is partitioned and has no primary key\)"):
        db.run("SELECT pggit.track_schema('public')")
    tracked(db, "DROP TABLE parted, nothing; " + LOG)
    with raises("VG203", "nobody can be blamed"):
        db.run("SELECT * FROM pggit.blame('log')")


def test_the_same_history_has_the_same_ids(db: Database) -> None:
    """Ids and plans come from the rows alone, whatever the order they came in and the session's settings."""
    seen = []
    for n, settings in enumerate(("SELECT 1", "SET datestyle = German; SET timezone = 'Asia/Tokyo'; SET extra_float_digits = -3")):  # fmt: skip
        db.run(settings)
        db.run(
            f"BEGIN; CREATE TABLE log (line text, n integer, f float8, t timestamptz); INSERT INTO log SELECT 'a', 1, 0.1 + 0.2, '2020-01-01 00:00Z' FROM generate_series(1, 3) AS g ORDER BY g * {n}"
        )
        db.run("SELECT pggit.track_schema('public')")
        one = db.value("SELECT pggit.commit('first', p_author => 'me', p_committed_at => '2020-01-01Z')")
        db.run(
            "DELETE FROM log WHERE ctid = '(0,2)'; INSERT INTO log VALUES ('b', 3, 0.3, 'infinity'), ('a', 1, 0.3, NULL)"
        )
        two = db.value("SELECT pggit.commit('second', p_author => 'me', p_committed_at => '2020-01-02Z')")
        seen.append((one, two, db.value("SELECT pggit.state_digest('HEAD')")))
        db.run("ROLLBACK")
    assert seen[0] == seen[1]
