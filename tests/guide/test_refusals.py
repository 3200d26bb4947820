"""What docs/guide/when-it-says-no.md says of errors is what the SQL core raises."""

from __future__ import annotations

import re

import psycopg
import pytest

from fixtures.postgres import ROOT, Database, query

PAGE = (ROOT / "docs" / "guide" / "when-it-says-no.md").read_text()
LINES = re.findall(r"^\| `(.+?)` \| (VG\d{3}) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


@pytest.fixture
def repo(db: Database) -> Database:
    """What the page describes."""
    db.begin("""
        CREATE TABLE customers (id integer PRIMARY KEY, name text);
        CREATE TABLE shapes (id integer PRIMARY KEY, sides integer);
        CREATE TABLE notes (id integer PRIMARY KEY);
        CREATE TABLE log (line text);
        CREATE TABLE parted (id integer) PARTITION BY LIST (id);
        INSERT INTO shapes VALUES (1, 4);
        SELECT pggit.track_table('customers'), pggit.track_table('shapes'), pggit.track_table('log');
        SELECT pggit.tag('v1', pggit.commit('first'));
    """)
    db.run("SET pggit.save_limit = '0'")
    db.run("ALTER TABLE shapes DROP COLUMN sides")
    db.run("""
        SELECT pggit.commit('another column');
        SELECT pggit.create_branch('dev'), pggit.create_branch('kept');
        SELECT pggit.protect_branch('kept');
    """)
    dev = db.connect(branch="dev")
    query(dev, "INSERT INTO customers VALUES (1, 'Ada'); SELECT pggit.commit('a change')")
    dev.close()
    return db


def test_each_line_is_so(repo: Database) -> None:
    assert len(LINES) == PAGE.count("| VG"), "every line of the table is read"
    said: list[tuple[str, str | None, str | None]] = []
    for sql, *_ in LINES:
        with psycopg.connect(repo.dsn, autocommit=True) as session:
            try:
                session.execute(sql.encode())
                said.append((sql, None, None))
            except psycopg.Error as refused:
                said.append((sql, refused.sqlstate, refused.diag.message_primary))
    assert said == [(sql, code, message) for sql, code, message, _ in LINES]


def test_the_ways_out_that_are_calls_work(repo: Database) -> None:
    assert repo.value("SELECT (pggit.ensure_branch('main')).was_created") is False
    repo.run("SELECT pggit.track_table('notes'); SELECT pggit.track_schema('public', p_exclude => '{parted}')")
    assert repo.rows("SELECT count(*) FROM pggit.tracked_tables") == [(4,)]
    assert len(repo.value("SELECT pggit.commit('empty', p_allow_empty => true)")) == 64
    repo.run("SELECT pggit.unprotect_branch('kept')")
    assert repo.value("SELECT pggit.delete_branch('kept')") is True
    assert repo.value("SELECT pggit.delete_branch('dev', p_force => true)") is True
    assert repo.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert repo.rows("SELECT message FROM pggit.log() LIMIT 1") == [("empty",)]


def test_what_is_no_error(repo: Database) -> None:
    assert repo.value("SELECT (pggit.merge('dev', 'dev')).result") == "up_to_date"
    assert repo.value("SELECT (pggit.merge('dev')).result") == "fast_forward"
    assert repo.value("SELECT (pggit.merge('dev')).result") == "up_to_date"
