"""Where the programs of a cluster come from: the user's, the cache, or one build that is then cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import ClusterError

SOURCE = Path(__file__).resolve().parent.parent / "cluster"
KUBERNETES = "v1.34.2"
HELM = "v3.19.5"
COREDNS = "v1.13.2"
GO_NEEDED = (1, 24)
NO_GO = (
    "Kubernetes is built here once, which needs Go {needed} or newer; {found}. "
    "Install Go, or set KUBECONFIG to a cluster of yours, or set KUBEBUILDER_ASSETS to a folder with etcd, "
    "kube-apiserver and kubectl."
)


@dataclass(frozen=True)
class Programs:
    """The commands of a control plane. Without a controller manager (envtest has none) nothing is garbage collected."""

    etcd: tuple[str, ...]
    apiserver: tuple[str, ...]
    controller_manager: tuple[str, ...] | None
    kubectl: Path


def find_programs() -> Programs:
    """The programs for a control plane of our own: KUBEBUILDER_ASSETS, the cache, or a build."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _from_assets(Path(assets)) if assets else from_binary(kubernetes())


def find_kubectl() -> Path:
    """The kubectl for a cluster of the user's: the one on PATH, else ours."""
    found = shutil.which("kubectl")
    return Path(found) if found else kubernetes().parent / "kubectl"


def kubernetes() -> Path:
    """The one binary that is every part of Kubernetes by its first argument, with a `kubectl` beside it."""
    return cached(f"kubernetes-{_source_hash()}", "kubernetes", _build_kubernetes)


def helm() -> Path:
    """Helm 3: the one on PATH, else one that we build once."""
    found = shutil.which("helm")
    if found and _output([found, "version", "--template", "{{.Version}}"]).startswith("v3."):
        return Path(found)
    return cached(f"helm-{HELM}", "helm", lambda into: _go_install(into, f"helm.sh/helm/v3/cmd/helm@{HELM}"))


def coredns() -> Path:
    """The name server of a node. Its libraries do not fit into the one binary."""
    package = f"github.com/coredns/coredns@{COREDNS}"
    return cached(f"coredns-{COREDNS}", "coredns", lambda into: _go_install(into, package))


def cache() -> Path:
    """The folder that outlives us."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pggit-operator"


def say(text: str) -> None:
    """Tell a person what takes time. Standard output stays for results."""
    print(text, file=sys.stderr, flush=True)


def from_binary(binary: Path) -> Programs:
    return Programs(
        etcd=(str(binary), "etcd"),
        apiserver=(str(binary), "kube-apiserver"),
        controller_manager=(str(binary), "kube-controller-manager"),
        kubectl=binary.parent / "kubectl",
    )


def _from_assets(folder: Path) -> Programs:
    missing = [name for name in ("etcd", "kube-apiserver") if not (folder / name).exists()]
    if missing:
        raise ClusterError(f"KUBEBUILDER_ASSETS is {folder}, and there is no {' and no '.join(missing)} in it")
    manager = folder / "kube-controller-manager"
    kubectl = folder / "kubectl"
    return Programs(
        etcd=(str(folder / "etcd"),),
        apiserver=(str(folder / "kube-apiserver"),),
        controller_manager=(str(manager),) if manager.exists() else None,
        kubectl=kubectl if kubectl.exists() else find_kubectl(),
    )


def _source_hash() -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()[:12]


def cached(name: str, program: str, build: Callable[[Path], None]) -> Path:
    """The program from the cache. Made once by `build`, in a folder that is renamed into place when it is whole."""
    place = cache() / name
    if not place.exists():
        with _alone(name):
            if not place.exists():
                _make(place, build)
    return place / program


def _make(place: Path, build: Callable[[Path], None]) -> None:
    made = Path(tempfile.mkdtemp(prefix="building-", dir=place.parent))
    try:
        build(made)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One build of a thing at a time, on the whole machine."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_kubernetes(into: Path) -> None:
    _require_go()
    packages = len(_output(["go", "list", "-deps", "."], SOURCE).splitlines())
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    _go(
        f"Kubernetes {KUBERNETES} (once; {packages} packages, about 8 minutes on two cores)",
        ["build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", flags, "-o", str(into / "kubernetes"), "."],
    )
    place = cache() / f"kubernetes-{_source_hash()}"
    kubectl = into / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec "{place}/kubernetes" kubectl "$@"\n')
    kubectl.chmod(0o755)


def _go_install(into: Path, package: str) -> None:
    _require_go()
    _go(
        f"{package} (once; a few minutes)",
        ["install", "-v", "-trimpath", "-ldflags", "-s -w", package],
        bin_folder=into,
    )


def _require_go() -> None:
    needed = ".".join(map(str, GO_NEEDED))
    if shutil.which("go") is None:
        raise ClusterError(NO_GO.format(needed=needed, found="there is no go on PATH"))
    version = _output(["go", "env", "GOVERSION"]).strip()
    numbers = re.match(r"go(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < GO_NEEDED:
        raise ClusterError(NO_GO.format(needed=needed, found=f"this is {version}"))


def _go(title: str, arguments: Sequence[str], bin_folder: Path | None = None) -> None:
    """Run go with progress: the packages done and the seconds gone."""
    environment = {**os.environ, "CGO_ENABLED": "0"}
    if bin_folder:
        environment["GOBIN"] = str(bin_folder)
    process = subprocess.Popen(["go", *arguments], cwd=SOURCE, env=environment, stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        _show_progress(title, process, lines)
    finally:
        process.kill()
        process.wait()
    reader.join()
    if process.returncode:
        raise ClusterError(f"go {arguments[0]} failed:\n{''.join(lines[-20:])}")


def _show_progress(title: str, process: subprocess.Popen[str], lines: list[str]) -> None:
    start = time.monotonic()
    terminal = sys.stderr.isatty()
    say(f"building {title}")
    while True:
        try:
            process.wait(timeout=1 if terminal else 20)
        except subprocess.TimeoutExpired:
            line = f"  {time.monotonic() - start:4.0f} s, {len(lines)} packages done"
            print(line, end="\r" if terminal else "\n", file=sys.stderr, flush=True)
        else:
            break
    say(f"  built in {time.monotonic() - start:.0f} s" if process.returncode == 0 else "  the build failed")


def _output(command: Sequence[str], folder: Path | None = None) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
