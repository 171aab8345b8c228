"""The pipeline: walk, read, encode, store.

A walk compares each file's size and times with the library. What differs is read whole and hashed
by a few worker threads, each of which reads and encodes its own batch; a content that is known under another
name is not encoded again. The main thread stores what comes of it, each piece in one transaction, and what took no
encoding together with others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import Empty
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.files.crash_points import crash_point
from mmsearch.files.member_paths import ARCHIVE_EXTENSIONS
from mmsearch.files.paths import with_parents
from mmsearch.files.remote_paths import is_remote
from mmsearch.indexing.archives import keep_archives
from mmsearch.indexing.changes import Candidate, RootChanges, RootWalk
from mmsearch.indexing.encoding import FileEncoder, Outcome, failed
from mmsearch.indexing.gone import Settled, settle_gone
from mmsearch.indexing.journal import InFlight
from mmsearch.indexing.keeping import Keeper, begun_with
from mmsearch.indexing.reconciling import Known, compare_root, written_lately
from mmsearch.indexing.report import Absence, FailedFile, IndexReport, Unreached
from mmsearch.indexing.rereading import (
    files_lacking_details,
    files_to_read,
    is_news_that_all_are_read,
    note_readers,
)
from mmsearch.indexing.results import Count, Gathering, Results
from mmsearch.indexing.root_presence import roots_gone
from mmsearch.indexing.sidecars import keep_sidecars
from mmsearch.models.revisions import name_of
from mmsearch.reading import ReadLimits, may_sound, readers_label
from mmsearch.records import Progress
from mmsearch.store.models import files_to_encode, note_caught_up

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName
    from mmsearch.store.protocol import Store

# How long a stop waits for the pictures in work.
DRAIN_SECONDS = 1.2
# Of a root's kinds of files that no reader takes, so many are counted by name.
_MOST_KINDS = 100


@dataclass(frozen=True)
class IndexOptions:
    """How a run reads and encodes: limits of files, `workers` threads, the device of models
    that torch runs, whom it tells, and who may stop it.

    Once `stop` is set the run ends in good order, as after Ctrl-C: what was encoded is kept, and the next run goes on
    from there. Files that have changed within the last `rest` seconds are left to a later run. Once `gives_way` says
    so, second readings of files are left to a later run too, but for one file.
    """

    limits: ReadLimits = field(default_factory=ReadLimits)
    workers: int = 1
    device: DeviceName = "auto"
    on_progress: Callable[[Progress], None] = lambda progress: None
    stop: threading.Event = field(default_factory=threading.Event)
    rest: float = 0.0
    gives_way: Callable[[], bool] = lambda: False


class Indexer:
    """One run over some roots, with one model. The caller holds the writer's lock.

    A run that is not the last one of a command keeps contents that files have let go of: another one may find them.
    """

    def __init__(
        self,
        store: Store,
        reader: Store,
        model_id: int,
        encoder: Encoder,
        options: IndexOptions,
        in_flight: InFlight,
        is_last: bool = True,
    ) -> None:
        self._store = store
        self._model_id = model_id
        self._encoder = encoder
        self._options = options
        self._in_flight = in_flight
        self._is_last = is_last
        # That of the caller, and that of a run that is being ended for whatever reason.
        self._halt = threading.Event()
        self._files = FileEncoder(reader, model_id, encoder, options.limits, self._halt)
        self._readers = readers_label()
        self._gathering = Gathering()
        # The roots of the run by their ids, and how many files could not be had of those that have gone away meanwhile.
        self._roots: dict[int, bytes] = {}
        self._unreached: Counter[int] = Counter()
        self._found = 0
        self.report = IndexReport(model=encoder.identity.label)
        self._keeper = Keeper(store, model_id, options.limits, self.report)

    def run(self, roots: Sequence[RootWalk]) -> IndexReport:
        """Brings the library up to date with the files under `roots`.

        What is committed stays when this is interrupted; the next run goes on from there.
        """
        self.report.resumed = self._store.setting("interrupted") is not None
        to_read = files_to_read(self._store, self._model_id, self._options.limits)
        heard = self._store.found_by_sound(self._model_id)
        known = Known(self._model_id, self._readers, to_read, files_lacking_details(self._store), heard)
        # Innermost first: a root within another takes over its files before the outer one looks for them.
        self._roots = {asked.root.id: asked.root.path for asked in roots}
        inwards = sorted(roots, key=lambda asked: len(asked.root.path), reverse=True)
        changes = [self._walk_root(asked, known) for asked in inwards]
        candidates = [candidate for one in changes for candidate in one.candidates]
        if self._options.rest:
            unsettled = written_lately(candidates, self._options.rest)
            self.report.unsettled += sorted(unsettled)
            candidates = [candidate for candidate in candidates if candidate.file.path not in unsettled]
        if self._encoder.hearing is not None:
            candidates = [candidate for candidate in candidates if may_sound(candidate.file.path)]
        if candidates:
            with self._store.transaction():
                self._store.set_setting("interrupted", "1")
            crash_point("run begun")
        if candidates or self._in_flight.is_left:
            suspects = self._in_flight.suspects()
            here = {asked.root.path for asked in roots}
            others = {root.path for root in self._store.roots()} - here
            elsewhere = [
                path
                for path in suspects
                if here.isdisjoint(with_parents(path)) and not others.isdisjoint(with_parents(path))
            ]
            # The next model of this command may have been at the others, or a later run looks at them.
            if not self._is_last or any(asked.targets is not None for asked in roots):
                ours = {candidate.file.path for candidate in candidates}
                elsewhere += [path for path in suspects if path not in ours and path not in elsewhere]
            self._read_all(candidates, suspects, elsewhere)
            self._tell_who_went_away(changes)
        self.report.stopped = self._options.stop.is_set()
        if not self.report.stopped:
            self._finish(changes)
        return self.report

    def _walk_root(self, asked: RootWalk, known: Known) -> RootChanges:
        changes = compare_root(self._store, asked, known, self._count_files)
        self.report.offline += changes.offline
        self.report.problems += changes.problems
        self.report.unchanged += changes.unchanged
        self.report.failing += changes.failing
        self.report.others += changes.others
        self.report.unread += changes.unread
        archives = ARCHIVE_EXTENSIONS & changes.unread.keys()
        if is_remote(asked.root.path):
            self.report.remote_archives |= archives
        elif not changes.rules.archives:
            self.report.closed_archives |= archives
        if changes.archives is not None:
            troubled = changes.archives.new_troubles()
            self.report.failed += len(troubled)
            self.report.failures += [FailedFile(one.path, reason) for one, reason in troubled]
        return changes

    def _count_files(self, more: int) -> None:
        self._found += more
        self._options.on_progress(Progress("looking for files", self._found, None, "files"))

    def _read_all(self, candidates: Sequence[Candidate], suspects: set[bytes], elsewhere: Sequence[bytes]) -> None:
        """Reads, encodes and stores the candidates: what the run before was killed over first, one file at a time."""
        candidates = self._without_fatal_files(candidates, suspects)
        is_stopped = self._options.stop.is_set()
        self._in_flight.start([*elsewhere, *suspects] if is_stopped else elsewhere)
        try:
            # Together they may be larger than memory.
            self._take([one for one in candidates if one.file.path in suspects], workers=1, at_once=1)
            others = [one for one in candidates if one.file.path not in suspects]
            # A file of sound has many parts, and large ones: no other is to be held with it.
            self._take(others, self._options.workers, 1 if self._encoder.hearing else self._encoder.pictures_at_once)
        finally:
            self._in_flight.finish()

    def _without_fatal_files(self, candidates: Sequence[Candidate], suspects: set[bytes]) -> list[Candidate]:
        """Notes the files among the candidates that ended the run before."""
        suspected = [candidate for candidate in candidates if candidate.file.path in suspects]
        if not suspected:
            return list(candidates)
        from mmsearch.indexing.suspects import Suspect, fatal_files
        from mmsearch.indexing.trial import TrialSettings

        settings = TrialSettings(name_of(self._encoder.identity), self._options.device, self._options.limits)
        store, model_id, readers = self._store, self._model_id, self._readers
        tried = [Suspect(one.file.path, begun_with(store, one, model_id, readers)) for one in suspected]
        self._options.on_progress(Progress("trying what may have ended the last run", 0, None, "files"))
        fatal = fatal_files(tried, settings, self._options.stop)
        if fatal:
            ended = [(one, fatal[one.file.path]) for one in suspected if one.file.path in fatal]
            self._commit([replace(failed(one, why.reason), not_encoded=why.of_model) for one, why in ended])
            crash_point("suspect noted")
        return [candidate for candidate in candidates if candidate.file.path not in fatal]

    # Reading and encoding, in worker threads

    def _take(self, candidates: Sequence[Candidate], workers: int, at_once: int) -> None:
        if not candidates:
            return
        batches = _batches(candidates, at_once)
        count = Count(self._options.on_progress, len(candidates))
        results = Results(4 * workers)
        executor = ThreadPoolExecutor(workers, thread_name_prefix="encode")
        running: set[Future[None]] = set()
        try:
            while True:
                while len(running) < 2 * workers and (batch := self._next(batches)) is not None:
                    future = executor.submit(self._encode_batch, batch, results.hand_on)
                    running.add(future)
                    future.add_done_callback(results.end)
                if not running:
                    break
                try:
                    result = results.get(self._gathering.seconds_left)
                except Empty:
                    result = ()
                if isinstance(result, Future):
                    running.discard(result)
                    result.result()
                else:
                    self._gathering.add(result)
                if self._gathering.is_due or not running:
                    outcomes = self._gathering.taken()
                    self._commit(outcomes)
                    count.add(outcomes)
        except KeyboardInterrupt:
            self._drain(running, results)
            executor.shutdown(wait=False)
            raise
        except BaseException:
            self._halt.set()
            results.throw_away(running)
            executor.shutdown(wait=True, cancel_futures=True)
            raise
        executor.shutdown()

    def _next(self, batches: Iterator[Sequence[Candidate]]) -> Sequence[Candidate] | None:
        """The next batch, or None where there is none or the caller has asked to stop."""
        if self._options.stop.is_set():
            self._halt.set()
            return None
        return next(batches, None)

    def _drain(self, running: set[Future[None]], results: Results) -> None:
        """Stores what the workers have encoded so far. A picture that takes too long is left to the next run."""
        self._halt.set()
        for future in running:
            future.cancel()
        until = time.monotonic() + DRAIN_SECONDS
        left = {future for future in running if not future.cancelled()}
        while left or not results.is_empty():
            try:
                result = results.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            if isinstance(result, Future):
                left.discard(result)
            else:
                self._gathering.add(result)
        self._commit(self._gathering.taken())

    def _encode_batch(self, batch: Sequence[Candidate], emit: Callable[[Sequence[Outcome]], None]) -> None:
        number = self._in_flight.begin([candidate.file.path for candidate in batch])
        try:
            self._files.encode(batch, emit)
        finally:
            self._in_flight.end(number)

    # Storing, in the main thread

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Stores what came of some files in one transaction."""
        outcomes = self._within_reach(outcomes)
        if not outcomes:
            return
        with self._store.transaction():
            for outcome in outcomes:
                self._keeper.keep(outcome)
            crash_point("batch written")
        crash_point("batch committed")

    def _within_reach(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Those of which something is known: not of files that could not be had as their root has gone away."""
        gone = roots_gone(outcomes, self._roots, self._unreached)
        known: list[Outcome] = []
        for one in outcomes:
            if one.out_of_reach and one.candidate.root_id in gone:
                self._unreached[one.candidate.root_id] += 1
            else:
                known.append(one)
        return known

    def _tell_who_went_away(self, changes: Sequence[RootChanges]) -> None:
        for one in changes:
            files = self._unreached[one.root.id]
            if files:
                self.report.unreached.append(Unreached(one.root.path, files))
            if files and one.root.path not in one.offline:
                one.offline.append(one.root.path)
                self.report.offline.append(one.root.path)

    def _finish(self, changes: Sequence[RootChanges]) -> None:
        for one in changes:
            settled = settle_gone(self._store, one, self._keeper.new_contents)
            self.report.offline += settled.offline
            self._count_gone(settled)
            self._keeper.new_contents.subtract(settled.moved)  # its other places are where no other one went
            if settled.removed:
                self._keeper.changed.add(one.root.id)
            if settled.kept:
                self.report.absent.append(Absence(one.root.path, settled.kept))
            self._keep_unread(one)
            told = keep_sidecars(self._store, one, self._options.stop)
            self.report.details_read += told
            if told:
                self._keeper.changed.add(one.root.id)
            if one.archives is not None and self._encoder.hearing is None and not self._options.stop.is_set():
                keep_archives(self._store, one.archives, self._keeper.sniffed_in, one.out_of_reach)
        if self._is_settled():
            return
        with self._store.transaction():
            if self._is_last and self._store.has_orphans() and self._may_retire():
                self._store.retire_orphans()
            self._store.remove_setting("interrupted")
            if not files_to_encode(self._store, self._model_id):
                note_caught_up(self._store, self._model_id)
            note_readers(self._store)
            self._store.mark_changed(self._keeper.changed)
        crash_point("run finished")

    def _count_gone(self, settled: Settled) -> None:
        """Counts what left the library; what was moved was so where it was found."""
        self.report.removed += settled.removed - settled.moved.total()

    def _may_retire(self) -> bool:
        """Whether no one else is about to find contents again that files have let go of."""
        return True

    def _keep_unread(self, changes: RootChanges) -> None:
        """Keeps what kinds of files the root has that no reader takes, where that has changed."""
        if changes.root.path in changes.offline or changes.targets is not None:
            return
        unread = changes.unread + Counter({"": self._keeper.sniffed[changes.root.id]})
        counts = dict(unread.most_common(_MOST_KINDS))
        if counts != self._store.unread(changes.root.id):
            with self._store.transaction():
                self._store.put_unread(changes.root.id, counts)

    def _is_settled(self) -> bool:
        """Whether nothing is left to be noted at the end of the run: then it writes nothing."""
        return (
            not self._keeper.changed
            and not self._store.has_orphans()
            and self._store.setting("interrupted") is None
            and not is_news_that_all_are_read(self._store)
            and not self._store.may_lack_files(self._model_id)
        )


def _batches(candidates: Sequence[Candidate], at_once: int) -> Iterator[Sequence[Candidate]]:
    for first in range(0, len(candidates), at_once):
        yield candidates[first : first + at_once]
