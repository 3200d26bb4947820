"""What went wrong with the local cluster, in a sentence that says what to do."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot be used; the message says why, and what to install or set."""
