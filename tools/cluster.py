"""The local Kubernetes, for a person: `up`, `down`, `kubectl ...`, `build`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from localcluster import background, programs
from localcluster.errors import ClusterError


def main() -> int:
    """Do what the first argument says. A refusal is a sentence and exit code 1."""
    try:
        if sys.argv[1:2] == ["kubectl"]:
            return _kubectl(sys.argv[2:])
        arguments = _parser().parse_args()
        return int(arguments.act(arguments))
    except ClusterError as error:
        programs.say(str(error))
        return 1


def _up(arguments: argparse.Namespace) -> int:
    cluster = background.up(arguments.keep_file)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    programs.say(f"the control plane runs; kubectl is {cluster.kubectl}; stop it with: python tools/cluster.py down")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    programs.say("stopped" if background.down(arguments.keep_file) else "nothing was running")
    return 0


def _kubectl(arguments: list[str]) -> int:
    """Run kubectl on the cluster of KUBECONFIG, else on the control plane that is up."""
    if os.environ.get("KUBECONFIG"):
        command = [str(programs.find_kubectl()), *arguments]
    else:
        command = background.found(background.keep_file()).command(*arguments)
    return subprocess.run(command, check=False).returncode


def _build(arguments: argparse.Namespace) -> int:
    print(BUILDS[arguments.what]())
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    background.serve(arguments.file)
    return 0


BUILDS = {"kubernetes": programs.kubernetes, "helm": programs.helm, "coredns": programs.coredns}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up | down | kubectl | build")
    up = commands.add_parser("up", help="start a control plane that stays; print how to use it")
    down = commands.add_parser("down", help="stop it")
    commands.add_parser("kubectl", help="run kubectl on it, or on the cluster of KUBECONFIG")
    for command, act in ((up, _up), (down, _down)):
        command.set_defaults(act=act)
        command.add_argument("--keep-file", type=Path, default=background.keep_file(), help="where it is noted")
    build = commands.add_parser("build", help="build the programs now, not at their first use")
    build.add_argument("what", nargs="?", choices=BUILDS, default="kubernetes")
    build.set_defaults(act=_build)
    serve = commands.add_parser("serve")
    serve.add_argument("file", type=Path)
    serve.set_defaults(act=_serve)
    return parser


if __name__ == "__main__":
    sys.exit(main())
