"""A library in a folder of its own: the SQLite file, the lock beside it, and what the disk refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager

from mmsearch.errors import Refused, Remedy
from mmsearch.files.locking import WriterLock
from mmsearch.store.place import Care, Held
from mmsearch.store.protocol import Store
from mmsearch.store.sqlite.refusals import mapped_errors
from mmsearch.store.sqlite.store import DATABASE_NAME, SqliteStore, database_bytes
from mmsearch.store.work import SharedStore


class SqlitePlace:
    """The library in that folder, an absolute path; see `Place`."""

    def __init__(self, folder: str) -> None:
        self.location = self.given = self.folder = folder
        self._database = os.path.join(folder, DATABASE_NAME)

    def exists(self) -> bool:
        return os.path.exists(self._database)

    def bytes(self) -> int:
        return database_bytes(self.folder)

    def read(self) -> Store:
        return SqliteStore.read(self.folder)

    def write(self, before_commit: Callable[[], None] = lambda: None) -> Store:
        return SqliteStore.write(self.folder, before_commit)

    def share(self, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> SharedStore:
        raise Refused(
            f"The library in {self.location} has no workers, as one process writes a library in a folder",
            Remedy("index.alone"),
        )

    def lock(self) -> AbstractContextManager[Held]:
        return WriterLock(self.folder)

    def can_upgrade(self) -> bool:
        return os.access(self.folder, os.W_OK)

    def guarded(self) -> AbstractContextManager[None]:
        return mapped_errors(self.folder)

    def is_lost(self, error: Exception) -> bool:
        return False

    def what_lies_there(self) -> Hashable:
        try:
            status = os.stat(self._database)
        except OSError:  # opening it says what is wrong
            return (-1, -1)
        return status.st_dev, status.st_ino

    def mark(self) -> object:
        database, log = (_file_state(self._database + end) for end in ("", "-wal"))
        return None if database is None else (database, log)

    def tidy(self, store: Store) -> None:
        from mmsearch.store.sqlite.compaction import compact_if_wasteful

        assert isinstance(store, SqliteStore)
        compact_if_wasteful(store, self.folder)

    def check_care(self, care: Care) -> None:
        """All of it is mmsearch's own."""


def _file_state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
