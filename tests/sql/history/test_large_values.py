# ruff: noqa: E501 - SQL is not wrapped
"""Large values that an UPDATE leaves as they are stay out of the log, and whatever reads history has them all the same."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from fixtures.postgres import Connection, Database, query

LARGE = ["".join(random.Random(n).choices("0123456789abcdef", k=5000)) for n in range(3)]
TEXTS = [*LARGE, "small", "", None]
KEYS = range(1, 6)
Row = tuple[int, str | None]


def documents(db: Database, count: int = 4) -> None:
    db.run("""
        CREATE TABLE doc (id integer PRIMARY KEY, n integer NOT NULL, body text, meta jsonb);
        ALTER TABLE doc ALTER body SET STORAGE EXTERNAL""")
    db.run(
        "INSERT INTO doc SELECT g, 0, %s, jsonb_build_object('m', %s::text) FROM generate_series(1, %s) AS g",
        LARGE[0],
        LARGE[1],
        count,
    )


def left_out(db: Database) -> int:
    found: int = db.value("SELECT count(*) FROM pggit._log_1 WHERE _same IS NOT NULL")
    return found


def gc(db: Database) -> None:
    with db.conn.transaction():
        db.run("SET LOCAL pggit.retention = '0 seconds'")
        db.run("SELECT pggit.gc(false)")


class History:
    """The table on main and on branches, and beside it what every kept commit and every branch has to show."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db, self.rng, self.numbers = db, random.Random(seed), itertools.count(1)
        documents(db)
        self.rows: dict[int, Row] = dict.fromkeys(range(1, 5), (0, LARGE[0]))
        self.commits: dict[str, tuple[dict[int, Row], str]] = {}
        self.branches: dict[str, dict[int, Row]] = {}
        self.sessions: dict[str, Connection] = {}
        db.run("SELECT pggit.track_schema('public')")
        db.run("""
            CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN UPDATE doc SET body = 'again' WHERE id = NEW.id; RETURN NULL; END $$;
            CREATE TRIGGER again AFTER UPDATE OF n ON doc FOR EACH ROW WHEN (NEW.n % 5 = 0) EXECUTE FUNCTION again()""")
        self.commit()

    def number(self) -> int:
        return self.rng.randrange(1, 1000)

    def write(self, session: Connection, rows: dict[int, Row], *, nests: bool) -> None:
        key, kind, n = self.rng.choice(KEYS), self.rng.random(), self.number()
        body = self.rng.choice(TEXTS)
        if key not in rows:
            query(session, "INSERT INTO doc (id, n, body) VALUES (%s, %s, %s)", key, n, body)
            rows[key] = (n, body)
        elif kind < 0.5:
            # All rows, or one; the text is named by some of the statements, and other by few.
            if self.rng.random() < 0.3:
                query(session, "UPDATE doc SET n = %s", n)
                changed = list(rows)
            else:
                query(session, "UPDATE doc SET n = %s, body = body || '' WHERE id = %s", n, key)
                changed = [key]
            for one in changed:
                rows[one] = (n, "again" if nests and n % 5 == 0 else rows[one][1])
        elif kind < 0.7:
            query(session, "UPDATE doc SET body = %s WHERE id = %s", body, key)
            rows[key] = (rows[key][0], body)
        elif kind < 0.8:
            query(session, "DELETE FROM doc WHERE id = %s", key)
            del rows[key]
        elif kind < 0.9 and nests:
            query(session, "UPDATE doc SET id = id + 100 WHERE id = %s", key)
            query(session, "UPDATE doc SET id = id - 100 WHERE id > 100")
        elif nests:
            query(
                session,
                "WITH gone AS (DELETE FROM doc WHERE id = %s RETURNING id) INSERT INTO doc (id, n, body) SELECT id + 10, %s, %s FROM gone",
                key,
                n,
                body,
            )
            query(session, "UPDATE doc SET id = id - 10 WHERE id = %s", key + 10)
            rows[key] = (n, body)

    def main(self) -> None:
        with self.db.conn.transaction():
            for _ in range(self.rng.randint(1, 4)):
                self.write(self.db.conn, self.rows, nests=True)

    def commit(self) -> None:
        name = f"t{next(self.numbers)}"
        self.db.run("SELECT pggit.commit(%s, p_allow_empty => true)", name)
        self.db.run("SELECT pggit.tag(%s)", name)
        self.commits[name] = (dict(self.rows), self.db.value("SELECT pggit.state_digest(%s)", name))

    def branch(self) -> None:
        if len(self.branches) < 3:
            name = f"b{next(self.numbers)}"
            start = self.rng.choice([None, *self.commits])
            self.db.run("SELECT pggit.create_branch(%s, %s, 'schema', 'none')", name, start)
            self.branches[name] = dict(self.commits[start][0] if start else self.rows)
            self.sessions[name] = self.db.connect(branch=name)

    def on_branch(self) -> None:
        if self.branches:
            name = self.rng.choice([*self.branches])
            self.write(self.sessions[name], self.branches[name], nests=False)

    def columns(self) -> None:
        kind = self.rng.random()
        if kind < 0.4:
            self.db.run("ALTER TABLE doc DROP COLUMN meta; ALTER TABLE doc ADD COLUMN meta jsonb")
        elif kind < 0.7:
            self.db.run("ALTER TABLE doc RENAME COLUMN body TO text")
            self.db.run("ALTER TABLE doc RENAME COLUMN text TO body")
        else:
            self.db.run(
                "ALTER TABLE doc ALTER COLUMN meta TYPE text USING meta::text; ALTER TABLE doc ALTER COLUMN meta TYPE jsonb USING meta::jsonb"
            )

    def collect(self) -> None:
        for name in [*self.commits][:-1]:
            if self.rng.random() < 0.5:
                self.db.run("SELECT pggit.delete_tag(%s)", name)
                del self.commits[name]
        gc(self.db)

    def check(self) -> None:
        for name, (rows, digest) in self.commits.items():
            shown = self.db.rows("SELECT id, n, body FROM pggit.as_of(NULL::doc, %s) ORDER BY id", name)
            assert shown == [(key, *rows[key]) for key in sorted(rows)], name
            assert self.db.value("SELECT pggit.state_digest(%s)", name) == digest, name
        for name, rows in self.branches.items():
            found = query(self.sessions[name], "SELECT id, n, body FROM doc ORDER BY id").fetchall()
            assert found == [(key, *rows[key]) for key in sorted(rows)], name
        assert self.db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("seed", range(4))
