"""Connections: kept per target, bounded per server, and never waited for without an end."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pggit_operator.errors import Busy, SecretInvalid, Unreachable
from pggit_operator.pggit.call import Connection, translate
from pggit_operator.settings import Settings

#: What a connection URI in a Secret may say. Everything else could read files here or lead the password elsewhere.
URI_PARAMETERS = frozenset({"host", "port", "dbname", "user", "password", "sslmode"})
#: Said in URIs by habit and decided by us: accepted, and ignored.
URI_IGNORED = frozenset({"connect_timeout", "application_name", "channel_binding", "gssencmode"})

_KEEP_IDLE = 60.0
_LONGEST_BREAK = 30.0
#: So many questions in a row without an answer, and a server hangs.
_SILENT = 3
#: SSLRequest: the first thing that a client may say, answered before anybody is asked who he is.
_ANYBODY_THERE = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True)
class Target:
    """A database on a server, and who we are there."""

    host: str
    port: int
    dbname: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    ca: str | None = field(default=None, repr=False)

    @property
    def instance(self) -> str:
        """The server, as one thing that can be down."""
        return f"{self.host}:{self.port}"


def parse_uri(uri: str) -> dict[str, str]:
    """The parts of a connection URI, if it says nothing that it may not."""
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(uri).items() if value is not None}
    except psycopg.Error:
        raise SecretInvalid(
            "key uri is not a connection URI", "Write postgresql://user:password@host:port/dbname?sslmode=require."
        ) from None
    refused = sorted(set(parts) - URI_PARAMETERS - URI_IGNORED)
    if refused:
        raise SecretInvalid(f"key uri has parameters that are not accepted: {', '.join(refused)}", "Take them out.")
    return {name: value for name, value in parts.items() if name in URI_PARAMETERS}


@dataclass
class _Breaker:
    """A server that did not answer: until when nobody asks it, and what it is known for."""

    until: float
    failures: int
    said: Unreachable


@dataclass(eq=False)
class _Idle:
    """A connection that nobody uses at the moment."""

    since: float
    target: Target
    conn: Connection


class Pools:
    """All connections of the operator. A server that does not answer is left alone for a while, by everybody."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: defaultdict[str, list[_Idle]] = defaultdict(list)
        self._places: dict[str, threading.BoundedSemaphore] = {}
        self._broken: dict[str, _Breaker] = {}
        self._files: tempfile.TemporaryDirectory[str] | None = None

    @contextmanager
    def connection(self, target: Target, *, patience: float | None = None) -> Iterator[Connection]:
        """A connection in autocommit, alone for us.

        It is cut after `patience` seconds, and as soon as its server answers nobody any more.
        """
        self._refuse_broken(target.instance)
        places = self._places_of(target.instance)
        if not places.acquire(timeout=self._settings.connect_timeout):
            raise Busy(f"all connections to {target.instance} are in use")
        conn: Connection | None = None
        try:
            conn = self._alive(target) or self._connect(target)
            with self._guarded(conn, target, patience or self._settings.statement_timeout):
                yield conn
            self._keep(target, conn)
            self._mend(target.instance)
        except BaseException as error:
            if conn is not None:
                conn.close()
            if isinstance(error, Unreachable):
                self._break(target.instance, error)
            elif conn is not None:
                self._mend(target.instance)
            raise
        finally:
            places.release()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            kept = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        for one in kept:
            one.conn.close()
        if self._files is not None:
            self._files.cleanup()

    def _refuse_broken(self, instance: str) -> None:
        """Say at once what is known; one caller at a time may look whether it still holds."""
        with self._lock:
            broken, now = self._broken.get(instance), time.monotonic()
            if broken is None:
                return
            if now < broken.until:
                raise Unreachable(broken.said.message, broken.said.hint)
            broken.until = now + 2 * self._settings.connect_timeout

    def _break(self, instance: str, said: Unreachable) -> None:
        with self._lock:
            failures = self._broken[instance].failures + 1 if instance in self._broken else 1
            wait = min(self._settings.backoff_max, _LONGEST_BREAK, self._settings.backoff_first * 2**failures)
            self._broken[instance] = _Breaker(time.monotonic() + wait, failures, said)

    def _mend(self, instance: str) -> None:
        with self._lock:
            self._broken.pop(instance, None)

    def _places_of(self, instance: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._places.setdefault(instance, threading.BoundedSemaphore(self._settings.workers_per_instance))

    @contextmanager
    def _guarded(self, conn: Connection, target: Target, patience: float) -> Iterator[None]:
        """End the wait for a server that has stopped answering: libpq itself would wait for ever."""
        over, lock = threading.Event(), threading.Lock()
        pause = self._settings.connect_timeout

        def guard() -> None:
            end, silent = time.monotonic() + patience + pause, 0
            while silent < _SILENT and (left := end - time.monotonic()) > 0:
                if over.wait(min(pause, left)):
                    return
                silent = 0 if _answers(target, pause) else silent + 1
            with lock:
                if not over.is_set():
                    _cut(conn)

        threading.Thread(target=guard, name=f"guard of {target.instance}", daemon=True).start()
        try:
            yield
        finally:
            with lock:
                over.set()

    def _alive(self, target: Target) -> Connection | None:
        """An idle connection that still answers, clean of what its last user left."""
        while True:
            with self._lock:
                idle = self._idle[target.instance]
                found = next((one for one in reversed(idle) if one.target == target), None)
                if found is None:
                    return None
                idle.remove(found)
            with suppress(psycopg.Error), _cut_after(found.conn, self._settings.connect_timeout):
                found.conn.execute("DISCARD ALL")
                return found.conn
            found.conn.close()

    def _keep(self, target: Target, conn: Connection) -> None:
        """Keep a connection for its next user; of one server no more than may be in use, however many databases."""
        if conn.closed or conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            conn.close()
            return
        now, old = time.monotonic(), []
        with self._lock:
            self._idle[target.instance].append(_Idle(now, target, conn))
            for instance, idle in list(self._idle.items()):
                fresh = [one for one in idle if now - one.since <= _KEEP_IDLE][-self._settings.workers_per_instance :]
                old += [one for one in idle if one not in fresh]
                if fresh:
                    self._idle[instance] = fresh
                else:
                    del self._idle[instance]
        for one in old:
            one.conn.close()

    def _connect(self, target: Target) -> Connection:
        limits = {
            "statement_timeout": int(self._settings.statement_timeout * 1000),
            "lock_timeout": int(self._settings.lock_timeout * 1000),
            "idle_in_transaction_session_timeout": int(self._settings.statement_timeout * 1000),
            # Merges need it, whatever database or role have as their default.
            "default_transaction_isolation": r"read\ committed",
        }
        try:
            return psycopg.connect(
                host=target.host,
                port=target.port,
                dbname=target.dbname,
                user=target.user,
                password=target.password,
                sslmode=target.sslmode,
                sslrootcert=self._ca_file(target.ca),
                require_auth=self._settings.require_auth,
                connect_timeout=self._settings.connect_timeout,
                application_name="pggit-operator",
                options=" ".join(f"-c {name}={value}" for name, value in limits.items()),
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                autocommit=True,
                prepare_threshold=None,  # DISCARD ALL and poolers forget prepared statements
            )
        except psycopg.Error as error:
            known = translate(error)
            if isinstance(known, Unreachable):
                raise Unreachable(
                    f"PostgreSQL at {target.instance} does not answer: {' '.join(str(error).split())}",
                    "Start it, or correct host and port in the Secret.",
                ) from None
            raise known from None

    def _ca_file(self, ca: str | None) -> str | None:
        """libpq reads certificates from files only."""
        if ca is None:
            return None
        with self._lock:
            self._files = self._files or tempfile.TemporaryDirectory(prefix="pggit-ca-")
        path = Path(self._files.name) / (hashlib.sha256(ca.encode()).hexdigest() + ".crt")
        if not path.exists():
            fresh = path.with_suffix(f".{threading.get_ident()}")
            fresh.write_text(ca)
            fresh.rename(path)
        return str(path)


@contextmanager
def _cut_after(conn: Connection, seconds: float) -> Iterator[None]:
    """Bound the wait for one short answer."""
    timer = threading.Timer(seconds, _cut, [conn])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(conn: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _answers(target: Target, seconds: int) -> bool:
    """Whether a server says anything at all, or has at least refused: then what we wait for ends by itself."""
    try:
        with socket.create_connection((target.host, target.port), timeout=seconds) as wire:
            wire.sendall(_ANYBODY_THERE)
            wire.recv(1)
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
