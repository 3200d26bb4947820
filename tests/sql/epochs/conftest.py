"""A second cluster of every version, for what comes from the first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.postgres import Servers


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Servers]:
    kept = Servers()
    yield kept
    kept.close()
