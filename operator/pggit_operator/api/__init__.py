"""What users write and read. One pydantic model per kind; `tools/crds.py` makes the CRDs from them."""

from pggit_operator.api.branch import DatabaseBranch
from pggit_operator.api.common import GROUP, VERSION, Condition, Object
from pggit_operator.api.database import VersionedDatabase
from pggit_operator.api.merge import Merge
from pggit_operator.api.snapshot import Snapshot

#: Every kind, in the order in which they build on each other.
KINDS: tuple[type[Object], ...] = (VersionedDatabase, DatabaseBranch, Snapshot, Merge)

__all__ = [
    "GROUP",
    "KINDS",
    "VERSION",
    "Condition",
    "DatabaseBranch",
    "Merge",
    "Object",
    "Snapshot",
    "VersionedDatabase",
]
