"""A second kind of store for tests: `toy://NAME` is a SQLite file that lies elsewhere, in the folder of a variable."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from mmsearch.errors import Refused, Unavailable
from mmsearch.files.locking import WriterLock
from mmsearch.files.private import make_private_folder
from mmsearch.store.locations import shown
from mmsearch.store.opening import Kind, folder_for
from mmsearch.store.place import Care, Held
from mmsearch.store.protocol import Store
from mmsearch.store.sqlite.place import SqlitePlace
from mmsearch.store.work import SharedStore

VARIABLE = "MMSEARCH_TOYS"
KIND = Kind("toy_place", "toys", ("toys",), "toy://NAME")


class ConnectionEnded(Exception):
    """What a toy says once somebody has cut it off."""


class Toy:
    """What is derived from it lies in a folder of this machine, as for any server."""

    def __init__(self, url: str) -> None:
        self._at = os.path.join(os.environ[VARIABLE], urlsplit(url).hostname or "")
        self._within = SqlitePlace(self._at)
        self.location, self.given, self.folder = shown(url), url, folder_for(url)

    def exists(self) -> bool:
        return self._within.exists()

    def bytes(self) -> int:
        return self._within.bytes()

    def read(self) -> Store:
        return self._within.read()

    def write(self, before_commit: Callable[[], None] = lambda: None) -> Store:
        return self._within.write(before_commit)

    def share(self, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> SharedStore:
        return self._within.share(wait, lease)

    def lock(self) -> AbstractContextManager[Held]:
        make_private_folder(self._at)
        return WriterLock(self._at, f"The library at {self.location}")

    def can_upgrade(self) -> bool:
        return True

    @contextmanager
    def guarded(self) -> Iterator[None]:
        try:
            yield
        except ConnectionEnded as error:
            raise Unavailable(f"The server of {self.location} has ended the connection.") from error

    def is_lost(self, error: Exception) -> bool:
        return isinstance(error, ConnectionEnded)

    def what_lies_there(self) -> Hashable:
        return self.given

    def mark(self) -> object:
        return self._within.mark()

    def tidy(self, store: Store) -> None:
        self._within.tidy(store)

    def check_care(self, care: Care) -> None:
        raise Refused(f"The toys look after {self.location} themselves; {care} is nothing for mmsearch.")


def place_at(url: str) -> Toy:
    return Toy(url)
