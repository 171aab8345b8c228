"""All items of one modality, and those of them that are nearest to a query: exactly, by their codes, or by the graph.

A search of a fresh process goes through the code file once, which is small, and asks the catalogue for the vectors of
the rows that seem nearest. Who searches again and again keeps the codes in memory, or has the graph. What is newer
than either file is read from the catalogue; so is everything where a file is missing or damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from mmsearch.nearest.code_file import BLOCK_ROWS, open_codes
from mmsearch.nearest.codes import CodedQuery, Estimates, Words, best_places, words_of
from mmsearch.nearest.derived import Missing, NotUsable
from mmsearch.nearest.hnsw import Graph, read_graph
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import VectorRows, blocks_after, rows_of
from mmsearch.records import FloatMatrix, ItemIds
from mmsearch.store.sqlite.store import Catalogue

Scan = Literal["auto", "exact", "codes", "graph"]

# Above this many rows of a modality the graph answers a resident search sooner than codes do.
GRAPH_FROM_ROWS = 50_000
# With a filter the graph is asked for more than it need give; below this share of the rows codes are sooner.
GRAPH_FROM_SHARE = 0.04
# So few rows are compared exactly at once.
FEW_ROWS = 500
# Vectors that are compared exactly again and again are kept in memory up to this size, in bytes.
KEPT_BYTES = 256_000_000


@dataclass(frozen=True)
class Nearest:
    """Items near a query, best first: ids [k] and cosines [k]; `complete` if there are no others."""

    item_ids: ItemIds
    cosines: FloatMatrix
    complete: bool


Read = TypeVar("Read")

# Gives the best so many.
Ranking = Callable[[int], Nearest]


class Gallery:
    """The items of one space, read when first needed. `troubles` tells what could not be used."""

    def __init__(
        self,
        folder: str,
        catalogue: Catalogue,
        space: Space,
        scan: Scan = "codes",
        graph_from_rows: int = GRAPH_FROM_ROWS,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._space = space
        self._scan = scan
        self._graph_from_rows = graph_from_rows
        self._codes: _Codes | None = None
        self._beside: _Uncoded | None = None
        self._known_places: _Places | None = None
        self._graph: Graph | None = None
        self._graph_was_read = False
        self.troubles: list[str] = []

    def ranking(self, vector: FloatMatrix, among: ItemIds | None = None) -> tuple[Ranking, int]:
        """What gives the items nearest to a unit vector, float32 [dimension], and of how many items it chooses.

        `among` are the ids, ascending, of the only items that are wanted.
        """
        if among is not None and len(among) <= FEW_ROWS:
            rows = rows_of(self._catalogue, self._space, among)
            return _of_cosines(rows.item_ids, rows.cosines(vector[np.newaxis])[:, 0]), len(among)
        if self._scan == "exact":
            item_ids, cosines = self._all_beside(0).cosines(vector)
            return _of_cosines(*_only(among, item_ids, cosines)), len(item_ids) if among is None else len(among)
        estimates = None
        if self._codes is None:
            self._codes, estimates = self._read_codes(CodedQuery.of(vector))
        elif self._codes.words is None:  # a second query: more may come
            self._codes = self._read_codes(None)[0]
        asked = _Asked(vector, among, estimates, *self._all_beside(self._codes.covers_to).cosines(vector))
        count = len(self._codes.item_ids) + len(asked.newer)
        wanted = count if among is None else len(among)
        graph = self._graph_for(count, wanted)
        if graph is None:
            return self._by_codes(asked, after=0), wanted
        return self._by_graph(graph, asked, 1.0 if among is None else 1.5 * count / wanted), wanted

    # By codes

    def _by_codes(self, asked: _Asked, after: int) -> Ranking:
        """Ranks items with higher ids than `after`."""
        assert self._codes is not None
        codes = self._codes
        places = self._places(asked.among, after)
        if asked.estimates is not None:
            return self._reranking(asked, after, codes.item_ids[places], asked.estimates[places])
        if len(places) <= FEW_ROWS:
            return self._reranking(asked, after, codes.item_ids[places], np.zeros(len(places), np.int16))
        assert codes.words is not None
        estimates = _estimates(CodedQuery.of(asked.vector), codes.words, places)
        return self._reranking(asked, after, codes.item_ids[places], estimates)

    def _places(self, among: ItemIds | None, after: int) -> ItemIds:
        """Where among the codes the wanted items stand that are newer than `after`; kept, since a batch asks again."""
        assert self._codes is not None
        item_ids, known = self._codes.item_ids, self._known_places
        if known is None or known.item_ids is not item_ids or known.among is not among or known.after != after:
            known = self._known_places = _Places(item_ids, among, after, _places(item_ids, among, after))
        return known.places

    def _reranking(self, asked: _Asked, after: int, item_ids: ItemIds, estimates: Estimates) -> Ranking:
        """Ranks by cosines the items of the highest estimates, and all that have no codes."""
        newer, newer_cosines = _only(asked.among, asked.newer, asked.newer_cosines)
        first = int(np.searchsorted(newer, after, side="right"))
        fewest = candidates_among(len(item_ids))
        known: dict[int, tuple[ItemIds, FloatMatrix]] = {}

        def nearest(count: int) -> Nearest:
            candidates = max(fewest, 4 * count)
            if candidates not in known:
                near, cosines = self._cosines_of(item_ids[best_places(estimates, candidates)], asked.vector)
                known[candidates] = (
                    np.concatenate([near, newer[first:]]),
                    np.concatenate([cosines, newer_cosines[first:]]),
                )
            found = _best(*known[candidates], count)
            return Nearest(found.item_ids, found.cosines, found.complete and candidates >= len(item_ids))

        return nearest

    def _cosines_of(self, item_ids: ItemIds, vector: FloatMatrix) -> tuple[ItemIds, FloatMatrix]:
        """Those of the items that are there, and their cosines; a block of vectors in memory at a time."""
        found, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for start in range(0, len(item_ids), BLOCK_ROWS):
            rows = rows_of(self._catalogue, self._space, item_ids[start : start + BLOCK_ROWS])
            found.append(rows.item_ids)
            cosines.append(rows.cosines(vector[np.newaxis])[:, 0])
        return np.concatenate(found), np.concatenate(cosines)

    def _read_codes(self, query: CodedQuery | None) -> tuple[_Codes, Estimates]:
        """The code file's rows: with their codes, or with estimates for a query."""
        try:
            return _again(lambda: self._read_codes_once(query))
        except NotUsable as trouble:
            self._note(trouble)
        return _Codes(np.empty(0, np.int64), 0, _no_words(self._space)), np.empty(0, np.int16)

    def _read_codes_once(self, query: CodedQuery | None) -> tuple[_Codes, Estimates]:
        item_ids, estimates, words = [np.empty(0, np.int64)], [np.empty(0, np.int16)], [_no_words(self._space)]
        with open_codes(self._folder, self._catalogue, self._space) as codes:
            for block in codes.blocks():
                item_ids.append(block.item_ids)
                if query is None:
                    words.append(block.words)
                else:
                    estimates.append(query.estimates(block.words))
        together = None if query is not None else np.concatenate(words, axis=1)
        return _Codes(np.concatenate(item_ids), codes.record.covers_to, together), np.concatenate(estimates)

    def _all_beside(self, after: int) -> _Uncoded:
        """The rows after that item, which have no codes."""
        if self._beside is None or self._beside.after != after:
            self._beside = _Uncoded(self._catalogue, self._space, after)
        return self._beside

    # By the graph

    def _by_graph(self, graph: Graph, asked: _Asked, wider: float) -> Ranking:
        """Ranks by the graph, which is asked for `wider` times as many items, and what is newer than it by codes."""
        later = self._by_codes(asked, after=graph.covers_to)

        def nearest(count: int) -> Nearest:
            more = int(count * wider)
            near = graph.nearest(asked.vector, more)
            item_ids, cosines = _only(asked.among, *near)
            beside = later(count)
            found = _best(np.concatenate([item_ids, beside.item_ids]), np.concatenate([cosines, beside.cosines]), count)
            return Nearest(
                found.item_ids, found.cosines, found.complete and beside.complete and len(near[0]) >= graph.rows
            )

        return nearest

    def _graph_for(self, count: int, wanted: int) -> Graph | None:
        """The graph, where it is to be used for a query that wants `wanted` of all items."""
        few = self._scan == "auto" and (count < self._graph_from_rows or wanted < GRAPH_FROM_SHARE * count)
        if self._scan == "codes" or few or wanted == 0:
            return None
        if not self._graph_was_read:
            self._graph_was_read = True
            try:
                self._graph = _again(lambda: read_graph(self._folder, self._catalogue, self._space))
            except NotUsable as trouble:
                self._note(trouble)
        return self._graph

    def _note(self, trouble: NotUsable) -> None:
        if not isinstance(trouble, Missing):
            self.troubles.append(str(trouble))


