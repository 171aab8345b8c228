"""Files are asked for before they are needed, so that a slow disk or network share works while processors encode."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

Batch = TypeVar("Batch")

# So much is asked for ahead; it lies in the system's file cache, not in this process.
BYTES_AHEAD = 64_000_000


class ReadAhead(Generic[Batch]):
    """Gives batches in their order, and has the system read the files of those that come next.

    `paths_of` gives the paths of a batch, `bytes_of` how large they are together. Close it in the end.
    """

    def __init__(
        self, batches: Iterator[Batch], paths_of: Callable[[Batch], list[bytes]], bytes_of: Callable[[Batch], int]
    ) -> None:
        self._batches = batches
        self._paths_of = paths_of
        self._bytes_of = bytes_of
        self._next: deque[Batch] = deque()
        self._ahead = 0
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="read ahead")

    def take(self) -> Batch | None:
        """The next batch, or None after the last."""
        while self._ahead < BYTES_AHEAD or not self._next:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._next.append(batch)
            self._ahead += self._bytes_of(batch)
            self._asking.submit(_ask_for, self._paths_of(batch))
        if not self._next:
            return None
        taken = self._next.popleft()
        self._ahead -= self._bytes_of(taken)
        return taken

    def close(self) -> None:
        """Asks for nothing more."""
        self._asking.shutdown(wait=False, cancel_futures=True)


def _ask_for(paths: list[bytes]) -> None:
    """Tells the system that these files are read soon; where it cannot be told, nothing is done."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in paths:
        with suppress(OSError, ValueError):
            # Without waiting: what was a file may be a pipe by now.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)
