# ruff: noqa: E501 - SQL is not wrapped
"""DDL of main while branches live: however it is written, they keep what they showed, and nothing of theirs goes along."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

from .schema import rows

APP = """
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('sad', 'ok');
    CREATE SEQUENCE app.nums;
    CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE lines (id serial PRIMARY KEY, v text);
    CREATE TABLE app.items (id int PRIMARY KEY, line int REFERENCES lines, v text);
    CREATE TABLE app.logs (line text);
    INSERT INTO lines (v) VALUES ('one'), ('two');
    INSERT INTO app.items VALUES (1, 1, 'a');
    INSERT INTO app.logs VALUES ('x'), ('x');
"""
TYPED = """
    CREATE TABLE typed (id int PRIMARY KEY, feels app.mood, n int DEFAULT nextval('app.nums'));
    CREATE TRIGGER note BEFORE INSERT ON typed FOR EACH ROW EXECUTE FUNCTION app.note();
    INSERT INTO typed VALUES (1, 'ok', 1);
"""
TRACK = "SELECT pggit.track_schema('public'), pggit.track_schema('app'); SELECT pggit.commit('first');"
BRANCHES = (
    "SELECT pggit.create_branch('views', p_materialize => 'none'), pggit.create_branch('real', p_materialize => 'all');"
)


def sessions(db: Database, sql: str) -> list[Connection]:
    """Sessions on a branch of views and on one of real tables."""
    db.run(sql + TRACK + BRANCHES)
    return [db.connect(branch=name) for name in ("views", "real")]


@pytest.mark.parametrize(
    "drop",
    [
        "DO $$ BEGIN EXECUTE 'DROP TABLE ap' || 'p.items, li' || 'nes CASCADE'; END $$",
        "DROP /* ; */ TABLE app.items /* ; */, lines -- ;",
        'DROP TABLE app.items; DROP TABLE U&"l\\0069nes"',
        "DROP TABLE app.items; CREATE FUNCTION go() RETURNS void LANGUAGE sql AS 'DROP TABLE lines'; SELECT go()",
    ],
    ids=["built in DO", "comments", "escapes", "function"],
)
def test_a_table_stays_with_the_branches_however_it_is_dropped(db: Database, drop: str) -> None:
    branches = sessions(db, APP)
    db.run(drop + "; SELECT pggit.commit('dropped')")
    for session in branches:
        assert rows(session, "INSERT INTO lines (v) VALUES ('three') RETURNING id") == [(3,)]
        query(session, "SELECT pggit.commit('goes on')")
        assert rows(session, "SELECT v FROM lines ORDER BY id") == [("one",), ("two",), ("three",)]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_schema_that_goes_with_all_its_tables_stays_on_the_branches(db: Database) -> None:
    branches = sessions(db, APP)
    with raises("2BP01"):
        db.run("DROP SCHEMA app")
    db.run("DO $$ BEGIN EXECUTE format('DROP SCHEMA %I CASCADE', 'app'); END $$; SELECT pggit.commit('dropped')")
    for name, session in zip(("views", "real"), branches, strict=True):
        assert rows(session, f'SELECT line, v FROM "app@{name}".items') == [(1, "a")]
        query(
            session,
            f"""INSERT INTO "app@{name}".items VALUES (2, 2, 'b'); INSERT INTO "app@{name}".logs VALUES ('y')""",
        )
        with raises("23503"):
            query(session, f"""INSERT INTO "app@{name}".items VALUES (3, 99, 'c')""")
        query(session, "SELECT pggit.commit('goes on')")
    assert db.rows("SELECT * FROM pggit.diff('HEAD~1', 'HEAD')") == [("app.items", 0, 0, 1), ("app.logs", 0, 0, 2)]
    db.run("SELECT pggit.create_branch('later')")
    reason = db.value("SELECT detail ->> 'reason' FROM pggit.merge('views', 'main')")
    assert reason == "'main' dropped table app.items, and 'views' has changed it since"
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_children_of_a_table_that_goes_stay_too(db: Database) -> None:
    parents = "CREATE TABLE top (id int PRIMARY KEY, v text); CREATE TABLE below (PRIMARY KEY (id)) INHERITS (top); INSERT INTO below VALUES (1, 'b');"
    db.run(parents + "SELECT pggit.track_schema('public'); SELECT pggit.create_branch('real')")
    real = db.connect(branch="real")
    db.run("DROP TABLE top CASCADE; SELECT pggit.commit('dropped')")
    query(real, "INSERT INTO below VALUES (2, 'c'); SELECT pggit.commit('goes on')")
    assert rows(real, "SELECT * FROM top ORDER BY id") == [(1, "b"), (2, "c")]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_no_cascade_takes_anything_of_a_branch(db: Database) -> None:
    branches = sessions(db, APP + TYPED)
    query(branches[0], "CREATE VIEW mine AS SELECT feels FROM typed")
    for cascade, thing in {
        "DROP SEQUENCE app.nums CASCADE": "default value for",
        "DROP FUNCTION app.note CASCADE": "trigger note on",
        "DROP TYPE app.mood CASCADE": "typed",
        "DO $$ BEGIN EXECUTE 'DROP SCHEMA app CASCADE'; END $$": "typed",
        'DROP SCHEMA "public@views" CASCADE': 'schema "public@views"',
    }.items():
        with raises("VG307", thing):
            db.run(cascade)
    for session in branches:
        query(session, "INSERT INTO typed (id) VALUES (2)")
        assert rows(session, "SELECT feels::text FROM typed ORDER BY id") == [("ok",), (None,)]


def test_what_a_role_owns_is_not_taken_from_branches(db: Database) -> None:
    db.run("CREATE ROLE pggit_test_owns")
    try:
        branches = sessions(
            db,
            APP
            + "GRANT CREATE, USAGE ON SCHEMA app TO pggit_test_owns; ALTER TABLE app.items OWNER TO pggit_test_owns;",
        )
        with raises("VG307", "items"):
            db.run("DROP OWNED BY pggit_test_owns CASCADE")
        for name, session in zip(("views", "real"), branches, strict=True):
            assert rows(session, f'SELECT count(*) FROM "app@{name}".items') == [(1,)]
    finally:
        db.run(
            "REASSIGN OWNED BY pggit_test_owns TO CURRENT_USER; DROP OWNED BY pggit_test_owns; DROP ROLE pggit_test_owns"
        )


def test_a_renamed_schema_loses_nothing(db: Database) -> None:
    branches = sessions(
        db, APP + "CREATE TABLE app.typed (id int PRIMARY KEY, feels app.mood); INSERT INTO app.typed VALUES (1, 'ok');"
    )
    db.run("ALTER SCHEMA app RENAME TO shop")
    for name, session in zip(("views", "real"), branches, strict=True):
        query(session, f"""UPDATE "app@{name}".typed SET feels = 'sad'; SELECT pggit.commit('sad')""")
    assert db.value("SELECT result FROM pggit.merge('views', 'main')") in ("merged", "fast_forward")
    assert db.rows("SELECT feels::text FROM shop.typed") == [("sad",)]


NUMBERS = """
    CREATE SCHEMA app;
    CREATE TABLE a (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, v text);
    CREATE TABLE b (id serial PRIMARY KEY, n serial, v text);
