"""What `make test` runs after `make check`: all tests on real servers, then the end-to-end story where it can run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from postgres import Unavailable, binaries

ROOT = Path(__file__).resolve().parents[1]
E2E = ROOT / "tests" / "e2e"


def pytest(*arguments: str) -> tuple[int, str]:
    """Run pytest, show what it prints, and keep its closing line."""
    command = [sys.executable, "-m", "pytest", *arguments]
    closing = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            closing = line.strip("= \n") or closing
    return running.returncode, closing


def why_no_e2e() -> str | None:
    if not any(E2E.glob("test_*.py")):
        return "there are no end-to-end tests in this checkout"
    if os.geteuid() != 0:
        return "a one-node cluster needs root; `make e2e` runs it"
    if not Path("/etc/debian_version").exists():
        return "a one-node cluster is installed from Debian's packages; `make e2e-kind` needs Docker only"
    return None


def main() -> int:
    try:
        for version in (15, 16, 17, 18):
            binaries(version)
    except Unavailable as why:
        print(why, file=sys.stderr)
        return 1

    # One more than there are processors: many tests wait for an operator, a lock or a timeout.
    workers = str(min((os.cpu_count() or 1) + 1, 4))
    code, closing = pytest("-q", "-n", workers, "--dist=worksteal", f"--ignore={E2E}")
    if code == 0:
        # What differs without them does not depend on the version; `make nightly` tries all.
        schema = str(ROOT / "tests" / "sql" / "schema")
        code, without = pytest("-q", "-rs", "-n", workers, schema, "--no-event-triggers", "--pg", "18")
        print(f"schemas without event triggers: {without}")
    reason = why_no_e2e()
    if reason:
        print(f"end to end: not run: {reason}")
    elif code == 0:
        code, e2e = pytest("-q", str(E2E), str(ROOT / "tests" / "cluster" / "test_node.py"), "--e2e=node")
        print(f"end to end: {e2e}")
    print(f"tests: {closing}")
    return code


if __name__ == "__main__":
    sys.exit(main())
