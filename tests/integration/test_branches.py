"""DatabaseBranch: a branch with a login of its own, kept or deleted with the object, owned by one object."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fixtures.operating import ITEMS, Site, a_name, condition, open_by, serving, states
from localcluster import ControlPlane
from postgres import Server

KEYS = {"host", "port", "dbname", "user", "password", "sslmode", "uri", "jdbc-uri", "search_path", "PGOPTIONS"}


@pytest.fixture(scope="module")
def calm_site(cluster: ControlPlane, postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One whose operator does nothing in a test's time but what it is told to: at once, or never."""
    slow = {"PGGIT_RESYNC": "3600", "PGGIT_DELETION_PATIENCE": "3600"}
    with serving(cluster, postgresql, tmp_path_factory.mktemp("operator"), slow) as shared:
        yield shared


def prices(secret: dict[str, str]) -> list[tuple[Any, ...]]:
    with open_by(secret) as session:
        return session.execute("SELECT id, price::text FROM items ORDER BY id").fetchall()


@pytest.mark.parametrize("materialize", ["None", "All"])
def test_a_branch_is_used_by_its_secret_alone(site: Site, materialize: str) -> None:
    database, owner = site.versioned()
    name, secret = site.branch(database, materialize=materialize)

    with open_by(secret) as session:
        session.execute("UPDATE items SET price = 11 WHERE id = 1")
        session.execute("INSERT INTO items VALUES (4, 'shelf', 5, NULL)")
        session.execute("DELETE FROM items WHERE id = 2")
        assert session.execute("SELECT current_user").fetchall() == [(secret["user"],)]

    assert set(secret) == KEYS
    assert prices(secret) == [(1, "11"), (3, "99"), (4, "5")]
    assert owner.rows("SELECT id, price::text FROM items ORDER BY id") == [(1, "10.00"), (2, "20.50"), (3, "99")]
    with (
        psycopg.connect(secret["uri"]) as by_uri,
        psycopg.connect(secret["uri"], options=secret["PGOPTIONS"]) as by_options,
    ):
        for session in (by_uri, by_options):
            assert session.execute("SELECT count(*) FROM items").fetchone() == (3,)
    status = site.namespace.get("dbb", name)["status"]
    assert status["roleName"] == secret["user"]
    assert status["schemas"] == [f"public@{name}"]
    assert status["materializedCount"] == (1 if materialize == "All" else 0)


def test_the_login_has_no_way_to_main_or_to_other_branches(site: Site) -> None:
    database, _ = site.versioned()
    _, secret = site.branch(database)
    other, _ = site.branch(database)

    with open_by(secret) as session:
        for sql in (
            "SELECT * FROM public.items",
            "UPDATE public.items SET price = 0",
            f'SELECT * FROM "public@{other}".items',
            "SELECT * FROM pggit.branches",
            "CREATE TABLE mine (x int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(sql.encode())


def test_a_read_only_login_cannot_write_and_can_be_made_to(site: Site) -> None:
    database, _ = site.versioned()
    name, secret = site.branch(database, access={"role": "ReadOnly"})
    with open_by(secret) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("DELETE FROM items")
    assert len(prices(secret)) == 3

    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}, "access": {"role": "ReadWrite"}})
    site.wait("dbb", name, "BranchReady")

    with open_by(secret) as session:
        session.execute("DELETE FROM items")
    assert prices(secret) == []


def test_a_table_made_real_later_is_granted_too(site: Site) -> None:
    database, owner = site.versioned()
    name, secret = site.branch(database, materialize="None")

    owner.run(f"SELECT pggit.materialize('{name}', 'items')")

    site.until("dbb", name, lambda body: body["status"]["materializedCount"] == 1)
    with open_by(secret) as session:
        session.execute("INSERT INTO items VALUES (9, 'new', 1, NULL) ON CONFLICT (id) DO NOTHING")
        assert session.execute("SELECT count(*) FROM items WHERE id = 9").fetchone() == (1,)


def test_keys_made_on_a_branch_come_from_mains_sequence(site: Site) -> None:
    database, owner = site.versioned("CREATE TABLE notes (id serial PRIMARY KEY, said text);")
    _, secret = site.branch(database)

    with open_by(secret) as session:
        assert session.execute("INSERT INTO notes (said) VALUES ('a') RETURNING id").fetchall() == [(1,)]

    assert owner.rows("INSERT INTO notes (said) VALUES ('b') RETURNING id") == [(2,)]


