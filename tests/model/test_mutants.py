"""The machines can fail: an engine with one rule put back to a simpler reading is found out.

`--mutants all` tries every one of tests/model/mutants.py, `--mutants fork_of_now,no_repair` these.
"""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Database, Servers
from model.machine import DiffersError, VerifyComplainsError
from model.machines import run
from model.mutants import MERGES, MUTANTS
from postgres import Server


@pytest.fixture
def mutants(pytestconfig: pytest.Config) -> list[str]:
    asked: str = pytestconfig.getoption("--mutants")
    if not asked:
        pytest.skip("no --mutants")
    return list(MUTANTS) if asked == "all" else asked.split(",")


def how(found: BaseException) -> str:
    """By what a mutant was found; raises what shows nothing about it."""
    if isinstance(found, BaseExceptionGroup):
        return how(found.exceptions[0])
    if isinstance(found, DiffersError):
        return "other rows than the model's"
    if isinstance(found, VerifyComplainsError):
        return "verify"
    if not isinstance(found, psycopg.Error):
        return "an answer that the model does not give"
    # A server that has gone away, and an engine that does not run: undefined objects, syntax.
    if found.sqlstate is None or found.sqlstate.startswith("42"):
        raise found
    return f"error {found.sqlstate}"


def test_each_is_another_text_of_the_core(db: Database) -> None:
    for mutant in MUTANTS.values():
        assert mutant.old != mutant.new
        mutant.text_of(db)


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
        except (AssertionError, pytest.fail.Exception, psycopg.Error, BaseExceptionGroup) as found:
            says = str(found).partition("\n")[0] or type(found).__name__
            print(f"{name}: found by {how(found)}: {says[:160]}", flush=True)
        else:
            print(f"{name}: SURVIVED: {mutant.says}", flush=True)
            survived.append(name)
        servers.drop(template)
    assert not survived
