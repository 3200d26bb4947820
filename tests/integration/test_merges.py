"""Snapshot and Merge: taken once, run once, and a person decides where both sides changed the same."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
import pytest

from fixtures.objects import Body
from fixtures.operating import Database, Site, a_name, condition, open_by, states

CONFLICT = {"table": "items", "key": {"id": "1"}, "column": "price"}


def change(secret: dict[str, str], sql: str) -> None:
    with open_by(secret) as session:
        session.execute(sql.encode())


def items(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("SELECT id, name, price::text, data::text FROM items ORDER BY id")


def commits(database: Database) -> int:
    return int(database.rows("SELECT count(*) FROM pggit.log('main', 1000)")[0][0])


def conflicted(site: Site, **spec: Any) -> tuple[str, str, Database]:
    """A Merge that waits: both sides changed the price of item 1. Database, merge, owner."""
    database, owner = site.versioned(conflictValues="Show")
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12, name = 'new lamp' WHERE id = 1; DELETE FROM items WHERE id = 3")
    owner.run("UPDATE items SET price = 15 WHERE id = 1; UPDATE items SET name = 'stool' WHERE id = 2")
    name = a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": branch, **spec}
    site.namespace.apply("Merge", name, spec)
    return database, name, owner


def resolve(site: Site, name: str, *resolutions: dict[str, Any]) -> None:
    spec = site.namespace.get("dbm", name)["spec"]
    site.namespace.apply("Merge", name, {**spec, "resolutions": list(resolutions)})


def test_a_conflict_waits_and_a_decision_lets_the_merge_go_on(site: Site) -> None:
    _, name, owner = conflicted(site, message="both sides")

    body = site.wait("dbm", name, "Conflicted")

    status = body["status"]
    assert states(body) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert status["result"] == "Conflicted"
    assert (status["conflicts"]["count"], status["conflicts"]["open"]) == (1, 1)
    (item,) = status["conflicts"]["items"]
    shown = {key: item.get(key) for key in ("table", "key", "column", "base", "ours", "theirs", "kind")}
    assert shown == {
        "table": "public.items",
        "key": {"id": "1"},
        "column": "price",
        "base": "10.00",
        "ours": "15",
        "theirs": "12",
        "kind": "update_update",
    }
    assert items(owner)[0] == (1, "lamp", "15", '{"color": "red"}')

    resolve(site, name, {"conflictId": item["id"], "take": "Theirs"})
    status = site.wait("dbm", name, "Merged")["status"]

    assert items(owner) == [(1, "new lamp", "12", '{"color": "red"}'), (2, "stool", "20.50", None)]
    assert status["result"] == "Merged"
    assert status["plan"]["tables"] == [{"table": "public.items", "inserted": 0, "updated": 1, "deleted": 1}]
    assert owner.rows("SELECT message, parents FROM pggit.show(%s)", status["mergeCommit"]) == [
        ("both sides", [status["oursCommit"], status["theirsCommit"]])
    ]
    assert site.events(name) == [("Warning", "Conflicted"), ("Normal", "Merged")]


@pytest.mark.parametrize(
    ("resolution", "price"),
    [
        ({**CONFLICT, "take": "Ours"}, "15"),
        ({**CONFLICT, "table": "public.items", "take": "Base"}, "10.00"),
        ({**CONFLICT, "take": "Value", "value": "12.3456789012345678901234567890"}, "12.3456789012345678901234567890"),
        ({"table": "items", "take": "Theirs"}, "12"),
        ({"table": "items", "key": {"id": "1"}, "take": "Theirs"}, "12"),
    ],
)
def test_every_way_to_name_and_decide_a_conflict(site: Site, resolution: dict[str, Any], price: str) -> None:
    _, name, owner = conflicted(site, resolutions=[resolution])

    site.wait("dbm", name, "Merged")

    assert items(owner)[0][2] == price


@pytest.mark.parametrize(("side", "price"), [("Ours", "15"), ("Theirs", "12")])
def test_a_side_can_win_from_the_start(site: Site, side: str, price: str) -> None:
    _, name, owner = conflicted(site, onConflict=side)

    site.wait("dbm", name, "Merged")

    assert items(owner)[0] == (1, "new lamp", price, '{"color": "red"}')


def test_values_are_hidden_unless_asked_for(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    owner.run("UPDATE items SET price = 15 WHERE id = 1")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})

    (item,) = site.wait("dbm", name, "Conflicted")["status"]["conflicts"]["items"]

    assert not {"base", "ours", "theirs"} & set(item)


@pytest.mark.parametrize(
    ("resolution", "reason", "sentence"),
    [
        ({"conflictId": "0123456789abcdef", "take": "Ours"}, "ConflictNotFound", "no conflict '0123456789abcdef'"),
        ({**CONFLICT, "key": {"id": "7"}, "take": "Ours"}, "ConflictNotFound", 'in table public.items key {"id": "7"}'),
        ({"table": "nowhere", "take": "Ours"}, "TableNotFound", "there is no table 'nowhere'"),
        (
            {**CONFLICT, "take": "Value", "value": "cheap"},
            "InvalidResolution",
            "public.items.price is not valid numeric",
        ),
    ],
)
def test_a_resolution_that_makes_no_sense_says_so_and_nothing_is_half_done(
    site: Site, resolution: dict[str, Any], reason: str, sentence: str
) -> None:
    _, name, owner = conflicted(site)
    site.wait("dbm", name, "Conflicted")
    before, count = items(owner), commits(owner)

    resolve(site, name, resolution)
    body = site.wait("dbm", name, reason)

    assert sentence in condition(body)["message"]
    assert (items(owner), commits(owner)) == (before, count)

    resolve(site, name, {**CONFLICT, "take": "Ours"})
    site.wait("dbm", name, "Merged")


def test_invalid_json_for_a_json_column(site: Site) -> None:
    database, owner = site.versioned(conflictValues="Show")
    branch, secret = site.branch(database)
    change(secret, """UPDATE items SET data = '{"color": "blue"}' WHERE id = 1""")
    owner.run("""UPDATE items SET data = '{"color": "green"}' WHERE id = 1""")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})
    (item,) = site.wait("dbm", name, "Conflicted")["status"]["conflicts"]["items"]
    assert (item["base"], item["ours"], item["theirs"]) == (
        '{"color": "red"}',
        '{"color": "green"}',
        '{"color": "blue"}',
    )
    cell = {"table": "items", "key": {"id": "1"}, "column": "data", "take": "Value"}

    resolve(site, name, {**cell, "value": '{"color": '})
    body = site.wait("dbm", name, "InvalidResolution")
    assert "the value given for public.items.data is not valid jsonb" in condition(body)["message"]

    resolve(site, name, {**cell, "value": '{"color": "grey", "n": 1.50}'})
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][3] == '{"n": 1.50, "color": "grey"}'


@pytest.mark.parametrize(("decided", "data"), [({"valueIsNull": True}, None), ({"value": '[1, "2"]'}, '[1, "2"]')])
def test_a_json_column_can_become_null_or_anything(site: Site, decided: dict[str, Any], data: str | None) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, """UPDATE items SET data = '{"color": "blue"}' WHERE id = 1""")
    owner.run("""UPDATE items SET data = '{"color": "green"}' WHERE id = 1""")
    name, cell = a_name("merge"), {"table": "items", "column": "data", "take": "Value"}
    spec = {"databaseRef": {"name": database}, "source": branch, "resolutions": [{**cell, **decided}]}
    site.namespace.apply("Merge", name, spec)

    site.wait("dbm", name, "Merged")

    assert items(owner)[0][3] == data


def test_what_has_merged_stays_merged_when_the_database_is_suspended(site: Site) -> None:
    database, _ = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name, spec = a_name("merge"), {"databaseRef": {"name": database}, "source": branch}
    site.namespace.apply("Merge", name, spec)
    done = site.wait("dbm", name, "Merged")["status"]

    asked = site.namespace.get("vdb", database)["spec"]
    site.namespace.apply("VersionedDatabase", database, {**asked, "suspend": True})
    site.wait("vdb", database, "Suspended")
    site.namespace.apply("Merge", name, {**spec, "message": "tidied up"})

    assert site.wait("dbm", name, "Merged")["status"]["mergeCommit"] == done["mergeCommit"]


def test_a_merge_made_again_merges_nothing_again(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name, spec = a_name("merge"), {"databaseRef": {"name": database}, "source": branch}
    site.namespace.apply("Merge", name, spec)
    first = site.wait("dbm", name, "Merged")["status"]
    change(secret, "UPDATE items SET price = 13 WHERE id = 1")
    count = commits(owner)

    site.namespace.run("delete", "dbm", name)
    site.namespace.apply("Merge", name, {**spec, "message": "another word"})
    body = site.wait("dbm", name, "Merged")
    second = body["status"]

    assert condition(body)["message"] == (
        f"{branch} into main is already merged in commit {first['mergeCommit'][:12]}: "
        "a Merge of this name runs once; nothing was done again"
    )
    assert second["mergeCommit"] == first["mergeCommit"]
    assert commits(owner) == count
    assert items(owner)[0][2] == "12"


def test_the_same_name_with_another_intent_already_ran(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    other, other_secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    change(other_secret, "UPDATE items SET price = 13 WHERE id = 2")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})
    site.wait("dbm", name, "Merged")

    site.namespace.run("delete", "dbm", name)
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": other})
    body = site.wait("dbm", name, "AlreadyRan")

    assert f"already ran with another intent: '{branch}' into 'main'" in condition(body)["message"]
    assert states(body)["Stalled"] == "True"
    assert items(owner)[1][2] == "20.50"


@pytest.mark.parametrize(
    ("resolution", "reason", "sentence"),
    [
        (
            {"conflictId": "0123456789abcdef", "take": "Ours"},
            "ConflictNotFound",
            "there is no conflict '0123456789abcdef' in this merge. Correct spec.resolutions: status.conflicts.items "
            "lists the conflicts that there are with their ids.",
        ),
        ({"table": "nowhere", "take": "Ours"}, "TableNotFound", "Correct the table in spec.resolutions"),
        ({**CONFLICT, "take": "Value", "value": "cheap"}, "InvalidResolution", "Correct spec.resolutions: a value is"),
    ],
)
def test_resolutions_that_are_wrong_from_the_start_show_the_conflicts_that_there_are(
    site: Site, resolution: dict[str, Any], reason: str, sentence: str
) -> None:
    _, name, owner = conflicted(site, resolutions=[resolution])

    body = site.wait("dbm", name, reason)

    assert sentence in condition(body)["message"]
    assert states(body)["Ready"] == "False"
    assert (body["status"]["result"], body["status"]["conflicts"]["open"]) == ("Conflicted", 1)
    (item,) = body["status"]["conflicts"]["items"]

    resolve(site, name, {"conflictId": item["id"], "take": "Theirs"})
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "12"


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_database_of_another_isolation_merges_all_the_same(site: Site, isolation: str) -> None:
    database, owner = site.versioned()
    owner.run(f"ALTER DATABASE {owner.name} SET default_transaction_isolation = '{isolation}'")
    with psycopg.connect(site.server.dsn(), autocommit=True) as admin:
        admin.execute(
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            b" WHERE application_name = 'pggit-operator' AND datname = %b" % owner.name.join("''").encode()
        )
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})

    site.wait("dbm", name, "Merged")

    assert items(owner)[0][2] == "12"


def test_a_merge_that_names_a_wrong_branch_is_corrected(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name, spec = a_name("merge"), {"databaseRef": {"name": "shpo"}, "source": "fxi"}
    site.namespace.apply("Merge", name, spec)
    site.wait("dbm", name, "DatabaseNotFound")
    site.namespace.apply("Merge", name, {**spec, "databaseRef": {"name": database}})
    said = condition(site.wait("dbm", name, "BranchNotFound"))["message"]
    assert said == (
        "there is no branch 'fxi'. Apply the DatabaseBranch that makes it, or correct spec.source or spec.target."
    )

    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})
    site.wait("dbm", name, "Merged")

    assert items(owner)[0][2] == "12"


def test_an_unknown_branch_is_waited_for(site: Site) -> None:
    database, _ = site.versioned()
    name, branch = a_name("merge"), a_name("late")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})

    body = site.wait("dbm", name, "BranchNotFound")

    assert f"there is no branch '{branch}'" in condition(body)["message"]
    assert states(body) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}

    site.branch(database, branch)
    site.wait("dbm", name, "UpToDate")


def test_a_dry_run_shows_the_plan_and_writes_nothing(site: Site) -> None:
    database, name, owner = conflicted(site, dryRun=True)
    before, count = items(owner), commits(owner)

    status = site.wait("dbm", name, "Planned")["status"]

    assert status["result"] == "Planned"
    assert status["conflicts"]["count"] == 1
    assert (items(owner), commits(owner)) == (before, count)
    assert owner.rows("SELECT count(*) FROM pggit.merges") == [(1,)]

    spec = site.namespace.get("dbm", name)["spec"]
    site.namespace.apply("Merge", name, {**spec, "dryRun": False, "onConflict": "Theirs"})
    site.wait("dbm", name, "Merged")
    assert database


def test_a_merge_that_would_break_a_constraint_is_refused_and_tried_again_when_that_has_changed(site: Site) -> None:
    tables = (
        "CREATE TABLE shops (id int PRIMARY KEY); CREATE TABLE lamps (id int PRIMARY KEY, shop int REFERENCES shops);"
    )
    database, owner = site.versioned(tables + "INSERT INTO shops VALUES (1), (2);")
    branch, secret = site.branch(database)
    change(secret, "INSERT INTO lamps VALUES (1, 2)")
    owner.run("DELETE FROM shops WHERE id = 2")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch})

    body = site.wait("dbm", name, "Refused")

    (violation,) = body["status"]["violations"]["items"]
    assert violation["constraint"] == "lamps_shop_fkey"
    assert violation["key"] == {"id": "1"}
    assert states(body)["Stalled"] == "True"
    assert owner.rows("SELECT count(*) FROM lamps") == [(0,)]

    change(secret, "UPDATE lamps SET shop = 1")
    site.wait("dbm", name, "Merged")
    assert owner.rows("SELECT * FROM lamps") == [(1, 1)]


def awaiting(site: Site, **spec: Any) -> tuple[str, str, Database, str, dict[str, str]]:
    """A Merge that waits for approval: database, merge, owner, hash of the plan, the branch's Secret."""
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name = a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": branch, "approval": "Required", **spec}
    site.namespace.apply("Merge", name, spec)
    body = site.wait("dbm", name, "AwaitingApproval")
    return database, name, owner, body["status"]["plan"]["hash"], secret


