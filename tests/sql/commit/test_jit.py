"""PostgreSQL compiles no statement of pggit's own: that took a second, for a few rows of the catalog."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query

STEPS = (
    "SELECT pggit.track_schema('public')",
    "INSERT INTO a VALUES (1, 'x')",
    "SELECT pggit.commit('x')",
    "SELECT pggit.create_branch('dev', p_materialize => 'none')",
    "SELECT pggit.checkout('dev')",
    "UPDATE a SET b = 'y'",
    "ALTER TABLE b ADD c int",
    "SELECT pggit.checkout('main')",
    "SELECT pggit.merge('dev', 'main')",
    "SELECT pggit.diff('main~1', 'main'), pggit.diff_schema('main~1', 'main')",
    "SELECT pggit.verify()",
    "SELECT pggit.gc(false)",
)


@pytest.fixture
def told(db: Database) -> Connection:
    """A session that is shown the plan of every statement, those in functions too."""
    session = db.connect()
    query(session, "SET jit = on")
    if query(session, "SELECT pg_jit_available()").fetchall() != [(True,)]:
        pytest.skip("this build of PostgreSQL has no JIT compiler")
    try:
        query(session, "LOAD 'auto_explain'")
    except psycopg.errors.UndefinedFile:
        pytest.skip("this build of PostgreSQL has no auto_explain")
    for name, value in {
        "log_min_duration": "0",
        "log_nested_statements": "on",
        "log_analyze": "on",
        "log_timing": "off",
        "log_level": "notice",
    }.items():
        query(session, f"SET auto_explain.{name} = '{value}'")
    return session


@pytest.mark.pg(15)
def test_nothing_is_compiled(told: Connection) -> None:
    plans: list[str] = []
    told.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    query(told, "CREATE TABLE a (id int PRIMARY KEY, b text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)")
    for step in STEPS:
        query(told, step)
    assert len(plans) > 100
    assert [plan[:500] for plan in plans if "\nJIT:" in plan] == []
