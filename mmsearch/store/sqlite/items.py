"""The tables of items and vectors as searches and derived files read them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mmsearch.files.archives import status_at
from mmsearch.files.paths import extension_of
from mmsearch.files.times import change_time, modification_time
from mmsearch.records import (
    Beside,
    FileBrief,
    Filters,
    FloatMatrix,
    FoundItem,
    HalfMatrix,
    ItemIds,
    Listing,
    Medium,
    Modality,
    NearItems,
    TextPassage,
    TimedItem,
)
from mmsearch.store.checksums import vector_checksums
from mmsearch.store.companions import IS_COMPANION, IS_PICTURE, STEM
from mmsearch.store.conditions import said
from mmsearch.store.rows import OF_DETAILS, OF_SIDECARS, found_item, items_by_modality
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.filters import MOMENT, STANDING, filter_condition, within
from mmsearch.store.sqlite.signing import is_sound

# Compared at a time.
_BLOCK_ROWS = 2_048


class ItemTables(Connected):
    """Items, in the order of their ids, which is that of their commits. Nothing of it writes."""

    def item_count(self) -> int:
        row = self.connection.execute("SELECT count(*) FROM items").fetchone()
        return int(row[0])

    def latest_item(self) -> int:
        row = self.connection.execute("SELECT max(id) FROM items").fetchone()
        return int(row[0] or 0)

    def item_ids(self, model_id: int, modality: Modality) -> ItemIds:
        rows = self.connection.execute(
            "SELECT id FROM items WHERE model_id = ? AND modality = ? ORDER BY id", (model_id, modality)
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def live_items(self, item_ids: ItemIds) -> ItemIds:
        rows = self.connection.execute(
            "SELECT id FROM items WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
            (json.dumps(item_ids.tolist()),),
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def count_items_after(self, model_id: int, modality: Modality, item_id: int) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM items WHERE id > ? AND model_id = ? AND modality = ?", (item_id, model_id, modality)
        ).fetchone()
        return int(row[0])

    def has_items_of(self, model_id: int) -> bool:
        row = self.connection.execute("SELECT 1 FROM items WHERE model_id = ? LIMIT 1", (model_id,)).fetchone()
        return row is not None

    def count_items_of(self, model_id: int) -> int:
        row = self.connection.execute("SELECT count(*) FROM items WHERE model_id = ?", (model_id,)).fetchone()
        return int(row[0])

    def spaces(self, model_id: int) -> list[tuple[Modality, Medium]]:
        rows = self.connection.execute(
            "SELECT modality, medium FROM spaces WHERE model_id = ? ORDER BY modality, medium", (model_id,)
        )
        return [(row[0], row[1]) for row in rows]

    def modalities(self, model_id: int) -> list[Modality]:
        return list(dict.fromkeys(modality for modality, _ in self.spaces(model_id)))

    def vectors_after(self, model_id: int, modality: Modality, item_id: int, limit: int) -> tuple[ItemIds, list[bytes]]:
        rows = self.connection.execute(
            """SELECT items.id, vectors.vector, vectors.checksum
               FROM items JOIN vectors ON vectors.item_id = items.id
               WHERE items.id > ? AND items.model_id = ? AND items.modality = ? ORDER BY items.id LIMIT ?""",
            (item_id, model_id, modality, limit),
        ).fetchall()
        return _verified(rows)

    def vectors_of(self, item_ids: ItemIds) -> tuple[ItemIds, list[bytes]]:
        rows = self.connection.execute(
            """SELECT item_id, vector, checksum FROM vectors WHERE item_id IN (SELECT value FROM json_each(?))
               ORDER BY item_id""",
            (json.dumps(item_ids.tolist()),),
        ).fetchall()
        return _verified(rows)

    def image_vector_at(self, path: bytes, model_id: int, at: bytes | None = None) -> HalfMatrix | None:
        status = status_at(path if at is None else at)
        row = self.connection.execute(
            """SELECT item_id, vector, vectors.checksum FROM files JOIN items ON items.content_id = files.content_id
               JOIN vectors ON vectors.item_id = items.id
               WHERE files.path = ? AND files.size = ? AND files.mtime_ns = ?
                 AND (files.ctime_ns IS NULL OR files.ctime_ns = ?) AND items.model_id = ?
                 AND items.modality = 'image' AND items.source = 'body'""",
            (path, status.st_size, modification_time(status), change_time(status), model_id),
        ).fetchone()
        return None if row is None else np.frombuffer(_verified([row])[1][0], "<f2")

    def items_of_content(self, digest: bytes, model_id: int) -> dict[Modality, ItemIds]:
        rows = self.connection.execute(
            """SELECT items.modality, items.id FROM items JOIN contents ON contents.id = items.content_id
               WHERE contents.digest = ? AND items.model_id = ? ORDER BY items.modality, items.id""",
            (digest, model_id),
        ).fetchall()
        return items_by_modality(rows)

    def items_of_contents(self, digests: Iterable[bytes]) -> set[int]:
        found: set[int] = set()
        for digest in digests:
            rows = self.connection.execute(
                "SELECT items.id FROM items JOIN contents ON contents.id = items.content_id WHERE contents.digest = ?",
                (digest,),
            )
            found.update(row[0] for row in rows)
        return found

    def has_content(self, digest: bytes) -> bool:
        row = self.connection.execute(
            """SELECT 1 FROM contents JOIN files ON files.content_id = contents.id WHERE contents.digest = ? LIMIT 1""",
            (digest,),
        ).fetchone()
        return row is not None

    def digest_at(self, path: bytes) -> bytes | None:
        row = self.connection.execute(
            "SELECT contents.digest FROM files JOIN contents ON contents.id = files.content_id WHERE files.path = ?",
            (path,),
        ).fetchone()
        return None if row is None else bytes(row[0])

    def matching_items(self, filters: Filters, model_id: int, modality: Modality, with_pages: bool = True) -> ItemIds:
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT items.id FROM files JOIN contents ON contents.id = files.content_id
                JOIN items ON items.content_id = contents.id
                WHERE items.model_id = ? AND items.modality = ? AND (? OR items.source <> 'page') AND {condition}""",
            (model_id, modality, with_pages, *values),
        ).fetchall()
        return np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)))

    def copied_items(self, filters: Filters) -> ItemIds:
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT (SELECT min(id) FROM items WHERE content_id = contents.id) AS item_id
                FROM files JOIN contents ON contents.id = files.content_id
                WHERE {condition} GROUP BY contents.id HAVING count(*) > 1 AND item_id IS NOT NULL ORDER BY item_id""",
            values,
        ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))

    def text_passages(
        self, model_id: int, filters: Filters, extensions: Collection[str], first_items: Sequence[int] | None = None
    ) -> Iterator[TextPassage]:
        condition, values = filter_condition(filters)
        among, given = "1", list[str]()
        if first_items is not None:
            among = "items.content_id IN (SELECT content_id FROM items WHERE id IN (SELECT value FROM json_each(?)))"
            given.append(json.dumps(list(first_items)))
        rows = self.connection.execute(
            f"""SELECT items.content_id, items.id, items.page, items.start, items."end", items.text FROM items
                WHERE items.model_id = ? AND items.modality = 'text' AND items.source = 'body'
                  AND items.text IS NOT NULL AND {among}
                  AND EXISTS (SELECT 1 FROM files JOIN contents ON contents.id = files.content_id
                    WHERE files.content_id = items.content_id AND {condition} AND (contents.medium = 'document' OR
                      (contents.medium = 'text' AND files.extension IN (SELECT value FROM json_each(?)))))
                  AND NOT EXISTS (SELECT 1 FROM remarks WHERE remarks.content_id = items.content_id
                    AND remarks.model_id = items.model_id AND remarks.left_out > 0)
                ORDER BY items.content_id, items.id""",
            (model_id, *given, *values, json.dumps(sorted(extensions))),
        )
        return (TextPassage(*row) for row in rows)

    def nearest(
        self, model_id: int, modality: Modality, vector: FloatMatrix, count: int, filters: Filters
    ) -> NearItems:
        """The items of a space nearest to a unit vector, float32 [dimension], in files that pass the filters.

        All of them are compared, a block at a time: what shortcuts are measured by.
        """
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT items.id, vector, vectors.checksum FROM items JOIN vectors ON vectors.item_id = items.id
                WHERE items.model_id = ? AND items.modality = ? AND EXISTS
                  (SELECT 1 FROM files JOIN contents ON contents.id = files.content_id
                   WHERE contents.id = items.content_id AND {condition})
                ORDER BY items.id""",
            (model_id, modality, *values),
        )
        item_ids, cosines, among = np.empty(0, np.int64), np.empty(0, np.float32), 0
        while block := rows.fetchmany(_BLOCK_ROWS):
            found, stored = _verified(block)
            matrix = np.frombuffer(b"".join(stored), "<f2").reshape(len(block), -1)
            item_ids = np.concatenate([item_ids, found])
            cosines = np.concatenate([cosines, matrix.astype(np.float32) @ vector])
            among += len(block)
            best = np.argsort(-cosines, kind="stable")[:count]
            item_ids, cosines = item_ids[best], cosines[best]
        return NearItems(item_ids, cosines, among, True)

    def places_of(self, item_ids: Iterable[int], filters: Filters) -> list[tuple[int, bytes, int, int]]:
        condition, values = filter_condition(filters)
        return self.connection.execute(
            f"""SELECT items.id, files.path, files.size, files.content_id
                FROM items JOIN contents ON contents.id = items.content_id
                JOIN files ON files.content_id = contents.id
                WHERE items.id IN (SELECT value FROM json_each(?)) AND {condition}""",
            (json.dumps(list(item_ids)), *values),
        ).fetchall()

    def timed_items(self, item_ids: Iterable[int]) -> list[TimedItem]:
        rows = self.connection.execute(
            """SELECT given.id, items.id, items.model_id, items.modality, items.time_from, items.time_to
               FROM items AS given JOIN items ON items.content_id = given.content_id AND items.model_id = given.model_id
               WHERE given.id IN (SELECT value FROM json_each(?))
                 AND items.time_from IS NOT NULL AND items.time_to IS NOT NULL ORDER BY items.id""",
            (json.dumps([int(item_id) for item_id in item_ids]),),
        )
        return [TimedItem(*row) for row in rows]

    def list_files(
        self, model_ids: Sequence[int], filters: Filters, listing: Listing
    ) -> tuple[list[tuple[int, bytes]], int]:
        models = json.dumps(list(model_ids))
        order = "moment DESC, mtime_ns DESC, path" if listing.by_date else "path"
        among_copies = f"{STANDING}, {order}"
        if listing.seed is not None:
            order = f"shuffled(path, '{listing.seed:d}')"  # as a text: it may be more than an integer of SQLite holds
            among_copies = order
        elif listing.away:
            among_copies = f"is_away(path), {among_copies}"
            self.connection.create_function("is_away", 1, within(listing.away), deterministic=True)
        listed, values = _listed(filters, models, listing.copies, among_copies, with_moment=listing.by_date)
        rows = self.connection.execute(
            f"""{listed} SELECT (SELECT min(items.id) FROM items WHERE items.content_id = page.content_id
                          AND items.model_id IN (SELECT value FROM json_each(?))), path, total
                FROM (SELECT *, (SELECT count(*) FROM listed) AS total FROM listed
                      ORDER BY {order} LIMIT ? OFFSET ?) AS page
                ORDER BY {order}""",
            (*values, models, listing.limit, listing.offset),
        ).fetchall()
        if rows:
            return [(item_id, path) for item_id, path, _ in rows], int(rows[0][2])
        (total,) = self.connection.execute(f"{listed} SELECT count(*) FROM listed", values).fetchone()
        return [], int(total)

    def briefs(self, model_ids: Sequence[int], filters: Filters) -> list[FileBrief]:
        order = f"{STANDING}, path"
        listed, values = _listed(filters, json.dumps(list(model_ids)), copies=False, order=order)
        rows = self.connection.execute(
            f"""{listed} SELECT files.path, contents.medium, {MOMENT}, {said("place")}, {said("camera")}
                FROM listed JOIN files ON files.path = listed.path JOIN contents ON contents.id = files.content_id""",
            values,
        )
        return [FileBrief(*row) for row in rows]

    def beside(self, paths: Sequence[bytes], filters: Filters) -> dict[bytes, list[Beside]]:
        condition, values = filter_condition(filters)
        statement = f"""SELECT files.path, {IS_PICTURE}, (SELECT min(id) FROM items WHERE content_id = contents.id),
              files.size
            FROM files JOIN contents ON contents.id = files.content_id
            WHERE files.path > ? AND files.path < ? AND {STEM} = ? AND ({IS_PICTURE} OR {IS_COMPANION})
              AND EXISTS (SELECT 1 FROM items WHERE content_id = contents.id) AND {condition}
            ORDER BY files.path"""
        found: dict[bytes, list[Beside]] = {}
        for path in paths:
            stem = path[: len(path) - len(extension_of(path))]
            # A slash comes right after a point.
            rows = self.connection.execute(statement, (stem + b".", stem + b"/", stem, *values))
            found[path] = [Beside(one, bool(is_picture), item_id, size) for one, is_picture, item_id, size in rows]
        return found

    def found_items(self, item_ids: Iterable[int], filters: Filters) -> list[FoundItem]:
        """The given items in every file that holds them and passes the filters; removed items are not there.

        Raises:
            DatabaseError: damage has changed what the store says of one of them.
        """
        condition, values = filter_condition(filters)
        rows = self.connection.execute(
            f"""SELECT items.id, files.path, contents.digest, contents.medium, files.size, files.mtime_ns,
                  contents.width, contents.height, contents.taken, contents.encoding, contents.duration,
                  contents.pages, items.modality, items.start, items."end", items.line, items.page, items.region,
                  items.time_from, items.time_to, part_names.name, items.source, items.text,
                  {OF_DETAILS}, sidecars.taken, {OF_SIDECARS},
                  {is_sound("items")} AND {is_sound("contents")} AND {is_sound("files")}
                    AND (part_names.name IS NULL OR {is_sound("part_names")})
                    AND (details.content_id IS NULL OR {is_sound("details")})
                    AND (sidecars.file_id IS NULL OR {is_sound("sidecars")})
                FROM items JOIN contents ON contents.id = items.content_id
                JOIN files ON files.content_id = contents.id
                LEFT JOIN part_names ON part_names.item_id = items.id
                LEFT JOIN details ON details.content_id = contents.id
                LEFT JOIN sidecars ON sidecars.file_id = files.id
                WHERE items.id IN (SELECT value FROM json_each(?)) AND {condition}""",
            (json.dumps([int(item_id) for item_id in item_ids]), *values),
        )
        return [_found_item(row) for row in rows]


