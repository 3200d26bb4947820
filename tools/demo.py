"""`make demo`: the whole story on a Kubernetes API and a PostgreSQL of this machine, told and checked step by step."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from localcluster import ClusterError, ControlPlane
from postgres import Unavailable
from story.shell import Failed
from story.stage import NAMESPACE, Stage, stage
from story.steps import STEPS
from story.terminal import Terminal


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running afterwards, until Ctrl-C")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us with it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(keep=keep)
    except KeyboardInterrupt:
        print("\nstopped, and cleaned up", file=sys.stderr)
        return 130
    except (ClusterError, Unavailable, Failed) as failed:
        print(f"\nthe demo failed: {failed}", file=sys.stderr)
        return 1
    return 0


def tell(*, keep: bool) -> None:
    """Start everything, tell the story, stop everything."""
    show = Terminal()
    began = time.monotonic()
    show.step("0  A Kubernetes API, PostgreSQL with real data, the operator")
    with ControlPlane() as plane:
        where = "the cluster of KUBECONFIG" if plane.theirs else "a control plane of this machine's own"
        show.say(f"Kubernetes: {where} ({time.monotonic() - began:.1f} s)")
        with stage(plane, show) as ready:
            try:
                for step in STEPS:
                    step(ready.story)
            except Failed:
                log = ready.operator.log.read_text().splitlines()
                print("\n".join(["", "the operator's last words:", *log[-30:]]), file=sys.stderr)
                raise
            show.step(f"Done in {time.monotonic() - began:.0f} seconds; every claim above was checked")
            if keep:
                _stay(ready)


def _stay(ready: Stage) -> None:
    server, owner = ready.server, ready.story.owner_secret
    where = shlex.quote("host={host} port={port} dbname={dbname} user={user}".format_map(owner))
    print(
        f"""
Everything goes on running. In another terminal:

  export KUBECONFIG={ready.cluster.kubeconfig}
  kubectl() {{ {ready.cluster.kubectl} --namespace {NAMESPACE} "$@"; }}
  psql() {{ {server.bin / "psql"} "$@"; }}
  secret() {{ kubectl get secret "$1" --output="jsonpath={{.data.$2}}" | base64 -d; }}

  kubectl get pggit
  PGPASSWORD=$(secret geo-owner password) psql {where}   # main, as its owner
  psql "$(secret fix-populations uri)"   # the branch, with its own login
  tail -f {ready.operator.log}   # the operator's log

Ctrl-C here stops it and cleans up.""",
        flush=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nstopped, and cleaned up", flush=True)


if __name__ == "__main__":
    sys.exit(main())
