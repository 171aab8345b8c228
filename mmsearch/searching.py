"""From a query to one ranked list of files: encode, score, calibrate per modality, merge, group by file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from mmsearch import calibration
from mmsearch.calibration import WeightedTerm
from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.derived import Missing, NotUsable
from mmsearch.encoding import Background, Calibration, Encoder, FloatMatrix, text_vectors
from mmsearch.errors import MmsearchError
from mmsearch.file_times import in_utc
from mmsearch.graph import Graph, read_graph
from mmsearch.items import MODALITIES, ImageContent, Modality
from mmsearch.library_calibration import own_calibration, stored_calibration
from mmsearch.query import Filters, Query, Term
from mmsearch.query_cache import QueryCache
from mmsearch.reading import ReadLimits, UnreadableFile, decode, load
from mmsearch.records import FoundItem
from mmsearch.spaces import ModelInUse
from mmsearch.vectors import VectorRows, read_rows

Scan = Literal["auto", "exact", "graph"]

# Above this many rows of a modality the graph answers a resident search sooner than a scan does.
GRAPH_FROM_ROWS = 50_000
_FIRST_CANDIDATES = 100


@dataclass(frozen=True)
class Hit:
    """A file that answers a query; docs/json.md tells each field.

    `path` can be opened as it is; bytes of a name that are no UTF-8 are lone surrogates, as `os.fsdecode` makes them.
    `available` is False where there is nothing at present: the file is on a drive that is away, or is gone.
    """

    rank: int
    path: str
    type: Modality
    score: float
    similarity: float
    width: int | None
    height: int | None
    bytes: int
    modified: str
    taken: str | None
    snippet: str | None
    line: int | None
    offset: int | None
    available: bool


@dataclass(frozen=True)
class SearchResult:
    """The hits of one query, best first; `elapsed_ms` is wall time in milliseconds, model loading included.

    `thresholds` holds, per modality searched, the score below which a hit is left out. `nearest` is the best of what
    was left out where there are no hits: its rank is 0.
    """

    query: Query
    model: str
    library: str
    elapsed_ms: float
    hits: tuple[Hit, ...]
    thresholds: Mapping[Modality, float]
    nearest: Hit | None = None


@dataclass(frozen=True)
class _Ranked:
    """Items of one modality, best first: ids [k], cosines [k], scores [k]; `complete` if there are no others."""

    item_ids: ItemIds
    cosines: FloatMatrix
    scores: FloatMatrix
    complete: bool


class Searcher:
    """Answers queries on one state of a library. Vectors and model are loaded when first needed and kept."""

    def __init__(
        self,
        folder: str,
        catalogue: Catalogue,
        in_use: ModelInUse,
        encoder: Callable[[], Encoder],
        scan: Scan = "exact",
        graph_from_rows: int = GRAPH_FROM_ROWS,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._in_use = in_use
        self._encoder = encoder
        self._scan = scan
        self._graph_from_rows = graph_from_rows
        self._spaces = {modality: in_use.space(modality) for modality in MODALITIES}
        self._rows: dict[Modality, VectorRows] = {}
        self._graphs: dict[Modality, Graph | None] = {}
        self._troubles: list[str] = []
        self._cache = QueryCache(folder, in_use.identity)

    def search(self, query: Query) -> SearchResult:
        """The files that answer `query`, best first.

        Raises:
            MmsearchError: a query image cannot be read.
        """
        started = time.perf_counter()
        vector, terms = self._query_vector(query.terms)
        wanted = [query.filters.modality] if query.filters.modality else list(MODALITIES)
        backgrounds = {modality: calibration.combined(self._calibration, terms, modality) for modality in wanted}
        rows = {modality: self._filtered(modality, query.filters) for modality in wanted}
        thresholds = {one: self._threshold(query, len(rows[one]), backgrounds[one]) for one in wanted}
        hits, nearest = self._hits(query, vector, rows, backgrounds, thresholds)
        elapsed = (time.perf_counter() - started) * 1000
        label = self._in_use.identity.label
        return SearchResult(query, label, self._folder, elapsed, hits, thresholds, nearest)

    def troubles(self) -> list[str]:
        """What was wrong with vector files that this search had to do without."""
        return [*(rows.trouble for rows in self._rows.values() if rows.trouble), *self._troubles]

    # The query

    def _query_vector(self, terms: Sequence[Term]) -> tuple[FloatMatrix, list[WeightedTerm]]:
        """The unit vector of the weighted sum of the terms' unit vectors, float32 [dimension], and its parts."""
        vectors = [
            self._text_vector(term.value) if term.modality == "text" else self._image_vector(term.value)
            for term in terms
        ]
        total = np.sum([term.weight * vector for term, vector in zip(terms, vectors, strict=True)], axis=0)
        length = float(np.linalg.norm(total))
        if length < 1e-6:
            raise MmsearchError("The terms of the query cancel each other out; change a term or a weight.")
        parts = [
            WeightedTerm(term.modality, term.weight / length, vector)
            for term, vector in zip(terms, vectors, strict=True)
        ]
        return total / length, parts

    def _text_vector(self, text: str) -> FloatMatrix:
        cached = self._cache.get(text)
        if cached is not None:
            return cached
        vector: FloatMatrix = text_vectors([text], self._encoder())[0]
        self._cache.put(text, vector)
        return vector

    def _image_vector(self, path: str) -> FloatMatrix:
        name = os.fsencode(path)
        model_id = self._spaces["image"].model_id
        try:
            stored = self._catalogue.image_vector_at(name, model_id)
            if stored is not None:
                return _unit(self._spaces["image"].of_stored(stored[np.newaxis])[0].astype(np.float32))
            encoder = self._encoder()
            content = decode(load(name, ReadLimits()), encoder.image_side)
        except UnreadableFile as error:
            raise MmsearchError(f"The query image {path} cannot be read: {error.reason}.") from error
        except OSError as error:
            raise MmsearchError(f"The query image {path} cannot be read: {error.strerror}.") from error
        if not isinstance(content, ImageContent):
            raise MmsearchError(f"The query image {path} is a text; give it as text or choose a picture.")
        return _unit(encoder.encode_images([content.pixels])[0])

    # The answer

    def _threshold(self, query: Query, rows: int, background: Background) -> float:
        if query.min_score is not None:
            return query.min_score
        if len(query.terms) > 1 or query.terms[0].modality == "image":
            return 0.0  # an example, or a mixture, has something nearest to it, however near
        bound = calibration.nothing_close(background, rows)
        return float(calibration.scores(np.array([bound], np.float32), background)[0])

    def _hits(
        self,
        query: Query,
        vector: FloatMatrix,
        rows: Mapping[Modality, VectorRows],
        backgrounds: Mapping[Modality, Background],
        thresholds: Mapping[Modality, float],
    ) -> tuple[tuple[Hit, ...], Hit | None]:
        asked = _QueryImages(query.terms)
        rankings = {
            modality: self._ranking(modality, vector, rows[modality], bool(query.filters), background)
            for modality, background in backgrounds.items()
        }
        lowest = min(thresholds.values())
        count = max(_FIRST_CANDIDATES, 4 * query.limit)
        while True:
            ranked = {modality: ranking(count) for modality, ranking in rankings.items()}
            files = self._best_per_file(ranked, query.filters, asked)
            # What was not looked at can be no better than the last that was.
            unseen = max(
                (float(one.scores[-1]) for one in ranked.values() if not one.complete and len(one.scores)),
                default=0.0,
            )
            enough = len(files) >= query.limit and files[query.limit - 1][0] >= unseen
            if enough or unseen < lowest or all(one.complete for one in ranked.values()):
                break
            count *= 4
        best = [found for found in files if found[0] >= thresholds[found[2].medium]][: query.limit]
        hits = tuple(_hit(rank, item, score, cosine) for rank, (score, cosine, item) in enumerate(best, start=1))
        if hits or not files:
            return hits, None
        score, cosine, item = files[0]
        return (), _hit(0, item, score, cosine)

    def _filtered(self, modality: Modality, filters: Filters) -> VectorRows:
        """The rows that pass the filters."""
        rows = self._rows_of(modality)
        if not filters:
            return rows
        return rows.only(self._catalogue.matching_items(filters, self._spaces[modality].model_id, modality))

    def _ranking(
        self, modality: Modality, vector: FloatMatrix, rows: VectorRows, filtered: bool, background: Background
    ) -> Callable[[int], _Ranked]:
        """A function that gives the best so many of the rows."""
        graph = None if filtered else self._graph_of(modality, rows)
        if graph is None:
            cosines = rows.cosines(vector[np.newaxis])[:, 0]
            return lambda count: _best(rows.item_ids, cosines, count, background, complete=True)
        newer = rows.after(graph.coverage.last_item)
        newer_cosines = newer.cosines(vector[np.newaxis])[:, 0]

        def nearest(count: int) -> _Ranked:
            found, cosines = graph.nearest(vector[np.newaxis], count)
            item_ids = np.concatenate([found[0], newer.item_ids])
            everything = count >= graph.coverage.rows
            return _best(item_ids, np.concatenate([cosines[0], newer_cosines]), count, background, everything)

        return nearest

    def _best_per_file(
        self, ranked: dict[Modality, _Ranked], filters: Filters, asked: _QueryImages
    ) -> list[tuple[float, float, FoundItem]]:
        """(score, cosine, best item) of each file, best first; ties in the order of paths."""
        measured = {
            int(item_id): (float(score), float(cosine))
            for one in ranked.values()
            for item_id, score, cosine in zip(one.item_ids, one.scores, one.cosines, strict=True)
        }
        best: dict[bytes, tuple[float, float, FoundItem]] = {}
        for item in self._catalogue.found_items(measured, filters):
            score, cosine = measured[item.item_id]
            known = best.get(item.path)
            if (known is None or (score, cosine) > known[:2]) and not asked.include(item):
                best[item.path] = (score, cosine, item)
        return sorted(best.values(), key=lambda found: (-found[0], -found[1], found[2].path))

    # What is loaded once

    def _rows_of(self, modality: Modality) -> VectorRows:
        if modality not in self._rows:
            self._rows[modality] = read_rows(self._folder, self._catalogue, self._spaces[modality])
        return self._rows[modality]

    def _graph_of(self, modality: Modality, rows: VectorRows) -> Graph | None:
        few = self._scan == "auto" and len(rows) < self._graph_from_rows
        if self._scan == "exact" or few or len(rows) == 0:
            return None
        if modality not in self._graphs:
            self._graphs[modality] = None
            try:
                self._graphs[modality] = read_graph(self._folder, self._catalogue, self._spaces[modality])
            except Missing:
                pass
            except NotUsable as trouble:
                self._troubles.append(str(trouble))
        return self._graphs[modality]

    @cached_property
    def _calibration(self) -> Calibration:
        stored = stored_calibration(self._catalogue, self._in_use.identity)
        return stored or own_calibration(self._encoder(), {one: self._rows_of(one) for one in MODALITIES})


