"""A branch of views that takes main's columns along keeps what its commits had when its tables become real."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query

from .schema import intact

TABLES = {
    "keyed": "CREATE TABLE t (id integer PRIMARY KEY, a integer, b text);",
    "keyless": "CREATE TABLE t (id integer, a integer, b text);",
}
#: On main, each merged into the branch before the next.
CHANGES = {
    "dropped": ["ALTER TABLE t DROP b"],
    "added": ["ALTER TABLE t ADD c text DEFAULT 'c'; UPDATE t SET c = 'c' || id"],
    "retyped": ["ALTER TABLE t ALTER a TYPE text USING a || '!'"],
    "dropped and made again": ["ALTER TABLE t DROP b", "ALTER TABLE t ADD b integer; UPDATE t SET b = id"],
    "dropped, later": ["UPDATE t SET a = a + 100 WHERE id = 2", "ALTER TABLE t DROP b"],
}
MADE_REAL = {
    "by DDL": "ALTER TABLE t ADD z integer",
    "asked for": "SELECT pggit.materialize('dev', 't')",
    "and changed": """
        SELECT pggit.materialize('dev', 't'); ALTER TABLE t ADD z integer; UPDATE t SET a = NULL WHERE id = 2""",
    "and merged into": """
        SELECT pggit.materialize('dev', 't');
        SELECT pggit.commit('more', 'main', p_allow_empty => true), pggit.merge('main', 'dev')""",
}


def states(db: Database) -> dict[str, object]:
    """What each commit of the branch has: as differences from the start, and as branches of it show it."""
    found: dict[str, object] = {}
    commits = db.rows(
        "SELECT c.commit_id, c.message FROM pggit.commits AS c JOIN pggit.branches AS b USING (branch_id)"
        " WHERE b.name = 'dev' ORDER BY commit_no"
    )
    for commit, message in commits:
        found[f"since start: {message} {commit}"] = db.rows(
            "SELECT change, old_row, new_row FROM pggit.diff_rows('t', 'start', %s) ORDER BY 1, 2::text, 3::text",
            commit,
        )
        for form in ("none", "all"):
            db.run("SELECT pggit.create_branch('fork', %s, 'schema', %s)", commit, form)
            session = db.connect(branch="fork")
            found[f"{form}: {message} {commit}"] = query(
                session, "SELECT to_jsonb(t) FROM t ORDER BY to_jsonb(t)::text"
            ).fetchall()
            session.close()
            db.run("SELECT pggit.delete_branch('fork', true)")
    return found


@pytest.mark.parametrize("made_real", MADE_REAL)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", TABLES)
def test_commits_have_what_they_had(db: Database, table: str, change: str, made_real: str) -> None:
    db.run(f"""
        {TABLES[table]}
        INSERT INTO t VALUES (1, 1, 'b1'), (2, 2, 'b2'), (3, 3, 'b3');
        SELECT pggit.track_schema('public');
        SELECT pggit.tag('start', pggit.commit('start'));
        SELECT pggit.create_branch('dev', p_materialize => 'none');
    """)
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO t VALUES (17, 1, 'x'); UPDATE t SET a = 9 WHERE id = 1; DELETE FROM t WHERE id = 3")
    query(dev, "SELECT pggit.commit('mine')")
    for sql in CHANGES[change]:
        db.run(f"{sql}; SELECT pggit.commit('changed')")
        result, detail = db.row("SELECT result, detail FROM pggit.merge('main', 'dev')")
        if result == "conflicted":
            for merge, conflict, kind in db.rows(
                "SELECT c.merge_id, c.conflict_id, c.kind"
                "  FROM pggit.merge_schema_conflicts AS c JOIN pggit.merge_status() AS m USING (merge_id)"
            ):
                take = ("value", Jsonb("'7'")) if kind == "needs_fill" else ("theirs", None)
                db.run("SELECT pggit.resolve_conflict(%s, %s, %s, %s)", merge, conflict, *take)
            db.run("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge)
            result, detail = db.row("SELECT result, detail FROM pggit.continue_merge(%s)", merge)
        assert result == "merged", detail
    before = states(db)
    query(dev, MADE_REAL[made_real])
    after = states(db)
    assert {name: after[name] for name in before} == before
    assert intact(db)
    query(dev, "SELECT pggit.commit('real', p_allow_empty => true)")
    assert {name: rows for name, rows in states(db).items() if name in before} == before
    assert intact(db)
