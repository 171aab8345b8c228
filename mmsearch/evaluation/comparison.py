"""What a shortcut costs: the HNSW graph and compact codes against exact search over full vectors.

Each setting answers the same queries over the same gallery. Its recall@10 is the share of its ten that are as near
as the exact tenth (as in ANN-Benchmarks, so that equals do no harm: Aumüller et al., 2020), and its recall@100 that of
a hundred; its R@10 counts queries with something right among ten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.errors import Unsupported
from mmsearch.evaluation.embedding import Integers
from mmsearch.evaluation.retrieval import Direction
from mmsearch.nearest import codes
from mmsearch.nearest import hnsw as graph
from mmsearch.nearest.vectors import SpaceQuery, VectorRows
from mmsearch.records import FloatMatrix, HalfMatrix

FOUND, MANY = 10, 100
SHORTLISTS = (100, 1_000)
# Of learned codes, beside one bit a number.
BITS = (64, 128, 256)
EFS = (16, 64, 128, 256)
# Enough for a stable figure; each query is answered on its own, as a search would.
_MOST_QUERIES = 1_000
# By so much may two ways of computing one cosine differ.
_ROUNDING = 1e-6


class Comparison(str, Enum):
    """What is compared with exact search."""

    GRAPH = "graph"
    CODES = "codes"


@dataclass(frozen=True)
class ComparisonResult:
    """How one way of searching did: shares in [0, 1], times in milliseconds a query on one thread.

    `recall_at_100` is None for graphs, which are asked for ten, and in a gallery of no more than a hundred.
    """

    name: str
    direction: str
    gallery: int
    queries: int
    bytes_per_vector: float
    recall_at_10: float
    recall_at_100: float | None
    hits_at_10: float
    median_ms: float
    slowest_ms: float


# For one query, float32 [d], and so many, the rows of the gallery that it finds, best first.
Answer = Callable[[FloatMatrix, int], Integers]


@dataclass(frozen=True)
class _Way:
    name: str
    bytes_per_vector: float
    answer: Answer
    most: int = FOUND


def compare(direction: Direction, *comparisons: Comparison) -> list[ComparisonResult]:
    """Exact search first, then the settings of those comparisons.

    Raises:
        Unsupported: the graph is asked for and hnswlib is not installed.
    """
    chosen = np.random.default_rng(0).permutation(len(direction.queries))[:_MOST_QUERIES]
    chosen.sort()
    numbers = np.zeros(len(direction.gallery), np.float16) if direction.numbers is None else direction.numbers
    gallery = _Gallery(direction.gallery, numbers, by_text=float(direction.numbers is not None))
    ways = [_exact("exact, float32", gallery, 4.0)]
    for comparison in dict.fromkeys(comparisons):
        ways += _graphs(gallery) if comparison is Comparison.GRAPH else _codes(gallery)
    return [_measured(way, direction, chosen) for way in ways]


def _measured(way: _Way, direction: Direction, chosen: Integers) -> ComparisonResult:
    agreed, of_many, hit, times = [], [], [], []
    for row in chosen:
        relevant, left_out = direction.judge(np.array([row]))
        query = direction.queries[row]
        started = time.perf_counter()
        found = way.answer(query, way.most + 1)  # one more than are counted, for a query that finds itself
        times.append(time.perf_counter() - started)
        inside = np.ones(len(direction.gallery), bool) if left_out is None else ~left_out[0]
        found = found[inside[found]]
        cosines = direction.cosines(query[np.newaxis])[0]
        agreed.append(_recall(cosines, inside, found, FOUND))
        if way.most == MANY < len(direction.gallery):
            of_many.append(_recall(cosines, inside, found, MANY))
        hit.append(bool(relevant[0, found[:FOUND]].any()))
    milliseconds = np.array(times) * 1000
    return ComparisonResult(
        name=way.name,
        direction=direction.name,
        gallery=len(direction.gallery),
        queries=len(chosen),
        bytes_per_vector=way.bytes_per_vector,
        recall_at_10=float(np.mean(agreed)),
        recall_at_100=float(np.mean(of_many)) if of_many else None,
        hits_at_10=float(np.mean(hit)),
        median_ms=float(np.median(milliseconds)),
        slowest_ms=float(np.percentile(milliseconds, 99)),
    )


def _recall(cosines: FloatMatrix, inside: npt.NDArray[np.bool_], found: Integers, most: int) -> float:
    """The share of the first so many that are as near as the exact last one of so many."""
    count = min(most, int(inside.sum()))
    last = np.partition(cosines[inside], -count)[-count]
    return float((cosines[found[:most]] >= last - _ROUNDING).sum() / count)


class _Gallery(NamedTuple):
    """What is asked: vectors float32 [n, d], and hub numbers float16 [n] with their weight."""

    vectors: FloatMatrix
    numbers: HalfMatrix
    by_text: float

    def cosines(self, query: FloatMatrix, rows: Integers | slice = slice(None)) -> FloatMatrix:
        """Corrected cosines of those rows with a query, float32 [d]."""
        found: FloatMatrix = self.vectors[rows] @ query
        return found + np.float32(self.by_text) * self.numbers[rows].astype(np.float32)


def _exact(name: str, gallery: _Gallery, bytes_per_number: float, more: float = 0.0) -> _Way:
    return _Way(
        name,
        bytes_per_number * gallery.vectors.shape[1] + more,
        lambda query, count: _best(gallery.cosines(query), count),
        MANY,
    )


def _codes(gallery: _Gallery) -> Iterator[_Way]:
    vectors = gallery.vectors
    yield _exact("exact, float16", gallery._replace(vectors=codes.as_float16(vectors)), 2.0)
    yield _exact("exact, int8", gallery._replace(vectors=codes.as_int8(vectors)), 1.0, more=4.0)
    learned = [bits for bits in BITS if bits < vectors.shape[1]]
    for bits in (0, *learned):
        name = f"{bits} learned bits" if bits else "sign bits"
        coded = codes.CodedRows.of(vectors, gallery.numbers, bits)
        size = coded.coder.bits / 8
        yield _Way(f"{name} alone", size, _one_stage(coded, gallery), MANY)
        for count in SHORTLISTS:
            if count < len(vectors):
                yield _Way(f"{name}, {count:,} re-ranked", size, _two_stage(coded, gallery, count), MANY)


def _one_stage(coded: codes.CodedRows, gallery: _Gallery) -> Answer:
    return lambda query, count: _best(coded.estimates(query, gallery.by_text).astype(np.float32), count)


def _two_stage(coded: codes.CodedRows, gallery: _Gallery, shortlist: int) -> Answer:
    def answer(query: FloatMatrix, count: int) -> Integers:
        near = coded.nearest(query, shortlist, gallery.by_text)
        return np.asarray(near[_best(gallery.cosines(query, near), count)])

    return answer


def _graphs(gallery: _Gallery) -> Iterator[_Way]:
    if not graph.is_available():
        raise Unsupported("The graph needs hnswlib, which is not installed; `pip install hnswlib` builds it.")
    vectors = gallery.vectors
    width = vectors.shape[1] + bool(gallery.by_text)
    rows = VectorRows(np.arange(len(vectors)), vectors.astype(np.float16), gallery.numbers)
    index = graph.built([rows], width, len(vectors))
    per_vector = 4.0 * width + 8 + 4 * (2 * graph.LINKS + 1)

    def at(ef: int) -> Answer:
        def answer(query: FloatMatrix, count: int) -> Integers:
            index.set_ef(max(ef, count))
            widened = SpaceQuery(query, gallery.by_text).widened(width)
            labels, _ = index.knn_query(widened[np.newaxis], k=min(count, len(vectors)))
            return np.asarray(labels[0].astype(np.int64))

        return answer

    for ef in EFS:
        yield _Way(f"HNSW graph, ef {ef}", per_vector, at(ef))


def _best(cosines: FloatMatrix, most: int) -> Integers:
    """The places of the first so many, best first."""
    count = min(most, len(cosines))
    places = np.argpartition(-cosines, count - 1)[:count]
    return np.asarray(places[np.argsort(-cosines[places], kind="stable")])
