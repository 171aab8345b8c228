"""Compact codes of unit vectors: what they cost in bytes, and how to find near rows by them.

A code loses something; how much is measured by `mmsearch eval --compare codes`, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmsearch.records import FloatMatrix, HalfMatrix

Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Estimates = npt.NDArray[np.int16]

_WORD_BITS = 64
# So many rows are counted at a time: what comes between stays in the processor's cache.
_AT_ONCE = 4_096
# A query's numbers as signed integers of four bits, bit by bit: two's complement.
_LARGEST = 7
# With what a query of some 4,000 numbers adds up to, it is a number of 16 bits.
_LARGEST_CORRECTION = 4_095
_PLANE_WEIGHTS = np.array([1, 2, 4, -8], np.int16)


def as_float16(vectors: FloatMatrix) -> FloatMatrix:
    """Vectors [n, d] as they come back from half precision, 2 bytes a number: what a library stores."""
    return vectors.astype(np.float16).astype(np.float32)


def as_int8(vectors: FloatMatrix) -> FloatMatrix:
    """Vectors [n, d] as they come back from 8-bit integers with one scale a vector, a byte a number and 4 more."""
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12) / 127
    return np.asarray(np.rint(vectors / scale) * scale, np.float32)


def words_of(dimension: int) -> int:
    """How many 64-bit words a sign code of that many numbers takes."""
    return -(-dimension // _WORD_BITS)


def sign_words(vectors: npt.NDArray[np.number], mean: FloatMatrix) -> Words:
    """One bit a number: whether it is above the mean, float32 [d]. Vectors [n, d] to words uint64 [d / 64, n].

    Random hyperplane hashing (Charikar, "Similarity Estimation Techniques from Rounding Algorithms", 2002) with the
    axes for hyperplanes, centred, since the vectors of one modality share a direction.
    """
    missing = -vectors.shape[1] % _WORD_BITS
    bits = vectors > mean
    if missing:
        bits = np.pad(bits, ((0, 0), (0, missing)))
    return np.ascontiguousarray(np.packbits(bits, axis=1).view("<u8").T)


def mean_and_spread(vectors: FloatMatrix) -> tuple[FloatMatrix, float]:
    """The mean of vectors float32 [n, d], float32 [d], and how far from it their numbers are on average."""
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32), 0.0
    mean: FloatMatrix = vectors.mean(axis=0)
    return mean, float(np.abs(vectors - mean).mean())


@dataclass(frozen=True)
class CodedQuery:
    """A query to be held against sign codes: bit planes of its numbers in four bits, uint64 [4, d / 64].

    `step` is what 1 of these four bits stands for, and `by_text` the weight that hub numbers have.

    The query stays nearly whole while the rows are cut to signs, which tells near rows apart far better than signs
    on both sides do, above all for a text among pictures (Gao and Long, "RaBitQ", 2024, without its rotation, which
    was measured to add nothing here).
    """

    planes: Words
    step: float
    by_text: float = 0.0

    @classmethod
    def of(cls, query: FloatMatrix, by_text: float = 0.0) -> CodedQuery:
        """The coded form of a query, float32 [d]."""
        largest = max(float(np.abs(query).max()), 1e-12)
        rounded = np.rint(query * (_LARGEST / largest)).astype(np.int64)
        bits = rounded >> np.arange(4)[:, np.newaxis] & 1
        planes = np.ascontiguousarray(sign_words(bits, np.zeros(len(query), np.float32)).T)
        return cls(planes, largest / _LARGEST, by_text)

    def estimates(self, words: Words) -> Estimates:
        """For rows of sign codes, uint64 [d / 64, n], numbers that rise with their cosines, int16 [n].

        The sum of the query's numbers over the bits that a row has set, by counting bits plane by plane.
        """
        parts = [self._of_few(words[:, start : start + _AT_ONCE]) for start in range(0, words.shape[1], _AT_ONCE)]
        return np.concatenate([np.empty(0, np.int16), *parts])

    def corrected(self, estimates: Estimates, numbers: HalfMatrix, spread: float) -> Estimates:
        """Estimates of rows with their hub numbers, float16 [n], int16 [n].

        A cosine rises by twice the spread of the vectors' numbers and `step` where the estimate rises by 1.
        """
        if not self.by_text:
            return estimates
        units = numbers.astype(np.float32) * np.float32(self.by_text / max(2 * spread * self.step, 1e-9))
        corrections = np.clip(np.rint(units), -_LARGEST_CORRECTION, _LARGEST_CORRECTION).astype(np.int16)
        return np.asarray(estimates + corrections, np.int16)

    def _of_few(self, words: Words) -> Estimates:
        set_bits = np.bitwise_count(words[np.newaxis] & self.planes[:, :, np.newaxis])
        by_plane = set_bits.sum(axis=1, dtype=np.int16)
        weighted: Estimates = (by_plane * _PLANE_WEIGHTS[:, np.newaxis]).sum(axis=0, dtype=np.int16)
        return weighted


def best_places(estimates: Estimates, count: int) -> Places:
    """The places of the `count` highest estimates, ascending; of equal ones the first."""
    if count >= len(estimates):
        return np.arange(len(estimates), dtype=np.int64)
    lowest = int(estimates.min())
    above = np.cumsum(np.bincount(estimates.astype(np.int64) - lowest)[::-1])
    worst = len(above) - 1 - int(np.searchsorted(above, count)) + lowest
    better = np.flatnonzero(estimates > worst)
    return np.sort(np.concatenate([better, np.flatnonzero(estimates == worst)[: count - len(better)]]))


@dataclass(frozen=True)
class Coder:
    """How vectors become codes: `mean` float32 [d], and `axes`, orthonormal float32 [d, b], or None for the numbers.

    Each bit says whether a vector lies above the mean in one of its numbers or, where codes are learned, along one of
    the axes. `spread` is how far from the mean vectors are on average in one of these.
    """

    mean: FloatMatrix
    spread: float
    axes: FloatMatrix | None = None

    @classmethod
    def of(cls, vectors: FloatMatrix, bits: int = 0) -> Coder:
        """The coder of vectors float32 [n, d]: with so many learned bits, or 0 for one bit a number."""
        mean, spread = mean_and_spread(vectors)
        if not bits:
            return cls(mean, spread)
        from mmsearch.nearest.quantisation import learned_axes

        axes = learned_axes(vectors - mean, bits)
        return cls(mean, float(np.abs((vectors - mean) @ axes).mean()) if len(vectors) else 0.0, axes)

    @property
    def bits(self) -> int:
        """How many bits a code has."""
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    def words(self, vectors: npt.NDArray[np.floating]) -> Words:
        """The codes of vectors, floats [n, d], uint64 [bits / 64, n]."""
        wide = vectors.astype(np.float32)
        if self.axes is None:
            return sign_words(wide, self.mean)
        return sign_words((wide - self.mean) @ self.axes, np.zeros(self.bits, np.float32))

    def coded(self, query: FloatMatrix, by_text: float = 0.0) -> CodedQuery:
        """The coded form of a query, float32 [d], to be held against such codes."""
        return CodedQuery.of(query if self.axes is None else query @ self.axes, by_text)


@dataclass(frozen=True)
class CodedRows:
    """Codes of some vectors, uint64 [bits / 64, n], and their hub numbers, float16 [n]."""

    coder: Coder
    words: Words
    numbers: HalfMatrix

    @classmethod
    def of(cls, vectors: FloatMatrix, numbers: HalfMatrix | None = None, bits: int = 0) -> CodedRows:
        """The codes of vectors float32 [n, d]; see `Coder.of`."""
        coder = Coder.of(vectors, bits)
        own = np.zeros(len(vectors), np.float16) if numbers is None else numbers
        return cls(coder, coder.words(vectors), own)

    def estimates(self, query: FloatMatrix, by_text: float = 0.0) -> Estimates:
        """Numbers that rise with the rows' corrected cosines with a query, float32 [d]: int16 [n]."""
        coded = self.coder.coded(query, by_text)
        return coded.corrected(coded.estimates(self.words), self.numbers, self.coder.spread)

    def nearest(self, query: FloatMatrix, count: int, by_text: float = 0.0) -> Places:
        """The `count` rows that seem nearest to the query, float32 [d], in the order of the rows."""
        return best_places(self.estimates(query, by_text), count)
