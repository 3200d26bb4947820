"""What users may call explains itself."""

from __future__ import annotations

from fixtures.postgres import Database

PUBLIC = """
SELECT p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
  FROM pg_proc AS p
 WHERE p.pronamespace = 'pggit'::regnamespace AND p.proname NOT LIKE '\\_%'
 UNION ALL
SELECT c.oid::regclass::text, obj_description(c.oid, 'pg_class')
  FROM pg_class AS c
 WHERE c.relnamespace = 'pggit'::regnamespace AND c.relkind = 'v' AND c.relname NOT LIKE '\\_%'
"""


def test_every_public_function_and_view_has_a_comment(db: Database) -> None:
    found = db.rows(PUBLIC)
    assert len(found) > 10
    assert [name for name, comment in found if not comment] == []


def test_functions_that_run_with_their_owners_rights_pin_the_search_path(db: Database) -> None:
    """Also those that tracking and branches generate."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY); SELECT pggit.track_schema('public')")
    loose = """
        SELECT p.oid::regprocedure::text FROM pg_proc AS p
         WHERE p.pronamespace = 'pggit'::regnamespace AND p.prosecdef
           AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%')"""
    assert db.rows(loose) == []
