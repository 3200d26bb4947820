"""Every type of core and contrib, with values at its edges and pairs that are equal but written in other bytes."""

from __future__ import annotations

import psycopg

from fixtures.postgres import Database

OWN = """
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TYPE pair AS (n integer, t text);
    CREATE TYPE deep AS (p pair, j json, a integer[]);
    CREATE TYPE moodrange AS RANGE (subtype = mood);
    CREATE DOMAIN positive AS integer CHECK (value > 0);
    CREATE DOMAIN needed AS text NOT NULL DEFAULT 'x';
    CREATE DOMAIN short AS varchar(5);
    CREATE DOMAIN pairs AS pair CHECK ((value).n > 0);
    CREATE DOMAIN ints AS integer[] CHECK (cardinality(value) < 5);
    CREATE DOMAIN tighter AS positive CHECK (value < 100);
    CREATE DOMAIN feel AS mood;
    CREATE DOMAIN doc AS jsonb;
    CREATE DOMAIN price AS numeric(10,2);
"""

#: Values by type. A type is left out where its extension or a library that it needs is not there.
SAMPLES: dict[str, list[str]] = {
    "smallint": ["1", "-32768"],
    "integer": ["0", "2147483647"],
    "bigint": ["9223372036854775807", "-9223372036854775808"],
    "numeric": ["1.0", "1.00", "NaN", "1e-20", "-Infinity", "12345678901234567890.123456789", "1e500"],
    "numeric(20,5)": ["NaN", "12345.67890"],
    "numeric(3,-2)": ["100", "99900"],
    "real": ["0.1", "-0", "0", "NaN", "Infinity"],
    "double precision": ["0.30000000000000004", "-0", "0", "NaN", "5e-324"],
    "money": ["$1.50", "$-2.50"],
    "boolean": ["t", "f"],
    "text": ["", "ä\t\\ '\" %s %I $1", "NULL", "{}"],
    "varchar(5)": ["abc", "abc  "],
    "char(5)": ["abc", ""],
    '"char"': ["a", ""],
    "name": ["n", "m"],
    'text COLLATE "POSIX"': ["a", "B"],
    "text COLLATE nocase": ["a", "A", "b"],
    "bytea": ["\\x00ff", "\\x"],
    "date": ["4713-01-01 BC", "infinity", "-infinity"],
    "time": ["12:00:00.000001", "24:00:00"],
    "time(0)": ["12:00:00.4"],
    "timetz": ["12:00:00+05:30", "12:00:00-08", "06:30:00+00"],
    "timestamp": ["2024-02-29 12:34:56.789012", "-infinity"],
    "timestamptz": ["2024-02-29 12:34:56.789012+00", "2024-10-27 02:30:00+02", "infinity"],
    "interval": ["1 mon", "30 days", "720:00:00", "-1 year 2 mons -3 days"],
    "interval day to second": ["1 day 02:03:04"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
    "json": ['{"b": 1,  "a": 2}', '{"b": 1, "a": 2}', '{"a":1,"a":2}', "null", '"\\u0000"', '{"n": 1e999999}', "1.00"],
    "json[]": ['{"{\\"a\\": 1}"}'],
    "jsonb": ['{"a": [1, 2.50, null]}', "null", "1.0", "1.00", "[]"],
    "jsonpath": ["$.a", "strict $.b[*]"],
    "inet": ["10.0.0.1/8", "::1"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit(3)": ["101", "110"],
    "varbit": ["101", ""],
    "point": ["(1,2)", "(NaN,-0)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(2,2),(1,1)", "(3,3),(1,1)"],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1)]"],
    "polygon": ["((0,0),(1,1),(1,0))", "((0,0),(1,0),(1,1))"],
    "circle": ["<(1,1),2>", "<(1,1),3>"],
    "tsvector": ["'a':1 'b':2", "'a' 'b'", ""],
    "tsquery": ["'a' & 'b'", "'a' | 'b'"],
    "int4range": ["[1,5)", "empty", "(,)"],
    "numrange": ["[1.0,2.0)", "[1.00,2.00)"],
    "tstzrange": ["[2024-01-01 00:00+00,)"],
    "daterange": ["[2024-01-01,infinity)", "[2024-01-01,)"],
    "moodrange": ["[sad,ok]"],
    "int4multirange": ["{[1,3),[5,7)}", "{}"],
    "moodmultirange": ["{[sad,sad]}"],
    "integer[]": ["{1,NULL,3}", "[0:1]={1,2}", "{1,2}", "{}"],
    "text[]": ['{"a,b","",NULL}', "{{a},{b}}", '{"NULL"}'],
    "numeric[]": ["{1.0}", "{1.00}"],
    "timestamptz[]": ['{"2024-01-01 00:00+00",infinity}'],
    "bytea[]": ['{"\\\\x00"}'],
    "mood": ["happy", "sad"],
    "mood[]": ["{happy,NULL}"],
    "pair": ["(1,x)", "(,)", "(1,)"],
    "pair[]": ['{"(1,x)",NULL}', "{}"],
    "deep": ['("(1,""a b"")","{""a"":1,""a"":2}","{1,NULL}")', "(,,)"],
    "positive": ["1", "2"],
    "positive[]": ["{1,2}"],
    "needed": ["a", "b"],
    "short": ["abc", "abc  "],
    "pairs": ["(1,x)", "(2,)"],
    "ints": ["{1,2}", "[5:6]={1,2}"],
    "tighter": ["5", "99"],
    "feel": ["ok", "sad"],
    "doc": ['{"a": 1.0}', '{"a": 1.00}'],
    "price": ["1.00", "2.5"],
    "oid": ["1", "4294967295"],
    "regclass": ["pg_class"],
    "regtype": ["integer"],
    "pg_lsn": ["0/1", "FFFFFFFF/FFFFFFFF"],
    "xid": ["5"],
    "xid8": ["55"],
    "tid": ["(1,2)"],
    "pg_snapshot": ["10:20:11,15"],
    "aclitem": ["postgres=r/postgres"],
    "xml": ["<a b='1'>x</a>", "<a/>", "text"],
    "citext": ["Ab", "aB", "b"],
    "citext[]": ["{A,a}"],
    "hstore": ["a=>1", "a=>NULL", ""],
    "ltree": ["a.b", "a.b.c"],
    "lquery": ["a.*"],
    "cube": ["(1,2)", "(1,2),(3,4)"],
    "seg": ["1.0 .. 2.0", "1.00 .. 2.0"],
    "isbn": ["978-0-11-000533-1"],
    "lo": ["5"],
    "query_int": ["1&2"],
    "vector(3)": ["[1,2,3]"],
}
EXTENSIONS = ("citext", "hstore", "ltree", "cube", "seg", "isn", "lo", "intarray", "vector")

