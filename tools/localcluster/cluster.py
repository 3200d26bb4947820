"""What everyone who works against a cluster needs of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster import programs
from localcluster.errors import ClusterError
from localcluster.kubeconfig import write_kubeconfig


@dataclass
class Cluster:
    """A cluster with an administrator's way in.

    `inside` goes before each command that talks to the cluster: empty, unless the cluster has a network of its own.
    `controllers` says whether namespaces end and owned objects are garbage collected.
    """

    folder: Path
    kubeconfig: Path
    kubectl: Path
    inside: tuple[str, ...] = ()
    controllers: bool = True

    @property
    def helm(self) -> Path:
        """Helm 3, built at its first use."""
        return programs.helm()

    @property
    def _discovered(self) -> Path:
        """What clients keep about the API. Not in the user's home: another cluster may get the same port."""
        return self.folder / "discovered"

    def command(self, *arguments: str, kubeconfig: Path | None = None) -> list[str]:
        """The kubectl command with these arguments, as the administrator or as whom the kubeconfig names."""
        who = ["--kubeconfig", str(kubeconfig or self.kubeconfig)]
        return [*self.inside, str(self.kubectl), *who, "--cache-dir", str(self._discovered), *arguments]

    def run(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl and return what it says. Raises ClusterError with kubectl's own words."""
        return run(self.command(*arguments, kubeconfig=kubeconfig), stdin)

    def run_helm(self, *arguments: str) -> str:
        """Run helm as the administrator and return what it says."""
        known = ["env", f"KUBECACHEDIR={self._discovered}"]
        return run([*self.inside, *known, str(self.helm), "--kubeconfig", str(self.kubeconfig), *arguments])

    def service_account_kubeconfig(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """Write a kubeconfig that acts as an existing service account, with its rights and no others."""
        token = self.run("create", "token", name, "--namespace", namespace, f"--duration={seconds}s").strip()
        view = json.loads(self.run("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        path = self.folder / f"{namespace}.{name}.kubeconfig"
        write_kubeconfig(path, cluster=view["clusters"][0]["cluster"], token=token, namespace=namespace)
        return path


def run(command: Sequence[str], stdin: str | None = None) -> str:
    """Run a command and return its output. Raises ClusterError with what it wrote to its error output."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
