"""A copy of a library's database, written beside readers and a writer."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass

from mmsearch.errors import Damaged, NotFound, Refused, Remedy, Unavailable
from mmsearch.files.regular import check_regular
from mmsearch.files.replacing import replacing
from mmsearch.store.sqlite.schema import APPLICATION_ID
from mmsearch.store.sqlite.store import SqliteStore, read_only_uri


@dataclass(frozen=True)
class Backup:
    """A copy of a library's database: where it lies, its size in bytes, and how many files it knows."""

    path: str
    bytes: int
    files: int


def write_backup(store: SqliteStore, target: str) -> Backup:
    """Copies the database as it is at this moment to `target`, beside readers and a writer.

    The copy is checked before it takes the place of an older one.

    Raises:
        MmsearchError: `target` is something else than a backup, its folder is missing, or the library is damaged.
    """
    path = os.path.abspath(os.path.expanduser(target))
    _check_target(path)
    try:
        # Its snippets are private. The connection is closed before the copy is put in place.
        with replacing(path, "backup", in_any_folder=True) as temporary, closing(sqlite3.connect(temporary)) as copy:
            store.connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            checked = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if checked != "ok":
                raise Damaged(f"The library is damaged, so {path} was left as it is", Remedy("doctor.what"))
            files = copy.execute("SELECT count(*) FROM files").fetchone()[0]
    except (OSError, sqlite3.OperationalError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise Unavailable(f"The backup {path} cannot be written ({reason}); choose another place for it.") from error
    return Backup(path, os.path.getsize(path), files)


def _check_target(path: str) -> None:
    check_regular(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise NotFound(f"There is no folder {folder}; make it, or choose another file for the backup.")
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
        raise Refused(f"{path} is {what} and is not overwritten; choose another file for the backup.")
