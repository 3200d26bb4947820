"""What the guides show is what happens, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import guide
from fixtures.postgres import ROOT, Database

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
TARGET = re.compile(r"(?:`|^)make ([a-z0-9-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", guide.GUIDES, ids=lambda page: page.stem)
def test_psql_prints_what_the_guide_says(db: Database, page: Path) -> None:
    text = page.read_text()
    assert guide.masked(guide.with_output(text, db.server, db.name)) == guide.masked(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_the_commands_of_the_readme_are_there() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
    assert {name for page in pages for name in TARGET.findall(page.read_text())} <= targets
