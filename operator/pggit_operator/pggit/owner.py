"""Who a thing in the database belongs to."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Owner:
    """An object in some cluster. Made again it is the same owner: its uid does not count."""

    installation: str
    namespace: str
    name: str
    uid: str

    @property
    def record(self) -> dict[str, str]:
        return asdict(self)
