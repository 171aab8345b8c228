"""Hub correction: pictures that are near to every text are held to be less near than their cosine says.

In high dimensions some items are among the nearest of many queries (Radovanović et al., "Hubs in Space", 2010). A query
bank, texts of many kinds as a model encodes them, shows which: for a text q and a picture v

    corrected = cos(q, v) − h(v),    h(v) = log(mean over the bank of exp(s · cos(b, v))) / s,

which is the inverted softmax (Smith et al., "Offline Bilingual Word Vectors, Orthogonal Transformations and the
Inverted Softmax", 2017), as querybank normalisation has it for pictures (Bogolin et al., "Cross Modal Retrieval with
Querybank Normalisation", 2022). It is one number a picture, whatever is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmsearch.encoding.calibration import TYPICAL_ACROSS
from mmsearch.records import FloatMatrix, HalfMatrix

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from mmsearch.encoding.protocol import Encoder

_TEXTS = os.path.join(os.path.dirname(__file__), "bank.txt")
# What comes between stays in the processor's cache.
_AT_ONCE = 128
_TEXTS_AT_ONCE = 16
# How sharp the kernels of familiarity are, by the spread of the bank. From 2 to 3 hardly differ.
_FAMILIAR = 2.25


@dataclass(frozen=True)
class QueryBank:
    """The texts of the bank as unit vectors, float32 [b, d], and the constants of a model's correction.

    `sharpness` is s. `centre` is the h of a picture that is neither near nor far: numbers are counted from there.
    """

    vectors: FloatMatrix
    sharpness: float
    centre: float

    def numbers(self, pictures: npt.NDArray[Any]) -> HalfMatrix:
        """What is added to the cosines of pictures with a text, float16 [n]: `centre` less h.

        Args:
            pictures: unit vectors [n, d] of any float type.
        """
        found = np.empty(len(pictures), np.float32)
        for start in range(0, len(pictures), _AT_ONCE):
            exponents = pictures[start : start + _AT_ONCE].astype(np.float32) @ self.vectors.T
            exponents *= np.float32(self.sharpness)
            found[start : start + _AT_ONCE] = _log_mean_exp(exponents) / np.float32(self.sharpness)
        return np.asarray(np.float32(self.centre) - found, np.float16)

    def familiarity(self, texts: FloatMatrix) -> npt.NDArray[np.float32]:
        """How much each text q is like what people ask, float32 [n]: log(mean over the bank of exp(s (cos(b, q) − m))),
        m being the mean of its cosines with the bank.

        It is the logarithm of a density, to which each text of the bank lends a kernel. What is near to some of the
        bank and far from the rest is familiar; what is as near to all of it is not, however near.

        Args:
            texts: unit vectors, float32 [n, d].
        """
        exponents = texts @ self.vectors.T
        exponents -= exponents.mean(axis=1, keepdims=True)
        exponents *= np.float32(_FAMILIAR / self._spread)
        return _log_mean_exp(exponents)

    @cached_property
    def _spread(self) -> float:
        """The standard deviation of the cosines of texts of the bank: of each of one half with one of the other."""
        half = len(self.vectors) // 2
        cosines = np.einsum("td,td->t", self.vectors[:half], self.vectors[half : 2 * half])
        return max(float(cosines.std()), 1e-3) if half else 1.0


def _log_mean_exp(exponents: FloatMatrix) -> npt.NDArray[np.float32]:
    """log(mean(exp)) of each row, float32 [n]; `exponents` [n, b] are overwritten."""
    highest = exponents.max(axis=1)
    exponents -= highest[:, np.newaxis]
    means = np.exp(exponents, out=exponents).mean(axis=1)
    return np.asarray(highest + np.log(means), np.float32)


def bank_texts() -> list[str]:
    """The texts of the bank."""
    with open(_TEXTS, encoding="utf-8") as file:
        return file.read().splitlines()


def packed(vectors: FloatMatrix) -> bytes:
    """Vectors float32 [b, d] as rows of d signed bytes, each followed by its scale, float32."""
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / 127
    rows = np.empty(len(vectors), _row_of(vectors.shape[1]))
    rows["numbers"] = np.rint(vectors / scales[:, np.newaxis])
    rows["scale"] = scales
    return rows.tobytes()


def stored_form(bank: QueryBank) -> tuple[str, bytes]:
    """How stores keep a bank: its name, 32 hexadecimal digits made of all of it, and its vectors as `packed`."""
    import xxhash

    vectors = packed(bank.vectors)
    digest = xxhash.xxh3_128(vectors)
    digest.update(repr((bank.sharpness, bank.centre)).encode())
    return digest.hexdigest(), vectors


def unpacked(rows: bytes, dimension: int) -> FloatMatrix:
    """What `packed` made, brought back to unit length.

    Raises:
        ValueError: it is not whole, or of another dimension.
    """
    read = np.frombuffer(rows, _row_of(dimension))
    if not len(read):
        raise ValueError("a query bank without texts")
    vectors = read["numbers"].astype(np.float32) * read["scale"][:, np.newaxis]
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def _row_of(dimension: int) -> np.dtype[Any]:
    return np.dtype([("numbers", "i1", (dimension,)), ("scale", "<f4")])


class Stopped(Exception):
    """The caller wants no bank any more."""


def query_bank_of(
    encoder: Encoder,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> QueryBank | None:
    """The query bank of a model: the one that comes with it, or its texts encoded now. None where it encodes no texts.

    The sharpness is one by the standard deviation of the cosines of unrelated texts and pictures, the centre what h is
    where they are normal.

    Raises:
        Stopped: `is_stopped` said so before all texts were encoded.
    """
    if "text" not in encoder.modalities:
        return None
    if encoder.query_bank is not None:
        return encoder.query_bank
    texts = bank_texts()
    parts = [texts[start : start + _TEXTS_AT_ONCE] for start in range(0, len(texts), _TEXTS_AT_ONCE)]
    rows: list[FloatMatrix] = []
    with _workers() as executor:
        for encoded in executor.map(partial(encoder.encode, "text"), parts):
            if is_stopped():
                raise Stopped
            rows.append(encoded)
            on_progress(min(len(rows) * _TEXTS_AT_ONCE, len(texts)), len(texts))
    known = (encoder.calibration or {}).get(("text", "image"))
    return QueryBank(np.concatenate(rows), *constants(*((known.mean, known.std) if known else TYPICAL_ACROSS)))


def constants(mean: float, std: float) -> tuple[float, float]:
    """Sharpness and centre for unrelated texts and pictures whose cosines have that mean and standard deviation."""
    return 1 / std, mean + std / 2


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Threads for all processors; what they have not begun is given up when an exception ends the block."""
    from concurrent.futures import ThreadPoolExecutor

    executor = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
