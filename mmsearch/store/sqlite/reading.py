"""What searches and derived files read from the catalogue: settings, items, vectors, and how much there is of each."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from mmsearch.files.times import modification_time
from mmsearch.records import Counts, FileFacts, Filters, FoundItem, Locator, Medium, Modality, Region, Root
from mmsearch.store.sqlite.filters import below, filter_condition

ItemIds = npt.NDArray[np.int64]
HalfMatrix = npt.NDArray[np.float16]


class CatalogueReading:
    """The half of `Catalogue` that changes nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def setting(self, key: str) -> str | None:
        row = self.connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def number_setting(self, key: str) -> int:
        """That setting as a whole number; 0 where there is none, or damage has made it none."""
        try:
            return int(self.setting(key) or 0)
        except ValueError:
            return 0

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """What is read within is all of one state of the library, whatever is written meanwhile."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.rollback()

    def state(self) -> tuple[str, int]:
        """The library's id, and a number that rises with each transaction that writes something."""
        library, state = self.connection.execute(
            """SELECT (SELECT value FROM settings WHERE key = 'library_id'),
                 (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'state')"""
        ).fetchone()
        return library or "", state or 0

    def items_removed(self) -> int:
        """How many items were ever removed: tells a derived file how many of its rows may be dead."""
        return self.number_setting("items_removed")

    def item_count(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM items").fetchone()
        return int(row[0])

    def vectors_after(self, model_id: int, modality: Modality, item_id: int, limit: int) -> tuple[ItemIds, list[bytes]]:
        """Ids (ascending) and float16 vectors, as bytes, of the model's first `limit` items after `item_id`."""
        rows = self.connection.execute(
            """SELECT items.id, vectors.vector FROM items JOIN vectors ON vectors.item_id = items.id
               WHERE items.id > ? AND items.model_id = ? AND items.modality = ? ORDER BY items.id LIMIT ?""",
            (item_id, model_id, modality, limit),
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows)), [row[1] for row in rows]

    def vectors_of(self, item_ids: ItemIds) -> tuple[ItemIds, list[bytes]]:
        """Ids (ascending) and float16 vectors, as bytes, of those items that are there."""
        rows = self.connection.execute(
            "SELECT item_id, vector FROM vectors WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY item_id",
            (json.dumps(item_ids.tolist()),),
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows)), [row[1] for row in rows]

    def item_ids(self, model_id: int, modality: Modality) -> ItemIds:
        """The ids, ascending, of all items of that model and modality."""
        rows = self.connection.execute(
            "SELECT id FROM items WHERE model_id = ? AND modality = ? ORDER BY id", (model_id, modality)
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def live_items(self, item_ids: ItemIds) -> ItemIds:
        """Those of the items, ascending, that are there."""
        rows = self.connection.execute(
            "SELECT id FROM items WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(item_ids.tolist()),),
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def spaces(self, model_id: int) -> list[tuple[Modality, Medium]]:
        """The modalities that items of that model have, each with the media of the files that they come from."""
        rows = self.connection.execute(
            "SELECT modality, medium FROM spaces WHERE model_id = ? ORDER BY modality, medium", (model_id,)
        )
        return [(row[0], row[1]) for row in rows]

    def modalities(self, model_id: int) -> list[Modality]:
        """The modalities that items of that model have, in order."""
        return list(dict.fromkeys(modality for modality, _ in self.spaces(model_id)))

    def count_items_after(self, model_id: int, modality: Modality, item_id: int) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM items WHERE id > ? AND model_id = ? AND modality = ?", (item_id, model_id, modality)
        ).fetchone()
        return int(row[0])

    def latest_item(self) -> int:
        """The highest id of an item, or 0."""
        row = self.connection.execute("SELECT max(id) FROM items").fetchone()
        return int(row[0] or 0)

    def image_vector_at(self, path: bytes, model_id: int) -> HalfMatrix | None:
        """The stored vector of the picture at `path`, float16 [dimension], if the file is still as when it was read.

        Raises:
            OSError: there is no such file now.
        """
        status = os.stat(path)
        row = self.connection.execute(
            """SELECT vectors.vector FROM files JOIN items ON items.content_id = files.content_id
               JOIN vectors ON vectors.item_id = items.id
               WHERE files.path = ? AND files.size = ? AND files.mtime_ns = ? AND items.model_id = ?
                 AND items.modality = 'image'""",
            (path, status.st_size, modification_time(status), model_id),
        ).fetchone()
        return None if row is None else np.frombuffer(row[0], "<f2")

    def matching_items(self, filters: Filters, model_id: int, modality: Modality) -> ItemIds:
        """Ids, ascending, of the items in files that pass the filters."""
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT items.id FROM files JOIN contents ON contents.id = files.content_id
                JOIN items ON items.content_id = contents.id
                WHERE items.model_id = ? AND items.modality = ? AND {condition}""",
            (model_id, modality, *values),
        ).fetchall()
        return np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)))

    def places_of(self, item_ids: Iterable[int], filters: Filters) -> list[tuple[int, bytes, int]]:
        """The items with the path and size in bytes of each file that holds them and passes the filters."""
        condition, values = filter_condition(filters)
        return self.connection.execute(
            f"""SELECT items.id, files.path, files.size
                FROM items JOIN contents ON contents.id = items.content_id
                JOIN files ON files.content_id = contents.id
                WHERE items.id IN (SELECT value FROM json_each(?)) AND {condition}""",
            (json.dumps(list(item_ids)), *values),
        ).fetchall()

    def found_items(self, item_ids: Iterable[int], filters: Filters) -> list[FoundItem]:
        """The given items in every file that holds them and passes the filters; removed items are not there."""
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT items.id, files.path, contents.digest, contents.medium, files.size, files.mtime_ns,
                  contents.width, contents.height, contents.taken, contents.encoding, contents.duration,
                  contents.pages, items.modality, items.start, items."end", items.line, items.page, items.region,
                  items.time_from, items.time_to, items.source, items.text
                FROM items JOIN contents ON contents.id = items.content_id
                JOIN files ON files.content_id = contents.id
                WHERE items.id IN (SELECT value FROM json_each(?)) AND {condition}""",
            (json.dumps([int(item_id) for item_id in item_ids]), *values),
        )
        return [_found_item(row) for row in rows]

    def some_pictures(self, most: int) -> list[bytes]:
        """The paths of so many pictures, drawn from all of the library."""
        rows = self.connection.execute(
            """SELECT path FROM files JOIN contents ON contents.id = files.content_id WHERE contents.medium = 'image'
               ORDER BY (files.id * 2654435761) % 4294967296 LIMIT ?""",
            (most,),
        )
        return [row[0] for row in rows]

    def counts(self, model_id: int) -> Counts:
        """How much there is; items are those of that model."""
        media = self.connection.execute(
            """SELECT medium, count(*) FROM files JOIN contents ON contents.id = content_id
               GROUP BY medium ORDER BY medium"""
        ).fetchall()
        unread = self.connection.execute(
            "SELECT extension, sum(files) FROM unread GROUP BY extension ORDER BY sum(files) DESC, extension"
        ).fetchall()
        one = self.connection.execute(
            """SELECT (SELECT count(DISTINCT content_id) FROM files),
                 (SELECT count(*) FROM items WHERE model_id = ? AND content_id IN (SELECT content_id FROM files)),
                 (SELECT count(*) FROM failures)""",
            (model_id,),
        ).fetchone()
        return Counts(dict(media), contents=one[0], items=one[1], failures=one[2], unread=dict(unread))

    def has_items_of(self, model_id: int) -> bool:
        """Whether that model has encoded anything."""
        row = self.connection.execute("SELECT 1 FROM items WHERE model_id = ? LIMIT 1", (model_id,)).fetchone()
        return row is not None

    def count_items_of(self, model_id: int) -> int:
        row = self.connection.execute("SELECT count(*) FROM items WHERE model_id = ?", (model_id,)).fetchone()
        return int(row[0])

    def count_not_encoded(self, model_id: int) -> int:
        """How many files of the library that model could not encode."""
        row = self.connection.execute(
            """SELECT count(*) FROM failures JOIN files ON files.path = failures.path AND files.size = failures.size
                 AND files.mtime_ns = failures.mtime_ns WHERE failures.model_id = ?""",
            (model_id,),
        ).fetchone()
        return int(row[0])

    def file_count(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM files").fetchone()
        return int(row[0])

    def files_in_root(self, root: Root) -> int:
        condition, values = below("path", root.path)
        row = self.connection.execute(
            f"SELECT count(*) FROM files WHERE {condition} AND root_id = ?", (*values, root.id)
        ).fetchone()
        return int(row[0])


def _found_item(row: tuple[Any, ...]) -> FoundItem:
    """A row of `found_items`; what damage has made of a region is none."""
    start, end, line, page, region, time_from, time_to = row[13:20]
    moment = None if time_from is None or time_to is None else (time_from, time_to)
    locator = Locator(start, end, line, page, _region(region), moment)
    item_id, path, digest, medium, size, mtime_ns = row[:6]
    facts, modality, (source, text) = FileFacts(*row[6:12]), row[12], row[20:]
    return FoundItem(item_id, path, digest, medium, size, mtime_ns, facts, modality, locator, source, text)


def _region(written: str | None) -> Region | None:
    if written is None:
        return None
    try:
        left, top, right, bottom = (float(share) for share in json.loads(written))
    except (ValueError, TypeError):
        return None
    return left, top, right, bottom
