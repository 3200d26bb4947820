"""Views of a branch that can't read a table with the columns that it gets: who changes it is told which."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises


@pytest.mark.parametrize(
    ("view", "change"),
    [
        ("VIEW v AS SELECT n FROM t", "ALTER n TYPE bigint"),
        ("VIEW v AS SELECT f(n) FROM t", "ALTER n TYPE bigint"),
        ("VIEW v AS SELECT n FROM t", "DROP n"),
        ("MATERIALIZED VIEW v AS SELECT n FROM t", "ADD z integer"),
    ],
)
def test_views_that_no_longer_fit(db: Database, view: str, change: str) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY, n integer);
        INSERT INTO t VALUES (1, 2);
        CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', p_materialize => 'none');
    """)
    dev = db.connect(branch="dev")
    query(dev, f"CREATE {view}")
    db.run(f"ALTER TABLE t {change}")
    result, reason = db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('main', 'dev')")
    assert result == "refused"
    assert 'VIEW "public@dev".v' in reason or 'materialized view "public@dev".v' in reason
    assert query(dev, "SELECT * FROM v").fetchall() == [(2,)]
    if view.startswith("MATERIALIZED"):
        with raises("VG308", "other objects depend on its view: materialized view"):
            query(dev, "ALTER TABLE t ADD y integer")
    query(dev, f"DROP {view.split(' AS ')[0]}")
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"


def test_a_key_that_a_function_in_a_view_takes(db: Database) -> None:
    db.run("""
        CREATE TABLE t (id integer PRIMARY KEY);
        CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
        SELECT pggit.create_branch('dev', p_materialize => 'none');
    """)
    query(db.connect(branch="dev"), "CREATE VIEW v AS SELECT f(id) FROM t")
    with raises("VG307", r"what reads it there can't: .* function f\(bigint\) does not exist"):
        db.run("ALTER TABLE t ALTER id TYPE bigint")
