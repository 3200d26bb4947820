"""VersionedDatabase: comes under version control, and says what stands in the way."""

from __future__ import annotations

import statistics
import time

import psycopg
import pytest

from fixtures.operating import ITEMS, Site, a_name, condition, states


def test_a_database_comes_under_version_control(site: Site) -> None:
    name, database = site.versioned(excludeTables=["noise"], tables=ITEMS + "CREATE TABLE noise (x int PRIMARY KEY);")

    body = site.namespace.get("vdb", name)

    status = body["status"]
    assert states(body) == {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Drifted": "False"}
    assert (status["trackedTables"], status["branches"], status["defaultBranch"]) == (1, 1, "main")
    assert status["endpoint"] == f"127.0.0.1:{site.server.port}"
    assert database.rows("SELECT commit_id, message FROM pggit.log()") == [(status["head"], "first commit")]


def test_the_operator_ticks(site: Site) -> None:
    """What was committed by then can be read exactly, whether or not the server keeps commit times."""
    name, database = site.versioned()
    ticks = "SELECT count(*) FROM pggit.ticks"
    before = database.rows(ticks)
    database.run("INSERT INTO items VALUES (100, 'ticked', 1)")
    site.until("vdb", name, lambda _: database.rows(ticks) > before)
    exact = "SELECT r.is_exact FROM pggit.ticks AS t, pggit.resolve_time(t.ticked_at) AS r"
    assert set(database.rows(exact)) == {(True,)}


def test_tables_are_left_out_by_any_way_to_write_their_names(site: Site) -> None:
    more = "".join(f"CREATE TABLE {table} (x int PRIMARY KEY);" for table in ('"Odd Name"', "noise", "more"))
    name, database = site.versioned(ITEMS + more, excludeTables=['"Odd Name"', "public.NOISE"])
    tracked = "SELECT table_name FROM pggit.tracked_tables ORDER BY table_name"
    assert database.rows(tracked) == [("public.items",), ("public.more",)]

    spec = site.namespace.get("vdb", name)["spec"]
    site.namespace.apply("VersionedDatabase", name, {**spec, "excludeTables": ["more"]})
    site.until("vdb", name, lambda body: body["status"]["trackedTables"] == 3)

    assert database.rows(tracked) == [('public."Odd Name"',), ("public.items",), ("public.noise",)]


def test_nothing_is_written_when_nothing_has_changed(site: Site) -> None:
    name, _ = site.versioned()
    before = site.namespace.get("vdb", name)["metadata"]["resourceVersion"]

    time.sleep(7)  # twice the resync of the operator under test, and more

    assert site.namespace.get("vdb", name)["metadata"]["resourceVersion"] == before
    assert site.events(name) == [("Normal", "UnderVersionControl")]


def test_a_missing_secret_is_waited_for(site: Site) -> None:
    database, name = site.database(ITEMS), a_name("db")
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    body = site.wait("vdb", name, "SecretNotFound")

    assert condition(body)["message"] == (
        f"there is no Secret {name} in namespace {site.namespace.name}. "
        "Create it, or correct spec.connection.secretName."
    )
    assert states(body) == {"Ready": "False", "Reconciling": "True", "Stalled": "False"}

    site.namespace.secret(name, **database.secret)
    site.wait("vdb", name, "UnderVersionControl")
    assert site.events(name) == [("Warning", "SecretNotFound"), ("Normal", "UnderVersionControl")]


def test_an_incomplete_secret_is_named_with_what_it_lacks(site: Site) -> None:
    database, name = site.database(), a_name("db")
    site.namespace.secret(name, host=database.secret["host"], user=database.name)
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    body = site.wait("vdb", name, "SecretIncomplete")

    assert condition(body)["message"] == (
        f"the Secret {name} is not usable: it lacks dbname, password. "
        "It needs the key uri, or host, port, dbname, user and password."
    )


def test_a_uri_is_enough(site: Site) -> None:
    database, name = site.database(ITEMS), a_name("db")
    said = database.secret
    site.namespace.secret(
        name, uri=f"postgresql://{said['user']}:{said['password']}@{said['host']}:{said['port']}/{said['dbname']}"
    )
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    site.wait("vdb", name, "UnderVersionControl")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"uri": "postgresql://u:p@h/d?sslkey=/etc/passwd"}, "key uri has parameters that are not accepted: sslkey"),
        ({"uri": "postgresql://u:p@h/d?hostaddr=10.0.0.1"}, "key uri has parameters that are not accepted: hostaddr"),
        ({"uri": "nonsense"}, "key uri is not a connection URI"),
        ({"host": "/var/run/postgresql"}, "not a socket path"),
        ({"host": "a,b"}, "host must be one host name"),
        ({"port": "5432x"}, "port is not a number"),
        ({"sslmode": "maybe"}, "sslmode is none of"),
    ],
)
def test_a_secret_may_not_say_everything(site: Site, change: dict[str, str], sentence: str) -> None:
    name = a_name("db")
    site.namespace.secret(name, **({"host": "h", "dbname": "d", "user": "u", "password": "p"} | change))
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    body = site.wait("vdb", name, "SecretInvalid")

    assert sentence in condition(body)["message"]
    assert states(body)["Stalled"] == "True"


