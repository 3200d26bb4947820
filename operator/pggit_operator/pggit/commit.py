"""Commits."""

from __future__ import annotations

from pggit_operator.pggit.call import Connection, value


def commit(conn: Connection, *, message: str, branch: str) -> str:
    """Record a branch as it is now; the commit's id. An empty first commit is one too."""
    return str(value(conn, "commit", message=message, branch=branch, allow_empty=True))
