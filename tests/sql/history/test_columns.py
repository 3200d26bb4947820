"""What was committed before columns came, went or changed can be read; where it can't be, that is said, not guessed."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from fixtures.postgres import Connection, Database, Servers, query, raises


def begin(db: Database, told: bool) -> Database:
    names = () if told else ("ddl_path", "ddl_start", "rewrite", "ddl_end", "drop")
    return db.begin(
        "".join(f"DROP EVENT TRIGGER pggit_{name};" for name in names)
        + """
        CREATE TABLE t (id integer PRIMARY KEY, v text, n integer);
        INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20);
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('old', pggit.commit('old'));
    """
    )


@pytest.fixture
def t(db: Database) -> Database:
    """Table t (id, v, n) with two rows, tracked; commit and tag `old`."""
    return begin(db, told=True)


@pytest.fixture
def untold(db: Database) -> Database:
    """The same where no event trigger tells of DDL."""
    return begin(db, told=False)


@pytest.fixture(params=["told", "untold"])
def either(db: Database, request: pytest.FixtureRequest) -> Database:
    """Either of them."""
    return begin(db, told=request.param == "told")


def as_of(db: Database, ref: str) -> list[tuple[object, ...]]:
    return db.rows("SELECT * FROM pggit.as_of(NULL::t, %s) ORDER BY id", ref)


def old_rows(db: Database, ref: str = "old") -> list[object]:
    """The rows of a ref as they were, read by emptying the table; that is rolled back."""
    db.run("BEGIN; DELETE FROM t")
    rows = [row for (row,) in db.rows("SELECT old_row FROM pggit.diff_rows('t', %s)", ref)]
    db.run("ROLLBACK")
    return rows


def warnings(session: Connection) -> list[str]:
    """What the session is warned of from now on."""
    heard = list[str]()

    def hear(said: psycopg.errors.Diagnostic) -> None:
        if said.severity == "WARNING":
            heard.append(f"{said.message_primary} {said.message_detail}")

    session.add_notice_handler(hear)
    return heard


def saved(db: Database) -> int:
    """How many rows were ever put into the log, kept or not."""
    return int(db.value("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM pggit._log_1__at_seq"))


def is_sound(db: Database) -> bool:
    return db.rows("SELECT * FROM pggit.verify()") == []


# --- columns that come ------------------------------------------------------------------------------------------------


def test_a_new_column_costs_no_copy_and_no_history(either: Database) -> None:
    db = either
    heard = warnings(db.conn)
    db.run("ALTER TABLE t ADD x integer DEFAULT 7, ADD y text")
    assert as_of(db, "old") == [(1, "a", 10, None, None), (2, "b", 20, None, None)]
    assert db.rows("SELECT * FROM pggit.status()") == [("public.t", 0, 0, 0)]
    db.run("SELECT pggit.commit('added')")
    assert saved(db) == 0
    db.run("UPDATE t SET x = 8, v = 'c' WHERE id = 1")
    assert as_of(db, "HEAD") == [(1, "a", 10, 7, None), (2, "b", 20, 7, None)]
    assert db.rows("SELECT old_row, new_row FROM pggit.diff_rows('t', 'old')") == [
        ({"id": 1, "v": "a", "n": 10}, {"id": 1, "v": "c", "n": 10, "x": 8, "y": None})
    ]
    assert heard == []
    assert is_sound(db)


def test_a_commit_tells_of_the_columns(t: Database) -> None:
    t.run("ALTER TABLE t ADD x integer; UPDATE t SET n = 11 WHERE id = 1")
    t.run("SELECT pggit.commit('added')")
    rows, objects, changes = t.row("SELECT rows_changed, objects_changed, changes FROM pggit.show('HEAD')")
    assert (rows, objects) == (1, 1)
    assert changes["public.t"]["reshaped"]["columns"][-1] == ["x", "integer", None]
    assert is_sound(t)


def test_a_volatile_default_is_there_from_the_change_on(t: Database) -> None:
    t.run("ALTER TABLE t ADD x uuid DEFAULT gen_random_uuid()")
    t.run("SELECT pggit.commit('added')")
    given = t.rows("SELECT id, x FROM t ORDER BY id")
    t.run("UPDATE t SET x = NULL")
    assert t.rows("SELECT id, x FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id") == given
    assert as_of(t, "old") == [(1, "a", 10, None), (2, "b", 20, None)]
    assert saved(t) == 2


# --- columns that go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE t DROP v",
        'alter table public."t" drop column if exists "v" cascade',
        "ALTER TABLE T /* now */ DROP -- this\n COLUMN/**/V",
        "DO $$ BEGIN ALTER TABLE t DROP v; END $$",
        "DO $$ BEGIN EXECUTE format('ALTER TABLE %I DROP %I', 't', 'v'); END $$",
        "ALTER TABLE t ADD w text, DROP v, DROP COLUMN n",
        "SELECT 1; ALTER TABLE t ALTER v SET NOT NULL; ALTER TABLE t DROP v; UPDATE t SET id = id + 10",
        "ALTER TABLE t ALTER v TYPE varchar(40) USING upper(v)",
        "ALTER TABLE t ALTER COLUMN v SET DATA TYPE text USING upper(v)",
        "ALTER TABLE t ALTER n TYPE numeric USING n / 3.0",
        "ALTER TABLE t ALTER v TYPE bytea USING convert_to(v, 'UTF8')",
        "BEGIN; ALTER TABLE t RENAME v TO w; ALTER TABLE t DROP w; COMMIT",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u DROP v; ALTER TABLE u RENAME TO t",
        "SET session_replication_role = replica; ALTER TABLE t DROP v; RESET session_replication_role",
        "CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s; ALTER TABLE s.t DROP v; ALTER TABLE s.t SET SCHEMA public",
    ],
)
def test_what_goes_is_saved(t: Database, ddl: str) -> None:
    heard = warnings(t.conn)
    t.run(ddl)
    assert [sorted(row.values(), key=str) for row in old_rows(t)] == [[1, 10, "a"], [2, 20, "b"]]  # type: ignore[attr-defined]
    t.run("SELECT pggit.tag('new', pggit.commit('new'))")
    now = t.rows("SELECT * FROM t ORDER BY id")
    t.run("DELETE FROM t")
    assert as_of(t, "new") == now
    assert heard == []
    assert is_sound(t)


def test_a_dropped_column_is_not_the_new_one_of_its_name(t: Database) -> None:
    t.run("ALTER TABLE t DROP v")
    t.run("SELECT pggit.commit('dropped')")
    t.run("ALTER TABLE t ADD v text DEFAULT 'a'")
    added = t.value("SELECT pggit.commit('added')")
    t.run("UPDATE t SET n = 11 WHERE id = 1")
    t.run("SELECT pggit.commit('later')")
    assert as_of(t, "old") == [(1, 10, None), (2, 20, None)]
    assert t.rows("SELECT old_row, new_row FROM pggit.diff_rows('t', 'old')") == [
        ({"id": 1, "v": "a", "n": 10}, {"id": 1, "v": "a", "n": 11})
    ]
    assert t.value("""SELECT commit_id FROM pggit.blame('t', '{"id": 1}') WHERE column_name = 'v'""") == added
    assert is_sound(t)


def test_a_dropped_column_makes_room_for_a_name(t: Database) -> None:
    t.run("ALTER TABLE t DROP v; ALTER TABLE t RENAME n TO v")
    assert old_rows(t)[0] == {"id": 1, "v": 10, "v (dropped 2)": "a"}
    assert as_of(t, "old") == [(1, 10), (2, 20)]


def test_what_is_rolled_back_leaves_nothing(t: Database) -> None:
    t.run("BEGIN; SAVEPOINT a; ALTER TABLE t DROP v; ROLLBACK TO a; UPDATE t SET v = 'c' WHERE id = 1; COMMIT")
    t.run("BEGIN; ALTER TABLE t DROP v; ROLLBACK")
    with raises("42703"):
        t.run("ALTER TABLE t DROP v, DROP nothing")
    assert t.value("SELECT count(*) FROM pggit._log_1") == 1
    assert as_of(t, "old") == [(1, "a", 10), (2, "b", 20)]
    assert t.rows("SELECT * FROM pggit.status()") == [("public.t", 0, 1, 0)]


def test_a_commit_and_a_drop_in_one_transaction(t: Database) -> None:
    t.run("BEGIN; UPDATE t SET v = 'c' WHERE id = 1; SELECT pggit.tag('mid', pggit.commit('mid'))")
    t.run("ALTER TABLE t DROP n; SELECT pggit.tag('less', pggit.commit('less')); ALTER TABLE t DROP v; COMMIT")
    assert old_rows(t, "old") == [{"id": 1, "v": "a", "n": 10}, {"id": 2, "v": "b", "n": 20}]
    assert old_rows(t, "mid") == [{"id": 1, "v": "c", "n": 10}, {"id": 2, "v": "b", "n": 20}]
    assert old_rows(t, "less") == [{"id": 1, "v": "c"}, {"id": 2, "v": "b"}]
    assert is_sound(t)


def test_one_transaction_saves_once(t: Database) -> None:
    t.run("BEGIN; ALTER TABLE t DROP v; ALTER TABLE t DROP n; COMMIT")
    assert saved(t) == 2
    assert old_rows(t) == [{"id": 1, "v": "a", "n": 10}, {"id": 2, "v": "b", "n": 20}]


@pytest.mark.parametrize(
    "ddl",
    [
        "ALTER TABLE t ALTER v DROP DEFAULT",
        "ALTER TABLE t ALTER v DROP NOT NULL",
        "ALTER TABLE t ADD CONSTRAINT type CHECK (v <> 'drop')",
        "CREATE TABLE other (v text); ALTER TABLE other DROP v",
    ],
)
def test_what_takes_no_column_copies_nothing(t: Database, ddl: str) -> None:
    t.run(ddl)
    assert saved(t) == 0


def test_saving_in_vain_is_undone(t: Database) -> None:
    t.run("ALTER TABLE t DROP CONSTRAINT IF EXISTS v, ADD CHECK (v <> ''); ALTER TABLE t ALTER v TYPE text")
    assert t.value("SELECT count(*) FROM pggit._log_1") == 0


def test_a_reader_waits_for_no_lock_that_ddl_waits_for(t: Database) -> None:
    """It has a table before its stores, as who changes the table has: else one of both ends in a deadlock."""
    t.run("UPDATE t SET n = 0")
    changer, reader = t.connect(autocommit=False), t.connect()
    query(changer, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    reading = threading.Thread(target=query, args=(reader, "SELECT pggit.commit('meanwhile')"))
    reading.start()
    time.sleep(0.3)
    query(changer, "SET lock_timeout = '100ms'; ALTER TABLE t ADD x integer")
    changer.commit()
    reading.join()
    assert t.rows("SELECT message FROM pggit.log() LIMIT 1") == [("meanwhile",)]


def test_only_the_table_that_is_meant_is_locked(t: Database) -> None:
    t.run("CREATE SCHEMA s; CREATE TABLE s.t (id integer PRIMARY KEY, v text); SELECT pggit.track_schema('s')")
    writer = t.connect(autocommit=False)
    query(writer, "INSERT INTO public.t (id) VALUES (3)")
    t.run("SET lock_timeout = '2s'; SET search_path = s; ALTER TABLE t DROP v; RESET search_path")
    assert query(writer, "SELECT id FROM public.t ORDER BY id DESC LIMIT 1").fetchone() == (
        3,
    )  # its lock is still held
    assert t.rows("SELECT column_name FROM information_schema.columns WHERE table_schema = 's'") == [("id",)]
    writer.rollback()


def test_nobody_makes_pggit_lock_what_is_not_theirs(t: Database) -> None:
    t.run("DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    writer = t.connect(autocommit=False)
    query(writer, "INSERT INTO t (id) VALUES (3)")
    with raises("42501"):
        query(t.connect(user="guest"), "ALTER TABLE t DROP v")
    writer.rollback()


def test_an_owner_who_may_not_see_pggit_changes_columns(t: Database) -> None:
    t.run("DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    t.run("ALTER TABLE t OWNER TO guest; GRANT CREATE ON SCHEMA public TO guest")
    query(t.connect(user="guest"), "ALTER TABLE t DROP v")
    assert old_rows(t)[0] == {"id": 1, "v": "a", "n": 10}


# --- other types ------------------------------------------------------------------------------------------------------


def test_another_type_alone_is_no_change_of_rows(t: Database) -> None:
    t.run("ALTER TABLE t ALTER n TYPE text USING n::text")
    assert t.rows("SELECT * FROM pggit.diff('old')") == [("public.t", 0, 0, 0)]
    t.run("UPDATE t SET n = 'twenty' WHERE id = 2")
    assert t.rows("SELECT key, old_row -> 'n', new_row -> 'n' FROM pggit.diff_rows('t', 'old')") == [
        ({"id": 2}, 20, "twenty")
    ]
    assert as_of(t, "old") == [(1, "a", "10"), (2, "b", "20")]
    new = t.value("SELECT pggit.commit('new')")
    blamed = dict(t.rows("SELECT key ->> 'id', commit_id FROM pggit.blame('t') WHERE column_name = 'n'"))
    assert blamed == {"1": t.value("SELECT pggit.resolve_ref('old')"), "2": new}


def test_values_that_changed_with_the_type_are_changes(t: Database) -> None:
    t.run("ALTER TABLE t ALTER v TYPE text USING CASE id WHEN 1 THEN upper(v) ELSE v END")
    assert t.rows("SELECT old_row -> 'v', new_row -> 'v' FROM pggit.diff_rows('t', 'old')") == [("a", "A")]
    assert as_of(t, "old") == [(1, "a", 10), (2, "b", 20)]
    assert is_sound(t)


def test_a_value_that_the_type_of_now_does_not_take_is_not_shown_as_another(t: Database) -> None:
    t.run("ALTER TABLE t ALTER v TYPE integer USING id")
    with raises("VG306", "value 'a' can't be shown as integer"):
        as_of(t, "old")
    assert t.rows("SELECT old_row -> 'v', new_row -> 'v' FROM pggit.diff_rows('t', 'old')") == [("a", 1), ("b", 2)]


def test_types_are_compared_alike_in_every_session(t: Database) -> None:
    t.run("ALTER TABLE t ADD d date; UPDATE t SET d = '2024-05-01'")
    t.run("SELECT pggit.tag('dated', pggit.commit('dated'))")
    t.run("SET TimeZone = 'UTC'; ALTER TABLE t ALTER d TYPE timestamptz")
    for zone, style in [("Asia/Tokyo", "German"), ("America/New_York", "SQL, MDY"), ("UTC", "ISO")]:
        t.run(f"SET TimeZone = '{zone}'; SET DateStyle = '{style}'")
        assert t.rows("SELECT * FROM pggit.diff('dated')") == [("public.t", 0, 0, 0)]


def test_a_wider_type_is_the_same_column(either: Database) -> None:
    db = either
    heard = warnings(db.conn)
    db.run("ALTER TABLE t ADD x varchar(5) DEFAULT 'x'; UPDATE t SET x = 'y' WHERE id = 1")
    db.run("SELECT pggit.commit('five')")
    db.run("ALTER TABLE t ALTER x TYPE varchar(50); UPDATE t SET x = 'longer than before'")
    db.run("ALTER TABLE t ALTER x TYPE text, ALTER v TYPE varchar")
    assert db.rows("SELECT x FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id") == [("y",), ("x",)]
    db.run("SELECT pggit.commit('wide')")
    assert "reshaped" not in db.value("SELECT changes FROM pggit.show('HEAD')")["public.t"]
    assert heard == []
    assert is_sound(db)


def test_a_key_may_get_wider(db: Database) -> None:
    db.run("CREATE TABLE t (id varchar(3) PRIMARY KEY, v text); INSERT INTO t VALUES ('a', 'x')")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.tag('old', pggit.commit('old'))")
    db.run("ALTER TABLE t ALTER id TYPE varchar(30); INSERT INTO t VALUES ('longer', 'y'); UPDATE t SET v = 'z'")
    assert as_of(db, "old") == [("a", "x")]
    assert is_sound(db)


def test_a_key_may_become_a_bigint(t: Database) -> None:
    heard = warnings(t.conn)
    t.run("UPDATE t SET v = 'c' WHERE id = 1")
    t.run(
        "ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t VALUES (5000000000, 'big', 30); DELETE FROM t WHERE id = 2"
    )
    assert as_of(t, "old") == [(1, "a", 10), (2, "b", 20)]
    assert t.rows("SELECT * FROM pggit.diff('old')") == [("public.t", 1, 1, 1)]
    t.run("SELECT pggit.commit('big')")
    assert heard == []
    assert is_sound(t)


def test_a_key_may_get_other_values(t: Database) -> None:
    heard = warnings(t.conn)
    t.run("ALTER TABLE t ALTER id TYPE bigint USING id + 1")
    t.run("SELECT pggit.commit('moved'); DELETE FROM t")
    assert as_of(t, "HEAD") == [(2, "a", 10), (3, "b", 20)]
    assert as_of(t, "old") == [(1, "a", 10), (2, "b", 20)]
    assert t.rows("SELECT * FROM pggit.diff('old', 'HEAD')") == [("public.t", 2, 0, 2)]
    assert heard == []
    assert is_sound(t)


@pytest.mark.parametrize(
    "lost",
    [
        "SET pggit.save_limit = '0'; ALTER TABLE t DROP CONSTRAINT t_pkey",
        "SELECT pggit.untrack_table('t'), pggit.track_table('t')",
    ],
)
def test_a_history_that_begins_anew_is_not_read(t: Database, lost: str) -> None:
    heard = warnings(t.conn)
    t.run(f"{lost}; SELECT pggit.commit('anew', p_allow_empty => true); DELETE FROM t")
    assert ["pggit.save_limit" in lost] * len(heard) == ["VG005" in warning for warning in heard]
    for read in (
        "SELECT * FROM pggit.as_of(NULL::t, 'old')",
        "SELECT * FROM pggit.diff('old')",
        "SELECT * FROM pggit.diff_rows('t', 'old')",
    ):
        with raises("VG005", "its history has begun anew"):
            t.run(read)
    # Also when it goes on after that.
    t.run("RESET pggit.save_limit; INSERT INTO t VALUES (7, 'x', 1); SELECT pggit.tag('new', pggit.commit('new'))")
    t.run(
        "ALTER TABLE t DROP CONSTRAINT IF EXISTS t_pkey, ADD CONSTRAINT k PRIMARY KEY (n); SELECT pggit.commit('third')"
    )
    assert t.rows("SELECT * FROM pggit.diff('new')") == [("public.t", 0, 0, 0)]
    assert as_of(t, "new") == [(7, "x", 1)]
    for read in (
        "SELECT * FROM pggit.as_of(NULL::t, 'old')",
        "SELECT * FROM pggit.diff('old')",
        "SELECT * FROM pggit.diff_rows('t', 'old')",
    ):
        with raises("VG005", "not tracked yet|its history has begun anew"):
            t.run(read)
    assert is_sound(t)


# --- generated columns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
def test_generated_columns_are_computed_as_they_were(t: Database, kind: str) -> None:
    if kind == "VIRTUAL" and t.version < 18:
        pytest.skip("since PostgreSQL 18")
    t.run(f"ALTER TABLE t ADD g integer GENERATED ALWAYS AS (n * 2) {kind}")
    t.run("SELECT pggit.tag('g', pggit.commit('g'))")
    assert as_of(t, "old") == [(1, "a", 10, None), (2, "b", 20, None)]
    t.run("ALTER TABLE t RENAME n TO m; UPDATE t SET m = 0")
    assert as_of(t, "g") == [(1, "a", 10, 20), (2, "b", 20, 40)]
    assert old_rows(t, "g") == [{"id": 1, "v": "a", "m": 10, "g": 20}, {"id": 2, "v": "b", "m": 20, "g": 40}]
    t.run("ALTER TABLE t DROP g; ALTER TABLE t RENAME m TO n")
    assert old_rows(t, "g")[0] == {"id": 1, "v": "a", "n": 10, "g": 20}
    assert is_sound(t)


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "ddl", "reason"),
    [
        ("SET pggit.save_limit = '0'", "ALTER TABLE t DROP v", "pggit.save_limit is 0"),
        ("SET pggit.save_limit = 'much'", "ALTER TABLE t DROP v", "must be a size such as 256MB"),
        ("CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TABLE t ADD m mood", "DROP TYPE mood CASCADE", "does not name"),
        ("SET default_transaction_isolation = 'repeatable read'", "ALTER TABLE t DROP v", "REPEATABLE READ"),
    ],
)
def test_what_is_not_saved_is_a_gap_and_said(t: Database, before: str, ddl: str, reason: str) -> None:
    heard = warnings(t.conn)
    t.run(before)
    t.run("SELECT pggit.tag('before', pggit.commit('before', p_allow_empty => true))")
    t.run(ddl)
    (warning,) = heard
    assert "VG306" in warning
    assert reason in warning
    t.run("RESET default_transaction_isolation")
    for read in (
        "SELECT * FROM pggit.as_of(NULL::t, 'before')",
        "SELECT * FROM pggit.diff('before')",
        "SELECT * FROM pggit.diff_rows('t', 'before')",
        "SELECT pggit.state_digest('before')",
        "SELECT * FROM pggit.blame('t', p_ref => 'before')",
    ):
        with raises("VG306"):
            t.run(read)
    t.run("SELECT pggit.commit('after'); UPDATE t SET n = 0")
    assert t.rows("SELECT n FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id") == [(10,), (20,)]
    t.run("SELECT pggit.commit('on')")
    assert t.value("SELECT count(DISTINCT key) FROM pggit.blame('t')") == 2
    assert is_sound(t)


def test_a_column_is_known_by_its_escapes(t: Database) -> None:
    t.run("SELECT pggit.tag('before', pggit.commit('before', p_allow_empty => true))")
    t.run('ALTER TABLE t DROP U&"\\0076"')
    assert [row["v"] for row in old_rows(t, "before")] == ["a", "b"]  # type: ignore[index]
    assert is_sound(t)


def test_a_gap_is_of_one_table(t: Database) -> None:
    t.run("CREATE TABLE u (id integer PRIMARY KEY, v text); INSERT INTO u VALUES (1, 'u')")
    t.run("SELECT pggit.tag('both', pggit.commit('both'))")
    t.run("SET pggit.save_limit = '0'; ALTER TABLE t DROP v; ALTER TABLE u ADD w text")
    assert t.rows("SELECT * FROM pggit.as_of(NULL::u, 'both')") == [(1, "u", None)]
    with raises("VG306"):
        as_of(t, "both")


def test_a_real_table_goes_on_over_a_gap_of_main(either: Database) -> None:
    either.run("SELECT pggit.create_branch('b', 'main', 'schema', 'all')")
    b = either.connect(branch="b")
    query(b, "UPDATE t SET v = 'before' WHERE id = 1; SELECT pggit.tag('before', pggit.commit('before'))")
    either.run(
        "SET pggit.save_limit = '0'; ALTER TABLE t DROP v; SELECT pggit.commit('without v', p_allow_empty => true)"
    )
    query(b, "UPDATE t SET v = 'after' WHERE id = 2")
    assert query(b, "SELECT * FROM pggit.status()").fetchall() == [("public.t", 0, 1, 0)]
    query(b, "SELECT pggit.commit('after')")
    assert query(
        b, "SELECT content -> 'public.t' -> 'updated' FROM pggit.commits WHERE message = 'after'"
    ).fetchall() == [(1,)]
    assert query(b, "SELECT id, v FROM pggit.as_of(NULL::t, 'before') ORDER BY id").fetchall() == [
        (1, "before"),
        (2, "b"),
    ]
    assert is_sound(either)
    with raises("VG306"):
        query(b, "SELECT * FROM pggit.diff('main', 'b')")
    with raises("VG306"):
        query(b, "SELECT * FROM pggit.diff_rows('t', 'main', 'b')")
    assert "lost" in str(either.value("SELECT detail ->> 'reason' FROM pggit.merge('b', 'main')"))
    digest = either.value("SELECT pggit.state_digest('b')")
    head = either.value("SELECT head FROM pggit.branches WHERE name = 'b'")
    b.close()
    either.run("SELECT pggit.delete_branch('b', true)")
    assert either.value("SELECT pggit.state_digest(%s)", head) == digest
    assert is_sound(either)


def test_a_type_that_goes_leaves_its_history(t: Database) -> None:
    t.run("CREATE TYPE mood AS ENUM ('good'); ALTER TABLE t ADD m mood DEFAULT 'good'")
    t.run("SELECT pggit.tag('moody', pggit.commit('moody'))")
    t.run("ALTER TABLE t ALTER m DROP DEFAULT, ALTER m TYPE text; SELECT pggit.tag('plain', pggit.commit('plain'))")
    t.run("DROP TYPE mood")
    assert t.rows("SELECT m FROM pggit.as_of(NULL::t, 'moody')") == [("good",), ("good",)]
    assert t.rows("SELECT * FROM pggit.diff('moody', 'plain')") == [("public.t", 0, 0, 0)]
    assert as_of(t, "old") == [(1, "a", 10, None), (2, "b", 20, None)]
    assert is_sound(t)


@pytest.mark.parametrize(
    "ddl",
    ["ALTER TABLE t DROP v", "ALTER TABLE t ALTER n TYPE bigint", "ALTER TABLE t ALTER v TYPE text USING upper(v)"],
)
def test_without_event_triggers_there_is_a_gap(untold: Database, ddl: str) -> None:
    heard = warnings(untold.conn)
    untold.run(ddl)
    with raises("VG306"):
        as_of(untold, "old")
    untold.run("SELECT pggit.commit('after')")
    assert any("no event trigger" in warning for warning in heard)
    now = untold.rows("SELECT * FROM t ORDER BY id")
    untold.run("DELETE FROM t")
    assert as_of(untold, "HEAD") == now
    assert is_sound(untold)


def test_without_event_triggers_a_changed_table_can_be_emptied(untold: Database) -> None:
    untold.run("ALTER TABLE t DROP v, ADD x integer DEFAULT 5")
    untold.run("TRUNCATE t")
    untold.run("SELECT pggit.commit('after')")
    assert untold.rows("SELECT * FROM t") == as_of(untold, "HEAD") == []
    assert is_sound(untold)


def test_without_event_triggers_other_rewrites_leave_no_gap(untold: Database) -> None:
    heard = warnings(untold.conn)
    untold.run("VACUUM FULL t")
    untold.run("UPDATE t SET n = 11 WHERE id = 1")
    untold.run("ALTER TABLE t ALTER v SET NOT NULL, ALTER n SET DEFAULT 5")
    untold.run("UPDATE t SET n = 12 WHERE id = 1")
    untold.run("CLUSTER t USING t_pkey")
    untold.run("TRUNCATE t")
    untold.run("INSERT INTO t VALUES (3, 'c', 30)")
    assert as_of(untold, "old") == [(1, "a", 10), (2, "b", 20)]
    assert heard == []
    assert is_sound(untold)


# --- two servers, branches, writers -----------------------------------------------------------------------------------


def test_the_same_changes_have_the_same_ids_everywhere(servers: Servers, db: Database) -> None:
    other = servers.create(db.version, template=servers.template(db.version))
    try:
        db.run("CREATE TABLE t (id integer PRIMARY KEY, v text, n integer)")
        other.run("CREATE TABLE t (gone text, id integer PRIMARY KEY, v text, gone_too text, n integer)")
        other.run("ALTER TABLE t DROP gone, DROP gone_too")
        ids = list[object]()
        for one in (db, other):
            one.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20); SELECT pggit.track_schema('public')")
            for step in (
                "SELECT 1",
                "ALTER TABLE t ADD x integer DEFAULT 7, ADD y text; UPDATE t SET v = 'c' WHERE id = 1",
                "ALTER TABLE t DROP v; DELETE FROM t WHERE id = 2",
                "ALTER TABLE t ALTER n TYPE text; UPDATE t SET n = 'z' WHERE id = 1",
            ):
                one.run(step)
                ids.append(one.value("SELECT pggit.commit('step', p_author => 'ann', p_committed_at => '2024-01-01')"))
        assert ids[:4] == ids[4:]
    finally:
        servers.drop(other)


@pytest.mark.parametrize("form", ["none", "all"])
def test_a_branch_keeps_the_columns_it_began_with(t: Database, form: str) -> None:
    t.run(f"SELECT pggit.create_branch('dev', p_materialize => '{form}')")
    dev = t.connect(branch="dev")
    query(dev, "UPDATE t SET v = 'dev' WHERE id = 1")
    query(dev, "SELECT pggit.tag('before', pggit.commit('before'))")
    t.run("ALTER TABLE t ADD x integer DEFAULT 7; UPDATE t SET x = 8, v = 'main'; SELECT pggit.commit('added')")
    for after in ("SELECT 1", f"SELECT pggit.create_branch('next', p_materialize => '{form}')"):
        t.run(after)
        query(dev, "UPDATE t SET n = n + 1 WHERE id = 2; INSERT INTO t SELECT max(id) + 1, 'new', 30 FROM t")
        query(dev, "SELECT pggit.commit('after')")
    now = [(1, "dev", 10), (2, "b", 22), (3, "new", 30), (4, "new", 30)]
    assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == now
    assert query(dev, "SELECT * FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id").fetchall() == now
    assert query(dev, "SELECT * FROM pggit.as_of(NULL::t, 'before') ORDER BY id").fetchall() == [
        (1, "dev", 10),
        (2, "b", 20),
    ]
    assert t.rows("SELECT * FROM pggit.as_of(NULL::t, 'dev') ORDER BY id")[0] == (1, "dev", 10, None)
    assert query(dev, "SELECT * FROM pggit.diff('before')").fetchall() == [("public.t", 2, 1, 0)]
    assert t.rows("SELECT * FROM pggit.diff('main', 'dev')") == [("public.t", 2, 2, 0)]
    assert t.row("SELECT result, conflicts FROM pggit.merge('dev', 'main')") == ("conflicted", 1)
    for form in ("none", "all"):
        t.run("SELECT pggit.create_branch('late', 'before', p_materialize => %s)", form)
        late = t.connect(branch="late")
        assert query(late, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "dev", 10), (2, "b", 20)]
        query(late, "UPDATE t SET n = 5; SELECT pggit.commit('late')")
        assert query(late, "SELECT * FROM pggit.diff('before')").fetchall() == [("public.t", 0, 2, 0)]
        assert is_sound(t)
        late.close()
        t.run("SELECT pggit.delete_branch('late', true)")
    dev.close()
    t.run("SELECT pggit.delete_branch('dev', true)")
    assert t.rows("SELECT * FROM pggit.as_of(NULL::t, 'before') ORDER BY id") == [
        (1, "dev", 10, None),
        (2, "b", 20, None),
    ]
    assert is_sound(t)


def test_a_real_table_keeps_a_column_that_main_drops(t: Database) -> None:
    t.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = t.connect(branch="dev")
    query(dev, "UPDATE t SET v = 'dev' WHERE id = 1")
    t.run("ALTER TABLE t DROP v")
    query(dev, "UPDATE t SET v = 'still' WHERE id = 2")
    query(dev, "SELECT pggit.commit('after')")
    assert query(dev, "SELECT * FROM pggit.as_of(NULL::t, 'HEAD') ORDER BY id").fetchall() == [
        (1, "dev", 10),
        (2, "still", 20),
    ]
    assert query(dev, "SELECT * FROM pggit.as_of(NULL::t, 'old') ORDER BY id").fetchall() == [
        (1, "a", 10),
        (2, "b", 20),
    ]
    assert is_sound(t)


def test_columns_that_came_and_went_stand_in_no_merge_s_way(t: Database) -> None:
    t.run("SELECT pggit.create_branch('dev', p_materialize => 'none')")
    dev = t.connect(branch="dev")
    query(dev, "UPDATE t SET v = 'dev' WHERE id = 1")
    t.run("ALTER TABLE t ADD x integer DEFAULT 7; UPDATE t SET n = 21 WHERE id = 2; SELECT pggit.commit('added')")
    t.run("ALTER TABLE t DROP x; SELECT pggit.commit('gone')")
    assert t.value("SELECT result FROM pggit.merge('dev', 'main')") == "merged"
    assert t.rows("SELECT * FROM t ORDER BY id") == [(1, "dev", 10), (2, "b", 21)]
    assert t.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"
    assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "dev", 10), (2, "b", 21)]
    assert is_sound(t)


def test_columns_change_under_writers_and_commits(t: Database) -> None:
    ends, failed, written = time.monotonic() + 4, list[str](), [0, 0]

    def write(number: int) -> None:
        with psycopg.connect(t.dsn, autocommit=True) as session:
            while time.monotonic() < ends:
                try:
                    query(session, "UPDATE t SET n = n + 1 WHERE id = %s", 1 + number)
                    query(session, "INSERT INTO t (id) VALUES (%s)", 100 + number + 2 * written[number])
                    written[number] += 1
                except psycopg.Error as error:
                    failed.append(f"{error.sqlstate} {error}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    states = list[tuple[str, str]]()
    committer = t.connect()
    while time.monotonic() < ends:
        for ddl in ("ALTER TABLE t ADD x integer DEFAULT 5", "ALTER TABLE t ALTER x TYPE text", "ALTER TABLE t DROP x"):
            t.run(ddl)
            ((commit,),) = query(committer, "SELECT pggit.commit('step', p_allow_empty => true)").fetchall()
            states.append((commit, t.value("SELECT pggit.state_digest(%s)", commit)))
    for writer in writers:
        writer.join()
    assert failed == []
    assert min(written) > 0
    for commit, digest in states[-12:]:
        assert t.value("SELECT pggit.state_digest(%s)", commit) == digest
    assert is_sound(t)
