"""What a worker does under one number: claiming, encoding in threads, storing in the main one."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from queue import Empty

from mmsearch.errors import MmsearchError
from mmsearch.files.crash_points import crash_point
from mmsearch.indexing.changes import Candidate
from mmsearch.indexing.encoding import FileEncoder, Outcome, failed
from mmsearch.indexing.keeping import Keeper, begun_with
from mmsearch.indexing.report import IndexReport
from mmsearch.indexing.results import Results
from mmsearch.indexing.root_presence import RootPresence, roots_gone
from mmsearch.indexing.walking import FoundFile
from mmsearch.indexing.work import GivenUp, WorkTools
from mmsearch.models.revisions import name_of
from mmsearch.reading import readers_label
from mmsearch.records import Progress
from mmsearch.store.models import StoredModel, check_same_model, stored_models
from mmsearch.store.protocol import Store
from mmsearch.store.work import Job, SharedStore

# So many files are claimed at a time, and stored together if that takes no longer than so many seconds.
_CLAIMED, _STORED, _STORE_SECONDS = 16, 16, 1.0
# How often results are looked for, and a queue that was empty: less and less often.
_POLL_SECONDS, _LEAST_IDLE_SECONDS, _MOST_IDLE_SECONDS = 0.2, 0.2, 2.0
# How long it holds which models there are, and which roots are there.
_LOOK_SECONDS = 5.0
# A file that ended so many workers while they had no other is tried by a process apart; where that comes through it
# and workers do not, so many are enough.
_SUSPICIOUS, _FATAL = 3, 9
# Of the files that could not be read so many are told, the last ones: a worker may run for months.
_MOST_FAILURES = 100


class Shift:
    """Works as the worker of that number, until there is nothing to do or it is stopped.

    `lost` is set, by another thread, once the worker is given up. `work` raises GivenUp then.
    """

    def __init__(self, tools: WorkTools, store: SharedStore, reader: Store, number: int, lost: threading.Event) -> None:
        self._tools, self._settings, self._report = tools, tools.settings, tools.report
        self._store, self._reader, self._number, self._lost = store, reader, number, lost
        self._threads = self._settings.workers or os.cpu_count() or 1
        self._halt = threading.Event()
        self._results = Results(4 * self._threads)
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="encode")
        self._encoders: dict[int, FileEncoder] = {}
        self._keepers: dict[int, Keeper] = {}
        self._counted = IndexReport()
        # Claimed and not begun; in work; by the candidate that was made of it, until it is stored.
        self._claimed: deque[Job] = deque()
        self._running: dict[Future[None], list[Candidate]] = {}
        self._jobs: dict[int, tuple[Job, Candidate]] = {}
        self._is_alone = False
        # What is to be stored next, and since when; and jobs that are done, of which there is nothing to be stored.
        self._outcomes: list[Outcome] = []
        self._since = 0.0
        self._through: set[int] = set()
        self._looked, self._idle = float("-inf"), _LEAST_IDLE_SECONDS
        self._models: dict[int, StoredModel] = {}
        self._roots: dict[int, bytes] = {}
        self._hindered: dict[int, MmsearchError] = {}
        self._presence = RootPresence()

    def work(self) -> None:
        """Takes and does jobs.

        Raises:
            GivenUp: the others have given the worker up. MmsearchError: what it needs has failed.
        """
        try:
            while self._goes_on():
                if self._lost.is_set():
                    raise GivenUp
        finally:
            self._halt.set()
            self._results.throw_away(set(self._running))
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _goes_on(self) -> bool:
        """Does a piece of the work. Returns whether there is more to come."""
        stop = self._settings.stop
        if stop.is_set():
            return self._drain()
        self._begin_more()
        if self._running or self._outcomes or self._through:
            self._take_in()
            return True
        if self._settings.exit_when_empty and self._is_empty():
            return False
        self._encoders.clear()  # what there is to be known of the library may be another thing by then
        self._tools.on_progress(Progress("waiting for files", self._report.stored, None, "files"))
        stop.wait(self._idle)
        self._idle = min(2 * self._idle, _MOST_IDLE_SECONDS)
        return True

    def _drain(self) -> bool:
        """Finishes what is in work, after a while without what takes long. The caller gives back the rest."""
        self._store.give_back(self._number, [job.id for job in self._claimed])
        self._claimed.clear()
        until = time.monotonic() + self._settings.grace
        while self._running or self._outcomes or self._through:
            if self._lost.is_set():
                raise GivenUp
            if time.monotonic() > until:
                self._halt.set()
            self._take_in()
        return False

    # Claiming

    def _begin_more(self) -> None:
        """Has the threads begin what they have room for."""
        while len(self._running) < 2 * self._threads and not (self._is_alone and self._running):
            if not self._claimed and not self._claim():
                return
            self._begin(self._claimed)

    def _claim(self) -> bool:
        """Takes jobs; what was tried before only while nothing else is in work."""
        self._look()
        model_ids = [one for one in (*self._encoders, *self._models) if one not in self._hindered]
        of_which = list(dict.fromkeys(one for one in model_ids if one in self._models)), list(self._roots)
        jobs = self._store.claim(self._number, *of_which, _CLAIMED)
        self._is_alone = False
        if not jobs and not self._running and not self._outcomes:
            jobs = self._store.claim(self._number, *of_which, 1, tried=True)
            self._is_alone = bool(jobs)
        self._claimed.extend(jobs)
        if jobs:
            self._idle = _LEAST_IDLE_SECONDS
            crash_point("jobs claimed")
        return bool(jobs)

    def _look(self) -> None:
        """Which models the library has, and which of its roots are there, every few seconds."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self._models = {one.id: one for one in stored_models(self._store)}
        roots = {root.id: root.path for root in self._store.roots()}
        self._roots = {number: path for number, path in roots.items() if self._presence.is_there(path)}
        away = {number: path for number, path in roots.items() if number not in self._roots}
        for number, path in away.items():
            # An empty folder that nothing waits of is none that anybody misses.
            if path not in self._report.elsewhere and self._store.jobs_left(list(self._models), [number]).waiting:
                self._report.elsewhere.append(path)
                self._tools.on_notice(
                    f"{os.fsdecode(path)} is missing or empty on this machine; its files are left to others until it "
                    "is there, or a mount says where it lies here."
                )
        self._report.elsewhere = [path for path in self._report.elsewhere if path in away.values()]

    def _is_empty(self) -> bool:
        """Whether nothing is left to be done here: what is paused is left to those who come when it goes on."""
        models = [one for one in self._models if one not in self._hindered]
        state = self._store.jobs_left(models, list(self._roots))
        if state.left > state.paused:
            return False
        if state.paused:
            self._tools.on_notice(f"{state.paused:,} that wait are paused, and are left.")
        return True

    def _begin(self, claimed: deque[Job]) -> None:
        """Has a thread begin the first of the jobs, as many as are encoded together."""
        model = self._models[claimed[0].model_id]
        try:
            encoder = self._encoder_of(model)
        except MmsearchError as error:
            self._hinder(model, error)
            return
        if claimed[0].deaths >= _SUSPICIOUS and (ended := self._judged(claimed[0], encoder)):
            self._add([ended])
            claimed.popleft()
            return
        at_once = 1 if encoder.encoder.hearing else encoder.encoder.pictures_at_once
        batch = [self._candidate(claimed.popleft()) for _ in range(min(at_once, len(claimed)))]
        future = self._executor.submit(encoder.encode, batch, self._results.hand_on)
        self._running[future] = batch
        future.add_done_callback(self._results.end)

    def _candidate(self, job: Job) -> Candidate:
        root_id, path, size, mtime_ns, ctime_ns, archive, *what = job.file
        candidate = Candidate(root_id, FoundFile(path, size, mtime_ns, ctime_ns, archive), *what)
        self._jobs[id(candidate)] = job, candidate
        return candidate

    def _encoder_of(self, model: StoredModel) -> FileEncoder:
        """What encodes files with that model, and what stores them from then on.

        Raises:
            MmsearchError: it is not on this machine.
        """
        if model.id not in self._encoders:
            encoder = self._tools.encoders.of(model.identity)
            check_same_model(self._tools.place.location, model.identity, encoder.identity)
            limits = self._settings.limits
            self._encoders[model.id] = FileEncoder(self._reader, model.id, encoder, limits, self._halt)
            self._keepers[model.id] = Keeper(self._store, model.id, limits, self._counted)
        return self._encoders[model.id]

    def _hinder(self, model: StoredModel, error: MmsearchError) -> None:
        """Leaves the files of a model that is not to be had here to others.

        Raises:
            MmsearchError: there is no other model.
        """
        self._hindered[model.id] = error
        self._store.give_back(self._number, [job.id for job in self._claimed])
        self._claimed.clear()
        if self._hindered.keys() >= self._models.keys():
            raise error
        sentence = f"nothing is encoded here with {model.name}: {error}"
        if sentence not in self._report.hindered:
            self._report.hindered.append(sentence)
            self._tools.on_notice(sentence)

    def _judged(self, job: Job, encoder: FileEncoder) -> Outcome | None:
        """What is noted of a file at which workers were lost again and again; None where it is innocent so far."""
        from mmsearch.indexing.suspects import Fatal, Suspect, fatal_files
        from mmsearch.indexing.trial import TrialSettings

        candidate = self._candidate(job)
        limits, device = self._settings.limits, self._tools.encoders.device
        self._tools.on_progress(Progress("trying what may have ended workers", 0, None, "files"))
        begun = begun_with(self._store, candidate, job.model_id, readers_label())
        settings = TrialSettings(name_of(encoder.encoder.identity), device, limits)
        found = fatal_files([Suspect(job.file.path, begun)], settings, self._settings.stop)
        why = found.get(job.file.path)
        if why is None and job.deaths >= _FATAL:
            why = Fatal(f"ended the program that read it {job.deaths} times", of_model=False)
        return None if why is None else replace(failed(candidate, why.reason), not_encoded=why.of_model)

    # Storing

    def _take_in(self) -> None:
        """Takes what the threads hand on, for a moment, and stores what is due."""
        try:
            result = self._results.get(_POLL_SECONDS if self._running else 0)
        except Empty:
            result = ()
        if isinstance(result, Future):
            self._end(result)
        elif result:
            self._add(result)
        is_due = len(self._outcomes) + len(self._through) >= _STORED or not self._running
        if self._outcomes or self._through:
            is_due = is_due or time.monotonic() - self._since >= _STORE_SECONDS
        if is_due:
            self._store_all()

    def _add(self, outcomes: Sequence[Outcome]) -> None:
        if not self._outcomes and not self._through:
            self._since = time.monotonic()
        self._outcomes += outcomes

    def _end(self, future: Future[None]) -> None:
        """Takes a batch as done; one that was halted is not, but for what was handed on of it."""
        batch = self._running.pop(future)
        future.result()
        handed_on = {id(one.candidate) for one in self._outcomes if one.is_whole}
        if self._halt.is_set():
            return
        # Of others there is nothing to be encoded: they have no sound for a model of it.
        for candidate in batch:
            if id(candidate) in self._jobs and id(candidate) not in handed_on:
                self._through.add(id(candidate))

    def _overtaken(self) -> set[int]:
        """The jobs of files whose content the library had when they were read, and has no more: since then its last
        file has left.
        """
        known = {one.content_id for one in self._outcomes if one.content_id is not None}
        gone = known - self._store.contents_among(known) if known else known
        return {self._jobs[id(one.candidate)][0].id for one in self._outcomes if one.content_id in gone}

    def _store_all(self) -> None:
        """Stores what came of some jobs, and that they are done, in one transaction.

        Raises:
            GivenUp: some of them are not the worker's own any more, as the others have given it up. Nothing was stored
                of these, nor of those that left the library meanwhile.
        """
        outcomes, through = self._outcomes, self._through
        if not outcomes and not through:
            return
        keys = {id(one.candidate) for one in outcomes if one.is_whole} | through
        ids = {self._jobs[key][0].id for key in (*keys, *(id(one.candidate) for one in outcomes))}
        failures = self._counted.failed
        gone = roots_gone(outcomes, self._roots)  # asked before: who is asked may not answer for long
        with self._store.transaction():
            own = self._store.own(self._number, ids)
            overtaken = self._overtaken()
            own -= overtaken
            for one in outcomes:
                job, _ = self._jobs[id(one.candidate)]
                if job.id not in own:
                    continue
                if one.out_of_reach and job.file.root_id in gone:
                    raise GivenUp  # the drive has gone: nothing is known of its files
                self._keepers[job.model_id].keep(one)
            self._store.finish({self._jobs[key][0].id for key in keys} & own)
            crash_point("jobs written")
        crash_point("jobs stored")
        self._store.give_back(self._number, overtaken)  # these files are looked at anew
        self._outcomes, self._through = [], set()
        self._report.stored += sum(self._jobs.pop(key)[0].id in own for key in keys)
        self._report.failed += self._counted.failed - failures
        self._report.failures = (self._report.failures + self._counted.failures)[-_MOST_FAILURES:]
        for told in (self._counted.failures, self._counted.thinned, self._counted.incomplete):
            told.clear()
        self._tools.on_progress(Progress("encoding", self._report.stored, None, "files"))
        if ids - own and not self._store.renew(self._number, self._settings.lease):
            raise GivenUp
