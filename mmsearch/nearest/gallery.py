"""Those items of one space that are nearest to a query: exactly, by their codes, or by the graph.

A search of a fresh process goes through the code file once, which is small, and asks the store for the vectors of
the rows that seem nearest. A session keeps the codes in memory, has the row file, and has the graph. What is newer than
a file is read from the store; so is everything where a file is missing or damaged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from mmsearch.nearest.chained import BLOCK_ROWS
from mmsearch.nearest.codes import CodedQuery, Estimates, Words, best_places
from mmsearch.nearest.recent import Recent
from mmsearch.nearest.scan import GRAPH_FROM_ROWS, Scan
from mmsearch.nearest.snapshot import Codes, SpaceSnapshot
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import Compared, SpaceQuery, places_in
from mmsearch.records import Filters, FloatMatrix, HalfMatrix, ItemIds
from mmsearch.store.protocol import Store

if TYPE_CHECKING:
    from mmsearch.nearest.hnsw import Graph

# With a filter the graph is asked for more than it need give: where so few rows are wanted, in that measure, or so
# small a share of all, codes are sooner.
GRAPH_FROM_WANTED = 1.5
GRAPH_FROM_SHARE = 0.04
# So few rows are compared exactly at once.
FEW_ROWS = 500
# The codes of the rows that a filter lets pass are kept side by side where they are no more than these.
KEPT_CODES = 100_000
# So many filters' items are known at a time.
MOST_FILTERS = 16


class Nearest(NamedTuple):
    """Items near a query, best first: ids [k], cosines [k] and those corrected for hubs [k], by which they are ranked.

    `complete` if there are no others. `exact` tells that all items were compared exactly: none that was left out is
    nearer than the last.
    """

    item_ids: ItemIds
    cosines: FloatMatrix
    corrected: FloatMatrix
    complete: bool
    exact: bool


# Gives the best so many; all that there are, and says so, where it is asked for at least that many.
Ranking = Callable[[int], Nearest]


class SpaceGallery(Protocol):
    """What finds the items of one space at one state, shared by threads."""

    def troubles(self) -> list[str]:
        """What was wrong with derived files that had to be done without."""

    def compared(self, store: Store, item_ids: ItemIds, vector: FloatMatrix, by_text: float = 0.0) -> Compared:
        """Those of the items, ascending, that are there, with their cosines; see `ranking_among`."""

    def ranking_among(
        self, store: Store, query: SpaceQuery, filters: Filters | None, patient: bool
    ) -> tuple[Ranking, int]:
        """What gives the items nearest to a query in files that pass the filters, and of about how many it chooses.

        The store is to be at the gallery's state until the last item was given. NotUsable is raised only where
        `patient`; see `Gallery.ranking`.
        """


class Wanted:
    """The ids, ascending, of the only items of a space that are wanted at one state, and where they stand in it.

    Threads share it: who asks again with the same filter finds what was looked up.
    """

    def __init__(self, item_ids: ItemIds) -> None:
        self.item_ids = item_ids
        self._lock = threading.Lock()
        self._places: dict[tuple[int, int], tuple[ItemIds, ItemIds]] = {}
        self._words: tuple[Codes, Words, HalfMatrix] | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def places(self, codes: Codes, after: int) -> tuple[ItemIds, ItemIds]:
        """Where among the codes the wanted items stand that are newer than `after`, and their ids."""
        key = codes.covers_to, after
        with self._lock:
            if key not in self._places:
                newer = self.item_ids[np.searchsorted(self.item_ids, after, side="right") :]
                places, there = places_in(codes.item_ids, newer)
                self._places[key] = places[there], newer[there]
            return self._places[key]

    def estimates(self, codes: Codes, query: CodedQuery) -> Estimates:
        """Those of all wanted items that have codes."""
        assert codes.words is not None
        places, _ = self.places(codes, 0)
        if len(places) > KEPT_CODES:
            blocks = (places[start : start + BLOCK_ROWS] for start in range(0, len(places), BLOCK_ROWS))
            estimates = np.concatenate([query.estimates(codes.words[:, block]) for block in blocks])
            return query.corrected(estimates, codes.numbers[places], codes.coder.spread)
        with self._lock:
            if self._words is None or self._words[0] is not codes:
                self._words = codes, np.ascontiguousarray(codes.words[:, places]), codes.numbers[places]
            _, words, numbers = self._words
        return query.corrected(query.estimates(words), numbers, codes.coder.spread)


class Gallery:
    """The items of one space at one state, shared by threads; what it reads is kept in a snapshot."""

    def __init__(
        self,
        folder: str,
        space: Space,
        scan: Scan = "codes",
        graph_from_rows: int = GRAPH_FROM_ROWS,
        before: Gallery | None = None,
    ) -> None:
        self._snapshot: SpaceSnapshot = SpaceSnapshot(folder, space, before._snapshot if before else None)
        self._scan = scan
        self._graph_from_rows = graph_from_rows
        self._space = space
        self._wanted: Recent[Filters, Wanted] = Recent(MOST_FILTERS)

    def troubles(self) -> list[str]:
        """What was wrong with derived files that had to be done without."""
        return self._snapshot.troubles()

    def wanted(self, store: Store, filters: Filters) -> Wanted:
        """The items of the space in files that pass the filters; those of the last few filters are kept."""
        model_id, modality = self._space.model_id, self._space.modality
        return self._wanted.get(filters, lambda: Wanted(store.matching_items(filters, model_id, modality)))

    def compared(self, store: Store, item_ids: ItemIds, vector: FloatMatrix, by_text: float = 0.0) -> Compared:
        """Those of the items, ascending, that are there, with their cosines; see `ranking`."""
        return self._snapshot.compared(store, item_ids, SpaceQuery(vector, by_text), again=False)

    def ranking_among(
        self, store: Store, query: SpaceQuery, filters: Filters | None, patient: bool
    ) -> tuple[Ranking, int]:
        """`ranking` of the items in files that pass the filters; None lets all pass."""
        wanted = None if filters is None else self.wanted(store, filters)
        return self.ranking(store, query.vector, wanted, patient, query.by_text)

    def ranking(
        self,
        store: Store,
        vector: FloatMatrix,
        wanted: Wanted | None = None,
        patient: bool = False,
        by_text: float = 0.0,
    ) -> tuple[Ranking, int]:
        """What gives the items nearest to a unit vector, float32 [dimension], and of how many items it chooses.

        `by_text` is how much of the vector are texts (see `SpaceQuery`): for so much hubs are corrected. The store is
        to be at the gallery's state until the last item was given.

        Raises:
            NotUsable: where `patient`: a derived file is not that of this state, but may be that of the next. Without,
                it is done without.
        """
        again = self._snapshot.is_asked_again()
        query = SpaceQuery(vector, by_text)
        among = None if wanted is None else wanted.item_ids
        if among is not None and len(among) <= FEW_ROWS:
            return _of_all(self._snapshot.compared(store, among, query, again)), len(among)
        if self._scan == "exact":
            if self._snapshot.corrected(query):  # the code file has the hub numbers
                self._snapshot.codes(store, query, again, patient=False)
            found = self._snapshot.compared_after(store, 0, query, again)
            return _of_all(found.among(among)), len(found.item_ids) if among is None else len(among)
        codes, estimates = self._snapshot.codes(store, query, again, patient)
        coded = codes.coder.coded(vector, by_text)
        newer = self._snapshot.compared_after(store, codes.covers_to, query, again)
        count = len(codes.item_ids) + len(newer.item_ids)
        asked = _Asked(self._snapshot, store, query, coded, again, wanted, codes, estimates, newer=newer.among(among))
        size = count if among is None else len(among)
        graph = self._graph_for(store, count, size, patient)
        if graph is None:
            return asked.by_codes(after=0), size
        return asked.by_graph(graph, 1.0 if among is None else 1.5 * count / size, size), size

    def _graph_for(self, store: Store, count: int, size: int, patient: bool) -> Graph | None:
        """The graph, where it is to be used for a query that wants `size` of all items."""
        fewest = max(GRAPH_FROM_WANTED * self._graph_from_rows, GRAPH_FROM_SHARE * count)
        few = self._scan == "auto" and (count < self._graph_from_rows or size < min(fewest, count))
        if self._scan == "codes" or few or size == 0:
            return None
        return self._snapshot.graph(store, patient)


class _Asked(NamedTuple):
    """One query, also coded, which items are wanted, the codes, and estimates for all of them where they are known; all
    wanted items without codes, compared.
    """

    snapshot: SpaceSnapshot
    store: Store
    query: SpaceQuery
    coded: CodedQuery
    again: bool
    wanted: Wanted | None
    codes: Codes
    estimates: Estimates | None
    newer: Compared

    def by_codes(self, after: int) -> Ranking:
        """Ranks items with higher ids than `after`."""
        codes, wanted, coded = self.codes, self.wanted, self.coded
        places: slice | ItemIds
        if wanted is None:
            places = slice(int(np.searchsorted(codes.item_ids, after, side="right")), None)
            item_ids = codes.item_ids[places]
        else:
            places, item_ids = wanted.places(codes, after)
        if self.estimates is not None:
            return self._reranking(after, item_ids, self.estimates[places])
        if len(item_ids) <= FEW_ROWS:
            return self._reranking(after, item_ids, np.zeros(len(item_ids), np.int16))
        assert codes.words is not None
        if wanted is not None and after == 0:
            return self._reranking(after, item_ids, wanted.estimates(codes, coded))
        estimates = coded.estimates(codes.words[:, places])
        return self._reranking(after, item_ids, coded.corrected(estimates, codes.numbers[places], codes.coder.spread))

    def _reranking(self, after: int, item_ids: ItemIds, estimates: Estimates) -> Ranking:
        """Ranks by cosines the items of the highest estimates, and all that have no codes."""
        first = int(np.searchsorted(self.newer.item_ids, after, side="right"))
        fewest = candidates_among(len(item_ids))
        known: dict[int, Compared] = {}

        def nearest(count: int) -> Nearest:
            candidates = max(fewest, 4 * count)
            if candidates not in known:
                best = item_ids[best_places(estimates, candidates)]
                near = self.snapshot.compared(self.store, best, self.query, self.again)
                known[candidates] = Compared.together([near, self.newer.at(slice(first, None))])
            return best_of(known[candidates], count, exact=candidates >= len(item_ids))

        return nearest

    def by_graph(self, graph: Graph, wider: float, size: int) -> Ranking:
        """Ranks by the graph, which is asked for `wider` times as many items, and what is newer than it by codes.

        All of the `size` items are ranked by codes, which is about as fast: among those that the graph gives are some
        that are gone, and some of its rows cannot be reached.
        """
        later = self.by_codes(after=graph.covers_to)
        among = None if self.wanted is None else self.wanted.item_ids
        widened = self.query.widened(self.snapshot.space.width)

        def nearest(count: int) -> Nearest:
            if count >= size:
                return self.by_codes(after=0)(count)
            near = self._uncorrected(*graph.nearest(widened, int(count * wider)))
            beside = later(count)
            return best_of(
                Compared.together([near.among(among), Compared(beside.item_ids, beside.cosines, beside.corrected)]),
                count,
                exact=beside.complete and len(near.item_ids) >= graph.rows,
            )

        return nearest

    def _uncorrected(self, item_ids: ItemIds, corrected: FloatMatrix) -> Compared:
        """Items with what the graph knows of them, and their cosines."""
        if not self.snapshot.corrected(self.query):
            return Compared(item_ids, corrected, corrected)
        numbers = self.snapshot.numbers_of(self.store, item_ids).astype(np.float32)
        return Compared(item_ids, corrected - np.float32(self.query.by_text) * numbers, corrected)


def candidates_among(rows: int) -> int:
    """How many of so many rows are compared exactly once their codes are known.

    Measured with texts among photos, the hardest case: 99 % of the nearest ten are among these.
    """
    return max(FEW_ROWS, min(1_000, rows // 100), rows // 500)


def _of_all(found: Compared) -> Ranking:
    return lambda count: best_of(found, count, exact=True)


def best_of(found: Compared, count: int, exact: bool) -> Nearest:
    """The best `count` of the items. It is `exact` where no item that is not among these is nearer than the last."""
    corrected = found.corrected
    everything = count >= len(corrected)
    places = np.arange(len(corrected)) if everything else np.argpartition(-corrected, count)[:count]
    places = places[np.argsort(-corrected[places], kind="stable")]
    return Nearest(*found.at(places), everything and exact, exact)
