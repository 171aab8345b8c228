"""What the rows of any store mean: its columns are the same in each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from mmsearch.files.paths import extension_of
from mmsearch.records import (
    Details,
    FileFacts,
    FoundItem,
    ItemIds,
    KnownArchive,
    KnownFile,
    KnownFiles,
    KnownMember,
    Locator,
    Modality,
    Part,
    Region,
    Root,
)

DETAIL_COLUMNS = tuple(one.name for one in fields(Details))
# The same of the two tables that have them, as SQL.
OF_DETAILS, OF_SIDECARS = (", ".join(f"{table}.{name}" for name in DETAIL_COLUMNS) for table in ("details", "sidecars"))
ROOT_COLUMNS = "id, path, rules, changed, mounts, absent"
ARCHIVE_COLUMNS = "path, size, mtime_ns, ctime_ns, read_as, files, unread, trouble"
# No keyword has a line end.
_BETWEEN = "\n"


def root_of_row(row: Sequence[Any]) -> Root:
    """The root in the columns ROOT_COLUMNS. Mounts that damage has made unreadable are noted again by the next run."""
    number, path, rules, changed, mounts, absent = row
    try:
        folders = tuple(os.fsencode(mount) for mount in json.loads(mounts))
    except (ValueError, TypeError):
        folders = ()
    return Root(number, path, rules, changed, folders, absent)


def written_mounts(mounts: Iterable[bytes]) -> str:
    """The column `mounts` of a root."""
    return json.dumps([os.fsdecode(mount) for mount in mounts])


def written_extension(path: bytes) -> str:
    """The column `extension` of a file: a text that any program can read; bytes that are no UTF-8 are replaced."""
    return os.fsencode(extension_of(path)).decode("utf-8", "replace")


def known_files(files: Iterable[Sequence[Any]], failures: Iterable[Sequence[Any]], model_id: int) -> KnownFiles:
    """What is known at some paths, of rows of files and of failures there.

    Both begin with path, id, root_id, size and mtime_ns. `failed` (false) and ctime_ns follow of a file, the id of the
    model that failed, or None, of a failure.
    """
    known = {row[0]: KnownFile._make(row[1:]) for row in files}
    found = KnownFiles(known, set(), set())
    for path, number, root_id, size, mtime_ns, of_model in failures:
        if of_model is not None:
            found.not_encoded.add(number)
        if of_model in (None, model_id):
            file = known.setdefault(path, KnownFile(number, root_id, size, mtime_ns, True))
            if of_model == model_id and (file.size, file.mtime_ns) == (size, mtime_ns):
                found.failing.add(path)
    return found


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


def written_region(region: Region | None) -> str | None:
    """The column `region`."""
    return None if region is None else json.dumps(region)


def row_of_locator(locator: Locator) -> tuple[object, ...]:
    """The columns start, end, line, page, region, time_from and time_to of an item."""
    times = locator.time or (None, None)
    return (locator.start, locator.end, locator.line, locator.page, written_region(locator.region), *times)


def row_of_stage_part(part: Part) -> tuple[object, ...]:
    """The columns page, region, time_from, time_to, part_name and text of a text that a stage has found."""
    place = part.locator
    times = place.time or (None, None)
    return (place.page, written_region(place.region), *times, place.part_name, part.payload)


def locator_of(
    page: int | None, region: str | None, time_from: float | None, time_to: float | None, part_name: str | None
) -> Locator:
    """Where what a stage has found lies, from its columns."""
    time = None if time_from is None or time_to is None else (time_from, time_to)
    return Locator(page=page, region=region_of(region), time=time, part_name=part_name)


def archive_of_row(row: Sequence[Any]) -> KnownArchive:
    """The archive in the columns ARCHIVE_COLUMNS. Of what damage has made unreadable doctor tells."""
    *before, unread, trouble = row
    try:
        counts = {str(extension): int(count) for extension, count in json.loads(unread).items()}
    except (ValueError, TypeError, AttributeError):
        counts = {}
    return KnownArchive._make((*before, counts, trouble))


def row_of_archive(archive: KnownArchive) -> tuple[object, ...]:
    """The columns ARCHIVE_COLUMNS of an archive."""
    return (*archive[:6], json.dumps(archive.unread), archive.trouble)


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


def items_by_modality(rows: Iterable[tuple[Modality, int]]) -> dict[Modality, ItemIds]:
    """The ids of items, int64 [n], by their modality, in the order of the rows."""
    import numpy as np

    found: dict[Modality, list[int]] = {}
    for modality, item_id in rows:
        found.setdefault(modality, []).append(item_id)
    return {modality: np.array(item_ids, np.int64) for modality, item_ids in found.items()}


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
