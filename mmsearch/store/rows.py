"""What the rows of any store mean: its columns are the same in each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from mmsearch.records import Details, FileFacts, FoundItem, KnownMember, Locator, Region

DETAIL_COLUMNS = tuple(one.name for one in fields(Details))
# The same of the two tables that have them, as SQL.
OF_DETAILS, OF_SIDECARS = (", ".join(f"{table}.{name}" for name in DETAIL_COLUMNS) for table in ("details", "sidecars"))
ARCHIVE_COLUMNS = "path, size, mtime_ns, ctime_ns, read_as, files, unread, trouble"
# No keyword has a line end.
_BETWEEN = "\n"


def details_of_row(row: Sequence[Any]) -> Details:
    """The details in the columns DETAIL_COLUMNS."""
    named = dict(zip(DETAIL_COLUMNS, row, strict=True))
    keywords = named.pop("keywords")
    return Details(**named, keywords=tuple(keywords.split(_BETWEEN)) if keywords else ())


def row_of_details(details: Details) -> tuple[object, ...]:
    """The columns DETAIL_COLUMNS of details."""
    values = (getattr(details, name) for name in DETAIL_COLUMNS)
    return tuple((_BETWEEN.join(value) or None) if isinstance(value, tuple) else value for value in values)


def region_of(written: str | None) -> Region | None:
    """The region in such a column; what damage has made of one is none."""
    if written is None:
        return None
    try:
        left, top, right, bottom = (float(share) for share in json.loads(written))
    except (ValueError, TypeError):
        return None
    return left, top, right, bottom


def locator_of(
    page: int | None, region: str | None, time_from: float | None, time_to: float | None, part_name: str | None
) -> Locator:
    """Where what a stage has found lies, from its columns."""
    time = None if time_from is None or time_to is None else (time_from, time_to)
    return Locator(page=page, region=region_of(region), time=time, part_name=part_name)


def members_of_rows(rows: Iterable[Sequence[Any]]) -> list[KnownMember]:
    """The files of an archive, of rows of files and of failures, in order.

    One that only some model could not encode is among both, and is told by the row with a time of its change.
    """
    found: dict[bytes, KnownMember] = {}
    for row in rows:
        member = KnownMember._make(row)
        if member.path not in found or found[member.path].ctime_ns is None:
            found[member.path] = member
    return list(found.values())


def found_item(row: Sequence[Any]) -> FoundItem:
    """A row of `found_items`: 23 columns, the details of the content, and when and what a sidecar says."""
    start, end, line, page, region, time_from, time_to, part_name = row[13:21]
    moment = None if time_from is None or time_to is None else (time_from, time_to)
    locator = Locator(start, end, line, page, region_of(region), moment, part_name)
    item_id, path, digest, medium, size, mtime_ns = row[:6]
    modality, (source, text) = row[12], row[21:23]
    of_sidecar = 23 + len(DETAIL_COLUMNS)
    own, (beside_taken, *beside) = row[23:of_sidecar], row[of_sidecar:]
    details = details_of_row(own)
    if any(value is not None for value in beside):
        details = details_of_row(beside).completed_by(details)
    width, height, taken, encoding, duration, pages = row[6:12]
    facts = FileFacts(width, height, taken or beside_taken, encoding, duration, pages, details=details)
    return FoundItem(item_id, path, digest, medium, size, mtime_ns, facts, modality, locator, source, text)
