"""Compact codes of unit vectors: what they cost in bytes, and how to find near rows by them.

A code loses something; how much is measured by `mmsearch eval --compare codes`, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.encoding import FloatMatrix

_WORD_BITS = 64


def as_float16(vectors: FloatMatrix) -> FloatMatrix:
    """Vectors [n, d] as they come back from half precision, 2 bytes a number: what a library stores."""
    return vectors.astype(np.float16).astype(np.float32)


def as_int8(vectors: FloatMatrix) -> FloatMatrix:
    """Vectors [n, d] as they come back from 8-bit integers with one scale a vector, a byte a number and 4 more."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12) / 127
    return np.asarray(np.rint(vectors / scale) * scale, np.float32)


@dataclass(frozen=True)
class SignCodes:
    """One bit a number: on which side of the mean it lies. `mean` float32 [d], `words` uint64 [n, d / 64].

    Random hyperplane hashing (Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002) with the
    axes for hyperplanes, centred, since the vectors of one modality share a direction.
    """

    mean: FloatMatrix
    words: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, vectors: FloatMatrix) -> SignCodes:
        """The codes of vectors float32 [n, d]."""
        mean = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1], np.float32)
        return cls(mean, _words(vectors - mean))

    def nearest(self, query: FloatMatrix, count: int) -> npt.NDArray[np.int64]:
        """The rows that differ from the query, float32 [d], in the fewest bits: `count` of them, in no order."""
        differing = np.bitwise_count(self.words ^ _words((query - self.mean)[np.newaxis])).sum(axis=1, dtype=np.int32)
        if count >= len(differing):
            return np.arange(len(differing))
        return np.argpartition(differing, count)[:count].astype(np.int64)


def _words(centred: FloatMatrix) -> npt.NDArray[np.uint64]:
    missing = -centred.shape[1] % _WORD_BITS
    bits = np.pad(centred > 0, ((0, 0), (0, missing)))
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)
