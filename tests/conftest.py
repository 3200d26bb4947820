"""Fixtures live in tests/fixtures, one file per noun."""

from pathlib import Path

import pytest

pytest_plugins = [f"fixtures.{file.stem}" for file in sorted((Path(__file__).parent / "fixtures").glob("[a-z]*.py"))]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--model-examples", type=int, help="random histories of tests/model, new ones each time")
    parser.addoption("--model-steps", type=int, default=30, help="steps of each random history")
    parser.addoption("--model-without", default="", help="rules of tests/model to leave out, such as merge,fork")
    parser.addoption("--model-no-shrink", action="store_true", help="stop at the first failing history as it is")
    parser.addoption("--mutants", default="", help="wrong engines that tests/model has to find out; or all")
    parser.addoption("--migrations", type=int, default=4, help="random schemas of tests/sql/schema")
    parser.addoption("--merged-rows", type=int, default=4000, help="how many random rows tests/model merges at once")
    parser.addoption("--worlds", type=int, default=500, help="random histories at once in each universe of tests/model")
    parser.addoption("--first-world", type=int, default=0, help="number of the first of them")
    parser.addoption("--universe", type=int, help="one of the universes alone")
    parser.addoption("--gc-histories", type=int, default=8, help="random histories of tests/sql/gc")
    parser.addoption("--gc-first", type=int, default=0, help="number of the first of them")
    parser.addoption("--load-clients", type=int, default=10, help="clients at once in tests/load")
    parser.addoption("--load-seconds", type=float, default=6, help="how long they work")
    parser.addoption("--load-kills", type=int, default=2, help="how often the server is killed under them")
    parser.addoption("--deaths", type=int, default=5, help="at how many of its statements a merge dies; 0: at each")
    parser.addoption("--e2e", choices=["node", "cluster"], help="run tests/e2e on a node made here, or on KUBECONFIG")
    parser.addoption("--operator-image", default="pggit-operator:e2e", help="with --e2e=cluster: an image it has")
    parser.addoption("--postgres-image", default="postgres:17", help="with --e2e=cluster: an image it can pull")
