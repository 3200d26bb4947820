# ruff: noqa: E501 - SQL is not wrapped
"""Names are data: quotes, spaces, percent signs, keywords, other scripts and 63 bytes, for tables, columns and branches."""

from __future__ import annotations

import pytest

from fixtures.postgres import Database, query, raises

from .schema import FORMS, branch, rows, tracked, value

LONG = "x" * 63
TABLE = 'we""ird; DROP TABLE %s "table" %I $1 {relation of the branch}'.replace('"', '""')
ODD = f"""
    CREATE TABLE "select" ("from" integer PRIMARY KEY, "new" text, "old" text, "c1" text, "found" text, "tg_op" text, "v_branch" text, "u" text, "r" text);
    CREATE TABLE "{TABLE[:60]}" ("50%" integer, "ünï ""cöde" text, "{LONG}" text NOT NULL CONSTRAINT "100% 'sure'" CHECK ("{LONG}" <> ''),
        "it's" integer GENERATED ALWAYS AS ("50%" * 2) STORED, "parent key" integer CONSTRAINT "to % select" REFERENCES "select" ("from") ON DELETE CASCADE,
        CONSTRAINT "key %s" PRIMARY KEY ("50%", "ünï ""cöde"));
    CREATE UNIQUE INDEX "idx 'q' %I" ON "{TABLE[:60]}" (lower("{LONG}"), ("50%" % 7)) WHERE "50%" > 1;
    CREATE TABLE "表" (id integer PRIMARY KEY, "列" text UNIQUE);
    INSERT INTO "select" VALUES (1, 'n', 'o', 'c'), (2, NULL, NULL, NULL);
    INSERT INTO "{TABLE[:60]}" VALUES (1, 'a', 'one', DEFAULT, NULL), (2, 'b', 'two', DEFAULT, 1);
    INSERT INTO "表" VALUES (1, '値');
"""


@pytest.mark.parametrize("form", [*FORMS, '"select"'])
def test_odd_names(db: Database, form: str) -> None:
    work = tracked(db, ODD, form)
    table = f'"{TABLE[:60]}"'
    assert rows(work, f"INSERT INTO {table} VALUES (3, 'c', 'three') RETURNING \"it's\"") == [(6,)]
    query(work, f'UPDATE {table} SET "{LONG}" = \'four\', "50%" = 4 WHERE "50%" = 3')
    query(work, f'UPDATE {table} SET "ünï ""cöde" = \'ä\' WHERE "50%" = 1')
    for sql, state, name in [
        (f"INSERT INTO {table} VALUES (4, 'c', 'x')", "23505", "key %s"),
        (f"INSERT INTO {table} VALUES (9, 'c', '')", "23514", "100% 'sure'"),
        (f"INSERT INTO {table} VALUES (9, 'c', 'x', DEFAULT, 9)", "23503", "to % select"),
        (f"INSERT INTO {table} VALUES (11, 'c', 'FOUR')", "23505", "idx 'q' %I"),
        ('UPDATE "select" SET "from" = 1 WHERE "from" = 2', "23505", "select_pkey"),
        ("INSERT INTO \"表\" VALUES (2, '値')", "23505", "表_列_key"),
    ]:
        with raises(state) as caught:
            query(work, sql)
        assert caught.value.diag.constraint_name == name
    query(
        work,
        'UPDATE "select" SET "new" = "old", "old" = "new", "c1" = \'x\', "found" = \'y\', "v_branch" = \'z\' WHERE "from" = 1',
    )
    assert rows(work, 'SELECT "new", "old", "c1", "found", "v_branch" FROM "select" WHERE "from" = 1') == [
        ("o", "n", "x", "y", "z")
    ]
    query(work, 'DELETE FROM "select" WHERE "from" = 1')
    assert value(work, f"SELECT count(*) FROM {table}") == 2
    query(work, 'UPDATE "表" SET "列" = \'%s %I\' WHERE id = 1')
    assert len(rows(work, "SELECT * FROM pggit.status()")) == 3
    query(work, "SELECT pggit.commit('odd')")
    branch(db, "past", "work", form)
    assert db.rows(f'SELECT "50%" FROM "public@past".{table} ORDER BY 1') == [(1,), (4,)]
    query(work, f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "name", ['it"s', "it's", "ünï/cödé", "select", "100%", "x" * 100, "a$b;c", "名前", "UPPER", "public@x"]
)
def test_odd_branch_names(db: Database, name: str) -> None:
    db.run("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)")
    db.run("SELECT pggit.track_schema('public')")
    branch(db, name)
    branch(db, name + "2")
    work = db.connect(branch=name)
    query(work, "INSERT INTO t VALUES (2)")
    assert value(work, "SELECT count(*) FROM t") == 2
    assert value(work, "SELECT pggit.current_branch()") == name
    schema = value(work, "SELECT pggit.branch_schema(%s)", name)
    assert len(str(schema).encode()) <= 63
    assert str(schema).startswith("public@")
    assert db.value("SELECT count(*) FROM t") == 1
    query(work, "SELECT pggit.checkout('main')")
    assert db.value("SELECT pggit.delete_branch(%s, true)", name) is True


