"""The tables of items and vectors as searches and derived files read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from mmsearch.files.archives import status_at
from mmsearch.files.times import change_time, modification_time
from mmsearch.records import (
    Filters,
    FoundItem,
    HalfMatrix,
    ItemIds,
    Modality,
    TextPassage,
    TimedItem,
)
from mmsearch.store.postgres.connected import Connected, Row
from mmsearch.store.postgres.filters import contents_joined, filter_condition, items_in_files
from mmsearch.store.rows import OF_DETAILS, OF_SIDECARS, found_item, items_by_modality

# Passages that are asked for at a time.
_BATCH = 2_000


class ItemTables(Connected):
    """Items, in the order of their ids, which is that of their commits. Nothing of it writes."""

    def item_count(self) -> int:
        return self._number("SELECT count(*) FROM items")

    def latest_item(self) -> int:
        return self._number("SELECT coalesce(max(id), 0) FROM items")

    def item_ids(self, model_id: int, modality: Modality) -> ItemIds:
        return _ids(
            self._rows(
                "SELECT item_id FROM vectors WHERE model_id = %s AND modality = %s ORDER BY item_id",
                (model_id, modality),
            )
        )

    def live_items(self, item_ids: ItemIds) -> ItemIds:
        return _ids(self._rows("SELECT id FROM items WHERE id = ANY(%s) ORDER BY id", (item_ids.tolist(),)))

    def count_items_after(self, model_id: int, modality: Modality, item_id: int) -> int:
        return self._number(
            "SELECT count(*) FROM vectors WHERE item_id > %s AND model_id = %s AND modality = %s",
            (item_id, model_id, modality),
        )

    def has_items_of(self, model_id: int) -> bool:
        return self._one("SELECT FROM vectors WHERE model_id = %s LIMIT 1", (model_id,)) is not None

    def count_items_of(self, model_id: int) -> int:
        return self._number("SELECT count(*) FROM vectors WHERE model_id = %s", (model_id,))

    def vectors_after(self, model_id: int, modality: Modality, item_id: int, limit: int) -> tuple[ItemIds, list[bytes]]:
        return self._vectors(
            """SELECT item_id, vector FROM vectors WHERE item_id > %s AND model_id = %s AND modality = %s
               ORDER BY item_id LIMIT %s""",
            (item_id, model_id, modality, limit),
        )

    def vectors_of(self, item_ids: ItemIds) -> tuple[ItemIds, list[bytes]]:
        return self._vectors(
            "SELECT item_id, vector FROM vectors WHERE item_id = ANY(%s) ORDER BY item_id", (item_ids.tolist(),)
        )

    def _vectors(self, statement: str, values: Sequence[object]) -> tuple[ItemIds, list[bytes]]:
        rows = self._run(statement, values, binary=True).fetchall()
        return _ids(rows), [row[1] for row in rows]

    def image_vector_at(self, path: bytes, model_id: int, at: bytes | None = None) -> HalfMatrix | None:
        status = status_at(path if at is None else at)
        _, vectors = self._vectors(
            """SELECT item_id, vector FROM files JOIN items ON items.content_id = files.content_id
               JOIN vectors ON vectors.item_id = items.id AND vectors.model_id = items.model_id
               WHERE files.path = %s AND files.size = %s AND files.mtime_ns = %s
                 AND (files.ctime_ns IS NULL OR files.ctime_ns = %s) AND items.model_id = %s
                 AND items.modality = 'image' AND items.source = 'body' ORDER BY item_id LIMIT 1""",
            (path, status.st_size, modification_time(status), change_time(status), model_id),
        )
        return np.frombuffer(vectors[0], "<f2") if vectors else None

    def items_of_content(self, digest: bytes, model_id: int) -> dict[Modality, ItemIds]:
        rows = self._rows(
            """SELECT items.modality, items.id FROM items JOIN contents ON contents.id = items.content_id
               WHERE contents.digest = %s AND items.model_id = %s ORDER BY items.modality, items.id""",
            (digest, model_id),
        )
        return items_by_modality(rows)

    def items_of_contents(self, digests: Iterable[bytes]) -> set[int]:
        rows = self._rows(
            """SELECT items.id FROM items JOIN contents ON contents.id = items.content_id
               WHERE contents.digest = ANY(%s)""",
            (list(digests),),
        )
        return {row[0] for row in rows}

    def has_content(self, digest: bytes) -> bool:
        row = self._one(
            "SELECT FROM contents JOIN files ON files.content_id = contents.id WHERE contents.digest = %s LIMIT 1",
            (digest,),
        )
        return row is not None

    def digest_at(self, path: bytes) -> bytes | None:
        row = self._one(
            "SELECT contents.digest FROM files JOIN contents ON contents.id = files.content_id WHERE files.path = %s",
            (path,),
        )
        return None if row is None else bytes(row[0])

    def matching_items(self, filters: Filters, model_id: int, modality: Modality, with_pages: bool = True) -> ItemIds:
        condition, values = filter_condition(filters)
        return _ids(
            self._rows(
                f"""SELECT DISTINCT items.id FROM files JOIN contents ON contents.id = files.content_id
                    JOIN items ON items.content_id = contents.id
                    WHERE items.model_id = %s AND items.modality = %s AND (%s OR items.source <> 'page') AND {condition}
                    ORDER BY items.id""",
                (model_id, modality, with_pages, *values),
            )
        )

    def copied_items(self, filters: Filters) -> ItemIds:
        condition, values = filter_condition(filters)
        return _ids(
            self._rows(
                f"""SELECT min(items.id) AS item_id FROM items JOIN
                      (SELECT contents.id FROM files JOIN contents ON contents.id = files.content_id
                       WHERE {condition} GROUP BY contents.id HAVING count(*) > 1) AS copied
                      ON copied.id = items.content_id
                    GROUP BY copied.id ORDER BY item_id""",
                values,
            )
        )

    def text_passages(
        self, model_id: int, filters: Filters, extensions: Collection[str], first_items: Sequence[int] | None = None
    ) -> Iterator[TextPassage]:
        condition, values = filter_condition(filters)
        among, given = "TRUE", list[object]()
        if first_items is not None:
            among = "items.content_id IN (SELECT content_id FROM items WHERE id = ANY(%s))"
            given.append(list(first_items))
        statement = f"""SELECT items.content_id, items.id, items.page, items.start, items."end", items.text FROM items
            WHERE items.model_id = %s AND items.modality = 'text' AND items.source = 'body'
              AND items.text IS NOT NULL AND {among}
              AND EXISTS (SELECT 1 FROM files JOIN contents ON contents.id = files.content_id
                WHERE files.content_id = items.content_id AND {condition} AND (contents.medium = 'document' OR
                  (contents.medium = 'text' AND files.extension = ANY(%s))))
              AND NOT EXISTS (SELECT 1 FROM remarks WHERE remarks.content_id = items.content_id
                AND remarks.model_id = items.model_id AND remarks.left_out > 0)
              AND (items.content_id, items.id) > (%s, %s)
            ORDER BY items.content_id, items.id LIMIT {_BATCH}"""
        last: tuple[int, int] = (-1, -1)
        while rows := self._rows(statement, (model_id, *given, *values, sorted(extensions), *last)):
            yield from (TextPassage(*row) for row in rows)
            last = rows[-1][:2]

    def places_of(self, item_ids: Iterable[int], filters: Filters) -> list[tuple[int, bytes, int, int]]:
        condition, values = filter_condition(filters)
        return self._rows(
            f"""SELECT items.id, files.path, files.size, files.content_id
                FROM {items_in_files()} {contents_joined(condition)} WHERE {condition}""",
            ([int(item_id) for item_id in item_ids], *values),
        )

    def timed_items(self, item_ids: Iterable[int]) -> list[TimedItem]:
        rows = self._rows(
            """SELECT given.id, items.id, items.model_id, items.modality, items.time_from, items.time_to
               FROM items AS given JOIN items ON items.content_id = given.content_id AND items.model_id = given.model_id
               WHERE given.id = ANY(%s) AND items.time_from IS NOT NULL AND items.time_to IS NOT NULL
               ORDER BY items.id""",
            ([int(item_id) for item_id in item_ids],),
        )
        return [TimedItem(*row) for row in rows]

    def found_items(self, item_ids: Iterable[int], filters: Filters) -> list[FoundItem]:
        condition, values = filter_condition(filters)
        rows = self._rows(
            f"""SELECT items.id, files.path, contents.digest, contents.medium, files.size, files.mtime_ns,
                  contents.width, contents.height, contents.taken, contents.encoding, contents.duration,
                  contents.pages, items.modality, items.start, items."end", items.line, items.page, items.region,
                  items.time_from, items.time_to, part_names.name, items.source, items.text,
                  {OF_DETAILS}, sidecars.taken, {OF_SIDECARS}
                FROM {items_in_files()} JOIN contents ON contents.id = files.content_id
                LEFT JOIN part_names ON part_names.item_id = items.id
                LEFT JOIN details ON details.content_id = contents.id
                LEFT JOIN sidecars ON sidecars.file_id = files.id
                WHERE {condition}""",
            ([int(item_id) for item_id in item_ids], *values),
        )
        return [found_item(row) for row in rows]


def _ids(rows: Sequence[Row]) -> ItemIds:
    """The first column, int64 [n]."""
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))