def test_a_secret_that_is_lost_is_made_again_with_a_new_password(site: Site) -> None:
    database, _ = site.versioned()
    name, secret = site.branch(database)

    site.namespace.run("delete", "secret", name)
    deadline = time.monotonic() + 60
    while not site.namespace.run("get", "secret", name, "--ignore-not-found") and time.monotonic() < deadline:
        time.sleep(0.2)
    again = site.secret(name)

    assert again["password"] != secret["password"]
    deadline = time.monotonic() + 60
    while True:
        try:
            assert len(prices(again)) == 3
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        open_by(secret)


def test_a_secret_of_somebody_else_is_not_touched(site: Site) -> None:
    database, owner = site.versioned()
    name = a_name("fix")
    site.namespace.secret(name, password="of-somebody-else")
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}})

    body = site.wait("dbb", name, "SecretNotOurs")

    assert condition(body)["message"] == (
        f"the Secret {name} is there already and was not made by this DatabaseBranch: it is left alone. "
        "Name another Secret in spec.access.secretName."
    )
    assert site.secret(name) == {"password": "of-somebody-else"}
    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)], "nothing is made without its Secret"
    assert "finalizers" not in body["metadata"]

    access = {"secretName": f"{name}-login"}
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}, "access": access})
    site.wait("dbb", name, "BranchReady")
    assert len(prices(site.secret(f"{name}-login"))) == 3


@pytest.mark.parametrize("kind", ["DatabaseBranch", "Snapshot"])
def test_a_wrong_database_is_corrected_and_holds_nothing(site: Site, kind: str) -> None:
    database, _ = site.versioned()
    name, spec = a_name("fix"), {"deletionPolicy": "Delete"}
    site.namespace.apply(kind, name, {**spec, "databaseRef": {"name": "shpo"}})
    body = site.wait(kind, name, "DatabaseNotFound")
    assert "finalizers" not in body["metadata"]
    assert condition(body)["message"].endswith("Apply it, or correct spec.databaseRef.")

    site.namespace.apply(kind, name, {**spec, "databaseRef": {"name": database}})
    body = site.until(kind, name, lambda now: condition(now)["status"] == "True")

    assert body["metadata"]["finalizers"] == ["pggit.io/cleanup"]
    site.namespace.run("delete", kind, name, "--timeout=60s")


@pytest.mark.parametrize("kind", ["DatabaseBranch", "Snapshot"])
def test_an_object_that_made_nothing_goes_at_once(calm_site: Site, kind: str) -> None:
    """Also one that an operator before this one holds."""
    name, finalizers = a_name("fix"), ["pggit.io/cleanup"]
    spec = {"databaseRef": {"name": "shpo"}, "deletionPolicy": "Delete"}
    calm_site.namespace.apply(kind, name, spec, finalizers=finalizers)
    calm_site.wait(kind, name, "DatabaseNotFound")

    calm_site.namespace.run("delete", kind, name, "--timeout=60s")
    assert ("Normal", "CleanedUp") in calm_site.events(name)


def test_branches_say_at_once_that_their_database_object_is_gone(calm_site: Site) -> None:
    database, owner = calm_site.versioned()
    name, secret = calm_site.branch(database)
    spec = calm_site.namespace.get("vdb", database)["spec"]

    calm_site.namespace.run("delete", "vdb", database, "--timeout=60s")
    body = calm_site.wait("dbb", name, "DatabaseNotFound")

    assert condition(body)["message"] == (
        f"there is no VersionedDatabase {database} in namespace {calm_site.namespace.name}. "
        "Apply it again, or delete this DatabaseBranch; what it made is still in the database."
    )
    assert states(body)["Ready"] == "False"
    assert calm_site.events(name) == [("Normal", "BranchReady"), ("Warning", "DatabaseNotFound")]
    assert len(prices(secret)) == 3, "the database is left as it is, logins too"
    assert (name,) in owner.rows("SELECT name FROM pggit.list_branches()")

    calm_site.namespace.apply("VersionedDatabase", database, spec)
    calm_site.wait("dbb", name, "BranchReady")
    assert prices(calm_site.secret(name)) == prices(secret)


def test_branches_say_at_once_that_their_database_is_suspended(calm_site: Site) -> None:
    database, _ = calm_site.versioned()
    name, _ = calm_site.branch(database)
    spec = calm_site.namespace.get("vdb", database)["spec"]

    calm_site.namespace.apply("VersionedDatabase", database, {**spec, "suspend": True})
    calm_site.wait("dbb", name, "DatabaseNotReady")

    calm_site.namespace.apply("VersionedDatabase", database, {**spec, "suspend": False})
    calm_site.wait("dbb", name, "BranchReady")


