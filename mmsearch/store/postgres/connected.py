"""One connection to the library's PostgreSQL: transactions, the state that it is at, and settings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

Row = tuple[Any, ...]
Read = TypeVar("Read")
Connection = psycopg.Connection[Row]
Values = Sequence[object] | Mapping[str, object]
# The present moment in UTC, to the second, as `store/times.py` writes it: of the server, as machines' clocks differ.
NOW = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')"""
# What is kept of one state: filters are many.
_MOST_KEPT = 1_000


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
        # What is to be run in this transaction before the next statement, all at once; None outside of one.
        self._waiting: list[tuple[str, Values]] | None = None
        # Settings of the server that single statements change, as they are otherwise.
        self._usual: dict[str, str] = {}
        # The state that is read within `one_state`, once it was asked for; and what is kept of a state.
        self._read_at: tuple[str, int] | None = None
        self._kept_of: tuple[str, int] | None = None
        self._kept: dict[Hashable, Any] = {}

    def close(self) -> None:
        self.connection.close()

    def _run(
        self, statement: str, values: Values = (), binary: bool = False, by_values: bool = False
    ) -> psycopg.Cursor[Row]:
        """Runs a statement with its values. Returns its cursor, which has all rows.

        Vectors come as bytes of float16 where the answer is to be `binary`. It is planned each time where the right
        plan depends on the values: `by_values`.
        """
        text, prepare = statement.encode(), False if by_values else None
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            with self.connection.pipeline():  # one trip to the server
                for one, of_one in waiting:
                    self.connection.execute(one.encode(), of_one)
            # The statement itself comes behind it: after a pipeline the server ends no transaction that stands still.
        try:
            return self.connection.execute(text, values, binary=binary, prepare=prepare)
        except psycopg.OperationalError:
            if self._is_writer or self._in_one_state or not self.connection.closed:
                raise
        self.connection = self._connect()
        return self.connection.execute(text, values, binary=binary, prepare=prepare)

    def _run_later(self, statement: str, values: Values = ()) -> None:
        """Runs a statement whose answer nobody needs: within `transaction` with others, before the next that is run.

        What is wrong with it is told then.
        """
        if self._waiting is None:
            self._run(statement, values)
        else:
            self._waiting.append((statement, values))

    def _rows(self, statement: str, values: Values = ()) -> list[Row]:
        return self._run(statement, values).fetchall()

    def _rows_with(self, settings: Mapping[str, str], statement: str, values: Values = ()) -> list[Row]:
        """All rows of a statement that is run with these settings of the server, which are as before after it."""
        if self.connection.info.transaction_status == TransactionStatus.IDLE:
            with self.connection.transaction():  # they last as long as it does
                self._set_locally(settings)
                return self._rows(statement, values)
        if self._usual.keys() != settings.keys():
            self._usual = self._current(settings)
        with self.connection.pipeline():  # one trip to the server
            self._set_locally(settings)
            found = self._run(statement, values)
            self._set_locally(self._usual)
        return found.fetchall()

    def _set_locally(self, settings: Mapping[str, str]) -> None:
        self._run(
            f"SELECT {', '.join(['set_config(%s, %s, true)'] * len(settings))}",
            [part for setting in settings.items() for part in setting],
        )

    def _current(self, names: Iterable[str]) -> dict[str, str]:
        """The settings of that names as they are. Those of pgvector are there once it is loaded."""
        self._run("SELECT '[1]'::vector")
        (row,) = self._rows(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}")
        return dict(zip(names, row, strict=True))

    def _one(self, statement: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        return self._run(statement, values).fetchone()

    def _number(self, statement: str, values: Values = ()) -> int:
        """The only number of the only row."""
        row = self._one(statement, values)
        return int(row[0]) if row is not None else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            self._run("BEGIN")
            self._waiting = []
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
        finally:
            self._waiting = None

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
        self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._in_one_state, self._read_at = True, None
        try:
            yield
        finally:
            self._in_one_state = False
            with suppress(psycopg.Error):
                if self.connection.info.transaction_status == TransactionStatus.INTRANS:
                    self.connection.commit()  # after a rollback psycopg has all statements prepared anew
                else:
                    self.connection.rollback()

    def _of_state(self, key: Hashable, read: Callable[[], Read]) -> Read:
        """What `read` gives. Within `one_state` it is read once for each state of the library."""
        kept = self._kept_of_state()
        if key not in kept:
            kept[key] = read()
        found: Read = kept[key]
        return found

    def _kept_of_state(self) -> dict[Hashable, Any]:
        """What is kept of the library's present state, to be added to. Outside `one_state` nothing is kept."""
        if not self._in_one_state:
            return {}
        at = self._read_at or self.state()
        if at != self._kept_of or len(self._kept) >= _MOST_KEPT:
            self._kept_of, self._kept = at, {}
        return self._kept

    def state(self) -> tuple[str, int]:
        row = self._one(
            """SELECT (SELECT value FROM settings WHERE key = 'library_id'),
                 (SELECT value::bigint FROM settings WHERE key = 'state')"""
        )
        library, state = row or (None, None)
        found = library or "", state or 0
        if self._in_one_state:
            self._read_at = found
        return found

    def now(self) -> str:
        """The present moment in UTC, ISO 8601, to the second, by the server's clock."""
        row = self._one(f"SELECT {NOW}")
        assert row is not None
        return str(row[0])

    def setting(self, key: str) -> str | None:
        """What was set, or None."""
        row = self._one("SELECT value FROM settings WHERE key = %s", (key,))
        return None if row is None else str(row[0])

    def number_setting(self, key: str) -> int:
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
        self._run("DELETE FROM settings WHERE key LIKE '%% ' || %s || '-%%'", (fingerprint[:16],))

    def items_removed(self) -> int:
        return self.number_setting("items_removed")
