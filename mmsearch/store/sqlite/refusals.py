"""What the disk or the file system refuses a library, as errors of our own kinds."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from mmsearch.errors import Busy, Damaged, MmsearchError, Remedy, Unavailable
from mmsearch.files.regular import check_regular
from mmsearch.files.stopping import raise_again
from mmsearch.store.refusals import DamagedStore
from mmsearch.store.sqlite.store import DATABASE_NAME, SqliteStore

# What the disk or the folder of a library can refuse; anything else is a bug and keeps its traceback.
_FOLDER_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_FOLDER_ERRORS |= {errno.EEXIST, errno.EISDIR, errno.ENOTDIR}
# A disk on which so many bytes are free is not the one that is full.
_ROOM = 100_000_000


# The last ones come of flipped bits where SQLite keeps its own description of the tables, or within a text.
_SIGNS_OF_DAMAGE = (
    *("malformed", "not a database", "header is damaged", "foreign key mismatch"),
    *("no such table", "no such column", "Could not decode", "wrong size", "checksum of"),
    *("vtable constructor failed", "fts5"),
)


@contextmanager
def mapped_errors(folder: str) -> Iterator[None]:
    """Makes what SQLite or the system says of the library in `folder` an MmsearchError, where a person can mend it."""
    try:
        yield
    except DamagedStore as error:
        raise _damaged(folder, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise_again()
        known = _known(error, folder) or _damage_behind(error, folder)
        if known is None:
            raise
        raise known from error
    except OSError as error:
        if error.errno not in _FOLDER_ERRORS:
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room(folder) from error
        if error.errno == errno.EISDIR:  # a folder in the place of one of its files
            check_regular(error.filename2 or error.filename)
        raise Unavailable(
            f"The library folder {folder} cannot be written ({error.strerror})", Remedy("choose_library.or_mend")
        ) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What nobody has foreseen comes of damage, or it is a bug.
        known = _damage_behind(error, folder)
        if known is None:
            raise
        raise known from error


def _damage_behind(error: Exception, folder: str) -> MmsearchError | None:
    """Damage that an unforeseen error came of, or None where the database is sound."""
    from mmsearch.store.sqlite.damage import damaged_rows, database_damage

    try:
        with closing(SqliteStore.read(folder)) as store:
            is_damaged = bool(database_damage(store) or damaged_rows(store))
    except MmsearchError:
        return None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as trouble:
        is_damaged = "locked" not in str(trouble)
    return _damaged(folder, str(error) or type(error).__name__) if is_damaged else None


def _no_room(folder: str, for_temporary_files: bool = False) -> MmsearchError:
    where = "for temporary files (TMPDIR)" if for_temporary_files else f"on the disk of the library {folder}"
    return Unavailable(f"There is no room left {where}; free some", Remedy("again"))


def _has_room(folder: str) -> bool:
    """Whether it is not the library's disk that is full: what SQLite sorts lies with temporary files."""
    import shutil

    try:
        return shutil.disk_usage(folder).free > _ROOM
    except OSError:
        return False


def _damaged(folder: str, trouble: str) -> Damaged:
    database = os.path.join(folder, DATABASE_NAME)
    return Damaged(f"The library file {database} is damaged ({trouble})", Remedy("doctor"))


def _known(error: sqlite3.DatabaseError, folder: str) -> MmsearchError | None:
    """An error of SQLite as one of ours, or None where it is a bug."""
    from mmsearch.store.sqlite.header import header_damage

    text = str(error)
    database = os.path.join(folder, DATABASE_NAME)
    if "full" in text:
        return _no_room(folder, _has_room(folder))
    if ("readonly" in text or "unable to open" in text) and header_damage(database):
        return _damaged(folder, "its header is damaged")
    if "readonly" in text or "unable to open" in text:
        return Unavailable(
            f"The library in {folder} cannot be opened or written; check its permissions, or choose another."
        )
    if "locked" in text:
        return Busy(f"Another program keeps {database} locked; wait until it has finished.")
    if "disk I/O" in text:
        return Unavailable(f"The disk of the library {folder} reports an error; check the disk", Remedy("again"))
    if any(sign in text for sign in _SIGNS_OF_DAMAGE):
        return _damaged(folder, text)
    return None
