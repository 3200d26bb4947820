"""`make bench` prints every figure. None of them is judged here: a figure may be missed, a line may not."""

from __future__ import annotations

import subprocess
import sys

from fixtures.postgres import ROOT

LINES = {
    "branch creation": 6,
    "capture": 7,
    "branch read, 0 % changed": 7,
    "branch read, 1 % changed": 7,
    "branch read, 10 % changed": 7,
    "branch read, base moved 10 %": 7,
    "branch write, view": 2,
    "branch write, real table": 2,
    "diff of": 2,
    "merge of": 13,
    "conflicts of": 2,
    "commits of": 2,
    "as of": 2,
    "checked out": 2,
    "schema of": 4,
    "DDL on main": 6,
}
NO_TARGET = ("by hand", "plan alone", "DDL", "merge of one ", "merge of 1 changes")


def test_every_figure_is_printed_and_positive() -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--rows", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    title, empty, _head, *lines = done.stdout.splitlines()
    assert (title, empty) == ("PostgreSQL 18, 1,000 rows", "")
    assert {name: sum(line.startswith(name) for line in lines) for name in LINES} == LINES
    assert len(lines) == sum(LINES.values())
    for line in lines:
        measured, plain, ratio, verdict = line[52:68], line[77:93], line[93:101], line[123:]
        for figure in (measured, plain.strip(" msbyte"), ratio):
            assert figure.strip() == "-" or float(figure.replace(",", "")) > 0, line
        has_target = not any(words in line for words in NO_TARGET)
        assert verdict in ("ok", "missed", "missed, a later target", "ok, a later target") or not has_target, line
