"""The first hundred bytes of the database file: what all libraries have there alike, and a copy where damage is undone.
So for the definitions of tables, which lie behind them as text.

https://www.sqlite.org/fileformat.html#the_database_header
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from mmsearch.store.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION

_HEADER_BYTES = 100
_PAGE_SIZE = slice(16, 18)
_USER_VERSION = slice(60, 64)
_AS_EVERYWHERE = (
    (0, b"SQLite format 3\0"),
    (21, bytes((64, 32, 32))),  # shares of payload, which are constants
    (44, (4).to_bytes(4, "big")),  # the format of the tables' description
    (56, (1).to_bytes(4, "big")),  # UTF-8
    (68, APPLICATION_ID.to_bytes(4, "big")),
    (72, bytes(20)),
)
_WRITE_AND_READ_VERSION = slice(18, 20)
_RESERVED = 20
_OFTEN_RESERVED = (0, 12)  # bytes at the end of each page: 12 where the system's own SQLite on macOS made the file
_DEFAULT_PAGE_SIZE = 4_096


def header_damage(database: str) -> bool:
    """Whether the file's header is none that a library of this version has."""
    try:
        with open(database, "rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return len(header) == _HEADER_BYTES and _restored(header) != header


def has_log(database: str) -> bool:
    """Whether there is a write-ahead log, which may hold another header than the file itself."""
    log = f"{database}-wal"
    return os.path.exists(log) and os.path.getsize(log) > 0


@contextmanager
def with_sound_header(database: str) -> Iterator[str]:
    """The path of the database, or of a copy of it with a restored header where its own is damaged."""
    if not header_damage(database):
        yield database
        return
    with _copied(database) as copy:
        with open(copy, "r+b") as file:
            header = _restored(file.read(_HEADER_BYTES))
            file.seek(0)
            file.write(header)
        if not _is_readable(copy):  # its page size alone may have been another
            shutil.copyfile(database, copy)
        yield copy


@contextmanager
def with_sound_definitions(database: str, definitions: Mapping[str, str]) -> Iterator[str]:
    """The path of the database, or of a copy of it where these tables are defined so; there are none if all is well."""
    if not definitions:
        yield database
        return
    with _copied(database) as copy:
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.executemany(
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
                [(definition, table) for table, definition in definitions.items()],
            )
        yield copy


@contextmanager
def _copied(database: str) -> Iterator[str]:
    """A copy of the database with its log, for as long as the block lasts; beside it, where that can be."""
    beside = os.path.dirname(database)
    with tempfile.TemporaryDirectory(dir=beside if os.access(beside, os.W_OK) else None, prefix="header-") as folder:
        copy = os.path.join(folder, os.path.basename(database))
        shutil.copyfile(database, copy)
        if os.path.exists(f"{database}-wal"):
            shutil.copyfile(f"{database}-wal", f"{copy}-wal")
        yield copy


def _restored(header: bytes) -> bytes:
    sound = bytearray(header)
    for start, value in _AS_EVERYWHERE:
        sound[start : start + len(value)] = value
    if not set(sound[_WRITE_AND_READ_VERSION]) <= {1, 2} or len(set(sound[_WRITE_AND_READ_VERSION])) > 1:
        sound[_WRITE_AND_READ_VERSION] = bytes((2, 2))
    if sound[_RESERVED] not in _OFTEN_RESERVED:
        sound[_RESERVED] = 0
    size = int.from_bytes(sound[_PAGE_SIZE], "big")
    if size & (size - 1) or not (size == 1 or size >= 512):
        sound[_PAGE_SIZE] = _DEFAULT_PAGE_SIZE.to_bytes(2, "big")
    if not 0 < int.from_bytes(sound[_USER_VERSION], "big") <= SCHEMA_VERSION:
        sound[_USER_VERSION] = SCHEMA_VERSION.to_bytes(4, "big")
    return bytes(sound)


def _is_readable(database: str) -> bool:
    try:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError:
        return False
    return True
