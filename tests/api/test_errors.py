"""errors.py has one class per code of the SQL core, and says the same about it."""

from __future__ import annotations

import pytest

from fixtures.postgres import Connection
from pggit_operator.errors import BY_SQLSTATE


@pytest.mark.pg(18)
def test_the_classes_are_those_of_the_view(conn: Connection) -> None:
    in_sql = conn.execute("SELECT sqlstate, name, who_acts, retry FROM pggit.errors ORDER BY sqlstate").fetchall()

    in_python = sorted((state, kind.__name__, str(kind.who), str(kind.retry)) for state, kind in BY_SQLSTATE.items())

    assert in_python == in_sql
