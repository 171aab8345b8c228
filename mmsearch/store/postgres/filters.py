"""A query's filters as conditions in SQL, over the store's tables `files` and `contents`.

What is compared by its letters (cameras, places, keywords) is so with folded texts, which the store keeps for each file
beside its words (`file_words`): no function of SQL folds letters as `reading.places` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmsearch.records import EARTH_KM, Filters, Near
from mmsearch.store.folding import folded_lines, folded_text
from mmsearch.store.postgres.folders import below
from mmsearch.store.postgres.moments import TAKEN
from mmsearch.store.times import nanoseconds


def filter_condition(filters: Filters) -> tuple[str, list[Any]]:
    """SQL over files and contents, always true where nothing is filtered, and its values."""
    conditions: list[str] = ["TRUE"]
    values: list[Any] = []
    if filters.medium:
        conditions.append("contents.medium = %s")
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
        conditions.append("files.extension = ANY(%s)")
        values.append(list(filters.extensions))
    for moment, comparison in ((filters.after, ">="), (filters.before, "<")):
        if moment is not None:
            conditions.append(
                f"""CASE WHEN {TAKEN} IS NULL THEN files.mtime_ns {comparison} %s
                    ELSE left({TAKEN}, 19) {comparison} %s END"""
            )
            values.extend((nanoseconds(moment), moment.isoformat(timespec="seconds")))
    for condition, value in _of_details(filters):
        conditions.append(condition)
        values.extend(value)
    return " AND ".join(conditions), values


def items_in_files(items: str = "items") -> str:
    """Given items, the statement's next value, and the files that hold each: what is filtered is looked at only then.

    The server would go through all that passes a filter in its stead, where it takes that for less than it is.
    """
    return f"""(SELECT * FROM items WHERE id = ANY(%s) OFFSET 0) AS {items} CROSS JOIN LATERAL
        (SELECT * FROM files WHERE content_id = {items}.content_id OFFSET 0) AS files"""


def contents_joined(condition: str) -> str:
    """What joins contents to files, where a condition asks for them."""
    return "JOIN contents ON contents.id = files.content_id" if "contents." in condition else ""


def _of_details(filters: Filters) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The conditions on what a file or its sidecars say, each with its values."""
    for name, wanted in (("camera", filters.camera), ("lens", filters.lens)):
        if wanted is not None:
            yield f"strpos({_folded_column(name)}, %s) > 0", (folded_text(wanted),)
    if filters.near is not None:
        yield _is_near(filters.near)
    if filters.places:
        one_of = " OR ".join(f"strpos({_folded_column('place')}, %s) > 0" for _ in filters.places)
        yield f"({one_of})", tuple(map(folded_lines, filters.places))
    for keyword in filters.keywords:
        yield f"strpos({_folded_column('keywords')}, %s) > 0", (folded_lines(keyword),)
    if filters.rating is not None:
        yield f"{said('rating')} >= %s", (filters.rating,)
    for seconds, comparison in ((filters.longer, ">"), (filters.shorter, "<")):
        if seconds is not None:
            yield f"contents.duration {comparison} %s", (seconds,)


def said(name: str) -> str:
    """What a sidecar of the file says, else what it says itself."""
    return (
        f"coalesce((SELECT sidecars.{name} FROM sidecars WHERE sidecars.file_id = files.id), "
        f"(SELECT details.{name} FROM details WHERE details.content_id = contents.id))"
    )


def _folded_column(name: str) -> str:
    return f"(SELECT file_words.{name} FROM file_words WHERE file_words.file_id = files.id)"


def _is_near(near: Near) -> tuple[str, tuple[float, ...]]:
    """The condition that a file's place is within so many kilometres, on a sphere (the haversine formula)."""
    share = """power(sin(radians(%s - place.north) / 2), 2)
        + cos(radians(place.north)) * cos(radians(%s)) * power(sin(radians(%s - place.east) / 2), 2)"""
    condition = f"""EXISTS (SELECT 1 FROM (SELECT {said("latitude")} AS north, {said("longitude")} AS east) AS place
        WHERE {2 * EARTH_KM} * asin(sqrt(least(1.0, {share}))) <= %s)"""
    return condition, (float(near.latitude), float(near.latitude), float(near.longitude), float(near.km))
