"""A query's filters as conditions in SQL, over the store's tables `files` and `contents`."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from typing import Any

from mmsearch.files.hashing import place_in_shuffle
from mmsearch.files.paths import begins_below
from mmsearch.records import EARTH_KM, Filters
from mmsearch.store.folding import folded_lines, folded_text
from mmsearch.store.times import nanoseconds

# When a file was taken: as it says itself, else as a sidecar says.
_TAKEN = "ifnull(contents.taken, (SELECT taken FROM sidecars WHERE file_id = files.id))"
# When a file was taken, else modified: a local time to the second, ISO 8601, in SQL over files and contents. SQLite's
# division cuts off towards zero, which before 1970 is a second late.
MOMENT = f"""CASE WHEN {_TAKEN} IS NULL
    THEN strftime('%Y-%m-%dT%H:%M:%S', files.mtime_ns / 1000000000 - (files.mtime_ns % 1000000000 < 0),
      'unixepoch', 'localtime')
    ELSE substr({_TAKEN}, 1, 19) END"""


def filter_condition(filters: Filters) -> tuple[str, list[Any]]:
    """SQL over files and contents, always true where nothing is filtered."""
    conditions: list[str] = ["1"]
    values: list[Any] = []
    if filters.medium:
        conditions.append("contents.medium = ?")
        values.append(filters.medium)
    if filters.folders:
        folders = [below("files.path", folder) for folder in filters.folders]
        conditions.append("(" + " OR ".join(condition for condition, _ in folders) + ")")
        values.extend(value for _, bounds in folders for value in bounds)
    for folder in filters.not_folders:
        condition, bounds = below("files.path", folder)
        conditions.append(f"NOT {condition}")
        values.extend(bounds)
    if filters.extensions:
        conditions.append(f"files.extension IN ({', '.join('?' * len(filters.extensions))})")
        values.extend(filters.extensions)
    for moment, comparison in ((filters.after, ">="), (filters.before, "<")):
        if moment is not None:
            conditions.append(
                f"""CASE WHEN {_TAKEN} IS NULL THEN files.mtime_ns {comparison} ?
                    ELSE substr({_TAKEN}, 1, 19) {comparison} ? END"""
            )
            values.extend((nanoseconds(moment), moment.isoformat(timespec="seconds")))
    for condition, value in _of_details(filters):
        conditions.append(condition)
        values.extend(value)
    return " AND ".join(conditions), values


def _of_details(filters: Filters) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The conditions on what a file or its sidecars say, each with its values."""
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
    if filters.rating is not None:
        yield f"{said('rating')} >= ?", (filters.rating,)
    for seconds, comparison in ((filters.longer, ">"), (filters.shorter, "<")):
        if seconds is not None:
            yield f"contents.duration {comparison} ?", (seconds,)


def said(name: str) -> str:
    """What a sidecar of the file says, else what it says itself."""
    return (
        f"coalesce((SELECT {name} FROM sidecars WHERE file_id = files.id), "
        f"(SELECT {name} FROM details WHERE content_id = contents.id))"
    )


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
    condition, values = f"{column} = ?", [folder]
    for first in begins_below(folder):
        condition += f" OR ({column} >= ? AND {column} < ?)"
        values += [first, first[:-1] + bytes([first[-1] + 1])]
    return f"({condition})", tuple(values)