@dataclass(frozen=True)
class _Codes:
    """What the code file holds: ids [n], ascending, of all items up to `covers_to`, and codes where they are kept."""

    item_ids: ItemIds
    covers_to: int
    words: Words | None = None


@dataclass(frozen=True)
class _Places:
    """Where among `item_ids` those stand that are `among` the wanted and newer than `after`."""

    item_ids: ItemIds
    among: ItemIds | None
    after: int
    places: ItemIds


@dataclass(frozen=True)
class _Asked:
    """One query: its vector, the ids of the only items that are wanted, estimates for all codes where they are known,
    and the ids and cosines of all rows without codes.
    """

    vector: FloatMatrix
    among: ItemIds | None
    estimates: Estimates | None
    newer: ItemIds
    newer_cosines: FloatMatrix


class _Uncoded:
    """Rows that are compared exactly, from the catalogue: kept once they are read if they are not too many."""

    def __init__(self, catalogue: Catalogue, space: Space, after: int) -> None:
        self._catalogue = catalogue
        self._space = space
        self._kept: list[VectorRows] | None = None
        self.after = after

    def cosines(self, vector: FloatMatrix) -> tuple[ItemIds, FloatMatrix]:
        """Ids [n], ascending, and cosines with the vector [n], of all rows."""
        item_ids, cosines, kept, size = [np.empty(0, np.int64)], [np.empty(0, np.float32)], [], 0
        for block in self._kept or blocks_after(self._catalogue, self._space, self.after):
            item_ids.append(block.item_ids)
            cosines.append(block.cosines(vector[np.newaxis])[:, 0])
            size += block.vectors.nbytes
            if size <= KEPT_BYTES:
                kept.append(block)
        self._kept = kept if size <= KEPT_BYTES else None
        return np.concatenate(item_ids), np.concatenate(cosines)


