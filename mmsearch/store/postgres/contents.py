"""The table of contents: how a file's bytes come into the library, and out of it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mmsearch.records import Content, Medium
from mmsearch.store.postgres.details import DetailTables
from mmsearch.store.postgres.encoded import is_whole
from mmsearch.store.postgres.encoded_items import EncodedItemTables

_OF_NO_FILE = "NOT EXISTS (SELECT FROM files WHERE files.content_id = {content})"


class ContentTables(DetailTables, EncodedItemTables):
    """Contents by their digest. What writes does so within the caller's transaction."""

    def contents_of(self, file_ids: Iterable[int]) -> dict[int, int]:
        rows = self._rows("SELECT id, content_id FROM files WHERE id = ANY(%s::bigint[])", (list(file_ids),))
        return {row[0]: row[1] for row in rows}

    def contents_among(self, content_ids: Iterable[int]) -> set[int]:
        rows = self._rows("SELECT id FROM contents WHERE id = ANY(%s::bigint[])", (list(content_ids),))
        return {row[0] for row in rows}

    def has_older_digests(self) -> bool:
        return self._one("SELECT FROM contents WHERE hash = 'xxh3' LIMIT 1") is not None

    def has_older_digest(self, digest: bytes) -> bool:
        return self._one("SELECT FROM contents WHERE digest = %s AND hash = 'xxh3'", (digest,)) is not None

    def renew_digest(self, content_id: int, digest: bytes) -> None:
        self._run(
            """UPDATE contents SET digest = %s, hash = 'blake2b' WHERE id = %s AND hash = 'xxh3'
                 AND NOT EXISTS (SELECT FROM contents WHERE digest = %s)""",
            (digest, content_id, digest),
        )

    def content_called(self, digest: bytes) -> int | None:
        row = self._one(
            """SELECT id FROM contents WHERE digest = %s
               AND (EXISTS (SELECT FROM items WHERE content_id = contents.id)
                 OR EXISTS (SELECT FROM wordless WHERE content_id = contents.id))""",
            (digest,),
        )
        return None if row is None else int(row[0])

    def digests_among(self, digests: Iterable[bytes]) -> set[bytes]:
        rows = self._rows("SELECT digest FROM contents WHERE digest = ANY(%s::bytea[])", (list(digests),))
        return {row[0] for row in rows}

    def content_with_items(self, digest: bytes, model_id: int, reader: int) -> int | None:
        row = self._one(
            f"""SELECT id FROM contents WHERE digest = %(digest)s AND reader >= %(reader)s
                AND {is_whole("contents.id", "%(model)s")}""",
            {"digest": digest, "reader": reader, "model": model_id},
        )
        return None if row is None else int(row[0])

    def items_begun(self, content_id: int, model_id: int) -> int:
        return self._number(
            "SELECT count(*) FROM items WHERE content_id = %s AND model_id = %s HAVING NOT bool_or(last)",
            (content_id, model_id),
        )

    def frames_begun(self, content_id: int, model_id: int) -> tuple[int, float]:
        (row,) = self._rows(
            """SELECT count(*), coalesce(max(time_to), 0) FROM items
               WHERE content_id = %s AND model_id = %s AND source = 'frame'""",
            (content_id, model_id),
        )
        return int(row[0]), float(row[1])

    def files_without_items(self, model_id: int, media: Sequence[Medium] | None = None) -> set[int]:
        of_media = "AND content_id IN (SELECT id FROM contents WHERE medium = ANY(%(media)s::text[]))"
        rows = self._rows(
            f"""SELECT id FROM files WHERE NOT {is_whole("files.content_id", "%(model)s")}
                AND NOT EXISTS
                  (SELECT FROM failures WHERE failures.path = files.path AND failures.model_id = %(model)s
                   AND failures.size = files.size AND failures.mtime_ns = files.mtime_ns)
                {"" if media is None else of_media}""",
            {"model": model_id, "media": list(media or ())},
        )
        return {row[0] for row in rows}

    def files_read_otherwise(self, versions: Mapping[str, int]) -> set[int]:
        rows = self._rows(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               CROSS JOIN (SELECT %s::jsonb) AS given (versions)
               WHERE coalesce(versions ->> (contents.medium || ' ' || files.extension), versions ->> contents.medium)
                 ::integer > contents.reader AND versions ? contents.medium""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def put_content(self, content: Content, stages: Sequence[str] = ()) -> int:
        number, reader, details, is_new = self._known_or_new(content)
        if is_new:
            self._new_media[number] = content.medium
            self._empty.add(number)
        elif reader < content.reader:
            self.remove_items_of([number])
            self._forget_stages(number, stages)
            self._run_later(
                """UPDATE contents SET medium = %(medium)s, reader = %(reader)s, width = %(width)s, height = %(height)s,
                     taken = %(taken)s, encoding = %(encoding)s, duration = %(duration)s, pages = %(pages)s
                   WHERE id = %(id)s""",
                {"id": number, **_columns_of(content)},
            )
        if content.details_version != (details or 0):
            self.put_details(number, content.facts.details, {content.medium: content.details_version})
        return number

    def _forget_stages(self, content_id: int, stages: Sequence[str]) -> None:
        """Says that these stages have not read a content, of which no items are left."""
        for stage in stages:
            named = {"content": content_id, "stage": stage}
            self._run_later("DELETE FROM stage_parts WHERE content_id = %(content)s AND stage = %(stage)s", named)
            self._run_later(
                """DELETE FROM stages
                   WHERE content_id = %(content)s AND (stage = %(stage)s OR stage LIKE %(stage)s || ' %%')""",
                named,
            )

    def renew_reader(self, content_id: int, reader: int) -> None:
        self._run_later("UPDATE contents SET reader = greatest(reader, %s) WHERE id = %s", (reader, content_id))

    def _known_or_new(self, content: Content) -> tuple[int, int, int | None, bool]:
        """The content's id, by which version of its reader it was read, in which version its details, and whether it is
        new, and stored by this.
        """
        (row,) = self._rows(
            """WITH known AS (
                 SELECT id, reader, version FROM contents LEFT JOIN details ON content_id = id
                 WHERE digest = %(digest)s),
               new AS (
                 INSERT INTO contents
                   (digest, medium, bytes, reader, width, height, taken, encoding, duration, pages, hash)
                 SELECT %(digest)s, %(medium)s, %(bytes)s, %(reader)s, %(width)s, %(height)s, %(taken)s, %(encoding)s,
                   %(duration)s, %(pages)s, 'blake2b' WHERE NOT EXISTS (SELECT FROM known) RETURNING id, reader)
               SELECT id, reader, version, FALSE FROM known UNION ALL SELECT id, reader, NULL, TRUE FROM new""",
            _columns_of(content),
        )
        return row[0], row[1], row[2], row[3]

    def remove_orphans(self) -> None:
        self._remove_items(_OF_NO_FILE.format(content="items.content_id"), ())
        self._run(f"DELETE FROM contents WHERE {_OF_NO_FILE.format(content='contents.id')}")

    def retire_orphans(self) -> None:
        if not self.has_orphans():
            return
        held = "EXISTS (SELECT FROM files WHERE content_id = contents.id)"
        retired = "orphaned > 0 AND orphaned = 1"  # the first half is that of the index
        self._run(f"UPDATE contents SET orphaned = 0 WHERE orphaned > 0 AND {held}")
        self._remove_items(f"items.content_id IN (SELECT id FROM contents WHERE {retired})", ())
        self._run(f"DELETE FROM contents WHERE {retired}")
        self._run("UPDATE contents SET orphaned = 1 WHERE orphaned > 0")

    def mark_orphans(self) -> None:
        self._run(
            f"UPDATE contents SET orphaned = 2 WHERE orphaned = 0 AND {_OF_NO_FILE.format(content='contents.id')}"
        )

    def has_orphans(self) -> bool:
        return self._one("SELECT FROM contents WHERE orphaned > 0 LIMIT 1") is not None

    def some_pictures(self, most: int) -> list[bytes]:
        rows = self._rows(
            """SELECT path FROM files JOIN contents ON contents.id = files.content_id WHERE contents.medium = 'image'
               ORDER BY (files.id * 2654435761) %% 4294967296 LIMIT %s""",
            (most,),
        )
        return [row[0] for row in rows]


def _columns_of(content: Content) -> dict[str, object]:
    """What the table of contents says of it, but for its id."""
    facts = content.facts
    return {
        "digest": content.digest,
        "medium": content.medium,
        "bytes": content.size,
        "reader": content.reader,
        "width": facts.width,
        "height": facts.height,
        "taken": facts.taken,
        "encoding": facts.encoding,
        "duration": facts.duration,
        "pages": facts.pages,
    }
