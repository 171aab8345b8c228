"""What can still be read of a damaged database, in a sound one.

Rows are read in the order of their ids; where a page is damaged, the next id that can be read is searched for, and
reading goes on from there. What is incomplete afterwards (a file without its vectors) is left out: the next index run
takes it in again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from mmsearch.files.crash_points import crash_point
from mmsearch.files.replacing import replacing
from mmsearch.store.sqlite.header import with_sound_definitions, with_sound_header
from mmsearch.store.sqlite.schema import SCHEMA_VERSION, migrate, note_spaces, number_items, settings_by_model
from mmsearch.store.sqlite.signing import SIGNED, drop_unsound, sign, sign_vectors
from mmsearch.store.sqlite.stages import drop_torn_stages
from mmsearch.store.sqlite.store import read_only_uri
from mmsearch.store.sqlite.types import TYPES, mistyped
from mmsearch.store.sqlite.words import fill_words

# What the others say can be found out again: which spaces there are, and what nothing reads.
_TABLES = ("vectors", *(table for table in SIGNED if table != "unread"))
_AT_ONCE = 256
_FURTHEST_STEP = 2**40


@dataclass(frozen=True)
class Salvaged:
    """How much could be read, and is complete: files with their vectors, roots, and contents, whether the file that
    held them could be read or not. What is indexed again and known among them needs no encoding.
    """

    files: int
    roots: int
    contents: int


def count_readable(database: str) -> Salvaged:
    """What `salvage` would save; nothing is written."""
    with closing(_new("")) as new:  # a temporary database, which SQLite deletes by itself
        return _copy(database, new)


def cut_off_salvage(database: str) -> Salvaged | None:
    """What a salvage saved that was killed before it put the new database in place; None where there is none.

    The log of the damaged database may have been moved away by then.
    """
    ready = _ready(database)
    if not os.path.exists(ready):
        return None
    log = f"{database}-wal"  # an empty one is only a reader's
    if (os.path.exists(log) and os.path.getsize(log)) or os.path.getmtime(database) > os.path.getmtime(ready):
        return None  # the library was used since
    with closing(sqlite3.connect(ready)) as new:
        return _counted(new)


def _ready(database: str) -> str:
    """Where a new database waits, whole, for its place."""
    return f"{database}.salvage"


def salvage(database: str, kept: str) -> tuple[Salvaged, str]:
    """Puts a new database in the place of the damaged one, which lies at `kept` afterwards, with its log beside it.

    Returns what was saved, and `kept`. The caller holds the writer's lock.
    """
    ready = _ready(database)
    temporary = f"{ready}.part"
    saved = cut_off_salvage(database)
    if saved is None:
        for leftover in (temporary, f"{temporary}-journal", ready):
            with suppress(FileNotFoundError):
                os.remove(leftover)
        with replacing(ready, temporary=temporary), closing(_new(temporary)) as new:
            saved = _copy(database, new)
            new.execute("BEGIN")
            fill_words(new)
            sign(new, "settings", "checksum = 0")
            new.execute("COMMIT")
            new.execute("PRAGMA journal_mode = DELETE")
    crash_point("salvage written")
    # The log first: SQLite would play it into whatever database it found beside it.
    for ending in ("-wal", "-shm"):
        if os.path.exists(database + ending):
            os.replace(database + ending, kept + ending)
    crash_point("damaged log set aside")
    try:
        os.link(database, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(database, kept)
    crash_point("damaged library kept")
    os.replace(ready, database)
    return saved, kept


def _new(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, "")
    return connection


def _copy(database: str, new: sqlite3.Connection) -> Salvaged:
    with (
        with_sound_header(database) as with_header,
        with_sound_definitions(with_header, _lost_definitions(with_header, new)) as readable,
        closing(_opened(readable)) as old,
    ):
        new.execute("BEGIN")
        damaged = {table for table in _TABLES if not _copy_table(old, new, table)}
        if not _has_places(old):
            if "items" in damaged:
                # Passages may be missing without a trace. A picture has one item: it is whole or not there.
                new.execute("DELETE FROM contents WHERE medium <> 'image'")
            number_items(new)
        _sign_what_was_unsigned(old, new)
        _drop_mistyped(new)
        drop_unsound(new)
        _drop_incomplete(new)
        new.execute("COMMIT")
    return _counted(new)


def _opened(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(read_only_uri(database), uri=True)
    # A definition that damage has made senseless keeps nothing else from being read then.
    connection.execute("PRAGMA writable_schema = ON")
    return connection


def _lost_definitions(database: str, new: sqlite3.Connection) -> dict[str, str]:
    """How tables are defined in `new` that damage leaves without a definition in the database, if that is as new."""
    with closing(_opened(database)) as old:
        lost = [table for table in _TABLES if not _columns(old, table)] if _is_of_todays_schema(old) else []
    if len(lost) == len(_TABLES):  # it is not the definitions that are damaged
        return {}
    select = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    return {table: new.execute(select, (table,)).fetchone()[0] for table in lost}


def _has_places(old: sqlite3.Connection) -> bool:
    """Whether items say which place they have among those of their content: in schemas before 6 they do not."""
    return "ordinal" in _columns(old, "items")


def _is_of_todays_schema(old: sqlite3.Connection) -> bool:
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        return bool(old.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION)
    return False


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of the columns: none where the schema cannot be read, others where damage has changed them."""
    text_factory, connection.text_factory = connection.text_factory, lambda raw: raw.decode("utf-8", "replace")
    try:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # the message on a damaged schema may be no text
        return []
    finally:
        connection.text_factory = text_factory


