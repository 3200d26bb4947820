"""The schemas of real applications, as their own migrations make them: generated migrations go to each of them."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from fixtures.postgres import Database
from sql.schema.migrations import migrate

from .tools import run

pytestmark = pytest.mark.each_version

#: Those that come with Django, and two that are installed with requirements/dev.txt.
CONTRIB = ("admin", "sessions", "sites", "flatpages", "redirects")
OTHERS = ("taggit", "waffle")


@pytest.mark.parametrize("applications", [CONTRIB, OTHERS], ids=["contrib", "others"])
def test_from_every_migration_to_every_next_one(
    db: Database, monkeypatch: pytest.MonkeyPatch, applications: tuple[str, ...]
) -> None:
    """The tree is that of the commit, first all the way back and then, one migration after the other, forward."""
    if any(importlib.util.find_spec(name) is None for name in applications if name in OTHERS):
        pytest.skip("an application of requirements/dev.txt is not installed")
    names = applications if applications is OTHERS else tuple(f"django.contrib.{name}" for name in applications)
    monkeypatch.setenv("APPLICATIONS", " ".join(names))
    db.run("SELECT pggit.track_schema('public'), pggit.commit('empty'), pggit.tag('empty')")
    tags = run(db, "main", sys.executable, "step_by_step.py", folder="with_django", user="postgres").split()
    assert len(tags) > 15
    migrate(db.conn, "empty")
    for tag in tags:
        migrate(db.conn, tag)
    for tag in reversed(tags[::3]):
        migrate(db.conn, tag)