"""


def test_numbers_go_on_when_sequences_and_columns_get_other_names_or_go(db: Database) -> None:
    views, real = sessions(db, NUMBERS)
    given: list[object] = []

    def draw(column: str = "id", times: int = 2) -> None:
        for session in (views, real)[-times:]:
            for table in "ab":
                given.append(rows(session, f"INSERT INTO {table} (v) VALUES ('x') RETURNING {column}")[0][0])

    draw()
    db.run("ALTER SEQUENCE a_id_seq RENAME TO a_old; ALTER SEQUENCE b_id_seq RENAME TO b_old; CREATE SEQUENCE a_id_seq")
    draw()
    db.run("ALTER TABLE a SET SCHEMA app; ALTER TABLE b SET SCHEMA app")
    draw()
    db.run("ALTER SCHEMA app RENAME TO other")
    draw()
    query(
        real, "ALTER TABLE a RENAME id TO key; ALTER SEQUENCE a_id_seq RENAME TO mine; ALTER TABLE b RENAME id TO key"
    )
    draw("key", 1)
    assert given == [n for n in range(1, 10) for _ in range(2)]
    db.run("ALTER TABLE other.b ALTER n DROP NOT NULL, ALTER n TYPE bigint")
    given.clear()
    draw("n")
    db.run("ALTER TABLE other.a DROP n; ALTER TABLE other.b DROP n")
    draw("n")
    assert given == [10, 10, 11, 11, 12, 12, 12, 12]
    for session in (views, real):
        query(session, "SELECT pggit.commit('drawn')")
    assert db.rows("SELECT * FROM pggit.verify()") == []
