"""Paths below folders, as conditions in SQL."""

from __future__ import annotations

from mmsearch.files.paths import begins_below


def below(column: str, folder: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition that the path in `column` is `folder` or lies below it, and its values."""
    condition, values = f"{column} = %s", [folder]
    for first, end in ranges_below(folder):
        condition += f" OR ({column} >= %s AND {column} < %s)"
        values += [first, end]
    return f"({condition})", tuple(values)


def ranges_below(folder: bytes) -> list[tuple[bytes, bytes]]:
    """Between which paths all lie that are below the folder: from the first of each pair on, before the second."""
    return [(first, first[:-1] + bytes([first[-1] + 1])) for first in begins_below(folder)]
