"""The operator as a process of this machine, acting as a service account and as nobody else."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from localcluster.processes import Processes

ROOT = Path(__file__).resolve().parents[2]


class Operator:
    """It can be killed at any moment and started again. It serves one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, logs: Path, settings: Mapping[str, str] | None = None) -> None:
        self._port = _free_port()
        self._processes = Processes(logs)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PGGIT_")},
            "KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": str(ROOT / "operator"),
            "TMPDIR": str(logs),
            "PGGIT_WATCH_NAMESPACES": json.dumps([namespace]),
            "PGGIT_HEALTH_HOST": "127.0.0.1",
            "PGGIT_HEALTH_PORT": str(self._port),
            "PGGIT_LOG_FORMAT": "text",
            **(settings or {}),
        }

    @property
    def log(self) -> Path:
        return self._processes.log("operator")

    def start(self, seconds: float = 60) -> None:
        """Start it, and come back when it says that it is ready."""
        self._processes.start("operator", [sys.executable, "-m", "pggit_operator"], self._environment)
        self._processes.wait("the operator", self._ready, seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self._processes.stop_all()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
