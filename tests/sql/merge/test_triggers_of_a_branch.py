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
    db.run(SETUP)
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
