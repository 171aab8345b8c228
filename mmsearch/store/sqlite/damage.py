"""What is wrong inside a database, and dropping what belongs to nothing."""

from __future__ import annotations

import sqlite3

import numpy as np

from mmsearch.store.sqlite.store import SqliteStore

# What is raised while a damaged database is opened or read.
DamagedDatabase = sqlite3.DatabaseError

_SHOWN_PROBLEMS = 10
_TABLES_OF_TEXT = ("settings", "models", "roots", "failures", "items")
_ROWS_AT_ONCE = 4_096
# Float16 rounds the length of a unit vector by less than a thousandth.
_LARGEST_ERROR_OF_LENGTH = 0.01


def database_damage(catalogue: SqliteStore) -> list[str]:
    """What SQLite finds wrong with the file and its references; nothing for a sound one.

    Raises:
        DamagedDatabase: it is so damaged that it cannot be looked through.
    """
    execute = catalogue.connection.execute
    rows = execute(f"PRAGMA integrity_check({_SHOWN_PROBLEMS})").fetchall()
    damage = [line for row in rows for line in str(row[0]).splitlines() if line != "ok"]
    for table, number, parent, _ in execute("PRAGMA foreign_key_check").fetchmany(_SHOWN_PROBLEMS):
        damage.append(f"row {number} of {table} refers to a row of {parent} that is not there")
    if not damage:
        for table in _TABLES_OF_TEXT:
            _read_all(catalogue.connection, table)
    return damage[:_SHOWN_PROBLEMS]


def _read_all(connection: sqlite3.Connection, table: str) -> None:
    """Raises DamagedDatabase for a text that is none: SQLite itself does not look into values."""
    rows = connection.execute(f"SELECT * FROM {table}")
    while rows.fetchmany(_ROWS_AT_ONCE):
        pass


def incomplete_contents(catalogue: SqliteStore) -> list[int]:
    """Contents with an item that has no vector, or one of a wrong size: no search would find all of them."""
    rows = catalogue.connection.execute(
        """SELECT DISTINCT items.content_id FROM items JOIN models ON models.id = items.model_id
             LEFT JOIN vectors ON vectors.item_id = items.id
             WHERE vectors.vector IS NULL OR length(vectors.vector) <> 2 * models.dimension"""
    )
    return [row[0] for row in rows]


def contents_of_damaged_vectors(catalogue: SqliteStore) -> list[int]:
    """Contents with a vector that is none that a model could have made: SQLite does not see a flipped bit there."""
    rows = catalogue.connection.execute(
        """SELECT items.content_id, vectors.vector FROM vectors JOIN items ON items.id = vectors.item_id
           JOIN models ON models.id = items.model_id WHERE length(vectors.vector) = 2 * models.dimension"""
    )
    damaged = []
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        for content_id, vector in batch:
            length = np.linalg.norm(np.frombuffer(vector, "<f2").astype(np.float32))
            if not abs(length - 1) < _LARGEST_ERROR_OF_LENGTH:
                damaged.append(content_id)
    return damaged


def count_stray_vectors(catalogue: SqliteStore) -> int:
    """How many vectors belong to no item."""
    row = catalogue.connection.execute(
        "SELECT count(*) FROM vectors WHERE item_id NOT IN (SELECT id FROM items)"
    ).fetchone()
    return int(row[0])


def remove_stray_rows(catalogue: SqliteStore) -> None:
    """Drops vectors of no item and failures of no model, within the caller's transaction."""
    catalogue.connection.execute(
        "DELETE FROM failures WHERE model_id IS NOT NULL AND model_id NOT IN (SELECT id FROM models)"
    )
    catalogue.connection.execute("DELETE FROM vectors WHERE item_id NOT IN (SELECT id FROM items)")
