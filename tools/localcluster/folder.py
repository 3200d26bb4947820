"""Temporary folders that say whether their owner still lives, so that a later start can clear up after a killed one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


class Folder:
    """A temporary folder of ours. It holds a locked file as long as this process lives."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{prefix}-"))
        fresh = self.path / "owner.new"
        self._lock = os.open(fresh, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / "owner")

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def abandoned(prefix: str) -> Iterator[Path]:
    """The folders whose owner was killed before it could remove them."""
    for owner in Path(tempfile.gettempdir()).glob(f"{prefix}-*/owner"):
        try:
            lock = os.open(owner, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield owner.parent
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
