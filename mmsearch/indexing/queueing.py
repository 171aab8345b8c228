"""A run that leaves what is to be read and encoded to workers: it walks, queues, waits for them, and does the rest.

The rest is what any run does once its files are stored: what is gone leaves the library, sidecars and archives are
noted, searches get their calibration. A run that is cut off while it waits has queued what it has queued; the next one
queues none of it twice, and does the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder, modalities_of_items
from mmsearch.files.archives import is_gone
from mmsearch.files.crash_points import crash_point
from mmsearch.indexing.changes import Candidate, RootChanges
from mmsearch.indexing.gone import Settled
from mmsearch.indexing.journal import InFlight
from mmsearch.indexing.pipeline import Indexer, IndexOptions
from mmsearch.indexing.report import FailedFile, Incomplete, Thinned
from mmsearch.indexing.walking import WalkProblem
from mmsearch.reading import wants_sniffing
from mmsearch.records import KnownFiles, Progress
from mmsearch.store.models import searched_model
from mmsearch.store.protocol import MOST_PATHS
from mmsearch.store.work import QueuedFile, SharedStore

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# What it is doing while nobody encodes.
WAITING, PAUSED = "waiting for a worker", "paused"
_UNTAKEN = "{} that waited: forgotten meanwhile, or not there for a worker; the next run looks again"
# How often it is looked how far the workers are: less often where looking takes long.
_LEAST_SECONDS, _MOST_SECONDS, _SHARE = 0.2, 30.0, 20


class QueueingIndexer(Indexer):
    """One run over some roots, with one model, whose candidates are encoded by workers. The caller holds the roots."""

    def __init__(
        self,
        store: SharedStore,
        reader: Store,
        model_id: int,
        encoder: Encoder,
        options: IndexOptions,
        in_flight: InFlight,
        is_last: bool = True,
    ) -> None:
        super().__init__(store, reader, model_id, encoder, options, in_flight, is_last)
        self._queue = store
        # How many files of a root no worker has stored, though some reader takes them.
        self._untaken: Counter[int] = Counter()

    def _read_all(self, candidates: Sequence[Candidate], suspects: set[bytes], elsewhere: Sequence[bytes]) -> None:
        """Leaves the candidates to workers, and waits until they are through. What ends one is theirs to find out."""
        held = {one.file.path: self._store.content_at(one.file.path) for one in candidates if one.touched}
        searched = searched_model(self._store)
        is_searched = searched is not None and searched.id == self._model_id
        with self._queue.transaction():
            self._queue.make_spaces(self._model_id, modalities_of_items(self._encoder))
        for later in (False, True):  # what nothing is found of comes first
            some = [queued(one) for one in candidates if (one.unchanged or not is_searched) == later]
            self._queue.queue(self._model_id, some, later)
        self.report.queued += len(candidates)
        crash_point("queued")
        self._wait_for_workers(candidates)
        if not self._options.stop.is_set():
            for first in range(0, len(candidates), MOST_PATHS):
                self._count(candidates[first : first + MOST_PATHS], held)
            self._tell_what_is_partial(candidates)

    def _wait_for_workers(self, candidates: Sequence[Candidate]) -> None:
        root_ids = sorted({one.root_id for one in candidates})
        while not self._options.stop.is_set():
            began = time.monotonic()
            state = self._queue.jobs_left([self._model_id], root_ids)
            took = time.monotonic() - began
            workers = len(state.workers)
            doing = f"encoding by {workers} worker{'s' * (workers != 1)}" if workers else WAITING
            if state.paused and state.paused == state.left:
                doing = PAUSED
            done = max(0, len(candidates) - state.left)
            self._options.on_progress(Progress(doing, done, len(candidates), "files"))
            if not state.left:
                return
            self._options.stop.wait(min(max(_SHARE * took, _LEAST_SECONDS), _MOST_SECONDS))

    def _count(self, candidates: Sequence[Candidate], held: Mapping[bytes, int | None]) -> None:
        """Counts what became of files that the workers are through with."""
        report, keeper = self.report, self._keeper
        known = self._store.files_at([one.file.path for one in candidates], self._model_id, self._readers)
        stored = {path: file.id for path, file in known.files.items() if not file.failed}
        contents = self._store.contents_of(stored.values())
        reasons: Mapping[bytes, str] = {}
        if any(_failed(one, known) for one in candidates):
            reasons = {failure.path: failure.reason for failure in self._store.failures()}
        for one in candidates:
            path = one.file.path
            content_id = contents.get(stored.get(path, 0))
            if not one.known and content_id is not None:
                keeper.new_contents[content_id] += 1
            if content_id is None or content_id != held.get(path):
                keeper.changed.add(one.root_id)
            if _failed(one, known):
                if path in reasons:
                    report.failed += 1
                    report.failures.append(FailedFile(path, reasons[path]))
            elif content_id is None:
                self._count_unread(one)
            elif one.details_only:
                report.details_read += 1
            elif one.unchanged:
                report.encoded += 1
            elif content_id == held.get(path):
                report.unchanged += 1
            else:
                report.updated += one.known
                report.added += not one.known

    def _count_unread(self, candidate: Candidate) -> None:
        """A file of which nothing is in the library: it is gone, of a kind that no reader takes, or was taken out while
        it waited.
        """
        if is_gone(candidate.file.path):
            return
        if not wants_sniffing(candidate.file.path):  # some reader takes it
            self._untaken[candidate.root_id] += 1
            return
        self.report.others += 1
        self.report.unread[""] += 1
        self.report.removed += candidate.known
        self._keeper.sniffed[candidate.root_id] += 1
        if candidate.file.archive is not None:
            self._keeper.sniffed_in[candidate.file.archive] += 1

    def _finish(self, changes: Sequence[RootChanges]) -> None:
        """Nothing is noted of roots that have left the library while their files waited."""
        there = {root.id: root.path for root in self._store.roots()}
        for root_id, path in there.items():
            if files := self._untaken[root_id]:
                self.report.problems.append(WalkProblem(path, _UNTAKEN.format(f"{files:,} file{'s' * (files != 1)}")))
        super()._finish([one for one in changes if one.root.id in there])

    def _count_gone(self, settled: Settled) -> None:
        """What was moved is known by now: workers tell of a file that it is there, and not whence it came."""
        super()._count_gone(settled)
        moved = min(settled.moved.total(), self.report.added)
        self.report.added -= moved
        self.report.moved += moved

    def _tell_what_is_partial(self, candidates: Sequence[Candidate]) -> None:
        ours = {one.file.path for one in candidates}
        for remark in self._store.remarks(self._model_id):
            if remark.path in ours and remark.note is not None:
                self.report.incomplete.append(Incomplete(remark.path, remark.note))
            if remark.path in ours and remark.left_out:
                self.report.thinned.append(Thinned(remark.path, remark.left_out))

    def _may_retire(self) -> bool:
        """Not while files wait that may have been moved: they have contents that no file holds for the moment."""
        state = self._queue.queue_state()
        return state is None or not state.left


def queued(candidate: Candidate) -> QueuedFile:
    """The candidate as it is queued."""
    file = candidate.file
    return QueuedFile(
        candidate.root_id,
        *file,
        candidate.known,
        candidate.unchanged,
        candidate.touched,
        candidate.details_only,
    )


def _failed(candidate: Candidate, known: KnownFiles) -> bool:
    """Whether it is known that the candidate cannot be read, or that the model could not encode it."""
    path = candidate.file.path
    return path in known.failing or (path in known.files and known.files[path].failed)
