"""Files as they are listed and counted, without a question, and what belongs to one photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmsearch.files.hashing import place_in_shuffle
from mmsearch.files.paths import extension_of
from mmsearch.records import Beside, FileBrief, Filters, Listing
from mmsearch.store.companions import IS_COMPANION, IS_PICTURE, STEM
from mmsearch.store.conditions import ranges_of
from mmsearch.store.postgres.connected import Connected
from mmsearch.store.postgres.filters import filter_condition
from mmsearch.store.postgres.moments import moment

# Of the files of one content the lower goes before, as `presence.shown` shows them: what other programs can open, what
# lies in an archive, what lies behind a URL.
_STANDING = r"""CASE WHEN position('\x3a2f2f'::bytea IN path) > 0 THEN 2
    WHEN position('\x21'::bytea IN path) > 0 THEN 1 ELSE 0 END"""
# Whether a path lies in one of the ranges of which the statement's next values are the ends and the firsts.
_IS_WITHIN = "coalesce(path < (%s::bytea[])[width_bucket(path, %s::bytea[])], FALSE)"


class ListedFileTables(Connected):
    """Files of models, a page at a time. Nothing of it writes."""

    def list_files(
        self, model_ids: Sequence[int], filters: Filters, listing: Listing
    ) -> tuple[list[tuple[int, bytes]], int]:
        models = list(model_ids)
        listed, values = _listed(filters, models, listing.copies)
        if listing.seed is not None:
            return self._shuffled(models, listed, values, listing)
        one_each = "TRUE" if listing.copies else "place = 1"
        order = "moment DESC, mtime_ns DESC, path" if listing.by_date else "path"
        among_copies, ranges = f"{_STANDING}, {order}", []
        if listing.away:
            firsts, ends = ranges_of(listing.away)
            among_copies, ranges = f"{_IS_WITHIN}, {among_copies}", [ends, firsts]
        rows = self._rows(
            f"""{listed}, numbered AS (
                  SELECT *, row_number() OVER (PARTITION BY content_id ORDER BY {among_copies}) AS place FROM listed)
                SELECT (SELECT min(items.id) FROM items WHERE items.content_id = page.content_id
                          AND items.model_id = ANY(%s)), path, total
                FROM (SELECT *, count(*) OVER () AS total FROM numbered WHERE {one_each}
                      ORDER BY {order} LIMIT %s OFFSET %s) AS page
                ORDER BY {order}""",
            (*values, *ranges, models, listing.limit, listing.offset),
        )
        if not rows:  # behind the last page
            counted = "count(*)" if listing.copies else "count(DISTINCT content_id)"
            return [], self._number(f"{listed} SELECT {counted} FROM listed", values)
        return [(row[0], row[1]) for row in rows], rows[0][2]

    def _shuffled(
        self, models: list[int], listed: str, values: Sequence[Any], listing: Listing
    ) -> tuple[list[tuple[int, bytes]], int]:
        """A page in the order of `place_in_shuffle`, which is no function of SQL: all that is listed is drawn from."""
        rows = self._rows(f"{listed} SELECT path, content_id FROM listed", values)
        seed = listing.seed or 0
        rows.sort(key=lambda row: place_in_shuffle(row[0], seed))
        if not listing.copies:
            first_path: dict[int, bytes] = {}
            for path, content_id in rows:
                first_path.setdefault(content_id, path)
            rows = [(path, content_id) for content_id, path in first_path.items()]
        page = rows[listing.offset : listing.offset + listing.limit]
        first: dict[int, int] = dict(
            self._rows(
                """SELECT content_id, min(id) FROM items WHERE content_id = ANY(%s) AND model_id = ANY(%s)
                   GROUP BY content_id""",
                ([content_id for _, content_id in page], models),
            )
        )
        return [(first[content_id], path) for path, content_id in page], len(rows)

    def briefs(self, model_ids: Sequence[int], filters: Filters) -> list[FileBrief]:
        listed, values = _listed(filters, list(model_ids), copies=False)
        rows = self._rows(
            f"""{listed} SELECT chosen.path, contents.medium, chosen.moment, coalesce(sidecars.place, details.place),
                  coalesce(sidecars.camera, details.camera)
                FROM (SELECT DISTINCT ON (content_id) * FROM listed ORDER BY content_id, {_STANDING}, path) AS chosen
                JOIN contents ON contents.id = chosen.content_id
                LEFT JOIN details ON details.content_id = chosen.content_id
                LEFT JOIN sidecars ON sidecars.file_id = chosen.file_id""",
            values,
        )
        return [FileBrief(*row) for row in rows]

    def beside(self, paths: Sequence[bytes], filters: Filters) -> dict[bytes, list[Beside]]:
        condition, values = filter_condition(filters)
        stems = [path[: len(path) - len(extension_of(path))] for path in paths]
        rows = self._rows(
            f"""SELECT asked.name, files.path, {IS_PICTURE}, (SELECT min(id) FROM items WHERE content_id = contents.id),
                  files.size
                FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[]) AS asked (name, stem, after, before)
                CROSS JOIN LATERAL
                  (SELECT * FROM files WHERE path > asked.after AND path < asked.before OFFSET 0) AS files
                JOIN contents ON contents.id = files.content_id
                WHERE {STEM} = asked.stem AND ({IS_PICTURE} OR {IS_COMPANION})
                  AND EXISTS (SELECT 1 FROM items WHERE content_id = contents.id) AND {condition}
                ORDER BY files.path""",
            # A slash comes right after a point.
            (list(paths), stems, [stem + b"." for stem in stems], [stem + b"/" for stem in stems], *values),
        )
        found: dict[bytes, list[Beside]] = {path: [] for path in paths}
        for asked, *row in rows:
            found[asked].append(Beside(*row))
        return found


def _listed(filters: Filters, models: list[int], copies: bool) -> tuple[str, tuple[Any, ...]]:
    """SQL that names the files `listed` that pass the filters and have items of those models, and its values."""
    condition, values = filter_condition(filters)
    wanted = "TRUE" if copies else "NOT (is_companion AND stem IN (SELECT stem FROM passing WHERE is_picture))"
    listed = f"""WITH passing AS (
          SELECT files.id AS file_id, files.path, files.content_id, files.mtime_ns, {moment()} AS moment,
            {STEM} AS stem, {IS_PICTURE} AS is_picture, {IS_COMPANION} AS is_companion
          FROM files JOIN contents ON contents.id = files.content_id LEFT JOIN sidecars ON sidecars.file_id = files.id
          WHERE {condition} AND EXISTS (SELECT 1 FROM items WHERE items.content_id = contents.id
            AND items.model_id = ANY(%s))),
        listed AS (SELECT file_id, path, content_id, mtime_ns, moment FROM passing WHERE {wanted})"""
    return listed, (*values, models)
