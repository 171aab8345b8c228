"""The vectors of one space as the catalogue holds them: all of them block by block, or those of some items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, HalfMatrix, ItemIds
from mmsearch.store.sqlite.damage import DamagedDatabase
from mmsearch.store.sqlite.store import Catalogue

# Read and converted to float32 at a time: stays in the processor's cache.
BLOCK_ROWS = 2_048


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
            block = self.vectors[start : start + BLOCK_ROWS].astype(np.float32)
            np.matmul(block, queries.T, out=found[start : start + BLOCK_ROWS])
        return found


@dataclass(frozen=True)
class StoredVectors:
    """All vectors of a space, read from the catalogue as they are asked for. `count` may include some of removed items.

    What reads them raises DamagedDatabase for a vector of a wrong size.
    """

    catalogue: Catalogue
    space: Space
    count: int

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[VectorRows]:
        """The rows, a block at a time, ascending."""
        return blocks_after(self.catalogue, self.space, 0)

    def sample(self, count: int, seed: int = 0) -> FloatMatrix:
        """Vectors float32 [k, dimension] of items drawn at random: `count` of them, or all that there are."""
        item_ids = self.catalogue.item_ids(self.space.model_id, self.space.modality)
        drawn = np.sort(np.random.default_rng(seed).permutation(len(item_ids))[:count])
        return rows_of(self.catalogue, self.space, item_ids[drawn]).vectors.astype(np.float32)


def blocks_after(catalogue: Catalogue, space: Space, item_id: int) -> Iterator[VectorRows]:
    """The rows of the space's items with ids above `item_id`, a block at a time, ascending."""
    while True:
        item_ids, vectors = catalogue.vectors_after(space.model_id, space.modality, item_id, BLOCK_ROWS)
        if len(item_ids):
            yield VectorRows(item_ids, _matrix(space, vectors))
        if len(item_ids) < BLOCK_ROWS:
            return
        item_id = int(item_ids[-1])


def rows_of(catalogue: Catalogue, space: Space, item_ids: ItemIds) -> VectorRows:
    """The rows of those items, ascending; items that are not there any more are left out."""
    found, vectors = catalogue.vectors_of(item_ids)
    return VectorRows(found, _matrix(space, vectors))


def _matrix(space: Space, vectors: Sequence[bytes]) -> HalfMatrix:
    size = 2 * space.identity.dimension
    if any(len(vector) != size for vector in vectors):
        raise DamagedDatabase("a vector has a wrong size")
    return space.of_stored(np.frombuffer(b"".join(vectors), "<f2").reshape(-1, space.identity.dimension))
