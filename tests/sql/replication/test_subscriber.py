# ruff: noqa: E501 - SQL is not wrapped
"""Tables that logical replication writes: no statement is there, and yet the subscriber's history is true."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from fixtures.postgres import INSTALL, Connection, Database, query
from postgres import FAST, Server

pytestmark = pytest.mark.each_version

PUBLISHER = FAST | {
    "wal_level": "logical",
    "max_wal_senders": "8",
    "max_prepared_transactions": "4",
    "logical_decoding_work_mem": "64kB",
}
TABLES = """
    CREATE TABLE t (id integer PRIMARY KEY, v text, twice integer GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE p (k integer, r integer, n integer, PRIMARY KEY (r, k)) PARTITION BY {};
    CREATE TABLE parents (id integer PRIMARY KEY);
    CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE lines (v text, n integer);
    ALTER TABLE lines REPLICA IDENTITY FULL;
    CREATE TABLE marks (id integer PRIMARY KEY);
"""
LIST = "LIST (r); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2)"
HASH = "HASH (k); CREATE TABLE h0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
ROWS = {
    "t": "SELECT id, v, twice FROM {} ORDER BY 1",
    "p": "SELECT k, r, n FROM {} ORDER BY r, k",
    "parents": "SELECT id FROM {} ORDER BY 1",
    "children": "SELECT id, parent FROM {} ORDER BY 1",
    "lines": "SELECT v, n FROM {} ORDER BY 1, 2",
}
#: Of these a random transaction is made; each keeps the sum of p.n at zero.
WRITES = (
    "INSERT INTO t SELECT g, 'i' FROM generate_series({a}, {a} + {n}) AS g ON CONFLICT (id) DO UPDATE SET v = t.v || 'u'",
    "UPDATE t SET v = coalesce(v, '') || 'x' WHERE id BETWEEN {a} AND {b}",
    "UPDATE t SET id = id + 1000 WHERE id = {a} AND NOT EXISTS (SELECT FROM t WHERE id = {a} + 1000)",
    "UPDATE t SET id = id - 1000 WHERE id = 1000 + {a} AND NOT EXISTS (SELECT FROM t WHERE id = {a})",
    "DELETE FROM t WHERE id % 7 = {n}",
    "DELETE FROM t WHERE id = {a}; INSERT INTO t VALUES ({a}, 'again')",
    "INSERT INTO p VALUES ({a}, 1, {b}), ({a}, 2, -{b}) ON CONFLICT (r, k) DO NOTHING",
    "UPDATE p SET n = -n",
    "UPDATE p SET r = 3 - r WHERE k = {a} AND (SELECT count(*) FROM p WHERE k = {a}) = 1",
    "DELETE FROM p WHERE k = {a}",
    "INSERT INTO parents VALUES ({n}) ON CONFLICT DO NOTHING; INSERT INTO children VALUES ({a}, {n}) ON CONFLICT DO NOTHING",
    "UPDATE parents SET id = id + 100 WHERE id = {n} AND NOT EXISTS (SELECT FROM parents WHERE id = {n} + 100)",
    "DELETE FROM parents WHERE id = {n} + 100",
    "INSERT INTO lines SELECT 'l', {n} FROM generate_series(1, 2)",
    "UPDATE lines SET v = v || 'u' WHERE n = {n}; DELETE FROM lines WHERE ctid = (SELECT min(ctid) FROM lines)",
    "SAVEPOINT s; UPDATE t SET v = 'undone'; DELETE FROM p; ROLLBACK TO s",
)
RARE = ("TRUNCATE t", "TRUNCATE p", "TRUNCATE parents, children")


class Pair:
    """A publisher and a subscriber, the latter with pggit."""

    def __init__(self, version: int) -> None:
        self.servers = [
            Server(version, settings=PUBLISHER),
            Server(
                version,
                settings=FAST
                | {
                    "track_commit_timestamp": "on",
                    "max_prepared_transactions": "4",
                    "max_logical_replication_workers": "8",
                    "wal_retrieve_retry_interval": "50ms",
                },
            ),
        ]
        for server in self.servers:
            server.start()
        self.publisher = Database(self.servers[0], "postgres")
        self.subscriber = Database(self.servers[1], "postgres")
        self.mark = 0

    def subscribe(self, options: str) -> None:
        self.publisher.run(TABLES.format(LIST))
        self.publisher.run(
            "INSERT INTO t SELECT g, 'first' FROM generate_series(1, 50) AS g; INSERT INTO p VALUES (1, 1, 5), (1, 2, -5)"
        )
        self.publisher.run("CREATE PUBLICATION pub FOR ALL TABLES WITH (publish_via_partition_root)")
        self.subscriber.psql("-1", "-f", str(INSTALL))
        self.subscriber.run(TABLES.format(HASH))
        self.subscriber.run("SELECT pggit.track_schema('public', p_exclude => '{marks}')")
        self.subscriber.run(
            f"CREATE SUBSCRIPTION sub CONNECTION '{self.publisher.dsn.replace(chr(39), '')}' PUBLICATION pub WITH ({options})"
        )
        self.until("SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'")

    def until(self, condition: str) -> None:
        """Wait for a condition on the subscriber."""
        deadline = time.monotonic() + 60
        while not self.subscriber.value(condition):
            if time.monotonic() > deadline:
                raise AssertionError(self.subscriber.server.log.read_text()[-3000:])
            time.sleep(0.02)

    def caught_up(self) -> None:
        """The subscriber has all that the publisher has committed."""
        self.mark += 1
        self.publisher.run("INSERT INTO marks VALUES (%s)", self.mark)
        self.until(f"SELECT EXISTS (SELECT FROM marks WHERE id = {self.mark})")

    def close(self) -> None:
        self.publisher.close()
        self.subscriber.close()
        for server in self.servers:
            server.close()


@pytest.fixture
def pair(server: Server) -> Iterator[Pair]:
    made = Pair(server.version)
    yield made
    made.close()


def states(session: Connection, name: str = "{}") -> dict[str, list[tuple[object, ...]]]:
    return {table: query(session, sql.format(name.format(table))).fetchall() for table, sql in ROWS.items()}


def transaction(chance: random.Random) -> str:
    """Some statements; a few transactions are large enough to be streamed before they end."""
    chosen = chance.choices(WRITES, k=chance.randint(1, 4)) + ([chance.choice(RARE)] if chance.random() < 0.08 else [])
    if chance.random() < 0.1:
        chosen.append(
            "INSERT INTO t SELECT g, repeat('large', 20) FROM generate_series(5000, 6500) AS g ON CONFLICT DO NOTHING; DELETE FROM t WHERE id > 4000"
        )
    return "; ".join(
        sql.format(a=chance.randint(1, 60), b=chance.randint(1, 60), n=chance.randint(0, 6)) for sql in chosen
    )


def options(version: int) -> tuple[str, str]:
    return (
        "streaming = on, two_phase = on",
        "streaming = parallel" if version >= 16 else "streaming = off, binary = on",
    )


@pytest.mark.parametrize("kind", [0, 1])
def test_the_history_of_a_subscriber_is_true(pair: Pair, kind: int) -> None:
    chance = random.Random(kind)
    pair.subscribe(options(pair.subscriber.version)[kind])
    pair.subscriber.run("SELECT pggit.commit('copied')")
    pair.subscriber.run("SELECT pggit.create_branch('fork', p_materialize => 'none')")
    fork = pair.subscriber.connect(branch="fork")
    first = states(fork)
    assert first == states(pair.publisher.conn)
    if kind:  # logged row by row from here on
        pair.subscriber.run("CREATE TABLE above (id integer NOT NULL); ALTER TABLE t INHERIT above")

    seen = {}
    for _ in range(12):
        for _ in range(chance.randint(1, 6)):
            body = transaction(chance)
            if kind or chance.random() < 0.7:
                pair.publisher.run(f"BEGIN; {body}; COMMIT")
            else:
                pair.publisher.run(f"BEGIN; {body}; PREPARE TRANSACTION 'two'")
                pair.publisher.run("COMMIT PREPARED 'two'")
        pair.caught_up()
        seen[pair.subscriber.value("SELECT pggit.commit('next', p_allow_empty => true)")] = states(pair.publisher.conn)
    for commit, rows in seen.items():
        assert states(pair.subscriber.conn, f"pggit.as_of(NULL::{{}}, '{commit}')") == rows
    assert states(fork) == first
    assert pair.subscriber.rows("SELECT * FROM pggit.verify()") == []

    # All undone once more, by statements of the subscriber's own, and there is nothing left of them.
    pair.subscriber.run(
        "DELETE FROM t; DELETE FROM p; DELETE FROM children; DELETE FROM parents; SELECT pggit.commit('emptied', p_allow_empty => true)"
    )
    assert states(pair.subscriber.conn, f"pggit.as_of(NULL::{{}}, '{commit}')") == rows
    assert pair.subscriber.rows("SELECT * FROM pggit.verify()") == []


def test_commits_while_changes_stream_in(pair: Pair) -> None:
    """Each commit has whole transactions, and what is written on the subscriber beside them."""
    pair.subscribe(options(pair.subscriber.version)[0])
    pair.subscriber.run("CREATE TABLE own (id integer PRIMARY KEY); SELECT pggit.commit('copied')")
    done = threading.Event()

    def write() -> None:
        chance = random.Random(7)
        with psycopg.connect(pair.publisher.dsn, autocommit=True) as session:
            for _ in range(150):
                query(session, f"BEGIN; {transaction(chance)}; COMMIT")
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    commits: list[str] = []
    while not done.is_set() or len(commits) < 5:
        pair.subscriber.run("INSERT INTO own VALUES (%s)", len(commits))
        commits.append(pair.subscriber.value("SELECT pggit.commit('while it streams')"))
    writer.join()
    pair.caught_up()
    pair.subscriber.run("SELECT pggit.commit('the rest', p_allow_empty => true)")
    for n, commit in enumerate(commits):
        assert pair.subscriber.row("SELECT coalesce(sum(n), 0) FROM pggit.as_of(NULL::p, %s)", commit) == (0,)
        assert pair.subscriber.row("SELECT count(*) FROM pggit.as_of(NULL::own, %s)", commit) == (n + 1,)
    assert pair.subscriber.rows("SELECT * FROM pggit.verify()") == []
    assert states(pair.subscriber.conn) == states(pair.publisher.conn)


def test_triggers_of_the_user_that_write_too(pair: Pair) -> None:
    """A trigger that fires for the subscription writes the same row and others: first the row came, then what the trigger did."""
    pair.subscribe("streaming = off")
    pair.subscriber.run("""
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF pg_trigger_depth() = 1 THEN
                UPDATE public.t SET v = v || '+' WHERE id = NEW.id;
                INSERT INTO public.t VALUES (NEW.id + 100, 'more') ON CONFLICT (id) DO UPDATE SET v = 'again';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER "!more" AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION more();
        ALTER TABLE t ENABLE ALWAYS TRIGGER "!more";
        SELECT pggit.commit('before');
    """)
    before = states(pair.subscriber.conn)
    pair.publisher.run(
        "BEGIN; INSERT INTO t VALUES (70, 'new'); UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2; COMMIT"
    )
    pair.caught_up()
    now = states(pair.subscriber.conn)
    assert {(70, "new+", 140), (170, "more", 340), (1, "changed+", 2), (101, "more", 202)} <= set(now["t"])
    pair.subscriber.run("SELECT pggit.commit('after'); UPDATE t SET v = 'later'")
    assert states(pair.subscriber.conn, "pggit.as_of(NULL::{}, 'HEAD~1')") == before
    assert states(pair.subscriber.conn, "pggit.as_of(NULL::{}, 'HEAD')") == now
    assert pair.subscriber.row(
        "SELECT inserted, updated, deleted FROM pggit.diff('HEAD~1', 'HEAD') WHERE table_name = 'public.t'"
    ) == (3, 1, 1)
    assert pair.subscriber.rows("SELECT * FROM pggit.verify()") == []
    log = pair.subscriber.value(
        "SELECT format('pggit._log_%s', t.table_id) FROM pggit.tables AS t WHERE t.table_name = 't'"
    )
    assert pair.subscriber.rows(f"SELECT _xid FROM {log} EXCEPT SELECT xid FROM pggit.transactions") == []