class _QueryImages:
    """The images that a query asks with: they are no answers to it."""

    def __init__(self, terms: Sequence[Term]) -> None:
        images = [os.stat(term.value) for term in terms if term.modality == "image" and os.path.exists(term.value)]
        self._sizes = {status.st_size for status in images}
        self._files = {(status.st_dev, status.st_ino) for status in images}

    def include(self, item: FoundItem) -> bool:
        """Whether `item` is one of them, under whatever name."""
        if item.size not in self._sizes:
            return False
        try:
            status = os.stat(item.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self._files


def _best(item_ids: ItemIds, cosines: FloatMatrix, count: int, background: Background, complete: bool) -> _Ranked:
    if count < len(item_ids):
        complete = False
        places = np.argpartition(-cosines, count)[:count]
    else:
        places = np.arange(len(item_ids))
    places = places[np.argsort(-cosines[places], kind="stable")]
    return _Ranked(item_ids[places], cosines[places], calibration.scores(cosines[places], background), complete)


def _unit(vector: FloatMatrix) -> FloatMatrix:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _hit(rank: int, item: FoundItem, score: float, cosine: float) -> Hit:
    return Hit(
        rank=rank,
        path=os.fsdecode(item.path),
        type=item.medium,
        score=score,
        similarity=cosine,
        width=item.width,
        height=item.height,
        bytes=item.size,
        modified=in_utc(item.mtime_ns),
        taken=item.taken,
        snippet=item.text,
        line=item.line,
        offset=item.start,
        available=os.path.exists(item.path),
    )