def test_a_tag_hides_no_branch_and_a_branch_no_tag(site: Site) -> None:
    database, owner = site.versioned()
    owner.run("SELECT pggit.tag('both', 'main'); UPDATE items SET price = 5; SELECT pggit.create_branch('both')")

    _, of_tag = site.branch(database, **{"from": {"tag": "both"}})
    _, of_branch = site.branch(database, **{"from": {"branch": "both"}})

    assert prices(of_tag)[0] == (1, "10.00")
    assert prices(of_branch)[0] == (1, "5")


def test_an_unknown_database_is_waited_for(site: Site) -> None:
    name, database = a_name("fix"), a_name("db")
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}})

    body = site.wait("dbb", name, "DatabaseNotFound")

    assert f"there is no VersionedDatabase {database} in namespace" in condition(body)["message"]
    assert states(body) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}

    shop = site.database(ITEMS)
    site.namespace.secret(database, **shop.secret)
    site.namespace.apply("VersionedDatabase", database, {"connection": {"secretName": database}})
    site.wait("dbb", name, "BranchReady")


@pytest.mark.parametrize(
    ("spec", "reason", "sentence"),
    [
        ({"from": {"tag": "v9"}}, "TagNotFound", "there is no tag 'v9'. Apply the Snapshot that takes it"),
        ({"from": {"tag": "main"}}, "TagNotFound", "there is no tag 'main'; a branch is called so. Apply"),
        ({"from": {"branch": "nowhere"}}, "BranchNotFound", "there is no branch 'nowhere'. Apply the DatabaseBranch"),
        ({"from": {"branch": "v1"}}, "BranchNotFound", "there is no branch 'v1'"),
        ({"from": {"branch": "HEAD"}}, "BranchNotFound", "there is no branch 'HEAD'"),
        ({"from": {"commit": "0000000000"}}, "RefNotFound", "there is no commit '0000000000'. Correct spec.from."),
        ({"from": {"commit": "abcd"}}, "RefNotFound", "there is no commit 'abcd'"),
        ({"name": "a..b"}, "InvalidName", "'a..b' can't be the name of a branch"),
        ({"name": "HEAD"}, "InvalidName", "'HEAD' can't be the name of a branch"),
    ],
)
def test_a_branch_that_cannot_be_made_says_why(site: Site, spec: dict[str, Any], reason: str, sentence: str) -> None:
    database, owner = site.versioned()
    owner.run("SELECT pggit.tag('v1', 'main'), pggit.tag('abcd', 'main')")
    name = a_name("fix")
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}, **spec})

    body = site.wait("dbb", name, reason)

    assert sentence in condition(body)["message"]
    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert site.namespace.run("get", "secret", name, "--ignore-not-found") == ""
    assert "finalizers" not in body["metadata"], "nothing was made: nothing holds the object"

    # It is corrected where it is.
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}, "name": "a-good-one"})
    site.wait("dbb", name, "BranchReady")


def test_two_objects_cannot_have_one_branch(site: Site) -> None:
    database, _ = site.versioned()
    first, secret = site.branch(database, a_name("first"), name="shared")
    second = a_name("second")
    site.namespace.apply("DatabaseBranch", second, {"databaseRef": {"name": database}, "name": "shared"})

    body = site.wait("dbb", second, "NameOwned")

    said = condition(body)["message"]
    assert f"branch 'shared' belongs to {site.namespace.name}/{first} of installation 'pggit'" in said
    assert "Choose another name with spec.name." in said
    assert "pggit." not in said
    assert states(body)["Stalled"] == "True"
    assert site.namespace.run("get", "secret", second, "--ignore-not-found") == ""
    assert len(prices(secret)) == 3

    site.namespace.run("delete", "dbb", second, "--timeout=60s")
    assert len(prices(secret)) == 3


def test_a_table_open_to_everybody_is_a_way_to_main(site: Site) -> None:
    database, owner = site.versioned(ITEMS + "GRANT SELECT ON items TO PUBLIC;")
    name = a_name("fix")
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}})

    body = site.wait("dbb", name, "NotPermitted")

    assert "everybody has rights on items" in condition(body)["message"]
    assert "REVOKE ALL ON items FROM PUBLIC" in condition(body)["message"]

    owner.run("REVOKE ALL ON items FROM PUBLIC")
    site.wait("dbb", name, "BranchReady")


