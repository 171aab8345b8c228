"""The vectors of one space as the store holds them: all of them block by block, or those of some items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, HalfMatrix, ItemIds
from mmsearch.store.sqlite.connected import DamagedDatabase

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# Read and converted to float32 at a time: stays in the processor's cache.
BLOCK_ROWS = 2_048
# What stays of a float16 that was widened with its sign and moved to where a float32 has its fraction.
_SIGN_AND_NUMBER = np.int32(-0x70000001)
# The exponent of a float16 counts from -15, that of a float32 from -127.
_EXPONENTS_APART = np.float32(2.0**112)


@dataclass(frozen=True)
class VectorRows:
    """Rows of one space: `item_ids` int64 [n], ascending; `vectors` float16 [n, dimension], unit."""

    item_ids: ItemIds
    vectors: HalfMatrix

    def __len__(self) -> int:
        return len(self.item_ids)

    def cosines(self, queries: FloatMatrix) -> FloatMatrix:
        """Cosines, float32 [n, q], with unit queries, float32 [q, dimension]."""
        found = np.empty((len(self), len(queries)), np.float32)
        for start in range(0, len(self), BLOCK_ROWS):
            block = as_float32(self.vectors[start : start + BLOCK_ROWS])
            np.matmul(block, queries.T, out=found[start : start + BLOCK_ROWS])
        return found

    def cosines_with(self, query: FloatMatrix) -> FloatMatrix:
        """Cosines, float32 [n], with one unit query, float32 [dimension].

        Each is the same to the last bit whatever rows stand beside it, so that equal rows stay in one order.
        """
        found = np.empty(len(self), np.float32)
        for start in range(0, len(self), BLOCK_ROWS):
            block = as_float32(self.vectors[start : start + BLOCK_ROWS])
            np.einsum("ij,j->i", block, query, out=found[start : start + BLOCK_ROWS])
        return found

    def of_items(self, item_ids: ItemIds) -> VectorRows:
        """Those of the rows whose ids are among `item_ids`, ascending."""
        places, there = places_in(self.item_ids, item_ids)
        places = places[there]
        return VectorRows(self.item_ids[places], self.vectors[places])

    @classmethod
    def together(cls, parts: Sequence[VectorRows]) -> VectorRows:
        """All rows of one or more parts, one part after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(np.concatenate([part.item_ids for part in parts]), np.concatenate([part.vectors for part in parts]))

    def after(self, item_id: int) -> VectorRows:
        """The rows with higher ids."""
        first = int(np.searchsorted(self.item_ids, item_id, side="right"))
        return VectorRows(self.item_ids[first:], self.vectors[first:])


@dataclass(frozen=True)
class StoredVectors:
    """All vectors of a space, read from the store as they are asked for. `count` may include some of removed items.

    What reads them raises DamagedDatabase for a vector of a wrong size.
    """

    store: Store
    space: Space
    count: int

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[VectorRows]:
        """The rows, a block at a time, ascending."""
        return blocks_after(self.store, self.space, 0)

    def sample(self, count: int, seed: int = 0) -> FloatMatrix:
        """Vectors float32 [k, dimension] of items drawn at random: `count` of them, or all that there are."""
        item_ids = self.store.item_ids(self.space.model_id, self.space.modality)
        drawn = np.sort(np.random.default_rng(seed).permutation(len(item_ids))[:count])
        return rows_of(self.store, self.space, item_ids[drawn]).vectors.astype(np.float32)


def blocks_after(store: Store, space: Space, item_id: int) -> Iterator[VectorRows]:
    """The rows of the space's items with ids above `item_id`, a block at a time, ascending."""
    while True:
        item_ids, vectors = store.vectors_after(space.model_id, space.modality, item_id, BLOCK_ROWS)
        if len(item_ids):
            yield VectorRows(item_ids, _matrix(space, vectors))
        if len(item_ids) < BLOCK_ROWS:
            return
        item_id = int(item_ids[-1])


def rows_of(store: Store, space: Space, item_ids: ItemIds) -> VectorRows:
    """The rows of those items, ascending; items that are not there any more are left out."""
    found, vectors = store.vectors_of(item_ids)
    return VectorRows(found, _matrix(space, vectors))


def places_in(item_ids: ItemIds, asked: ItemIds) -> tuple[ItemIds, npt.NDArray[np.bool_]]:
    """Where in `item_ids`, ascending, each of the asked ones would stand, and whether it is there: both [n]."""
    if len(item_ids) == 0:
        return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
    places = np.searchsorted(item_ids, asked)
    places[places == len(item_ids)] = 0
    return places, item_ids[places] == asked


def as_float32(vectors: HalfMatrix) -> FloatMatrix:
    """The same finite numbers as float32, several times as fast as numpy does it."""
    bits = np.ascontiguousarray(vectors).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_NUMBER
    numbers = bits.view(np.float32)
    numbers *= _EXPONENTS_APART
    return numbers


def _matrix(space: Space, vectors: Sequence[bytes]) -> HalfMatrix:
    size = 2 * space.identity.dimension
    if any(len(vector) != size for vector in vectors):
        raise DamagedDatabase("a vector has a wrong size")
    return space.of_stored(np.frombuffer(b"".join(vectors), "<f2").reshape(-1, space.identity.dimension))
