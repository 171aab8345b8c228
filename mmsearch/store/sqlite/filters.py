"""A query's filters as conditions in SQL, over the store's tables `files` and `contents`."""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from mmsearch.files.hashing import place_in_shuffle
from mmsearch.records import EARTH_KM, Filters
from mmsearch.store import conditions
from mmsearch.store.conditions import TAKEN, Condition, all_of, file_conditions, number_conditions, said
from mmsearch.store.folding import folded_lines, folded_text

# When a file was taken, else modified: a local time to the second, ISO 8601, in SQL over files and contents. SQLite's
# division cuts off towards zero, which before 1970 is a second late.
MOMENT = f"""CASE WHEN {TAKEN} IS NULL
    THEN strftime('%Y-%m-%dT%H:%M:%S', files.mtime_ns / 1000000000 - (files.mtime_ns % 1000000000 < 0),
      'unixepoch', 'localtime')
    ELSE substr({TAKEN}, 1, 19) END"""

# Of the files of one content the lower goes before, as `presence.shown` shows them: what other programs can open, what
# lies in an archive, what lies behind a URL.
STANDING = "CASE WHEN instr(path, x'3a2f2f') THEN 2 WHEN instr(path, x'21') THEN 1 ELSE 0 END"


def filter_condition(filters: Filters) -> tuple[str, list[Any]]:
    """SQL over files and contents, always true where nothing is filtered, and its values."""
    found = chain(file_conditions(filters, "?"), _of_details(filters), number_conditions(filters, "?"))
    return all_of(found, "1")


def _of_details(filters: Filters) -> Iterator[Condition]:
    """The conditions on texts and places that a file or its sidecars say, each with its values."""
    for name, wanted in (("camera", filters.camera), ("lens", filters.lens)):
        if wanted is not None:
            yield f"instr(folded({said(name)}), folded(?)) > 0", (wanted,)
    if filters.near is not None:
        near = filters.near
        yield (
            f"kilometres({said('latitude')}, {said('longitude')}, ?, ?) <= ?",
            (near.latitude, near.longitude, near.km),
        )
    if filters.places:
        one_of = " OR ".join(f"instr({_words('place')}, folded_words(?)) > 0" for _ in filters.places)
        yield f"({one_of})", filters.places
    for keyword in filters.keywords:
        yield f"instr({_words('keywords')}, folded_words(?)) > 0", (keyword,)


def _words(name: str) -> str:
    return f"folded_words({said(name)})"


def add_filter_functions(connection: sqlite3.Connection) -> None:
    """Lets statements of the connection use the functions that conditions are made of."""
    connection.create_function("folded", 1, folded_text, deterministic=True)
    connection.create_function("folded_words", 1, folded_lines, deterministic=True)
    connection.create_function("shuffled", 2, _shuffled, deterministic=True)
    connection.create_function("kilometres", 4, _kilometres, deterministic=True)


def _shuffled(path: bytes, seed: str) -> int:
    return place_in_shuffle(path, int(seed))


def within(places: Iterable[bytes]) -> Callable[[bytes], bool]:
    """What says of a path whether it is one of these folders and files, or lies below one."""
    firsts, ends = conditions.ranges_of(places)

    def is_within(path: bytes) -> bool:
        before = bisect_right(firsts, path)
        return before > 0 and path < ends[before - 1]

    return is_within


def _kilometres(latitude: float | None, longitude: float | None, north: float, east: float) -> float | None:
    """The distance of two places, in degrees, on a sphere (the haversine formula)."""
    if latitude is None or longitude is None:
        return None
    one, other = math.radians(latitude), math.radians(north)
    across = math.sin(math.radians(east - longitude) / 2) ** 2
    share = math.sin((other - one) / 2) ** 2 + math.cos(one) * math.cos(other) * across
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, share)))


def below(column: str, folder: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition that the path in `column` is `folder` or lies below it, and its values."""
    return conditions.below(column, folder, "?")