def test_a_user_who_may_not_make_roles_is_told_so(site: Site) -> None:
    database, owner = site.versioned()
    with psycopg.connect(site.server.dsn(), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {owner.name} NOCREATEROLE".encode())
    name = a_name("fix")
    site.namespace.apply("DatabaseBranch", name, {"databaseRef": {"name": database}})

    body = site.wait("dbb", name, "PermissionDenied")

    assert "permission denied to create role" in condition(body)["message"]
    assert "Give the connection's user this right" in condition(body)["message"]

    with psycopg.connect(site.server.dsn(), autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {owner.name} CREATEROLE".encode())
    site.wait("dbb", name, "BranchReady")


def test_retain_keeps_the_branch_and_switches_the_login_off(site: Site) -> None:
    database, owner = site.versioned()
    name, secret = site.branch(database)
    with open_by(secret) as session:
        session.execute("UPDATE items SET price = 1")

    site.namespace.run("delete", "dbb", name, "--timeout=60s")

    with pytest.raises(psycopg.OperationalError, match="is not permitted to log in"):
        open_by(secret)
    assert (name,) in owner.rows("SELECT name FROM pggit.list_branches()")
    assert site.namespace.run("get", "secret", name, "--ignore-not-found") == ""

    _, again = site.branch(database, name)
    assert again["user"] == secret["user"]
    assert again["password"] != secret["password"]
    assert prices(again) == [(1, "1"), (2, "1"), (3, "1")]


@pytest.mark.parametrize("materialize", ["None", "All"])
def test_delete_takes_branch_login_and_secret_away(site: Site, materialize: str) -> None:
    database, owner = site.versioned()
    name, secret = site.branch(database, deletionPolicy="Delete", materialize=materialize)
    with open_by(secret) as in_use:
        in_use.execute("UPDATE items SET price = 1")

        site.namespace.run("delete", "dbb", name, "--timeout=60s")

    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert owner.rows("SELECT rolname FROM pg_roles WHERE rolname = %s", secret["user"]) == []
    assert site.namespace.run("get", "secret", name, "--ignore-not-found") == ""


def test_a_protected_branch_is_not_deleted(site: Site) -> None:
    database, owner = site.versioned()
    name, secret = site.branch(database, deletionPolicy="Delete", protected=True)

    site.namespace.run("delete", "dbb", name, "--wait=false")
    body = site.wait("dbb", name, "BranchProtected")

    assert f"branch '{name}' is protected. Set spec.protected to false." in condition(body)["message"]
    assert states(body)["Stalled"] == "True"
    time.sleep(5)  # longer than the patience with a dead database
    assert len(prices(secret)) == 3

    patch = json.dumps({"spec": {"protected": False}})
    site.namespace.run("patch", "dbb", name, "--type=merge", f"--patch={patch}")
    site.namespace.run("wait", "--for=delete", f"dbb/{name}", "--timeout=60s")
    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]


def test_protection_that_somebody_else_gave_stays(site: Site) -> None:
    database, owner = site.versioned()
    name, _ = site.branch(database)
    owner.run(f"SELECT pggit.protect_branch('{name}')")

    time.sleep(5)

    assert owner.rows("SELECT is_protected FROM pggit.list_branches() WHERE name = %s", name) == [(True,)]


def test_a_branch_outlives_its_database_object_for_clean_up(site: Site) -> None:
    database, owner = site.versioned()
    name, _ = site.branch(database, deletionPolicy="Delete")

    site.namespace.run("delete", f"vdb/{database}", f"secret/{database}", f"dbb/{name}", "--timeout=60s")

    assert owner.rows("SELECT name FROM pggit.list_branches()") == [("main",)]


def test_events_tell_of_each_change_once(site: Site) -> None:
    database, _ = site.versioned()
    name, _ = site.branch(database)
    time.sleep(4)

    assert site.events(name) == [("Normal", "BranchReady")]


def test_what_the_secret_says_is_text(site: Site) -> None:
    database, _ = site.versioned()
    name, secret = site.branch(database)

    raw = site.namespace.get("secret", name)
    assert raw["metadata"]["ownerReferences"][0]["kind"] == "DatabaseBranch"
    assert raw["metadata"]["ownerReferences"][0]["controller"] is True
    assert base64.b64decode(raw["data"]["user"]).decode() == secret["user"]
    assert len(secret["user"].encode()) <= 63