def _again(read: Callable[[], Read]) -> Read:
    """What `read` gives at the second try if not at the first: the file may have been made anew at that moment."""
    try:
        return read()
    except Missing:
        raise
    except NotUsable:
        return read()


def _no_words(space: Space) -> Words:
    return np.empty((words_of(space.identity.dimension), 0), np.uint64)


def _estimates(query: CodedQuery, words: Words, places: ItemIds) -> Estimates:
    everything = len(places) == words.shape[1]
    blocks = (slice(start, start + BLOCK_ROWS) for start in range(0, len(places), BLOCK_ROWS))
    return np.concatenate(
        [query.estimates(words[:, block] if everything else words[:, places[block]]) for block in blocks]
    )


def candidates_among(rows: int) -> int:
    """How many of so many rows are compared exactly once their codes are known.

    Measured with texts among photos, the hardest case: 99 % of the nearest ten are among these.
    """
    return max(FEW_ROWS, min(1_000, rows // 100), rows // 500)


def _places(item_ids: ItemIds, among: ItemIds | None, after: int) -> ItemIds:
    """Where in `item_ids`, ascending, the wanted items stand, ascending."""
    first = int(np.searchsorted(item_ids, after, side="right"))
    if among is None:
        return np.arange(first, len(item_ids))
    places, there = _looked_up(item_ids, among[np.searchsorted(among, after, side="right") :])
    return places[there]


def _looked_up(item_ids: ItemIds, asked: ItemIds) -> tuple[ItemIds, npt.NDArray[np.bool_]]:
    """Where in `item_ids`, ascending, each of the asked ones would stand, and whether it is there: both [n]."""
    if len(item_ids) == 0:
        return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
    places = np.searchsorted(item_ids, asked)
    places[places == len(item_ids)] = 0
    return places, item_ids[places] == asked


def _only(among: ItemIds | None, item_ids: ItemIds, cosines: FloatMatrix) -> tuple[ItemIds, FloatMatrix]:
    if among is None:
        return item_ids, cosines
    _, wanted = _looked_up(among, item_ids)
    return item_ids[wanted], cosines[wanted]


def _of_cosines(item_ids: ItemIds, cosines: FloatMatrix) -> Ranking:
    return lambda count: _best(item_ids, cosines, count)


def _best(item_ids: ItemIds, cosines: FloatMatrix, count: int) -> Nearest:
    complete = count >= len(item_ids)
    places = np.arange(len(item_ids)) if complete else np.argpartition(-cosines, count)[:count]
    places = places[np.argsort(-cosines[places], kind="stable")]
    return Nearest(item_ids[places], cosines[places], complete)
