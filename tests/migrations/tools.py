"""Migration tools as their users run them: programs that get an address, on main or with the settings of a branch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fixtures.postgres import Database

HERE = Path(__file__).parent
#: Who owns the application's tables, and migrates them.
OWNER = "plain"


def owned(db: Database) -> Database:
    """The database with an owner of its schema who is no superuser."""
    db.run(f"DO $$ BEGIN CREATE ROLE {OWNER} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run(f'ALTER SCHEMA public OWNER TO {OWNER}; GRANT CREATE ON DATABASE "{db.name}" TO {OWNER}')
    return db


def run(db: Database, branch: str, *command: str, folder: str, user: str = OWNER) -> str:
    """What a program printed that finds the database as libpq does. Fails when it fails."""
    there = {"PGHOST": db.server.host, "PGPORT": str(db.server.port), "PGDATABASE": db.name, "PGUSER": user}
    if branch != "main":
        there["PGOPTIONS"] = f'-c search_path="public@{branch}",public -c pggit.branch={branch}'
    done = subprocess.run(
        command,
        cwd=HERE / folder,
        env={
            **os.environ,
            **there,
            "DATABASE_URL": "postgresql+psycopg://",
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alembic(db: Database, branch: str, *arguments: str) -> str:
    return run(db, branch, sys.executable, "-m", "alembic", *arguments, folder="with_alembic")


def django(db: Database, branch: str, *commands: str) -> str:
    """Commands of manage.py, one after the other in one process."""
    script = "import sys, django; from django.core.management import call_command; django.setup()"
    script += "; [call_command(*command.split()) for command in sys.argv[1:]]"
    return run(db, branch, sys.executable, "-c", script, *commands, folder="with_django")


def psql(db: Database, branch: str, *files: str) -> str:
    """Files in order, each in a transaction of its own, as Flyway runs them."""
    program = str(db.server.bin / "psql")
    return "".join(run(db, branch, program, "-Xq1", "-v", "ON_ERROR_STOP=1", "-f", f, folder="with_sql") for f in files)


def dump(db: Database) -> list[str]:
    """Main's schema as pg_dump writes it."""
    written = run(db, "main", str(db.server.bin / "pg_dump"), "--schema-only", "--schema=public", folder=".")
    return [line for line in written.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def statements(db: Database) -> list[str]:
    """Main's schema as pg_dump writes it, without pggit's triggers and its own rights, statement by statement in an
    order of its own: pg_dump has columns, and objects of equal names, in the order in which they were made."""
    text = "\n".join(line for line in dump(db) if line and not line.startswith("--"))
    kept = [one.strip() for one in (text + "\n").split(";\n") if "pggit" not in one and "TO postgres" not in one]
    return sorted("\n".join(sorted(line.rstrip(",") for line in one.splitlines())) for one in kept)


def tables(db: Database, schema: str) -> list[str]:
    found = db.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1", f'"{schema}"'
    )
    return [name for (name,) in found]


def contents(db: Database, schema: str) -> dict[str, list[str]]:
    """All rows of all tables of a schema, as text."""
    return {
        name: [row for (row,) in db.rows(f'SELECT to_jsonb(t)::text FROM "{schema}"."{name}" AS t ORDER BY 1')]
        for name in tables(db, schema)
    }


def shape(db: Database, schema: str) -> list[tuple[object, ...]]:
    """Columns, constraints and indexes of a schema's tables, with their names and definitions."""
    with db.conn.transaction(force_rollback=True):
        db.run(f'SET LOCAL search_path = "{schema}", public')
        return db.rows(
            """
            WITH tables AS MATERIALIZED (
                SELECT c.oid, c.relname FROM pg_class AS c WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r'
            )
            SELECT 'column', t.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
                   a.attidentity::text, pg_get_expr(d.adbin, d.adrelid)
              FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_attrdef AS d ON d.adrelid = t.oid AND d.adnum = a.attnum
            UNION ALL
            SELECT 'constraint', t.relname, k.conname, pg_get_constraintdef(k.oid), '', '', ''
              FROM tables AS t JOIN pg_constraint AS k ON k.conrelid = t.oid
            UNION ALL
            SELECT 'index', t.relname, c.relname, replace(pg_get_indexdef(c.oid), quote_ident(%s) || '.', ''),
                   '', '', ''
              FROM tables AS t JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS c ON c.oid = i.indexrelid
            ORDER BY 1, 2, 3""",
            f'"{schema}"',
            schema,
        )