def test_a_wrong_password_is_said_and_a_corrected_one_is_taken_without_a_restart(site: Site) -> None:
    database, name = site.database(ITEMS), a_name("db")
    site.namespace.secret(name, **{**database.secret, "password": "of-somebody-else"})
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    body = site.wait("vdb", name, "AuthenticationFailed")

    assert "password authentication failed" in condition(body)["message"]
    assert "Correct user and password in the Secret." in condition(body)["message"]
    assert states(body)["Stalled"] == "True"

    site.namespace.secret(name, **database.secret)
    site.wait("vdb", name, "UnderVersionControl")


def test_a_database_that_is_not_there(site: Site) -> None:
    database, name = site.database(), a_name("db")
    site.namespace.secret(name, **{**database.secret, "dbname": "nowhere"})
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}})

    assert 'database "nowhere" does not exist' in condition(site.wait("vdb", name, "SecretInvalid"))["message"]


@pytest.mark.parametrize(
    ("version", "reason", "said", "way_out"),
    [
        ("99.0.0", "CoreTooNew", "newer than", "Upgrade the operator."),
        ("0.0.9", "CoreTooOld", "can't take over", "Use the operator of 0.0.9."),
    ],
)
def test_a_core_of_another_version_is_left_alone(
    site: Site, version: str, reason: str, said: str, way_out: str
) -> None:
    name, database = site.versioned()
    database.run(
        f"CREATE OR REPLACE FUNCTION pggit.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '{version}' $$"
    )

    body = site.wait("vdb", name, reason)

    assert f"the database has pggit {version}, " in condition(body)["message"]
    assert said in condition(body)["message"]
    assert way_out in condition(body)["message"]
    assert database.rows("SELECT pggit.version()") == [(version,)]


# What no version can track: rows that do not survive a crash.
FLEETING = 'CREATE UNLOGGED TABLE "Fleeting" (id int PRIMARY KEY);'


def test_tables_that_cannot_be_tracked_are_named_and_the_others_are_tracked(site: Site) -> None:
    name, database = site.versioned(ITEMS + FLEETING)

    body = site.namespace.get("vdb", name)

    said = condition(body)["message"]
    assert "1 tables of" in said
    assert 'left out, without history: public."Fleeting" (it is temporary or unlogged' in said
    assert said.endswith("Change them, or name them in spec.excludeTables")
    assert states(body)["Ready"] == "True"
    assert database.rows("SELECT table_name FROM pggit.tracked_tables") == [("public.items",)]

    database.run('ALTER TABLE "Fleeting" SET LOGGED')
    site.until("vdb", name, lambda now: now["status"]["trackedTables"] == 2)
    assert "left out" not in condition(site.namespace.get("vdb", name))["message"]


def test_tables_that_are_left_out_on_purpose_are_no_news(site: Site) -> None:
    name, _ = site.versioned(ITEMS + FLEETING, excludeTables=['"Fleeting"'])

    assert "left out" not in condition(site.namespace.get("vdb", name))["message"]


