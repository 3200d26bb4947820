"""pggit beside plain PostgreSQL, in one run: what each operation costs, against what was promised. Nothing here fails
because of a figure.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from branches import creation, huge, moved_reads, reads, writes
from capture import capture
from history import as_of, commits, commits_on_many, diffs
from lab import SETTINGS, Figure, Lab
from merges import merges
from postgres import VERSIONS, Server
from schemas import ddl, schemas

BENCHES: dict[str, Callable[[Lab], Iterator[Figure]]] = {
    "creation": creation,
    "capture": capture,
    "reads": reads,
    "moved_reads": moved_reads,
    "writes": writes,
    "diffs": diffs,
    "merges": merges,
    "commits": commits,
    "commits_on_many": commits_on_many,
    "as_of": as_of,
    "schemas": schemas,
    "ddl": ddl,
}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--pg", type=int, default=18, choices=VERSIONS, help="PostgreSQL's major version")
    options.add_argument("--rows", type=int, help="rows of the large table, at least 1,000 (1,000,000; quick: 100,000)")
    options.add_argument("--quick", action="store_true", help="fewer rows and fewer repetitions: about half a minute")
    options.add_argument("--large", action="store_true", help="also merges in ten times the rows: minutes, gigabytes")
    options.add_argument("--only", action="append", choices=BENCHES, help="this benchmark alone; may be repeated")
    options.add_argument(
        "--huge", action="store_true", help="branches of 10,000,000 rows, too, which take minutes to load"
    )
    given = options.parse_args()
    rows = given.rows or (100_000 if given.quick else 1_000_000)
    if rows < 1000:
        options.error("--rows must be at least 1000")
    with Server(given.pg, settings=SETTINGS, folder=Path(tempfile.gettempdir())) as server:
        lab = Lab(server, rows, 3 if given.quick else 9, given.large)
        print(f"PostgreSQL {given.pg}, {rows:,} rows\n")
        print(f"{'what':<52}{'measured':>16} {'':<8}{'plain':>16}{'ratio':>8}  {'target':<20}")
        for bench in [BENCHES[name] for name in given.only or BENCHES] + [huge] * given.huge:
            for figure in bench(lab):
                print(figure, flush=True)


if __name__ == "__main__":
    main()
