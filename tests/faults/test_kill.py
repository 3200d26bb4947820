"""kill -9 of the operator at any moment: started again, it comes to the same end."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fixtures.operating import serving
from fixtures.short_story import END, short_story
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

        owner, end = short_story(site, kill_at_some_moment)

    assert end == END, owner.name
