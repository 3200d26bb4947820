"""Triggers of a branch's real tables take no part in what is merged into it, as on main."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query

SETUP = """
    CREATE TABLE account (id integer PRIMARY KEY, total integer NOT NULL);
    CREATE TABLE booking (id integer PRIMARY KEY, account_id integer REFERENCES account, amount integer);
    CREATE TABLE untouched (id integer PRIMARY KEY);
    CREATE TABLE counted (id integer);
    CREATE FUNCTION keep_total() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE account SET total = total + NEW.amount WHERE id = NEW.account_id; RETURN NEW; END $$;
    CREATE TRIGGER total AFTER INSERT ON booking FOR EACH ROW EXECUTE FUNCTION keep_total();
    INSERT INTO account VALUES (1, 0), (2, 0);
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('base');
    SELECT pggit.create_branch('side', p_materialize => 'all');
"""


@pytest.mark.parametrize("role", ["superuser", "plain"])
def test_totals_are_not_doubled(db: Database, request: pytest.FixtureRequest, role: str) -> None:
    owner: Connection = db.conn if role == "superuser" else request.getfixturevalue("plain_owner")
    query(owner, SETUP)
    side = db.connect(user=owner.info.user, branch="side")
    query(side, "INSERT INTO booking VALUES (1, 1, 40)")
    query(owner, "INSERT INTO booking VALUES (2, 1, 2), (3, 2, 5)")
    assert query(owner, "SELECT result FROM pggit.merge('main', 'side')").fetchall() == [("conflicted",)]
    rules = '{"rules": [{"rule": "sum", "column": "total"}]}'
    assert query(owner, "SELECT result FROM pggit.merge('main', 'side', NULL, %s)", rules).fetchall() == [("merged",)]
    assert query(side, "SELECT * FROM account ORDER BY id").fetchall() == [(1, 42), (2, 5)]
    query(side, "INSERT INTO booking VALUES (4, 2, 1)")
    assert query(side, "SELECT total FROM account WHERE id = 2").fetchall() == [(6,)], "the trigger is on again"


MEDDLE = {
    "another table": "INSERT INTO untouched VALUES (NEW.id)",
    "another row": "UPDATE account SET total = 7 WHERE id = 2",
    "the same row": "UPDATE booking SET amount = -1 WHERE id = NEW.id",
    "rows that are counted": "INSERT INTO counted VALUES (NEW.id)",
    "main": "INSERT INTO public.untouched VALUES (NEW.id)",
}


@pytest.mark.parametrize("meddles", MEDDLE)
def test_one_that_fires_all_the_same_refuses_the_merge(db: Database, meddles: str) -> None:
    db.begin(SETUP)
    side = db.connect(branch="side")
    query(
        side,
        f"""
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS
            $$ BEGIN {MEDDLE[meddles]}; RETURN NEW; END $$;
        CREATE TRIGGER meddle AFTER INSERT ON booking FOR EACH ROW EXECUTE FUNCTION meddle();
        ALTER TABLE booking ENABLE ALWAYS TRIGGER meddle;
        """,
    )
    query(side, "SELECT pggit.commit('meddle', p_allow_empty => true)")
    db.run("INSERT INTO booking VALUES (1, 1, 40)")
    result, detail = db.row("SELECT result, detail FROM pggit.merge('main', 'side')")
    assert result == "refused"
    assert "triggers changed rows" in detail["reason"]
    for session in (side, db.conn):
        assert query(session, "SELECT count(*) FROM untouched").fetchall() == [(0,)]
    assert query(side, "SELECT * FROM account WHERE id = 2").fetchall() == [(2, 0)]
    assert query(side, "TABLE booking").fetchall() == []


CHECKED = """
    CREATE TABLE booking (id integer PRIMARY KEY, amount integer);
    INSERT INTO booking SELECT n, 0 FROM generate_series(1, 4) AS n;
    CREATE FUNCTION balanced() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE v_sum integer;
    BEGIN
        EXECUTE format('SELECT sum(amount) FROM %I.booking', TG_TABLE_SCHEMA) INTO v_sum;
        IF v_sum <> 0 THEN RAISE 'the books are out by %', v_sum; END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER balanced AFTER INSERT OR UPDATE OR DELETE ON booking DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION balanced();