def amend(site: Site, name: str, **spec: Any) -> None:
    site.namespace.apply("Merge", name, {**site.namespace.get("dbm", name)["spec"], **spec})


def test_a_merge_waits_until_its_plan_is_approved(site: Site) -> None:
    _, name, owner, plan, _ = awaiting(site)
    body, before, count = site.namespace.get("dbm", name), items(owner), commits(owner)
    assert states(body) == {"Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert body["status"]["result"] == "Planned"
    assert body["status"]["plan"]["tables"] == [{"table": "public.items", "inserted": 0, "updated": 1, "deleted": 0}]
    branch = body["spec"]["source"]
    assert condition(body)["message"] == (
        f"merging {branch} into main waits for approval. It would give: 0 rows inserted, 1 updated, 0 deleted; "
        f"to approve that, set spec.approvedPlan to {plan}"
    )
    assert (items(owner), commits(owner)) == (before, count)

    amend(site, name, approvedPlan=plan, approvedBy="ann")
    body = site.wait("dbm", name, "Merged")

    assert items(owner)[0][2] == "12"
    assert body["status"]["approvedBy"] == "ann (unverified)"
    assert condition(body)["message"].endswith("1 updated, 0 deleted; approved by ann (unverified)")
    assert site.events(name) == [("Warning", "AwaitingApproval"), ("Normal", "Merged")]

    site.namespace.run("delete", "dbm", name)
    site.namespace.apply("Merge", name, {**body["spec"], "approvedPlan": "0" * 64})
    again = site.wait("dbm", name, "Merged")["status"]
    assert (again["mergeCommit"], again["approvedBy"]) == (body["status"]["mergeCommit"], "ann (unverified)")


def test_other_effects_than_the_approved_ones_wait_again(site: Site) -> None:
    _, name, owner, plan, secret = awaiting(site)
    change(secret, "UPDATE items SET price = 13 WHERE id = 1")
    amend(site, name, approvedPlan=plan)

    body = site.until(
        "dbm", name, lambda body: body["status"].get("plan", {}).get("hash") not in (None, plan), what="a new plan"
    )

    assert condition(body)["reason"] == "AwaitingApproval"
    assert f"what was approved is another plan, {plan[:12]}…: its effects have changed" in condition(body)["message"]
    assert items(owner)[0][2] == "10.00"
    amend(site, name, approvedPlan=body["status"]["plan"]["hash"])
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "13"


def test_what_waits_follows_the_rows_that_change_meanwhile(site: Site) -> None:
    _, name, owner, plan, _ = awaiting(site)
    owner.run("UPDATE items SET price = 15 WHERE id = 1")

    body = site.wait("dbm", name, "Conflicted")
    (item,) = body["status"]["conflicts"]["items"]
    amend(site, name, resolutions=[{"conflictId": item["id"], "take": "Theirs"}], approvedPlan=plan)
    body = site.wait("dbm", name, "AwaitingApproval")

    assert body["status"]["conflicts"]["open"] == 0
    assert items(owner)[0][2] == "15"
    amend(site, name, approvedPlan=body["status"]["plan"]["hash"])
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "12"


def test_a_policy_of_the_database_wants_approval(site: Site) -> None:
    """Whatever the Merge says; other targets are left alone."""
    database, owner = site.versioned(mergePolicies=[{"target": "ma*", "approval": "Required"}])
    branch, secret = site.branch(database)
    other, _ = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name, aside = a_name("merge"), a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": branch}
    site.namespace.apply("Merge", aside, {**spec, "target": other})
    site.wait("dbm", aside, "Merged")

    site.namespace.apply("Merge", name, spec)
    body = site.wait("dbm", name, "AwaitingApproval")
    plan = body["status"]["plan"]["hash"]
    assert f"set spec.approval to Required and spec.approvedPlan to {plan}" in condition(body)["message"]
    assert items(owner)[0][2] == "10.00"

    site.namespace.apply("Merge", name, {**spec, "approval": "Required", "approvedPlan": plan})
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "12"


MIGRATION = """
    ALTER TABLE items ADD cost numeric, ADD label text;
    UPDATE items SET cost = price * 2, label = name;
    CREATE INDEX by_label ON items (label);
"""
FILL = [
    {"table": "items", "column": "cost", "fromColumn": "price"},
    {"table": "public.items", "column": "label", "value": "it's \\new'); DROP TABLE items; --"},
]


def test_a_migration_shows_its_statements_and_takes_what_fills_its_columns(site: Site) -> None:
    database, owner = site.versioned()
    branch, _ = site.branch(database, materialize="All")
    owner.run(f"SELECT pggit.checkout('{branch}'); {MIGRATION}")
    owner.run("INSERT INTO items VALUES (9, 'new', 7)")
    name, spec = a_name("merge"), {"databaseRef": {"name": database}, "source": branch, "dryRun": True}
    site.namespace.apply("Merge", name, spec)

    status = site.wait("dbm", name, "Planned")["status"]
    assert {(one["kind"], one["table"]) for one in status["conflicts"]["items"]} == {
        ("needs_fill", "public.items.cost"),
        ("needs_fill", "public.items.label"),
    }
    assert status["plan"]["ddl"][0].startswith("ALTER TABLE public.items ADD COLUMN cost numeric")
    assert status["plan"]["statements"] == len(status["plan"]["ddl"])

    site.namespace.apply("Merge", name, {**spec, "dryRun": False, "fill": FILL})
    status = site.wait("dbm", name, "Merged")["status"]
    assert any("CREATE INDEX by_label" in one for one in status["plan"]["ddl"]), status["plan"]["ddl"]
    assert owner.rows("SELECT cost::text, label FROM items WHERE id IN (1, 9) ORDER BY id") == [
        ("20.00", "lamp"),
        ("7", FILL[1]["value"]),
    ]


def test_constraints_are_validated_after_the_merge(site: Site) -> None:
    """While rows of main are in the way they bind new rows, and the status says which; later they are valid."""
    database, owner = site.versioned()
    branch, _ = site.branch(database, materialize="All")
    added = "ALTER TABLE items ADD CONSTRAINT dear CHECK (price > 1), ADD CONSTRAINT named CHECK (name <> '')"
    owner.run(f"SELECT pggit.checkout('{branch}'); {added}; SELECT pggit.checkout('main')")
    owner.run("INSERT INTO items (id, name, price) VALUES (77, 'cheap', 0.5)")
    name = a_name("merge")
    site.namespace.apply("Merge", name, {"databaseRef": {"name": database}, "source": branch, "validation": "Later"})

    status = site.wait("dbm", name, "Merged")["status"]
    assert (status["validation"]["done"], status["validation"]["open"]) == (1, 1)
    assert 'check constraint "dear" of relation "items" is violated by some row' in status["validation"]["message"]
    found = condition(site.namespace.get("dbm", name), "Unvalidated")
    assert (found["status"], found["reason"]) == ("True", "NotYetValid")
    with pytest.raises(psycopg.errors.CheckViolation):
        owner.run("INSERT INTO items (id, name, price) VALUES (78, 'cheap, too', 0.5)")

    owner.run("UPDATE items SET price = 2 WHERE id = 77")
    site.until("dbm", name, lambda body: body["status"]["validation"]["open"] == 0)
    here = "conrelid = 'public.items'::regclass AND conname IN ('dear', 'named')"
    assert owner.rows(f"SELECT convalidated FROM pg_constraint WHERE {here}") == [(True,), (True,)]
    assert condition(site.namespace.get("dbm", name), "Unvalidated")["status"] == "False"


def _refused(body: Body, said: str) -> bool:
    return condition(body)["reason"] == "Refused" and said in condition(body)["message"]


def test_checks_hold_or_nothing_is_merged(site: Site) -> None:
    """They see the merged rows, as somebody who may read nothing else, and say nothing of what is in them."""
    database, owner = site.versioned()
    owner.run("CREATE SCHEMA hidden; CREATE TABLE hidden.words AS SELECT 'a word' AS word")
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name = a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": branch}
    for sql, said in {
        "SELECT sum(price) < 100 FROM items": "false",
        "SELECT word = 'a word' FROM hidden.words": "it failed with SQLSTATE 42501",
        "SELECT name::integer = 1 FROM items": "it failed with SQLSTATE 22P02",
    }.items():
        site.namespace.apply("Merge", name, {**spec, "checks": [{"name": "total", "sql": sql}]})
        body = site.until("dbm", name, partial(_refused, said=said), what=said)
        assert "check 'total' does not hold on the merged state" in condition(body)["message"]
        assert items(owner)[0][2] == "10.00"

    checks = [{"name": "total", "sql": "SELECT sum(price) = 131.50 FROM items"}]
    site.namespace.apply("Merge", name, {**spec, "checks": checks})
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "12"


def test_rules_decide_and_a_squash_leaves_one_commit(site: Site) -> None:
    _, name, owner = conflicted(site, squash=True, rules=[{"table": "items", "column": "pri*", "rule": "Max"}])

    status = site.wait("dbm", name, "Merged")["status"]

    assert items(owner)[0] == (1, "new lamp", "15", '{"color": "red"}')
    (item,) = status["conflicts"]["items"]
    assert (item["column"], status["conflicts"]["open"]) == ("price", 0)
    assert owner.rows("SELECT cardinality(parents) FROM pggit.show(%s)", status["mergeCommit"]) == [(1,)]


def test_rules_let_a_merge_that_waits_go_on(site: Site) -> None:
    _, name, owner = conflicted(site)
    site.wait("dbm", name, "Conflicted")

    amend(site, name, rules=[{"column": "nowhere", "table": "items", "rule": "Sum"}])
    assert (
        "rules and fill name columns that there are" in condition(site.wait("dbm", name, "InvalidArgument"))["message"]
    )

    amend(site, name, rules=[{"column": "price", "rule": "Sum"}])
    site.wait("dbm", name, "Merged")
    assert items(owner)[0][2] == "17.00"


def test_a_merge_is_undone_by_another_once(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1; DELETE FROM items WHERE id = 3")
    ref, name, undo = {"databaseRef": {"name": database}}, a_name("merge"), a_name("undo")
    before = items(owner)
    site.namespace.apply("Merge", undo, {**ref, "revertOf": name})
    said = condition(site.wait("dbm", undo, "MergeNotFound"))["message"]
    assert said == (
        f"there is no merge '{name}' that has merged. "
        "Apply the Merge that spec.revertOf names, or correct spec.revertOf; it is waited for."
    )

    site.namespace.apply("Merge", name, {**ref, "source": branch})
    site.wait("dbm", name, "Merged")
    status = site.wait("dbm", undo, "Merged")["status"]

    assert items(owner) == before
    assert owner.rows("SELECT message FROM pggit.show(%s)", status["mergeCommit"]) == [(f"undo merge {name}",)]
    count = commits(owner)
    for one in (name, undo):
        spec = site.namespace.get("dbm", one)["spec"]
        site.namespace.run("delete", "dbm", one)
        site.namespace.apply("Merge", one, spec)
        assert "nothing was done again" in condition(site.wait("dbm", one, "Merged"))["message"]
    assert (items(owner), commits(owner)) == (before, count)


def test_undoing_waits_for_decisions_and_approval(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    ref, name, undo = {"databaseRef": {"name": database}}, a_name("merge"), a_name("undo")
    site.namespace.apply("Merge", name, {**ref, "source": branch})
    site.wait("dbm", name, "Merged")
    owner.run("UPDATE items SET price = 14 WHERE id = 1")

    site.namespace.apply("Merge", undo, {**ref, "revertOf": name, "approval": "Required"})
    site.wait("dbm", undo, "Conflicted")
    amend(site, undo, resolutions=[{"table": "items", "take": "Theirs"}])
    plan = site.wait("dbm", undo, "AwaitingApproval")["status"]["plan"]["hash"]
    assert items(owner)[0][2] == "14"
    amend(site, undo, approvedPlan=plan)
    site.wait("dbm", undo, "Merged")
    assert items(owner)[0][2] == "10.00"


def test_the_source_goes_when_its_object_has_gone(site: Site) -> None:
    database, owner = site.versioned()
    branch, secret = site.branch(database)
    change(secret, "UPDATE items SET price = 12 WHERE id = 1")
    name = a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": branch, "deleteSourceBranch": True}
    site.namespace.apply("Merge", name, spec)

    kept = site.wait("dbm", name, "Merged")["status"]["sourceBranch"]
    assert kept == {
        "deleted": False,
        "message": f"branch {branch} stays: it belongs to {site.namespace.name}/{branch} of installation 'pggit'",
    }
    site.namespace.run("delete", "dbb", branch, "--timeout=60s")
    body = site.until("dbm", name, lambda body: body["status"]["sourceBranch"]["deleted"])
    assert body["status"]["sourceBranch"]["message"] == f"branch {branch} is deleted"
    assert condition(body)["reason"] == "Merged"
    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]

    # Another branch of that name, and the Merge once more: as when a cluster is made again from Git.
    site.namespace.run("delete", "dbm", name)
    site.branch(database, branch)
    site.namespace.apply("Merge", name, spec)
    assert site.wait("dbm", name, "Merged")["status"]["sourceBranch"]["deleted"]
    assert owner.rows("SELECT name FROM pggit.list_branches() ORDER BY name") == [(branch,), ("main",)]


def test_a_source_without_an_object_goes_unless_it_is_protected(site: Site) -> None:
    database, owner = site.versioned()
    owner.run("SELECT pggit.create_branch('plain'); SELECT pggit.protect_branch('plain')")
    name = a_name("merge")
    spec = {"databaseRef": {"name": database}, "source": "plain", "deleteSourceBranch": True}
    site.namespace.apply("Merge", name, spec)

    kept = site.wait("dbm", name, "UpToDate")["status"]["sourceBranch"]
    assert kept == {"deleted": False, "message": "branch plain stays: branch 'plain' is protected"}

    owner.run("SELECT pggit.unprotect_branch('plain')")
    site.until("dbm", name, lambda body: body["status"]["sourceBranch"]["deleted"])
    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]


def test_a_source_that_another_merge_waits_for_stays(site: Site) -> None:
    database, owner = site.versioned()
    owner.run("SELECT pggit.create_branch('plain'); SELECT pggit.create_branch('staging')")
    owner.run('UPDATE "public@plain".items SET price = 12 WHERE id = 1')
    ref, name, other = {"databaseRef": {"name": database}, "source": "plain"}, a_name("merge"), a_name("merge")
    site.namespace.apply("Merge", other, {**ref, "target": "staging", "approval": "Required"})
    site.wait("dbm", other, "AwaitingApproval")
    site.namespace.apply("Merge", name, {**ref, "deleteSourceBranch": True})

    kept = site.wait("dbm", name, "Merged")["status"]["sourceBranch"]
    assert kept == {"deleted": False, "message": f"branch plain stays: Merge {other} waits for it"}

    site.namespace.run("delete", "dbm", other)
    site.until("dbm", name, lambda body: body["status"]["sourceBranch"]["deleted"])


def test_a_dry_run_shows_what_resolutions_decide(site: Site) -> None:
    _, name, owner = conflicted(site, dryRun=True, resolutions=[{"table": "items", "take": "Theirs"}])

    status = site.wait("dbm", name, "Planned")["status"]

    assert (status["conflicts"]["count"], status["conflicts"]["open"]) == (1, 0)
    assert items(owner)[0][2] == "15"


def test_a_snapshot_keeps_what_was_there(site: Site) -> None:
    database, owner = site.versioned()
    owner.run("UPDATE items SET price = 77 WHERE id = 1")
    name = a_name("snap")
    site.namespace.apply("Snapshot", name, {"databaseRef": {"name": database}, "tag": "v1", "message": "the first"})

    status = site.wait("dbsnap", name, "SnapshotTaken")["status"]
    owner.run("UPDATE items SET price = 78 WHERE id = 1")

    assert owner.rows("SELECT price FROM pggit.as_of(NULL::items, 'v1') WHERE id = 1")[0][0] == 77
    assert owner.rows("SELECT pggit.resolve_ref('v1'), pggit.state_digest('v1')") == [
        (status["commit"], status["stateDigest"])
    ]

    # Made again it is the same snapshot, not one of now.
    site.namespace.run("delete", "dbsnap", name, "--timeout=60s")
    site.namespace.apply("Snapshot", name, {"databaseRef": {"name": database}, "tag": "v1", "deletionPolicy": "Delete"})
    assert site.wait("dbsnap", name, "SnapshotTaken")["status"]["commit"] == status["commit"]

    site.namespace.run("delete", "dbsnap", name, "--timeout=60s")
    assert owner.rows("SELECT count(*) FROM pggit.tags") == [(0,)]


def test_a_snapshot_does_not_take_a_tag_of_somebody_else(site: Site) -> None:
    database, owner = site.versioned()
    owner.run("SELECT pggit.tag('mine', 'main')")
    first, second, third = a_name("snap"), a_name("snap"), a_name("snap")
    ref = {"databaseRef": {"name": database}}
    site.namespace.apply("Snapshot", first, {**ref, "tag": "mine"})
    site.namespace.apply("Snapshot", second, {**ref, "tag": "v1"})
    assert condition(site.wait("dbsnap", first, "TagExists"))["message"] == (
        "there is a tag 'mine' already, which no snapshot made. Choose another name with spec.tag."
    )
    site.wait("dbsnap", second, "SnapshotTaken")

    site.namespace.apply("Snapshot", third, {**ref, "tag": "v1", "deletionPolicy": "Delete"})
    body = site.wait("dbsnap", third, "NameOwned")
    assert f"tag 'v1' belongs to snapshot {site.namespace.name}/{second}" in condition(body)["message"]

    site.namespace.run("delete", "dbsnap", third, "--timeout=60s")
    assert owner.rows("SELECT name FROM pggit.tags ORDER BY name") == [("mine",), ("v1",)]


@pytest.mark.parametrize(
    ("spec", "reason", "sentence"),
    [
        ({"branch": "nowhere"}, "BranchNotFound", "there is no branch 'nowhere'"),
        ({"tag": "a..b"}, "InvalidName", "'a..b' is no name for a tag"),
    ],
)
def test_a_snapshot_that_cannot_be_taken_says_why(site: Site, spec: dict[str, Any], reason: str, sentence: str) -> None:
    database, _ = site.versioned()
    name = a_name("snap")
    site.namespace.apply("Snapshot", name, {"databaseRef": {"name": database}, **spec})

    assert sentence in condition(site.wait("dbsnap", name, reason))["message"]
