"""Which changed paths are still to be indexed, and which of them have come to rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# A file is read once nothing was heard of it for so long; one that a program still has open for writing, once it has
# written nothing for so much longer.
REST_SECONDS = 0.5
OPEN_REST_SECONDS = 10.0
# One that changes again and again is left alone for longer and longer, up to so long, and is read in any case once it
# has waited for so long.
MOST_REST_SECONDS, MOST_WAIT_SECONDS = 8.0, 30.0
# Changes that come one after the other are indexed together, unless the first has waited for so long.
GATHER_SECONDS = 2.0
# Of more paths than this no list is kept: then everything is walked.
MOST_PATHS = 20_000


@dataclass
class _Waiting:
    """When a path was first and last heard of, for how long it is to rest, and whether a program is writing to it."""

    first: float
    heard: float
    rest: float
    is_written: bool = False

    @property
    def due(self) -> float:
        if self.is_written:
            return self.heard + OPEN_REST_SECONDS
        return min(self.heard + self.rest, self.first + MOST_WAIT_SECONDS)


class Pending:
    """Paths that wait for their rest. All times are seconds of one clock, which the caller reads."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, _Waiting] = {}
        # When a path that does not come to rest for long was taken last, and how long it had rested.
        self._taken: dict[bytes, tuple[float, float]] = {}
        self._last = 0.0
        self._everything_since: float | None = None

    @property
    def is_everything(self) -> bool:
        """Whether anything may have changed, so that no paths are named."""
        return self._everything_since is not None

    def note(self, path: bytes, now: float, is_written: bool | None = None) -> None:
        """Something happened to it; `is_written` None says nothing of whether a program writes to it."""
        self._last = now
        if self.is_everything:
            return
        if len(self._waiting) >= MOST_PATHS and path not in self._waiting:
            self.note_everything(now)
            return
        waiting = self._waiting.setdefault(path, _Waiting(now, now, self._rest_of(path, now)))
        waiting.heard = now
        if is_written is not None:
            waiting.is_written = is_written

    def note_everything(self, now: float) -> None:
        """Anything may have happened."""
        self._last = now
        if self._everything_since is None:
            self._everything_since = now
        self._waiting.clear()

    def due(self) -> float | None:
        """When to look again, or None where nothing waits."""
        if self._everything_since is not None:
            return min(self._last + REST_SECONDS, self._everything_since + GATHER_SECONDS)
        first = min((one.due for one in self._waiting.values()), default=None)
        # While others come in they are waited for, but not for ever.
        return None if first is None else min(max(first, self._last + REST_SECONDS), first + GATHER_SECONDS)

    def take(self, now: float) -> list[bytes]:
        """Those that rest, which wait no longer; none before they are due."""
        due = self.due()
        if due is None or now < due or self.is_everything:
            return []
        resting = [path for path, one in self._waiting.items() if one.due <= now]
        self._taken = {path: held for path, held in self._taken.items() if now < _until(held)}
        for path in resting:
            self._taken[path] = now, self._waiting.pop(path).rest
        return resting

    def _rest_of(self, path: bytes, now: float) -> float:
        held = self._taken.get(path)
        return REST_SECONDS if held is None or now >= _until(held) else min(2 * held[1], MOST_REST_SECONDS)

    def take_everything(self) -> None:
        """Everything is walked now: what waited is seen by that."""
        self._waiting.clear()
        self._everything_since = None

    def give_back(self, paths: Iterable[bytes], now: float) -> None:
        """They could not be indexed now."""
        for path in paths:
            self.note(path, now)


def _until(held: tuple[float, float]) -> float:
    """Until when another change of a path tells that it changes again and again."""
    taken, rest = held
    return taken + 4 * rest
