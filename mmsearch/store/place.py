"""Where a library is kept, and what is done to all of it at once: what a kind of store has beside its stores."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from mmsearch.store.protocol import Store
from mmsearch.store.work import SharedStore

# What a person may have done to the files of a library.
Care = Literal["backup", "compact", "doctor"]


class Held(Protocol):
    """The right to write, which one process has at a time."""

    def check(self) -> None:
        """Raises Busy where it was lost."""


class Place(Protocol):
    """One library, which need not be there yet. All threads may use it; a store that it opens is for one thread.

    `location` is what a person is told of where it lies, the folder or the URL without a password, and `given` what it
    was opened by, to be opened so again: that may hold a password, and is not shown. `folder` is the folder of this
    machine for what is derived from the store, and for what is remembered of runs and searches; it need not be there.
    """

    @property
    def location(self) -> str: ...

    @property
    def given(self) -> str: ...

    @property
    def folder(self) -> str: ...

    def exists(self) -> bool:
        """Whether something was indexed there."""

    def bytes(self) -> int:
        """What the store takes, without what is derived from it."""

    def read(self) -> Store:
        """The store, for reading.

        Raises:
            NotFound: there is no library. OlderLibrary: it was written by an older mmsearch, and `write` brings it up
                to date. Other MmsearchErrors: it is none of ours, or out of reach.
        """

    def write(self, before_commit: Callable[[], None] = lambda: None) -> Store:
        """The store for one writer, made or brought up to date where needed. The caller holds the lock.

        `before_commit` raises an error where it is not held any more: nothing is committed then.
        """

    def share(self, wait: Callable[[], None] = lambda: None, lease: float = 60.0) -> SharedStore:
        """The store of an existing library, for one of many that write at the same time; see `store.work`.

        While another process has the library for itself, a transaction waits at its beginning; `wait` is called again
        and again then, and may raise an error. One in which nothing happens for `lease` seconds is ended, with the
        connection, as it holds up the others.

        Raises:
            Refused: such a library has no workers. Others as `read`.
        """

    def lock(self) -> AbstractContextManager[Held]:
        """Held while the library is written. Readers need none.

        Raises:
            Busy: another process holds it.
        """

    def can_upgrade(self) -> bool:
        """Whether a library of an older mmsearch may be brought up to date from here."""

    def guarded(self) -> AbstractContextManager[None]:
        """What the store refuses within the `with` block becomes an error of mmsearch's kinds."""

    def is_lost(self, error: Exception) -> bool:
        """Whether a store is of no use any more once that was raised, as its connection has ended."""

    def what_lies_there(self) -> Hashable:
        """What tells one database from another that has taken its place. Errors are left to what opens it."""

    def mark(self) -> object:
        """What changes whenever something was written, asked for every few seconds; None where there is no library."""

    def tidy(self, store: Store) -> None:
        """Gives room back where much of it is free, and there is room for doing so."""

    def check_care(self, care: Care) -> None:
        """Raises Refused where that is done to a library by other means than mmsearch's."""
