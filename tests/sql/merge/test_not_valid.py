"""Constraints that are NOT VALID, or to be validated later, in merges."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database, query

BEFORE = """
    CREATE TABLE parent (id integer PRIMARY KEY);
    CREATE TABLE t (id integer PRIMARY KEY, n integer, p integer);
    INSERT INTO parent VALUES (1);
    INSERT INTO t VALUES (1, -5, 9), (2, 2, 1);
    ALTER TABLE t ADD CONSTRAINT old_check CHECK (n < 100) NOT VALID;
    ALTER TABLE t ADD CONSTRAINT old_key FOREIGN KEY (p) REFERENCES parent NOT VALID;
    SELECT pggit.track_schema('public'), pggit.commit('first'), pggit.create_branch('dev', p_materialize => 'all');
"""


def constraints(session: Connection) -> dict[str, bool]:
    """Name and whether it is valid."""
    sql = "SELECT conname, convalidated FROM pg_constraint WHERE conrelid = 't'::regclass AND conname ~ 'old|new|main'"
    return dict(query(session, sql).fetchall())


def test_what_is_not_valid_stays_so_until_a_side_validates_it(db: Database) -> None:
    db.begin(BEFORE)
    dev = db.connect(branch="dev")
    query(dev, "ALTER TABLE t ADD CONSTRAINT new_check CHECK (n > 0) NOT VALID, VALIDATE CONSTRAINT old_check")
    query(dev, "ALTER TABLE t ADD CONSTRAINT new_key FOREIGN KEY (n) REFERENCES parent NOT VALID")
    db.run("ALTER TABLE t ADD CONSTRAINT main_check CHECK (id < 9) NOT VALID; INSERT INTO t VALUES (3, 1, 1)")
    result, detail = db.row("SELECT result, detail FROM pggit.merge('dev', 'main')")
    assert result == "merged", detail
    assert "ALTER TABLE public.t VALIDATE CONSTRAINT old_check" in detail["ddl"]
    assert not [ddl for ddl in detail["ddl"] if "DROP" in ddl]
    told = {"old_check": True, "old_key": False, "new_check": False, "new_key": False, "main_check": False}
    assert constraints(db.conn) == told
    assert db.value("SELECT result FROM pggit.merge('main', 'dev')") == "fast_forward"
    assert constraints(dev) == told
    # The rows that are in the way are main's: nothing is validated past them.
    query(dev, "UPDATE t SET p = 1, n = 1 WHERE id = 1; ALTER TABLE t VALIDATE CONSTRAINT old_key")
    db.run("INSERT INTO parent VALUES (9); UPDATE t SET p = 9 WHERE id = 3; ALTER TABLE t DROP CONSTRAINT old_key")
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") == "conflicted"


@pytest.mark.parametrize("when", ["now", "later"])
def test_big_tables_are_validated_after_the_merge(db: Database, when: str) -> None:
    """With the option validate, main's writers go on while constraints of the merge are checked; a plan says so."""
    db.begin(BEFORE)
    dev = db.connect(branch="dev")
    query(dev, "UPDATE t SET n = 5, p = 1 WHERE id = 1; ALTER TABLE t ADD CONSTRAINT new_check CHECK (n > 0)")
    query(dev, "ALTER TABLE t ADD CONSTRAINT new_key FOREIGN KEY (p) REFERENCES parent, VALIDATE CONSTRAINT old_check")
    query(dev, "CREATE TABLE made (id integer PRIMARY KEY, t integer REFERENCES t)")
    options = f'{{"validate": "{when}"}}'
    (planned,) = db.row("SELECT detail -> 'finish' FROM pggit.plan_merge('dev', 'main', %s)", options)
    merge_id, result, detail = db.row(
        "SELECT merge_id, result, detail FROM pggit.merge('dev', 'main', NULL, %s)", options
    )
    assert result == "fast_forward", detail
    steps = db.rows("SELECT ddl, lock, bytes > 0 FROM pggit.merge_steps(%s) WHERE phase = 'finish'", merge_id)
    assert [ddl for ddl, *_ in steps] == (planned or [])
    if when == "later":
        names = ["new_check", "new_key", "old_check"]
        lock = "ShareUpdateExclusiveLock"
        assert steps == [(f"ALTER TABLE public.t VALIDATE CONSTRAINT {name}", lock, True) for name in names]
        assert constraints(db.conn) == {**dict.fromkeys(names, False), "old_key": False}
        for ddl, *_ in steps:
            db.run(ddl)
    assert constraints(db.conn) == {"new_check": True, "new_key": True, "old_check": True, "old_key": False}
    assert db.value("SELECT convalidated FROM pg_constraint WHERE conrelid = 'made'::regclass AND contype = 'f'")
    assert db.rows("SELECT * FROM pggit.diff_schema('main', 'dev')") == []
    assert db.value("SELECT result FROM pggit.merge('dev', 'main')") in ("up_to_date", "fast_forward")
    assert db.rows("SELECT * FROM pggit.verify()") == []
