"""From a query to one ranked list of files: encode, score, calibrate per modality, merge, group by file."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.errors import MmsearchError
from mmsearch.files.times import in_utc
from mmsearch.nearest.gallery import GRAPH_FROM_ROWS, Gallery, Nearest, Ranking, Scan
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.nearest.vectors import StoredVectors
from mmsearch.records import (
    MODALITIES,
    Background,
    Calibration,
    Filters,
    FloatMatrix,
    FoundItem,
    ImageContent,
    ItemIds,
    Modality,
)
from mmsearch.searching import scoring as calibration
from mmsearch.searching.cache import QueryCache
from mmsearch.searching.calibration import own_calibration, stored_calibration
from mmsearch.searching.query import Query, Term
from mmsearch.searching.scoring import WeightedTerm
from mmsearch.store.sqlite.store import Catalogue

FIRST_CANDIDATES = 50


@dataclass(frozen=True)
class Hit:
    """A file that answers a query; docs/json.md tells each field.

    `path` can be opened as it is; bytes of a name that are no UTF-8 are lone surrogates, as `os.fsdecode` makes them.
    `available` is False where there is nothing at present: the file is on a drive that is away, or is gone.
    """

    rank: int
    path: str
    type: Modality
    score: float = field(metadata={"digits": 4})
    similarity: float = field(metadata={"digits": 4})
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
    elapsed_ms: float = field(metadata={"digits": 1})
    thresholds: Mapping[Modality, float] = field(metadata={"digits": 4})
    hits: tuple[Hit, ...]
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
        scan: Scan = "codes",
        graph_from_rows: int = GRAPH_FROM_ROWS,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._in_use = in_use
        self._encoder = encoder
        self._spaces = {modality: in_use.space(modality) for modality in MODALITIES}
        self._galleries = {
            modality: Gallery(folder, catalogue, space, scan, graph_from_rows)
            for modality, space in self._spaces.items()
        }
        self._passed = Filters()
        self._passing: dict[Modality, ItemIds] = {}
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
        rankings, thresholds, most = {}, {}, 0
        for one in wanted:
            rankings[one], rows = self._galleries[one].ranking(vector, self._wanted(one, query.filters))
            thresholds[one] = self._threshold(query, rows, backgrounds[one])
            most = max(most, rows)
        hits, nearest = self._hits(query, rankings, backgrounds, thresholds, most)
        elapsed = (time.perf_counter() - started) * 1000
        label = self._in_use.identity.label
        return SearchResult(query, label, self._folder, elapsed, thresholds, hits, nearest)

    def troubles(self) -> list[str]:
        """What was wrong with derived files that this search had to do without."""
        return [trouble for gallery in self._galleries.values() for trouble in gallery.troubles]

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
        from mmsearch.reading import ReadLimits, UnreadableFile, decode, load

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
        rankings: Mapping[Modality, Ranking],
        backgrounds: Mapping[Modality, Background],
        thresholds: Mapping[Modality, float],
        most: int,
    ) -> tuple[tuple[Hit, ...], Hit | None]:
        """The hits, and the nearest of what was left out; `most` is how many items a modality has at most."""
        asked = _QueryImages(query.terms)
        lowest = min(thresholds.values())
        count = max(FIRST_CANDIDATES, 4 * query.limit)
        while True:
            ranked = {
                modality: _scored(ranking(count), backgrounds[modality]) for modality, ranking in rankings.items()
            }
            files = self._best_per_file(ranked, query.filters, asked)
            # What was not looked at can be no better than the last that was.
            # Where all that was looked at is gone by now, nothing is known of the rest.
            unseen = max(
                (float(one.scores[-1]) if len(one.scores) else math.inf for one in ranked.values() if not one.complete),
                default=0.0,
            )
            enough = len(files) >= query.limit and files[query.limit - 1][0] >= unseen
            if enough or unseen < lowest or count >= most:
                break
            count *= 4
        best = [found for found in files if found[0] >= thresholds[found[2].medium]][: query.limit]
        hits = tuple(_hit(rank, item, score, cosine) for rank, (score, cosine, item) in enumerate(best, start=1))
        if hits or not files:
            return hits, None
        score, cosine, item = files[0]
        return (), _hit(0, item, score, cosine)

    def _wanted(self, modality: Modality, filters: Filters) -> ItemIds | None:
        """The ids of the items that pass the filters, or None where all of them do."""
        if not replace(filters, modality=None):
            return None
        if filters != self._passed:  # a batch has one set of filters
            self._passed, self._passing = filters, {}
        if modality not in self._passing:
            model_id = self._spaces[modality].model_id
            self._passing[modality] = self._catalogue.matching_items(filters, model_id, modality)
        return self._passing[modality]

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

    @cached_property
    def _calibration(self) -> Calibration:
        stored = stored_calibration(self._catalogue, self._in_use.identity)
        if stored is not None:
            return stored
        # Without a measurement there are few rows, or a run was cut off.
        vectors = {one: StoredVectors(self._catalogue, space, 0) for one, space in self._spaces.items()}
        return own_calibration(self._encoder(), vectors)


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


def _scored(nearest: Nearest, background: Background) -> _Ranked:
    scores = calibration.scores(nearest.cosines, background)
    return _Ranked(nearest.item_ids, nearest.cosines, scores, nearest.complete)


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
