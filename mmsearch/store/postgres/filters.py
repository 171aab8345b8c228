"""A query's filters as conditions in SQL, over the store's tables `files` and `contents`.

What is compared by its letters (cameras, places, keywords) is so with folded texts, which the store keeps for each file
beside its words (`file_words`): no function of SQL folds letters as `reading.places` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from mmsearch.records import EARTH_KM, Filters, Near
from mmsearch.store import conditions
from mmsearch.store.conditions import Condition, all_of, file_conditions, number_conditions, said
from mmsearch.store.folding import folded_lines, folded_text


def filter_condition(filters: Filters) -> tuple[str, list[Any]]:
    """SQL over files and contents, always true where nothing is filtered, and its values."""
    found = chain(file_conditions(filters, "%s"), _of_details(filters), number_conditions(filters, "%s"))
    return all_of(found, "TRUE")


def items_in_files(items: str = "items") -> str:
    """Given items, whose ids are the statement's next value, with the files that hold each: only these are filtered.

    Left to itself the server may go through all files that pass a filter, as it takes them for fewer than they are.
    """
    return f"""(SELECT * FROM items WHERE id = ANY(%s) OFFSET 0) AS {items} CROSS JOIN LATERAL
        (SELECT * FROM files WHERE content_id = {items}.content_id OFFSET 0) AS files"""


def contents_joined(condition: str) -> str:
    """What joins contents to files, where a condition asks for them."""
    return "JOIN contents ON contents.id = files.content_id" if "contents." in condition else ""


def _of_details(filters: Filters) -> Iterator[Condition]:
    """The conditions on texts and places that a file or its sidecars say, each with its values."""
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


def _folded_column(name: str) -> str:
    return f"(SELECT file_words.{name} FROM file_words WHERE file_words.file_id = files.id)"


def _is_near(near: Near) -> Condition:
    """The condition that a file's place is within so many kilometres, on a sphere (the haversine formula)."""
    share = """power(sin(radians(%s - place.north) / 2), 2)
        + cos(radians(place.north)) * cos(radians(%s)) * power(sin(radians(%s - place.east) / 2), 2)"""
    condition = f"""EXISTS (SELECT 1 FROM (SELECT {said("latitude")} AS north, {said("longitude")} AS east) AS place
        WHERE {2 * EARTH_KM} * asin(sqrt(least(1.0, {share}))) <= %s)"""
    return condition, (float(near.latitude), float(near.latitude), float(near.longitude), float(near.km))


def below(column: str, folder: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition that the path in `column` is `folder` or lies below it, and its values."""
    return conditions.below(column, folder, "%s")