"""
MERGE = "SELECT result, detail ->> 'reason' FROM pggit.merge(%s, %s)"


@pytest.mark.parametrize("role", ["superuser", "plain"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_triggers_that_check_fire_where_they_are_asked_to(
    db: Database, request: pytest.FixtureRequest, target: str, role: str
) -> None:
    """Each side's books are balanced, and together they are not; the trigger looks when all rows are written."""
    owner: Connection = db.conn if role == "superuser" else request.getfixturevalue("plain_owner")
    query(owner, CHECKED)
    query(owner, "SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    query(owner, "SELECT pggit.create_branch('side', p_materialize => 'all')")
    there = {"main": owner, "side": db.connect(user=owner.info.user, branch="side")}
    source = "side" if target == "main" else "main"
    theirs, ours = there[source], there[target]
    query(owner, "SELECT pggit.fire_triggers('booking')")
    query(theirs, "UPDATE booking SET amount = 5 WHERE id = 1; INSERT INTO booking VALUES (10, -5)")
    query(ours, "UPDATE booking SET amount = 1 WHERE id = 2; UPDATE booking SET amount = -1 WHERE id = 4")
    assert query(owner, MERGE, source, target).fetchall() == [("merged", None)]

    query(theirs, "UPDATE booking SET amount = 8 WHERE id = 1; UPDATE booking SET amount = -3 WHERE id = 3")
    query(ours, "UPDATE booking SET amount = 8 WHERE id = 1; UPDATE booking SET amount = -2 WHERE id = 2")
    before = query(ours, "SELECT * FROM booking ORDER BY id").fetchall()
    assert query(owner, MERGE, source, target).fetchall() == [("refused", "the books are out by -3")]
    assert query(ours, "SELECT * FROM booking ORDER BY id").fetchall() == before
    query(owner, "SELECT pggit.fire_triggers('booking', false)")
    assert query(owner, MERGE, source, target).fetchall() == [("merged", None)]
    assert query(ours, "SELECT sum(amount) FROM booking").fetchall() == [(-3,)]
    with pytest.raises(psycopg.Error, match="the books are out"):
        query(ours, "UPDATE booking SET amount = 0 WHERE id = 1")
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []


SKIPS = {
    "skips an insert": ("INSERT", "RETURN NULL", "INSERT INTO booking VALUES (9, 1)", 9),
    "skips an update": ("UPDATE", "RETURN NULL", "UPDATE booking SET amount = 7 WHERE id = 1", 1),
    "skips a delete": ("DELETE", "RETURN NULL", "DELETE FROM booking WHERE id = 1", 1),
    "changes a row": ("UPDATE", "NEW.amount := -1; RETURN NEW", "UPDATE booking SET amount = 7 WHERE id = 1", 1),
}
SKIPPED = """
    CREATE TABLE booking (id integer PRIMARY KEY, amount integer);
    INSERT INTO booking SELECT n, 0 FROM generate_series(1, 4) AS n;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('base');
    SELECT pggit.create_branch('side', p_materialize => 'all');
    SELECT pggit.fire_triggers('booking');
"""


@pytest.mark.parametrize("role", ["superuser", "plain"])
@pytest.mark.parametrize(("target", "skips"), [("main", "skips an insert"), *[("side", skips) for skips in SKIPS]])
def test_one_that_skips_or_changes_a_row_is_named(
    db: Database, request: pytest.FixtureRequest, target: str, skips: str, role: str
) -> None:
    """At once: to try again would not help."""
    owner: Connection = db.conn if role == "superuser" else request.getfixturevalue("plain_owner")
    event, body, change, row = SKIPS[skips]
    query(owner, SKIPPED)
    there = {"main": owner, "side": db.connect(user=owner.info.user, branch="side")}
    source = "side" if target == "main" else "main"
    query(there[source], change)
    query(there[target], "UPDATE booking SET amount = 3 WHERE id = 2")
    schema = "public" if target == "main" else '"public@side"'
    query(
        there[target],
        f"""
        CREATE FUNCTION {schema}.skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body}; END';
        CREATE TRIGGER "the skip" BEFORE {event} ON booking FOR EACH ROW EXECUTE FUNCTION {schema}.skip();
        """,
    )
    before = query(there[target], "SELECT * FROM booking ORDER BY id").fetchall()
    ((result, reason),) = query(owner, MERGE, source, target).fetchall()
    assert result == "refused"
    assert f'row {{"id": {row}}}' in reason
    assert 'trigger "the skip" of table' in reason
    assert query(there[target], "SELECT * FROM booking ORDER BY id").fetchall() == before
    query(owner, "SELECT pggit.fire_triggers('booking', false)")
    assert query(owner, MERGE, source, target).fetchall() == [("merged", None)]


@pytest.mark.parametrize("role", ["superuser", "plain"])
@pytest.mark.parametrize("event", ["INSERT", "DELETE"])
def test_one_that_skips_rows_without_a_key_is_named(
    db: Database, request: pytest.FixtureRequest, event: str, role: str
) -> None:
    owner: Connection = db.conn if role == "superuser" else request.getfixturevalue("plain_owner")
    query(owner, SKIPPED.replace("id integer PRIMARY KEY", "id integer"))
    change = "INSERT INTO booking VALUES (9, 1), (9, 1)" if event == "INSERT" else "DELETE FROM booking WHERE id > 2"
    query(db.connect(user=owner.info.user, branch="side"), change)
    query(owner, "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    query(owner, f"CREATE TRIGGER skips BEFORE {event} ON booking FOR EACH ROW EXECUTE FUNCTION skip()")
    ((result, reason),) = query(owner, MERGE, "side", "main").fetchall()
    assert result == "refused"
    assert "what fires is trigger skips of table booking" in reason
    assert query(owner, "SELECT id FROM booking ORDER BY id").fetchall() == [(n,) for n in range(1, 5)]


MODES = {"ALL DEFERRED": ("IMMEDIATE", True), "ALL IMMEDIATE": ("DEFERRED", False), "": ("DEFERRED", True)}


@pytest.mark.parametrize("role", ["superuser", "plain"])
@pytest.mark.parametrize("mode", MODES)
def test_constraints_wait_afterwards_as_they_did_before(
    db: Database, request: pytest.FixtureRequest, mode: str, role: str
) -> None:
    """In a transaction that has rows of its own that wait to be checked."""
    owner: Connection = db.conn if role == "superuser" else request.getfixturevalue("plain_owner")
    declared, waits = MODES[mode]
    query(owner, CHECKED.replace("INITIALLY DEFERRED", f"INITIALLY {declared}"))
    query(owner, f"ALTER TABLE booking ADD up integer REFERENCES booking DEFERRABLE INITIALLY {declared}")
    # A name that is not only that of a constraint that can wait.
    query(owner, "CREATE TABLE other (id integer PRIMARY KEY, CONSTRAINT balanced CHECK (id > 0))")
    query(owner, "SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    query(owner, "SELECT pggit.create_branch('side', p_materialize => 'none'); SELECT pggit.fire_triggers('booking')")
    query(db.connect(user=owner.info.user, branch="side"), "INSERT INTO booking VALUES (10, 0, 1)")
    with owner.transaction():
        if mode:
            query(owner, f"SET CONSTRAINTS {mode}")
        query(owner, "INSERT INTO booking VALUES (11, 0, 2)")
        assert query(owner, MERGE, "side", "main").fetchall() == [("merged", None)]
        if waits:
            query(owner, "INSERT INTO booking VALUES (20, 0, 21)")
            query(owner, "INSERT INTO booking VALUES (21, 0, NULL)")
        else:
            with pytest.raises(psycopg.errors.ForeignKeyViolation), owner.transaction():
                query(owner, "INSERT INTO booking VALUES (20, 0, 21)")
    assert query(owner, "SELECT * FROM pggit.verify()").fetchall() == []


def test_a_table_in_use_by_a_cursor_is_told(db: Database) -> None:
    db.run(SKIPPED)
    query(db.connect(branch="side"), "INSERT INTO booking VALUES (9, 1)")
    db.run("CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    db.run("CREATE TRIGGER look BEFORE INSERT ON booking FOR EACH ROW EXECUTE FUNCTION look()")
    with db.conn.transaction():
        db.run("DECLARE held CURSOR FOR TABLE booking")
        db.run("FETCH 1 FROM held")
        ((result, reason),) = db.rows(MERGE, "side", "main")
    assert (result, reason.startswith("cannot ALTER TABLE")) == ("refused", True)
