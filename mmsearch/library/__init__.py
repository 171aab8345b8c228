"""Library: the one door to an index of photos and text files, for the command line and for scripts.

from mmsearch import Library
library = Library()
library.index(["~/Pictures"])
print(library.search("dog on beach").hits[0].path)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from mmsearch.library.access import Access
from mmsearch.library.working import Working
from mmsearch.nearest.scan import GRAPH_FROM_ROWS, Scan
from mmsearch.searching import DEFAULT_LIMIT
from mmsearch.searching.options import SessionOptions

# Each command starts fast: what it needs is imported by its methods.
if TYPE_CHECKING:
    from mmsearch.evaluation.comparison import Comparison
    from mmsearch.evaluation.datasets import Dataset
    from mmsearch.evaluation.report import Evaluations
    from mmsearch.indexing.walking import WalkRules
    from mmsearch.indexing.watching.events import WatchEvent, WatchSettings
    from mmsearch.indexing.watching.watcher import Watcher
    from mmsearch.library.adapters import Adapters
    from mmsearch.library.care import Care
    from mmsearch.library.contents import Forgotten, Status
    from mmsearch.library.fusions import Fusions
    from mmsearch.library.labels import WrittenSidecars
    from mmsearch.library.models import Models
    from mmsearch.records import Filters, Progress
    from mmsearch.searching.clustering import Clusters
    from mmsearch.searching.duplicate_groups import DuplicateClass, Duplicates
    from mmsearch.searching.explanations import Explanation
    from mmsearch.searching.facets import Facets
    from mmsearch.searching.labelling import Labelled
    from mmsearch.searching.query import Group, Query, Sort
    from mmsearch.searching.results import FileList, SearchResult
    from mmsearch.searching.session import Session
    from mmsearch.searching.stored_files import PassagePlace, Passages, StoredFile


class Library(Working):
    """A library in a folder of its own, or at a URL. It is made by the first `index`; nothing else writes to it.

    `device` is where models that torch runs compute: `auto` (a graphics card where there is one), `cpu`, `cuda`, `mps`.
    All methods, those of the doors `models`, `adapters`, `fusions`, `mounts` and `care` too, raise an MmsearchError, in
    one sentence, for what a person can put right: no library there, a damaged one, one of another model, no room on the
    disk.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, device: str = "auto") -> None:
        self._access = Access(folder, device)

    @cached_property
    def models(self) -> Models:
        """The models on this disk, the known ones, and those that the library has vectors of."""
        from mmsearch.library.models import Models

        return Models(self._access)

    @cached_property
    def adapters(self) -> Adapters:
        """The library's adapters: trained for it, kept in it."""
        from mmsearch.library.adapters import Adapters

        return Adapters(self._access)

    @cached_property
    def care(self) -> Care:
        """What keeps a library sound and small: doctor, repair, prune, compact, backup, copy."""
        from mmsearch.library.care import Care

        return Care(self._access)

    @cached_property
    def fusions(self) -> Fusions:
        """What each channel's scores are worth in this library: learned, kept in it."""
        from mmsearch.library.fusions import Fusions

        return Fusions(self._access)

    @property
    def folder(self) -> str:
        """Where the library lies, as an absolute path; of one at a URL, where this machine keeps what is derived."""
        return self._access.folder

    @property
    def location(self) -> str:
        """Where the library lies: the folder, or the URL without a password."""
        return self._access.location

    @property
    def given(self) -> str:
        """The folder, or the whole URL, to open the library by once more. A password may be in it: it is not shown."""
        return self._access.place.given

    def opened_again(self) -> Library:
        """The same library once more, for what another thread does with it."""
        return Library(self.given, self._access.encoders.device)

    def exists(self) -> bool:
        """Whether something was indexed there."""
        return self._access.exists()

    def close(self) -> None:
        """Lets go of the files; the library may be used again afterwards."""
        self._access.close()

    def let_go(self) -> None:
        """Gives the memory of models, codes and vectors back: they are loaded again when they are needed."""
        self._access.let_go()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def watcher(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        *,
        rules: WalkRules | None = None,
        settings: WatchSettings | None = None,
        on_event: Callable[[WatchEvent], None] = lambda event: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Watcher:
        """What indexes changes in `paths`, or in all roots if there are none, within seconds; it is not started yet.

        It begins with an `index` of them, by those `rules`. Its `run` watches in the calling thread; `start` and
        `stop`, or a `with` block, do so beside it. `on_event` is called from the thread that watches, and so is
        `on_progress`, by the first run.
        """
        from mmsearch.indexing.roots import all_absolute
        from mmsearch.indexing.watching.events import WatchSettings
        from mmsearch.indexing.watching.watcher import Watcher
        from mmsearch.library.watching import BeginWith, WatchedRoots

        own = self.opened_again()  # it is used from another thread, and lets go of models
        roots = WatchedRoots(own, own._access, all_absolute(paths), BeginWith(rules, on_progress))
        return Watcher(roots, settings or WatchSettings(), on_event)

    def session(
        self,
        *,
        models: Iterable[str] = (),
        adapter: str | None = None,
        scan: Scan = "auto",
        graph_from_rows: int = GRAPH_FROM_ROWS,
    ) -> Session:
        """The library opened for reading: for many searches, by any number of threads, each at its newest state.

        `models` are some of the library's, instead of the one in use and those of sound: each file is found at its best
        place over all of them. `adapter` is the one to search through, or "none", instead of the one in use. `scan` is
        "exact" (all vectors), "codes" (the vectors whose codes seem nearest), "graph" (the HNSW graph where there is
        one), or "auto": the graph from `graph_from_rows` rows of a model and modality on, codes below. It is closed by
        `close()`, or by `with`.
        """
        return self._access.new_session(SessionOptions(tuple(models), adapter, scan, graph_from_rows))

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
        models = (model,) if model is not None else ()
        session = self._access.session(SessionOptions(models, adapter, scan, graph_from_rows))
        reported: set[str] = set()
        for query in queries:
            result = session.search(query)
            for trouble in result.troubles:
                if trouble not in reported:
                    reported.add(trouble)
                    on_trouble(trouble)
            yield result

    def explained(
        self, result: SearchResult, *, scan: Scan = "codes", adapter: str | None = None, model: str | None = None
    ) -> SearchResult:
        """The result of a search with the `explanation` of each hit: channels, words, and heat maps of pictures.

        `adapter` and `model` are those that it was searched with.
        """
        models = (model,) if model is not None else ()
        return self._access.session(SessionOptions(models, adapter, scan)).explained(result)

    def explain(self, file: str | os.PathLike[str], query: Query | str) -> Explanation:
        """Why a file, called by its path, its id or its rank in the result kept last, answers a query."""
        return self._access.session(SessionOptions(scan="codes")).explain(file, query)

    def keep_result(self, result: SearchResult | FileList) -> None:
        """Keeps in the library's folder which contents the hits are, so that `id_called` knows them by their ranks."""
        from mmsearch.searching.last_result import keep_result

        keep_result(self.folder, result)

    def id_called(self, called: str | os.PathLike[str]) -> str:
        """The id of a hit, for `Query.like`, by its rank in the result kept last ("3"), its path, or its id."""
        from mmsearch.searching.last_result import id_called

        with self._access.guarded():
            return id_called(self.folder, self._access.reading(), os.fspath(called))

    def list_files(
        self,
        filters: Filters | None = None,
        *,
        sort: Sort = "date",
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        copies: bool = False,
        group: Group | None = None,
        random: int | None = None,
    ) -> FileList:
        """The files that pass the filters, the newest first or by path; of one content one, or with `copies` each.

        `group` and `random` are those of a `Query`.
        """
        return self._unadapted().list_files(
            filters, sort=sort, limit=limit, offset=offset, copies=copies, group=group, random=random
        )

    def facets(self, filters: Filters | None = None) -> Facets:
        """What the files that pass the filters have in common, counted: months, folders, extensions, types, …"""
        return self._unadapted().facets(filters)

    def file(self, file_id: str) -> StoredFile:
        """What the library knows of the file with the id of a hit; of copies that are there now, of the first."""
        return self._unadapted().file(file_id)

    def passages(self, file_id: str, place: PassagePlace | None = None, most_characters: int = 8_000) -> Passages:
        """Texts that were found in the file with the id of a hit, from a place on; see `Session.passages`."""
        return self._unadapted().passages(file_id, place, most_characters)

    def thumbnail(self, file_id: str, side: int = 320, *, page: int | None = None, time: float | None = None) -> bytes:
        """A JPEG of the file with the id of a hit, its longer side of at most `side` pixels, 16 to 4,096.

        It is upright, has nothing in it but pixels, and is made only of bytes that are those that were indexed.
        `page` of a document, counted from 1, and `time` in seconds in a video say what is shown. Those of up to
        320 pixels are kept in the cache folder.
        """
        from mmsearch.showing.thumbnails import shown_at, thumbnail

        place = shown_at(page, time)
        return thumbnail(self._unadapted().sources(file_id), self._access.thumbnails, place, side)

    def _unadapted(self) -> Session:
        return self._access.session(SessionOptions(adapter="none"))  # nothing is compared

    def duplicates(
        self,
        filters: Filters | None = None,
        *,
        classes: Sequence[DuplicateClass] = (),
        limit: int | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Duplicates:
        """Files among those that pass the filters that are there more than once, in groups with one to keep.

        `classes` are "bytes" (one content in several files), "picture" (the same picture in another size, format, crop
        or light), "text" (nearly the same text, in another format or with small edits) and "shots" (photos that look
        alike and were taken within a minute); without any, all. Nothing is deleted.
        """
        from mmsearch.searching.duplicates import DuplicatesRequest, duplicates_in

        request = DuplicatesRequest.of(filters, classes, limit)
        access = self._access
        with access.guarded():
            store, in_use = access.reading(), access.model_in_use()
            with store.one_state():
                return duplicates_in(access.place, store, in_use, request, on_progress)

    def label(
        self, labels: Sequence[str], filters: Filters | None = None, *, top: int = 1, min_score: float | None = None
    ) -> Labelled:
        """The best `top` of some labels for each photo that passes the filters, of those that score `min_score` or,
        without it, as much as a search for the label asks for.
        """
        from mmsearch.searching.labelling import LabelRequest, label_photos

        request = LabelRequest.of(labels, filters, top, min_score)
        access = self._access
        with access.guarded():
            store, in_use = access.reading(), access.model_in_use()
            encoder = access.encoder_of(in_use)
            with store.one_state():
                return label_photos(access.location, store, in_use, encoder, request)

    def write_sidecars(self, labelled: Labelled) -> WrittenSidecars:
        """Writes labels as keywords into `FILE.xmp` beside each photo that has no sidecar; others are left alone."""
        from mmsearch.library.labels import write_sidecars

        return write_sidecars(labelled)

    def clusters(
        self,
        filters: Filters | None = None,
        *,
        count: int = 10,
        central: int = 5,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Clusters:
        """At most `count` groups of the photos that pass the filters, by what they show; the `central` photos first."""
        from mmsearch.records import Filters
        from mmsearch.searching.clustering import ClustersRequest, clusters_in

        access, request = self._access, ClustersRequest(filters or Filters(), count, central)
        with access.guarded():
            store, in_use = access.reading(), access.model_in_use()
            with store.one_state():
                return clusters_in(access.place, store, in_use, request, lambda: access.encoder_of(in_use), on_progress)

    def evaluate(
        self,
        dataset: Dataset,
        *,
        models: Sequence[str] = (),
        adapters: Sequence[str] = (),
        ks: Sequence[int] = (1, 5, 10),
        comparisons: Sequence[Comparison] = (),
        workers: int | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Evaluations:
        """Retrieval quality on a dataset (`read_dataset`), per model and adapter.

        Without `models` that of the library, or the built-in one where there is no library yet. `adapters` of the
        library, or "none", are measured with the model that they were made for; without any, the one in use.
        """
        from mmsearch.evaluation.models import EvaluationRequest, evaluate_models

        access = self._access
        request = EvaluationRequest(dataset, tuple(models), tuple(adapters), tuple(ks), tuple(comparisons), workers)
        with access.guarded():
            store = access.reading() if access.exists() else None
            return evaluate_models(store, access.encoders, request, on_progress)

    def status(self) -> Status:
        """What the library holds: files, roots, failures, model, size."""
        from mmsearch.library.contents import status

        with self._access.guarded():
            return status(self._access, self.models.list())

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a folder or file lies within what was indexed, or around it.

        Where there is nothing at `path` now, whether files of the library lay there.
        """
        from mmsearch.indexing.roots import absolute
        from mmsearch.library.contents import holds

        with self._access.guarded():
            return holds(self._access, absolute(path))

    def forget(self, path: str | os.PathLike[str]) -> Forgotten:
        """Takes a folder or file, and what was found in it, out of the library. The files are not touched."""
        from mmsearch.indexing.roots import absolute
        from mmsearch.library.contents import forget

        with self._access.guarded():
            return forget(self._access, absolute(path))
