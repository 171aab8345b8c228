"""What is wrong inside a database, and dropping what belongs to nothing."""

from __future__ import annotations

import json
import sqlite3

from mmsearch.store.sqlite.schema import note_spaces
from mmsearch.store.sqlite.signing import SIGNED, drop_unsound, unsound_rows, unsound_vectors
from mmsearch.store.sqlite.stages import drop_torn_stages
from mmsearch.store.sqlite.store import SqliteStore
from mmsearch.store.sqlite.types import TYPES, mistyped
from mmsearch.store.sqlite.words import drop_triggers, word_damage

_SHOWN_PROBLEMS = 10
_TABLES_OF_TEXT = (*SIGNED, "spaces")
_ROWS_AT_ONCE = 4_096


def database_damage(store: SqliteStore) -> list[str]:
    """What SQLite finds wrong with the file and its references; nothing for a sound one.

    Raises:
        DamagedDatabase: it is so damaged that it cannot be looked through.
    """
    execute = store.connection.execute
    rows = execute(f"PRAGMA integrity_check({_SHOWN_PROBLEMS})").fetchall()
    damage = [line for row in rows for line in str(row[0]).splitlines() if line != "ok"]
    for table, number, parent, _ in execute("PRAGMA foreign_key_check").fetchmany(_SHOWN_PROBLEMS):
        damage.append(f"row {number} of {table} refers to a row of {parent} that is not there")
    if not damage:
        for table in _TABLES_OF_TEXT:
            _read_all(store.connection, table)
        damage += _mistyped(store.connection)
    return damage[:_SHOWN_PROBLEMS]


def _read_all(connection: sqlite3.Connection, table: str) -> None:
    """Raises DamagedDatabase for a text that is none: SQLite itself does not look into values."""
    rows = connection.execute(f"SELECT * FROM {table}")
    while rows.fetchmany(_ROWS_AT_ONCE):
        pass


def _mistyped(connection: sqlite3.Connection) -> list[str]:
    return [
        f"{table} has values of {column} that are no {' or '.join(allowed)}"
        for table, columns in TYPES.items()
        for column, allowed in columns.items()
        if connection.execute(f"SELECT 1 FROM {table} WHERE {mistyped(column, allowed)} LIMIT 1").fetchone()
    ]


def incomplete_contents(store: SqliteStore) -> list[int]:
    """Contents with an item that has no vector, or one of a wrong size: no search would find all of them."""
    rows = store.connection.execute(
        """SELECT DISTINCT items.content_id FROM items JOIN models ON models.id = items.model_id
             LEFT JOIN vectors ON vectors.item_id = items.id
             WHERE vectors.vector IS NULL OR length(vectors.vector) <> 2 * models.dimension"""
    )
    return [row[0] for row in rows]


def contents_of_damaged_vectors(store: SqliteStore) -> list[int]:
    """Contents with a vector that is not the one that was stored: SQLite does not see a flipped bit there."""
    damaged = unsound_vectors(store.connection)
    rows = store.connection.execute(
        """SELECT DISTINCT content_id FROM items JOIN models ON models.id = model_id JOIN vectors ON item_id = items.id
           WHERE items.id IN (SELECT value FROM json_each(?)) AND length(vector) = 2 * dimension""",
        (json.dumps(damaged),),
    )
    return [row[0] for row in rows]


def damaged_rows(store: SqliteStore) -> dict[str, int]:
    """How many rows of which tables do not say what they were given."""
    counts = {table: len(unsound_rows(store.connection, table)) for table in SIGNED}
    return {table: count for table, count in counts.items() if count}


def drop_damaged_rows(store: SqliteStore) -> None:
    """Drops rows and vectors that are not what was stored, within the caller's transaction."""
    before = store.item_count()
    drop_unsound(store.connection)
    drop_torn_stages(store.connection)
    store.set_setting("items_removed", str(store.items_removed() + before - store.item_count()))


def missing_spaces(store: SqliteStore) -> int:
    """How many pairs of modality and medium items have that searches do not know of."""
    row = store.connection.execute(
        """SELECT count(*) FROM (SELECT DISTINCT items.model_id, items.modality, contents.medium
             FROM items JOIN contents ON contents.id = items.content_id
             EXCEPT SELECT model_id, modality, medium FROM spaces)"""
    ).fetchone()
    return int(row[0])


def count_stray_vectors(store: SqliteStore) -> int:
    """How many vectors belong to no item."""
    row = store.connection.execute(
        "SELECT count(*) FROM vectors WHERE item_id NOT IN (SELECT id FROM items)"
    ).fetchone()
    return int(row[0])


def remove_stray_rows(store: SqliteStore) -> None:
    """Drops vectors of no item and failures of no model, and notes the spaces anew, within the caller's transaction."""
    store.connection.execute(
        "DELETE FROM failures WHERE model_id IS NOT NULL AND model_id NOT IN (SELECT id FROM models)"
    )
    store.connection.execute("DELETE FROM vectors WHERE item_id NOT IN (SELECT id FROM items)")
    store.connection.execute("DELETE FROM spaces")
    note_spaces(store.connection)


def has_other_words(store: SqliteStore) -> bool:
    """Whether the word index holds other words than files and items have.

    Raises:
        DamagedDatabase: it cannot be read.
    """
    return word_damage(store.connection)


def let_words_be(store: SqliteStore) -> None:
    """From now on what the store writes is not in its word index, which is to be made anew afterwards."""
    drop_triggers(store.connection)
