"""Spherical k-means over unit rows (Dhillon and Modha, "Concept Decompositions for Large Sparse Text Data", 2001)."""

from __future__ import annotations

import numpy as np

from mmsearch.nearest.vectors import as_float32
from mmsearch.records import FloatMatrix, HalfMatrix, ItemIds

_BLOCK_ROWS = 1_024


def moved_centres(rows: FloatMatrix, centres: FloatMatrix, rounds: int) -> FloatMatrix:
    """Unit centres, float32 [k, d], of unit rows, float32 [n, d], after so many rounds, or when nothing moves any more.

    A centre that no row is nearest to stays where it is.
    """
    before: ItemIds | None = None
    for _ in range(rounds):
        nearest = np.concatenate(
            [
                (rows[start : start + _BLOCK_ROWS] @ centres.T).argmax(axis=1)
                for start in range(0, len(rows), _BLOCK_ROWS)
            ]
        )
        if before is not None and np.array_equal(before, nearest):
            break
        before = nearest
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, rows)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres).astype(np.float32)
    return centres


def nearest_centres(vectors: HalfMatrix, centres: FloatMatrix) -> tuple[ItemIds, FloatMatrix]:
    """For unit rows, float16 [n, d], the nearest of some centres, int64 [n], and the cosine with it, float32 [n]."""
    nearest, highest = np.empty(len(vectors), np.int64), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        cosines = as_float32(vectors[start : start + _BLOCK_ROWS]) @ centres.T
        nearest[start : start + _BLOCK_ROWS] = cosines.argmax(axis=1)
        highest[start : start + _BLOCK_ROWS] = cosines.max(axis=1)
    return nearest, highest
