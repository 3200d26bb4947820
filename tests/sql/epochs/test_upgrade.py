"""pg_upgrade gives a cluster another identifier: a new epoch, over the same history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from fixtures.dumps import go_on, make_history, no_problem, seen
from fixtures.postgres import INSTALL, Database
from postgres import FAST, Server, run_as_server


@contextlib.contextmanager
def upgraded(old: Server) -> Iterator[Server]:
    """A cluster of version 18 made of a stopped one of an older version."""
    new = Server(18, settings=FAST)
    try:
        folder = str(new.folder)
        run_as_server(str(new.bin / "pg_checksums"), "--disable", "-D", str(new.data))
        moved = ["-b", old.bin, "-B", new.bin, "-d", old.data, "-D", new.data, "-U", new.user, "-s", folder]
        run_as_server(str(new.bin / "pg_upgrade"), *map(str, moved), cwd=folder)
        new.start()
        yield new
    finally:
        new.close()


@pytest.mark.parametrize("version", [15])
def test_pg_upgrade(version: int) -> None:
    with Server(version, settings=FAST) as old:
        old.psql("-c", "CREATE DATABASE shop")
        old.psql("-1", "-f", str(INSTALL), database="shop")
        shop = Database(old, "shop")
        make_history(shop)
        before = seen(shop)
        shop.close()
        old.stop("smart")
        with upgraded(old) as new:
            shop = Database(new, "shop")
            assert seen(shop) == before
            no_problem(shop)
            assert shop.value("SELECT last_value FROM pggit._epoch") == 2
            go_on(shop, "upgraded")
            shop.close()
