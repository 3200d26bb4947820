"""The way out of every error of the SQL core, in terms of the manifest: its own hints are for people at psql."""

from __future__ import annotations

from pggit_operator import errors
from pggit_operator.errors import PgGitError

DATABASE, BRANCH, SNAPSHOT, MERGE = "VersionedDatabase", "DatabaseBranch", "Snapshot", "Merge"
#: Every kind for which there is no sentence of its own.
OTHER = ""

#: The hint of the SQL core says what to do in PostgreSQL itself, where no manifest can help.
KEPT = (errors.NotPermitted,)

WAYS_OUT: dict[type[PgGitError], dict[str, str]] = {
    errors.BranchNotFound: {
        BRANCH: "Apply the DatabaseBranch that makes it, or correct spec.from.branch.",
        SNAPSHOT: "Apply the DatabaseBranch that makes it, or correct spec.branch.",
        MERGE: "Apply the DatabaseBranch that makes it, or correct spec.source or spec.target.",
        OTHER: "It is looked for again.",
    },
    errors.RefNotFound: {
        BRANCH: "Correct spec.from.",
        OTHER: "Make another object that names a commit which is there.",
    },
    errors.TagNotFound: {
        BRANCH: "Apply the Snapshot that takes it, or correct spec.from: a tag is named in spec.from.tag, a branch in "
        "spec.from.branch.",
        OTHER: "Apply the Snapshot that takes it.",
    },
    errors.TableNotFound: {
        DATABASE: "Correct spec.excludeTables.",
        OTHER: 'Correct the table in spec.resolutions; it is written as in SQL: orders, sales.orders or "Odd Name".',
    },
    errors.TableNotTracked: {
        DATABASE: "Correct spec.excludeTables.",
        OTHER: "Correct the table in spec.resolutions: only tables under version control have conflicts.",
    },
    errors.ObjectNotFound: {OTHER: "Correct its name, or wait until it is made in the database."},
    errors.MergeNotFound: {
        MERGE: "Apply the Merge that spec.revertOf names, or correct spec.revertOf; it is waited for.",
        OTHER: "Make another Merge.",
    },
    errors.ConflictNotFound: {
        OTHER: "Correct spec.resolutions: status.conflicts.items lists the conflicts that there are with their ids. "
        "A conflict is gone when its rows have changed since."
    },
    errors.SchemaNotFound: {OTHER: "Create it in the database, or correct spec.trackedSchemas."},
    errors.NoCommitsYet: {OTHER: "Wait until the VersionedDatabase is Ready: it makes the first commit."},
    errors.BranchExists: {
        BRANCH: "Rename or drop the schema in the database, or give the branch another name with spec.name.",
        OTHER: "Choose another name.",
    },
    errors.TagExists: {OTHER: "Choose another name with spec.tag."},
    errors.NameOwned: {
        BRANCH: "Choose another name with spec.name. A branch that its holder left behind is given up when the holder "
        "is applied again with deletionPolicy: Delete, and deleted.",
        SNAPSHOT: "Choose another name with spec.tag.",
        OTHER: "Choose another name.",
    },
    errors.AlreadyRan: {OTHER: "A Merge runs once under its name: give this one another metadata.name."},
    errors.InvalidName: {
        BRANCH: "Correct spec.name (metadata.name where it is not given): names follow the rules of Git, such as "
        "feature/prices or fix-42.",
        SNAPSHOT: "Correct spec.tag (metadata.name where it is not given): names follow the rules of Git, such as "
        "v1.2 or before/prices.",
        OTHER: "Names follow the rules of Git, such as feature/prices or fix-42.",
    },
    errors.InvalidArgument: {
        DATABASE: "Correct spec.trackedSchemas: schemas of the system, of branches and pggit itself are left out.",
        MERGE: "Correct the spec: rules and fill name columns that there are, and what revertOf names is undone on its "
        "target.",
        OTHER: "Correct the spec.",
    },
    errors.TableUnsupported: {OTHER: "Give it an ordinary primary key, or name it in spec.excludeTables."},
    errors.InvalidResolution: {
        OTHER: "Correct spec.resolutions: a value is in PostgreSQL's text form, JSON text for json and jsonb; a whole "
        "row is a JSON object."
    },
    errors.AmbiguousRef: {OTHER: "Give more of its digits in spec.from.commit."},
    errors.UnrelatedHistories: {OTHER: "Make another Merge with branches that began at one commit."},
    errors.BranchProtected: {
        OTHER: "Set spec.protected to false. Where it is false already, somebody protected the branch in the database: "
        "set spec.deletionPolicy to Retain to keep the branch and let this object go."
    },
    errors.SchemaDiffers: {OTHER: "Give the tables the same columns on both sides; it is tried again then."},
    errors.MergeSettled: {OTHER: "Make another Merge."},
    errors.NothingToCommit: {OTHER: "It is tried again when something has changed."},
    errors.HistoryGap: {
        BRANCH: "Begin at a newer state: correct spec.from.",
        OTHER: "Make another object that names a newer state.",
    },
    errors.NotSupported: {
        BRANCH: "Set spec.materialize to Auto: tables that cannot be views are real tables then.",
        MERGE: "Make the branch again with spec.materialize: All, and merge that one.",
        OTHER: "Correct the spec.",
    },
    errors.BranchInUse: {
        DATABASE: "Delete these branches (their DatabaseBranches with deletionPolicy: Delete), or take the table out "
        "of spec.excludeTables.",
        BRANCH: "Drop or move these objects in the database, or set spec.deletionPolicy to Retain to keep the branch.",
        OTHER: "It is tried again when it is free.",
    },
    errors.WrongBranch: {OTHER: "This is a fault of the operator: please report it."},
    errors.TriggersInterfered: {
        OTHER: "Triggers that are ENABLE ALWAYS or ENABLE REPLICA fire in a merge: make them ordinary ones. "
        "Nothing was written."
    },
    errors.CheckFailed: {OTHER: "Nothing was written. Change the rows on a branch, or the check."},
    errors.PathNotTrusted: {
        OTHER: "Rename it in the database, give it to the user of the connection's Secret if it can be trusted, or "
        "take its schema off that user's search_path."
    },
    errors.BranchUnmerged: {OTHER: "Merge the branch first, or set spec.deletionPolicy to Retain to keep it."},
    errors.Busy: {OTHER: "It is tried again by itself."},
    errors.TargetMoved: {OTHER: "It is tried again by itself."},
    errors.HeldTooLong: {OTHER: "It is tried again by itself, and gets through when fewer writers wait for it."},
    errors.StoreDamaged: {OTHER: "Nothing more is written. Please report this."},
    errors.IndexPathLost: {OTHER: "Please report this."},
}


def told(error: PgGitError, kind: str | None = None) -> str:
    """An error as a status tells it: what happened, why, and what the author of an object of this kind can do."""
    ways = WAYS_OUT.get(type(error))
    hint = error.hint if ways is None else ways.get(kind or OTHER) or ways[OTHER]
    return f"{error.message}. {hint}" if hint else error.message
