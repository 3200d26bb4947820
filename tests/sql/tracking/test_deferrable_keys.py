# ruff: noqa: E501 - SQL is not wrapped
"""Where the primary key is deferrable, a transaction may have two rows of one key for a while; history has what its keys were before and after."""

from __future__ import annotations

import random
import threading

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises

FIRST = [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def table(db: Database, deferred: str = "INITIALLY DEFERRED") -> Database:
    db.run(f"CREATE TABLE d (id integer PRIMARY KEY DEFERRABLE {deferred}, v text)")
    db.run(
        "INSERT INTO d VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')"
    )
    return db


def work(db: Database, form: str) -> Connection:
    if form == "main":
        return db.connect(branch="main")
    db.run("SELECT pggit.create_branch('work', 'main', 'schema', %s)", form)
    return db.connect(branch="work")


def state(session: Connection, ref: str | None = None) -> list[tuple[object, ...]]:
    source = f"pggit.as_of(NULL::public.d, '{ref}')" if ref else "d"
    return query(session, f"SELECT id, v FROM {source} ORDER BY id, v").fetchall()


TRANSACTIONS = {
    "a swap": "UPDATE d SET id = 2 WHERE id = 1; UPDATE d SET id = 1 WHERE v = 'b'",
    "a chain": "UPDATE d SET id = id + 1",
    "a chain from row to row": "UPDATE d SET id = 2 WHERE v = 'a'; UPDATE d SET id = 3 WHERE v = 'b'; UPDATE d SET id = 9 WHERE v = 'c'",
    "insert before delete": "INSERT INTO d VALUES (1, 'new'); DELETE FROM d WHERE id = 1 AND v = 'a'",
    "insert, change both, delete": "INSERT INTO d VALUES (1, 'new'); UPDATE d SET v = v || '!' WHERE id = 1; DELETE FROM d WHERE v = 'a!'",
    "delete before insert": "DELETE FROM d WHERE id = 1; INSERT INTO d VALUES (1, 'new')",
    "the new row goes again": "INSERT INTO d VALUES (1, 'new'); DELETE FROM d WHERE v = 'new'",
    "in one statement": "WITH i AS (INSERT INTO d VALUES (1, 'new')), u AS (UPDATE d SET v = 'u' WHERE id = 2), x AS (DELETE FROM d WHERE id = 1) UPDATE d SET id = 2 WHERE id = 3; DELETE FROM d WHERE v = 'u'",
    "merge": "MERGE INTO d USING (VALUES (1, 'x'), (5, 'y')) AS s (k, w) ON d.id = s.k WHEN MATCHED THEN UPDATE SET v = s.w, id = 2 WHEN NOT MATCHED THEN INSERT VALUES (3, s.w); DELETE FROM d WHERE v IN ('b', 'c')",
    "what a savepoint takes back": "SAVEPOINT s; INSERT INTO d VALUES (1, 'new'); DELETE FROM d WHERE v = 'a'; ROLLBACK TO s; INSERT INTO d VALUES (2, 'new'); DELETE FROM d WHERE v = 'b'",
    "a key that a trigger gives": """CREATE FUNCTION one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := 1; RETURN NEW; END $$;
        CREATE TRIGGER one BEFORE INSERT ON d FOR EACH ROW EXECUTE FUNCTION one(); INSERT INTO d VALUES (77, 'new'); DELETE FROM d WHERE v = 'a'; DROP TRIGGER one ON d""",
}


@pytest.mark.parametrize("form", ["main", "all"])
def test_what_the_keys_were_before(db: Database, form: str) -> None:
    session = work(table(db), form)
    for name, statements in TRANSACTIONS.items():
        query(
            session,
            "DELETE FROM d; INSERT INTO d VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'); SELECT pggit.commit('again', p_allow_empty => true)",
        )
        query(session, f"BEGIN; {statements}; COMMIT")
        now = state(session)
        query(
            session,
            "SELECT pggit.commit('next', p_allow_empty => true); UPDATE d SET v = v || '?'; DELETE FROM d WHERE id % 2 = 0",
        )
        assert (state(session, "HEAD~1"), state(session, "HEAD")) == (FIRST, now), name
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []


WRITES = (
    "INSERT INTO d VALUES ({a}, 'i'), ({b}, 'j')",
    "UPDATE d SET id = {b} WHERE id = {a}",
    "UPDATE d SET id = id + 1 WHERE id >= {a}",
    "UPDATE d SET id = 9 - id, v = v || 'r'",
    "UPDATE d SET v = v || 'u' WHERE id = {a}",
    "DELETE FROM d WHERE id = {a}",
    "DELETE FROM d WHERE id = {a} AND v LIKE '%%i%%'",
    "WITH x AS (DELETE FROM d WHERE id = {a} RETURNING *), u AS (UPDATE d SET v = 'w' WHERE id = {b}) INSERT INTO d SELECT {b}, v FROM x",
    "MERGE INTO d USING (VALUES ({a}), ({b}), (3)) AS s (k) ON d.id = s.k AND d.v < 'j' WHEN MATCHED AND s.k > 4 THEN DELETE WHEN MATCHED THEN UPDATE SET id = {b}, v = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'n')",
    "SAVEPOINT s; UPDATE d SET id = {a}; ROLLBACK TO s",
)
ALONE = "DELETE FROM d AS x USING d AS y WHERE x.id = y.id AND x.ctid < y.ctid"


def attempt(session: Connection, sql: str) -> str:
    """The statement's SQLSTATE; what failed is undone."""
    try:
        query(session, f"SAVEPOINT attempt; {sql}")
    except psycopg.Error as error:
        query(session, "ROLLBACK TO attempt")
        return str(error.sqlstate)
    return "00000"


@pytest.mark.parametrize(
    ("form", "deferred"),
    [("main", "INITIALLY DEFERRED"), ("all", "INITIALLY DEFERRED"), ("main", "INITIALLY IMMEDIATE")],
)
def test_random_transactions(db: Database, form: str, deferred: str) -> None:
    """Commits are made after transactions and within, there exactly when no key has two rows."""
    session = work(table(db, deferred), form)
    query(
        session,
        """CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                          IF pg_trigger_depth() = 1 AND NEW.id % 3 = 0 THEN INSERT INTO d VALUES (NEW.id - 1, 't'); UPDATE d SET v = v || 't' WHERE id = NEW.id; END IF;
                          RETURN NEW; END $$""",
    )
    for when in ("BEFORE", "AFTER"):
        query(
            session,
            f"CREATE TRIGGER more_{when} {when} INSERT OR UPDATE OF id ON d FOR EACH ROW EXECUTE FUNCTION more()",
        )
    chance = random.Random(5)
    seen: dict[str, list[tuple[object, ...]]] = {}
    refused = 0
    for n in range(60):
        within: dict[str, list[tuple[object, ...]]] = {}
        query(session, "BEGIN")
        for m in range(chance.randint(1, 5)):
            # A MERGE may meet a row twice, and a trigger change the row that is written just now.
            assert attempt(session, chance.choice(WRITES).format(a=chance.randint(1, 8), b=chance.randint(1, 8))) in (
                "00000",
                "21000",
                "23505",
                "27000",
            )
            if chance.random() < 0.3:
                now = state(session)
                twice = len({key for key, _ in now}) < len(now)
                assert attempt(
                    session, f"SELECT pggit.tag('t{n}-{m}', pggit.commit('within', p_allow_empty => true))"
                ) == ("VG307" if twice else "00000")
                refused += twice
                if not twice:
                    within[f"t{n}-{m}"] = now
        if chance.random() < 0.7:
            query(session, ALONE)
        try:
            query(session, "COMMIT")
        except psycopg.errors.UniqueViolation:
            continue
        seen |= within | {f"t{n}": state(session)}
        query(session, f"SELECT pggit.tag('t{n}', pggit.commit('after', p_allow_empty => true))")
    assert {tag: state(session, tag) for tag in seen} == seen
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []
    assert len(seen) > 40
    assert (refused > 0) == (deferred == "INITIALLY DEFERRED")


def test_branches_and_merges(db: Database) -> None:
    """A real table keeps the constraint deferrable, a view checks at once; both merge with main, which has the swap after it."""
    table(db)
    db.run(
        "SELECT pggit.create_branch('real', p_materialize => 'all'); SELECT pggit.create_branch('view', p_materialize => 'none')"
    )
    real, view = db.connect(branch="real"), db.connect(branch="view")
    query(
        real,
        "BEGIN; UPDATE d SET id = 2 WHERE id = 1; UPDATE d SET id = 1 WHERE v = 'b'; COMMIT; SELECT pggit.commit('swapped')",
    )
    with raises("23505"):
        query(view, "UPDATE d SET id = 2 WHERE id = 1")
    query(
        view,
        "UPDATE d SET v = 'of the view' WHERE id = 3; SELECT pggit.materialize('view', 'd'); BEGIN; INSERT INTO d VALUES (4, 'e'); DELETE FROM d WHERE v = 'd'; COMMIT; SELECT pggit.commit('view')",
    )
    db.run("INSERT INTO d VALUES (9, 'main'); SELECT pggit.commit('main')")
    for name in ("real", "view"):
        assert db.value("SELECT result FROM pggit.merge(%s, 'main')", name) == "merged"
    after = [(1, "b"), (2, "a"), (3, "of the view"), (4, "e"), (9, "main")]
    assert state(db.conn) == after
    assert db.value("SELECT result FROM pggit.merge('main', 'real')") == "fast_forward"
    assert state(real) == after
    db.run("SELECT pggit.revert('HEAD')")
    assert state(db.conn) == [(1, "b"), (2, "a"), (3, "c"), (4, "d"), (9, "main")]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows(
        "SELECT DISTINCT i.indimmediate FROM pg_index AS i WHERE i.indrelid IN ('\"public@real\".d'::regclass, '\"public@view\".d'::regclass)"
    ) == [(False,)]


def test_a_merge_lets_no_duplicate_in(db: Database) -> None:
    """A merge writes as a replica, where PostgreSQL does not check deferrable constraints; so it waits for a writer, and plans again."""
    db.run(
        "CREATE TABLE d (id integer PRIMARY KEY, v text UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO d VALUES (1, 'a'); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')"
    )
    db.run("SELECT pggit.create_branch('b')")
    query(db.connect(branch="b"), "INSERT INTO d VALUES (2, 'same'); SELECT pggit.commit('b')")
    other = db.connect(autocommit=False)
    query(other, "INSERT INTO d VALUES (3, 'same')")
    results: list[object] = []
    merging = threading.Thread(target=lambda: results.append(db.value("SELECT result FROM pggit.merge('b', 'main')")))
    merging.start()
    merging.join(0.4)
    other.commit()
    merging.join()
    assert results == ["refused"]
    assert state(db.conn) == [(1, "a"), (3, "same")]


def test_writers_of_one_key_wait_for_each_other(db: Database) -> None:
    """A key that another transaction has put in and takes out again: what it was before is told in the order in which they commit."""
    table(db)
    one, two = db.connect(autocommit=False), db.connect(autocommit=False)
    query(one, "INSERT INTO d VALUES (5, 'one')")
    late = threading.Thread(target=lambda: query(two, "INSERT INTO d VALUES (5, 'two')"))
    late.start()
    late.join(0.3)
    assert late.is_alive()
    query(one, "SELECT pggit.commit('with one')")
    query(one, "DELETE FROM d WHERE id = 5")
    one.commit()
    late.join()
    query(two, "INSERT INTO d VALUES (1, 'two'); DELETE FROM d WHERE id = 1 AND v = 'a'")
    two.commit()
    db.run("SELECT pggit.commit('with two')")
    assert [state(db.conn, f"HEAD{back}") for back in ("~2", "~1", "")] == [
        FIRST,
        [*FIRST, (5, "one")],
        [(1, "two"), *FIRST[1:], (5, "two")],
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_key_that_becomes_deferrable(db: Database) -> None:
    """ALTER TABLE changes how the table is logged, and loses nothing."""
    db.run(
        "CREATE TABLE d (id integer CONSTRAINT k PRIMARY KEY, v text); INSERT INTO d VALUES (1, 'a'), (2, 'b'); SELECT pggit.track_schema('public'); SELECT pggit.commit('first')"
    )
    first = state(db.conn)
    db.run("ALTER TABLE d DROP CONSTRAINT k, ADD CONSTRAINT k PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED")
    db.run(
        "BEGIN; UPDATE d SET id = 2 WHERE id = 1; UPDATE d SET id = 1 WHERE v = 'b'; COMMIT; SELECT pggit.commit('swapped')"
    )
    db.run(
        "ALTER TABLE d DROP CONSTRAINT k, ADD CONSTRAINT k PRIMARY KEY (id); UPDATE d SET v = v || '!'; SELECT pggit.commit('plain')"
    )
    assert [state(db.conn, f"HEAD{back}") for back in ("~2", "~1", "")] == [
        first,
        [(1, "b"), (2, "a")],
        [(1, "b!"), (2, "a!")],
    ]
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("CREATE TABLE p (id integer PRIMARY KEY DEFERRABLE, v text) PARTITION BY HASH (id)")
    with raises("VG203", "its primary key is deferrable, and it is partitioned"):
        db.run("SELECT pggit.track_table('p')")
