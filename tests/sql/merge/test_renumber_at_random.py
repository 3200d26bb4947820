"""Random histories of branches that give the same keys to different rows, merged to and fro with rule renumber.

Every row has a label of its own, and only the branch that made it changes it: so what a branch has to show is what all
that it has merged has done, by labels, whatever the keys are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from psycopg.types.json import Jsonb

from fixtures.postgres import Database, query

RULE = Jsonb({"rules": [{"rule": "renumber"}]})
WAITS = "renumber: only merges with main give new keys; merge one of the branches with main first"
STATE = """
    SELECT 't', t.label, u.label FROM t LEFT JOIN t AS u ON u.id = t.up
    UNION ALL SELECT 'lines', l.label, t.label FROM lines AS l LEFT JOIN t ON t.id = l.t_id
    UNION ALL SELECT 'notes', n.label, t.label FROM notes AS n LEFT JOIN t ON t.id = n.t_id
"""
Event = tuple[int, str, str, str | None]


@dataclass
class History:
    """What each branch has done or merged: events (number, table, label, label of the row it refers to; - deletes)."""

    db: Database
    chance: random.Random
    events: dict[str, set[Event]] = field(default_factory=lambda: {"main": set()})
    made_on: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def state(self, branch: str) -> dict[tuple[str, str], str | None]:
        rows: dict[tuple[str, str], str | None] = {}
        for _, table, label, up in sorted(self.events[branch]):
            rows[table, label] = up
        return {row: up for row, up in rows.items() if up != "-"}

    def note(self, branch: str, table: str, label: str, up: str | None) -> None:
        self.number += 1
        self.events[branch].add((self.number, table, label, up))

    def fork(self) -> None:
        source = self.chance.choice(list(self.events))
        name = f"b{len(self.events)}"
        self.db.run(
            "SELECT pggit.create_branch(%s, %s, p_materialize => %s)", name, source, self.chance.choice(["none", "all"])
        )
        self.events[name] = set(self.events[source])

    def write(self) -> None:
        branch = self.chance.choice(list(self.events))
        session = self.db.connect(branch=branch)
        rows = self.state(branch)
        ups = [label for table, label in rows if table == "t"]
        mine = [(table, label) for table, label in rows if self.made_on[label] == branch]
        label, up = f"{branch}.{self.number}", self.chance.choice(ups) if ups else None
        self.made_on[label] = branch
        kind = self.chance.choice(["t", "t", "lines", "notes", "move", "delete"])
        key = "(SELECT max(id) FROM t WHERE label = %s)"
        if kind == "t":
            (free,) = query(
                session,
                "SELECT min(i) FROM generate_series(1, 1000) AS i WHERE NOT EXISTS (SELECT FROM t WHERE id = i)",
            ).fetchone() or (1,)
            query(session, f"INSERT INTO t (id, up, label) VALUES (%s, {key}, %s)", free, up, label)
            self.note(branch, "t", label, up)
        elif kind == "lines" and up:
            query(session, f"INSERT INTO lines VALUES ({key}, %s, %s)", up, self.number, label)
            self.note(branch, "lines", label, up)
        elif kind == "notes" and up:
            query(session, f"INSERT INTO notes VALUES ({key}, %s)", up, label)
            self.note(branch, "notes", label, up)
        elif kind == "move" and [one for one in mine if one[0] == "t"]:
            label = self.chance.choice([label for table, label in mine if table == "t"])
            query(session, f"UPDATE t SET up = {key} WHERE label = %s", up, label)
            self.note(branch, "t", label, up)
        elif kind == "delete" and [one for one in mine if one[0] != "t"]:
            table, label = self.chance.choice([one for one in mine if one[0] != "t"])
            query(session, f"DELETE FROM {table} WHERE label = %s", label)
            self.note(branch, table, label, "-")
        session.close()

    def merge(self) -> None:
        if len(self.events) < 2:
            return
        source, target = self.chance.sample(list(self.events), 2)
        merge, result, detail = self.db.row(
            "SELECT m.merge_id, m.result, m.detail FROM pggit.merge(%s, %s, NULL, %s) AS m", source, target, RULE
        )
        if result == "conflicted":
            why = self.db.rows("SELECT DISTINCT note FROM pggit.merge_conflicts WHERE merge_id = %s", merge)
            assert why == [(WAITS,)], (source, target)
            assert "main" not in (source, target)
            self.db.run("SELECT pggit.abort_merge(%s)", merge)
        elif result == "refused":
            assert detail["sqlstate"] == "VG310", "keys that went different ways, or are somebody else's by now"
        else:
            assert result in ("merged", "fast_forward", "up_to_date"), detail
            self.events[target] |= self.events[source]

    def check(self) -> None:
        for branch in self.events:
            found = sorted(query(self.db.connect(branch=branch), STATE).fetchall(), key=str)
            wanted = [(table, label, up) for (table, label), up in self.state(branch).items()]
            assert found == sorted(wanted, key=str), branch


@pytest.mark.seeds(3)
def test_every_row_is_there_once_and_refers_to_its_own(db: Database, seed: int) -> None:
    db.run("""
        CREATE TABLE t (id serial PRIMARY KEY, up integer REFERENCES t, label text NOT NULL);
        CREATE TABLE lines (t_id integer REFERENCES t, line integer, label text, PRIMARY KEY (t_id, line));
        CREATE TABLE notes (t_id integer REFERENCES t, label text);
        SELECT pggit.track_schema('public');
        SELECT pggit.commit('first');
    """)
    history = History(db, random.Random(seed))
    history.fork()
    for step in range(40):
        if step in (10, 20):
            history.fork()
        history.chance.choices([history.write, history.merge], [4, 1])[0]()
        if step % 10 == 9:
            history.check()
    history.check()
    assert db.rows("SELECT * FROM pggit.verify()") == []
