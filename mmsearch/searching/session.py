"""A session: a library opened for reading, shared by threads, always at the newest state."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from mmsearch.encoding.protocol import Encoder
from mmsearch.errors import Invalid
from mmsearch.nearest.derived import NotUsable
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.records import Filters, Listing
from mmsearch.searching import DEFAULT_LIMIT
from mmsearch.searching.channels import LibraryState, StateKey, channels_at, models_at
from mmsearch.searching.connections import Connections
from mmsearch.searching.facets import Facets, counted
from mmsearch.searching.fusion import fusion_in_use
from mmsearch.searching.languages import as_read
from mmsearch.searching.literal import as_typed
from mmsearch.searching.merging import Told
from mmsearch.searching.options import SessionOptions
from mmsearch.searching.presence import Presence
from mmsearch.searching.query import Group, Query, Sort, Term, check_page, text_terms
from mmsearch.searching.query_vectors import Encoded, QueryVectors, vectors_by_model
from mmsearch.searching.results import FileList, LibraryMark, ListedFile, SearchResult
from mmsearch.searching.searcher import Answer, Searcher
from mmsearch.searching.weighted_terms import QueryVector
from mmsearch.store.place import Place
from mmsearch.store.protocol import Store

if TYPE_CHECKING:
    from mmsearch.searching.explanations import Explanation
    from mmsearch.searching.listing import ListPages
    from mmsearch.searching.query_parts import PartsNear
    from mmsearch.searching.stored_files import FileSources, PassagePlace, Passages, StoredFile

# A derived file that was replaced a moment ago belongs to a state that is about to come.
TRIES = 3
WAIT_SECONDS = 0.01

Found = TypeVar("Found")
# What is made, at one state, of a query and its vectors by model; and how often that was tried before.
Find: TypeAlias = "Callable[[Store, LibraryState, Query, dict[int, QueryVector], int], Found]"


class _NotThisState(Exception):
    """The answer is to be had at a later state."""


class Session:
    """Answers queries of any number of threads, each at the library's newest state when it is asked.

    Models, codes, vectors and graphs are loaded when first needed and kept; what a later state has in common with the
    one before is taken over. Each search reads the library as it was at one moment, whatever is written meanwhile.
    """

    def __init__(
        self,
        place: Place,
        open_store: Callable[[], Store],
        open_encoder: Callable[[ModelInUse], Encoder],
        options: SessionOptions | None = None,
    ) -> None:
        self._place, self._folder = place, place.folder
        self._options = options or SessionOptions()
        self._connections = Connections(place, open_store)
        self._vectors = QueryVectors(place.folder, open_encoder)
        self._presence = Presence()
        self._lists: ListPages | None = None
        self._lock = threading.Lock()
        self._latest: LibraryState | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the library. Searches that are under way come to their end; later ones raise Unavailable."""
        self._connections.close()
        self._latest = None

    def let_go(self) -> None:
        """Gives the memory of models, codes, vectors and graphs back: they are loaded again when they are needed."""
        self._latest = None
        self._vectors.let_go()

    def search(self, query: Query | str) -> SearchResult:
        """The files that answer a query, best first. A text is a query of one term (`2:dog` has weight 2).

        Raises:
            MmsearchError: a query image cannot be read; the library is empty, damaged or gone; the session is closed.
        """
        started = time.perf_counter()
        asked = Query(tuple(text_terms(query))) if isinstance(query, str) else query
        with self._place.guarded():
            state, read, answer = self._answered(asked, self._search_now)
        return SearchResult(
            query=read,
            model=state.label,
            library=self._place.location,
            elapsed_ms=(time.perf_counter() - started) * 1000,
            total=answer.total,
            total_exact=answer.total_exact,
            offset=asked.offset,
            thresholds=answer.thresholds,
            hits=answer.hits,
            nearest=answer.nearest,
            suggestions=answer.suggestions,
            period=answer.period,
            state=state.key.number,
            troubles=state.troubles(),
        )

    def told(self, query: Query) -> list[tuple[tuple[str, ...], Told]]:
        """What each channel says of the files that answer a query, best first, with their paths and those of copies.

        The query is to be sorted by score.

        Raises:
            MmsearchError: as for `search`.
        """
        with self._place.guarded():
            _, _, answer = self._answered(query, self._search_now)
        return [((hit.path, *hit.copies), told) for hit, told in zip(answer.hits, answer.told, strict=True)]

    def parts(self, query: Query) -> list[tuple[str, PartsNear]]:
        """How near the nearest pictures lie to the words of a query and to its picture, of which it has one each.

        Raises:
            MmsearchError: as for `search`.
        """
        from mmsearch.searching.query_parts import parts_near

        with self._place.guarded():
            _, _, found = self._answered(
                query,
                lambda store, state, read, vectors, tries: parts_near(store, state, self._presence, read, vectors),
            )
        return found

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
        """The files that pass the filters, the newest first or by path; of the same content one, or with `copies` each.

        `group` puts those together that have the same; with `random`, a seed, the page is one of them all, drawn.

        Raises:
            MmsearchError: the library is empty, damaged or gone; the session is closed; numbers are out of range.
        """
        started = time.perf_counter()
        check_page(limit, offset, sort, group, random)
        if sort not in ("date", "name"):
            raise Invalid("Without a query no file has a score; sort by date or name.")
        wanted, listing = filters or Filters(), Listing(sort == "date", offset, limit, copies, random)

        from mmsearch.searching.grouping import in_groups
        from mmsearch.searching.listing import ListPages, listed_files

        lists = self._lists = self._lists or ListPages()

        def listed(store: Store, state: LibraryState) -> tuple[tuple[ListedFile, ...], int, int]:
            model_ids = [in_use.model_id for in_use in state.models]
            rows, total = lists.page(store, self._presence, state.key, model_ids, wanted, listing)
            return listed_files(store, self._presence, wanted, listing, rows), total, state.key.number

        files, total, number = self._found(listed)
        elapsed_ms = (time.perf_counter() - started) * 1000
        hits = in_groups(files, group)
        return FileList(wanted, sort, self._place.location, elapsed_ms, total, offset, hits, random, number)

    def facets(self, filters: Filters | None = None) -> Facets:
        """What the files that pass the filters have in common, counted. Raises as `list_files` does."""
        wanted = filters or Filters()

        def found(store: Store, state: LibraryState) -> Facets:
            return counted(store.briefs([in_use.model_id for in_use in state.models], wanted))

        return self._found(found)

    def facets_of(self, query: Query) -> Facets:
        """What the hits of a query have in common, counted, without a hit being made. None are drawn.

        Raises:
            MmsearchError: as for `search`.
        """
        with self._place.guarded():
            _, _, briefs = self._answered(
                query,
                lambda store, state, read, vectors, tries: self._searcher(store, state, tries).briefs(read, vectors),
            )
        return counted(briefs)

    def mark(self) -> LibraryMark:
        """The state that the library is at now. Raises as `list_files` does."""
        return self._found(lambda store, state: LibraryMark(state.key.library_id, state.key.number, state.label))

    def file(self, file_id: str) -> StoredFile:
        """What the library knows of the file with the id of a hit; of copies that are there now, of the first.

        Raises:
            MmsearchError: no file has that id; the library is empty, damaged or gone; the session is closed.
        """
        return self.sources(file_id).file

    def sources(self, file_id: str) -> FileSources:
        """The file with the id of a hit, and where it can be read now. Raises as `file` does."""
        from mmsearch.searching.stored_files import sources_of

        return self._found(lambda store, state: sources_of(store, self._presence, file_id))

    def passages(self, file_id: str, place: PassagePlace | None = None, most_characters: int = 8_000) -> Passages:
        """Texts that were found in a file, from a place on, without what one has in common with the one before it.

        They are of no more characters together, unless the first has more. Raises as `file` does, and where the file
        has no such place.
        """
        from mmsearch.searching.stored_files import PassagePlace, passages_of

        where = place or PassagePlace()
        return self._found(lambda store, state: passages_of(store, state.models, file_id, where, most_characters))

    def _found(self, found: Callable[[Store, LibraryState], Found]) -> Found:
        """What is found at the library's newest state."""
        answer, tries = None, 0
        with self._place.guarded():
            while answer is None:
                answer, tries = self._now(tries, found), tries + 1
        return answer

    def explain(self, file: str | os.PathLike[str], query: Query | str) -> Explanation:
        """Why a file of the library, called by its path, its id or its rank in the result kept last, answers a query.

        The query's filters, and the score that it asks for, do not matter.

        Raises:
            NotFound: the library has no such file. Invalid: it lacks a phrase that has to occur. Others as `search`.
        """
        from mmsearch.searching.last_result import path_called

        asked = Query(tuple(text_terms(query))) if isinstance(query, str) else query
        path = self._found(lambda store, state: path_called(self._folder, store, os.fspath(file)))
        only, like, unlike = Filters(folders=(path,)), asked.like, asked.unlike
        # What is no name in this file may be one in another: it is read as in a search of all of them.
        terms = self._found(lambda store, state: as_typed(asked, store, state.models)).terms
        found = self.search(Query(terms, only, 1, 0.0, like=like, unlike=unlike, language=asked.language))
        if not found.hits:
            why = "is itself what is liked or not" if like or unlike else "lacks what stands in quotation marks"
            raise Invalid(f"{os.fsdecode(path)} is no answer to that: it {why}.")
        explanation = self.explained(found).hits[0].explanation
        assert explanation is not None
        return explanation

    def explained(self, result: SearchResult) -> SearchResult:
        """The result of a search with the `explanation` of each hit. Their pictures are read, each by itself.

        Raises:
            MmsearchError: as `search` does.
        """
        from mmsearch.searching.explaining import explained, grounds_of

        with self._place.guarded():
            _, _, grounds = self._answered(
                result.query,
                lambda store, state, query, vectors, tries: grounds_of(store, state, query, vectors, result.hits),
            )
            hits = tuple(replace(hit, explanation=explained(hit, grounds, self._vectors)) for hit in result.hits)
        return replace(result, hits=hits)

    def _search_now(
        self, store: Store, state: LibraryState, query: Query, vectors: dict[int, QueryVector], tries: int
    ) -> Answer:
        return self._searcher(store, state, tries).answer(query, vectors)

    def _searcher(self, store: Store, state: LibraryState, tries: int) -> Searcher:
        # After some tries an answer is given without the files that it lacks.
        return Searcher(state, store, self._presence, patient=tries < TRIES)

    def _answered(self, query: Query, find: Find[Found]) -> tuple[LibraryState, Query, Found]:
        """The state that the library is at now, how the query is read there, and what `find` makes of its vectors."""
        encoded: Encoded = {}
        latest = self._latest
        if latest is not None:
            read = as_read(query, latest.models)
            texts = [term for term in read.terms if term.modality == "text"]
            self._vectors.encode(encoded, product(latest.asked_models(read.terms, read.filters), texts))
        tries, answered = 0, None
        while answered is None:
            answered, missing = self._answered_now(query, encoded, tries, find)
            # Encoding takes its time: the log of the database is not held up meanwhile.
            self._vectors.encode(encoded, missing)
            tries += answered is None and not missing
        return answered

    def _answered_now(
        self, query: Query, encoded: Encoded, tries: int, find: Find[Found]
    ) -> tuple[tuple[LibraryState, Query, Found] | None, list[tuple[ModelInUse, Term]]]:
        """What is found at the state that the library is at now, or the terms that are to be encoded for it.

        Neither, where it is to be had at a later state.
        """

        def answered(
            store: Store, state: LibraryState
        ) -> tuple[tuple[LibraryState, Query, Found] | None, list[tuple[ModelInUse, Term]]]:
            read = as_read(as_typed(query, store, state.models), state.models)
            vectors, missing = vectors_by_model(store, state, read, encoded)
            if missing:
                return None, missing
            return (state, read, find(store, state, read, vectors, tries)), []

        return self._now(tries, answered) or (None, [])

    def _now(self, tries: int, found: Callable[[Store, LibraryState], Found]) -> Found | None:
        """What is found at the state that the library is at now; None where it is to be had at a later state."""
        try:
            with self._connections.reading() as (store, line):
                return found(store, self._state(store, line))
        except NotUsable:
            time.sleep(WAIT_SECONDS)
        except _NotThisState:
            if tries >= TRIES:
                self._connections.renew()  # it is not that another thread was quicker: the library went back
        return None

    def _state(self, store: Store, line: int) -> LibraryState:
        """The state that this thread's store is at, for which much may be known already.

        Raises:
            _NotThisState: another thread has seen a later one.
        """
        key = StateKey(line, *store.state())
        latest = self._latest
        if latest is not None and latest.key == key:
            return latest
        with self._lock:
            latest = self._latest
            if latest is not None and latest.key == key:
                return latest
            if latest is not None and latest.key.is_after(key):
                raise _NotThisState
            models = models_at(self._place.location, store, self._options)
            before = latest.channels if latest is not None and key.is_after(latest.key) else ()
            channels = channels_at(self._folder, store, models, self._options, before)
            fusion = fusion_in_use(store, self._options.fusion)
            self._latest = LibraryState(key, models, channels, self._vectors.encoder, fusion)
            return self._latest
