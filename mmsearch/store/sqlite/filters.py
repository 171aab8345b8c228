"""A query's filters as conditions in SQL, over the store's tables `files` and `contents`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mmsearch.files.paths import with_separator
from mmsearch.records import Filters

# When a file was taken, else modified: a local time to the second, ISO 8601, in SQL over files and contents. SQLite's
# division cuts off towards zero, which before 1970 is a second late.
MOMENT = """CASE WHEN contents.taken IS NULL
    THEN strftime('%Y-%m-%dT%H:%M:%S', files.mtime_ns / 1000000000 - (files.mtime_ns % 1000000000 < 0),
      'unixepoch', 'localtime')
    ELSE substr(contents.taken, 1, 19) END"""


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
    if filters.extensions:
        conditions.append(f"files.extension IN ({', '.join('?' * len(filters.extensions))})")
        values.extend(filters.extensions)
    for moment, comparison in ((filters.after, ">="), (filters.before, "<")):
        if moment is not None:
            conditions.append(
                f"""CASE WHEN contents.taken IS NULL THEN files.mtime_ns {comparison} ?
                    ELSE substr(contents.taken, 1, 19) {comparison} ? END"""
            )
            values.extend((_nanoseconds(moment), moment.isoformat(timespec="seconds")))
    return " AND ".join(conditions), values


def below(column: str, folder: bytes) -> tuple[str, tuple[bytes, ...]]:
    """The condition that the path in `column` is `folder` or lies below it, and its values."""
    first = with_separator(folder)
    past = first[:-1] + bytes([first[-1] + 1])
    return f"({column} = ? OR ({column} >= ? AND {column} < ?))", (folder, first, past)


def _nanoseconds(moment: datetime) -> int:
    """A local time in nanoseconds since 1970, as far as SQLite's integers reach."""
    try:
        return max(-(2**63), min(2**63 - 1, int(moment.timestamp()) * 1_000_000_000))
    except (OverflowError, OSError, ValueError):  # what the platform's clock cannot tell
        return 2**63 - 1 if moment.year > 1970 else -(2**63)
