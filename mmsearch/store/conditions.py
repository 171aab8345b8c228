"""A query's filters as conditions in SQL over `files`, `contents`, `details` and `sidecars`, as all engines take them.

What compares letters or distances is each engine's own. `mark` is what stands for a value in its statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mmsearch.files.paths import begins_below
from mmsearch.records import Filters
from mmsearch.store.times import nanoseconds

Condition = tuple[str, tuple[Any, ...]]

# When a file was taken, as it says itself, else as a sidecar says: SQL that is NULL where neither does.
TAKEN = "coalesce(contents.taken, (SELECT sidecars.taken FROM sidecars WHERE sidecars.file_id = files.id))"


def file_conditions(filters: Filters, mark: str) -> Iterator[Condition]:
    """The conditions on what a file is, where it lies, and when it was taken or modified, each with its values."""
    if filters.medium:
        yield f"contents.medium = {mark}", (filters.medium,)
    if filters.folders:
        folders = [below("files.path", folder, mark) for folder in filters.folders]
        one_of = " OR ".join(condition for condition, _ in folders)
        yield f"({one_of})", tuple(value for _, bounds in folders for value in bounds)
    for folder in filters.not_folders:
        condition, bounds = below("files.path", folder, mark)
        yield f"NOT {condition}", bounds
    if filters.extensions:
        yield f"files.extension IN ({', '.join([mark] * len(filters.extensions))})", filters.extensions
    for moment, comparison in ((filters.after, ">="), (filters.before, "<")):
        if moment is not None:
            yield (
                f"""CASE WHEN {TAKEN} IS NULL THEN files.mtime_ns {comparison} {mark}
                    ELSE substr({TAKEN}, 1, 19) {comparison} {mark} END""",
                (nanoseconds(moment), moment.isoformat(timespec="seconds")),
            )


def number_conditions(filters: Filters, mark: str) -> Iterator[Condition]:
    """The conditions on numbers that a file or its sidecars say, each with its values."""
    if filters.rating is not None:
        yield f"{said('rating')} >= {mark}", (filters.rating,)
    for seconds, comparison in ((filters.longer, ">"), (filters.shorter, "<")):
        if seconds is not None:
            yield f"contents.duration {comparison} {mark}", (seconds,)


def all_of(conditions: Iterator[Condition], nothing: str) -> tuple[str, list[Any]]:
    """The condition that all of them hold, and its values; `nothing` where there are none."""
    found = list(conditions)
    return " AND ".join(condition for condition, _ in found) or nothing, [one for _, values in found for one in values]


def said(name: str) -> str:
    """What a sidecar of the file says, else what it says itself."""
    return (
        f"coalesce((SELECT sidecars.{name} FROM sidecars WHERE sidecars.file_id = files.id), "
        f"(SELECT details.{name} FROM details WHERE details.content_id = contents.id))"
    )


def below(column: str, folder: bytes, mark: str) -> tuple[str, tuple[bytes, ...]]:
    """The condition that the path in `column` is `folder` or lies below it, and its values."""
    condition, values = f"{column} = {mark}", [folder]
    for first, end in ranges_below(folder):
        condition += f" OR ({column} >= {mark} AND {column} < {mark})"
        values += [first, end]
    return f"({condition})", tuple(values)


def ranges_of(places: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The same of all these folders and files themselves with what lies below: the firsts and the ends of ranges, none
    within another, in the order of paths.
    """
    firsts: list[bytes] = []
    ends: list[bytes] = []
    for first, end in sorted(one for path in places for one in ((path, path + b"\0"), *ranges_below(path))):
        if not ends or first >= ends[-1]:
            firsts.append(first)
            ends.append(end)
    return firsts, ends


def ranges_below(folder: bytes) -> list[tuple[bytes, bytes]]:
    """Between which paths all lie that are below the folder: from the first of each pair on, before the second."""
    return [(first, first[:-1] + bytes([first[-1] + 1])) for first in begins_below(folder)]
