"""What models have made of contents: items with their vectors, and what was left out of them. All of it may write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmsearch.records import EncodedItem, Medium, Modality, Remark
from mmsearch.store.postgres.connecting import HalfVector
from mmsearch.store.postgres.schema import LOCKS, NUMBERING
from mmsearch.store.postgres.spaces import SpaceTables
from mmsearch.store.rows import row_of_locator

# Of remarks: a model left passages out, some of which it would take if it might have more of them.
_THINNED = "model_id = %s AND left_out > 0 AND most < %s"


class EncodedItemTables(SpaceTables):
    """Items of contents. What writes does so within the caller's transaction."""

    # Of the transaction: whether it numbers items alone, the media of contents that are new in it, those of them that
    # have no items yet, and the spaces and media that were noted.
    _numbers_alone = False

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._new_media: dict[int, Medium] = {}
        self._empty: set[int] = set()
        self._noted: set[tuple[int, Modality, Medium]] = set()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._numbers_alone = False
        self._new_media, self._empty, self._noted = {}, set(), set()
        with super().transaction():
            yield

    def items_stored(self, digest: bytes, model_id: int, reader: int) -> int:
        return self._number(
            """SELECT count(*) FROM items JOIN contents ON contents.id = content_id
               WHERE digest = %s AND reader >= %s AND model_id = %s""",
            (digest, reader, model_id),
        )

    def remark(self, content_id: int, model_id: int, note: str | None, left_out: int, most: int) -> None:
        if note is not None or left_out:
            self._put_remark(content_id, model_id, note, left_out, most)
        else:
            self._run_later("DELETE FROM remarks WHERE content_id = %s AND model_id = %s", (content_id, model_id))

    def note_budget(self, content_id: int, model_id: int, most: int) -> None:
        self._put_remark(content_id, model_id, None, 0, most)

    def _put_remark(self, content_id: int, model_id: int, note: str | None, left_out: int, most: int) -> None:
        self._run_later(
            """INSERT INTO remarks (content_id, model_id, note, left_out, most) VALUES (%s, %s, %s, %s, %s)
               ON CONFLICT (content_id, model_id) DO UPDATE SET note = excluded.note, left_out = excluded.left_out,
                 most = excluded.most""",
            (content_id, model_id, note, left_out, most),
        )

    def remarks(self, model_id: int) -> list[Remark]:
        rows = self._rows(
            """SELECT path, note, left_out FROM remarks JOIN files ON files.content_id = remarks.content_id
               WHERE model_id = %s AND (note IS NOT NULL OR left_out > 0) ORDER BY path""",
            (model_id,),
        )
        return [Remark(*row) for row in rows]

    def budget_of(self, digest: bytes, model_id: int) -> int | None:
        row = self._one(
            """SELECT most FROM remarks JOIN contents ON contents.id = content_id
               WHERE digest = %s AND model_id = %s""",
            (digest, model_id),
        )
        return None if row is None else int(row[0])

    def thinned_files(self, model_id: int, most: int) -> set[int]:
        rows = self._rows(
            f"SELECT files.id FROM remarks JOIN files ON files.content_id = remarks.content_id WHERE {_THINNED}",
            (model_id, most),
        )
        return {row[0] for row in rows}

    def is_thinned(self, content_id: int, model_id: int, most: int) -> bool:
        row = self._one(f"SELECT FROM remarks WHERE content_id = %s AND {_THINNED}", (content_id, model_id, most))
        return row is not None

    def add_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int = 0, is_whole: bool = True
    ) -> None:
        self._await_number()
        stored, whole = (0, False) if content_id in self._empty else self._stored(content_id, model_id)
        self._empty.discard(content_id)
        if whole or stored < first:
            return
        if is_whole and not items:  # the run before had got to the end, and no further
            self._run(
                "UPDATE items SET last = TRUE WHERE content_id = %s AND model_id = %s AND ordinal = %s",
                (content_id, model_id, stored - 1),
            )
        last = first + len(items) - 1 if is_whole else -1
        self._insert_items(content_id, model_id, items[stored - first :], stored, last)

    def _stored(self, content_id: int, model_id: int) -> tuple[int, bool]:
        """How many items the model has of that content, and whether these are all."""
        row = self._one(
            "SELECT count(*), coalesce(bool_or(last), FALSE) FROM items WHERE content_id = %s AND model_id = %s",
            (content_id, model_id),
        )
        return (row[0], row[1]) if row else (0, False)

    def _await_number(self) -> None:
        """Lets this transaction alone number items until it is committed: so numbers come in the order of commits."""
        if not self._numbers_alone:
            self._run("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, NUMBERING))
            self._numbers_alone = True

    def _insert_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int, last: int = -1
    ) -> None:
        """Stores items of a content with their vectors, those from place `first` on. At `last` it is whole."""
        if not items:
            return
        self._await_number()
        for modality in sorted({item.modality for item in items}):
            space = (model_id, modality, self._new_media.get(content_id, ""))
            if space not in self._noted:
                self._note_space(content_id, model_id, modality)
                if content_id in self._new_media:
                    self._noted.add(space)
        columns = [
            (
                *(ordinal, ordinal == last, item.modality, item.source, item.text),
                *(*row_of_locator(item.locator), item.locator.part_name),
            )
            for ordinal, item in enumerate(items, start=first)
        ]
        self._run_later(
            """WITH given AS (
                 SELECT * FROM unnest(%s::integer[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::integer[],
                   %s::integer[], %s::integer[], %s::integer[], %s::text[], %s::float8[], %s::float8[], %s::text[],
                   %b::halfvec[]) AS given (ordinal, last, modality, source, text, start, "end", line, page, region,
                   time_from, time_to, part_name, vector)),
               made AS (
                 INSERT INTO items (content_id, model_id, modality, source, ordinal, last, start, "end", line, page,
                   region, time_from, time_to, text)
                 SELECT %s, %s, modality, source, ordinal, last, start, "end", line, page, region, time_from, time_to,
                   text FROM given ORDER BY ordinal RETURNING id, ordinal),
               named AS (
                 INSERT INTO part_names (item_id, name)
                 SELECT id, part_name FROM made JOIN given USING (ordinal) WHERE part_name IS NOT NULL)
               INSERT INTO vectors (item_id, model_id, modality, vector)
               SELECT id, %s, modality, vector FROM made JOIN given USING (ordinal)""",
            (
                *map(list, zip(*columns, strict=True)),
                [HalfVector(item.vector.astype("<f2")) for item in items],
                *(content_id, model_id, model_id),
            ),
        )

    def remove_items_of(self, content_ids: Iterable[int], model_id: int | None = None) -> None:
        these, values = "content_id = ANY(%s)", list[object]([list(content_ids)])
        if model_id is not None:
            these += " AND model_id = %s"
            values.append(model_id)
        self._remove_items(these, values)
        self._run(f"DELETE FROM wordless WHERE {these}", values)
        self.mark_files_to_encode()

    def mark_files_to_encode(self) -> None:
        self._run("UPDATE models SET may_lack_files = true WHERE NOT may_lack_files")

    def note_wordless(self, content_id: int, model_id: int) -> None:
        self._run(
            "INSERT INTO wordless (content_id, model_id) VALUES (%s, %s) ON CONFLICT DO NOTHING", (content_id, model_id)
        )

    def remove_items_of_model(self, model_id: int) -> int:
        return self._remove_items("model_id = %s", (model_id,))

    def _remove_items(self, condition: str, values: Sequence[Any]) -> int:
        """Drops the items that fulfil a condition in SQL, and their vectors. Returns how many there were."""
        removed = self._number(
            f"""WITH gone AS (DELETE FROM items WHERE {condition} RETURNING id),
                  without AS (DELETE FROM vectors WHERE item_id IN (SELECT id FROM gone))
                SELECT count(*) FROM gone""",
            values,
        )
        if removed:
            self._run("UPDATE settings SET value = (value::bigint + %s)::text WHERE key = 'items_removed'", (removed,))
        return removed
