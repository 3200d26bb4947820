"""What the two sides of the story do, and, worked out here in Python, what a merge of them must give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from story.data import TABLES
from story.shell import Failed, Psql, Row

ZURICH, GENEVA = 2657896, 2660646
AGREED = "448664"
"""The population of Zürich that both sides settle on: neither's own."""

ON_THE_BRANCH = """\
-- Districts are no cities: their people were counted twice.
DELETE FROM city_names WHERE city IN (SELECT id FROM cities WHERE country = 'CH' AND name LIKE '%(Kreis %');
DELETE FROM cities WHERE country = 'CH' AND name LIKE '%(Kreis %';
-- All others grew by 1.5 %, and one more reaches 15,000.
UPDATE cities SET population = round(population * 1.015) WHERE country = 'CH';
INSERT INTO cities VALUES (2659689, 'Mendrisio', 'CH', 'TI', 45.87019, 8.98160, 15166, 'Europe/Zurich');
INSERT INTO city_names VALUES (2659689, '{"LATIN": ["Mendrisio"], "CYRILLIC": ["Мендризио"]}');
-- One key of Geneva's names.
UPDATE city_names SET names = names || '{"AIRPORT": ["GVA"]}' WHERE city = 2660646;
"""

ON_MAIN = """\
-- Other columns of rows that the branch changes too: names as they are said there.
UPDATE cities SET name = 'Genève' WHERE id = 2660646;
UPDATE cities SET name = 'Sion' WHERE id = 2658576;
-- Another key of the same jsonb value.
UPDATE city_names SET names = names || '{"RUMANTSCH": ["Genevra"]}' WHERE city = 2660646;
-- A home in Kenya is no city.
DELETE FROM city_names WHERE city = 13631342;
DELETE FROM cities WHERE id = 13631342;
UPDATE countries SET population = 9104000 WHERE iso = 'CH';
-- And one cell that the branch changes too: Zürich.
UPDATE cities SET population = 447082 WHERE id = 2657896;
"""

State = dict[str, dict[str, Row]]
"""Every row of every table, by table and key."""


def state(psql: Psql, source: str = "{}") -> State:
    """All rows that psql sees; `source` is a template of where from, with the table's name put in."""
    return {
        table: {str(row[key]): row for row in psql.rows(f"SELECT * FROM {source.format(table)}")}
        for table, key in TABLES.items()
    }


def fingerprint(psql: Psql, source: str = "{}") -> Row:
    """A digest of every table, made by the server: equal for equal rows."""
    parts = [
        f"(SELECT md5(string_agg(t::text, E'\\n' ORDER BY t.{key})) FROM {source.format(table)} AS t) AS {table}"
        for table, key in TABLES.items()
    ]
    return psql.one(f"SELECT {', '.join(parts)}")


def merged(base: State, ours: State, theirs: State, decided: Mapping[tuple[str, str, str], Any]) -> State:
    """The three-way merge, cell by cell; `decided`: (table, key, column) → value, for the cells that both changed."""
    result: State = {}
    for table in TABLES:
        result[table] = {}
        for key in sorted(base[table].keys() | ours[table].keys() | theirs[table].keys()):
            sides = (base[table].get(key), ours[table].get(key), theirs[table].get(key))
            row = _merged_row(*sides, {column: v for (t, k, column), v in decided.items() if (t, k) == (table, key)})
            if row is not None:
                result[table][key] = row
    return result


def _merged_row(base: Row | None, ours: Row | None, theirs: Row | None, decided: Mapping[str, Any]) -> Row | None:
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if base is None or ours is None or theirs is None:
        raise Failed(f"the story has a conflict of whole rows: {ours} and {theirs}")
    return {
        column: decided[column] if column in decided else _merged_value(base[column], ours[column], theirs[column])
        for column in base
    }


def _merged_value(base: Any, ours: Any, theirs: Any) -> Any:
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    if isinstance(base, dict) and isinstance(ours, dict) and isinstance(theirs, dict):
        keys = base.keys() | ours.keys() | theirs.keys()
        values = {key: _merged_value(base.get(key), ours.get(key), theirs.get(key)) for key in keys}
        return {key: value for key, value in values.items() if value is not None}
    raise Failed(f"the story has a conflict that nobody decided: {ours} and {theirs}")


def must_equal(what: str, found: State, expected: State) -> int:
    """Compare every row; the number of rows. Raises Failed with the first few that differ."""
    wrong = [
        f"{table} {key}: {json.dumps(found[table].get(key), ensure_ascii=False)} "
        f"instead of {json.dumps(expected[table].get(key), ensure_ascii=False)}"
        for table in TABLES
        for key in sorted(found[table].keys() | expected[table].keys())
        if found[table].get(key) != expected[table].get(key)
    ]
    if wrong:
        raise Failed(f"{what}: {len(wrong)} rows are not as they must be:\n" + "\n".join(wrong[:5]))
    return sum(len(rows) for rows in found.values())
