"""`make demo KEEP=1` leaves everything running, says how to look at it, and shows no password."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from fixtures.postgres import ROOT


def test_what_it_prints_works_and_holds_no_password() -> None:
    running = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "tools" / "demo.py"), "--keep"],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
    )
    try:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if line.startswith("Ctrl-C here"):
                break
        told = "".join(said)
        commands = textwrap.dedent(told.partition("In another terminal:\n")[2].partition("Ctrl-C here")[0])
        commands = commands.replace("tail -f", "tail -n 1")
        query = "SELECT current_user, count(*) FROM cities WHERE name = 'Genève'"
        commands = re.sub(r"(\bpsql .*\S)(   # .*)$", rf'\1 -A -t -c "{query}"\2', commands, flags=re.MULTILINE)
        passwords = "\nfor one in geo-owner fix-populations; do secret $one password; echo; done"
        done = subprocess.run(
            ["bash", "-euc", commands + passwords], capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        *answers, owners, branchs = done.stdout.splitlines()
        assert "geo|1" in answers, "main, as its owner"
        assert any(re.fullmatch(r"pggit_\d+_\d+_fix-populations\|0", answer) for answer in answers), "the branch"
        assert len(owners) > 10
        assert len(branchs) > 10
        assert owners not in told
        assert branchs not in told
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


@pytest.mark.parametrize(("keep", "kept"), [("1", True), ("yes", True), ("0", False), ("", False), ("no", False)])
def test_only_a_yes_keeps(keep: str, kept: bool) -> None:
    said = subprocess.run(
        ["make", "-n", "demo", f"KEEP={keep}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert ("--keep" in said) is kept
