"""The machines can fail: an engine with one rule put back to a simpler reading is found out.

`--mutants all` tries every one of tests/model/mutants.py, `--mutants fork_of_now,no_repair` these.
"""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Servers
from model.machines import run
from model.mutants import MERGES, MUTANTS
from postgres import Server


@pytest.fixture
def mutants(pytestconfig: pytest.Config) -> list[str]:
    asked: str = pytestconfig.getoption("--mutants")
    if not asked:
        pytest.skip("no --mutants")
    return list(MUTANTS) if asked == "all" else asked.split(",")


def test_a_wrong_engine_is_found_out(servers: Servers, server: Server, mutants: list[str]) -> None:
    survived = []
    for name in mutants:
        mutant = MUTANTS[name]
        template = servers.create(server.version, template=servers.template(server.version))
        mutant.install(template)
        template.close()
        try:
            only = (*MERGES, *mutant.also)
            run(mutant.machine, servers, server.version, examples=60, steps=30, template=template.name, only=only)
        except (AssertionError, psycopg.Error, ExceptionGroup) as found:
            if isinstance(found, psycopg.Error) and found.sqlstate is None:
                raise  # a server that has gone away shows nothing
            says = str(found).partition("\n")[0] or type(found).__name__
            print(f"{name}: found: {says[:120]}", flush=True)
        else:
            print(f"{name}: SURVIVED: {mutant.says}", flush=True)
            survived.append(name)
        servers.drop(template)
    assert not survived
