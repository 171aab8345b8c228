"""The table of archives. What lies in them is among the files and failures, each with a path of its own."""

from __future__ import annotations

from collections.abc import Iterable

from mmsearch.records import KnownArchive, KnownMember
from mmsearch.store.rows import ARCHIVE_COLUMNS, archive_of_row, members_of_rows, row_of_archive
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.filters import below


class ArchiveTables(Connected):
    """In which state each archive was read last. What writes does so within the caller's transaction."""

    def archives_of_root(self, root_id: int) -> dict[bytes, KnownArchive]:
        rows = self.connection.execute(f"SELECT {ARCHIVE_COLUMNS} FROM archives WHERE root_id = ?", (root_id,))
        return {one.path: one for one in map(archive_of_row, rows)}

    def members_of(self, archive: bytes) -> list[KnownMember]:
        condition, values = below("path", archive)
        rows = self.connection.execute(
            f"""SELECT path, size, mtime_ns, ctime_ns FROM files WHERE {condition}
                UNION ALL SELECT path, size, mtime_ns, NULL FROM failures WHERE {condition} AND path <> ?
                ORDER BY path""",
            (*values, *values, archive),
        )
        return members_of_rows(rows)

    def put_archive(self, root_id: int, archive: KnownArchive) -> None:
        self.remove_archives([archive.path])
        self.connection.execute(
            f"INSERT INTO archives (root_id, {ARCHIVE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (root_id, *row_of_archive(archive)),
        )

    def remove_archives(self, paths: Iterable[bytes]) -> None:
        self.connection.executemany("DELETE FROM archives WHERE path = ?", ((path,) for path in paths))

    def remove_archives_below(self, folder: bytes) -> None:
        condition, values = below("path", folder)
        self.connection.execute(f"DELETE FROM archives WHERE {condition}", values)
