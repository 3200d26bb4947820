"""The set-based engine does what the slow model does, on random histories.

`--model-examples 500 --model-steps 60` looks longer, at other histories each time; `--model-without merge,fork` leaves
rules out.
"""

from __future__ import annotations

import pytest

from fixtures.postgres import Servers
from model.machines import MACHINES, run
from postgres import Server

pytestmark = pytest.mark.each_version


@pytest.mark.parametrize("name", sorted(MACHINES))
def test_a_repository_does_what_the_model_does(
    servers: Servers, server: Server, name: str, pytestconfig: pytest.Config
) -> None:
    examples: int | None = pytestconfig.getoption("--model-examples")
    without = [rule for rule in pytestconfig.getoption("--model-without").split(",") if rule]
    outcomes = run(
        name,
        servers,
        server.version,
        examples=examples or 6,
        steps=pytestconfig.getoption("--model-steps"),
        without=without,
        is_new=examples is not None,
        shrinks=not pytestconfig.getoption("--model-no-shrink"),
    )
    print(name, dict(outcomes))
    assert outcomes["merged"] > 0 or "merge" in without