# Keywords of PL/pgSQL, of which quote_ident leaves some bare, and names that generated code gives to things of its own.
WORDS = [
    *[
        "row",
        "new",
        "old",
        "select",
        "begin",
        "end",
        "if",
        "elsif",
        "loop",
        "while",
        "for",
        "foreach",
        "by",
        "declare",
        "execute",
        "strict",
        "into",
        "using",
        "return",
    ],
    *[
        "reverse",
        "current",
        "case",
        "when",
        "then",
        "exit",
        "get",
        "raise",
        "found",
        "tg_op",
        "sqlstate",
        "r",
        "n",
        "v",
        "k",
        "o",
        "d",
        "m",
        "h",
        "u",
        "x",
        "q",
        "b",
        "f",
        "l",
        "_b",
        "_xid",
    ],
    *[
        "_seq",
        "_op",
        "_at",
        "v_branch",
        "v_found",
        "v_other",
        "v_moves",
        "v_domain",
        "v_form",
        "r1",
        "excluded",
        "pggit_write",
        "new_rows",
        "value",
    ],
    *("%", "a'b", "a b", 'a"b', "$1"),
]
NAMES = ['"{}"'.format(word.replace('"', '""')) for word in WORDS]
PARTS = [NAMES[start : start + 22] for start in range(0, len(NAMES), 22)]


def every(pattern: str, names: list[str] = NAMES) -> str:
    return ", ".join(pattern.replace("?", name) for name in names)


def cells(value: str, names: list[str] = NAMES) -> tuple[str, ...]:
    return (value,) * len(names)


@pytest.mark.parametrize("form", FORMS)
def test_columns_may_have_any_word_as_name(db: Database, form: str) -> None:
    """As values and as keys, with all that a write function looks at: domains, CHECK, unique and foreign keys, generated columns."""
    keyed = {f"keyed{n}": part for n, part in enumerate(PARTS)}
    lists, two = [every("?", part) for part in PARTS], "? = '2!'"
    work = tracked(
        db,
        f"""
        CREATE DOMAIN word AS text NOT NULL;
        CREATE TABLE kept (id integer PRIMARY KEY, {every("? word CHECK (? <> '')")}, {", ".join(f"UNIQUE ({part})" for part in lists)});
        CREATE TABLE child (id integer PRIMARY KEY, {every("? text")},
            {", ".join(f"FOREIGN KEY ({part}) REFERENCES kept ({part}) ON UPDATE CASCADE" for part in lists)});
        CREATE TABLE made (id integer PRIMARY KEY, {every("? text", PARTS[0])}, {every("? text GENERATED ALWAYS AS (id || 'x') STORED", PARTS[1])});
        {"".join(f"CREATE TABLE {name} ({every('? text')}, PRIMARY KEY ({every('?', part)}));" for name, part in keyed.items())}
        """,
        form,
    )
    for session in (db.conn, work):
        for table in ("kept", "child", *keyed):
            first = "" if table in keyed else "g, "
            query(session, f"INSERT INTO {table} SELECT {first}{', '.join(cells('g'))} FROM generate_series(1, 3) AS g")
        query(session, f"INSERT INTO made SELECT g, {', '.join(cells('g', PARTS[0]))} FROM generate_series(1, 3) AS g")
        for table, part in keyed.items():
            values = [name for name in NAMES if name not in part]
            for written in (values, part):
                query(session, f"UPDATE {table} SET {every(two, written)} WHERE {written[0]} = '2'")
        for part in PARTS:
            query(session, f"UPDATE kept SET {every(two, part)} WHERE {part[0]} = '2'")
            for wrong, state in [("''", "23514"), ("NULL", "23502")]:
                with raises(state):
                    query(session, f"UPDATE kept SET {part[-1]} = {wrong} WHERE id = 3")
            with raises("23505"):
                query(session, "UPDATE kept SET " + every("? = '1'", part) + " WHERE id = 3")
            with raises("23503"):
                query(session, f"UPDATE child SET {part[0]} = '1' WHERE id = 3")
        query(session, f"UPDATE made SET {every('? = ? || 1', PARTS[0])}")
        for table in ("child", "kept", "made", *keyed):
            query(session, f"DELETE FROM {table} WHERE {NAMES[0]} LIKE '3%'")
        for table in ("child", "kept", *keyed):
            assert rows(session, f"SELECT {every('?')} FROM {table} ORDER BY 1") == [cells("1"), cells("2!")]
        assert rows(session, f"SELECT {every('?', PARTS[0] + PARTS[1])} FROM made ORDER BY id") == [
            cells(f"{n}1", PARTS[0]) + cells(f"{n}x", PARTS[1]) for n in (1, 2)
        ]
