"""kill -9 of the operator at any moment: started again, it comes to the same end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.operating import Database, Site, open_by, serving
from localcluster import ControlPlane
from postgres import Server
from story.shell import Show
from story.stage import Stage, stage
from story.steps import STEPS, ask_for_the_merge_again, end_state


@contextmanager
def _stage() -> Iterator[Stage]:
    with ControlPlane(own=True) as plane, stage(plane, Show()) as told:
        yield told


def _tell(told: Stage) -> Any:
    for step in (*STEPS, ask_for_the_merge_again):
        step(told.story)
    return end_state(told.story)


def test_killed_between_any_two_steps_of_the_story_it_ends_the_same() -> None:
    with _stage() as undisturbed:
        expected = _tell(undisturbed)

    with _stage() as told:
        killed: list[str] = []

        def kill_and_start_again(step: str) -> None:
            killed.append(step)
            told.operator.kill()
            told.operator.start()

        told.story.between = kill_and_start_again
        assert _tell(told) == expected
    assert len(killed) >= 6


def _short_story(site: Site, disturb: Callable[[], None]) -> tuple[Database, dict[str, Any]]:
    """The same steps on a small table, with a disturbance right after each wish; what is there at the end."""
    names = site.namespace
    owner = site.database(
        "CREATE TABLE items (id int PRIMARY KEY, price numeric); INSERT INTO items VALUES (1, 1), (2, 2);"
    )
    ref = {"databaseRef": {"name": "shop"}}
    names.secret("shop", **owner.secret)
    names.apply("VersionedDatabase", "shop", {"connection": {"secretName": "shop"}})
    disturb()
    site.wait("vdb", "shop", "UnderVersionControl", 60)
    names.apply("DatabaseBranch", "fix", {**ref, "deletionPolicy": "Delete"})
    disturb()
    site.wait("dbb", "fix", "BranchReady", 60)
    with open_by(site.secret("fix")) as session:
        session.execute("UPDATE items SET price = 10 WHERE id = 1")
        session.execute("UPDATE items SET price = 20 WHERE id = 2")
    owner.run("UPDATE items SET price = 11 WHERE id = 1")
    names.apply("Snapshot", "before", ref)
    disturb()
    site.wait("dbsnap", "before", "SnapshotTaken", 60)
    names.apply("Merge", "fix", {**ref, "source": "fix"})
    disturb()
    site.wait("dbm", "fix", "Conflicted", 60)
    names.apply("Merge", "fix", {**ref, "source": "fix", "resolutions": [{"table": "items", "take": "Theirs"}]})
    disturb()
    site.wait("dbm", "fix", "Merged", 60)
    names.run("delete", "dbb", "fix", "--wait=false")
    disturb()
    names.run("wait", "--for=delete", "dbb/fix", "--timeout=60s")
    return owner, {
        "items": owner.rows("SELECT id, price FROM items ORDER BY id"),
        "log": owner.rows("SELECT message, rows_changed, cardinality(parents) FROM pggit.log('main', 100)"),
        "branches": owner.rows("SELECT name FROM pggit.list_branches()"),
        "tags": owner.rows("SELECT name FROM pggit.tags"),
        "merges": owner.rows("SELECT result FROM pggit.merges"),
        "logins": owner.rows("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pggit_' || (%s)", _prefix(owner)),
        "problems": owner.rows("SELECT * FROM pggit.verify()"),
    }


def _prefix(owner: Database) -> str:
    ((oid,),) = owner.rows("SELECT oid FROM pg_database WHERE datname = current_database()")
    return f"{oid}_%"


@pytest.mark.parametrize("seed", range(3))
def test_killed_in_the_middle_of_its_work_it_ends_the_same(
    cluster: ControlPlane, postgresql: Server, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with serving(cluster, postgresql, tmp_path) as site:

        def kill_at_some_moment() -> None:
            time.sleep(chance.uniform(0, 0.25))
            site.operator.kill()
            site.operator.start()

        owner, end = _short_story(site, kill_at_some_moment)

    assert end == {
        "items": [(1, 10), (2, 20)],
        "log": [
            ("merge fix into main", 2, 2),
            ("pending changes of fix", 2, 1),
            ("snapshot before", 1, 1),
            ("first commit", 0, 0),
        ],
        "branches": [("main",)],
        "tags": [("before",)],
        "merges": [("merged",)],
        "logins": [(0,)],
        "problems": [],
    }, owner.name
