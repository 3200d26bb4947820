"""The six steps of the demo with real pods, in this order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.conftest import RELEASE, SYSTEM, TEAM, Place
from localcluster import ClusterError
from story.steps import STEPS, Story, ask_for_the_merge_again


def test_helm_test_says_that_the_operator_is_ready(release: Place) -> None:
    said = release.cluster.run_helm("test", RELEASE, "--namespace", SYSTEM, "--timeout=120s")
    assert "Phase:          Succeeded" in said


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_step(story: Story, step: Callable[[Story], object]) -> None:
    step(story)


def test_a_merge_that_is_applied_again_merges_nothing_again(story: Story) -> None:
    ask_for_the_merge_again(story)


def test_no_password_is_in_a_status_an_event_or_a_log(release: Place, story: Story) -> None:
    passwords = {story.owner_secret["password"], story.kubectl.secret("fix-populations")["password"]}
    told = [
        release.cluster.run("logs", f"deployment/{RELEASE}", "--namespace", SYSTEM),
        release.cluster.run("get", "pggit,events", "--namespace", TEAM, "--output=yaml"),
    ]
    for text in told:
        assert text
        assert not [password for password in passwords if password in text]


def test_the_operator_cannot_write_to_its_image(release: Place) -> None:
    write = ["python", "-c", "open('/var/tmp/x', 'w')"]
    with pytest.raises(ClusterError, match="Read-only file system"):
        release.cluster.run("exec", f"deployment/{RELEASE}", "--namespace", SYSTEM, "--", *write)
