"""Every type in a table without a key, those too that PostgreSQL cannot compare: no byte is changed."""

from __future__ import annotations

from collections import Counter

from fixtures.postgres import Connection, Database, query

from .samples import cast, install


def test_every_type_is_counted_by_its_bytes(db: Database) -> None:
    kinds = install(db)
    columns = ", ".join(f"v{n} {kind}" for n, kind in enumerate(kinds))
    shown = ", ".join(f"v{n}::text" for n in range(len(kinds)))
    db.run(f"CREATE TABLE log ({columns})")
    count = max(map(len, kinds.values()))
    for row in range(count):
        values = [cast(kind, values[row % len(values)]) for kind, values in kinds.items()]
        db.run(f"INSERT INTO log VALUES ({', '.join(values)})")
    db.run("INSERT INTO log SELECT * FROM log")
    db.run("SELECT pggit.track_schema('public'); SELECT pggit.tag('v1', pggit.commit('first'))")

    def rows(session: Connection, source: str = "log") -> Counter[tuple[object, ...]]:
        return Counter(query(session, f"SELECT {shown} FROM {source} AS l").fetchall())

    first = rows(db.conn)
    assert set(first.values()) == {2}
    db.run("SELECT pggit.create_branch('side', 'main', 'schema', 'none')")
    side = db.connect(branch="side")
    assert rows(side) == first
    query(side, "DELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT 3)")
    query(side, "INSERT INTO log SELECT l.* FROM log AS l LIMIT 2")
    db.run("SET datestyle = 'SQL, DMY'; SET extra_float_digits = -15; SET timezone = 'America/New_York'")
    db.run("SET intervalstyle = 'sql_standard'; SET bytea_output = 'escape'")
    db.run("DELETE FROM log WHERE ctid = (SELECT max(ctid) FROM log); SELECT pggit.merge('side', 'main')")
    db.run("SELECT pggit.merge('main', 'side'); SELECT pggit.tag('v2', pggit.commit('last', p_allow_empty => true))")
    assert db.rows("SELECT * FROM pggit.verify()") == []
    db.run("RESET ALL")
    assert rows(side) == rows(db.conn)
    assert sum(rows(db.conn).values()) == 2 * count - 2
    merged = rows(db.conn)
    db.run("DELETE FROM log WHERE ctid <> (SELECT min(ctid) FROM log)")
    assert rows(db.conn, "pggit.as_of(NULL::public.log, 'v1')") == first
    assert rows(db.conn, "pggit.as_of(NULL::public.log, 'v2')") == merged
