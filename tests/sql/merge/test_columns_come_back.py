"""Reset, revert, cherry-pick, stash and rebase over changes of columns: definitions and rows are those of then."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

BASE = """
    CREATE TABLE orders (id int PRIMARY KEY, total numeric NOT NULL CHECK (total >= 0), note text DEFAULT 'none',
                         status varchar(20) NOT NULL, twice numeric GENERATED ALWAYS AS (total * 2) STORED);
    CREATE INDEX by_note ON orders (note, lower(status));
    INSERT INTO orders SELECT n, n + 0.25, 'note ' || n, 'new' FROM generate_series(1, 4) AS n;
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('before');
"""

CHANGES = {
    "a column dropped": "ALTER TABLE orders DROP note",
    "a required column dropped": "ALTER TABLE orders DROP status",
    "a column added": "ALTER TABLE orders ADD extra int DEFAULT 7; UPDATE orders SET extra = 8 WHERE id = 1",
    "a column renamed": "ALTER TABLE orders RENAME note TO remark; UPDATE orders SET remark = 'x' WHERE id = 1",
    "names swapped": "ALTER TABLE orders RENAME note TO x; ALTER TABLE orders RENAME status TO note;"
    "ALTER TABLE orders RENAME x TO status",
    "a type with USING": "ALTER TABLE orders ALTER note TYPE int USING length(note), ALTER note DROP DEFAULT",
    "a type cut": "ALTER TABLE orders ALTER status TYPE varchar(2) USING left(status, 2)",
    "a generated column dropped": "ALTER TABLE orders DROP twice",
    "dropped and made again": "ALTER TABLE orders DROP note; ALTER TABLE orders ADD note text;"
    "UPDATE orders SET note = 'again' WHERE id = 2",
    "renamed, and the name used again": "ALTER TABLE orders RENAME note TO old; ALTER TABLE orders ADD note int;"
    "UPDATE orders SET note = id",
}


def shown(session: Connection, branch: str) -> tuple[object, ...]:
    objects = query(
        session,
        "SELECT object_type, object_name, definition::text FROM pggit._schema_objects("
        "(SELECT branch_id FROM pggit.branches WHERE name = %s)) ORDER BY 1, 2",
        branch,
    ).fetchall()
    return objects, query(session, "SELECT to_jsonb(o)::text FROM orders AS o ORDER BY id").fetchall()


def sound(db: Database, branch: str) -> None:
    assert db.rows("SELECT * FROM pggit.verify()") == []
    assert db.rows("SELECT * FROM pggit.status(%s)", branch) == []


def newcomer(session: Connection) -> str:
    names = {"id", "total"} | {
        name
        for (name,) in query(
            session,
            "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnotnull AND NOT attisdropped",
        )
        if name in ("note", "status")
    }
    return f"INSERT INTO orders ({', '.join(sorted(names))}) VALUES ({', '.join('9' for _ in names)})"


@pytest.mark.parametrize(
    ("change", "place"),
    [(c, ("main", "all", "none")[n % 3]) for n, c in enumerate(CHANGES)]
    + [(c, ("main", "all", "none")[(n + 1) % 3]) for n, c in enumerate(CHANGES)],
)
def test_there_and_back(db: Database, change: str, place: str) -> None:
    db.begin(BASE)
    branch = "main" if place == "main" else "dev"
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", "all" if place == "main" else place)
    session = db.connect(branch=branch)
    before, first = shown(session, branch), db.value("SELECT pggit.resolve_ref(%s)", branch)
    query(session, CHANGES[change])
    query(session, newcomer(session))
    after = shown(session, branch)
    name = query(session, "SELECT pggit.stash()").fetchall()[0][0]
    assert shown(session, branch) == before
    sound(db, branch)
    assert query(session, "SELECT result, detail ->> 'reason' FROM pggit.unstash(%s)", name).fetchall() == [
        ("merged", None)
    ]
    assert shown(session, branch) == after
    second = query(session, "SELECT pggit.commit('after')").fetchall()[0][0]
    for commit, state in ((first, before), (second, after)):
        db.run("SELECT pggit.reset(%s, %s)", branch, commit)
        assert shown(session, branch) == state
        sound(db, branch)
    for state in (before, after):
        assert db.row("SELECT result, detail ->> 'reason' FROM pggit.revert('HEAD', %s)", branch) == ("merged", None)
        assert shown(session, branch) == state
        sound(db, branch)


def test_what_came_after_stays_when_a_drop_is_reverted(db: Database) -> None:
    db.begin(BASE)
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    query(db.connect(branch="dev"), "ALTER TABLE orders DROP note; CREATE VIEW totals AS SELECT sum(total) FROM orders")
    db.run("UPDATE orders SET total = 17 WHERE id = 1")
    merged = db.value("SELECT commit_id FROM pggit.merge('dev', 'main')")
    db.run(
        "DELETE FROM orders WHERE id = 2; UPDATE orders SET total = 33 WHERE id = 3;"
        "INSERT INTO orders VALUES (9, 9, 'late')"
    )
    assert db.row("SELECT result, detail ->> 'reason' FROM pggit.revert(%s)", merged) == ("merged", None)
    assert db.rows("SELECT id, total, note, status FROM orders ORDER BY id") == [
        (1, 17, "note 1", "new"),
        (3, 33, "note 3", "new"),
        (4, pytest.approx(4.25), "note 4", "new"),
        (9, 9, "none", "late"),
    ]
    assert db.value("SELECT to_regclass('totals')") is None
    sound(db, "main")
    # The branch has no such column: what main brought back stays when it is merged again, and comes to the branch.
    dev = db.connect(branch="dev")
    query(dev, "UPDATE orders SET status = 'dev' WHERE id = 4")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "merged"
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"
    assert shown(dev, "dev")[1] == shown(db.conn, "main")[1]
    assert db.rows("SELECT id, note, status FROM orders WHERE id > 3 ORDER BY id") == [
        (4, "note 4", "dev"),
        (9, "none", "late"),
    ]
    sound(db, "dev")


def test_a_required_column_that_comes_back_is_filled_in_new_rows(db: Database) -> None:
    db.begin(BASE)
    db.run("ALTER TABLE orders DROP status; SELECT pggit.commit('dropped'); INSERT INTO orders VALUES (9, 9)")
    result = "SELECT result, schema_conflicts FROM pggit.revert('HEAD', 'main', %s)"
    assert db.row(result.replace("HEAD", "HEAD~0"), "{}") == ("conflicted", 1)
    dropped = db.value("SELECT commit_id FROM pggit.commits WHERE message = 'dropped'")
    assert db.row(result.replace("HEAD", dropped), '{"fill": {"orders.status": "note"}}') == ("merged", 0)
    assert db.rows("SELECT id, status FROM orders WHERE id > 3 ORDER BY id") == [(4, "new"), (9, "none")]
    sound(db, "main")


def test_a_column_that_was_written_since_it_came_is_not_reverted_silently(db: Database) -> None:
    db.begin(BASE)
    db.run("ALTER TABLE orders ADD extra int; SELECT pggit.commit('added'); UPDATE orders SET extra = 5 WHERE id = 1")
    added = db.value("SELECT commit_id FROM pggit.commits WHERE message = 'added'")
    assert db.row("SELECT result, schema_conflicts FROM pggit.revert(%s)", added) == ("conflicted", 1)
    assert db.rows("SELECT kind FROM pggit.merge_schema_conflicts") == [("update_delete",)]


@pytest.mark.parametrize(("change", "how"), [(c, ("cherry_pick", "rebase")[n % 2]) for n, c in enumerate(CHANGES)])
def test_brought_over(db: Database, change: str, how: str) -> None:
    db.begin(BASE)
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = db.connect(branch="dev")
    query(dev, CHANGES[change])
    query(dev, newcomer(dev))
    query(dev, "SELECT pggit.commit('there')")
    db.run("UPDATE orders SET total = 17 WHERE id = 3; SELECT pggit.commit('here')")
    result = db.row(
        "SELECT result, detail ->> 'reason', merge_id FROM pggit."
        + ("cherry_pick('dev', 'main')" if how == "cherry_pick" else "rebase('dev', 'main')")
    )
    if "USING length" in CHANGES[change]:
        assert result[0] == "conflicted"
        (conflict,) = db.row("SELECT conflict_id FROM pggit.merge_schema_conflicts WHERE merge_id = %s", result[2])
        db.run("SELECT pggit.resolve_conflict(%s, %s, 'value', '\"length(note)\"')", result[2], conflict)
        result = db.row("SELECT result, detail ->> 'reason' FROM pggit.continue_merge(%s)", result[2])
    assert result[:2] == ("merged", None)
    sound(db, "main" if how == "cherry_pick" else "dev")
    if how == "cherry_pick":
        query(dev, "UPDATE orders SET total = 17 WHERE id = 3")
    else:
        assert db.row("SELECT result, detail ->> 'reason' FROM pggit.merge('dev', 'main')") == ("fast_forward", None)
    assert shown(db.conn, "main") == shown(dev, "dev")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("made_real_by", ["create_branch", "materialize", "ALTER TABLE"])
def test_a_column_that_came_back_stands_behind_younger_ones_on_new_branches(
    db: Database, made_real_by: str, key: str
) -> None:
    """A branch's real table has the order of main's, and each value stays in its column."""
    db.run(f"""
        CREATE TABLE t (id integer {key}, a integer, b integer);
        INSERT INTO t VALUES (1, 10, 100);
        SELECT pggit.track_schema('public'); SELECT pggit.commit('first');
        ALTER TABLE t DROP a; SELECT pggit.commit('dropped');
        SELECT pggit.revert('HEAD');
    """)
    form = "all" if made_real_by == "create_branch" else "none"
    db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", form)
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO t (id, a, b) VALUES (2, 20, 200)")
    before = db.value("SELECT pggit.commit('second', 'dev')")
    if made_real_by == "materialize" and key:
        db.run("SELECT pggit.materialize('dev', 't')")
    elif made_real_by == "ALTER TABLE":
        query(dev, "ALTER TABLE t ADD c integer")
    query(dev, "UPDATE t SET a = 11 WHERE id = 1")
    rows = "SELECT id, a, b FROM t ORDER BY id"
    assert query(dev, rows).fetchall() == [(1, 11, 100), (2, 20, 200)]
    assert db.value("SELECT (pggit.merge('dev', 'main')).result") in ("merged", "fast_forward")
    assert db.rows(rows) == [(1, 11, 100), (2, 20, 200)]
    db.run("SELECT pggit.reset('dev', %s)", before)
    assert query(dev, rows).fetchall() == [(1, 10, 100), (2, 20, 200)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
