"""The store of a team: a PostgreSQL database, with pgvector, that holds the truth about files, contents and vectors.

One process writes at a time, wherever it runs: it holds an advisory lock of the database for as long as its connection
lasts. Readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from mmsearch.errors import Busy, NotFound, Refused, Remedy, Unsupported
from mmsearch.store.locations import shown
from mmsearch.store.postgres.archives import ArchiveTables
from mmsearch.store.postgres.connected import Connection
from mmsearch.store.postgres.connecting import closed_on_error, connect, set_up
from mmsearch.store.postgres.files import FileTables
from mmsearch.store.postgres.items import ItemTables
from mmsearch.store.postgres.listed_files import ListedFileTables
from mmsearch.store.postgres.models import ModelTables
from mmsearch.store.postgres.nearest import NearestTables
from mmsearch.store.postgres.refusals import mapped_errors
from mmsearch.store.postgres.schema import LOCKS, SCHEMA_VERSION, WRITING, migrate, written_version
from mmsearch.store.postgres.stages import StageTables
from mmsearch.store.postgres.whole_rows import WholeRowTables
from mmsearch.store.refusals import OlderLibrary


class PostgresStore(
    FileTables, ArchiveTables, StageTables, ItemTables, ListedFileTables, NearestTables, ModelTables, WholeRowTables
):
    """One connection to the library's database."""

    @classmethod
    def read(cls, url: str) -> PostgresStore:
        """The store of an existing library, for reading, from any one thread at a time.

        Raises:
            OlderLibrary: it was written by an older mmsearch; opening it for writing brings it up to date.
            NotFound: there is no library in the database. Unsupported: it is of a newer version, or the server is older
                than a library needs. Unavailable: the server is out of reach. Refused: it does not let us in.
        """
        return cls(lambda: _for_reading(url))

    @classmethod
    def write(cls, url: str, before_commit: Callable[[], None] = lambda: None) -> PostgresStore:
        """The store for one writer, made or brought up to date where needed.

        `before_commit` may raise an error: nothing is committed then.

        Raises:
            Busy: another process writes it. Unsupported: it is of a newer version, or the server has no pgvector.
                Unavailable: the server is out of reach. Refused: it does not let us in.
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


def _for_reading(url: str) -> Connection:
    with mapped_errors(url), closed_on_error(connect(url)) as connection:
        version = written_version(connection)
        if version is None:
            raise NotFound(f"There is no library in {shown(url)}", Remedy("index"))
        _check_not_newer(version, url)
        if version < SCHEMA_VERSION:
            raise OlderLibrary(shown(url))
        set_up(connection)
        connection.execute("SET default_transaction_read_only = on")
        return connection


def _for_writing(url: str) -> Connection:
    with mapped_errors(url), closed_on_error(connect(url)) as connection:
        if connection.info.parameter_status("in_hot_standby") == "on":
            raise Refused(f"The server of {shown(url)} is a standby, which takes no writes; name the primary one.")
        _take_lock(connection, url)
        version = written_version(connection)
        _check_not_newer(version or 0, url)
        if version != SCHEMA_VERSION:
            migrate(connection)
        set_up(connection)
        return connection


def _take_lock(connection: Connection, url: str) -> None:
    """Takes the writer's lock, which the server lets go of with the connection, however that ends."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCKS, WRITING)).fetchone()
    if row is None or not row[0]:
        raise Busy(
            f"The library in {shown(url)} is being written by {_writer(connection)}; wait until it has finished."
        )
    # A writer whose machine is gone lets go of it within a minute.
    connection.execute(
        """SELECT set_config(name, value, false) FROM (VALUES ('tcp_keepalives_idle', '30'),
             ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
             ('client_connection_check_interval', '5s')) AS wanted (name, value)"""
    )


def _writer(connection: Connection) -> str:
    """Who holds the writer's lock, as far as the server tells."""
    row = connection.execute(
        """SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
           WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND objsubid = 2 AND granted
             AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
        (LOCKS, WRITING),
    ).fetchone()
    return str(row[0]) if row is not None and row[0] else "another process"


def _check_not_newer(version: int, url: str) -> None:
    if version > SCHEMA_VERSION:
        raise Unsupported(f"The library in {shown(url)} was written by a newer mmsearch; upgrade mmsearch to use it.")