#: Values that JSON can't carry: the bounds of arrays, minus zero, the null of json, and a json text as it was typed.
NOT_IN_JSON = {"real", "double precision", "point", "integer[]", "ints", "json", "json[]", "deep", "jsonb", "doc"}


def install(db: Database) -> dict[str, list[str]]:
    """Make the types; those that the server has."""
    db.run(OWN)
    made = [f"CREATE EXTENSION {name}" for name in EXTENSIONS]
    made.append("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    for sql in made:
        try:
            db.run(sql)
        except psycopg.Error as error:
            print(f"PostgreSQL {db.version}: {sql}: {error.diag.message_primary}")
    there = {}
    for kind, values in SAMPLES.items():
        try:
            db.run(f"SELECT {cast(kind, values[0])}{kind.removeprefix(plain(kind))}")
            there[kind] = values
        except psycopg.Error as error:
            print(f"PostgreSQL {db.version}: {kind}: {error.diag.message_primary}")
    return there


def plain(kind: str) -> str:
    """The type without its collation."""
    return kind.split(" COLLATE")[0]


def cast(kind: str, value: str | None) -> str:
    """A value in SQL."""
    if value is None:
        return f"NULL::{plain(kind)}"
    return "CAST(E'" + value.replace("\\", "\\\\").replace("'", "\\'") + f"' AS {plain(kind)})"
