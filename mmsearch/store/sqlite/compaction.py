"""Room that removed rows took, given back to the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from dataclasses import dataclass

from mmsearch.errors import MmsearchError, Unavailable
from mmsearch.files.crash_points import crash_point
from mmsearch.store.sqlite.store import DATABASE_NAME, SqliteStore

# What an index run gives back by itself: at least so many bytes, and at least this share of the database.
LEAST_WASTE_BYTES = 16_000_000
LEAST_WASTE_SHARE = 0.25
# The setting that tells how many items had been removed when the database was last compacted.
_REMOVED_BEFORE = "compacted_at"


@dataclass(frozen=True)
class Compacted:
    """What a library took on disk before and after, in bytes."""

    before: int
    after: int


def wasted_bytes(store: SqliteStore) -> tuple[int, int]:
    """How many bytes of the database are free inside it, and its size."""
    execute = store.connection.execute
    page = int(execute("PRAGMA page_size").fetchone()[0])
    free = int(execute("PRAGMA freelist_count").fetchone()[0])
    return free * page, int(execute("PRAGMA page_count").fetchone()[0]) * page


def is_wasteful(store: SqliteStore) -> bool:
    """Whether so much of the database is free that an index run gives it back to the disk by itself.

    Removed rows leave gaps in pages, which SQLite does not count as free: once as many items were removed as there are,
    the gaps are taken to be as large.
    """
    free, size = wasted_bytes(store)
    if size < LEAST_WASTE_BYTES:
        return False
    if free >= LEAST_WASTE_BYTES and free >= LEAST_WASTE_SHARE * size:
        return True
    removed = store.items_removed() - store.number_setting(_REMOVED_BEFORE)
    return removed > 0 and removed >= store.item_count()


def compact_if_wasteful(store: SqliteStore, folder: str) -> None:
    """Gives room back to the disk where there is much of it, and room for doing so."""
    if is_wasteful(store):
        with suppress(MmsearchError, sqlite3.OperationalError):  # no room for it now
            compact_database(store, folder)


def compact_database(store: SqliteStore, folder: str) -> None:
    """Writes the database anew, without free room. Ctrl-C stops it at once, and leaves it as it was.

    Raises:
        Unavailable: the disk has no room for the copy that this takes.
    """
    _, size = wasted_bytes(store)
    room = shutil.disk_usage(folder).free
    if room < 2 * size:  # once for the copy, once more for the log
        raise Unavailable(
            f"Compacting the library in {folder} takes {2 * size / 1e6:,.0f} MB of free room for a while, and its disk "
            f"has {room / 1e6:,.0f} MB; free some first."
        )
    _vacuum(folder)
    with store.transaction():
        store.set_setting(_REMOVED_BEFORE, str(store.items_removed()))
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    crash_point("compacted")


def _vacuum(folder: str) -> None:
    """In a thread of its own, so that this one hears Ctrl-C; with its temporary files where there is room for them."""
    errors: list[sqlite3.Error] = []

    def run() -> None:
        try:
            connection.execute("VACUUM")
        except sqlite3.Error as error:
            errors.append(error)

    with closing(sqlite3.connect(os.path.join(folder, DATABASE_NAME), check_same_thread=False)) as connection:
        # Deprecated, and the only way to say where once SQLite runs.
        quoted = folder.replace("'", "''")
        with suppress(sqlite3.Error, UnicodeEncodeError):
            connection.execute(f"PRAGMA temp_store_directory = '{quoted}'")
        thread = threading.Thread(target=run)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.1)
        except BaseException:
            connection.interrupt()
            thread.join()
            raise
        finally:
            connection.execute("PRAGMA temp_store_directory = ''")
    if errors:
        raise errors[0]
