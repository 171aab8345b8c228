"""The library's store, opened once for each thread that reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from mmsearch.errors import Unavailable
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store


class _Connection:
    """A thread's store, of the database that lay there, in the so manieth line of the library."""

    def __init__(self, store: Store, file: Hashable, line: int) -> None:
        self.store = store
        self.file = file
        self.line = line
        self.is_in_use = True


class Connections:
    """Catalogues by thread. What threads that have ended have left is closed when another one comes."""

    def __init__(self, place: Place, open_store: Callable[[], Store]) -> None:
        self._place = place
        self._open = open_store
        self._lock = threading.Lock()
        self._by_thread: dict[threading.Thread, _Connection] = {}
        self._file: Hashable = None
        self._line = 0
        self._is_closed = False

    @contextmanager
    def reading(self) -> Iterator[tuple[Store, int]]:
        """This thread's store, at one state, of the file that is there now.

        The number tells lines of the library apart: it rises where another file has taken the place of the database.

        Raises:
            Unavailable: the session was closed. NotFound: there is no library any more.
        """
        connection = self._taken()
        try:
            with connection.store.one_state():
                yield connection.store, connection.line
        except Exception as error:
            if self._place.is_lost(error):
                self._drop(connection)
            raise
        finally:
            with self._lock:
                connection.is_in_use = False
                if self._is_closed:
                    connection.store.close()

    def renew(self) -> None:
        """Says that the database is not what it was, though it is the same file."""
        with self._lock:
            self._file = None

    def close(self) -> None:
        """Closes what no thread uses at this moment; the rest closes itself."""
        with self._lock:
            self._is_closed = True
            for connection in self._by_thread.values():
                if not connection.is_in_use:
                    connection.store.close()
            self._by_thread.clear()

    def __len__(self) -> int:
        return len(self._by_thread)

    def _taken(self) -> _Connection:
        thread = threading.current_thread()
        file = self._place.what_lies_there()
        with self._lock:
            known = self._by_thread.get(thread)
            if known is not None and not self._is_closed and (known.file, known.line) == (file, self._line_of(file)):
                known.is_in_use = True
                return known
        opened, file = self._opened()
        with self._lock:
            if self._is_closed:
                opened.close()
                raise Unavailable("The session is closed.")
            # Only now: a number of the file system is not given out again while a file of it is open.
            for one in [one for one in self._by_thread if one is thread or not one.is_alive()]:
                self._by_thread.pop(one).store.close()
            connection = self._by_thread[thread] = _Connection(opened, file, self._line_of(file))
            return connection

    def _drop(self, connection: _Connection) -> None:
        """Has the thread open a new store when it asks again."""
        with self._lock:
            if self._by_thread.get(threading.current_thread()) is connection:
                self._by_thread.pop(threading.current_thread()).store.close()

    def _line_of(self, file: Hashable) -> int:
        if file != self._file:
            self._file = file
            self._line += 1
        return self._line

    def _opened(self) -> tuple[Store, Hashable]:
        """A new store and the file that it has open."""
        while True:
            file = self._place.what_lies_there()
            store = self._open()
            if file == self._place.what_lies_there():
                return store, file
            store.close()  # it was replaced at this moment
