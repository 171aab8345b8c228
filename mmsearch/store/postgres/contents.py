"""The table of contents: how a file's bytes come into the library, and out of it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mmsearch.records import Content, Counts, Medium
from mmsearch.store.postgres.details import DetailTables
from mmsearch.store.postgres.encoded import FOUND_BY_SOUND, is_whole
from mmsearch.store.postgres.encoded_items import EncodedItemTables

_OF_NO_FILE = "NOT EXISTS (SELECT FROM files WHERE files.content_id = {content})"


class ContentTables(DetailTables, EncodedItemTables):
    """Contents by their digest. What writes does so within the caller's transaction."""

    def contents_of(self, file_ids: Iterable[int]) -> dict[int, int]:
        """The ids of the contents that those files hold, by file."""
        rows = self._rows("SELECT id, content_id FROM files WHERE id = ANY(%s::bigint[])", (list(file_ids),))
        return {row[0]: row[1] for row in rows}

    def contents_among(self, content_ids: Iterable[int]) -> set[int]:
        """Those of the ids that are those of contents of the library: others may have dropped some meanwhile."""
        rows = self._rows("SELECT id FROM contents WHERE id = ANY(%s::bigint[])", (list(content_ids),))
        return {row[0] for row in rows}

    def has_older_digests(self) -> bool:
        """Whether there are contents with digests that an older mmsearch has made."""
        return self._one("SELECT FROM contents WHERE hash = 'xxh3' LIMIT 1") is not None

    def has_older_digest(self, digest: bytes) -> bool:
        """Whether an older mmsearch has made that digest of some content."""
        return self._one("SELECT FROM contents WHERE digest = %s AND hash = 'xxh3'", (digest,)) is not None

    def renew_digest(self, content_id: int, digest: bytes) -> None:
        """Gives that digest to a content that has one of an older mmsearch."""
        self._run(
            """UPDATE contents SET digest = %s, hash = 'blake2b' WHERE id = %s AND hash = 'xxh3'
                 AND NOT EXISTS (SELECT FROM contents WHERE digest = %s)""",
            (digest, content_id, digest),
        )

    def content_called(self, digest: bytes) -> int | None:
        """The id of that content if some model has encoded it, else None."""
        row = self._one(
            """SELECT id FROM contents WHERE digest = %s
               AND (EXISTS (SELECT FROM items WHERE content_id = contents.id)
                 OR EXISTS (SELECT FROM wordless WHERE content_id = contents.id))""",
            (digest,),
        )
        return None if row is None else int(row[0])

    def digests_among(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the digests that are those of contents of the library."""
        rows = self._rows("SELECT digest FROM contents WHERE digest = ANY(%s::bytea[])", (list(digests),))
        return {row[0] for row in rows}

    def content_with_items(self, digest: bytes, model_id: int, reader: int) -> int | None:
        """The id of that content if it was read by that version of its reader, and this model has encoded all of it."""
        row = self._one(
            f"""SELECT id FROM contents WHERE digest = %(digest)s AND reader = %(reader)s
                AND {is_whole("contents.id", "%(model)s")}""",
            {"digest": digest, "reader": reader, "model": model_id},
        )
        return None if row is None else int(row[0])

    def items_begun(self, content_id: int, model_id: int) -> int:
        """How many items of that content this model has encoded, where there are more to come; else 0."""
        return self._number(
            "SELECT count(*) FROM items WHERE content_id = %s AND model_id = %s HAVING NOT bool_or(last)",
            (content_id, model_id),
        )

    def frames_begun(self, content_id: int, model_id: int) -> tuple[int, float]:
        """How many frames of that content this model has encoded, and until when the last of them lasts, in seconds."""
        (row,) = self._rows(
            """SELECT count(*), coalesce(max(time_to), 0) FROM items
               WHERE content_id = %s AND model_id = %s AND source = 'frame'""",
            (content_id, model_id),
        )
        return int(row[0]), float(row[1])

    def files_without_items(self, model_id: int, media: Sequence[Medium] | None = None) -> set[int]:
        """Files whose content this model has not encoded whole, but for those that it could not encode as they are.

        Of those media alone, where some are given.
        """
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
        """The ids of files whose content was read by another version of its medium's reader than that one; under
        medium and extension ("text .srt") stands that of files with it.
        """
        rows = self._rows(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               CROSS JOIN (SELECT %s::jsonb) AS given (versions)
               WHERE coalesce(versions ->> (contents.medium || ' ' || files.extension), versions ->> contents.medium)
                 ::integer <> contents.reader AND versions ? contents.medium""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def put_content(self, content: Content) -> int:
        """Stores a content, unless it is there already as that version of its reader reads it. Returns its id.

        What another version has found in it is dropped, for all models.
        """
        number, reader, details, is_new = self._known_or_new(content)
        if is_new:
            self._new_media[number] = content.medium
            self._empty.add(number)
        elif reader != content.reader:
            self.remove_items_of([number])
            self._run_later(
                """UPDATE contents SET medium = %(medium)s, reader = %(reader)s, width = %(width)s, height = %(height)s,
                     taken = %(taken)s, encoding = %(encoding)s, duration = %(duration)s, pages = %(pages)s
                   WHERE id = %(id)s""",
                {"id": number, **_columns_of(content)},
            )
        if content.details_version != (details or 0):
            self.put_details(number, content.facts.details, {content.medium: content.details_version})
        return number

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
        """Drops contents that no file holds any more, with their items and vectors."""
        self._remove_items(_OF_NO_FILE.format(content="items.content_id"), ())
        self._run(f"DELETE FROM contents WHERE {_OF_NO_FILE.format(content='contents.id')}")

    def retire_orphans(self) -> None:
        """Drops contents that no file has held since the last call, and marks those that no file holds now.

        So a file that is moved from one root to another keeps its vectors though the roots are indexed one by one.
        What a file has let go of since the last call is marked 2, by triggers, and what was marked by it 1.
        """
        if not self.has_orphans():
            return
        held = "EXISTS (SELECT FROM files WHERE content_id = contents.id)"
        retired = "orphaned > 0 AND orphaned = 1"  # the first half is that of the index
        self._run(f"UPDATE contents SET orphaned = 0 WHERE orphaned > 0 AND {held}")
        self._remove_items(f"items.content_id IN (SELECT id FROM contents WHERE {retired})", ())
        self._run(f"DELETE FROM contents WHERE {retired}")
        self._run("UPDATE contents SET orphaned = 1 WHERE orphaned > 0")

    def mark_orphans(self) -> None:
        """Looks at all contents for some that no file holds, where nothing has marked them."""
        self._run(
            f"UPDATE contents SET orphaned = 2 WHERE orphaned = 0 AND {_OF_NO_FILE.format(content='contents.id')}"
        )

    def has_orphans(self) -> bool:
        """Whether there are contents that no file holds, or did not hold for a while."""
        return self._one("SELECT FROM contents WHERE orphaned > 0 LIMIT 1") is not None

    def counts(self, model_id: int) -> Counts:
        """How much there is; items are those of that model."""
        media = self._rows(
            """SELECT medium, count(*) FROM files JOIN contents ON contents.id = content_id
               GROUP BY medium ORDER BY medium"""
        )
        unread = self._rows(
            """SELECT extension, sum(files)::bigint FROM unread GROUP BY extension ORDER BY 2 DESC, extension"""
        )
        (one,) = self._rows(
            f"""SELECT (SELECT count(DISTINCT content_id) FROM files),
                 (SELECT count(*) FROM items WHERE model_id = %s AND content_id IN (SELECT content_id FROM files)),
                 (SELECT count(*) FROM failures WHERE NOT {FOUND_BY_SOUND})""",
            (model_id,),
        )
        return Counts(dict(media), contents=one[0], items=one[1], failures=one[2], unread=dict(unread))

    def some_pictures(self, most: int) -> list[bytes]:
        """The paths of so many pictures, drawn from all of the library."""
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
