"""Keeping a library in good order: a copy of it, and room given back to the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
from contextlib import closing, suppress
from dataclasses import dataclass

from mmsearch.errors import MmsearchError
from mmsearch.files.crash_points import crash_point
from mmsearch.files.regular import check_regular
from mmsearch.store.sqlite.schema import APPLICATION_ID
from mmsearch.store.sqlite.store import DATABASE_NAME, Catalogue, read_only_uri

# What an index run gives back by itself: at least so many bytes, and at least this share of the database.
LEAST_WASTE_BYTES = 16_000_000
LEAST_WASTE_SHARE = 0.25
# The setting that tells how many items had been removed when the database was last compacted.
_REMOVED_BEFORE = "compacted_at"


@dataclass(frozen=True)
class Backup:
    """A copy of a library's database: where it lies, its size in bytes, and how many files it knows."""

    path: str
    bytes: int
    files: int


@dataclass(frozen=True)
class Compacted:
    """What a library took on disk before and after, in bytes."""

    before: int
    after: int


def write_backup(catalogue: Catalogue, target: str) -> Backup:
    """Copies the database as it is at this moment to `target`, beside readers and a writer.

    The copy is checked before it takes the place of an older one.

    Raises:
        MmsearchError: `target` is something else than a backup, its folder is missing, or the library is damaged.
    """
    path = os.path.abspath(os.path.expanduser(target))
    _check_target(path)
    temporary = ""
    try:
        # Readable by its owner alone: its snippets are private.
        descriptor, temporary = tempfile.mkstemp(".part", f"{os.path.basename(path)}.", os.path.dirname(path))
        os.close(descriptor)
        with closing(sqlite3.connect(temporary)) as copy:
            catalogue.connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            checked = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if checked != "ok":
                raise MmsearchError(
                    f"The library is damaged, so {path} was left as it is; `mmsearch doctor` says what can be saved."
                )
            files = copy.execute("SELECT count(*) FROM files").fetchone()[0]
        _sync(temporary)
        crash_point("backup written")
        os.replace(temporary, path)
    except (OSError, sqlite3.OperationalError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise MmsearchError(f"The backup {path} cannot be written ({reason}); choose another place for it.") from error
    finally:
        with suppress(OSError):
            os.remove(temporary)
    return Backup(path, os.path.getsize(path), files)


def _check_target(path: str) -> None:
    check_regular(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise MmsearchError(f"There is no folder {folder}; make it, or choose another file for the backup.")
    if not os.path.lexists(path):
        return
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True)) as old:
            is_ours = old.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            in_use = old.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    except sqlite3.Error:
        is_ours, in_use = False, False
    if not is_ours or in_use:
        what = "a library in use" if in_use else "no backup of mmsearch"
        raise MmsearchError(f"{path} is {what} and is not overwritten; choose another file for the backup.")


def _sync(path: str) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def wasted_bytes(catalogue: Catalogue) -> tuple[int, int]:
    """How many bytes of the database are free inside it, and its size."""
    execute = catalogue.connection.execute
    page = int(execute("PRAGMA page_size").fetchone()[0])
    free = int(execute("PRAGMA freelist_count").fetchone()[0])
    return free * page, int(execute("PRAGMA page_count").fetchone()[0]) * page


def is_wasteful(catalogue: Catalogue) -> bool:
    """Whether so much of the database is free that an index run gives it back to the disk by itself.

    Removed rows leave gaps in pages, which SQLite does not count as free: once as many items were removed as there are,
    the gaps are taken to be as large.
    """
    free, size = wasted_bytes(catalogue)
    if size < LEAST_WASTE_BYTES:
        return False
    if free >= LEAST_WASTE_BYTES and free >= LEAST_WASTE_SHARE * size:
        return True
    removed = catalogue.items_removed() - catalogue.number_setting(_REMOVED_BEFORE)
    return removed > 0 and removed >= catalogue.item_count()


def compact_if_wasteful(catalogue: Catalogue, folder: str) -> None:
    """Gives room back to the disk where there is much of it, and room for doing so."""
    if is_wasteful(catalogue):
        with suppress(MmsearchError, sqlite3.OperationalError):  # no room for it now
            compact_database(catalogue, folder)


def compact_database(catalogue: Catalogue, folder: str) -> None:
    """Writes the database anew, without free room. Ctrl-C stops it at once, and leaves it as it was.

    Raises:
        MmsearchError: the disk has no room for the copy that this takes.
    """
    _, size = wasted_bytes(catalogue)
    room = shutil.disk_usage(folder).free
    if room < 2 * size:  # once for the copy, once more for the log
        raise MmsearchError(
            f"Compacting the library in {folder} takes {2 * size / 1e6:,.0f} MB of free room for a while, and its disk "
            f"has {room / 1e6:,.0f} MB; free some first."
        )
    _vacuum(folder)
    with catalogue.transaction():
        catalogue.set_setting(_REMOVED_BEFORE, str(catalogue.items_removed()))
    catalogue.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
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
