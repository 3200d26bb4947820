"""Triggers of pggit's that ALTER TABLE disables, or enables for less than all."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database

TABLES = """
    CREATE TABLE t (id integer PRIMARY KEY, a text);
    CREATE TABLE parted (id integer PRIMARY KEY, a text) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
    SELECT pggit.track_schema('public');
    SELECT pggit.commit('first');
"""


@pytest.mark.parametrize("table", ["t", "parted", "part"])
@pytest.mark.parametrize("which", ["ALL", "USER", "pggit_insert"])
def test_who_disables_them_is_told_and_they_come_back_for_all_writes(db: Database, table: str, which: str) -> None:
    db.begin(TABLES)
    told = list[str]()
    db.conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    db.run(f"ALTER TABLE {table} DISABLE TRIGGER {which}")
    assert [f"table public.{table} from now on is in no history" in message for message in told] == [True]
    db.run(f"ALTER TABLE {table} ENABLE TRIGGER {which}")
    assert len(told) == 1
    db.run("SET session_replication_role = replica")
    db.run(f"INSERT INTO {table} VALUES (1, 'replica'); SELECT pggit.commit('second')")
    assert db.value("SELECT sum(inserted) FROM pggit.diff('main~1', 'main')") == 1
    assert db.rows("SELECT * FROM pggit.verify()") == []
