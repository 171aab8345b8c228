"""What the system tells of watched folders, whichever way it does: changes of single paths, or that some were lost."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple, Protocol


class Change(NamedTuple):
    """Something happened to what lies, or lay, at `path`; without one anywhere, as the system could not keep up.

    `is_written` tells that a program writes to the file and has not closed it yet, or that it has; None says neither.
    `is_folder` tells that it is, or was, a folder.
    """

    path: bytes | None
    is_written: bool | None = None
    is_folder: bool = False


OnChange = Callable[[Change], None]


class ChangeSource(Protocol):
    """Watches folders, not what lies below their folders, and tells of changes from a thread of its own."""

    def add(self, folder: bytes) -> None:
        """Watches that folder from now on; one that is gone, or may not be read, is passed over.

        Raises:
            WatchesExhausted: the system watches no more.
        """

    def retain(self, folders: Set[bytes]) -> None:
        """Watches none but those of the watched folders."""

    def count(self) -> int:
        """How many folders are watched."""

    def close(self) -> None:
        """Ends watching, and the thread."""


class WatchesExhausted(Exception):
    """The system watches no more folders for this user; `limit` is the name of the setting that says how many."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit
