"""What is tracked by itself, what is left out, and a pause that ends by itself and never stops rows."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query, raises

TRACKED = "SELECT table_name FROM pggit.tracked_tables ORDER BY 1"
PAUSE = "SELECT pggit.pause_tracking('1 minute') > now()"


@pytest.fixture(params=["told of DDL", "by scans alone"])
def repo(request: pytest.FixtureRequest, db: Database) -> Connection:
    session = db.conn if request.param == "told of DDL" else request.getfixturevalue("plain_owner")
    query(session, "CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    query(session, "SELECT pggit.commit('first')")
    return session


def tables(session: Connection) -> list[str]:
    return [name for (name,) in query(session, TRACKED).fetchall()]


def test_a_pause_is_about_new_tables_and_never_about_rows(repo: Connection) -> None:
    assert query(repo, PAUSE).fetchone() == (True,)
    query(repo, "CREATE TABLE late (id integer PRIMARY KEY); ALTER TABLE t ADD a text")
    query(repo, "INSERT INTO t VALUES (1, 'x'); SELECT pggit.commit('paused')")
    assert tables(repo) == ["public.t"]
    assert query(repo, "SELECT a FROM pggit.as_of(NULL::t, 'HEAD')").fetchall() == [("x",)]
    assert query(repo, "SELECT count(*) FROM pggit.ddl_log").fetchone() == (0,)
    assert query(repo, "SELECT pggit.resume_tracking()").fetchone() == (True,)
    assert tables(repo) == ["public.late", "public.t"]
    assert query(repo, "SELECT pggit.resume_tracking()").fetchone() == (False,)
    assert query(repo, "SELECT count(*) FROM pggit.tracking_pauses WHERE ends_at > paused_at").fetchone() == (1,)


def test_a_pause_ends_by_itself(repo: Connection) -> None:
    query(repo, PAUSE)
    query(repo, "SELECT pggit.pause_tracking('1 second'); CREATE TABLE late (id integer PRIMARY KEY)")
    query(repo, "SELECT pg_sleep(1.1)")
    query(repo, "SELECT pggit.commit('later')")
    assert tables(repo) == ["public.late", "public.t"]
    for wrong in ("0", "-1 hour", "31 days", None):
        with raises("VG202", "can't be paused"):
            query(repo, "SELECT pggit.pause_tracking(%s::interval)", wrong)


def test_comments_keep_tables_out(repo: Connection) -> None:
    query(
        repo, """CREATE TABLE "Scra.tch" (id integer PRIMARY KEY); COMMENT ON TABLE "Scra.tch" IS 'x @pggit:ignore'"""
    )
    query(repo, "SELECT pggit.commit('nothing of it', p_allow_empty => true)")
    query(repo, "SELECT pggit.track_schema('public')")
    assert tables(repo) == ["public.t"]
    assert query(repo, "SELECT * FROM pggit.schema_drift()").fetchall() == []
    assert query(repo, "SELECT objects_changed FROM pggit.log(p_limit => 1)").fetchone() == (0,)
    query(repo, "COMMENT ON TABLE t IS '@pggit:ignore'; INSERT INTO t VALUES (7); SELECT pggit.commit('t stays')")
    assert tables(repo) == ["public.t"]
    should = {
        '"Scra.tch"': False,
        "t": True,
        "public.t.id": True,
        "public.new": True,
        "elsewhere.t": False,
        "public.f(integer)": True,
    }
    for name, expected in should.items():
        assert query(repo, "SELECT pggit.should_track_object(%s)", name).fetchone() == (expected,), name
    for wrong in ("", None):
        with raises("VG202"):
            query(repo, "SELECT pggit.should_track_object(%s::text)", wrong)


def test_schemas_are_tracked_and_ignored(repo: Connection) -> None:
    query(repo, 'CREATE SCHEMA "o.ne"; CREATE TABLE "o.ne".a (id integer PRIMARY KEY)')
    configured = "SELECT * FROM pggit.configure_tracking(%s, %s)"
    assert query(repo, configured, ["o.ne"], []).fetchall() == [("o.ne", 1), ("public", 1)]
    assert query(repo, configured, [], ["public"]).fetchall() == [("o.ne", 1)]
    assert tables(repo) == ['"o.ne".a']
    assert query(repo, configured, None, None).fetchall() == [("o.ne", 1)]
    with raises("VG202", "both"):
        query(repo, configured, ["public"], ["public"])
    with raises("VG008"):
        query(repo, configured, ["nowhere"], ["o.ne"])
    assert tables(repo) == ['"o.ne".a']
