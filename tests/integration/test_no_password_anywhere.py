"""No password in any status, event, log of ours, or log of PostgreSQL, whatever went well or wrong."""

from __future__ import annotations

import secrets
from pathlib import Path

from fixtures.operating import ITEMS, a_name, open_by, serving
from localcluster import ControlPlane
from postgres import FAST, Server


def test_no_password_anywhere(cluster: ControlPlane, tmp_path: Path) -> None:
    settings = FAST | {"log_statement": "all", "log_min_error_statement": "debug5", "log_min_messages": "info"}
    debug = {"PGGIT_LOG_LEVEL": "debug"}
    with (
        Server(18, password=secrets.token_urlsafe(18), settings=settings) as server,
        serving(cluster, server, tmp_path, debug) as site,
    ):
        names = site.namespace
        database, owner = site.versioned(conflictValues="Show")
        branch, secret = site.branch(database)
        with open_by(secret) as session:
            session.execute("UPDATE items SET price = 12 WHERE id = 1")
        owner.run("UPDATE items SET price = 15 WHERE id = 1")
        merge = a_name("merge")
        names.apply("Merge", merge, {"databaseRef": {"name": database}, "source": branch})
        site.wait("dbm", merge, "Conflicted")

        wrong, wrong_uri = "wrong-" + secrets.token_urlsafe(12), "uri-" + secrets.token_urlsafe(12)
        for name, said, reason in (
            ("wrong", {**owner.secret, "password": wrong}, "AuthenticationFailed"),
            ("odd", {"uri": f"postgresql://u:{wrong_uri}@127.0.0.1:1/d"}, "Unreachable"),
            ("bad", {"uri": f"postgresql://u:{wrong_uri}@h/d?service={wrong}"}, "SecretInvalid"),
            ("broken", {"uri": f"{wrong_uri} password={wrong}"}, "SecretInvalid"),
        ):
            names.secret(name, **said)
            names.apply("VersionedDatabase", name, {"connection": {"secretName": name}})
            site.wait("vdb", name, reason)
        names.run("delete", "secret", branch)
        site.until("dbb", branch, lambda _: bool(names.run("get", "secret", branch, "--ignore-not-found")))
        again = site.secret(branch)
        site.operator.kill()

        kubernetes = names.run("get", "pggit,events", "--output=yaml")
        ours = site.operator.log.read_text()
        theirs = server.log.read_text()

    assert ITEMS.strip()[:12] in theirs, "the server's log has every statement"
    for password in (secret["password"], again["password"], owner.password, wrong, wrong_uri):
        assert password not in kubernetes
        assert password not in ours
    for password in (secret["password"], again["password"], wrong, wrong_uri):
        assert password not in theirs
