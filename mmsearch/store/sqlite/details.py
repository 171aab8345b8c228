"""The tables of details: what contents say of themselves, and what sidecars say of files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from mmsearch.records import Details, FileFacts, Medium, Root
from mmsearch.store.rows import DETAIL_COLUMNS, row_of_details
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.filters import below

_NAMED, _PLACES = ", ".join(DETAIL_COLUMNS), ", ".join("?" * len(DETAIL_COLUMNS))


class DetailTables(Connected):
    """What is known of photos beside their pixels. What writes does so within the caller's transaction."""

    def put_details(self, content_id: int, details: Details, versions: Mapping[Medium, int]) -> None:
        self.connection.execute("DELETE FROM details WHERE content_id = ?", (content_id,))
        self.connection.execute(
            f"""INSERT INTO details (content_id, version, {_NAMED})
                SELECT id, ifnull((SELECT value FROM json_each(?) WHERE key = contents.medium), 0), {_PLACES}
                FROM contents WHERE id = ?""",
            (json.dumps(dict(versions)), *row_of_details(details), content_id),
        )

    def files_detailed_otherwise(self, versions: Mapping[Medium, int]) -> set[int]:
        rows = self.connection.execute(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               JOIN json_each(?) AS readers ON readers.key = contents.medium
               LEFT JOIN details ON details.content_id = contents.id
               WHERE readers.value <> ifnull(details.version, 0)""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def sidecar_states(self, root: Root) -> dict[bytes, tuple[int, str]]:
        condition, values = below("path", root.path)
        rows = self.connection.execute(
            f"""SELECT path, file_id, state FROM sidecars CROSS JOIN files ON files.id = file_id
                WHERE {condition} AND root_id = ?""",
            (*values, root.id),
        )
        return {path: (file_id, state) for path, file_id, state in rows}

    def file_ids_at(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        places = ", ".join("?" * len(paths))
        return dict(self.connection.execute(f"SELECT path, id FROM files WHERE path IN ({places})", paths).fetchall())

    def put_sidecars(self, file_id: int, state: str, facts: FileFacts) -> None:
        self.remove_sidecars([file_id])
        self.connection.execute(
            f"INSERT INTO sidecars (file_id, state, taken, {_NAMED}) VALUES (?, ?, ?, {_PLACES})",
            (file_id, state, facts.taken, *row_of_details(facts.details)),
        )

    def remove_sidecars(self, file_ids: Iterable[int]) -> None:
        self.connection.executemany("DELETE FROM sidecars WHERE file_id = ?", ((one,) for one in file_ids))
