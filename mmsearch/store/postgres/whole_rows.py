"""All rows of the tables, as libraries move from one store to another: read by a cursor, written by COPY."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from mmsearch.errors import Invalid
from mmsearch.store.postgres.connecting import HalfVector
from mmsearch.store.postgres.encoded_items import EncodedItemTables
from mmsearch.store.postgres.words import WordTables
from mmsearch.store.whole_rows import ITEMS, ROWS_AT_ONCE, TABLES, VECTORS, Row, RowValue, Table


class WholeRowTables(EncodedItemTables, WordTables):
    """Rows as they are. The words that follow from them are indexed at the end, all at once."""

    def count_rows(self, table: Table) -> int:
        """How many rows the table has."""
        return self._number(f"SELECT count(*) FROM {table.name}")

    def rows_of(self, table: Table) -> Iterator[Sequence[Row]]:
        order = ", ".join(map(_quoted, table.columns[: table.keys]))
        statement = f"SELECT {_columns(table)} FROM {table.name} ORDER BY {order}"
        with self.connection.cursor(f"rows_of_{table.name}", binary=True) as cursor:
            cursor.itersize = ROWS_AT_ONCE
            cursor.execute(statement.encode())
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield rows

    def put_rows(self, table: Table, rows: Sequence[Row]) -> None:
        """Stores rows, ids as they are, in a store that has none of these.

        Raises:
            Invalid: a space has a name that is none.
        """
        if table == ITEMS:
            self._await_number()
        if table.name == "spaces":
            self._make_tables(rows)
        types: dict[str, int] = dict(
            self._rows(
                "SELECT attname, atttypid::int8 FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
                (table.name,),
            )
        )
        statement = f"COPY {table.name} ({_columns(table)}) FROM STDIN (FORMAT BINARY)"
        with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.set_types([types[name] for name in table.columns])
            for row in rows:
                copy.write_row(_with_vector(row) if table == VECTORS else tuple(map(_sendable, row)))

    def _make_tables(self, spaces: Sequence[Row]) -> None:
        for model_id, modality, _ in spaces:
            if not isinstance(model_id, int) or not re.fullmatch("[a-z][a-z0-9_]{0,30}", str(modality)):
                raise Invalid(
                    f"The library has vectors of a modality called {modality!r}, for which no table can be made."
                )
            self._make_table(model_id, str(modality))

    def rows_are_put(self) -> None:
        self._run(f"ANALYZE {', '.join(table.name for table in TABLES)}")
        for table in TABLES:
            if table.columns[0] == "id":
                self._run(
                    f"""SELECT setval(pg_get_serial_sequence('mmsearch.{table.name}', 'id'), max(id))
                        FROM {table.name} HAVING max(id) IS NOT NULL"""
                )
        self.renew_words()


def _columns(table: Table) -> str:
    return ", ".join(map(_quoted, table.columns))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _sendable(value: RowValue) -> RowValue:
    """PostgreSQL's texts have no NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _with_vector(row: Row) -> tuple[object, ...]:
    *before, vector = row
    assert isinstance(vector, bytes)
    return (*before, HalfVector(np.frombuffer(vector, "<f2")))
