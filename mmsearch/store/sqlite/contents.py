"""The table of contents, and what is stored of each: from a file's bytes to its items, and out of the library again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmsearch.records import Content, EncodedItem, Medium, Modality, Remark
from mmsearch.store.rows import row_of_locator
from mmsearch.store.sqlite.details import DetailTables
from mmsearch.store.sqlite.encoded import is_whole
from mmsearch.store.sqlite.signing import checksums

# Of remarks: a model left passages out, some of which it would take if it might have more of them.
_THINNED = "model_id = ? AND left_out > 0 AND most < ?"


class ContentTables(DetailTables):
    """Contents by their digest, with the items that models made of them. What writes does so within the caller's
    transaction.
    """

    def contents_of(self, file_ids: Iterable[int]) -> dict[int, int]:
        rows = self.connection.execute(
            "SELECT id, content_id FROM files WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(file_ids)),),
        )
        return dict(rows.fetchall())

    def contents_among(self, content_ids: Iterable[int]) -> set[int]:
        rows = self.connection.execute(
            "SELECT id FROM contents WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(content_ids)),)
        )
        return {row[0] for row in rows}

    def has_older_digests(self) -> bool:
        return self.connection.execute("SELECT 1 FROM contents WHERE hash = 'xxh3' LIMIT 1").fetchone() is not None

    def has_older_digest(self, digest: bytes) -> bool:
        row = self.connection.execute("SELECT 1 FROM contents WHERE digest = ? AND hash = 'xxh3'", (digest,)).fetchone()
        return row is not None

    def renew_digest(self, content_id: int, digest: bytes) -> None:
        self.connection.execute(
            "UPDATE OR IGNORE contents SET digest = ?, hash = 'blake2b' WHERE id = ? AND hash = 'xxh3'",
            (digest, content_id),
        )

    def content_called(self, digest: bytes) -> int | None:
        row = self.connection.execute(
            """SELECT id FROM contents WHERE digest = ?
               AND (EXISTS (SELECT 1 FROM items WHERE content_id = contents.id)
                 OR EXISTS (SELECT 1 FROM wordless WHERE content_id = contents.id))""",
            (digest,),
        ).fetchone()
        return None if row is None else int(row[0])

    def digests_among(self, digests: Iterable[bytes]) -> set[bytes]:
        rows = self.connection.execute(
            "SELECT digest FROM contents WHERE hex(digest) IN (SELECT value FROM json_each(?))",
            (json.dumps([digest.hex().upper() for digest in digests]),),
        )
        return {row[0] for row in rows}

    def content_with_items(self, digest: bytes, model_id: int, reader: int) -> int | None:
        row = self.connection.execute(
            f"SELECT id FROM contents WHERE digest = ?1 AND reader >= ?2 AND {is_whole('contents.id', '?3')}",
            (digest, reader, model_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def items_stored(self, digest: bytes, model_id: int, reader: int) -> int:
        row = self.connection.execute(
            """SELECT count(*) FROM items JOIN contents ON contents.id = content_id
               WHERE digest = ? AND reader >= ? AND model_id = ?""",
            (digest, reader, model_id),
        ).fetchone()
        return int(row[0])

    def items_begun(self, content_id: int, model_id: int) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM items WHERE content_id = ? AND model_id = ? HAVING NOT max(last)",
            (content_id, model_id),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def frames_begun(self, content_id: int, model_id: int) -> tuple[int, float]:
        row = self.connection.execute(
            """SELECT count(*), ifnull(max(time_to), 0.0) FROM items
               WHERE content_id = ? AND model_id = ? AND source = 'frame'""",
            (content_id, model_id),
        ).fetchone()
        return int(row[0]), float(row[1])

    def files_without_items(self, model_id: int, media: Sequence[Medium] | None = None) -> set[int]:
        of_media = ""
        if media is not None:
            of_media = "AND content_id IN (SELECT id FROM contents WHERE medium IN (SELECT value FROM json_each(?2)))"
        rows = self.connection.execute(
            f"""SELECT id FROM files WHERE NOT {is_whole("files.content_id", "?1")}
               AND NOT EXISTS
                 (SELECT 1 FROM failures WHERE failures.path = files.path AND failures.model_id = ?1
                  AND failures.size = files.size AND failures.mtime_ns = files.mtime_ns) {of_media}""",
            (model_id,) if media is None else (model_id, json.dumps(list(media))),
        )
        return {row[0] for row in rows}

    def files_read_otherwise(self, versions: Mapping[str, int]) -> set[int]:
        rows = self.connection.execute(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               JOIN json_each(?1) AS readers ON readers.key = contents.medium
               LEFT JOIN json_each(?1) AS exceptions ON exceptions.key = contents.medium || ' ' || files.extension
               WHERE coalesce(exceptions.value, readers.value) > contents.reader""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def put_content(self, content: Content, stages: Sequence[str] = ()) -> int:
        facts = content.facts
        known = self.connection.execute(
            "SELECT id, reader FROM contents WHERE digest = ?", (content.digest,)
        ).fetchone()
        if known is not None and known[1] >= content.reader:
            self._put_newer_details(int(known[0]), content)
            return int(known[0])
        if known is not None:
            self.remove_items_of([known[0]])
            self._forget_stages(known[0], stages)
        row = self.connection.execute(
            """INSERT INTO contents
                 (digest, medium, bytes, reader, width, height, taken, encoding, duration, pages, hash)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'blake2b')
               ON CONFLICT (digest) DO UPDATE SET medium = excluded.medium, reader = excluded.reader,
                 width = excluded.width, height = excluded.height, taken = excluded.taken,
                 encoding = excluded.encoding, duration = excluded.duration, pages = excluded.pages
               RETURNING id""",
            (
                content.digest, content.medium, content.size, content.reader,
                facts.width, facts.height, facts.taken, facts.encoding, facts.duration, facts.pages,
            ),
        ).fetchone()  # fmt: skip
        self._put_newer_details(int(row[0]), content)
        return int(row[0])

    def _forget_stages(self, content_id: int, stages: Sequence[str]) -> None:
        """Says that these stages have not read a content, of which no items are left."""
        for stage in stages:
            of_stage = (content_id, stage)
            self.connection.execute("DELETE FROM stage_parts WHERE content_id = ? AND stage = ?", of_stage)
            self.connection.execute(
                "DELETE FROM stages WHERE content_id = ?1 AND (stage = ?2 OR stage LIKE ?2 || ' %')", of_stage
            )

    def renew_reader(self, content_id: int, reader: int) -> None:
        self.connection.execute("UPDATE contents SET reader = max(reader, ?) WHERE id = ?", (reader, content_id))

    def _put_newer_details(self, content_id: int, content: Content) -> None:
        """Stores the details of a content, unless they are there as this version of its reader reads them."""
        version = content.details_version
        row = self.connection.execute("SELECT version FROM details WHERE content_id = ?", (content_id,)).fetchone()
        if version != (row[0] if row else 0):
            self.put_details(content_id, content.facts.details, {content.medium: version})

    def remark(self, content_id: int, model_id: int, note: str | None, left_out: int, most: int) -> None:
        self.connection.execute("DELETE FROM remarks WHERE content_id = ? AND model_id = ?", (content_id, model_id))
        if note is not None or left_out:
            self._put_remark(content_id, model_id, note, left_out, most)

    def note_budget(self, content_id: int, model_id: int, most: int) -> None:
        self._put_remark(content_id, model_id, None, 0, most)

    def _put_remark(self, content_id: int, model_id: int, note: str | None, left_out: int, most: int) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO remarks (content_id, model_id, note, left_out, most) VALUES (?, ?, ?, ?, ?)",
            (content_id, model_id, note, left_out, most),
        )

    def remarks(self, model_id: int) -> list[Remark]:
        rows = self.connection.execute(
            """SELECT path, note, left_out FROM remarks JOIN files ON files.content_id = remarks.content_id
               WHERE model_id = ? AND (note IS NOT NULL OR left_out > 0) ORDER BY path""",
            (model_id,),
        )
        return [Remark(*row) for row in rows]

    def budget_of(self, digest: bytes, model_id: int) -> int | None:
        row = self.connection.execute(
            """SELECT most FROM remarks JOIN contents ON contents.id = content_id
               WHERE digest = ? AND model_id = ?""",
            (digest, model_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def thinned_files(self, model_id: int, most: int) -> set[int]:
        rows = self.connection.execute(
            f"""SELECT files.id FROM remarks JOIN files ON files.content_id = remarks.content_id
                WHERE {_THINNED}""",
            (model_id, most),
        )
        return {row[0] for row in rows}

    def is_thinned(self, content_id: int, model_id: int, most: int) -> bool:
        row = self.connection.execute(
            f"SELECT 1 FROM remarks WHERE content_id = ? AND {_THINNED}",
            (content_id, model_id, most),
        ).fetchone()
        return row is not None

    def add_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int = 0, is_whole: bool = True
    ) -> None:
        execute = self.connection.execute
        row = execute(
            "SELECT count(*), max(last) FROM items WHERE content_id = ? AND model_id = ?", (content_id, model_id)
        ).fetchone()
        stored, whole = int(row[0]), bool(row[1])
        if whole or stored < first:
            return
        if is_whole and not items:  # the run before had got to the end, and no further
            execute(
                "UPDATE items SET last = 1 WHERE content_id = ? AND model_id = ? AND ordinal = ?",
                (content_id, model_id, stored - 1),
            )
        last = first + len(items) - 1 if is_whole else -1
        self._insert_items(content_id, model_id, items[stored - first :], stored, last)

    def _insert_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int, last: int = -1
    ) -> None:
        """Stores items of a content with their vectors, those from place `first` on. At `last` it is whole."""
        item_ids: list[int] = []
        vectors: list[bytes] = []
        for ordinal, item in enumerate(items, start=first):
            cursor = self.connection.execute(
                """INSERT INTO items (content_id, model_id, modality, source, ordinal, last, start, "end", line,
                     page, region, time_from, time_to, text)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    content_id, model_id, item.modality, item.source, ordinal, int(ordinal == last),
                    *row_of_locator(item.locator), item.text,
                ),
            )  # fmt: skip
            item_ids.append(int(cursor.lastrowid or 0))
            if item.locator.part_name is not None:
                self.connection.execute(
                    "INSERT INTO part_names (item_id, name) VALUES (?, ?)", (item_ids[-1], item.locator.part_name)
                )
            vectors.append(item.vector.astype("<f2").tobytes())
        self.connection.executemany(
            "INSERT INTO vectors (item_id, vector, checksum) VALUES (?, ?, ?)",
            zip(item_ids, vectors, checksums(item_ids, vectors), strict=True),
        )
        for modality in {item.modality for item in items}:
            self._note_space(content_id, model_id, modality)

    def _note_space(self, content_id: int, model_id: int, modality: Modality) -> None:
        self.connection.execute(
            """INSERT OR IGNORE INTO spaces (model_id, modality, medium)
               SELECT ?, ?, medium FROM contents WHERE id = ?""",
            (model_id, modality, content_id),
        )

    def remove_orphans(self) -> None:
        self._remove_items("content_id NOT IN (SELECT content_id FROM files)", ())
        self.connection.execute("DELETE FROM contents WHERE id NOT IN (SELECT content_id FROM files)")

    def retire_orphans(self) -> None:
        execute = self.connection.execute
        held = "EXISTS (SELECT 1 FROM files WHERE content_id = contents.id)"
        retired = "orphaned > 0 AND orphaned = 1"  # the first half is that of the index
        execute(f"UPDATE contents SET orphaned = 0 WHERE orphaned > 0 AND {held}")
        self._remove_items(f"content_id IN (SELECT id FROM contents WHERE {retired})", ())
        execute(f"DELETE FROM contents WHERE {retired}")
        execute("UPDATE contents SET orphaned = 1 WHERE orphaned > 0")

    def mark_orphans(self) -> None:
        self.connection.execute(
            """UPDATE contents SET orphaned = 2
               WHERE orphaned = 0 AND NOT EXISTS (SELECT 1 FROM files WHERE content_id = contents.id)"""
        )

    def has_orphans(self) -> bool:
        return self.connection.execute("SELECT 1 FROM contents WHERE orphaned > 0 LIMIT 1").fetchone() is not None

    def remove_items_of(self, content_ids: Iterable[int], model_id: int | None = None) -> None:
        content_ids = list(content_ids)
        self._remove_items(
            "content_id IN (SELECT value FROM json_each(?)) AND model_id = ifnull(?, model_id)",
            (json.dumps(content_ids), model_id),
        )
        self.connection.execute(
            """DELETE FROM wordless
               WHERE content_id IN (SELECT value FROM json_each(?)) AND model_id = ifnull(?, model_id)""",
            (json.dumps(content_ids), model_id),
        )
        self.mark_files_to_encode()

    def note_wordless(self, content_id: int, model_id: int) -> None:
        self.connection.execute(
            "INSERT OR IGNORE INTO wordless (content_id, model_id) VALUES (?, ?)", (content_id, model_id)
        )

    def remove_items_of_model(self, model_id: int) -> int:
        return self._remove_items("model_id = ?", (model_id,))

    def _remove_items(self, condition: str, values: tuple[Any, ...]) -> int:
        self.connection.execute(
            f"DELETE FROM vectors WHERE item_id IN (SELECT id FROM items WHERE {condition})", values
        )
        removed = self.connection.execute(f"DELETE FROM items WHERE {condition}", values).rowcount
        if removed:
            self.set_setting("items_removed", str(self.items_removed() + removed))
        return removed

    def mark_files_to_encode(self) -> None:
        self.connection.execute("UPDATE models SET may_lack_files = 1")

    def some_pictures(self, most: int) -> list[bytes]:
        rows = self.connection.execute(
            """SELECT path FROM files JOIN contents ON contents.id = files.content_id WHERE contents.medium = 'image'
               ORDER BY (files.id * 2654435761) % 4294967296 LIMIT ?""",
            (most,),
        )
        return [row[0] for row in rows]
