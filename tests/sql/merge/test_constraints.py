"""The merged state is checked before anything is written; valid states get through whatever the way there."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

SETUP = """
    CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, owner integer);
    CREATE TABLE child (
        id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE, code text, email text,
        low integer NOT NULL DEFAULT 0, high integer DEFAULT 10, CONSTRAINT ordered CHECK (low <= high)
    );
    CREATE UNIQUE INDEX child_email ON child (lower(email)) WHERE code = 'live';
    ALTER TABLE parent ADD FOREIGN KEY (owner) REFERENCES child;
    INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c');
    INSERT INTO child VALUES (1, 1, 'live', 'one@example.org'), (2, 2, 'live', 'two@example.org'), (3, NULL, 'x', NULL);
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('base');
"""

BROKEN = {
    "a cell of each side breaks a CHECK": (
        "UPDATE child SET low = 8 WHERE id = 1",
        "UPDATE child SET high = 7 WHERE id = 1",
        [("check", "ordered", 1, "both")],
    ),
    "two new rows share a unique value": (
        "INSERT INTO parent VALUES (10, 'new')",
        "INSERT INTO parent VALUES (11, 'new')",
        [("unique", "parent_code_key", 10, "theirs")],
    ),
    "a partial unique index on an expression": (
        "INSERT INTO child VALUES (10, 1, 'live', 'NEW@example.org')",
        "INSERT INTO child VALUES (11, 1, 'live', 'new@example.org')",
        [("unique", "child_email", 10, "theirs")],
    ),
    "theirs deletes a parent that ours gives a child": (
        "DELETE FROM child WHERE id = 2; DELETE FROM parent WHERE id = 2",
        "INSERT INTO child (id, parent_id) VALUES (10, 2)",
        [("foreign_key", "child_parent_id_fkey", 10, None)],
    ),
    "theirs gives a child to a parent that ours deletes": (
        "INSERT INTO child (id, parent_id) VALUES (10, 3)",
        "DELETE FROM parent WHERE id = 3",
        [("foreign_key", "child_parent_id_fkey", 10, "theirs")],
    ),
}


def side(db: Database, materialize: str, setup: str = SETUP) -> None:
    db.begin(f"{setup}; SELECT pggit.create_branch('side', p_materialize => '{materialize}')")


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_merged_state_that_breaks_a_constraint_is_refused(
    db: Database, name: str, target: str, materialize: str
) -> None:
    theirs_does, ours_does, violations = BROKEN[name]
    side(db, materialize)
    source = "side" if target == "main" else "main"
    query(db.connect(branch=source), theirs_does)
    ours = db.connect(branch=target)
    query(ours, ours_does)
    db.run("SELECT pggit.commit('pending', %s)", target)
    before = query(ours, "SELECT * FROM child ORDER BY id").fetchall()

    merge, result, count = db.row(
        "SELECT (m).merge_id, (m).result, (m).violations FROM pggit.merge(%s, %s) AS m", source, target
    )
    found = db.rows(
        "SELECT kind, constraint_name, (key ->> 'id')::integer, side FROM pggit.merge_violations WHERE merge_id = %s",
        merge,
    )
    assert result == "refused"
    assert found == violations
    assert count == len(violations)
    assert query(ours, "SELECT * FROM child ORDER BY id").fetchall() == before
    assert db.rows("SELECT * FROM pggit.status(%s)", target) == []


#: A domain, NOT NULL of a generated column, and a deferrable EXCLUDE.
ODD = """
    CREATE DOMAIN pair AS jsonb CHECK (VALUE -> 'a' <> VALUE -> 'b');
    CREATE TABLE odd (
        id integer PRIMARY KEY, a integer DEFAULT 0, b integer DEFAULT 0, two pair, span int4range,
        c integer GENERATED ALWAYS AS (nullif(a + b, 2)) STORED NOT NULL,
        EXCLUDE USING gist (span WITH &&) DEFERRABLE INITIALLY DEFERRED
    );
    INSERT INTO odd VALUES (1, 0, 0, '{"a": 1, "b": 2}', '[0,5)');
"""
#: No real table on a branch can have it.
OF_THE_WHOLE_ROW = """
    CREATE FUNCTION fits(odd) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.a + $1.b < 2';
    ALTER TABLE odd ADD CONSTRAINT whole CHECK (fits(odd));
