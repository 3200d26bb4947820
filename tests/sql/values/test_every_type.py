# ruff: noqa: E501 - SQL is not wrapped
"""Every type goes through history, branches, merges and conflicts without one byte changed, as value and as key."""

from __future__ import annotations

import psycopg
import pytest

from fixtures.postgres import Connection, Database, query, raises

from .samples import NOT_IN_JSON, cast, install, plain

FORMS = ("none", "all")
UNTRACKED = ("json[]", "deep")


class Values:
    """A table t with a column of every type: row n has in each column the n-th of its values, then NULL, then again."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.kinds = install(db)
        self.columns = [f"v{n}" for n in range(len(self.kinds))]
        self.samples = [
            [cast(kind, value) for value in [*values, *([] if kind == "needed" else [None])]]
            for kind, values in self.kinds.items()
        ]
        self.count = max(map(len, self.samples))
        listed = ", ".join(f"{column} {kind}" for column, kind in zip(self.columns, self.kinds, strict=True))
        db.run(f"CREATE TABLE t (id integer PRIMARY KEY, w text, {listed})")
        for row in range(self.count):
            db.run(f"INSERT INTO t VALUES ({row}, 'w', {', '.join(self.row(row))})")
        db.run("SELECT pggit.track_schema('public')")
        db.run("SELECT pggit.tag('v1', pggit.commit('v1'))")

    def row(self, number: int) -> list[str]:
        return [values[number % len(values)] for values in self.samples]

    def set(self, session: Connection, row: int, values: list[str]) -> None:
        cells = ", ".join(f"{column} = {value}" for column, value in zip(self.columns, values, strict=True))
        query(session, f"UPDATE t SET {cells} WHERE id = {row}")

    def turn(self, session: Connection, by: int) -> None:
        """Every row gets the values of the one so many places on."""
        for row in range(self.count):
            self.set(session, row, self.row(row + by))

    def shown(self, session: Connection, source: str = "t") -> list[list[str | None]]:
        """All cells as text."""
        cells = ", ".join(f"{column}::text" for column in self.columns)
        return [list(row) for row in query(session, f"SELECT id::text, w, {cells} FROM {source} ORDER BY t.id")]

    def at(self, ref: str) -> list[list[str | None]]:
        return self.shown(self.db.conn, f"pggit.as_of(NULL::public.t, '{ref}') AS t")

    def branch(self, name: str, form: str) -> Connection:
        self.db.run("SELECT pggit.create_branch(%s, 'main', 'schema', %s)", name, form)
        return self.db.connect(branch=name)


@pytest.fixture
def values(db: Database) -> Values:
    return Values(db)


def test_history_has_every_value(values: Values) -> None:
    db = values.db
    first = values.shown(db.conn)
    values.turn(db.conn, 1)
    second = values.shown(db.conn)
    db.run("SELECT pggit.tag('v2', pggit.commit('v2'))")
    values.turn(db.conn, 2)
    db.run("SELECT pggit.commit('v3'); DELETE FROM t WHERE id = 0; SELECT pggit.commit('v4')")
    assert (values.at("v1"), values.at("v2")) == (first, second)
    changes = db.rows("SELECT change, key, old_row ->> 'w', new_row ->> 'w' FROM pggit.diff_rows('t', 'v1', 'v2')")
    assert changes == [("update", {"id": row}, "w", "w") for row in range(values.count)]
    blamed = db.rows(
        "SELECT column_name, commit_id = (SELECT commit_id FROM pggit.tags WHERE name = 'v2') FROM pggit.blame('t', '{\"id\": 1}', 'v2')"
    )
    changed = [one != two for one, two in zip(first[1][2:], second[1][2:], strict=True)]
    blamed_on_v2 = dict(blamed)
    for column, kind, is_changed in zip(values.columns, values.kinds, changed, strict=True):
        assert kind in NOT_IN_JSON or blamed_on_v2[column] == is_changed, kind
    assert not blamed_on_v2["w"]
    assert db.value("SELECT result FROM pggit.revert('HEAD')") == "merged"
    assert values.shown(db.conn) == values.at("HEAD~2")
    assert db.rows("SELECT * FROM pggit.verify()") == []


def test_branches_and_merges_have_every_value(values: Values) -> None:
    db = values.db
    base = values.shown(db.conn)
    values.turn(db.conn, 1)
    after = values.shown(db.conn)
    values.turn(db.conn, 0)
    sessions = {form: values.branch(form, form) for form in FORMS}
    for session in sessions.values():
        assert values.shown(session) == base
        values.turn(session, 1)
        query(
            session, f"INSERT INTO t (id, w, {', '.join(values.columns)}) VALUES (90, 'w', {', '.join(values.row(0))})"
        )
        query(session, "DELETE FROM t WHERE id = 90; SELECT pggit.commit('turned')")
        assert values.shown(session) == after
    assert (values.at("none"), values.at("all"), values.at("all~1")) == (after, after, base)
    assert db.value("SELECT result FROM pggit.merge('none', 'main')") == "fast_forward"
    assert values.shown(db.conn) == after
    assert db.value("SELECT result FROM pggit.merge('all', 'main')") == "merged"
    # Main changes one half of the cells, the branch the other.
    halves = [values.row(2)[:40] + values.row(1)[40:], values.row(1)[:40] + values.row(2)[40:]]
    values.set(db.conn, 0, halves[0])
    values.set(sessions["all"], 0, halves[1])
    assert db.value("SELECT result FROM pggit.merge('main', 'all')") == "merged"
    assert db.value("SELECT result FROM pggit.merge('all', 'main')") == "fast_forward"
    assert values.shown(db.conn) == values.shown(sessions["all"])
    values.set(sessions["none"], 0, values.row(2))
    assert values.shown(db.conn)[0] == values.shown(sessions["none"])[0]
    assert db.value("SELECT pggit.state_digest('main') = pggit.state_digest('all')")
    assert db.rows("SELECT * FROM pggit.verify()") == []


@pytest.mark.parametrize("form", FORMS)
def test_conflicts_show_and_take_every_value(values: Values, form: str) -> None:
    """By theirs every byte comes over; by value all that JSON can carry."""
    db = values.db
    work = values.branch("work", form)
    values.set(work, 0, values.row(1))
    values.set(db.conn, 0, values.row(2))
    merge_id = db.value("SELECT merge_id FROM pggit.merge('main', 'work')")
    base, ours, theirs = ([*row[2:]] for row in (values.at("v1")[0], values.shown(work)[0], values.shown(db.conn)[0]))
    torn = [column for column, *three in zip(values.columns, base, ours, theirs, strict=True) if len(set(three)) == 3]
    found = db.rows("SELECT column_name FROM pggit.merge_conflicts WHERE merge_id = %s ORDER BY conflict_no", merge_id)
    assert [column for (column,) in found] == torn
    assert len(torn) > 40

    by_value = [
        c for c, kind in zip(values.columns, values.kinds, strict=True) if c in torn and kind not in NOT_IN_JSON
    ]
    db.run(
        """SELECT pggit.resolve_conflict(merge_id, conflict_id, 'value', theirs)
             FROM pggit.merge_conflicts WHERE merge_id = %s AND column_name = ANY (%s)""",
        merge_id,
        by_value,
    )
    assert db.value("SELECT pggit.resolve_conflicts(%s, 'theirs')", merge_id) == len(torn) - len(by_value)
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    assert values.shown(work)[0][2:] == [t if t != b else o for b, o, t in zip(base, ours, theirs, strict=True)]


@pytest.mark.parametrize("form", FORMS)
def test_conflicts_of_whole_rows_take_every_value(values: Values, form: str) -> None:
    db = values.db
    work = values.branch("work", form)
    query(work, "DELETE FROM t WHERE id < 2")
    values.set(db.conn, 0, values.row(1))
    values.set(db.conn, 1, values.row(2))
    theirs = values.shown(db.conn)[:2]
    merge_id = db.value("SELECT merge_id FROM pggit.merge('main', 'work')")
    db.run(
        """SELECT pggit.resolve_conflict(merge_id, conflict_id, CASE key ->> 'id' WHEN '0' THEN 'value' ELSE 'theirs' END, CASE key ->> 'id' WHEN '0' THEN theirs END)
             FROM pggit.merge_conflicts WHERE merge_id = %s""",
        merge_id,
    )
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    by_value, by_side = values.shown(work)[:2]
    assert by_side == theirs[1]
    exact = [kind not in NOT_IN_JSON for kind in values.kinds]
    assert [v for v, sure in zip(by_value[2:], exact, strict=True) if sure] == [
        v for v, sure in zip(theirs[0][2:], exact, strict=True) if sure
    ]


class Keys:
    """Tables k0, k1, … whose keys are of a dozen types each; row n has in each key column the n-th value of its type."""

    def __init__(self, db: Database) -> None:
        self.tables: dict[str, list[list[str]]] = {}
        self.columns: dict[str, str] = {}
        # JSON, in which a key is named, does not know where an array begins.
        usable = {
            kind: [value for value in values if "]=" not in value]
            for kind, values in install(db).items()
            if self.comparable(db, kind)
        }
        kinds = list(usable)
        for number, start in enumerate(range(0, len(kinds), 12)):
            part = kinds[start : start + 12]
            names = [f"c{n}" for n in range(len(part))]
            listed = ", ".join(f"{name} {kind}" for name, kind in zip(names, part, strict=True))
            db.run(f"CREATE TABLE k{number} ({listed}, n integer, w text, PRIMARY KEY ({', '.join(names)}))")
            self.columns[f"k{number}"] = ", ".join(names)
            samples = [[cast(kind, value) for value in usable[kind]] for kind in part]
            rows = [[values[min(row, len(values) - 1)] for values in samples] for row in range(3)]
            self.tables[f"k{number}"] = rows
            # The first row once more, each value in other bytes if it can be: 1.0 and 1.00, a citext in capitals.
            rows.append([self.other(db, kind, values) for kind, values in zip(part, samples, strict=True)])

    @staticmethod
    def comparable(db: Database, kind: str) -> bool:
        try:
            db.run(f"CREATE TABLE trial (k {kind} PRIMARY KEY); DROP TABLE trial")
        except psycopg.errors.UndefinedObject:
            return False
        return kind not in UNTRACKED

    @staticmethod
    def other(db: Database, kind: str, values: list[str]) -> str:
        collated = kind.removeprefix(plain(kind))
        base = "::mood" if kind == "feel" else ""
        for value in values[1:]:
            if db.value(f"SELECT {values[0]}{base}{collated} = {value}{base}{collated}"):
                return value
        return values[0]

    def shown(self, session: Connection, ref: str | None = None) -> list[tuple[object, ...]]:
        """All rows of all tables as text."""
        around = ("pggit.as_of(NULL::public.", f", '{ref}')") if ref else ("", "")
        every = [
            f"SELECT '{table}', n, w, concat_ws('|', {', '.join(f'{name}::text' for name in names.split(', '))}) FROM {around[0]}{table}{around[1]}"
            for table, names in self.columns.items()
        ]
        return query(session, " UNION ALL ".join(every) + " ORDER BY 1, 2").fetchall()

    def insert(self, session: Connection, row: int, number: int) -> None:
        for table, rows in self.tables.items():
            query(session, f"INSERT INTO {table} VALUES ({', '.join(rows[row])}, {number}, 'new')")

    def move(self, session: Connection, number: int, row: int) -> None:
        for table, rows in self.tables.items():
            query(
                session,
                f"UPDATE {table} SET ({self.columns[table]}) = ROW ({', '.join(rows[row])}), w = 'moved' WHERE n = {number}",
            )

    def each(self, session: Connection, sql: str) -> None:
        for table in self.tables:
            query(session, sql.format(table))


@pytest.mark.parametrize("kind", UNTRACKED)
def test_a_key_that_postgresql_can_not_compare_is_refused(db: Database, kind: str) -> None:
    install(db)
    db.run(f"CREATE TABLE t (k {kind} PRIMARY KEY)")
    with raises("VG203", match="can't compare"):
        db.run("SELECT pggit.track_table('t')")


def test_every_comparable_type_is_a_key(db: Database) -> None:
    """Found, changed, moved, written in other bytes, merged, in conflict and looked up."""
    keys = Keys(db)
    keys.insert(db.conn, 0, 0)
    keys.insert(db.conn, 1, 1)
    db.run("SELECT pggit.track_schema('public')")
    db.run("SELECT pggit.tag('v1', pggit.commit('v1'))")
    first = keys.shown(db.conn)
    keys.each(db.conn, "UPDATE {} SET w = 'changed' WHERE n = 1")
    keys.move(db.conn, 0, 3)
    second = keys.shown(db.conn)
    db.run("SELECT pggit.tag('v2', pggit.commit('v2'))")
    assert (keys.shown(db.conn, "v1"), keys.shown(db.conn, "v2")) == (first, second)

    for form in FORMS:
        db.run("SELECT pggit.create_branch(%s, 'main', 'schema', %s)", form, form)
        work = db.connect(branch=form)
        assert keys.shown(work) == second
        for table in keys.tables:
            with raises("23505"):
                query(work, f"INSERT INTO {table} VALUES ({', '.join(keys.tables[table][0])}, 8, 'twice')")
        keys.move(work, 0, 0)
        keys.each(work, "DELETE FROM {} WHERE n = 1")
        keys.insert(work, 2, 2)
        third = keys.shown(work)
        query(work, "SELECT pggit.commit('third')")
        assert (keys.shown(db.conn, form), keys.shown(db.conn, f"{form}~1")) == (third, second)
        db.run("SELECT pggit.create_branch(%s, %s, 'schema', %s)", f"{form}-too", form, form)
        assert keys.shown(db.connect(branch=f"{form}-too")) == third
    assert db.value("SELECT result FROM pggit.merge('none', 'main')") == "fast_forward"
    assert keys.shown(db.conn) == third
    db.run("SELECT result FROM pggit.merge('all', 'main')")
    assert keys.shown(db.conn) == third
    assert db.value("SELECT pggit.state_digest('main') = pggit.state_digest('all')")

    keys.each(work, "UPDATE {} SET w = 'theirs' WHERE n = 2")
    keys.each(db.conn, "UPDATE {} SET w = 'ours' WHERE n = 2")
    merge_id, conflicts = db.row("SELECT merge_id, conflicts FROM pggit.merge('all', 'main')")
    assert conflicts == len(keys.tables)
    db.run(
        "SELECT pggit.resolve_conflict(merge_id, conflict_id, 'value', '\"mine\"') FROM pggit.merge_conflicts WHERE merge_id = %s",
        merge_id,
    )
    assert db.value("SELECT result FROM pggit.continue_merge(%s)", merge_id) == "merged"
    assert [row[2] for row in keys.shown(db.conn) if row[1] == 2] == ["mine"] * conflicts
    for table, key in db.rows("SELECT table_name, key::text FROM pggit.merge_conflicts WHERE merge_id = %s", merge_id):
        assert ("w", "mine") in db.rows("SELECT column_name, value FROM pggit.blame(%s, %s)", table, key)
    assert db.rows("SELECT * FROM pggit.verify()") == []
