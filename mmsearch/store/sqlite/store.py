"""The store of one machine: one SQLite file that holds the truth about files, their contents, items and vectors.

Paths are stored as bytes (BLOBs), just as the system names them. A file's items and vectors belong to its content,
found by a hash of all of it, so that copies share them and moved files keep them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmsearch.errors import Invalid, Remedy, Unavailable, Unsupported
from mmsearch.files.private import keep_private, make_private_file
from mmsearch.files.regular import check_regular
from mmsearch.store.measures import Measure, MeasureGroup
from mmsearch.store.queue_state import StoredPause, StoredRun
from mmsearch.store.refusals import NoLibrary, OlderLibrary
from mmsearch.store.sqlite.archives import ArchiveTables
from mmsearch.store.sqlite.files import FileTables
from mmsearch.store.sqlite.items import ItemTables
from mmsearch.store.sqlite.models import ModelTables
from mmsearch.store.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from mmsearch.store.sqlite.signing import keep_signed
from mmsearch.store.sqlite.stages import StageTables
from mmsearch.store.sqlite.whole_rows import WholeRowTables
from mmsearch.store.sqlite.words import WordTables, keep_words

DATABASE_NAME = "library.db"
# With what is written beside the database: its logs, copies of it, the lock, the journal and the caches; and settings,
# where a system keeps these in the folder of data.
_OF_A_LIBRARY = (
    *(DATABASE_NAME, "library.lock", "in-flight", "queries.cache", "miniatures.cache", "last-result"),
    "mounts.json",
)


class SqliteStore(FileTables, ArchiveTables, StageTables, ItemTables, ModelTables, WordTables, WholeRowTables):
    """One connection to the library's SQLite file. A reader never waits for a writer (write-ahead log)."""

    finds_nearest = False
    longest_path = None
    has_measures = False

    def measured(self, group: MeasureGroup) -> tuple[Measure, ...]:
        """None: what there is to be told of it stands in its status."""
        return ()

    def queue_state(self) -> None:
        """Such a library has no queue: the one process that writes it encodes what it finds."""

    def remove_jobs_below(self, folder: bytes) -> int:
        """None: it has no queue."""
        return 0

    def runs(self) -> list[StoredRun] | None:
        """Not known: a lock of the system tells nobody who holds it."""
        return None

    def pauses(self) -> list[StoredPause]:
        """None, then."""
        return []

    @classmethod
    def read(cls, folder: str) -> SqliteStore:
        """The store of an existing library, for reading, from any one thread at a time.

        Raises:
            OlderLibrary: it was written by an older mmsearch; opening it for writing brings it up to date.
            NotFound: there is no library. Invalid: it is not one of ours. Unsupported: it is of a newer version.
            Unavailable: the system does not let us read it. Refused: one of its files is no regular one.
            sqlite3.DatabaseError: it is damaged.
        """
        path = os.path.join(folder, DATABASE_NAME)
        _check_files(folder)
        _keep_private(folder)
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise NoLibrary(folder) from None
        except OSError as error:
            raise Unavailable(f"The library in {folder} cannot be read ({error.strerror}).") from error
        if not os.access(path, os.R_OK):
            raise Unavailable(f"The library file {path} cannot be read; check its permissions.")
        location = read_only_uri(path)
        try:
            connection = _checked(sqlite3.connect(location, uri=True, check_same_thread=False), folder)
        except sqlite3.OperationalError:
            if os.access(folder, os.W_OK):
                raise
            # A database that keeps a log, in a folder where none can be made: nobody writes to it there.
            location += "&immutable=1"
            connection = _checked(sqlite3.connect(location, uri=True, check_same_thread=False), folder)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < SCHEMA_VERSION:
            connection.close()
            # Without a version it is only just being made.
            raise OlderLibrary(folder) if version else NoLibrary(folder)
        return cls(connection)

    @classmethod
    def write(cls, folder: str, before_commit: Callable[[], None] = lambda: None) -> SqliteStore:
        """The store for one writer, made or brought up to date where needed. The caller holds the lock.

        `before_commit` raises an error where it is not held any more: nothing is committed then.

        Raises:
            Invalid: the library is not one of ours. Unsupported: it is of a newer version.
            Refused: one of its files is no regular one. OSError, sqlite3.DatabaseError: it is damaged, or cannot be
                written.
        """
        _check_files(folder)
        path = os.path.join(folder, DATABASE_NAME)
        make_private_file(path)  # its log gets the same rights
        _keep_private(folder)
        connection = sqlite3.connect(path, isolation_level=None)
        _checked(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # what is removed is written over
        copy = os.path.join(folder, f"{DATABASE_NAME}-before-upgrade")
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            with suppress(OSError):  # of an upgrade that was killed after it had succeeded
                os.remove(copy)
        else:
            from mmsearch.store.sqlite.schema import migrate

            migrate(connection, copy)
        store = cls(connection, before_commit, is_writer=True)
        keep_signed(connection)
        if not keep_words(connection):
            with store.transaction():
                store.renew_words()
        return store


def read_only_uri(path: str) -> str:
    """What SQLite opens the database at `path`, an absolute one, by for reading alone."""
    return f"{Path(path).as_uri()}?mode=ro"


def database_bytes(folder: str) -> int:
    """How much room the library's database takes, in bytes, its write-ahead log included."""
    return sum(os.path.getsize(path) for path in _database_files(folder) if os.path.exists(path))


def _database_files(folder: str) -> list[str]:
    names = (DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
    return [os.path.join(folder, name) for name in names]


def _check_files(folder: str) -> None:
    """Raises Refused where one of the database's files is no regular file: SQLite would wait for a named pipe."""
    for path in _database_files(folder):
        check_regular(path)


def _keep_private(folder: str) -> None:
    """Libraries of older versions could be read by others."""
    if os.path.lexists(os.path.join(folder, DATABASE_NAME)):
        keep_private(folder, _OF_A_LIBRARY, folders=("derived",), beside="models")


def _written_version(connection: sqlite3.Connection) -> str | None:
    """The version that the settings tell, which schemas before 6 do not."""
    try:
        row = connection.execute("SELECT value FROM settings WHERE key = 'schema'").fetchone()
    except sqlite3.OperationalError:
        return None
    return None if row is None else str(row[0])


def _checked(connection: sqlite3.Connection, folder: str) -> sqlite3.Connection:
    """Refuses what is not a library, or one of a newer mmsearch."""
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except UnicodeDecodeError as error:
        connection.close()
        raise sqlite3.DatabaseError("malformed text") from error
    except BaseException:
        connection.close()
        raise
    if tables and application != APPLICATION_ID:
        names = {row[0] for row in connection.execute("SELECT CAST(name AS TEXT) FROM sqlite_master")}
        connection.close()
        if {"contents", "items", "vectors"} <= names:
            raise sqlite3.DatabaseError("its header is damaged")
        raise Invalid(
            f"{os.path.join(folder, DATABASE_NAME)} is not an mmsearch library", Remedy("choose_library.folder")
        )
    if tables and (not version or _written_version(connection) not in (None, str(version))):
        connection.close()
        raise sqlite3.DatabaseError("its header is damaged")
    if version > SCHEMA_VERSION:
        connection.close()
        raise Unsupported(f"The library in {folder} was written by a newer mmsearch; upgrade mmsearch to use it.")
    return connection
