# ruff: noqa: E501 - SQL is not wrapped
"""What is other between two schemas, object by object, and what a branch's schema becomes on main."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

from .rich import branch_id
from .test_migrations import SHOP

pytestmark = pytest.mark.each_version


def changes(db: Database, start: str, end: str = "WORKING") -> set[tuple[str, str, str]]:
    return {
        (change, kind, name)
        for kind, name, change in db.rows(
            "SELECT object_type, object_name, change FROM pggit.diff_schema(%s, %s)", start, end
        )
    }


def test_each_object_that_differs_and_how_it_becomes_the_other(db: Database) -> None:
    db.begin(SHOP)
    assert changes(db, "HEAD") == set()
    db.run("""
        ALTER TABLE orders RENAME TO sales; ALTER TABLE sales RENAME status TO state; ALTER TABLE sales ALTER state SET NOT NULL;
        DROP VIEW large; CREATE TABLE notes (id integer PRIMARY KEY, body text); COMMENT ON TABLE customers IS 'who buys';
    """)
    assert changes(db, "HEAD") == {
        ("rename", "table", "public.sales"),
        ("rename", "column", "public.sales.state"),
        ("drop", "view", "public.large"),
        ("create", "table", "public.notes"),
        ("create", "column", "public.notes.id"),
        ("create", "column", "public.notes.body"),
        ("create", "constraint", "public.notes.notes_pkey"),
        ("alter", "table", "public.customers"),
        ("alter", "materialized view", "public.kept"),
    }
    old, new, ddl = db.row(
        "SELECT old_definition, new_definition, ddl FROM pggit.diff_schema('HEAD') WHERE object_type = 'column' AND change = 'rename'"
    )
    assert (old["name"], new["not_null"]) == ("public.orders.status", True)
    assert ddl == "ALTER TABLE public.sales RENAME status TO state;\nALTER TABLE public.sales ALTER state SET NOT NULL"
    db.run("SELECT pggit.commit('second')")
    assert {(change, kind) for change, kind, _ in changes(db, "HEAD~1", "HEAD")} >= {
        ("rename", "table"),
        ("drop", "view"),
    }
    with raises("VG002"):
        db.run("SELECT * FROM pggit.diff_schema('nothing')")


@pytest.mark.parametrize(
    "form", [pytest.param("none", marks=pytest.mark.event_triggers("DDL of a branch finds views")), "all"]
)
def test_what_a_branch_changed_is_brought_to_main_and_what_main_changed_to_the_branch(db: Database, form: str) -> None:
    db.begin(SHOP)
    db.run("SELECT pggit.create_branch('work', p_materialize => %s)", form)
    work = db.connect(branch="work")
    query(
        work,
        "ALTER TABLE customers ADD phone text, ALTER region TYPE bigint; ALTER TABLE orders RENAME at TO ordered_at; CREATE INDEX by_phone ON customers (lower(phone))",
    )
    query(work, "ALTER TABLE orders ADD CONSTRAINT sane CHECK (amount < 1000); COMMENT ON TABLE orders IS 'all'")
    number = branch_id(db, "work")
    steps = "SELECT string_agg(ddl, ';' ORDER BY step) FROM pggit._schema_steps(ARRAY(SELECT o FROM pggit._schema_objects(%s) AS o), ARRAY(SELECT o FROM pggit._schema_objects(%s) AS o), %s)"
    assert db.rows("SELECT change, object_name, ddl FROM pggit.diff_schema('main', 'HEAD')") == []
    assert query(
        work, "SELECT change, object_name FROM pggit.diff_schema('main') WHERE object_type = 'column' ORDER BY 2"
    ).fetchall() == [
        ("create", "public.customers.phone"),
        ("alter", "public.customers.region"),
        ("rename", "public.orders.ordered_at"),
    ]
    same = "SELECT object_name FROM pggit._schema_objects(%s) AS o FULL JOIN pggit._schema_objects(1) AS m USING (object_type, object_name) WHERE o.hash IS DISTINCT FROM m.hash"
    db.run(db.value(steps, 1, number, 1))
    assert db.rows(same, number) == []
    db.run(
        "ALTER TABLE orders ADD extra integer DEFAULT 3, DROP CONSTRAINT sane; DROP INDEX by_phone; SELECT pggit.commit('main goes on')"
    )
    db.run("SELECT pggit.ddl('work', %s)", db.value(steps, number, 1, number))
    assert db.rows(same, number) == []


def test_hashes_and_the_history_of_an_object(db: Database) -> None:
    db.begin(SHOP)
    first = db.value("SELECT pggit.calculate_schema_hash('HEAD')")
    assert db.value("SELECT pggit.calculate_schema_hash()") == first
    db.run(
        "CREATE OR REPLACE VIEW large AS SELECT id, email FROM totals WHERE total > 20; SELECT pggit.commit('second'); DROP VIEW large; SELECT pggit.commit('third')"
    )
    assert (
        db.value("SELECT pggit.calculate_schema_hash()")
        != first
        == db.value("SELECT pggit.calculate_schema_hash('HEAD~2')")
    )
    history = db.rows(
        "SELECT message, object_type, change, definition ->> 'query' ~ '20' FROM pggit.get_history('large')"
    )
    assert history == [
        ("third", "view", "drop", None),
        ("second", "view", "alter", True),
        ("first", "view", "create", False),
    ]
    assert db.rows("SELECT * FROM pggit.get_history('nothing')") == []
    assert db.rows("SELECT hash FROM pggit.export_schema_hashes('HEAD') WHERE object_name = 'public.large'") == []
