"""`make e2e-kind`: the end-to-end tests on a kind cluster, where Docker and kind are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLUSTER = "pggit-e2e"
OPERATOR_IMAGE = "pggit-operator:e2e"
POSTGRES_IMAGE = os.environ.get("POSTGRES_IMAGE", "postgres:17")


def main() -> int:
    missing = lacking()
    if missing:
        print(f"the tests on kind need {' and '.join(missing)}; `make e2e` needs neither", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="pggit-kind-") as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        try:
            run("kind", "create", "cluster", "--name", CLUSTER, "--kubeconfig", str(kubeconfig), "--wait", "120s")
            run(str(ROOT / "tools" / "image.sh"), OPERATOR_IMAGE, IMAGE_TOOL="docker")
            run("docker", "pull", POSTGRES_IMAGE)
            run("kind", "load", "docker-image", "--name", CLUSTER, OPERATOR_IMAGE, POSTGRES_IMAGE)
            images = [f"--operator-image={OPERATOR_IMAGE}", f"--postgres-image={POSTGRES_IMAGE}"]
            tests = [sys.executable, "-m", "pytest", str(ROOT / "tests" / "e2e"), "--e2e=cluster", *images]
            run(*tests, KUBECONFIG=str(kubeconfig))
        except subprocess.CalledProcessError as failed:
            print(f"{' '.join(map(str, failed.cmd[:4]))} … failed", file=sys.stderr)
            return 1
        finally:
            subprocess.run(["kind", "delete", "cluster", "--name", CLUSTER], check=False)
    return 0


def lacking() -> list[str]:
    """What has to be installed or started first."""
    missing = [] if shutil.which("kind") else ["kind"]
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        missing.append("a running Docker")
    return missing


def run(*command: str, **environment: str) -> None:
    """Run a command, or raise CalledProcessError."""
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **environment})


if __name__ == "__main__":
    sys.exit(main())
