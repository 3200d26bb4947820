"""What objects outside ask for before and beside their branches, on every supported PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, raises

pytestmark = pytest.mark.pg(15, 16, 17, 18)


def owner(name: str, uid: str = "1", installation: str = "here") -> Jsonb:
    return Jsonb({"installation": installation, "namespace": "shop", "name": name, "uid": uid})


def start(db: Database, name: str, what: dict[str, str] | None = None, of: str = "fix") -> Any:
    return db.value("SELECT pggit.branch_start(%s, %s, %s)", owner(of), name, Jsonb(what or {}))


def prepared(db: Database) -> str:
    """A tracked table with a commit; its id."""
    db.run("CREATE TABLE items (id int PRIMARY KEY); SELECT pggit.track_schema('public')")
    return str(db.value("SELECT pggit.commit('first', p_allow_empty => true)"))


def test_a_start_is_what_it_is_called_and_nothing_else(db: Database) -> None:
    first = prepared(db)
    db.run("SELECT pggit.tag('v1', 'main'), pggit.tag('abcd', 'main'); SELECT pggit.create_branch('dev')")

    assert start(db, "fix") is None
    assert start(db, "fix", {"branch": "dev"}) == "dev"
    assert start(db, "fix", {"tag": "v1"}) == first
    assert start(db, "fix", {"commit": first[:8]}) == first
    for what, code in (
        ({"branch": "v1"}, "VG001"),
        ({"branch": "HEAD"}, "VG001"),
        ({"branch": "main~1"}, "VG001"),
        ({"tag": "dev"}, "VG003"),
        ({"tag": first}, "VG003"),
        ({"commit": "abcd"}, "VG002"),
        ({"commit": "%%%%"}, "VG002"),
    ):
        with raises(code):
            start(db, "fix", what)


def test_what_stands_in_the_way_of_a_branch_is_said_before_it_is_made(db: Database) -> None:
    db.run("CREATE TABLE items (id int PRIMARY KEY)")
    with raises("VG009"):
        start(db, "fix")
    db.run("SELECT pggit.track_schema('public'), pggit.commit('first', p_allow_empty => true)")
    with raises("VG201"):
        start(db, "a..b")

    db.run("SELECT pggit.create_branch('fix')")
    assert start(db, "fix", {"tag": "gone since"}) is not None, "a branch that is there needs no start"
    db.run("SELECT pggit.claim_branch('fix', %s)", owner("fix"))
    assert start(db, "fix") is not None
    with raises("VG103", match="branch 'fix' belongs to shop/fix of installation 'here'"):
        start(db, "fix", of="other")


def claim(db: Database, who: Jsonb, instead_of: str | None = None) -> tuple[Any, ...]:
    return db.row("SELECT namespace, name, uid FROM pggit.claim_database(%s, %s)", who, instead_of)


def test_one_object_of_an_installation_looks_after_a_database(db: Database) -> None:
    assert claim(db, owner("first")) == ("shop", "first", "1")
    assert claim(db, owner("second", "2")) == ("shop", "first", "1")
    assert claim(db, owner("first", "3")) == ("shop", "first", "3"), "made again it is the same"
    assert claim(db, owner("second", "2"), "1") == ("shop", "first", "3"), "the one that is replaced is named"
    assert claim(db, owner("second", "2"), "3") == ("shop", "second", "2")
    assert claim(db, owner("third", "4", "elsewhere")) == ("shop", "third", "4")


def test_tables_that_cannot_be_tracked_are_listed_with_the_reason(db: Database) -> None:
    db.run("""
        CREATE TABLE items (id int PRIMARY KEY);
        CREATE UNLOGGED TABLE "Fleeting" (id int PRIMARY KEY);
        CREATE TABLE parted (id int) PARTITION BY LIST (id);
    """)
    listed = db.rows("SELECT table_name, shown_as, is_tracked FROM pggit.unsupported_tables('public')")
    assert listed == [("Fleeting", 'public."Fleeting"', False), ("parted", "public.parted", False)]

    names = [name for name, _, _ in listed]
    assert db.value("SELECT pggit.track_schema('public', %s)", names) == 1
