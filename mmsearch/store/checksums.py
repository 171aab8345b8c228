"""Checksums, of 64 bits, of vectors and of rows of tables: what SQLite itself does not look into."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import xxhash

from mmsearch.records import ItemIds

Words = npt.NDArray[np.uint64]


def row_checksums(item_ids: ItemIds, words: Words) -> Words:
    """Checksums, uint64 [n], of rows uint64 [n, w] with their ids: a multilinear hash modulo 2^64.

    All multipliers are odd, so that a change within one word never goes unnoticed.
    """
    factors = _factors(words.shape[1] + 2)
    hashed: Words = np.einsum("ij,j->i", words, factors[2:])
    hashed += item_ids.view(np.uint64) * factors[0]
    hashed += factors[1]
    return hashed


def vector_checksums(item_ids: ItemIds, vectors: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Checksums, int64 [n], of vectors as the store holds them, with the ids of their items.

    That of a row of the row file is the same number. What damage has turned into no bytes gets 0.
    """
    if not vectors:
        return np.empty(0, np.int64)
    if set(map(type, vectors)) == {bytes} and len(set(map(len, vectors))) == 1:
        size = len(vectors[0])
        rows: npt.NDArray[np.uint8] = np.frombuffer(b"".join(vectors), np.uint8).reshape(len(vectors), size)
        if size % 8:
            rows = np.pad(rows, ((0, 0), (0, -size % 8)))
        return row_checksums(item_ids, rows.view("<u8")).view(np.int64)
    found = np.zeros(len(vectors), np.int64)
    for place, vector in enumerate(vectors):
        if isinstance(vector, bytes):
            found[place : place + 1] = vector_checksums(item_ids[place : place + 1], [vector])
    return found


def values_checksum(*values: object) -> int:
    """The checksum, a signed integer, of a table row's values and of their types."""
    return int.from_bytes(xxhash.xxh3_64_digest(repr(values).encode("utf-8", "surrogatepass")), "little", signed=True)


@cache
def _factors(count: int) -> Words:
    return np.array([xxhash.xxh3_64_intdigest(b"factor %d" % number) | 1 for number in range(count)], np.uint64)
