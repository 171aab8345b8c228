"""A library in a PostgreSQL database: what is asked of its server beside its store."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, closing, nullcontext, suppress

import psycopg

from mmsearch.errors import MmsearchError, NotFound, Refused
from mmsearch.files.private import make_private_folder
from mmsearch.store.locations import shown
from mmsearch.store.opening import folder_for
from mmsearch.store.place import Care, Held
from mmsearch.store.postgres.refusals import mapped_errors
from mmsearch.store.postgres.schema import SCHEMA
from mmsearch.store.postgres.store import PostgresStore
from mmsearch.store.protocol import Store
from mmsearch.store.work import SharedStore

# What PostgreSQL's own programs do, as a sentence goes on that says what mmsearch does not do.
_INSTEAD: dict[Care, str] = {
    "backup": "a copy of it is made by pg_dump, and read back by pg_restore",
    "compact": "the server gives room back by VACUUM",
    "doctor": "the server checks its pages by itself (pg_amcheck looks at all), and a backup by pg_dump puts it right",
}


class PostgresPlace:
    """The library in the database of that URL; see `Place`."""

    def __init__(self, url: str) -> None:
        self.given, self.location, self.folder = url, shown(url), folder_for(url)
        self._mark: object = None

    def exists(self) -> bool:
        try:
            self.read().close()
        except NotFound:
            return False
        return True

    def bytes(self) -> int:
        with self.guarded(), closing(PostgresStore.read(self.given)) as store:
            row = store.connection.execute(
                """SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::int8 FROM pg_class
                   JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %s AND relkind = 'r'""",
                (SCHEMA,),
            ).fetchone()
            return int(row[0]) if row else 0

    def read(self) -> Store:
        store = PostgresStore.read(self.given)
        with suppress(OSError):  # without it nothing is remembered from one search to the next
            make_private_folder(self.folder)
        return store

    def write(self, before_commit: Callable[[], None] = lambda: None) -> Store:
        return PostgresStore.write(self.given, before_commit)

    def share(self, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> SharedStore:
        return PostgresStore.share(self.given, wait, lease)

    def lock(self) -> AbstractContextManager[Held]:
        """None of its own: a store that is opened for writing holds the server's, and loses it with its connection."""
        return nullcontext(_WithTheConnection())

    def can_upgrade(self) -> bool:
        return True

    def guarded(self) -> AbstractContextManager[None]:
        return mapped_errors(self.given)

    def is_lost(self, error: Exception) -> bool:
        return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))

    def what_lies_there(self) -> Hashable:
        return self.given

    def mark(self) -> object:
        """While the server is out of reach that of before: nobody writes to it there."""
        try:
            with closing(PostgresStore.read(self.given)) as store:
                self._mark = store.state()
        except NotFound:
            self._mark = None
        except (MmsearchError, psycopg.Error):
            pass
        return self._mark

    def tidy(self, store: Store) -> None:
        """Has the server find words, and the nearest of many vectors, sooner; it gives room back by itself."""
        assert isinstance(store, PostgresStore)
        store.merge_words()
        store.build_nearest()

    def check_care(self, care: Care) -> None:
        if care == "doctor":
            self.read().close()  # which says where it is not whole
        raise Refused(f"The library in {self.location} is in PostgreSQL's care: {_INSTEAD[care]}.")


class _WithTheConnection:
    """The server itself refuses what a writer does that has lost its lock."""

    def check(self) -> None:
        return


def place_at(url: str) -> PostgresPlace:
    """The place of the library at that URL."""
    return PostgresPlace(url)
