"""The catalogue: one SQLite file that holds the truth about files, their contents, items and vectors.

Paths are stored as bytes (BLOBs), just as the system names them. A file's items and vectors belong to its content,
found by a hash of all of it, so that copies share them and moved files keep them.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mmsearch.errors import MmsearchError
from mmsearch.files.paths import extension_of
from mmsearch.files.regular import check_regular
from mmsearch.records import (
    Content,
    EncodedItem,
    Failure,
    FileState,
    KnownFile,
    KnownFiles,
    Locator,
    Medium,
    Modality,
    Root,
)
from mmsearch.store.sqlite.filters import below
from mmsearch.store.sqlite.reading import CatalogueReading
from mmsearch.store.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION

DATABASE_NAME = "library.db"
# Every SQLite takes so many values in one statement.
MOST_PATHS = 500


class OlderLibrary(MmsearchError):
    """A library that an older mmsearch has written."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"The library in {folder} was written by an older mmsearch and cannot be written here to bring it up to "
            "date; run `mmsearch index` once where it can."
        )


class Catalogue(CatalogueReading):
    """One connection to the library's SQLite file. A reader never waits for a writer (write-ahead log)."""

    def __init__(self, connection: sqlite3.Connection, before_commit: Callable[[], None] = lambda: None) -> None:
        super().__init__(connection)
        self._before_commit = before_commit

    @classmethod
    def read(cls, folder: str) -> Catalogue:
        """The catalogue of an existing library, for reading, from any one thread at a time.

        Raises:
            OlderLibrary: it was written by an older mmsearch; opening it for writing brings it up to date.
            MmsearchError: there is no library, or it is not one of ours, or of a newer version.
        """
        path = os.path.join(folder, DATABASE_NAME)
        _check_files(folder)
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise _no_library(folder) from None
        except OSError as error:
            raise MmsearchError(f"The library in {folder} cannot be read ({error.strerror}).") from error
        if not os.access(path, os.R_OK):
            raise MmsearchError(f"The library file {path} cannot be read; check its permissions.")
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
            raise OlderLibrary(folder) if version else _no_library(folder)
        return cls(connection)

    @classmethod
    def write(cls, folder: str, before_commit: Callable[[], None] = lambda: None) -> Catalogue:
        """The catalogue for one writer, made or brought up to date where needed. The caller holds the lock.

        `before_commit` raises an error where it is not held any more: nothing is committed then.

        Raises:
            MmsearchError: the library is not one of ours, or of a newer version.
        """
        _check_files(folder)
        connection = sqlite3.connect(os.path.join(folder, DATABASE_NAME), isolation_level=None)
        _checked(connection, folder)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        copy = os.path.join(folder, f"{DATABASE_NAME}-before-upgrade")
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            with suppress(OSError):  # of an upgrade that was killed after it had succeeded
                os.remove(copy)
        else:
            from mmsearch.store.sqlite.schema import migrate

            migrate(connection, copy)
        return cls(connection, before_commit)

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within become durable together, or none does. The library is in another state after them."""
        before = self.connection.total_changes
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            if self.connection.total_changes != before:
                self.connection.execute(
                    """INSERT INTO settings (key, value) VALUES ('state', '1')
                       ON CONFLICT (key) DO UPDATE SET value = value + 1"""
                )
            self._before_commit()
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    # Settings

    def set_setting(self, key: str, value: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", (key, value))

    def remove_setting(self, key: str) -> None:
        self.connection.execute("DELETE FROM settings WHERE key = ?", (key,))

    def remove_settings_of(self, fingerprint: str) -> None:
        """Forgets the records of the files that were derived from that model's vectors."""
        self.connection.execute("DELETE FROM settings WHERE key LIKE '% ' || ? || '-%'", (fingerprint[:16],))

    # Roots

    def roots(self) -> list[Root]:
        rows = self.connection.execute(f"SELECT {_ROOT_COLUMNS} FROM roots ORDER BY path")
        return [_root(row) for row in rows]

    def put_root(self, path: bytes, rules: str) -> Root:
        """Adds a root or replaces its rules."""
        self.connection.execute(
            """INSERT INTO roots (path, rules, added) VALUES (?, ?, ?)
               ON CONFLICT (path) DO UPDATE SET rules = excluded.rules WHERE rules <> excluded.rules""",
            (path, rules, now()),
        )
        row = self.connection.execute(f"SELECT {_ROOT_COLUMNS} FROM roots WHERE path = ?", (path,)).fetchone()
        return _root(row)

    def set_mounts(self, root_id: int, mounts: Iterable[bytes]) -> None:
        written = json.dumps([os.fsdecode(mount) for mount in mounts])
        self.connection.execute("UPDATE roots SET mounts = ? WHERE id = ?", (written, root_id))

    def set_absent(self, root_id: int, count: int) -> None:
        self.connection.execute("UPDATE roots SET absent = ? WHERE id = ?", (count, root_id))

    def mark_changed(self, root_ids: Iterable[int]) -> None:
        moment = now()
        self.connection.executemany("UPDATE roots SET changed = ? WHERE id = ?", ((moment, one) for one in root_ids))

    def remove_root(self, root_id: int) -> None:
        self.connection.execute("DELETE FROM unread WHERE root_id = ?", (root_id,))
        self.connection.execute("DELETE FROM roots WHERE id = ?", (root_id,))

    # Files and contents

    def files_at(self, paths: Sequence[bytes], model_id: int, readers: str) -> KnownFiles:
        """What is known of these paths, at most MOST_PATHS of them.

        A file that other `readers` than these could not read has failed in another state than it has now.
        """
        places = ", ".join("?" * len(paths))
        rows = self.connection.execute(
            f"SELECT path, id, root_id, size, mtime_ns, 0 FROM files WHERE path IN ({places})", paths
        )
        known = {row[0]: KnownFile._make(row[1:]) for row in rows}
        found = KnownFiles(known, set(), set())
        for path, number, root_id, size, mtime_ns, of_model in self.connection.execute(
            f"""SELECT path, id, root_id, CASE WHEN readers IS ? THEN size ELSE -1 END, mtime_ns, model_id
                FROM failures WHERE path IN ({places})""",
            (readers, *paths),
        ):
            if of_model is not None:
                found.not_encoded.add(number)
            if of_model in (None, model_id):
                file = known.setdefault(path, KnownFile(number, root_id, size, mtime_ns, True))
                if of_model == model_id and (file.size, file.mtime_ns) == (size, mtime_ns):
                    found.failing.add(path)
        return found

    def files_of_root(self, root: Root) -> Iterator[tuple[int, bytes]]:
        """The id and path of each file that this root brought: all of them lie below it."""
        condition, values = below("path", root.path)
        return iter(
            self.connection.execute(f"SELECT id, path FROM files WHERE {condition} AND root_id = ?", (*values, root.id))
        )

    def files_below(self, folder: bytes) -> list[int]:
        """The ids of the file `folder` itself or of all files below the folder, whichever root brought them."""
        condition, values = below("path", folder)
        return [row[0] for row in self.connection.execute(f"SELECT id FROM files WHERE {condition}", values)]

    def contents_of(self, file_ids: Iterable[int]) -> dict[int, int]:
        """The ids of the contents that those files hold, by file."""
        rows = self.connection.execute(
            "SELECT id, content_id FROM files WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(file_ids)),),
        )
        return dict(rows.fetchall())

    def count_files_below(self, folder: bytes) -> int:
        """How many files of the library lie below that folder, the file itself counted."""
        condition, values = below("path", folder)
        row = self.connection.execute(f"SELECT count(*) FROM files WHERE {condition}", values).fetchone()
        return int(row[0])

    def files_without_items(self, model_id: int) -> set[int]:
        """Files whose content this model has not encoded whole, but for those that it could not encode as they are."""
        rows = self.connection.execute(
            """SELECT id FROM files WHERE NOT EXISTS
                 (SELECT 1 FROM items WHERE items.content_id = files.content_id AND items.model_id = ?1 AND items.last)
               AND NOT EXISTS
                 (SELECT 1 FROM failures WHERE failures.path = files.path AND failures.model_id = ?1
                  AND failures.size = files.size AND failures.mtime_ns = files.mtime_ns)""",
            (model_id,),
        )
        return {row[0] for row in rows}

    def content_called(self, digest: bytes) -> int | None:
        """The id of that content if some model has encoded it, else None."""
        row = self.connection.execute(
            """SELECT id FROM contents WHERE digest = ?
               AND EXISTS (SELECT 1 FROM items WHERE content_id = contents.id)""",
            (digest,),
        ).fetchone()
        return None if row is None else int(row[0])

    def content_with_items(self, digest: bytes, model_id: int, reader: int) -> int | None:
        """The id of that content if it was read by that version of its reader, and this model has encoded all of it."""
        row = self.connection.execute(
            """SELECT id FROM contents WHERE digest = ? AND reader = ?
               AND EXISTS (SELECT 1 FROM items WHERE content_id = contents.id AND model_id = ? AND last)""",
            (digest, reader, model_id),
        ).fetchone()
        return None if row is None else int(row[0])

    def items_stored(self, digest: bytes, model_id: int, reader: int) -> int:
        """How many items of that content, read by that version of its reader, this model has encoded: the first ones,
        where a run was cut off in the middle of it.
        """
        row = self.connection.execute(
            """SELECT count(*) FROM items JOIN contents ON contents.id = content_id
               WHERE digest = ? AND reader = ? AND model_id = ?""",
            (digest, reader, model_id),
        ).fetchone()
        return int(row[0])

    def is_caught_up(self, model_id: int) -> bool:
        """Whether it was noted that the model has encoded all files, and nothing has come since."""
        row = self.connection.execute("SELECT behind FROM models WHERE id = ?", (model_id,)).fetchone()
        return row is not None and not row[0]

    def files_read_otherwise(self, versions: Mapping[Medium, int]) -> set[int]:
        """The ids of files whose content was read by another version of its medium's reader than that one."""
        rows = self.connection.execute(
            """SELECT files.id FROM contents JOIN files ON files.content_id = contents.id
               JOIN json_each(?) AS readers ON readers.key = contents.medium AND readers.value <> contents.reader""",
            (json.dumps(dict(versions)),),
        )
        return {row[0] for row in rows}

    def put_content(self, content: Content) -> int:
        """Stores a content, unless it is there already as that version of its reader reads it. Returns its id.

        What another version has found in it is dropped, for all models.
        """
        facts = content.facts
        known = self.connection.execute(
            "SELECT id, reader FROM contents WHERE digest = ?", (content.digest,)
        ).fetchone()
        if known is not None and known[1] == content.reader:
            return int(known[0])
        if known is not None:
            self.remove_items_of([known[0]])
        row = self.connection.execute(
            """INSERT INTO contents
                 (digest, medium, bytes, reader, width, height, taken, encoding, duration, pages)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (digest) DO UPDATE SET medium = excluded.medium, reader = excluded.reader,
                 width = excluded.width, height = excluded.height, taken = excluded.taken,
                 encoding = excluded.encoding, duration = excluded.duration, pages = excluded.pages
               RETURNING id""",
            (
                content.digest, content.medium, content.size, content.reader,
                facts.width, facts.height, facts.taken, facts.encoding, facts.duration, facts.pages,
            ),
        ).fetchone()  # fmt: skip
        return int(row[0])

    def add_items(
        self, content_id: int, model_id: int, items: Sequence[EncodedItem], first: int = 0, is_whole: bool = True
    ) -> None:
        """Stores items of a content with their vectors: those from place `first` on, all of them if `is_whole`.

        What is there already, of another file of that content, stays as it is.
        """
        execute = self.connection.execute
        row = execute(
            "SELECT count(*), max(last) FROM items WHERE content_id = ? AND model_id = ?", (content_id, model_id)
        ).fetchone()
        stored, whole = int(row[0]), bool(row[1])
        if whole or stored < first:
            return
        if is_whole and not items:  # the run before had got to the end, and no further
            execute(
                "UPDATE items SET last = 1 WHERE content_id = ? AND model_id = ? AND ordinal = ?",
                (content_id, model_id, stored - 1),
            )
        ends = first + len(items) - 1
        for ordinal, item in enumerate(items, start=first):
            if ordinal < stored:
                continue
            cursor = execute(
                """INSERT INTO items (content_id, model_id, modality, source, ordinal, last, start, "end", line,
                     page, region, time_from, time_to, text)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    content_id, model_id, item.modality, item.source, ordinal, int(is_whole and ordinal == ends),
                    *_of_locator(item.locator), item.text,
                ),
            )  # fmt: skip
            execute(
                "INSERT INTO vectors (item_id, vector) VALUES (?, ?)",
                (cursor.lastrowid, item.vector.astype("<f2").tobytes()),
            )
        for modality in {item.modality for item in items}:
            self._note_space(content_id, model_id, modality)

    def _note_space(self, content_id: int, model_id: int, modality: Modality) -> None:
        self.connection.execute(
            """INSERT OR IGNORE INTO spaces (model_id, modality, medium)
               SELECT ?, ?, medium FROM contents WHERE id = ?""",
            (model_id, modality, content_id),
        )

    def put_file(self, file: FileState, content_id: int) -> None:
        """Says that the file holds that content; it fails no model that has encoded that."""
        path, size, mtime_ns = file.path, file.size, file.mtime_ns
        self.connection.execute(
            """INSERT INTO files (path, extension, root_id, content_id, size, mtime_ns) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (path) DO UPDATE SET root_id = excluded.root_id, content_id = excluded.content_id,
                 size = excluded.size, mtime_ns = excluded.mtime_ns""",
            (path, _text(extension_of(path)), file.root_id, content_id, size, mtime_ns),
        )
        self.connection.execute(
            """DELETE FROM failures WHERE path = ?1 AND (model_id IS NULL OR size <> ?2 OR mtime_ns <> ?3
                 OR EXISTS (SELECT 1 FROM items WHERE content_id = ?4 AND model_id = failures.model_id AND last))""",
            (path, size, mtime_ns, content_id),
        )
        self.connection.execute(
            """UPDATE models SET behind = 1 WHERE behind = 0
               AND NOT EXISTS (SELECT 1 FROM items WHERE content_id = ? AND model_id = models.id AND last)""",
            (content_id,),
        )

    def note_failure(self, file: FileState, reason: str, readers: str) -> None:
        """Says that these readers cannot read the file; what it held before leaves the library."""
        self.remove_path(file.path)
        self._put_failure(file, reason, readers)

    def note_not_encoded(self, file: FileState, reason: str, readers: str, model_id: int, is_held: bool) -> None:
        """Says that this model cannot encode the file's content; the others may.

        Unless that content `is_held` by the library, what the file held before leaves it.
        """
        if not is_held:
            self.connection.execute("DELETE FROM files WHERE path = ?", (file.path,))
        self._put_failure(file, reason, readers, model_id)

    def note_out_of_reach(self, root_id: int, path: bytes, reason: str) -> None:
        """Says that what lies at `path` could not be looked at. What is known of it stays; the next run tries again."""
        self._put_failure(FileState(root_id, path, -1, -1), reason, None)

    def failure_at(self, path: bytes) -> int | None:
        """The id of what was noted of that path."""
        row = self.connection.execute("SELECT id FROM failures WHERE path = ? AND model_id IS NULL", (path,)).fetchone()
        return None if row is None else int(row[0])

    def _put_failure(self, file: FileState, reason: str, readers: str | None, model_id: int | None = None) -> None:
        self.connection.execute(
            """INSERT OR REPLACE INTO failures (path, root_id, size, mtime_ns, reason, noted, readers, model_id)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (file.path, file.root_id, file.size, file.mtime_ns, reason, now(), readers, model_id),
        )

    def give_file_to(self, file_id: int, root_id: int) -> None:
        self.connection.execute("UPDATE files SET root_id = ? WHERE id = ?", (root_id, file_id))

    def remove_path(self, path: bytes) -> None:
        """Says that there is nothing to be searched at `path`."""
        self.connection.execute("DELETE FROM files WHERE path = ?", (path,))
        self.connection.execute("DELETE FROM failures WHERE path = ?", (path,))

    def remove_files(self, file_ids: Iterable[int]) -> None:
        self.connection.executemany("DELETE FROM files WHERE id = ?", ((file_id,) for file_id in file_ids))

    def failures(self) -> list[Failure]:
        rows = self.connection.execute("SELECT path, reason, noted FROM failures ORDER BY path")
        return [Failure(*row) for row in rows]

    def failures_of_root(self, root_id: int) -> Iterator[tuple[int, bytes]]:
        return iter(self.connection.execute("SELECT id, path FROM failures WHERE root_id = ?", (root_id,)))

    def failures_below(self, folder: bytes) -> list[int]:
        condition, values = below("path", folder)
        return [row[0] for row in self.connection.execute(f"SELECT id FROM failures WHERE {condition}", values)]

    def remove_failures(self, failure_ids: Iterable[int]) -> None:
        for one in failure_ids:
            self._release("id = ?", (one,))
            self.connection.execute("DELETE FROM failures WHERE id = ?", (one,))

    def remove_failures_of_root(self, root_id: int) -> None:
        self._release("root_id = ?", (root_id,))
        self.connection.execute("DELETE FROM failures WHERE root_id = ?", (root_id,))

    def _release(self, condition: str, values: tuple[Any, ...]) -> None:
        """Says that models have files to encode which they could not encode before: these failures are let go."""
        self.connection.execute(
            f"UPDATE models SET behind = 1 WHERE id IN (SELECT model_id FROM failures WHERE {condition})", values
        )

    # Files of kinds that nothing reads

    def unread(self, root_id: int | None = None) -> dict[str, int]:
        """How many files of each extension no reader takes, most first: of one root, or of all."""
        rows = self.connection.execute(
            """SELECT extension, sum(files) FROM unread WHERE ?1 IS NULL OR root_id = ?1
               GROUP BY extension ORDER BY sum(files) DESC, extension""",
            (root_id,),
        )
        return dict(rows.fetchall())

    def put_unread(self, root_id: int, counts: Mapping[str, int]) -> None:
        """Keeps how many files of each extension a walk of the root came upon that no reader takes."""
        self.connection.execute("DELETE FROM unread WHERE root_id = ?", (root_id,))
        self.connection.executemany(
            "INSERT INTO unread (root_id, extension, files) VALUES (?, ?, ?)",
            ((root_id, _text(extension), files) for extension, files in counts.items()),
        )

    def remove_orphans(self) -> None:
        """Drops contents that no file holds any more, with their items and vectors."""
        self._remove_items("content_id NOT IN (SELECT content_id FROM files)", ())
        self.connection.execute("DELETE FROM contents WHERE id NOT IN (SELECT content_id FROM files)")

    def remove_items_of(self, content_ids: Iterable[int]) -> None:
        """Drops the items and vectors of those contents; the next index run encodes their files again."""
        self._remove_items("content_id IN (SELECT value FROM json_each(?))", (json.dumps(list(content_ids)),))
        self.mark_behind()

    def remove_items_of_model(self, model_id: int) -> int:
        """Drops all items and vectors that this model made. Returns how many there were."""
        return self._remove_items("model_id = ?", (model_id,))

    def remove_failures_of_model(self, model_id: int) -> None:
        """Forgets what that model could not encode."""
        self.connection.execute("DELETE FROM failures WHERE model_id = ?", (model_id,))

    def mark_behind(self) -> None:
        """Says that there may be files that the models of the library have not encoded."""
        self.connection.execute("UPDATE models SET behind = 1")

    def retire_orphans(self) -> None:
        """Drops contents that no file has held since the last call, and marks those that no file holds now.

        So a file that is moved from one root to another keeps its vectors though the roots are indexed one by one.
        What a file has let go of since the last call is marked 2, by triggers, and what was marked by it 1.
        """
        execute = self.connection.execute
        held = "EXISTS (SELECT 1 FROM files WHERE content_id = contents.id)"
        retired = "orphaned > 0 AND orphaned = 1"  # the first half is that of the index
        execute(f"UPDATE contents SET orphaned = 0 WHERE orphaned > 0 AND {held}")
        self._remove_items(f"content_id IN (SELECT id FROM contents WHERE {retired})", ())
        execute(f"DELETE FROM contents WHERE {retired}")
        execute("UPDATE contents SET orphaned = 1 WHERE orphaned > 0")

    def mark_orphans(self) -> None:
        """Looks at all contents for some that no file holds, where nothing has marked them."""
        self.connection.execute(
            """UPDATE contents SET orphaned = 2
               WHERE orphaned = 0 AND NOT EXISTS (SELECT 1 FROM files WHERE content_id = contents.id)"""
        )

    def has_orphans(self) -> bool:
        """Whether there are contents that no file holds, or did not hold for a while."""
        return self.connection.execute("SELECT 1 FROM contents WHERE orphaned > 0 LIMIT 1").fetchone() is not None

    def _remove_items(self, condition: str, values: tuple[Any, ...]) -> int:
        self.connection.execute(
            f"DELETE FROM vectors WHERE item_id IN (SELECT id FROM items WHERE {condition})", values
        )
        removed = self.connection.execute(f"DELETE FROM items WHERE {condition}", values).rowcount
        if removed:
            self.set_setting("items_removed", str(self.items_removed() + removed))
        return removed


