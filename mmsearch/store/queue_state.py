"""How it stands with the queue of a library, where it has one: see `work.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class WorkerState:
    """A worker that is alive: its machine and process, since when (an ISO date), and how many files it has stored."""

    name: str
    since: str
    done: int


@dataclass(frozen=True)
class QueueState:
    """How many jobs wait, and how many of these were tried before; how many workers that are alive are at; and these.

    A job is one file for one model.
    """

    waiting: int
    tried: int
    working: int
    workers: tuple[WorkerState, ...] = field(default=())

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
