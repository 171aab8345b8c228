"""The tables of details: what contents say of themselves, and what sidecars say of files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mmsearch.records import Details, FileFacts, Medium, Root
from mmsearch.store.postgres.connected import Connected
from mmsearch.store.postgres.filters import below
from mmsearch.store.rows import DETAIL_COLUMNS, row_of_details

_NAMED, _PLACES = ", ".join(DETAIL_COLUMNS), ", ".join(["%s"] * len(DETAIL_COLUMNS))
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in DETAIL_COLUMNS)


class DetailTables(Connected):
    """What is known of photos beside their pixels. What writes does so within the caller's transaction."""

    def put_details(self, content_id: int, details: Details, versions: Mapping[Medium, int]) -> None:
        self._run_later(
            f"""INSERT INTO details (content_id, version, {_NAMED})
                SELECT id, coalesce((%s::jsonb ->> medium)::integer, 0), {_PLACES} FROM contents WHERE id = %s
                ON CONFLICT (content_id) DO UPDATE SET version = excluded.version, {_REPLACED}""",
            (json.dumps(dict(versions)), *row_of_details(details), content_id),
        )

    def files_detailed_otherwise(self, versions: Mapping[Medium, int]) -> set[int]:
        rows = self._rows(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               JOIN jsonb_each_text(%s::jsonb) AS readers (medium, version) ON readers.medium = contents.medium
               LEFT JOIN details ON details.content_id = contents.id
               WHERE readers.version::integer <> coalesce(details.version, 0)""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def sidecar_states(self, root: Root) -> dict[bytes, tuple[int, str]]:
        condition, values = below("path", root.path)
        rows = self._rows(
            f"""SELECT path, file_id, state FROM sidecars JOIN files ON files.id = file_id
                WHERE {condition} AND root_id = %s""",
            (*values, root.id),
        )
        return {path: (file_id, state) for path, file_id, state in rows}

    def file_ids_at(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        rows = self._rows("SELECT path, id FROM files WHERE path = ANY(%s::bytea[])", (list(paths),))
        return {row[0]: row[1] for row in rows}

    def put_sidecars(self, file_id: int, state: str, facts: FileFacts) -> None:
        self._run(
            f"""INSERT INTO sidecars (file_id, state, taken, {_NAMED}) VALUES (%s, %s, %s, {_PLACES})
                ON CONFLICT (file_id) DO UPDATE SET state = excluded.state, taken = excluded.taken, {_REPLACED}""",
            (file_id, state, facts.taken, *row_of_details(facts.details)),
        )

    def remove_sidecars(self, file_ids: Iterable[int]) -> None:
        self._run("DELETE FROM sidecars WHERE file_id = ANY(%s::bigint[])", (list(file_ids),))
