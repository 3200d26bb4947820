"""Many clients at once, and a server killed under them: no deadlock, nothing acknowledged is lost, all is sound.

CI looks for seconds; `make load` for a minute with 50 clients, and kills the server 30 times.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from fixtures.postgres import INSTALL, Connection, query
from load.clients import LINES, SCHEMA, Acknowledged, let_loose
from postgres import FAST, Server

#: What the clients have to have done, however slow the machine is.
EACH = {"commit", "fork", "merge", "write", "delete"}


@pytest.fixture
def own_server(server: Server) -> Iterator[Server]:
    """A server of the test's own: it is going to be killed."""
    with Server(server.version, settings=FAST | {"max_connections": "100", "synchronous_commit": "on"}) as made:
        yield made


@pytest.fixture
def clients(own_server: Server, pytestconfig: pytest.Config) -> int:
    count: int = pytestconfig.getoption("--load-clients")
    own_server.psql("-1", "-f", str(INSTALL))
    with psycopg.connect(own_server.dsn(), autocommit=True) as session:
        query(session, SCHEMA)
        numbers = "SELECT line, g, 0 FROM unnest(%s::text[]) AS line, generate_series(0, %s) AS g"
        query(session, f"INSERT INTO counters {numbers}", list(LINES), count - 1)
        query(session, "SELECT pggit.track_schema('public')")
        query(session, "SELECT pggit.commit('first')")
        for line, how in LINES.items():
            if how:
                query(session, "SELECT pggit.create_branch(%s, 'main', 'schema', %s)", line, how)
    return count


def check(session: Connection, told: Acknowledged) -> Counter[tuple[str, int]]:
    """All is sound; what each client has counted on each line."""
    counted = Counter[tuple[str, int]]()
    print(f"done {dict(told.done)}, refused {dict(told.refused)}, commits {len(told.commits)}")
    assert told.faults == [], "\n\n".join(told.faults[:5])
    assert query(session, "SELECT * FROM pggit.verify()").fetchall() == []
    known = {commit_id for (commit_id,) in query(session, "SELECT commit_id FROM pggit.commits")}
    assert set(told.commits) <= known, "an acknowledged commit is lost"
    orphans = "SELECT c.* FROM child AS c LEFT JOIN parent AS p ON p.id = c.parent WHERE p.id IS NULL"
    doubles = "SELECT code FROM parent GROUP BY code HAVING count(*) > 1"
    for (branch,) in query(session, "SELECT name FROM pggit.list_branches()").fetchall():
        query(session, "SELECT pggit.checkout(%s)", branch)
        assert query(session, orphans).fetchall() == [], f"orphans on {branch}"
        assert query(session, doubles).fetchall() == [], f"a unique key is there twice on {branch}"
        for client, n in query(session, "SELECT client, n FROM counters WHERE line = %s", branch).fetchall():
            one = (branch, client)
            assert told.increments[one] <= n <= told.attempts[one], f"changes of {one} are lost or doubled"
            counted[one] = n
    query(session, "SELECT pggit.checkout('main')")
    return counted


def test_many_clients(own_server: Server, clients: int, pytestconfig: pytest.Config) -> None:
    told = Acknowledged()
    for rounds in range(1, 11):
        let_loose(own_server.dsn(), clients, pytestconfig.getoption("--load-seconds"), rounds, told)
        if told.done.keys() >= EACH:
            break
    with psycopg.connect(own_server.dsn(), autocommit=True) as session:
        assert check(session, told) == told.increments
    assert told.done.keys() >= EACH, told.done


def test_a_server_that_is_killed(own_server: Server, clients: int, pytestconfig: pytest.Config) -> None:
    told = Acknowledged()
    chance = random.Random(7)
    for kill in range(pytestconfig.getoption("--load-kills")):
        load = threading.Thread(target=let_loose, args=(own_server.dsn(), clients, 60, kill, told))
        load.start()
        time.sleep(chance.uniform(0.5, 3))
        own_server.kill()
        load.join()
        own_server.start()
        with psycopg.connect(own_server.dsn(), autocommit=True) as session:
            check(session, told)
    assert told.commits
