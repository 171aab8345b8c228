"""The tables of stages: which have read a content, the texts that they found, and the items made of these.

Items of a stage come behind those that the reader's parts made, if any, of a content that is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmsearch.records import EncodedItem, Failure, FileToRead, Part, StageCounts, StageState
from mmsearch.store.postgres.connected import NOW
from mmsearch.store.postgres.contents import ContentTables
from mmsearch.store.postgres.encoded import is_whole
from mmsearch.store.rows import locator_of, row_of_stage_part

# Items that are of a stage with that source: parts that a reader found may have the same one, and come before.
_OF_STAGE = """items.source = {source} AND items.ordinal > coalesce((SELECT max(own.ordinal) FROM items AS own
  WHERE own.content_id = items.content_id AND own.model_id = items.model_id AND own.last), -1)"""
# Of a content: the stage has read it in that version.
_IS_READ = """EXISTS (SELECT FROM stages WHERE stages.content_id = contents.id AND stages.stage = %(stage)s
  AND stages.version = %(version)s)"""
# What a stage found in a content and a model could not encode is noted under both: as of a stage without a text.
_NOT_ENCODED = "%(stage)s || ' ' || %(model)s::bigint"
# What is noted of models that could not encode what the stage has found.
_NOTES_OF_STAGE = "stage LIKE %(stage)s || ' %%'"


class StageTables(ContentTables):
    """What stages have read. What writes does so within the caller's transaction."""

    def files_to_read(self, stage: StageState, root_ids: Iterable[int], model_id: int) -> list[FileToRead]:
        rows = self._rows(
            f"""SELECT contents.id, files.path, files.size, files.mtime_ns
                FROM files JOIN contents ON contents.id = files.content_id
                WHERE contents.medium = ANY(%(media)s::text[]) AND NOT {_IS_READ}
                  AND files.root_id = ANY(%(roots)s::bigint[])
                  AND {is_whole("contents.id", "%(model)s")} ORDER BY files.path""",
            {**_named(stage), "roots": list(root_ids), "model": model_id},
        )
        return [FileToRead(*row) for row in rows]

    def put_stage(
        self, content_id: int, stage: StageState, parts: Sequence[Part] = (), failure: str | None = None
    ) -> None:
        named = {**_named(stage), "content": content_id, "parts": len(parts), "failure": failure}
        self._remove_items(
            f"items.content_id = %s AND {_OF_STAGE.format(source='%s')}",
            (content_id, stage.source),
        )
        self._number_anew(content_id)
        self._run("DELETE FROM stage_parts WHERE content_id = %(content)s AND stage = %(stage)s", named)
        self._run(f"DELETE FROM stages WHERE content_id = %(content)s AND {_NOTES_OF_STAGE}", named)
        self._run(
            f"""INSERT INTO stages (content_id, stage, version, parts, failure, noted)
                VALUES (%(content)s, %(stage)s, %(version)s, %(parts)s, %(failure)s, {NOW})
                ON CONFLICT (content_id, stage) DO UPDATE SET version = excluded.version, parts = excluded.parts,
                  failure = excluded.failure, noted = excluded.noted""",
            named,
        )
        rows = [row_of_stage_part(part) for part in parts]
        if rows:
            self._run(
                """INSERT INTO stage_parts
                     (content_id, stage, ordinal, page, region, time_from, time_to, part_name, text)
                   SELECT %s, %s, found.ordinal - 1, page, region, time_from, time_to, part_name, text
                   FROM unnest(%s::integer[], %s::text[], %s::float8[], %s::float8[], %s::text[], %s::text[])
                     WITH ORDINALITY AS found (page, region, time_from, time_to, part_name, text, ordinal)""",
                (content_id, stage.name, *map(list, zip(*rows, strict=True))),
            )

    def _number_anew(self, content_id: int) -> None:
        """Closes the gap that items which are gone have left behind the last ones of the reader."""
        self._run(
            """UPDATE items SET ordinal = placed.ordinal FROM
                 (SELECT id, row_number() OVER (PARTITION BY model_id ORDER BY ordinal) - 1 AS ordinal
                  FROM items WHERE content_id = %s) AS placed
               WHERE placed.id = items.id AND placed.ordinal <> items.ordinal""",
            (content_id,),
        )

    def contents_to_encode(self, stage: StageState, model_id: int) -> list[int]:
        rows = self._rows(
            f"""SELECT content_id FROM stages
                WHERE stage = %(stage)s AND parts > 0 AND {is_whole("stages.content_id", "%(model)s")}
                  AND NOT EXISTS (SELECT FROM items WHERE items.content_id = stages.content_id
                    AND items.model_id = %(model)s AND {_OF_STAGE.format(source="%(source)s")})
                  AND NOT EXISTS (SELECT FROM stages AS noted WHERE noted.content_id = stages.content_id
                    AND noted.stage = {_NOT_ENCODED})
                ORDER BY content_id""",
            {**_named(stage), "model": model_id},
        )
        return [row[0] for row in rows]

    def stage_parts(self, content_id: int, stage: StageState) -> list[Part]:
        rows = self._rows(
            """SELECT text, page, region, time_from, time_to, part_name FROM stage_parts
               WHERE content_id = %s AND stage = %s ORDER BY ordinal""",
            (content_id, stage.name),
        )
        return [Part("text", row[0], locator_of(*row[1:]), stage.source) for row in rows]

    def add_stage_items(self, content_id: int, model_id: int, items: Sequence[EncodedItem]) -> None:
        stored = self._number(
            "SELECT count(*) FROM items WHERE content_id = %s AND model_id = %s", (content_id, model_id)
        )
        self._insert_items(content_id, model_id, items, stored)

    def note_texts_not_encoded(self, content_id: int, stage: StageState, model_id: int, reason: str) -> list[bytes]:
        self._run(
            f"""INSERT INTO stages (content_id, stage, version, parts, failure, noted)
                VALUES (%(content)s, {_NOT_ENCODED}, %(version)s, 0, %(reason)s, {NOW})
                ON CONFLICT (content_id, stage) DO UPDATE SET version = excluded.version, failure = excluded.failure,
                  noted = excluded.noted""",
            {**_named(stage), "content": content_id, "model": model_id, "reason": reason},
        )
        rows = self._rows("SELECT path FROM files WHERE content_id = %s ORDER BY path", (content_id,))
        return [row[0] for row in rows]

    def stage_counts(self, stage: StageState) -> StageCounts:
        (row,) = self._rows(
            f"""SELECT count(*) FILTER (WHERE stages.stage IS NOT NULL AND stages.failure IS NULL),
                  count(*) FILTER (WHERE stages.parts > 0), count(*) FILTER (WHERE stages.failure IS NOT NULL),
                  count(*) FILTER (WHERE NOT {_IS_READ})
                FROM files JOIN contents ON contents.id = files.content_id
                LEFT JOIN stages ON stages.content_id = contents.id AND stages.stage = %(stage)s
                WHERE contents.medium = ANY(%(media)s::text[])""",
            _named(stage),
        )
        return StageCounts(*row)

    def stage_failures(self, stage: StageState) -> list[Failure]:
        rows = self._rows(
            f"""SELECT path, failure, noted FROM stages JOIN files ON files.content_id = stages.content_id
                WHERE (stage = %(stage)s OR {_NOTES_OF_STAGE}) AND failure IS NOT NULL ORDER BY path, stage""",
            _named(stage),
        )
        return [Failure(*row) for row in rows]

    def forget_stage_failures(self) -> None:
        self._run("DELETE FROM stages WHERE failure IS NOT NULL")


def _named(stage: StageState) -> dict[str, object]:
    return {
        "stage": stage.name,
        "version": stage.version,
        "source": stage.source,
        "media": list(stage.media),
    }
