"""The library of a program that stays: opened when it is first asked, and let go of when it was not asked for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mmsearch.store.opening import check_location

# A program that is only greeted loads nothing of the engine.
if TYPE_CHECKING:
    from mmsearch.library import Library
    from mmsearch.searching.session import Session

# So long models, codes and vectors are kept in memory after the last question.
IDLE_SECONDS = 600.0


class Opened(NamedTuple):
    """A library, and the session in which it is searched; any number of threads may use these."""

    library: Library
    session: Session


class OpenedLibrary:
    """Hands out one library and its session to any number of threads."""

    def __init__(self, folder: str | None, device: str = "auto", idle_seconds: float = IDLE_SECONDS) -> None:
        if folder is not None:
            check_location(folder)  # where no library can be is told at once, and not to who asks first
        self._folder, self._device = folder, device
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._users = 0
        self._timer: threading.Timer | None = None

    @contextmanager
    def used(self) -> Iterator[Opened]:
        """The library, open for as long as the block lasts."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._opened is None:
                from mmsearch.library import Library

                library = Library(self._folder, self._device)
                self._opened = Opened(library, library.session())
            opened = self._opened
            self._users += 1
        try:
            yield opened
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._timer = threading.Timer(self._idle_seconds, self._let_go)
                    self._timer.daemon = True
                    self._timer.start()

    @contextmanager
    def of_its_own(self) -> Iterator[Library]:
        """The library opened once more, for what only one thread may use."""
        from mmsearch.library import Library

        with Library(self._folder, self._device) as library:
            yield library

    @property
    def is_open(self) -> bool:
        """Whether anything of it is held in memory."""
        return self._opened is not None

    def _let_go(self) -> None:
        with self._lock:
            if self._users or self._opened is None or threading.current_thread() is not self._timer:
                return  # somebody has asked at this moment
            opened, self._opened, self._timer = self._opened, None, None
        opened.session.close()
        opened.library.close()
