"""The table of archives. What lies in them is among the files and failures, each with a path of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable

from mmsearch.records import KnownArchive, KnownMember
from mmsearch.store.rows import ARCHIVE_COLUMNS, members_of_rows
from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.filters import below


class ArchiveTables(Connected):
    """In which state each archive was read last. What writes does so within the caller's transaction."""

    def archives_of_root(self, root_id: int) -> dict[bytes, KnownArchive]:
        rows = self.connection.execute(f"SELECT {ARCHIVE_COLUMNS} FROM archives WHERE root_id = ?", (root_id,))
        found = (KnownArchive._make((*row[:6], _counts(row[6]), row[7])) for row in rows)
        return {one.path: one for one in found}

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
            (root_id, *archive[:6], json.dumps(archive.unread), archive.trouble),
        )

    def remove_archives(self, paths: Iterable[bytes]) -> None:
        self.connection.executemany("DELETE FROM archives WHERE path = ?", ((path,) for path in paths))

    def remove_archives_below(self, folder: bytes) -> None:
        condition, values = below("path", folder)
        self.connection.execute(f"DELETE FROM archives WHERE {condition}", values)


def _counts(written: str) -> dict[str, int]:
    try:
        return {str(extension): int(count) for extension, count in json.loads(written).items()}
    except (ValueError, TypeError, AttributeError):  # damaged, as doctor says
        return {}
