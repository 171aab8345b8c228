"""The table of archives. What lies in them is among the files and failures, each with a path of its own."""

from __future__ import annotations

from collections.abc import Iterable

from mmsearch.records import KnownArchive, KnownMember
from mmsearch.store.postgres.connected import Connected
from mmsearch.store.postgres.filters import below
from mmsearch.store.rows import ARCHIVE_COLUMNS, archive_of_row, members_of_rows, row_of_archive


class ArchiveTables(Connected):
    """In which state each archive was read last. What writes does so within the caller's transaction."""

    def archives_of_root(self, root_id: int) -> dict[bytes, KnownArchive]:
        rows = self._rows(f"SELECT {ARCHIVE_COLUMNS} FROM archives WHERE root_id = %s", (root_id,))
        return {one.path: one for one in map(archive_of_row, rows)}

    def members_of(self, archive: bytes) -> list[KnownMember]:
        condition, values = below("path", archive)
        rows = self._rows(
            f"""SELECT path, size, mtime_ns, ctime_ns FROM files WHERE {condition}
                UNION ALL SELECT path, size, mtime_ns, NULL FROM failures WHERE {condition} AND path <> %s
                ORDER BY path""",
            (*values, *values, archive),
        )
        return members_of_rows(rows)

    def put_archive(self, root_id: int, archive: KnownArchive) -> None:
        self.remove_archives([archive.path])
        self._run(
            f"INSERT INTO archives (root_id, {ARCHIVE_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (root_id, *row_of_archive(archive)),
        )

    def remove_archives(self, paths: Iterable[bytes]) -> None:
        self._run("DELETE FROM archives WHERE path = ANY(%s::bytea[])", (list(paths),))

    def remove_archives_below(self, folder: bytes) -> None:
        condition, values = below("path", folder)
        self._run(f"DELETE FROM archives WHERE {condition}", values)
