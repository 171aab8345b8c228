"""How it stands with the queue of a library, where it has one: see `work.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class WorkerState:
    """A worker that is alive: its machine and process, since when (an ISO date), and how many files it has stored."""

    name: str
    since: str
    done: int


class StoredPause(NamedTuple):
    """A pause: no jobs of that root and that model are claimed, None standing for all. `since` is an ISO date, `by` a
    person or process.
    """

    root_id: int | None
    model_id: int | None
    since: str
    by: str


class StoredRun(NamedTuple):
    """A process that walks that root, or has the library for itself where that is None: its machine and number."""

    root_id: int | None
    name: str


@dataclass(frozen=True)
class RunState:
    """A run that is at work: its machine and process, and the root that it walks; None where it has the library for
    itself, and workers wait.
    """

    name: str
    root: bytes | None


@dataclass(frozen=True)
class Pause:
    """What no worker claims: the files of a root, those that a model is to encode, or of a root those that a model is
    to; all where neither is named. Since when (an ISO date), and by whom: a person and a machine.
    """

    root: bytes | None
    model: str | None
    since: str
    by: str


@dataclass(frozen=True)
class QueueState:
    """How many jobs wait, how many of these were tried before, and how many are paused; how many workers that are alive
    are at; and these workers. A job is one file for one model.

    `pauses` say what is paused, and `runs` who walks, where it was asked for; None where the server does not know that,
    which is a standby.
    """

    waiting: int
    tried: int
    working: int
    workers: tuple[WorkerState, ...] = field(default=())
    paused: int = 0
    pauses: tuple[Pause, ...] = field(default=())
    runs: tuple[RunState, ...] | None = None

    @property
    def left(self) -> int:
        return self.waiting + self.working


class Queued(Protocol):
    """What every store tells of its queue."""

    def queue_state(self) -> QueueState | None:
        """How it stands with what waits for workers; None where the library has none."""

    def remove_jobs_below(self, folder: bytes) -> int:
        """Takes the jobs of the file `folder`, or of all files below the folder, out of the queue, within the caller's
        transaction. Returns how many there were.
        """

    def runs(self) -> list[StoredRun] | None:
        """Who has the library for itself at present, and who walks which root; None where that is not known."""

    def pauses(self) -> list[StoredPause]:
        """What of the queue is paused, the oldest pauses first; none where the library has no queue."""
