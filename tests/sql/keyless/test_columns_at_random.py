"""Random changes of the columns and rows of a table without a key on main and on a branch: both directions of a merge
give the same rows, each of them once, with what its side wrote in it."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from fixtures.postgres import Connection, Database, query

START = """
    CREATE TABLE t (line text, n integer, a integer DEFAULT 1, c integer);
    INSERT INTO t SELECT u.side || g % 4, g % 2, g % 3, 7
      FROM generate_series(1, 12) AS g, unnest(ARRAY['m', 'd']) AS u(side);
    SELECT pggit.track_schema('public'); SELECT pggit.commit('start');
    SELECT pggit.create_branch('dev');
"""

Rows = Counter[tuple[object, ...]]


class Side:
    """One line. It writes the rows whose `line` begins with its letter; a column that is new it may fill in all."""

    def __init__(self, session: Connection, letter: str, chance: random.Random) -> None:
        self.session, self.letter, self.chance = session, letter, chance
        self.number = 0
        #: Names by what they were first: the same columns have the same there on both sides.
        self.names = {name: name for name in ("line", "n", "a", "c")}

    def mine(self) -> list[str]:
        """The columns that only this side changes, and those that it has made."""
        return [first for first in self.names if first == {"m": "a", "d": "c"}[self.letter] or first[0] == self.letter]

    def step(self, had: list[str]) -> str:
        self.number += 1
        fresh = f"{self.letter}{self.number}"
        line = f"{self.letter}{self.chance.randrange(5)}"
        kinds = ["insert", "insert", "update", "delete", "add"]
        kinds += ["fill", "fill all", "rename", "drop", "widen"] * bool(self.mine())
        kind = self.chance.choice(kinds)
        first = self.chance.choice(self.mine() or ["n"])
        column = self.names[first]
        if kind == "rename":
            self.names[first] = fresh
        elif kind == "drop":
            del self.names[first]
        elif kind == "add":
            self.names[fresh] = fresh
        copies = self.chance.randint(1, 2)
        made = self.chance.choice(["integer", "text", "integer DEFAULT 3", "bigint DEFAULT 4"])
        return {
            "insert": f"INSERT INTO t (line, n) SELECT '{line}', {9 + self.number} FROM generate_series(1, {copies})",
            "update": f"UPDATE t SET n = {self.chance.randrange(3)} WHERE line = '{line}'",
            "delete": f"DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE line = '{line}')",
            "add": f"ALTER TABLE t ADD {fresh} {made}",
            "fill": f"UPDATE t SET {column} = {self.number} WHERE line = '{line}'",
            "fill all": f"UPDATE t SET {column} = {self.number}"
            + (f" WHERE line LIKE '{self.letter}%'" if first in had else ""),
            "rename": f"ALTER TABLE t RENAME {column} TO {fresh}",
            "drop": f"ALTER TABLE t DROP {column}",
            "widen": f"ALTER TABLE t ALTER {column} TYPE text",
        }[kind]

    def rows(self, columns: list[str], letter: str = "") -> Rows:
        """In some columns, by their first names; of all lines, or of those of one side."""
        shown = ", ".join(f"{self.names[first]}::text" for first in columns)
        return Counter(query(self.session, f"SELECT {shown} FROM t WHERE line LIKE '{letter}%'").fetchall())


@pytest.mark.seeds(4)
def test_merges_both_ways_agree(db: Database, seed: int) -> None:
    chance = random.Random(seed)
    db.run(START)
    main, dev = Side(db.conn, "m", chance), Side(db.connect(branch="dev"), "d", chance)
    log: list[str] = []
    base, had = main.rows([*main.names]), [*main.names]
    for _ in range(3):
        for _ in range(6):
            side = chance.choice([main, dev])
            log.append(f"{side.letter}: {side.step(had)}")
            query(side.session, log[-1][3:])
        left = [first for first in had if first in main.names and first in dev.names]
        kept = [first for first in (*main.names, *dev.names) if first in left or first not in had]
        at = [had.index(first) for first in left]
        counted = main.rows(left) + dev.rows(left)
        for row, n in base.items():
            counted[tuple(row[i] for i in at)] -= n
        own = {
            side.letter: [one for one in side.names if one in kept and one not in other.mine()]
            for side, other in ((main, dev), (dev, main))
        }
        wanted = {side.letter: side.rows(own[side.letter], side.letter) for side in (main, dev)}
        # Where half of the rows have other values in a column of another type, somebody is asked how: as they are.
        names = {first: (main if first in main.mine() else dev).names[first] for first in dict.fromkeys(kept)}
        for source, target in (("dev", "main"), ("main", "dev")):
            result = db.row(
                "SELECT result, conflicts, schema_conflicts, detail FROM pggit.merge(%s, %s,"
                " p_options => jsonb_build_object('fill', %s::jsonb))",
                source,
                target,
                json.dumps({f"t.{name}": name if first in had else "5" for first, name in names.items()}),
            )
            assert result[0] in ("merged", "fast_forward", "up_to_date"), "\n".join([*log, str(result)])
            log.append(f"{source} into {target}: {result[0]}")
        main.names, dev.names = dict(names), dict(names)
        had = [*names]
        base = main.rows(had)
        assert base == dev.rows(had), "\n".join(log)
        assert main.rows(left) == +counted, "\n".join([str(left), str(had), *log])
        for letter, rows in wanted.items():
            assert main.rows(own[letter], letter) == rows, "\n".join([letter, str(own), str(had), *log])
        assert db.rows("SELECT * FROM pggit.verify()") == [], log
        assert db.rows("SELECT * FROM pggit.diff('main', 'dev')") == [], log
