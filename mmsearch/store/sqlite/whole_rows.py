"""All rows of the tables, as libraries move from one store to another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from mmsearch.store.sqlite.connected import Connected
from mmsearch.store.sqlite.signing import SIGNED, checksums, is_sound
from mmsearch.store.whole_rows import ROWS_AT_ONCE, VECTORS, Row, Table


class WholeRowTables(Connected):
    """Rows as they are. Triggers of the writer's connection give them their checksums, and index their words."""

    def count_rows(self, table: Table) -> int:
        """How many rows the table has."""
        count: int = self.connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
        return count

    def rows_of(self, table: Table) -> Iterator[Sequence[Row]]:
        """All rows of the table, values in the order of its columns, some at a time: within `one_state()`.

        Raises:
            DatabaseError: damage has changed one of them.
        """
        if table == VECTORS:
            yield from self._vectors()
            return
        sound = is_sound(table.name) if table.name in SIGNED else "1"
        order = ", ".join(map(_quoted, table.columns[: table.keys]))
        found = self.connection.execute(
            f"SELECT {_columns(table)}, {sound} FROM {table.name} ORDER BY {order}",
        )
        truths = [place for place, name in enumerate(table.columns) if name in table.booleans]
        while rows := found.fetchmany(ROWS_AT_ONCE):
            if not all(row[-1] for row in rows):
                raise sqlite3.DatabaseError(f"the checksum of a row of {table.name} is wrong")
            yield [_with_truths(row[:-1], truths) for row in rows]

    def _vectors(self) -> Iterator[Sequence[Row]]:
        found = self.connection.execute(
            """SELECT item_id, model_id, modality, vector, vectors.checksum FROM vectors
               JOIN items ON items.id = item_id ORDER BY item_id"""
        )
        while rows := found.fetchmany(ROWS_AT_ONCE):
            if checksums([row[0] for row in rows], [row[3] for row in rows]) != [row[4] for row in rows]:
                raise sqlite3.DatabaseError("the checksum of a vector is wrong")
            yield [row[:-1] for row in rows]

    def put_rows(self, table: Table, rows: Sequence[Row]) -> None:
        if table == VECTORS:
            self._put_vectors(rows)
            return
        marks = ", ".join("?" * len(table.columns))
        self.connection.executemany(f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks})", rows)

    def _put_vectors(self, rows: Sequence[tuple[Any, ...]]) -> None:
        sums = checksums([row[0] for row in rows], [row[3] for row in rows])
        self.connection.executemany(
            "INSERT INTO vectors (item_id, vector, checksum) VALUES (?, ?, ?)",
            ((row[0], row[3], checksum) for row, checksum in zip(rows, sums, strict=True)),
        )

    def rows_are_put(self) -> None:
        """Says that no room is wasted. SQLite goes on behind the highest ids, and triggers have indexed the words."""
        self.set_setting("compacted_at", str(self.items_removed()))


def _columns(table: Table) -> str:
    return ", ".join(map(_quoted, table.columns))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _with_truths(row: Row, truths: Sequence[int]) -> Row:
    """The row with truth values as such, for engines that have a type for them."""
    if not truths:
        return row
    return tuple(bool(value) if place in truths else value for place, value in enumerate(row))