def _listed(
    filters: Filters, models: str, copies: bool, order: str, with_moment: bool = False
) -> tuple[str, tuple[Any, ...]]:
    """SQL that names the files `listed` that pass the filters and have items of those models (JSON), and its values.

    One of each content, the first in that order, or with `copies` all of them. Contents with one file alone, as most
    are, are not put in order for that.
    """
    condition, values = filter_condition(filters)
    with_a_picture = f"{IS_COMPANION} AND {STEM} IN (SELECT {STEM} FROM passing WHERE {IS_PICTURE})"
    columns = "path, content_id, mtime_ns, moment"
    one_each = f"""shown AS (SELECT {columns} FROM passing WHERE NOT ({with_a_picture})),
        copied AS (SELECT content_id FROM shown GROUP BY content_id HAVING count(*) > 1),
        listed AS (SELECT {columns} FROM shown WHERE content_id NOT IN copied
          UNION ALL SELECT {columns} FROM (
            SELECT {columns}, row_number() OVER (PARTITION BY content_id ORDER BY {order}) AS place
            FROM shown WHERE content_id IN copied) WHERE place = 1)"""
    listed = f"""WITH passing AS (
          SELECT path, extension, content_id, mtime_ns, medium, duration, {MOMENT if with_moment else "NULL"} AS moment
          FROM files JOIN contents ON contents.id = files.content_id
          WHERE {condition} AND EXISTS (SELECT 1 FROM items WHERE items.content_id = contents.id
            AND items.model_id IN (SELECT value FROM json_each(?)))),
        {f"listed AS (SELECT {columns} FROM passing)" if copies else one_each}"""
    return listed, (*values, models)


def _verified(rows: Sequence[tuple[int, bytes, int]]) -> tuple[ItemIds, list[bytes]]:
    """Ids [n] and vectors of rows that have their checksums beside them; a damaged one raises DatabaseError."""
    if not rows:
        return np.empty(0, np.int64), []
    numbers, vectors, checksums = zip(*rows, strict=True)
    item_ids = np.array(numbers, np.int64)
    if tuple(vector_checksums(item_ids, vectors).tolist()) != checksums:
        raise sqlite3.DatabaseError("the checksum of a vector is wrong")
    return item_ids, list(vectors)


def _found_item(row: tuple[Any, ...]) -> FoundItem:
    """A row of `found_items`, its checksum last."""
    if not row[-1]:
        raise sqlite3.DatabaseError("the checksum of a row is wrong")
    return found_item(row[:-1])
