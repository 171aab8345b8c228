"""All pairs of rows that lie near to each other, without comparing each row with each.

An inverted file (Jégou et al., "Product Quantization for Nearest Neighbor Search", 2011, its coarse half): each row
belongs to the few of some centres that are nearest to it, and is compared with the rows of these alone. Two rows of a
high cosine share a centre; how often is measured by `benchmarks/duplicates.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmsearch.nearest.k_means import moved_centres
from mmsearch.nearest.vectors import as_float32
from mmsearch.records import FloatMatrix, HalfMatrix, ItemIds

# Up to this many rows each is compared with each: that takes no longer.
WHOLE_ROWS = 4_000
# Rows for each centre, and to how many centres a row belongs.
ROWS_A_CENTRE = 400
CENTRES_A_ROW = 4
# The centres are found by spherical k-means over so many rows.
_SAMPLE_ROWS, _ROUNDS, _SEED = 20_000, 6, 1
_BLOCK_ROWS = 1_024


class NearPairs(NamedTuple):
    """Pairs of rows, `first` < `second`, int64 [p], and their `cosines`, float32 [p]; each pair once."""

    first: ItemIds
    second: ItemIds
    cosines: FloatMatrix


def near_pairs(vectors: HalfMatrix, lowest: float, most: int = 32) -> NearPairs:
    """The pairs of unit rows, float16 [n, d], whose cosine is `lowest` or more, in the order of the rows.

    Of a row with very many of them the nearest `most` are given for each centre that it belongs to. The same rows give
    the same pairs.
    """
    count = len(vectors)
    found: dict[str, list[FloatMatrix | ItemIds]] = {"keys": [], "cosines": []}
    for members in _groups(vectors):
        rows = as_float32(vectors[members])
        for start in range(0, len(rows), _BLOCK_ROWS):
            cosines = rows[start : start + _BLOCK_ROWS] @ rows.T
            here, there = _near(cosines, start, lowest, most)
            one, other = members[here + start], members[there]
            found["keys"].append(np.minimum(one, other) * count + np.maximum(one, other))
            found["cosines"].append(cosines[here, there])
    keys, places = np.unique(np.concatenate([np.empty(0, np.int64), *found["keys"]]), return_index=True)
    cosines = np.concatenate([np.empty(0, np.float32), *found["cosines"]])[places]
    return NearPairs(keys // max(1, count), keys % max(1, count), cosines)


def _near(cosines: FloatMatrix, start: int, lowest: float, most: int) -> tuple[ItemIds, ItemIds]:
    """Where cosines [b, m] are high enough, but on the diagonal that begins at column `start`: rows and columns."""
    places = np.arange(len(cosines))
    cosines[places, places + start] = -2.0
    enough = cosines >= lowest
    crowded = np.flatnonzero(enough.sum(axis=1) > most)
    if len(crowded):
        nearest = np.argpartition(-cosines[crowded], most - 1, axis=1)[:, :most]
        enough[crowded] = False
        enough[crowded[:, np.newaxis], nearest] = True
    here, there = np.nonzero(enough)
    return here, there


def _groups(vectors: HalfMatrix) -> list[ItemIds]:
    """The rows that are compared with each other, ascending, for each centre."""
    count = len(vectors)
    if count <= WHOLE_ROWS:
        return [np.arange(count)]
    centres = _centres(vectors, -(-count // ROWS_A_CENTRE))
    nearest = np.empty((count, CENTRES_A_ROW), np.int64)
    for start in range(0, count, _BLOCK_ROWS):
        cosines = as_float32(vectors[start : start + _BLOCK_ROWS]) @ centres.T
        nearest[start : start + _BLOCK_ROWS] = np.argpartition(-cosines, CENTRES_A_ROW - 1, axis=1)[:, :CENTRES_A_ROW]
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=len(centres)))
    return [members for members in np.split(order // CENTRES_A_ROW, ends[:-1]) if len(members) > 1]


def _centres(vectors: HalfMatrix, count: int) -> FloatMatrix:
    """Unit centres, float32 [count, d], of rows drawn with the same dice each time."""
    chance = np.random.default_rng(_SEED)
    sample = as_float32(vectors[np.sort(chance.permutation(len(vectors))[: max(_SAMPLE_ROWS, 4 * count)])])
    centres = sample[np.sort(chance.permutation(len(sample))[:count])].copy()
    return moved_centres(sample, centres, _ROUNDS)
