"""Work that many processes share: files that were found and wait to be encoded, and the workers that take them.

A walker queues files, each once for a model. A worker enlists for a while, its *lease*, and renews it; it claims jobs,
and stores what came of them in the transaction that takes them out of the queue. Where a lease has run out, by the
clock of the store, whoever looks next gives the jobs back, marked as tried before. What a worker stores that comes back
from the dead is held against the number that it enlisted under: of jobs that are not its own any more nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from mmsearch.records import Modality
from mmsearch.store.protocol import Store
from mmsearch.store.queue_state import QueueState


class QueuedFile(NamedTuple):
    """A file that a walk has found: where it lies, its size and times, and how it stands to the library (the last four,
    as in a `Candidate` of indexing).
    """

    root_id: int
    path: bytes
    size: int
    mtime_ns: int
    ctime_ns: int | None
    archive: bytes | None
    known: bool
    unchanged: bool
    touched: bool
    details_only: bool


class Job(NamedTuple):
    """A file to be encoded by a model. One that was `tried` before is encoded alone; `deaths` counts the workers that
    were lost while they were at it alone.
    """

    id: int
    model_id: int
    tried: bool
    deaths: int
    file: QueuedFile


class WorkQueue(Protocol):
    """The queue of a library. Each of these is a transaction of its own, unless it says otherwise, and none of them
    brings the library into another state.
    """

    def hold_root(self, root_id: int) -> bool:
        """Whether this connection alone walks that root, from now on until it is closed."""

    def make_spaces(self, model_id: int, modalities: Collection[Modality]) -> None:
        """Makes room for items of those modalities that workers are to store, within the caller's transaction: they
        need not have the right to.
        """

    def queue(self, model_id: int, files: Sequence[QueuedFile], later: bool) -> None:
        """Queues the files for a model; those that wait already are not queued twice, and are as they are found now.

        `later` is behind all that is not. What a worker has stored since it was found, in the same state, is left out.
        """

    def enlist(self, name: str, lease: float) -> int:
        """Adds a worker that is alive for so many seconds. Returns its number, which no other one ever has."""

    def renew(self, worker: int, lease: float) -> bool:
        """Lets the worker live for so many seconds from now; False where it is given up."""

    def leave(self, worker: int) -> None:
        """Ends a worker in good order: what it has claimed is given back as it was."""

    def reap(self) -> None:
        """Gives back, as tried before, what workers have claimed whose lease has run out."""

    def claim(
        self, worker: int, model_ids: Sequence[int], root_ids: Sequence[int], most: int, tried: bool = False
    ) -> list[Job]:
        """Takes jobs of one of those models and one of those roots, the most urgent ones: first of the first model.

        They are fresh ones, or only those that were `tried` before, and none that are paused. There are none where
        none wait, or where the worker is given up.
        """

    def give_back(self, worker: int, job_ids: Collection[int]) -> None:
        """Lets others take these jobs of the worker, as if it had never had them."""

    def own(self, worker: int, job_ids: Collection[int]) -> set[int]:
        """Those of the jobs that are the worker's, and stay so until the caller's transaction ends."""

    def finish(self, job_ids: Collection[int]) -> None:
        """Takes jobs out of the queue, and counts them for their workers and models, at the end of the caller's
        transaction.
        """

    def pause(self, root_id: int | None, model_id: int | None, by: str) -> None:
        """Lets nobody claim jobs of that root and that model, None for all, until it is resumed. One that is there
        already stays as it is.
        """

    def resume(self, root_id: int | None, model_id: int | None) -> int:
        """Ends the pauses of that root and that model, None for any, and says how many there were."""

    def jobs_left(self, model_ids: Sequence[int], root_ids: Sequence[int]) -> QueueState:
        """How it stands with the jobs of those models and roots; workers are those of the whole queue."""


class SharedStore(Store, WorkQueue, Protocol):
    """A store that is opened to write beside others that are opened so, each transaction after the other."""
