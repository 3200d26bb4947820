# ruff: noqa: E501 - SQL is not wrapped
"""Migrations to a ref and whether they get there."""

from __future__ import annotations

import psycopg

from fixtures.postgres import Connection, Database, query

STEPS = (
    "SELECT step, ddl, object_type, object_name, destructive FROM pggit.generate_migration('WORKING', %s) ORDER BY step"
)
DIFFERENT = """
    SELECT object_type, object_name, n.definition, t.definition
      FROM pggit._schema_objects(1) AS n FULL JOIN pggit._schema_tree(pggit.resolve_ref(%s)) AS t USING (object_type, object_name)
     WHERE n.hash IS DISTINCT FROM t.hash"""

Steps = list[tuple[int, str, str, str | None, bool]]


def steps_to(session: Connection, ref: str) -> Steps:
    return query(session, STEPS, ref).fetchall()


def migrate(session: Connection, ref: str) -> Steps:
    """Bring main to the schema of a ref; every statement runs, and the catalog says what the ref says."""
    steps = steps_to(session, ref)
    for _, ddl, *_rest in steps:
        try:
            query(session, ddl)
        except psycopg.Error as error:
            error.add_note("\n".join(ddl for _, ddl, *_rest in steps))
            raise
    query(session, "RESET search_path; RESET check_function_bodies")
    different = query(session, DIFFERENT, ref).fetchall()
    assert different == [], "\n".join([str(different), *(ddl for _, ddl, *_rest in steps)])
    return steps


def there_and_back(db: Database, change: str) -> Steps:
    """The steps that a change of the schema takes, after the way back from it."""
    db.run("SELECT pggit.tag('before')")
    db.run(change)
    db.run("SELECT pggit.commit('after'), pggit.tag('after')")
    migrate(db.conn, "before")
    return migrate(db.conn, "after")
