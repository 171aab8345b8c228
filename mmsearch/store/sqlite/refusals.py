"""What the disk or the file system refuses a library, told in one sentence."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from mmsearch.errors import MmsearchError
from mmsearch.store.sqlite.store import DATABASE_NAME

# What the disk or the folder of a library can refuse; anything else is a bug and keeps its traceback.
_FOLDER_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
_FOLDER_ERRORS |= {errno.EEXIST, errno.EISDIR, errno.ENOTDIR}


# The last ones come of flipped bits where SQLite keeps its own description of the tables, or within a text.
_SIGNS_OF_DAMAGE = (
    *("malformed", "not a database", "header is damaged", "foreign key mismatch"),
    *("no such table", "no such column", "Could not decode", "wrong size"),
)


@contextmanager
def errors_told(folder: str) -> Iterator[None]:
    """Raises MmsearchError for what SQLite or the system says of the library in `folder` and a person can put right."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        told = _sentence(error, folder)
        if told is None:
            raise
        raise MmsearchError(told) from error
    except OSError as error:
        if error.errno not in _FOLDER_ERRORS:
            raise
        raise MmsearchError(
            f"The library folder {folder} cannot be written ({error.strerror}); put that right, or choose "
            "another folder with --library."
        ) from error


def _sentence(error: sqlite3.DatabaseError, folder: str) -> str | None:
    """What a person can do about an error of SQLite, or None where it is a bug."""
    text = str(error)
    database = os.path.join(folder, DATABASE_NAME)
    if "full" in text:
        return f"There is no room left on the disk of the library {folder}; free some and run the command again."
    if "readonly" in text or "unable to open" in text:
        return f"The library in {folder} cannot be opened or written; check its permissions, or choose another."
    if "locked" in text:
        return f"Another program keeps {database} locked; wait until it has finished."
    if "disk I/O" in text:
        return f"The disk of the library {folder} reports an error; check the disk, and run the command again."
    if any(sign in text for sign in _SIGNS_OF_DAMAGE):
        return (
            f"The library file {database} is damaged ({text}); `mmsearch doctor` says what of it can be saved (your "
            "own files are not touched)."
        )
    return None
