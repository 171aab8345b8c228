"""The store of a team: a PostgreSQL database, with pgvector, that holds the truth about files, contents and vectors.

One process writes at a time, wherever it runs: it holds an advisory lock of the database for as long as its connection
lasts. Workers, and walkers that queue for them, share that lock, each for one transaction, and these come one after the
other. Readers wait for nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import psycopg

from mmsearch.errors import Busy, Refused, Unsupported
from mmsearch.store.locations import shown
from mmsearch.store.postgres import holders
from mmsearch.store.postgres.archives import ArchiveTables
from mmsearch.store.postgres.connected import Connection
from mmsearch.store.postgres.connecting import closed_on_error, connect, set_up
from mmsearch.store.postgres.files import FileTables
from mmsearch.store.postgres.graphs import GraphTables
from mmsearch.store.postgres.items import ItemTables
from mmsearch.store.postgres.jobs import JobTables
from mmsearch.store.postgres.listed_files import ListedFileTables
from mmsearch.store.postgres.measuring import MeasureTables
from mmsearch.store.postgres.nearest import FOR_SEARCHES
from mmsearch.store.postgres.refusals import mapped_errors, read_only
from mmsearch.store.postgres.schema import LOCKS, SCHEMA_VERSION, WRITING, migrate, written_version
from mmsearch.store.postgres.stages import StageTables
from mmsearch.store.postgres.whole_rows import WholeRowTables
from mmsearch.store.postgres.wholeness import check_whole
from mmsearch.store.refusals import NoLibrary, OlderLibrary

# A writer waits so long for workers to come to the end of a transaction.
_PATIENCE_SECONDS = 20
_POLL_SECONDS = 0.1


class PostgresStore(
    FileTables,
    ArchiveTables,
    StageTables,
    ItemTables,
    ListedFileTables,
    GraphTables,
    MeasureTables,
    JobTables,
    WholeRowTables,
):
    """One connection to the library's database."""

    _wait: Callable[[], None] | None = None

    @classmethod
    def read(cls, url: str) -> PostgresStore:
        """The store of an existing library, for reading, from any one thread at a time.

        Raises:
            NotFound: there is no library in the database. OlderLibrary: it was written by an older mmsearch.
                Damaged: it is not whole. Unsupported: it is of a newer version, or the server is older than a library
                needs. Unavailable: the server is out of reach. Refused: it does not let us in.
        """
        return cls(lambda: _for_reading(url))

    @classmethod
    def write(cls, url: str, before_commit: Callable[[], None] = lambda: None) -> PostgresStore:
        """The store for one writer, made or brought up to date where needed.

        `before_commit` may raise an error: nothing is committed then.

        Raises:
            Busy: another process writes it. Damaged: it is not whole. Unsupported: it is of a newer version, or the
                server has no pgvector. Unavailable: the server is out of reach. Refused: it does not let us in.
        """
        store = cls(lambda: _for_writing(url), before_commit, is_writer=True)
        try:
            with mapped_errors(url):
                store.drop_lost_tables()
                if not store.has_words():
                    with store.transaction():
                        store.renew_words()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def share(cls, url: str, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> PostgresStore:
        """The store of an existing library, for one of many that write at the same time, each transaction by itself.

        While another process has the library for itself, a transaction waits at its beginning; `wait` is called again
        and again then, and may raise an error. The server ends one in which nothing happens for `lease` seconds, and
        the connection with it: it would hold up the others.

        Raises:
            The same as `read`. Refused: the server is a standby. TakesNoWrites: it is set to be read only.
        """
        store = cls(lambda: _for_sharing(url, lease), is_writer=True)
        store._wait = wait
        return store

    def _begun(self) -> None:
        super()._begun()
        if self._wait is None:
            return
        while self._one("SELECT WHERE pg_try_advisory_xact_lock_shared(%s, %s)", (LOCKS, WRITING)) is None:
            self._wait()
            time.sleep(_POLL_SECONDS)
        self._await_number()


def _for_reading(url: str) -> Connection:
    with mapped_errors(url), closed_on_error(connect(url)) as connection:
        version = written_version(connection)
        if version is None:
            raise NoLibrary(shown(url))
        _check_not_newer(version, url)
        if version < SCHEMA_VERSION:
            raise OlderLibrary(shown(url))
        check_whole(connection, shown(url))
        set_up(connection)
        _set(connection, {"default_transaction_read_only": "on", **FOR_SEARCHES})
        return connection


def _for_sharing(url: str, lease: float) -> Connection:
    with mapped_errors(url), closed_on_error(_for_reading(url)) as connection:
        connection.execute("RESET default_transaction_read_only")  # as the server has it, which may change that
        _check_takes_writes(connection, url)
        _set(connection, {"idle_in_transaction_session_timeout": f"{max(1, round(1000 * lease))}ms"})
        _notice_lost_clients(connection)
        return connection


def _for_writing(url: str) -> Connection:
    with mapped_errors(url), closed_on_error(connect(url)) as connection:
        _check_takes_writes(connection, url)
        _take_lock(connection, url)
        version = written_version(connection)
        _check_not_newer(version or 0, url)
        if version != SCHEMA_VERSION:
            migrate(connection)
        check_whole(connection, shown(url))
        set_up(connection)
        return connection


def _check_takes_writes(connection: Connection, url: str) -> None:
    if connection.info.parameter_status("in_hot_standby") == "on":
        raise Refused(f"The server of {shown(url)} is a standby, which takes no writes; name the primary one.")
    if connection.info.parameter_status("default_transaction_read_only") == "on":
        raise read_only(shown(url), "default_transaction_read_only is on")


def _take_lock(connection: Connection, url: str) -> None:
    """Takes the writer's lock, which the server lets go of with the connection, however that ends."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCKS, WRITING)).fetchone()
    if (row is None or not row[0]) and (holders.writer(connection) is not None or not _lock_in_time(connection)):
        writer = holders.writer(connection) or "other processes"
        raise Busy(f"The library in {shown(url)} is being written by {writer}; wait until it has finished.")
    _notice_lost_clients(connection)


def _lock_in_time(connection: Connection) -> bool:
    """Whether the lock is there once all who share it have come to the end of what they are at."""
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_PATIENCE_SECONDS}s",))
    try:
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, WRITING))
    except psycopg.errors.LockNotAvailable:
        return False
    connection.execute("RESET lock_timeout")
    return True


def _notice_lost_clients(connection: Connection) -> None:
    # A writer whose machine is gone lets go of it within a minute.
    keepalives = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3"}
    _set(connection, {**keepalives, "client_connection_check_interval": "5s"})


def _set(connection: Connection, settings: Mapping[str, str]) -> None:
    """Has the server take these settings for as long as the connection lasts."""
    names, values = list(settings), list(settings.values())
    connection.execute(
        "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)",
        (names, values),
    )


def _check_not_newer(version: int, url: str) -> None:
    if version > SCHEMA_VERSION:
        raise Unsupported(f"The library in {shown(url)} was written by a newer mmsearch; upgrade mmsearch to use it.")
