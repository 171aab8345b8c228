"""Library: the one door to an index of photos and text files, for the command line and for scripts.

from mmsearch import Library
library = Library()
library.index(["~/Pictures"])
print(library.search("dog on beach").hits[0].path)
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mmsearch.encoding.adapted import NO_ADAPTER
from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import MmsearchError
from mmsearch.files.locking import WriterLock
from mmsearch.files.paths import is_below
from mmsearch.library.access import GRAPH_SETTING
from mmsearch.library.models import LibraryModel, LibraryModels
from mmsearch.models.opening import canonical_model_name
from mmsearch.nearest import derived
from mmsearch.nearest.gallery import GRAPH_FROM_ROWS, Scan
from mmsearch.nearest.spaces import model_in_use
from mmsearch.records import Counts, Failure, Progress
from mmsearch.searching.query import Query
from mmsearch.searching.results import SearchResult
from mmsearch.searching.session import Session
from mmsearch.store.adapters import find_adapter, remove_adapter
from mmsearch.store.adapters import use_adapter as put_in_use
from mmsearch.store.models import StoredModel, files_lacking, searched_model, switch_if_caught_up, wanted_model
from mmsearch.store.sqlite.refusals import errors_told
from mmsearch.store.sqlite.store import Catalogue

# A search starts fast: what only other commands need is imported by their methods.
if TYPE_CHECKING:
    from mmsearch.adapters.recipe import AdapterRecipe, AdapterReport, Epoch
    from mmsearch.adapters.training import AdapterStatus
    from mmsearch.care.doctor import Diagnosis
    from mmsearch.evaluation.comparison import Comparison
    from mmsearch.evaluation.datasets import Dataset
    from mmsearch.evaluation.report import Evaluation
    from mmsearch.indexing.pruning import Losses
    from mmsearch.indexing.report import IndexReport
    from mmsearch.indexing.roots import RootStatus
    from mmsearch.indexing.walking import WalkRules
    from mmsearch.reading import ReadLimits
    from mmsearch.store.sqlite.upkeep import Backup, Compacted


@dataclass(frozen=True)
class Status:
    """What a library holds. `bytes` is what its folder takes on disk; `interrupted` tells of an unfinished run.

    `model`, `dimension` and the items counted are those of the model that searches use, `models` are all.
    """

    library: str
    model: str
    dimension: int
    counts: Counts
    models: tuple[LibraryModel, ...]
    roots: tuple[RootStatus, ...]
    failures: tuple[Failure, ...]
    bytes: int
    interrupted: bool


@dataclass(frozen=True)
class Forgotten:
    """How many files were taken out, and the remaining roots that will bring them in again unless told not to."""

    files: int
    roots: tuple[bytes, ...]


class Library(LibraryModels):
    """A library in a folder of its own. It is made by the first `index`; nothing else writes to it.

    `device` is where models that torch runs compute: `auto` (a graphics card where there is one), `cpu`, `cuda`, `mps`.
    All methods raise MmsearchError, in one sentence, for what a person can put right: no library there, a damaged
    one, one of another model, no room on the disk.
    """

    def __enter__(self) -> Library:
        return self

    # Index

    def index(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        rules: WalkRules | None = None,
        model: str | None = None,
        rebuild: bool = False,
        retry: bool = False,
        graph: bool | None = None,
        limits: ReadLimits | None = None,
        workers: int | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        stop: threading.Event | None = None,
    ) -> IndexReport:
        """Brings the library up to date with `paths`, or with all its roots if there are none.

        `rules` are remembered with the paths; without them those of the last time hold. `model` encodes beside the
        one that searches use, which stays as it is until `use_model`; without it files are encoded with the one that
        searches use and then, where another is waited for, with that. `rebuild` encodes all files again; `retry`
        reads what failed before. `graph` says, once and for all, whether the library has an HNSW graph; without it
        there is one up to 100,000 items of a modality. `workers` is the number of threads, all processors by default.
        Once `stop` is set the run ends in good order, and the next one goes on from there.
        """
        from mmsearch.indexing.journal import InFlight
        from mmsearch.indexing.pipeline import Indexer, IndexOptions
        from mmsearch.indexing.roots import absolute, check_root, choose_roots
        from mmsearch.indexing.walking import check_rules
        from mmsearch.reading import ReadLimits
        from mmsearch.store.sqlite.upkeep import compact_if_wasteful

        asked = [absolute(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
        for path in asked:
            check_root(path)
        if rules is not None:
            check_rules(rules)
        if not self.exists():
            if not asked:
                raise MmsearchError("Nothing to index; name a folder: `mmsearch index ~/Pictures`.")
            _ = self._new_encoder(model).identity  # a wrong model is told before anything is made
        _make_folder(self.folder)
        with errors_told(self.folder), WriterLock(self.folder) as lock:
            catalogue = Catalogue.write(self.folder, lock.check)
            reader = Catalogue.read(self.folder)
            try:
                chosen, encoder = self._model_to_index(catalogue, model, rebuild)
                if graph is not None:
                    with catalogue.transaction():
                        catalogue.set_setting(GRAPH_SETTING, str(int(graph)))
                wanted = wanted_model(catalogue) if model is None else None
                others = wanted is not None and wanted.id != chosen.id
                roots, missing = choose_roots(catalogue, asked, rules, rebuild)
                if retry:
                    with catalogue.transaction():
                        for root, _ in roots:
                            catalogue.remove_failures_of_root(root.id)

                options = IndexOptions(
                    limits or ReadLimits(),
                    workers or os.cpu_count() or 1,
                    on_progress,
                    stop or threading.Event(),
                )

                def run(chosen: StoredModel, encoder: Encoder, is_last: bool) -> IndexReport:
                    rows = {root.id: root for root in catalogue.roots()}
                    indexer = Indexer(
                        catalogue,
                        reader,
                        chosen.id,
                        encoder,
                        options,
                        InFlight(self.folder),
                        is_last,
                    )
                    indexer.report.offline += missing
                    report = indexer.run([(rows[root.id], rules) for root, rules in roots])
                    # Not after Ctrl-C: searches read what is missing there from the catalogue.
                    report.rebuilt += self._refresh_derived(catalogue, encoder)
                    return report

                report = run(chosen, encoder, is_last=not others)
                if wanted is not None and others and not report.stopped:
                    try:
                        report.catching_up = run(*self._known_model(wanted), is_last=True)
                    except MmsearchError as error:
                        report.hindered = f"nothing was encoded with {wanted.name}, which searches wait for: {error}"
                        with catalogue.transaction():
                            catalogue.retire_orphans()
                report.switched = switch_if_caught_up(catalogue) is not None
                searched = searched_model(catalogue)
                if searched is not None:
                    report.searched = searched.identity.label
                    report.lacking = len(files_lacking(catalogue, searched.id))
                compact_if_wasteful(catalogue, self.folder)
                return report
            finally:
                reader.close()
                catalogue.close()

    def forget(self, path: str | os.PathLike[str]) -> Forgotten:
        """Takes a folder or file, and what was found in it, out of the library. The files are not touched."""
        from mmsearch.indexing.roots import absolute

        folder = absolute(path)
        with errors_told(self.folder):
            self._catalogue()
            with self._writing() as catalogue:
                return self._forget(catalogue, folder)

    def _forget(self, catalogue: Catalogue, folder: bytes) -> Forgotten:
        files = catalogue.files_below(folder)
        failures = catalogue.failures_below(folder)
        roots = [root for root in catalogue.roots() if is_below(root.path, folder)]
        if not files and not failures and not roots:
            raise MmsearchError(
                f"Nothing in the library lies at {os.fsdecode(folder)}; `mmsearch status` lists what it holds."
            )
        with catalogue.transaction():
            catalogue.remove_files(files)
            catalogue.remove_failures(failures)
            for root in roots:
                catalogue.remove_root(root.id)
            catalogue.remove_orphans()
        self._refresh_derived(catalogue)
        around = (root.path for root in catalogue.roots() if is_below(folder, root.path))
        return Forgotten(len(files), tuple(around) if os.path.lexists(folder) else ())

    # Care

    def losses(self, paths: Iterable[str | os.PathLike[str]] = ()) -> Losses:
        """The files of the library, or those below `paths`, that are not on the disk any more."""
        from mmsearch.indexing.pruning import find_losses
        from mmsearch.indexing.roots import absolute

        with errors_told(self.folder):
            return find_losses(self._catalogue(), [absolute(path) for path in paths])

    def prune(self, losses: Losses) -> int:
        """Takes those files out of the library that are still gone. Returns how many."""
        from mmsearch.indexing.pruning import drop_losses

        with errors_told(self.folder), self._writing() as catalogue:
            dropped = drop_losses(catalogue, losses)
            self._refresh_derived(catalogue)
            return dropped

    def backup(self, target: str | os.PathLike[str]) -> Backup:
        """Copies the library's database to the file `target`, also while it is being written. An older backup there
        is replaced once the new one is whole.
        """
        from mmsearch.store.sqlite.upkeep import write_backup

        with errors_told(self.folder):
            return write_backup(self._catalogue(), os.fspath(target))

    def compact(self) -> Compacted:
        """Gives the room of what was removed back to the disk, and makes the derived files anew."""
        from mmsearch.store.sqlite.upkeep import Compacted, compact_database

        with errors_told(self.folder):
            self._catalogue()
            before = self._bytes()
            with self._writing() as catalogue:
                with catalogue.transaction():
                    catalogue.remove_orphans()
                compact_database(catalogue, self.folder)
                derived.remove_all(self.folder)
                self._refresh_derived(catalogue)
            return Compacted(before, self._bytes())

    def examine(self) -> Diagnosis:
        """What is wrong with the library; nothing is changed."""
        from mmsearch.care import doctor

        with errors_told(self.folder):
            self._upgrade()
            return doctor.examine(self.folder)

    def _upgrade(self) -> None:
        """Brings an older library up to date, if it is sound enough for that."""
        with suppress(sqlite3.DatabaseError):
            self._catalogue()
        self.close()

    def repair(self) -> Diagnosis:
        """Puts right what is wrong with the library, saving all that can be read. Returns what was wrong.

        What could not be saved is taken in again by the next `index`.
        """
        from mmsearch.care import doctor

        with errors_told(self.folder):
            self._upgrade()
            diagnosis = doctor.examine(self.folder)
            if diagnosis.is_sound:
                return diagnosis
            with WriterLock(self.folder) as lock:
                diagnosis = doctor.examine(self.folder)  # again, now that nobody writes
                salvaged, kept = diagnosis.salvageable, None
                if salvaged is not None:
                    salvaged, kept = doctor.save_what_can_be_read(self.folder)
                with closing(Catalogue.write(self.folder, lock.check)) as catalogue:
                    doctor.repair(self.folder, catalogue)
                    self._refresh_derived(catalogue)
            return replace(diagnosis, salvageable=salvaged, repaired=True, kept=kept)

    # Search

    def session(
        self,
        *,
        models: Iterable[str] = (),
        adapter: str | None = None,
        scan: Scan = "auto",
        graph_from_rows: int = GRAPH_FROM_ROWS,
    ) -> Session:
        """The library opened for reading: for many searches, by any number of threads, each at its newest state.

        `models` are some of the library's, instead of the one in use: each file is found at its best place over all of
        them. `adapter` is the one to search through, or "none", instead of the one in use. `scan` is "exact" (all
        vectors), "codes" (the vectors whose codes seem nearest), "graph" (the HNSW graph where there is one), or
        "auto": the graph from `graph_from_rows` rows of a model and modality on, codes below. It is closed by
        `close()`, or by `with`.
        """
        return self._session(tuple(models), adapter, scan, graph_from_rows)

    def search(
        self, query: Query | str, *, scan: Scan = "codes", adapter: str | None = None, model: str | None = None
    ) -> SearchResult:
        """The files that answer a query, best first. A text is a query of one term (`2:dog` has weight 2)."""
        return next(self.search_many([query], scan=scan, adapter=adapter, model=model))

    def search_many(
        self,
        queries: Iterable[Query | str],
        *,
        scan: Scan = "auto",
        graph_from_rows: int = GRAPH_FROM_ROWS,
        adapter: str | None = None,
        model: str | None = None,
        on_trouble: Callable[[str], None] = lambda trouble: None,
    ) -> Iterator[SearchResult]:
        """Answers many queries one after another, each at the library's newest state; see `session`.

        `model` is one of the library's models. `on_trouble` is told, once each, what could not be used.
        """
        session = self._session((model,) if model is not None else (), adapter, scan, graph_from_rows, is_own=True)
        told: set[str] = set()
        for query in queries:
            result = session.search(query)
            for trouble in result.troubles:
                if trouble not in told:
                    told.add(trouble)
                    on_trouble(trouble)
            yield result

    # Evaluation

    def evaluate(
        self,
        dataset: Dataset,
        *,
        models: Sequence[str] = (),
        adapters: Sequence[str] = (),
        ks: Sequence[int] = (1, 5, 10),
        comparisons: Sequence[Comparison] = (),
        workers: int | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Evaluation]:
        """Retrieval quality on a dataset (`evaluation.datasets.read_dataset`), per model and adapter.

        Without `models` that of the library, or the built-in one where there is no library yet. `adapters` of the
        library, or "none", are measured with the model that they were made for; without any, the one in use.
        """
        from mmsearch.evaluation.models import evaluate_models

        with errors_told(self.folder):
            return evaluate_models(
                self._catalogue() if self.exists() else None,
                dataset,
                self._encoder,
                [canonical_model_name(name) for name in models],
                adapters,
                ks,
                comparisons,
                workers,
                on_progress,
            )

    # Adapters

    def train(
        self,
        dataset: Dataset,
        *,
        name: str = "adapter",
        recipe: AdapterRecipe | None = None,
        force: bool = False,
        workers: int | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> AdapterReport:
        """Trains an adapter for the library's model on captioned or labelled photos, and puts it in use.

        Stored vectors are moved by it; no file is encoded again. An adapter with which held-out photos are found no
        better is refused (AdapterRefused) unless `force` is given. `use_adapter("none")` goes back.
        """
        from mmsearch.adapters.training import keep_adapter, refuse_what_is_no_better, train_adapter
        from mmsearch.encoding.adapted import check_adapter_name

        check_adapter_name(name)
        with errors_told(self.folder):
            in_use = self._model_in_use(NO_ADAPTER)
            encoder = self._encoder_of(in_use)
            catalogue = self._catalogue()
            trained = train_adapter(catalogue, in_use, encoder, dataset, name, recipe, workers, on_progress, on_epoch)
            if not force:
                refuse_what_is_no_better(trained.report)
            with self._writing() as written:
                report = keep_adapter(written, trained)
                self._refresh_derived(written, encoder)
                return report

    def adapters(self) -> list[AdapterStatus]:
        """The library's adapters, by name and version."""
        from mmsearch.adapters.training import adapter_statuses

        with errors_told(self.folder):
            return adapter_statuses(self._catalogue())

    def use_adapter(self, name: str) -> str:
        """Searches go through that adapter from now on; `none` for none. Returns the label of model and adapter."""
        with errors_told(self.folder):
            wanted = self._model_in_use(name)
            encoder = self._encoder_of(self._model_in_use(NO_ADAPTER))
            with self._writing() as catalogue:
                stored = find_adapter(catalogue, name)
                with catalogue.transaction():
                    put_in_use(catalogue, wanted.model.fingerprint, stored.id if stored else None)
                self._refresh_derived(catalogue, encoder)
            return wanted.identity.label

    def remove_adapter(self, name: str) -> str:
        """Takes an adapter out of the library for good. Returns its name and version."""
        with errors_told(self.folder):
            stored = find_adapter(self._catalogue(), name)
            if stored is None:
                raise MmsearchError("none is no adapter that could be removed; `mmsearch adapters` lists them.")
            with self._writing() as catalogue:
                with catalogue.transaction():
                    remove_adapter(catalogue, stored)
                self._refresh_derived(catalogue)
            return stored.label

    # Status

    def status(self) -> Status:
        """What the library holds: files, roots, failures, model, size."""
        from mmsearch.indexing.roots import root_status

        with errors_told(self.folder):
            catalogue = self._catalogue()
            in_use = model_in_use(catalogue)
            identity = in_use.identity if in_use else None
            return Status(
                library=self.folder,
                model=identity.label if identity else "none yet",
                dimension=identity.dimension if identity else 0,
                counts=catalogue.counts(in_use.model_id if in_use else 0),
                models=tuple(self.models()),
                roots=tuple(root_status(catalogue, root) for root in catalogue.roots()),
                failures=tuple(catalogue.failures()),
                bytes=self._bytes(),
                interrupted=catalogue.setting("interrupted") is not None,
            )


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise MmsearchError(
            f"The library folder {folder} cannot be made ({error.strerror}); choose another with --library."
        ) from error
