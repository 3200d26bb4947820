"""Every line of docs/guide/merge-semantics.md names a test that is there."""

from __future__ import annotations

import re

from fixtures.postgres import ROOT

PAGE = (ROOT / "docs" / "guide" / "merge-semantics.md").read_text()
ROOMS = ("sql/merge", "sql/branch", "sql/conflict", "sql/keyless", "model", "load")
FOLDERS = [ROOT / "tests" / room for room in ROOMS]


def test_every_line_is_shown_by_a_test() -> None:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (?!base \||situation \||rule \||function \|)", line)]
    assert len(lines) > 35
    missing = []
    for line in lines:
        named = re.search(r"\| `(\w+): ([^`]+)` \|$", line)
        assert named, f"this line names no test: {line}"
        text = next((path.read_text() for f in FOLDERS if (path := f / f"test_{named[1]}.py").exists()), "")
        if f'"{named[2]}": ' not in text and f"def test_{named[2].replace(' ', '_')}(" not in text:
            missing.append(named[0])
    assert missing == []


def test_every_case_of_the_truth_table_is_on_the_page() -> None:
    cases = re.findall(r'^    "([^"]+)": Case\(', (FOLDERS[0] / "test_truth_table.py").read_text(), re.MULTILINE)
    assert [case for case in cases if f"`truth_table: {case}`" not in PAGE] == ["from NULL to a value"]