def _sign_what_was_unsigned(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Of tables that had no checksums in the old schema, what could be read is held to be right."""
    if _is_of_todays_schema(old):
        return
    for table in (*SIGNED, "vectors"):
        if "checksum" not in _columns(old, table):
            sign_vectors(new) if table == "vectors" else sign(new, table)


def _counted(new: sqlite3.Connection) -> Salvaged:
    counts = [new.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("files", "roots", "contents")]
    return Salvaged(*counts)


def _copy_table(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> bool:
    """Copies all rows that can be read. Returns whether these are all there are."""
    there, own = _columns(old, table), _columns(new, table)
    columns = [name for name in own if name in there]
    # Of today's schema the columns are known by their places, whatever has become of their names.
    by_place = len(there) == len(own) and _is_of_todays_schema(old)
    if by_place:
        columns = own
    if not columns:
        return False
    named = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join("?" * len(columns))
    whole = True
    for row in _readable_rows(old, table, "*" if by_place else named):
        if row is None:
            whole = False
        # The new library's own id stays: files derived from the damaged one are not to be believed.
        elif not (table == "settings" and row[0] in ("library_id", "schema")):
            with suppress(sqlite3.IntegrityError):  # damage can give two rows one path
                new.execute(f"INSERT OR REPLACE INTO {table} ({named}) VALUES ({places})", row)
    return whole


def _readable_rows(old: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...] | None]:
    """The rows in the order of their ids, and None in the place of those that cannot be read."""
    last, count = -(2**62), _AT_ONCE
    while True:
        try:
            rows = _rows_after(old, table, columns, last, count)
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            if count > 1:
                count = 1
                continue
            yield None
            following = _next_readable(old, table, columns, last)
            if following is None:
                return
            last, count = following, _AT_ONCE
            continue
        if not rows:
            return
        # Damage can put ids out of their order, so that a row comes that should lie behind.
        forward = [row for row in rows if row[0] > last]
        for _, *row in forward:
            yield tuple(row)
        if len(forward) < len(rows):
            yield None
        if forward:
            last, count = max(row[0] for row in forward), min(2 * count, _AT_ONCE)
            continue
        following = _next_readable(old, table, columns, last)
        if following is None:
            return
        last = following


def _rows_after(old: sqlite3.Connection, table: str, columns: str, last: int, count: int) -> list[tuple[Any, ...]]:
    # Without an index, which may be damaged where the table is not.
    query = f"SELECT rowid, {columns} FROM {table} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ?"
    return old.execute(query, (last, count)).fetchall()


def _next_readable(old: sqlite3.Connection, table: str, columns: str, last: int) -> int | None:
    """The lowest id after `last` behind which rows can be read again, or None."""

    def is_readable(place: int) -> bool:
        try:
            rows = _rows_after(old, table, columns, place, 1)
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False
        return not rows or rows[0][0] > place

    start = max(last, 0)
    step = 1
    while not is_readable(start + step):
        step *= 2
        if step > _FURTHEST_STEP:
            return None
    low, high = start + step // 2, start + step
    while high - low > 1:
        middle = (low + high) // 2
        if is_readable(middle):
            high = middle
        else:
            low = middle
    return high


def _drop_mistyped(new: sqlite3.Connection) -> None:
    for table, columns in TYPES.items():
        for column, allowed in columns.items():
            new.execute(f"DELETE FROM {table} WHERE {mistyped(column, allowed)}")


def _drop_incomplete(new: sqlite3.Connection) -> None:
    """Leaves out what refers to something that could not be read, and contents of which a part could not be read."""
    execute = new.execute
    settings_by_model(new)
    fullest = execute(
        "SELECT model_id FROM items GROUP BY model_id ORDER BY max(modality) = 'audio', count(*) DESC LIMIT 1"
    ).fetchone()
    known = execute("SELECT 1 FROM models WHERE id = (SELECT value FROM settings WHERE key = 'model_id')").fetchone()
    if fullest is not None and known is None:
        execute("INSERT OR REPLACE INTO settings (key, value) VALUES ('model_id', ?)", (str(fullest[0]),))
    execute(
        """DELETE FROM vectors WHERE item_id NOT IN
             (SELECT item_id FROM vectors JOIN items ON items.id = item_id JOIN models ON models.id = items.model_id
              JOIN contents ON contents.id = items.content_id WHERE length(vector) = 2 * models.dimension)"""
    )
    execute(
        """DELETE FROM contents
           WHERE id NOT IN (SELECT content_id FROM items) AND id NOT IN (SELECT content_id FROM wordless)
           OR id IN (SELECT content_id FROM items WHERE id NOT IN (SELECT item_id FROM vectors))
           OR id IN (SELECT content_id FROM items GROUP BY content_id, model_id HAVING count(*) <= max(ordinal))"""
    )
    execute("UPDATE models SET may_lack_files = 1")  # pictures that only one of the models has now leave no other trace
    execute("DELETE FROM files WHERE content_id NOT IN (SELECT id FROM contents)")
    execute("DELETE FROM files WHERE root_id NOT IN (SELECT id FROM roots)")
    execute("DELETE FROM failures WHERE root_id NOT IN (SELECT id FROM roots)")
    execute("DELETE FROM archives WHERE root_id NOT IN (SELECT id FROM roots)")
    execute("DELETE FROM failures WHERE model_id NOT IN (SELECT id FROM models)")
    execute("DELETE FROM query_banks WHERE model_id NOT IN (SELECT id FROM models)")
    execute("DELETE FROM items WHERE content_id NOT IN (SELECT id FROM contents)")
    execute("DELETE FROM remarks WHERE content_id NOT IN (SELECT id FROM contents)")
    execute("DELETE FROM vectors WHERE item_id NOT IN (SELECT id FROM items)")
    execute("DELETE FROM part_names WHERE item_id NOT IN (SELECT id FROM items)")
    execute("DELETE FROM details WHERE content_id NOT IN (SELECT id FROM contents)")
    execute("DELETE FROM sidecars WHERE file_id NOT IN (SELECT id FROM files)")
    execute("DELETE FROM wordless WHERE content_id NOT IN (SELECT id FROM contents)")
    execute("DELETE FROM wordless WHERE model_id NOT IN (SELECT id FROM models)")
    drop_torn_stages(new)
    note_spaces(new)
    sign(new, "settings", "checksum = 0")