def test_one_database_is_looked_after_by_one_object(site: Site) -> None:
    first, database = site.versioned()
    second = a_name("db")
    site.namespace.apply("VersionedDatabase", second, {"connection": {"secretName": first}})

    body = site.wait("vdb", second, "DatabaseClaimed")

    assert condition(body)["message"] == (
        f"VersionedDatabase {site.namespace.name}/{first} looks after this database already. "
        "Delete one of the two, or connect this one to another database."
    )
    assert states(body)["Stalled"] == "True"
    branch = a_name("fix")
    site.namespace.apply("DatabaseBranch", branch, {"databaseRef": {"name": second}})
    said = condition(site.wait("dbb", branch, "DatabaseNotReady"))["message"]
    assert f"VersionedDatabase {second} does not look after its database: another one does" in said
    assert states(site.namespace.get("vdb", first))["Ready"] == "True"

    site.namespace.run("delete", "vdb", first, "--timeout=60s")
    site.wait("vdb", second, "UnderVersionControl")
    site.wait("dbb", branch, "BranchReady")
    assert database.rows("SELECT name FROM pggit.database_owners") == [(second,)]


def test_a_schema_that_is_not_there(site: Site) -> None:
    database, name = site.database(), a_name("db")
    site.namespace.secret(name, **database.secret)
    site.namespace.apply("VersionedDatabase", name, {"connection": {"secretName": name}, "trackedSchemas": ["sales"]})

    assert "there is no schema 'sales'" in condition(site.wait("vdb", name, "SchemaNotFound"))["message"]

    database.run("CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY);")
    site.wait("vdb", name, "UnderVersionControl")


def test_a_suspended_database_is_left_alone(site: Site) -> None:
    database, name = site.database(ITEMS), a_name("db")
    site.namespace.secret(name, **database.secret)
    spec = {"connection": {"secretName": name}}
    site.namespace.apply("VersionedDatabase", name, {**spec, "suspend": True})
    body = site.wait("vdb", name, "Suspended")
    assert states(body) == {"Ready": "False", "Reconciling": "False", "Stalled": "False"}
    assert database.rows("SELECT to_regnamespace('pggit')") == [(None,)]

    site.namespace.apply("VersionedDatabase", name, {**spec, "suspend": False})
    site.wait("vdb", name, "UnderVersionControl")


def test_a_table_made_later_is_tracked(site: Site) -> None:
    name, database = site.versioned()

    database.run("CREATE TABLE later (id int PRIMARY KEY)")

    site.until("vdb", name, lambda body: body["status"]["trackedTables"] == 2)
    tracked = database.rows("SELECT table_name FROM pggit.tracked_tables ORDER BY 1")
    assert tracked == [("public.items",), ("public.later",)]


def test_a_schema_that_drifts_is_reported_until_it_is_accepted(site: Site) -> None:
    name, database = site.versioned()
    body = site.until("vdb", name, lambda body: condition(body, "Drifted")["status"] == "False")
    assert condition(body, "Drifted")["reason"] == "AsAccepted"

    database.run("ALTER TABLE items ADD hotfix text; SELECT pggit.commit('a hotfix at night')")
    body = site.until("vdb", name, lambda body: condition(body, "Drifted")["status"] == "True")

    said = condition(body, "Drifted")["message"]
    assert said.startswith("create column public.items.hotfix")
    assert "pggit.accept_drift()" in said
    assert condition(body)["status"] == "True"
    assert site.events(name)[-1] == ("Warning", "Drifted")

    database.run("SELECT pggit.accept_drift()")
    site.until("vdb", name, lambda body: condition(body, "Drifted")["status"] == "False")
    assert site.events(name)[-1] == ("Normal", "AsAccepted")


def test_many_databases_share_few_connections(site: Site) -> None:
    """The operator never holds more connections to a server than its workers may use, however many databases it has."""
    for _ in range(8):
        site.versioned()

    with psycopg.connect(site.server.dsn(), autocommit=True) as admin:
        seen = []
        for _ in range(30):
            row = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pggit-operator'"
            ).fetchone()
            assert row is not None
            seen.append(row[0])
            time.sleep(0.2)

    assert 1 <= statistics.median(seen) <= 4, "two in use and two kept; one that is closed is there for a moment"
