"""One run of `index`: which roots, and what is done once their files are encoded with each model."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Busy, Invalid, MmsearchError, Remedy, Unavailable, Unsupported
from mmsearch.files.private import make_private_folder
from mmsearch.indexing.changes import RootWalk
from mmsearch.indexing.journal import InFlight
from mmsearch.indexing.model_choice import ChosenModels, ModelChoice, newer_revision
from mmsearch.indexing.pipeline import Indexer, IndexOptions
from mmsearch.indexing.query_bank import keep_query_bank
from mmsearch.indexing.queueing import QueueingIndexer
from mmsearch.indexing.report import IndexReport
from mmsearch.indexing.roots import check_root, choose_roots, is_of_unread_kind
from mmsearch.indexing.stages import StageRun, begin_stages, resolved_stages
from mmsearch.indexing.targets import targets_by_root
from mmsearch.indexing.walking import WalkProblem, WalkRules, check_rules
from mmsearch.models.opening import Encoders
from mmsearch.reading import ReadLimits
from mmsearch.records import Progress
from mmsearch.store.models import StoredModel, files_to_encode, searched_model, switch_if_caught_up
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store
from mmsearch.store.settings import want_code_bits, want_graph
from mmsearch.store.work import SharedStore

# Brings derived files up to date; the encoder is that of the vectors that are new. Says what had to be made again.
Refresh = Callable[[Store, Encoder], list[str]]

_UNREAD_KIND = "files of this kind are not read"


@dataclass(frozen=True)
class IndexSettings:
    """How a run goes about it.

    `graph` says, once and for all, whether the library has an HNSW graph; None leaves that as it is (there is one up to
    100,000 items of a modality), and `code_bits` how many learned bits the code of an item has, 0 for one bit for each
    number of its vector. `workers` is the number of threads, all processors for None. Once `stop` is set, by another
    thread, the run ends in good order, and the next one goes on from there. `stages` says which second readings the
    library has from now on, each with its model: `{"ocr": ""}` reads text in pictures; None ends one, and what it found
    stays. Once `gives_way`, which is asked after each file of those, says so, the others are left to a later run. Files
    that something has written to within the last `rest` seconds are too, and are reported as `unsettled`; `on_folder`
    is told of each folder that is walked, before its entries are listed. With `queue` what is to be encoded is left to
    workers, and the run waits for them.
    """

    limits: ReadLimits = field(default_factory=ReadLimits)
    workers: int | None = None
    graph: bool | None = None
    code_bits: int | None = None
    stages: Mapping[str, str | None] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event, compare=False)
    rest: float = 0.0
    on_folder: Callable[[bytes], None] = field(default=lambda folder: None, compare=False)
    queue: bool = False
    gives_way: Callable[[], bool] = field(default=lambda: False, compare=False)


@dataclass(frozen=True)
class IndexRequest:
    """What a run is asked to do; see `Library.index`. `paths` are absolute, none for all roots of the library; with
    `only`, absolute paths too, nothing else within the roots is looked at. Without `walks` nothing is: then the run
    does what is left to do for files that are known.
    """

    paths: tuple[bytes, ...] = ()
    only: tuple[bytes, ...] | None = None
    rules: WalkRules | None = None
    model: str | None = None
    rebuild: bool = False
    retry: bool = False
    settings: IndexSettings = field(default_factory=IndexSettings)
    walks: bool = True


class IndexRun:
    """A run of `index` on the library in that place, which is made if it is not there.

    Raises:
        MmsearchError: a path cannot be read, another process writes the library, or its model is not there.
    """

    def __init__(
        self,
        place: Place,
        request: IndexRequest,
        encoders: Encoders,
        refresh: Refresh,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._place, self._folder = place, place.folder
        self._request = request
        self._encoders, self._refresh = encoders, refresh
        self._choice = ModelChoice(encoders, place.location, request.model, request.rebuild)
        self._queue: SharedStore | None = None
        settings = request.settings
        workers = settings.workers or os.cpu_count() or 1
        self._options = IndexOptions(
            settings.limits, workers, encoders.device, on_progress, settings.stop, settings.rest, settings.gives_way
        )

    def run(self, is_new: bool) -> IndexReport:
        """Brings the library up to date. `is_new` says that there is none yet."""
        request = self._request
        for path in request.paths:
            check_root(path)
        unread = [path for path in request.paths if is_of_unread_kind(path)]
        if unread and len(unread) == len(request.paths):
            names = ", ".join(os.fsdecode(path) for path in unread)
            raise Unsupported(f"{names}: {_UNREAD_KIND}; pictures, documents and texts are.")
        paths = tuple(path for path in request.paths if path not in unread)
        if request.rules is not None:
            check_rules(request.rules)
        stages = resolved_stages(request.settings.stages)
        if is_new:
            if not request.paths:
                raise Invalid("Nothing to index", Remedy("index.name"))
            _ = self._encoders.new(request.model).identity  # a wrong model is told before anything is made
        make_folder(self._folder)
        with self._place.lock() as lock, closing(self._place.write(lock.check)) as store:
            models, roots = self._begun(store, paths, stages)
            if not request.settings.queue:
                return self._gone_through(store, models, roots, unread)
        # From here on workers are at it too, and those who walk other roots.
        with closing(self._place.share(self._check_stop)) as store:
            _hold(store, roots)
            self._queue = store
            return self._gone_through(store, models, roots, unread)

    def _begun(
        self, store: Store, paths: Sequence[bytes], stages: Mapping[str, str | None]
    ) -> tuple[ChosenModels, _ChosenRoots]:
        """What the run encodes with, and what it walks, once all that was asked for is noted."""
        request = self._request
        models = self._choice.chosen(store)
        self._note_wanted(store)
        if stages:
            begin_stages(store, stages)
        roots = self._chosen_roots(store, paths)
        if request.retry:
            with store.transaction():
                for one in roots.there:
                    store.remove_failures_of_root(one.root.id)
                store.forget_stage_failures()
        return models, roots

    def _gone_through(
        self, store: Store, models: ChosenModels, roots: _ChosenRoots, unread: Sequence[bytes]
    ) -> IndexReport:
        with closing(self._place.read()) as reader:
            report = self._with_each(store, models, partial(self._encode, store, reader, roots))
        report.problems += [WalkProblem(path, _UNREAD_KIND) for path in unread]
        report.switched = switch_if_caught_up(store) is not None
        if (searched := searched_model(store)) is not None:
            report.searched = searched.identity.label
            report.lacking = len(files_to_encode(store, searched.id))
            if self._request.model is None:
                report.newer = newer_revision(store, searched)
        store.settle_words()
        if not report.stopped:  # it may take long, and whoever stops a run waits for its end
            self._place.tidy(store)
        return report

    def _check_stop(self) -> None:
        """Called while another process has the library for itself."""
        if self._options.stop.is_set():
            raise Busy("The library is being written by another process; what is queued stays queued.")

    def _note_wanted(self, store: Store) -> None:
        """Keeps what the library is to have from now on to find the nearest vectors by."""
        graph, code_bits = self._request.settings.graph, self._request.settings.code_bits
        if store.finds_nearest and (graph is not None or code_bits is not None):
            raise Unsupported(
                f"The library in {self._place.location} needs no files of this machine to be searched",
                Remedy("leave_out", "codes" if graph is None else "graph"),
            )
        if graph is not None:
            want_graph(store, graph)
        if code_bits is not None:
            want_code_bits(store, code_bits)

    def _chosen_roots(self, store: Store, paths: Sequence[bytes]) -> _ChosenRoots:
        """What is to be walked, and the roots that are not there at present."""
        request, on_folder = self._request, self._request.settings.on_folder
        there, missing = choose_roots(store, list(paths), request.rules, request.rebuild)
        if request.only is None:
            return _ChosenRoots([RootWalk(root, rules, None, on_folder) for root, rules in there], missing)
        targets = targets_by_root([*missing, *(root.path for root, _ in there)], request.only)
        chosen = [RootWalk(root, rules, targets[root.path], on_folder) for root, rules in there if root.path in targets]
        return _ChosenRoots(chosen, [path for path in missing if path in targets])

    def _with_each(self, store: Store, models: ChosenModels, encode: Callable[..., IndexReport]) -> IndexReport:
        """Encodes with one model after the other: those of sound last, as files are known by then."""
        more = [one for one in (models.wanted, *models.sound) if one is not None]
        report = encode(models.chosen, models.encoder, is_last=not more)
        for place, model in enumerate(more):
            if report.stopped:
                break
            is_last = place == len(more) - 1
            try:
                done = encode(*self._choice.known(model), is_last=is_last)
            except MmsearchError as error:
                waits = "which searches wait for" if model == models.wanted else "which hears"
                report.hindered = f"nothing was encoded with {model.name}, {waits}: {error.message}"
                report.remedy = error.remedy
                if is_last:
                    with store.transaction():
                        store.retire_orphans()
                continue
            report.stopped = done.stopped
            if model == models.wanted:
                report.catching_up = done
            else:
                report.sound.append(done)
        if report.sound:
            _found_by_sound(store, models.chosen, report)
        return report

    def _encode(
        self,
        store: Store,
        reader: Store,
        roots: _ChosenRoots,
        model: StoredModel,
        encoder: Encoder,
        is_last: bool,
    ) -> IndexReport:
        """Goes through the roots with one model, and with the stages."""
        started = time.monotonic()
        rows = {root.id: root for root in store.roots()}
        in_flight = InFlight(self._folder)
        if self._queue is None:
            indexer = Indexer(store, reader, model.id, encoder, self._options, in_flight, is_last)
        else:
            indexer = QueueingIndexer(self._queue, reader, model.id, encoder, self._options, in_flight, is_last)
        indexer.report.library = self._place.location
        indexer.report.offline += roots.missing
        report = indexer.run([replace(one, root=rows[one.root.id]) for one in roots.there if self._request.walks])
        keep_query_bank(store, model.id, encoder, self._options)
        if not report.stopped and encoder.hearing is None:
            there = [rows[one.root.id] for one in roots.there]
            report.stages += StageRun(store, self._folder, model.id, encoder, self._options).run(there)
            report.stopped = self._options.stop.is_set()
        # Not after Ctrl-C: searches read what is missing there from the store.
        report.rebuilt += self._refresh(store, encoder)
        report.seconds = time.monotonic() - started
        return report


def _hold(store: SharedStore, roots: _ChosenRoots) -> None:
    """Keeps others from walking these roots until the store is closed.

    Raises:
        Busy: another process walks one of them.
    """
    for one in roots.there:
        if not store.hold_root(one.root.id):
            raise Busy(f"{os.fsdecode(one.root.path)} is being walked by another process; wait until it has finished.")


def _found_by_sound(store: Store, chosen: StoredModel, report: IndexReport) -> None:
    """Counts what the chosen model had no use for, and models of sound have heard."""
    heard = store.found_by_sound(chosen.id)
    added = sum(one.added for one in report.sound)
    report.failures = [one for one in report.failures if one.path not in heard]
    # Others among them had failed before this run.
    report.failing = max(0, report.failing - (added - (report.failed - len(report.failures))))
    report.failed = len(report.failures)
    report.added += added


@dataclass(frozen=True)
class _ChosenRoots:
    """The roots of a run that are there, each with what of it is walked, and the paths of those that are not there."""

    there: list[RootWalk]
    missing: list[bytes]


def make_folder(folder: str) -> None:
    """Makes the folder of a library, and those above it.

    Raises:
        Unavailable: the system does not allow it.
    """
    try:
        make_private_folder(folder)
    except OSError as error:
        raise Unavailable(
            f"The library folder {folder} cannot be made ({error.strerror})", Remedy("choose_library")
        ) from error
