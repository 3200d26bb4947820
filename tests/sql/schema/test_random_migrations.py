# ruff: noqa: E501 - SQL is not wrapped, and there are no secrets
"""Random DDL, there and back: whatever was done to a schema, the generated migration does it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.postgres import Connection, Database, query

from .migrations import migrate

pytestmark = pytest.mark.each_version

START = """
    CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE >= 0); CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE a (id integer PRIMARY KEY, x integer, y text DEFAULT 'y'); CREATE TABLE b (id serial PRIMARY KEY, x integer REFERENCES a, z price);
    CREATE TABLE p (id integer, x integer, PRIMARY KEY (id)) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE VIEW v AS SELECT a.id, a.x, b.z FROM a JOIN b ON b.x = a.id;
    SELECT pggit.track_schema('public'), pggit.commit('start'), pggit.tag('start');
"""
TYPES = ["integer", "bigint", "text", "varchar(20)", "numeric(8,2)", "mood", "mood[]", "price", "a"]
CHANGES = [
    "CREATE TABLE {t} (id integer PRIMARY KEY, x {type}, y text NOT NULL)",
    "CREATE TABLE {t} (id bigint GENERATED ALWAYS AS IDENTITY, y text) INHERITS ({t2})",
    "CREATE TABLE {t} (LIKE {t2} INCLUDING ALL)",
    "DROP TABLE {t} CASCADE",
    "ALTER TABLE {t} RENAME TO {t2}",
    "ALTER TABLE {t} ADD {c} {type}",
    "ALTER TABLE {t} ADD {c} integer GENERATED ALWAYS AS (id * 2) STORED",
    "ALTER TABLE {t} ADD {c} serial",
    "ALTER TABLE {t} DROP {c} CASCADE",
    "ALTER TABLE {t} RENAME {c} TO {c2}",
    "ALTER TABLE {t} ALTER {c} TYPE {type} USING {c}::text::{type}",
    "ALTER TABLE {t} ALTER {c} DROP DEFAULT, ALTER {c} TYPE {type} USING NULL",
    "ALTER TABLE {t} ALTER {c} SET DEFAULT '1'",
    "ALTER TABLE {t} ALTER {c} DROP DEFAULT",
    "ALTER TABLE {t} ALTER {c} SET NOT NULL",
    "ALTER TABLE {t} ALTER {c} DROP NOT NULL",
    "ALTER TABLE {t} ADD CONSTRAINT {n} CHECK ({c} IS NOT NULL OR id > 0)",
    "ALTER TABLE {t} ADD CONSTRAINT {n} UNIQUE ({c})",
    "ALTER TABLE {t} ADD CONSTRAINT {n} FOREIGN KEY ({c}) REFERENCES {t2} ON DELETE CASCADE",
    "ALTER TABLE {t} DROP CONSTRAINT {n} CASCADE",
    "ALTER TABLE {t} DROP CONSTRAINT {t}_pkey CASCADE",
    "ALTER TABLE {t} SET (fillfactor = {i}0), REPLICA IDENTITY FULL",
    "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE {t} INHERIT {t2}",
    "ALTER TABLE {t} NO INHERIT {t2}",
    "CREATE INDEX {n} ON {t} ({c}) WHERE id > {i}",
    "CREATE UNIQUE INDEX {n} ON {t} (id, (coalesce({c}::text, '')))",
    "ALTER INDEX {n} RENAME TO {n2}",
    "DROP INDEX {n} CASCADE",
    "CREATE OR REPLACE VIEW {v} AS SELECT * FROM {t}",
    "CREATE OR REPLACE VIEW {v} AS SELECT id, {c} FROM {t} WHERE id > {i}",
    "CREATE OR REPLACE VIEW w1 AS SELECT q.id FROM v AS q",
    "CREATE MATERIALIZED VIEW {v} AS SELECT id, {c} AS c FROM {t}",
    "CREATE INDEX {n} ON {v} (id)",
    "DROP VIEW {v} CASCADE",
    "DROP MATERIALIZED VIEW {v} CASCADE",
    "CREATE OR REPLACE FUNCTION {f}(q integer) RETURNS integer LANGUAGE sql AS 'SELECT {i}'",
    "CREATE OR REPLACE FUNCTION {f}(q integer) RETURNS SETOF {t} LANGUAGE sql BEGIN ATOMIC SELECT * FROM {t}; END",
    "CREATE OR REPLACE FUNCTION {f}(q {v}) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN {i}; END'",
    "ALTER TABLE {t} ALTER {c} SET DEFAULT {f}({i})",
    "DROP FUNCTION {f} CASCADE",
    "ALTER TYPE mood ADD VALUE '{c}' BEFORE 'ok'",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "DROP TYPE mood CASCADE",
    "CREATE TYPE mood AS ENUM ('ok', 'x')",
    "ALTER DOMAIN price SET DEFAULT {i}",
    "ALTER DOMAIN price DROP CONSTRAINT price_check",
    "CREATE TRIGGER {n} BEFORE UPDATE OF {c} ON {t} FOR EACH ROW EXECUTE FUNCTION t()",
    "ALTER TABLE {t} DISABLE TRIGGER {n}",
    "DROP TRIGGER {n} ON {t}",
    "CREATE POLICY {n} ON {t} USING ({c} IS NOT NULL)",
    "ALTER POLICY {n} ON {t} USING (id > {i})",
    "CREATE RULE {n} AS ON DELETE TO {t} WHERE old.{c} IS NULL DO INSTEAD NOTHING",
    "CREATE STATISTICS {n} ON id, {c} FROM {t}",
    "COMMENT ON COLUMN {t}.{c} IS 'c{i}'",
    "GRANT SELECT ({c}), INSERT ON {t} TO PUBLIC",
    "ALTER SEQUENCE b_id_seq INCREMENT {i}",
    "CREATE TABLE {n} PARTITION OF p FOR VALUES FROM ({i}0) TO ({i}9)",
    "ALTER TABLE p DETACH PARTITION p1",
    "ALTER TABLE p ADD {c} {type}",
    "CREATE INDEX {n} ON p ({c})",
]


def statements(rng: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield rng.choice(CHANGES).format(
            t=rng.choice("abcp"),
            t2=rng.choice("abd"),
            c=rng.choice("xyzw"),
            c2=rng.choice("xyzw"),
            n=rng.choice(["n1", "n2", "n3"]),
            n2=rng.choice(["n1", "n2", "n3"]),
            v=rng.choice(["v", "w1"]),
            f=rng.choice("fg"),
            i=rng.randint(1, 9),
            type=rng.choice(TYPES),
        )


def change(session: Connection, rng: random.Random, count: int) -> list[str]:
    """Whatever of so many random statements runs."""
    done = []
    for statement in statements(rng, count):
        with suppress(psycopg.Error), session.transaction():
            query(session, statement)
            done.append(statement)
    return done


def round_trip(session: Connection, seed: int) -> int:
    rng = random.Random(seed)
    done = []
    steps = 0
    try:
        for tag in ("one", "two"):
            done += [*change(session, rng, 25), f"-- {tag}"]
            query(session, f"SELECT pggit.commit('{tag}', p_allow_empty => true), pggit.tag('{tag}')")
        for tag in ("one", "two", "start", "one"):
            done.append(f"-- to {tag}")
            steps += len(migrate(session, tag))
    except (AssertionError, psycopg.Error) as error:
        error.add_note("\n".join([f"seed {seed}", *done]))
        raise
    return steps


@pytest.fixture
def started(db: Database) -> Database:
    db.run(START)
    db.run("SET client_min_messages = error")
    return db


@pytest.mark.event_triggers("history holds types until the next commit")
def test_random_changes_go_there_and_back(started: Database, request: pytest.FixtureRequest) -> None:
    @settings(
        max_examples=request.config.getoption("--migrations"),
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 10**6))
    def go(seed: int) -> None:
        with started.conn.transaction(force_rollback=True):
            steps.append(round_trip(started.conn, seed))

    steps: list[int] = []
    go()
    assert min(steps) > 0, "a history whose migrations do nothing shows nothing"
