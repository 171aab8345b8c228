"""What passes from the threads that read and encode to the one that stores, and when it is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from mmsearch.indexing.encoding import Outcome
from mmsearch.records import Progress

# So many outcomes that took no encoding are committed together, or those of so many seconds.
MOST_GATHERED = 500
GATHER_SECONDS = 0.5


class Results:
    """What workers hand on to the main thread, and the future of each batch once it is through.

    Workers wait where more than `most` pieces are not stored yet, so that a slow disk does not fill memory.
    """

    def __init__(self, most: int) -> None:
        self._queue: SimpleQueue[Sequence[Outcome] | Future[None]] = SimpleQueue()
        self._room = threading.Semaphore(most)

    def hand_on(self, outcomes: Sequence[Outcome]) -> None:
        self._room.acquire()
        self._queue.put(outcomes)

    def end(self, future: Future[None]) -> None:
        self._queue.put(future)

    def is_empty(self) -> bool:
        return self._queue.empty()

    def get(self, timeout: float | None = None) -> Sequence[Outcome] | Future[None]:
        """The next of either.

        Raises:
            Empty: there was none for `timeout` seconds.
        """
        result = self._queue.get(timeout=timeout)
        if not isinstance(result, Future):
            self._room.release()
        return result

    def throw_away(self, running: set[Future[None]]) -> None:
        """Waits for those that are at work, and lets nothing that they hand on hold them up."""
        left = {future for future in running if not future.cancel()}
        while left:
            with suppress(Empty):
                self.get(timeout=0.05)
            left = {future for future in left if not future.done()}


class Gathering:
    """Outcomes that wait to be committed together: a commit takes longer than to find out that a content is known.

    What took encoding waits for nothing, and takes along what waits.
    """

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._since = 0.0
        self._is_costly = False

    def add(self, outcomes: Sequence[Outcome]) -> None:
        if not self._outcomes:
            self._since = time.monotonic()
        self._outcomes += outcomes
        self._is_costly |= any(outcome.content is not None or outcome.not_encoded for outcome in outcomes)

    @property
    def is_due(self) -> bool:
        """Whether they are to be committed now."""
        return self._is_costly or len(self._outcomes) >= MOST_GATHERED or self.seconds_left == 0

    @property
    def seconds_left(self) -> float | None:
        """How long they may still wait, or None where there are none."""
        return max(0.0, self._since + GATHER_SECONDS - time.monotonic()) if self._outcomes else None

    def taken(self) -> list[Outcome]:
        """All of them; none are left."""
        taken, self._outcomes, self._is_costly = self._outcomes, [], False
        return taken


@dataclass
class Count:
    """Tells how many of the files are through, and how much of long ones."""

    on_progress: Callable[[Progress], None]
    total: int
    done: int = 0
    begun: dict[bytes, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add(())

    def add(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            path = outcome.candidate.file.path
            if outcome.is_whole:
                self.done += 1
                self.begun.pop(path, None)
            else:
                self.begun[path] = outcome.share
        self.on_progress(Progress("encoding", self.done, self.total, "files", sum(self.begun.values())))
