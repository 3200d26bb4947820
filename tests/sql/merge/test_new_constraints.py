"""A constraint that one side has added, and rows of the other that it does not take: they are named, both ways."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

BEFORE = """
    CREATE TABLE p (id integer PRIMARY KEY); INSERT INTO p SELECT generate_series(1, 5);
    CREATE TABLE t (id integer PRIMARY KEY, n integer, name text, during int4range, of_p integer);
    INSERT INTO t SELECT i, i, 'row ' || i, int4range(10 * i, 10 * i + 5), i FROM generate_series(1, 5) AS i;
    SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('dev', p_materialize => '{form}');
"""
#: What adds it, what breaks it, its name, and the rows to blame where it is new to the target and where it is not.
BROKEN = {
    "check": ("ALTER TABLE t ADD CONSTRAINT few CHECK (n < 100)", "UPDATE t SET n = 500 WHERE id = 2", "few", [2], [2]),
    "not_null": (
        "ALTER TABLE t ALTER name SET NOT NULL",
        "UPDATE t SET name = NULL WHERE id = 2",
        "public.t.name",
        [2],
        [2],
    ),
    "unique": ("ALTER TABLE t ADD CONSTRAINT one UNIQUE (n)", "UPDATE t SET n = 1 WHERE id = 2", "one", [1, 2], [2]),
    "unique index": (
        "CREATE UNIQUE INDEX one ON t (lower(name)) WHERE n > 0",
        "UPDATE t SET name = 'ROW 1' WHERE id = 2",
        "one",
        [1, 2],
        [2],
    ),
    "exclusion": (
        "ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&)",
        "UPDATE t SET during = '[12,22)' WHERE id = 5",
        "apart",
        [1, 2, 5],
        [5],
    ),
    "foreign_key": (
        "ALTER TABLE t ADD CONSTRAINT there FOREIGN KEY (of_p) REFERENCES p",
        "UPDATE t SET of_p = 9 WHERE id = 2",
        "there",
        [2],
        [2],
    ),
}
FOUND = """
    SELECT kind, constraint_name, table_name, (key ->> 'id')::integer, side
      FROM pggit.merge_violations WHERE merge_id = %s ORDER BY 4, 5 NULLS FIRST
"""


@pytest.mark.parametrize(
    ("added_on", "form"), [("dev", "all"), ("main", "all"), ("main", "none"), ("main", "t"), ("main", "p")]
)
@pytest.mark.parametrize("name", BROKEN)
def test_the_rows_are_named_both_ways(db: Database, name: str, added_on: str, form: str) -> None:
    ddl, dml, constraint, whole, written = BROKEN[name]
    db.begin(BEFORE.replace("{form}", form))
    dev = db.connect(branch="dev")
    query(dev if added_on == "dev" else db.conn, ddl)
    query(db.conn if added_on == "dev" else dev, dml)
    db.run("SELECT pggit.commit('on main', 'main'), pggit.commit('on dev', 'dev')")
    before = [*db.rows("SELECT * FROM t ORDER BY id"), *query(dev, "SELECT * FROM t ORDER BY id").fetchall()]
    kind = name.split()[0]
    for source, target in (("dev", "main"), ("main", "dev")):
        is_new = added_on == source
        expected = [
            (kind, constraint, "public.t", row, None if is_new else "theirs") for row in (whole if is_new else written)
        ]
        for merge in ("plan_merge", "merge"):
            merge_id, result, count, reason = db.row(
                f"SELECT merge_id, result, violations, detail ->> 'reason' FROM pggit.{merge}(%s, %s)", source, target
            )
            assert (result, reason) == (
                "refused" if merge == "merge" else "planned",
                f"the merged state would violate constraints in {len(expected)} places (pggit.merge_violations)",
            )
            assert db.rows(FOUND, merge_id) == expected
            assert count == len(expected)
    assert before == [*db.rows("SELECT * FROM t ORDER BY id"), *query(dev, "SELECT * FROM t ORDER BY id").fetchall()]
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_code_of_a_branch_is_asked_as_the_owner(db: Database) -> None:
    """A function of the branch in a CHECK must not see who merges."""
    db.run("DO $$ BEGIN CREATE ROLE keeper LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    db.run("GRANT ALL ON SCHEMA public TO keeper")
    db.run(BEFORE.replace("{form}", "all") + "ALTER TABLE t OWNER TO keeper; ALTER TABLE p OWNER TO keeper")
    dev = db.connect(branch="dev")
    query(
        dev,
        "CREATE FUNCTION spy(i integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        "IF current_user = 'postgres' AND i = 2 THEN CREATE TABLE public.caught (i integer); END IF; "
        "RETURN i <> 2; END $$;"
        "ALTER TABLE t ADD CONSTRAINT spied CHECK (spy(n)) NOT VALID",
    )
    query(dev, "UPDATE t SET n = 7 WHERE id = 2; ALTER TABLE t VALIDATE CONSTRAINT spied")
    db.run("INSERT INTO t VALUES (6, 2)")
    merge_id, result = db.row("SELECT merge_id, result FROM pggit.merge('dev', 'main')")
    assert result == "refused"
    assert db.rows(FOUND, merge_id) == [("check", "spied", "public.t", 6, None)]
    assert db.value("SELECT to_regclass('public.caught')") is None


def test_a_branch_that_meets_new_constraints_of_main_goes_on(db: Database) -> None:
    """Of tables of which it owns nothing nothing is read, and rows that it has mended are taken."""
    db.run(BEFORE.replace("{form}", "none"))
    dev = db.connect(branch="dev")
    query(dev, "UPDATE t SET of_p = 9, n = 500 WHERE id = 2; DELETE FROM p WHERE id = 4; SELECT pggit.commit('dev')")
    for name in BROKEN:
        db.run(BROKEN[name][0].replace(" one ", f" one_{name.replace(' ', '_')} "))
    db.run("SELECT pggit.commit('constraints')")
    found = (
        "SELECT constraint_name, (key ->> 'id')::integer FROM pggit.merge_violations WHERE merge_id = %s ORDER BY 1, 2"
    )
    refused = db.value("SELECT merge_id FROM pggit.merge('main', 'dev')")
    assert db.rows(found, refused) == [("few", 2), ("there", 2), ("there", 4)]
    assert db.rows("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname IN ('t', 'p')") == []
    query(dev, "UPDATE t SET of_p = 3, n = 50 WHERE id = 2; UPDATE t SET of_p = NULL WHERE id = 4")
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "merged"
    assert query(dev, "SELECT n, of_p FROM t WHERE id IN (2, 4) ORDER BY id").fetchall() == [(50, 3), (4, None)]
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "fast_forward"
    assert db.rows("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relname IN ('t', 'p')") == []
    assert db.rows("SELECT * FROM pggit.verify()") == []
