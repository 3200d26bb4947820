"""The set-based engine does what the slow model does, on random histories.

`--model-examples 500 --model-steps 60` looks longer, at other histories each time; `--model-without merge,fork` leaves
rules out.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from fixtures.postgres import Database, Servers
from model.machine import Machine
from postgres import Server


def test_a_repository_does_what_the_model_does(servers: Servers, server: Server, pytestconfig: pytest.Config) -> None:
    without = [name for name in pytestconfig.getoption("--model-without").split(",") if name]
    examples: int | None = pytestconfig.getoption("--model-examples")

    class Here(Machine):
        @staticmethod
        def make() -> Database:
            return servers.create(server.version, template=servers.template(server.version))

        @staticmethod
        def drop(db: Database) -> None:
            servers.drop(db)

    for name in without:
        assert hasattr(Machine, name), f"there is no rule {name}"
        setattr(Here, name, None)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples or 20,
            stateful_step_count=pytestconfig.getoption("--model-steps"),
            derandomize=examples is None,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,) if pytestconfig.getoption("--model-no-shrink") else (Phase.generate, Phase.shrink),
        ),
    )