"""


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
def test_constraints_that_no_side_breaks_alone(db: Database, target: str, materialize: str) -> None:
    """The plan shows them too, and without them the rows are merged."""
    whole = OF_THE_WHOLE_ROW if materialize == "none" else ""
    side(db, materialize, f"{ODD} {whole} SELECT pggit.track_schema('public'); SELECT pggit.commit('base')")
    source = "side" if target == "main" else "main"
    theirs, ours = db.connect(branch=source), db.connect(branch=target)
    query(theirs, """UPDATE odd SET a = 1, two = '{"a": 3, "b": 2}'""")
    query(theirs, "INSERT INTO odd (id, span) VALUES (3, '[10,20)')")
    query(ours, """UPDATE odd SET b = 1, two = '{"a": 1, "b": 3}'""")
    query(ours, "INSERT INTO odd (id, span) VALUES (4, '[15,25)')")

    broken = [("check", "public.odd.two", 1), ("exclusion", "odd_span_excl", 3), ("not_null", "public.odd.c", 1)]
    if whole:
        broken.insert(1, ("check", "whole", 1))
    for call, expected in (("plan_merge", "planned"), ("merge", "refused")):
        merge, result = db.row(f"SELECT (m).merge_id, (m).result FROM pggit.{call}(%s, %s) AS m", source, target)
        found = db.rows(
            "SELECT kind, constraint_name, (key ->> 'id')::integer FROM pggit.merge_violations WHERE merge_id = %s"
            " ORDER BY 1, 2",
            merge,
        )
        assert (result, found) == (expected, broken)
    query(ours, """UPDATE odd SET b = 0, two = '{"a": 1, "b": 2, "c": 4}' WHERE id = 1""")
    query(ours, "UPDATE odd SET span = '[20,25)' WHERE id = 4")
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "merged"


@pytest.mark.pg(18)
@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
def test_a_period_that_several_rows_cover_stays_covered(db: Database, target: str, materialize: str) -> None:
    """One of two parents goes on one side; the other side refers to both."""
    setup = """
        CREATE TABLE p (id integer PRIMARY KEY, k int4range, span int4range, UNIQUE (k, span WITHOUT OVERLAPS));
        CREATE TABLE c (
            id integer PRIMARY KEY, k int4range, span int4range,
            FOREIGN KEY (k, PERIOD span) REFERENCES p (k, PERIOD span)
        );
        INSERT INTO p VALUES (1, '[1,2)', '[0,5)'), (2, '[1,2)', '[5,10)');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
    """
    side(db, materialize, setup)
    source = "side" if target == "main" else "main"
    query(db.connect(branch=source), "INSERT INTO c VALUES (1, '[1,2)', '[2,8)')")
    ours = db.connect(branch=target)
    query(ours, "DELETE FROM p WHERE id = 2")
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "refused"
    assert query(ours, "SELECT * FROM c").fetchall() == []
    query(ours, "INSERT INTO p VALUES (3, '[1,2)', '[5,8)')")
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "merged"


VALID = {
    "unique values swapped": (
        "UPDATE parent SET code = CASE id WHEN 1 THEN 'tmp' ELSE code END; UPDATE parent SET code = 'a' WHERE id = 2;"
        "UPDATE parent SET code = 'b' WHERE id = 1",
        "UPDATE parent SET owner = 3 WHERE id = 3",
    ),
    "a cycle of foreign keys": (
        "BEGIN; INSERT INTO parent VALUES (20, 'n', NULL); INSERT INTO child (id, parent_id) VALUES (20, 20);"
        "UPDATE parent SET owner = 20 WHERE id = 20; COMMIT",
        "UPDATE child SET low = 1",
    ),
    "a parent and its child deleted": (
        "DELETE FROM child WHERE id = 2; DELETE FROM parent WHERE id = 2",
        "INSERT INTO child (id, parent_id) VALUES (11, 3)",
    ),
    "a child moves away from a parent that goes": (
        "UPDATE child SET parent_id = 3 WHERE id = 1; DELETE FROM parent WHERE id = 1",
        "UPDATE child SET high = 99 WHERE id = 1",
    ),
    "a unique value freed here is used there": (
        "DELETE FROM child WHERE id = 2",
        "INSERT INTO child VALUES (12, 1, 'live', 'twelve@example.org')",
    ),
}


@pytest.mark.parametrize("materialize", ["none", "all"])
@pytest.mark.parametrize("target", ["main", "side"])
@pytest.mark.parametrize("name", VALID)
def test_a_valid_merged_state_gets_through(db: Database, name: str, target: str, materialize: str) -> None:
    theirs_does, ours_does = VALID[name]
    side(db, materialize)
    source = "side" if target == "main" else "main"
    theirs, ours = db.connect(branch=source), db.connect(branch=target)
    query(theirs, theirs_does)
    query(ours, ours_does)
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "merged"
    assert db.value("SELECT (pggit.merge(%s, %s)).result", target, source) == "fast_forward"
    for table in ("parent", "child"):
        sql = f"SELECT * FROM {table} ORDER BY id"
        assert query(theirs, sql).fetchall() == query(ours, sql).fetchall()
    assert db.value("SELECT pggit.state_digest(%s) = pggit.state_digest(%s)", source, target)
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_triggers_and_cascades_take_no_part(db: Database) -> None:
    """Both sides' totals already contain what the trigger did: firing it again would double them."""
    side(
        db,
        "all",
        """
        CREATE TABLE account (id integer PRIMARY KEY, total integer NOT NULL);
        CREATE TABLE booking (
            id integer PRIMARY KEY, account_id integer REFERENCES account ON DELETE CASCADE, amount integer
        );
        CREATE FUNCTION keep_total() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN UPDATE account SET total = total + NEW.amount WHERE id = NEW.account_id; RETURN NEW; END $$;
        CREATE TRIGGER total AFTER INSERT ON booking FOR EACH ROW EXECUTE FUNCTION keep_total();
        INSERT INTO account VALUES (1, 0), (2, 0);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
        """,
    )
    query(db.connect(branch="side"), "INSERT INTO booking VALUES (1, 1, 40)")
    query(db.connect(), "INSERT INTO booking VALUES (2, 2, 2)")
    assert db.value("SELECT (pggit.merge('side')).result") == "merged"
    assert db.rows("SELECT * FROM account ORDER BY id") == [(1, 40), (2, 2)]
    assert db.value("SELECT current_setting('session_replication_role')") == "origin"


