"""The shop on main, and a branch of it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection, Database

from .schema import SHOP


@pytest.fixture
def shop(db: Database) -> Database:
    return db.begin(SHOP + "SELECT pggit.track_schema('public'); SELECT pggit.commit('first');")


@pytest.fixture(params=["none", "all"])
def dev(shop: Database, request: pytest.FixtureRequest) -> Connection:
    """A session on a branch whose tables are views, or real."""
    shop.begin(f"SELECT pggit.create_branch('dev', p_materialize => '{request.param}')")
    return shop.connect(branch="dev")
