"""Random histories that are dumped and restored in between do what the slow model does."""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from fixtures.dumps import restore
from fixtures.postgres import Database, Servers
from model.machine import Machine
from postgres import Server


def test_a_history_goes_on_in_another_cluster(
    servers: Servers, elsewhere: Servers, server: Server, pytestconfig: pytest.Config
) -> None:
    examples: int | None = pytestconfig.getoption("--model-examples")

    all_moves = 0

    class Moving(Machine):
        moves = 0
        note_the_time = None  # type: ignore[assignment]  # these servers do not keep commit times

        @staticmethod
        def make() -> Database:
            return servers.create(server.version, template=servers.template(server.version))

        @staticmethod
        def drop(db: Database) -> None:
            (servers if db.server is server else elsewhere).drop(db)

        @precondition(lambda self: self.moves < 3 and len(self.repo.commits) > 2)
        @rule()
        def move(self) -> None:
            """Each time into the other cluster."""
            nonlocal all_moves
            self.end_flights(False)
            self.times.clear()
            all_moves += 1
            self.moves += 1
            restored = (servers if self.moves % 2 == 0 else elsewhere).create(server.version)
            restore(self.db, restored)
            self.drop(self.db)
            self.db = restored
            self.sessions.clear()

        def teardown(self) -> None:
            """Every history has been elsewhere before it is read back."""
            if self.moves == 0 and self.repo.commits and sys.exc_info()[0] is None:
                self.move()
            super().teardown()

    run_state_machine_as_test(
        Moving,
        settings=settings(
            max_examples=examples or 6,
            stateful_step_count=pytestconfig.getoption("--model-steps"),
            derandomize=examples is None,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        ),
    )
    assert all_moves > 0
