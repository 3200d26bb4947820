"""A schema with more tables than one transaction can lock the stores of."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import INSTALL
from pggit_operator.pggit.database import track_schema
from postgres import FAST, Server

TABLES = "".join(f"CREATE TABLE t{n} (id int PRIMARY KEY, v text);" for n in range(40))


@pytest.mark.parametrize("version", [15, 18])
def test_it_is_tracked_in_several_transactions(version: int) -> None:
    few = {"max_locks_per_transaction": "15", "max_connections": "30"}
    with (
        Server(version, settings=FAST | few) as server,
        psycopg.connect(server.dsn(), autocommit=True) as session,
    ):
        server.psql("-f", str(INSTALL))
        session.execute(TABLES.encode())
        heard: list[str] = []
        session.add_notice_handler(lambda notice: heard.append(f"{notice.message_primary} {notice.message_hint}"))

        (first,) = session.execute("SELECT pggit.track_schema('public')").fetchone() or (0,)
        assert 0 < first < 40
        assert heard == [
            f"{40 - first} tables of schema public are not tracked yet: one transaction can't lock more "
            "Commit, and go on: SELECT pggit.track_schema('public');"
        ]
        assert track_schema(session, "public", []) == 40
        assert session.execute("SELECT pggit.untracked_tables('public')").fetchone() == (0,)
        session.execute("INSERT INTO t39 VALUES (1, 'a'); SELECT pggit.commit('first')")
        assert session.execute("SELECT * FROM pggit.verify()").fetchall() == []
