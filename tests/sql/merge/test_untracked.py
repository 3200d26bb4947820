"""A branch goes on showing a table that main has no more, or with another key."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("DROP TABLE t", "'main' dropped table public.t, and 'dev' has changed it since"),
        (
            "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (a)",
            "table public.t is another one on main by now, with another primary key or made anew,"
            " and 'dev' has changed it as it was: merge main into a branch that has not, and make the changes there",
        ),
    ],
)
def test_a_merge_says_what_became_of_it(small: Database, ddl: str, reason: str) -> None:
    small.run("UPDATE t SET a = 'b'; SELECT pggit.create_branch('dev', p_materialize => 'all')")
    dev = small.connect(branch="dev")
    small.run("ALTER TABLE t ALTER a SET NOT NULL")
    small.run(ddl)
    query(dev, "UPDATE t SET a = 'written on dev'")
    for function in ("plan_merge", "merge"):
        result, detail = small.row(f"SELECT result, detail FROM pggit.{function}('dev', 'main')")
        assert result == "refused"
        assert detail["reason"] == reason
