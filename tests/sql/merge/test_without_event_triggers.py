"""Where no event trigger tells of DDL a plan finds it as the merge does; what it took along is refused, not lost."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

BASE = """
    CREATE TABLE orders (id int PRIMARY KEY, total numeric, note text);
    INSERT INTO orders VALUES (1, 10, 'one'), (2, 20, 'two');
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
    SELECT pggit.create_branch('dev', p_materialize => 'all');
"""
LOST = "lost before they were saved"


@pytest.mark.parametrize(
    ("there", "here", "result", "reason"),
    [
        ("UPDATE orders SET note = 'dev' WHERE id = 1", "ALTER TABLE orders DROP note", "refused", LOST),
        ("UPDATE orders SET total = 7.5 WHERE id = 1", "ALTER TABLE orders ALTER total TYPE int", "refused", LOST),
        ("UPDATE orders SET note = 'dev' WHERE id = 1", "DROP TABLE orders", "refused", "no longer tracked"),
        ("ALTER TABLE orders DROP note", "UPDATE orders SET note = 'main' WHERE id = 1", "conflicted", None),
        (
            "INSERT INTO orders VALUES (9, 9, 'nine')",
            "ALTER TABLE orders ADD a int; UPDATE orders SET a = id",
            "conflicted",
            None,
        ),
        ("UPDATE orders SET note = 'dev' WHERE id = 1", "ALTER TABLE orders RENAME note TO b", "merged", None),
    ],
)
def test_a_plan_says_what_the_merge_will(
    db: Database, plain_owner: Connection, there: str, here: str, result: str, reason: str | None
) -> None:
    query(plain_owner, BASE)
    dev = db.connect(user="plain", branch="dev")
    query(plain_owner, here)
    query(dev, there)
    sql = "SELECT result, schema_conflicts, detail ->> 'reason' FROM pggit."
    planned = query(plain_owner, sql + "plan_merge('dev', 'main')").fetchone()
    merged = query(plain_owner, sql + "merge('dev', 'main')").fetchone()
    assert planned
    assert merged
    assert (merged[0], reason is None or reason in (merged[2] or "")) == (result, True)
    assert planned[0] == ("refused" if result == "refused" else "planned")
    assert planned[1:] == merged[1:]
    assert query(plain_owner, "SELECT * FROM pggit.verify()").fetchall() == []
    if result == "merged":
        assert query(plain_owner, "SELECT b FROM orders WHERE id = 1").fetchall() == [("dev",)]
