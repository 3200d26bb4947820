"""Servers that keep commit times, so that what a branch was at a time is exact."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.postgres import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    kept = Servers(track_commit_timestamp="on")
    yield kept
    kept.close()
