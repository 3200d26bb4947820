"""The processes of a cluster: started with a log each, ended by their ids, never outliving us."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.errors import ClusterError


@dataclass
class Processes:
    """What we started, in order. `inside` is put before each command (a network namespace, say)."""

    logs: Path
    inside: tuple[str, ...] = ()
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start a process. The kernel ends it when the thread that starts it ends, however that happens."""
        with self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*_ends_with_us(), *self.inside, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 120, pause: float = 0.1) -> None:
        """Wait until ready, or say which process ended, or what did not come in time."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ClusterError(f"{what} did not come within {seconds:.0f} seconds\n{self._last_lines()}")
            time.sleep(pause)

    def check(self) -> None:
        """Raise if a process has ended by itself, with the end of its log."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise ClusterError(f"{name} ended with code {process.returncode}\n{self._tail(name)}")

    def stop(self, name: str) -> None:
        """End one process. Nothing here needs a graceful end: whatever it wrote is removed."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """End all of them, last started first."""
        for name in reversed(list(self.running)):
            self.stop(name)

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.logs / f"{name}.log"

    def _tail(self, name: str, lines: int = 8) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])

    def _last_lines(self) -> str:
        return "\n".join(f"--- {name}\n{self._tail(name, 3)}" for name in self.running)


def _ends_with_us() -> list[str]:
    """The command before a command that ties its life to ours."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
