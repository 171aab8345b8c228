"""One connection to the library's PostgreSQL: transactions, the state that it is at, and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
Values = Sequence[object] | Mapping[str, object]


class Connected:
    """What the groups of tables have in common: the connection, and the settings.

    A reader's connection that is lost, as when the server was restarted, is made anew by the next statement; what is
    read within `one_state` fails then. A writer's is not: its lock is gone with it.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        before_commit: Callable[[], None] = lambda: None,
        is_writer: bool = False,
    ) -> None:
        self.connection = connect()
        self._connect = connect
        self._before_commit = before_commit
        self._is_writer = is_writer
        self._in_one_state = False

    def close(self) -> None:
        self.connection.close()

    def _run(self, statement: str, values: Values = (), binary: bool = False) -> psycopg.Cursor[Row]:
        """Runs a statement with its values. Returns its cursor, which has all rows.

        Vectors come as bytes of float16 where the answer is to be `binary`.
        """
        text = statement.encode()
        try:
            return self.connection.execute(text, values, binary=binary)
        except psycopg.OperationalError:
            if self._is_writer or self._in_one_state or not self.connection.closed:
                raise
        self.connection = self._connect()
        return self.connection.execute(text, values, binary=binary)

    def _rows(self, statement: str, values: Values = ()) -> list[Row]:
        return self._run(statement, values).fetchall()

    def _one(self, statement: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        return self._run(statement, values).fetchone()

    def _number(self, statement: str, values: Values = ()) -> int:
        """The only number of the only row."""
        row = self._one(statement, values)
        return int(row[0]) if row is not None else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes within become durable together, or none does. The library is in another state after them."""
        try:
            self._run("BEGIN")
            self._begun()
            yield
            if self._has_written():
                self._before_state()
                self._run("UPDATE settings SET value = (value::bigint + 1)::text WHERE key = 'state'")
            self._before_commit()
            self._run("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):  # the connection may be lost, and the transaction with it
                self.connection.rollback()
            raise

    def _has_written(self) -> bool:
        """Whether this transaction has changed something: those that only read are given no number."""
        row = self._one("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        return row is not None and bool(row[0])

    def _begun(self) -> None:
        """What is to be done first in a transaction."""

    def _before_state(self) -> None:
        """What else is to be written at the end of a transaction that has written something."""

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """What is read within is all of one state of the library, whatever is written meanwhile."""
        self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._in_one_state = True
        try:
            yield
        finally:
            self._in_one_state = False
            with suppress(psycopg.Error):
                self.connection.rollback()

    def state(self) -> tuple[str, int]:
        """The library's id, and a number that rises with each transaction that writes something."""
        row = self._one(
            """SELECT (SELECT value FROM settings WHERE key = 'library_id'),
                 (SELECT value::bigint FROM settings WHERE key = 'state')"""
        )
        library, state = row or (None, None)
        return library or "", state or 0

    def setting(self, key: str) -> str | None:
        """What was set, or None."""
        row = self._one("SELECT value FROM settings WHERE key = %s", (key,))
        return None if row is None else str(row[0])

    def number_setting(self, key: str) -> int:
        """That setting as a whole number; 0 where there is none, or what is no number."""
        try:
            return int(self.setting(key) or 0)
        except ValueError:
            return 0

    def set_setting(self, key: str, value: str) -> None:
        self._run(
            """INSERT INTO settings (key, value) VALUES (%s, %s)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value""",
            (key, value),
        )

    def remove_setting(self, key: str) -> None:
        self._run("DELETE FROM settings WHERE key = %s", (key,))

    def remove_settings_of(self, fingerprint: str) -> None:
        """Forgets the records of the files that were derived from that model's vectors."""
        self._run("DELETE FROM settings WHERE key LIKE '%% ' || %s || '-%%'", (fingerprint[:16],))

    def items_removed(self) -> int:
        """How many items were ever removed: tells a derived file how many of its rows may be dead."""
        return self.number_setting("items_removed")