def test_a_trigger_that_fires_all_the_same_refuses_the_merge(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        CREATE TABLE other (id integer PRIMARY KEY, v text);
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => 'none');
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO other VALUES (NEW.id, 'meddled'); RETURN NEW; END $$;
        CREATE TRIGGER meddle AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION meddle();
        ALTER TABLE t ENABLE ALWAYS TRIGGER meddle;
    """)
    query(db.connect(branch="side"), "INSERT INTO t VALUES (1, 'new')")
    result, reason = db.row("SELECT (m).result, (m).detail ->> 'reason' FROM pggit.merge('side') AS m")
    assert result == "refused"
    assert "triggers changed rows of table public.other" in reason
    assert db.rows("TABLE t") == []
    assert db.rows("TABLE other") == []


@pytest.mark.parametrize("fire", ["ALTER TABLE t ENABLE ALWAYS TRIGGER meddle", "SELECT pggit.fire_triggers('t')"])
def test_rows_that_come_out_otherwise_than_they_were_written_refuse_the_merge(db: Database, fire: str) -> None:
    """Each is logged once, as it was planned: the rows themselves have to be looked at."""
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, v text);
        INSERT INTO t VALUES (1, 'old');
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => 'none');
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.v := 'meddled'; RETURN NEW; END $$;
    """)
    query(db.connect(branch="side"), "UPDATE t SET v = 'new'")
    db.run("CREATE TRIGGER meddle BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION meddle()")
    db.run(fire)
    assert db.value("SELECT (pggit.merge('side')).result") == "refused"
    assert db.rows("TABLE t") == [(1, "old")]


