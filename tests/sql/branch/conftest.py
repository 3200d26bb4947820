"""The shop on main, and a branch of it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database

from .schema import SHOP


@pytest.fixture
def shop(db: Database) -> Database:
    db.run(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")
    return db


@pytest.fixture(params=["none", "all"])
def dev(shop: Database, request: pytest.FixtureRequest) -> Connection:
    """A session on a branch whose tables are views, or real."""
    shop.run("SELECT pggit.create_branch('dev', p_materialize => %s)", request.param)
    return shop.connect(branch="dev")
