"""The tables of stages: which have read a content, the texts that they found, and the items made of these.

Items of a stage come behind those that the reader's parts made, if any, of a content that is whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from mmsearch.records import EncodedItem, Failure, FileToRead, Part, StageCounts, StageState
from mmsearch.store.rows import locator_of, row_of_stage_part
from mmsearch.store.sqlite.contents import ContentTables
from mmsearch.store.sqlite.encoded import is_whole
from mmsearch.store.times import now

# Items that are of a stage with that source: parts that a reader found may have the same one, and come before.
_OF_STAGE = """items.source = {source} AND items.ordinal > ifnull((SELECT max(own.ordinal) FROM items AS own
  WHERE own.content_id = items.content_id AND own.model_id = items.model_id AND own.last), -1)"""
# Of a content: the stage has read it in that version.
_IS_READ = """EXISTS (SELECT 1 FROM stages WHERE stages.content_id = contents.id AND stages.stage = {stage}
  AND stages.version = {version})"""


# What a stage found in a content and a model could not encode is noted under both: as of a stage without a text.
_NOT_ENCODED = "{stage} || ' ' || {model}"


class StageTables(ContentTables):
    """What stages have read. What writes does so within the caller's transaction."""

    def files_to_read(self, stage: StageState, root_ids: Iterable[int], model_id: int) -> list[FileToRead]:
        rows = self.connection.execute(
            f"""SELECT contents.id, files.path, files.size, files.mtime_ns
                FROM files JOIN contents ON contents.id = files.content_id
                WHERE contents.medium IN (SELECT value FROM json_each(?2))
                  AND NOT {_IS_READ.format(stage="?4", version="?5")}
                  AND files.root_id IN (SELECT value FROM json_each(?3))
                  AND {is_whole("contents.id", "?1")} ORDER BY files.path""",
            (model_id, json.dumps(list(stage.media)), json.dumps(list(root_ids)), stage.name, stage.version),
        )
        return [FileToRead(*row) for row in rows]

    def put_stage(
        self, content_id: int, stage: StageState, parts: Sequence[Part] = (), failure: str | None = None
    ) -> None:
        execute = self.connection.execute
        self._remove_items(
            f"content_id = ? AND {_OF_STAGE.format(source='?')}",
            (content_id, stage.source),
        )
        self._number_anew(content_id)
        execute("DELETE FROM stage_parts WHERE content_id = ? AND stage = ?", (content_id, stage.name))
        execute(f"DELETE FROM stages WHERE content_id = ? AND {_notes_of('?')}", (content_id, stage.name))
        execute(
            """INSERT OR REPLACE INTO stages (content_id, stage, version, parts, failure, noted)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (content_id, stage.name, stage.version, len(parts), failure, now()),
        )
        self.connection.executemany(
            """INSERT INTO stage_parts (content_id, stage, ordinal, page, region, time_from, time_to, part_name, text)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            ((content_id, stage.name, ordinal, *row_of_stage_part(part)) for ordinal, part in enumerate(parts)),
        )

    def _number_anew(self, content_id: int) -> None:
        """Closes the gap that items which are gone have left behind the last ones of the reader."""
        self.connection.execute(
            """UPDATE items SET ordinal = placed.ordinal FROM
                 (SELECT id, row_number() OVER (PARTITION BY model_id ORDER BY ordinal) - 1 AS ordinal
                  FROM items WHERE content_id = ?) AS placed
               WHERE placed.id = items.id AND placed.ordinal <> items.ordinal""",
            (content_id,),
        )

    def contents_to_encode(self, stage: StageState, model_id: int) -> list[int]:
        rows = self.connection.execute(
            f"""SELECT content_id FROM stages
                WHERE stage = ?1 AND parts > 0 AND {is_whole("stages.content_id", "?2")}
                  AND NOT EXISTS (SELECT 1 FROM items WHERE items.content_id = stages.content_id
                    AND items.model_id = ?2 AND {_OF_STAGE.format(source="?3")})
                  AND NOT EXISTS (SELECT 1 FROM stages AS noted WHERE noted.content_id = stages.content_id
                    AND noted.stage = {_NOT_ENCODED.format(stage="?1", model="?2")})
                ORDER BY content_id""",
            (stage.name, model_id, stage.source),
        )
        return [row[0] for row in rows]

    def stage_parts(self, content_id: int, stage: StageState) -> list[Part]:
        rows = self.connection.execute(
            """SELECT text, page, region, time_from, time_to, part_name FROM stage_parts
               WHERE content_id = ? AND stage = ? ORDER BY ordinal""",
            (content_id, stage.name),
        )
        return [Part("text", row[0], locator_of(*row[1:]), stage.source) for row in rows]

    def add_stage_items(self, content_id: int, model_id: int, items: Sequence[EncodedItem]) -> None:
        row = self.connection.execute(
            "SELECT count(*) FROM items WHERE content_id = ? AND model_id = ?", (content_id, model_id)
        ).fetchone()
        self._insert_items(content_id, model_id, items, int(row[0]))

    def note_texts_not_encoded(self, content_id: int, stage: StageState, model_id: int, reason: str) -> list[bytes]:
        self.connection.execute(
            f"""INSERT OR REPLACE INTO stages (content_id, stage, version, parts, failure, noted)
                VALUES (?1, {_NOT_ENCODED.format(stage="?2", model="?3")}, ?4, 0, ?5, ?6)""",
            (content_id, stage.name, model_id, stage.version, reason, now()),
        )
        rows = self.connection.execute("SELECT path FROM files WHERE content_id = ? ORDER BY path", (content_id,))
        return [row[0] for row in rows]

    def stage_counts(self, stage: StageState) -> StageCounts:
        row = self.connection.execute(
            f"""SELECT ifnull(sum(stages.id IS NOT NULL AND stages.failure IS NULL), 0),
                  ifnull(sum(stages.parts > 0), 0), ifnull(sum(stages.failure IS NOT NULL), 0),
                  ifnull(sum(NOT {_IS_READ.format(stage="?1", version="?2")}), 0)
                FROM files JOIN contents ON contents.id = files.content_id
                LEFT JOIN stages ON stages.content_id = contents.id AND stages.stage = ?1
                WHERE contents.medium IN (SELECT value FROM json_each(?3))""",
            (stage.name, stage.version, json.dumps(list(stage.media))),
        ).fetchone()
        return StageCounts(*row)

    def stage_failures(self, stage: StageState) -> list[Failure]:
        rows = self.connection.execute(
            f"""SELECT path, failure, noted FROM stages JOIN files ON files.content_id = stages.content_id
                WHERE (stage = ?1 OR {_notes_of("?1")}) AND failure IS NOT NULL ORDER BY path, stage""",
            (stage.name,),
        )
        return [Failure(*row) for row in rows]

    def forget_stage_failures(self) -> None:
        self.connection.execute("DELETE FROM stages WHERE failure IS NOT NULL")


def _notes_of(stage: str) -> str:
    """An expression of SQL: what is noted of models that could not encode what the stage has found."""
    return f"stage LIKE {stage} || ' %'"


def drop_torn_stages(connection: sqlite3.Connection) -> None:
    """Drops what is left of the texts that a stage found, where damage took some: it reads the content again."""
    connection.execute(
        """DELETE FROM stages WHERE content_id NOT IN (SELECT id FROM contents) OR parts <>
             (SELECT count(*) FROM stage_parts
              WHERE stage_parts.content_id = stages.content_id AND stage_parts.stage = stages.stage)"""
    )
    connection.execute(
        """DELETE FROM stage_parts WHERE NOT EXISTS (SELECT 1 FROM stages
             WHERE stages.content_id = stage_parts.content_id AND stages.stage = stage_parts.stage)"""
    )