def _of_locator(locator: Locator) -> tuple[object, ...]:
    """The values of the columns start, end, line, page, region, time_from and time_to."""
    region = None if locator.region is None else json.dumps(locator.region)
    return (locator.start, locator.end, locator.line, locator.page, region, *(locator.time or (None, None)))


def _text(extension: str) -> str:
    """An extension as a text that any program can read: bytes that are no UTF-8 are replaced."""
    return os.fsencode(extension).decode("utf-8", "replace")


_ROOT_COLUMNS = "id, path, rules, changed, mounts, absent"


def _root(row: tuple[int, bytes, str, str | None, str, int]) -> Root:
    number, path, rules, changed, mounts, absent = row
    try:
        folders = tuple(os.fsencode(mount) for mount in json.loads(mounts))
    except (ValueError, TypeError):  # damaged: they are noted again by the next run
        folders = ()
    return Root(number, path, rules, changed, folders, absent)


def now() -> str:
    """The present moment in UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


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


def _no_library(folder: str) -> MmsearchError:
    return MmsearchError(f"There is no library in {folder}; run `mmsearch index FOLDER` first.")


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
        raise MmsearchError(
            f"{os.path.join(folder, DATABASE_NAME)} is not an mmsearch library; choose another folder with --library."
        )
    if tables and not version:
        connection.close()
        raise sqlite3.DatabaseError("its header is damaged")
    if version > SCHEMA_VERSION:
        connection.close()
        raise MmsearchError(f"The library in {folder} was written by a newer mmsearch; upgrade mmsearch to use it.")
    return connection
