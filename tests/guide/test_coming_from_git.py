"""Every call of docs/guide/coming-from-git.md works, in the order of the page."""

from __future__ import annotations

import re

import psycopg

from fixtures.postgres import ROOT, Database, query

PAGE = (ROOT / "docs" / "guide" / "coming-from-git.md").read_text()
LINES = re.findall(r"^\| (`git .*?|an editor.*?) \| (.*`.*) \|$", PAGE, re.MULTILINE)
MAIN = "UPDATE customers SET city = 'main' || clock_timestamp()"
DEV = "UPDATE customers SET city = 'dev' || clock_timestamp(); SELECT pggit.commit('on dev')"
ROW = "INSERT INTO customers VALUES ({}, 'new'); SELECT pggit.commit('a row')"
#: What the page does not say because it is work: what happens on dev, then on main, before a line.
BEFORE = {
    "`git merge-base": (DEV, ""),
    "`git status`, with": (DEV, MAIN + "; SELECT pggit.merge('dev')"),
    "`git checkout --theirs": (DEV, MAIN + "; SELECT pggit.merge('dev')"),
    "`git merge --strategy": (DEV, MAIN),
    "`git merge --no-ff": (ROW.format(10), ""),
    "`git merge --ff-only": ("SELECT pggit.merge('main'); " + ROW.format(11), ""),
    "`git merge --squash": (ROW.format(12), ""),
    "`git cherry-pick": (ROW.format(13), ""),
    "`git rebase": ("", ROW.format(14)),
    "`git stash`": ("", MAIN),
    "`git stash drop": ("", "SELECT pggit.stash()"),
    "`git restore": ("", MAIN),
}
#: What the merges of the page come to, by the beginning of their lines.
RESULTS = {
    "`git merge --no-commit": ["planned"],
    "`git merge dev": ["fast_forward", "up_to_date"],
    "`git merge --continue": ["merged"],
    "`git merge --strategy": ["merged"],
    "`git merge --no-ff": ["merged"],
    "`git merge --ff-only": ["fast_forward"],
    "`git merge --squash": ["merged"],
    "`git revert HEAD": ["merged"],
    "`git revert --mainline": ["merged"],
    "`git cherry-pick": ["merged"],
    "`git rebase": ["merged"],
    "`git stash pop": ["merged"],
}


def test_every_call_works(db: Database) -> None:
    db.run("CREATE TABLE customers (id integer PRIMARY KEY, name text, city text)")
    db.run("INSERT INTO customers VALUES (1, 'Ada', 'London')")
    assert len(LINES) == PAGE.count("\n| ") - 1
    results: dict[str, list[object]] = {}
    for git, text in LINES:
        line = next((known for known in (*BEFORE, *RESULTS) if git.startswith(known)), git)
        on_dev, on_main = BEFORE.get(line, ("", ""))
        if on_dev:
            with psycopg.connect(db.dsn, autocommit=True) as dev:
                query(dev, f"SELECT pggit.checkout('dev'); {on_dev}")
        if on_main:
            db.run(on_main)
        for sql in re.findall(r"`(SELECT .+?)`", text):
            done = db.conn.execute(sql.encode())
            names = [column.name for column in done.description or ()]
            if line in RESULTS and "result" in names:
                results.setdefault(line, []).extend(row[names.index("result")] for row in done)
    assert results == RESULTS
    assert db.rows("SELECT name FROM pggit.list_branches()") == [("main",)]
    assert db.rows("SELECT * FROM pggit.stashes") == []
    assert db.rows("SELECT * FROM pggit.merge_status()") == []
