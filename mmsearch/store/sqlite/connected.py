"""One connection to the library's SQLite file: transactions, the state that it is at, and settings."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from mmsearch.store.sqlite.filters import add_filter_functions
from mmsearch.store.sqlite.signing import add_functions, is_sound
from mmsearch.store.times import now

# What is raised while a damaged database is opened or read.
DamagedDatabase = sqlite3.DatabaseError


class Connected:
    """What the groups of tables have in common: the connection, and the settings."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        before_commit: Callable[[], None] = lambda: None,
        is_writer: bool = False,
    ) -> None:
        self.connection = connection
        self._before_commit = before_commit
        self._is_writer = is_writer
        add_functions(connection)
        add_filter_functions(connection)

    def close(self) -> None:
        if self._is_writer:
            self._empty_log()
        self.connection.close()

    def _empty_log(self) -> None:
        """Brings the log into the database, so that what was removed is in neither; readers are not waited for."""
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA busy_timeout = 0")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def transaction(self) -> Iterator[None]:
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

    @contextmanager
    def one_state(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.rollback()

    def state(self) -> tuple[str, int]:
        library, state = self.connection.execute(
            """SELECT (SELECT value FROM settings WHERE key = 'library_id'),
                 (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'state')"""
        ).fetchone()
        return library or "", state or 0

    def now(self) -> str:
        """The present moment in UTC, ISO 8601, to the second."""
        return now()

    def setting(self, key: str) -> str | None:
        """What was set, or None.

        Raises:
            DatabaseError: damage has changed it.
        """
        row = self.connection.execute(
            f"SELECT value, {is_sound('settings')} FROM settings WHERE key = ?", (key,)
        ).fetchone()
        if row is not None and not row[1]:
            raise sqlite3.DatabaseError(f"the checksum of the setting {key} is wrong")
        return None if row is None else str(row[0])

    def number_setting(self, key: str) -> int:
        try:
            return int(self.setting(key) or 0)
        except ValueError:
            return 0

    def set_setting(self, key: str, value: str) -> None:
        self.connection.execute("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", (key, value))

    def remove_setting(self, key: str) -> None:
        self.connection.execute("DELETE FROM settings WHERE key = ?", (key,))

    def remove_settings_of(self, fingerprint: str) -> None:
        self.connection.execute("DELETE FROM settings WHERE key LIKE '% ' || ? || '-%'", (fingerprint[:16],))

    def items_removed(self) -> int:
        return self.number_setting("items_removed")