def test_random_histories(db: Database, seed: int) -> None:
    history = History(db, seed)
    steps: list[Any] = (
        [history.main] * 6
        + [history.commit] * 3
        + [history.branch, history.on_branch, history.on_branch, history.columns, history.collect]
    )
    out = 0
    for number in range(60):
        history.rng.choice(steps)()
        out = max(out, left_out(db))
        if number % 10 == 9:
            history.check()
    assert out > 5


def test_wal(db: Database) -> None:
    db.run("CREATE TABLE plain (id integer PRIMARY KEY, n integer NOT NULL, body text)")
    db.run("INSERT INTO plain SELECT g, 0, repeat(%s, 12) FROM generate_series(1, 20) AS g", LARGE[0])
    documents(db, 20)
    db.run("UPDATE doc SET body = repeat(%s, 12)", LARGE[0])
    db.run("SELECT pggit.track_table('doc'); SELECT pggit.commit('first')")

    def written(sql: str) -> int:
        before = db.value("SELECT pg_current_wal_insert_lsn()")
        for key in range(1, 21):
            db.run(sql, key)
        found: int = db.value("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
        return found

    plain, captured = (written(f"UPDATE {table} SET n = n + 1 WHERE id = %s") for table in ("plain", "doc"))
    assert captured < 8 * plain
    # The value is logged when it goes.
    assert written("UPDATE doc SET body = '' WHERE id = %s") > 20 * 50_000


@pytest.mark.parametrize("form", ["none", "all"])
def test_wal_of_a_branch(db: Database, form: str) -> None:
    """The branch's own log has the row as it was, whole; nothing else of the value is written again."""
    documents(db, 20)
    db.run("CREATE DOMAIN long AS text; ALTER TABLE doc ADD other long, ADD v varchar(60000)")
    db.run("UPDATE doc SET body = repeat(%s, 8), other = 'small', v = 'small'", LARGE[0])
    db.run("SELECT pggit.track_table('doc'); SELECT pggit.commit('first')")
    db.run("SELECT pggit.create_branch('work', NULL, 'schema', %s)", form)
    work = db.connect(branch="work")
    query(work, "UPDATE doc SET n = 1")
    before = db.value("SELECT pg_current_wal_insert_lsn()")
    for key in range(1, 21):
        query(work, "UPDATE doc SET n = n + 1 WHERE id = %s", key)
    written = db.value("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
    assert written < 20 * 40_000 * 1.5
    query(work, "SELECT pggit.commit('counted')")
    query(work, "UPDATE doc SET other = body, v = body, n = 3 WHERE id < 3; UPDATE doc SET n = 4 WHERE id = 1")
    query(work, "UPDATE doc SET body = '', n = 5 WHERE id = 2; UPDATE doc SET other = NULL WHERE id = 2")
    large = LARGE[0] * 8
    shown = "SELECT n, body, other, v FROM doc WHERE id < 3 ORDER BY id"
    assert query(work, shown).fetchall() == [(4, large, large, large), (5, "", None, large)]
    then = "SELECT n, body, other, v FROM pggit.as_of(NULL::doc, 'work') WHERE id < 3 ORDER BY id"
    assert db.rows(then) == [(2, large, "small", "small")] * 2
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_plans_of_a_branch(db: Database) -> None:
    documents(db)
    db.run("INSERT INTO doc SELECT g, g, 'x' FROM generate_series(5, 20000) AS g; CREATE INDEX ON doc (n)")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.create_branch('work', NULL, 'schema', 'none')")
    db.run("UPDATE doc SET n = n + 1; ANALYZE")
    work = db.connect(branch="work")
    for where in ("id = 7", "n = 7", "id > 7 ORDER BY id LIMIT 5", "true ORDER BY n LIMIT 5"):
        plan = "\n".join(
            line for (line,) in query(work, f"EXPLAIN (COSTS OFF) SELECT * FROM doc WHERE {where}").fetchall()
        )
        assert "Seq Scan on doc" not in plan, plan
        assert "Seq Scan on _log_1" not in plan, plan
        assert query(
            work, f"SELECT count(*), max(length(body)) FROM (SELECT * FROM doc WHERE {where}) AS d"
        ).fetchone() == ((1, 1) if "=" in where else (5, 5000 if "n LIMIT" in where else 1))


def test_an_index_that_comes_later(db: Database) -> None:
    documents(db)
    db.run(
        "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('old', NULL, 'schema', 'none')"
    )
    db.run("UPDATE doc SET n = n + 1; CREATE INDEX ON doc (md5(body)); UPDATE doc SET n = n + 1 WHERE id = 1")
    assert left_out(db) == 5
    db.run("SELECT pggit.create_branch('new', NULL, 'schema', 'none'); UPDATE doc SET n = n + 1")
    assert db.rows("SELECT column_id FROM pggit.spared_columns") == [(4,)]
    assert db.value("SELECT count(*) FROM pggit._log_1 WHERE c3 IS NULL") == 0
    for branch in ("old", "new"):
        work = db.connect(branch=branch)
        assert query(
            work, "SELECT count(*) FROM doc WHERE body = %s AND meta ->> 'm' = %s", LARGE[0], LARGE[1]
        ).fetchone() == (4,)
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_values_that_come_later(db: Database) -> None:
    db.run(
        "CREATE TABLE doc (id integer PRIMARY KEY, n integer NOT NULL, body text); INSERT INTO doc VALUES (1, 0, '')"
    )
    db.run(
        "SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); SELECT pggit.create_branch('empty', NULL, 'schema', 'none')"
    )
    db.run("UPDATE doc SET body = %s", LARGE[0])
    db.run("UPDATE doc SET n = 1")
    gc(db)
    db.run("UPDATE doc SET n = 2")
    assert left_out(db) == 0
    db.run("SELECT pggit.create_branch('large', NULL, 'schema', 'none')")
    gc(db)
    db.run("UPDATE doc SET n = 3; UPDATE doc SET body = NULL")
    assert left_out(db) == 1
    for branch, shown in (("empty", (0, "")), ("large", (2, LARGE[0]))):
        assert query(db.connect(branch=branch), "SELECT n, body FROM doc").fetchall() == [shown]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_row_level_security_that_holds_for_the_owner(db: Database) -> None:
    """A policy that hides the present row from the owner hid the values that as_of took from it."""
    db.run("DO $$ BEGIN CREATE ROLE keeper LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    documents(db)
    db.run(
        "ALTER TABLE doc OWNER TO keeper; ALTER TABLE doc ENABLE ROW LEVEL SECURITY; ALTER TABLE doc FORCE ROW LEVEL SECURITY"
    )
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.commit('first'); UPDATE doc SET n = 1")
    assert db.value("SELECT array_agg(c2 ORDER BY c1) FROM pggit._log_1 WHERE length(c3) = 5000") == [0, 0, 0, 0]
    assert db.rows("SELECT * FROM pggit.verify()") == []
