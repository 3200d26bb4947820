"""Types that PostgreSQL widens in the catalog alone: a column is the same in all commits then, and reset and revert
give it the type of before."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query

CHANGES = {
    "a longer text": ("varchar(5)", "varchar(20)", "'longer than that'"),
    "text under another name": ("text", "varchar", "'other'"),
    "a number with more digits": ("numeric(5,2)", "numeric(9,2)", "12345.67"),
}


def shown(db: Database, branch: str) -> tuple[str, list[tuple[object, ...]]]:
    relation = f'"{db.value("SELECT pggit.branch_schema(%s)", branch)}".t'
    kind = db.value(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'v'",
        relation,
    )
    return kind, db.rows(f"SELECT id, v::text FROM {relation} ORDER BY 1, 2")


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("place", ["main", "all", "none"])
@pytest.mark.parametrize("change", CHANGES)
def test_there_and_back(db: Database, change: str, place: str, key: str) -> None:
    before, after, value = CHANGES[change]
    db.run(
        f"CREATE TABLE t (id integer {key}, v {before}); INSERT INTO t SELECT g, '1' FROM generate_series(1, 3) AS g"
    )
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.tag('before', pggit.commit('before'))")
    first = shown(db, "main")
    db.run(f"ALTER TABLE t ALTER v TYPE {after}")
    db.run(f"UPDATE t SET v = {value} WHERE id = 2; INSERT INTO t VALUES (9, {value})")
    db.run(
        "SELECT pggit.tag('after', pggit.commit('after')); SELECT pggit.create_branch('other', p_materialize => 'none')"
    )
    branch = "main" if place == "main" else "dev"
    if branch == "dev":
        db.run("SELECT pggit.create_branch('dev', p_materialize => %s)", place)
    second = shown(db, branch)

    db.run("SELECT pggit.reset(%s, 'before')", branch)
    assert shown(db, branch) == first
    assert db.rows("SELECT * FROM pggit.diff_schema('before', %s)", branch) == []
    db.run("SELECT pggit.reset(%s, 'after')", branch)
    assert shown(db, branch) == second
    assert db.value("SELECT (pggit.revert('after', %s)).result", branch) == "merged"
    assert shown(db, branch) == first

    assert shown(db, "other") == second
    assert db.rows("SELECT id, v::text FROM pggit.as_of(NULL::t, 'before') ORDER BY 1, 2") == first[1]
    for one in {branch, "main", "other"}:
        assert db.rows("SELECT * FROM pggit.status(%s)", one) == []
    session = db.conn if branch == "main" else db.connect(branch=branch)
    query(session, "ALTER TABLE t ADD more integer; UPDATE t SET v = '2', more = 7 WHERE id = 2")
    query(session, "SELECT pggit.commit('later')")
    assert query(session, "SELECT * FROM pggit.as_of(NULL::t, %s) EXCEPT SELECT * FROM t", branch).fetchall() == []
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_a_wider_type_of_main_comes_to_a_real_table(db: Database) -> None:
    """The branch's history is whole then, also for later DDL."""
    db.run("CREATE TABLE t (id integer PRIMARY KEY, v varchar(5)); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    db.run("SELECT pggit.track_schema('public'), pggit.commit('first')")
    db.run("SELECT pggit.create_branch('dev', p_materialize => 'all')")
    db.run(
        "ALTER TABLE t ALTER v TYPE varchar(20); UPDATE t SET v = 'longer' WHERE id = 2; SELECT pggit.commit('wider')"
    )
    merge = "SELECT result, detail ->> 'sqlstate', detail ->> 'hint' FROM pggit.merge('main', 'dev')"
    db.run("SET pggit.save_limit = '1kB'")
    assert db.row(merge) == (
        "refused",
        "VG310",
        "Nothing was written. Try again with pggit.save_limit above the table's size.",
    )
    db.run("RESET pggit.save_limit")
    assert db.row(merge) == ("fast_forward", None, None)
    dev = db.connect(branch="dev")
    query(dev, "ALTER TABLE t ADD more integer; SELECT pggit.commit('later')")
    assert query(dev, "SELECT * FROM t ORDER BY id").fetchall() == [(1, "a", None), (2, "longer", None)]
    assert db.rows("SELECT * FROM pggit.verify()") == []
