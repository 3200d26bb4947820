"""Views and functions that main has without versions are no news of a branch that has copies of them."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

pytestmark = pytest.mark.each_version


@pytest.mark.parametrize(
    "track",
    ["SELECT pggit.track_table('customers')", "SELECT pggit.track_schema('public', p_exclude => '{names,totals}')"],
)
def test_a_merge_leaves_them_as_they_are(db: Database, track: str) -> None:
    db.run("""
        CREATE TABLE customers (id integer PRIMARY KEY, name text);
        CREATE VIEW names AS SELECT id FROM customers;
        CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM customers;
        CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM customers';
    """)
    db.run(track)
    db.run("SELECT pggit.commit('first'); SELECT pggit.create_branch('dev')")
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO customers VALUES (1, 'Ada'); SELECT pggit.commit('one')")
    assert query(dev, "SELECT (SELECT count(*) FROM names), (SELECT count FROM totals)").fetchall() == [(1, 1)]
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []

    db.run("CREATE OR REPLACE VIEW names AS SELECT id, name FROM customers")
    assert db.value("SELECT (pggit.merge('dev')).result") == "fast_forward"

    assert db.rows("SELECT * FROM names") == [(1, "Ada")]
    assert db.rows(
        "SELECT relkind::text FROM pg_class WHERE relname = 'totals' AND relnamespace = 'public'::regnamespace"
    ) == [("m",)]
    assert db.value("SELECT counted()") == 1
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_view_made_on_a_branch_says_what_has_to_be_tracked(db: Database) -> None:
    db.run("CREATE TABLE customers (id integer PRIMARY KEY); SELECT pggit.track_table('customers')")
    db.run("SELECT pggit.commit('first'); SELECT pggit.create_branch('dev')")
    dev = db.connect(branch="dev")
    query(dev, "CREATE VIEW ids AS SELECT id FROM customers; SELECT pggit.commit('view')")
    result, detail = db.row("SELECT result, detail FROM pggit.merge('dev')")
    assert result == "refused"
    assert detail["hint"].endswith("SELECT pggit.track_schema('public');")
    db.run("SELECT pggit.track_schema('public')")
    assert db.value("SELECT result FROM pggit.merge('dev')") == "merged"
    assert db.rows("SELECT * FROM ids") == []