def test_a_child_that_keeps_its_parent_is_asked_when_the_parent_goes(db: Database) -> None:
    side(
        db,
        "none",
        """
        CREATE TABLE parent (id integer PRIMARY KEY);
        CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent, note text);
        INSERT INTO parent VALUES (1), (2), (3);
        INSERT INTO child VALUES (1, 1, 'old'), (2, 1, 'old');
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('base');
        """,
    )
    query(
        db.connect(branch="side"),
        "UPDATE child SET parent_id = 3, note = 'new' WHERE id = 1; DELETE FROM parent WHERE id = 2",
    )
    query(db.connect(), "UPDATE child SET parent_id = 2 WHERE id = 1")
    merge_id, result = db.row(
        "SELECT (m).merge_id, (m).result FROM pggit.merge('side', p_options => '{\"on_conflict\": \"ours\"}') AS m"
    )
    assert result == "refused"
    found = "SELECT kind, constraint_name, key FROM pggit.merge_violations WHERE merge_id = %s"
    assert db.rows(found, merge_id) == [("foreign_key", "child_parent_id_fkey", {"id": 1})]


@pytest.mark.parametrize(("target", "materialize"), [("main", "none"), ("side", "none"), ("side", "all")])
def test_sequences_are_set_past_merged_keys(db: Database, target: str, materialize: str) -> None:
    """Also one that has given nothing yet, and comes to the key first."""
    db.run("""
        CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
        CREATE TABLE s (id serial PRIMARY KEY, v text);
        CREATE SEQUENCE numbers;
        CREATE TABLE n (id numeric PRIMARY KEY DEFAULT nextval('numbers'), v text);
        SELECT pggit.track_schema('public');
    """)
    db.run("SELECT pggit.create_branch('side', p_materialize => %s)", materialize)
    source = "side" if target == "main" else "main"
    there = {"main": db.conn, "side": db.connect(branch="side")}
    query(there[source], "INSERT INTO t (id, v) OVERRIDING SYSTEM VALUE VALUES (7, 'seven')")
    query(there[source], "INSERT INTO s VALUES (1, 'one'); INSERT INTO n VALUES (3, 'three')")
    assert db.value("SELECT (pggit.merge(%s, %s)).result", source, target) == "fast_forward"
    for table, following in (("t", 8), ("s", 2), ("n", 4)):
        found = query(there[target], f"INSERT INTO {table} (v) VALUES ('next') RETURNING id").fetchall()
        assert found == [(following,)], table


def test_keys_beyond_the_end_of_a_sequence_do_not_move_it_there(db: Database) -> None:
    """One that cycles would never come to them."""
    db.run("CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 50 INCREMENT 10 CYCLE) PRIMARY KEY)")
    db.run("INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES")
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.create_branch('side', p_materialize => 'none')")
    query(db.connect(branch="side"), "INSERT INTO t VALUES (25), (49), (1000)")
    db.run("SET statement_timeout = '60s'")
    assert db.value("SELECT (pggit.merge('side')).result") == "fast_forward"
    assert db.value("SELECT last_value FROM t_id_seq") == 41


def test_a_role_that_may_not_hold_back_triggers_merges_all_the_same(db: Database) -> None:
    """A managed service's owner is no superuser: its merge locks the tables and switches their triggers off."""
    db.run("""
        DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT USAGE ON SCHEMA pggit TO plain;
        GRANT ALL ON ALL TABLES IN SCHEMA pggit TO plain;
        GRANT ALL ON ALL SEQUENCES IN SCHEMA pggit TO plain;
        CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE);
        CREATE TABLE log (id integer PRIMARY KEY);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END $$;
        SELECT pggit.track_schema('public');
        SELECT pggit.create_branch('side', p_materialize => 'none');
    """)
    query(db.connect(branch="side"), "INSERT INTO t VALUES (1, 'new')")
    db.run("""
        CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
        GRANT ALL ON ALL TABLES IN SCHEMA pggit TO plain;
        ALTER TABLE t OWNER TO plain;
        ALTER TABLE log OWNER TO plain;
        GRANT CREATE ON SCHEMA public TO plain;
    """)
    session = db.connect(user="plain")
    assert query(session, "SELECT (pggit.merge('side')).result").fetchone() == ("merged",)
    assert db.rows("TABLE t") == [(1, "new")]
    assert db.rows("TABLE log") == []
    db.run("INSERT INTO t VALUES (2, 'later')")
    assert db.rows("TABLE log") == [(2,)], "the trigger is on again"
