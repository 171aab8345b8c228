"""The vectors of one space as the store holds them: all of them block by block, or those of some items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, HalfMatrix, ItemIds
from mmsearch.store.refusals import DamagedStore

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# Read and converted to float32 at a time: stays in the processor's cache.
BLOCK_ROWS = 2_048
# What stays of a float16 that was widened with its sign and moved to where a float32 has its fraction.
_SIGN_AND_NUMBER = np.int32(-0x70000001)
# The exponent of a float16 counts from -15, that of a float32 from -127.
_EXPONENTS_APART = np.float32(2.0**112)


class SpaceQuery(NamedTuple):
    """What is asked of a space: a unit vector, float32 [dimension], and how much of it are texts.

    `by_text` is the sum of the weights of its texts, divided by the length of the weighted sum of all its terms. An
    item's corrected cosine is its cosine plus `by_text` times its hub number.
    """

    vector: FloatMatrix
    by_text: float = 0.0

    def widened(self, width: int) -> FloatMatrix:
        """The query for rows of so many numbers, the last of which is the hub number where that is one more."""
        more = width - len(self.vector)
        return np.append(self.vector, np.float32(self.by_text)) if more else self.vector


class Compared(NamedTuple):
    """Items held against a query: `item_ids` int64 [n], their `cosines` float32 [n], and those `corrected` for hubs."""

    item_ids: ItemIds
    cosines: FloatMatrix
    corrected: FloatMatrix

    def at(self, places: slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Compared:
        """Those at some places, or where a mask is true."""
        return Compared(self.item_ids[places], self.cosines[places], self.corrected[places])

    def among(self, item_ids: ItemIds | None) -> Compared:
        """Those of the items that are among others, ascending; all for None."""
        return self if item_ids is None else self.at(places_in(item_ids, self.item_ids)[1])

    @classmethod
    def together(cls, parts: Sequence[Compared]) -> Compared:
        """All of some parts, one after another."""
        nothing = np.empty(0, np.float32)
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.item_ids for part in parts)]),
            np.concatenate([nothing, *(part.cosines for part in parts)]),
            np.concatenate([nothing, *(part.corrected for part in parts)]),
        )


@dataclass(frozen=True)
class VectorRows:
    """Rows of one space: `item_ids` int64 [n], ascending; `vectors` float16 [n, dimension], unit.

    `numbers` are their hub numbers, float16 [n], where somebody has looked them up.
    """

    item_ids: ItemIds
    vectors: HalfMatrix
    numbers: HalfMatrix | None = None

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
        return self._at(places[there])

    @classmethod
    def together(cls, parts: Sequence[VectorRows]) -> VectorRows:
        """All rows of one or more parts, one part after another."""
        if len(parts) == 1:
            return parts[0]
        numbers = [part.numbers for part in parts if part.numbers is not None]
        return cls(
            np.concatenate([part.item_ids for part in parts]),
            np.concatenate([part.vectors for part in parts]),
            np.concatenate(numbers) if len(numbers) == len(parts) else None,
        )

    def after(self, item_id: int) -> VectorRows:
        """The rows with higher ids."""
        first = int(np.searchsorted(self.item_ids, item_id, side="right"))
        return self._at(slice(first, None))

    def _at(self, places: slice | ItemIds) -> VectorRows:
        numbers = None if self.numbers is None else self.numbers[places]
        return VectorRows(self.item_ids[places], self.vectors[places], numbers)

    def widened(self, width: int) -> FloatMatrix:
        """The vectors, float32 [n, width], with the hub numbers behind them where that is one more than they have."""
        vectors = self.vectors.astype(np.float32)
        if width == vectors.shape[1]:
            return vectors
        assert self.numbers is not None
        return np.column_stack([vectors, self.numbers.astype(np.float32)])


class KnownNumbers(NamedTuple):
    """Hub numbers, float16 [n], of items, int64 [n], ascending."""

    item_ids: ItemIds
    numbers: HalfMatrix


@dataclass(frozen=True)
class StoredVectors:
    """All vectors of a space, read from the store as they are asked for. `count` may include some of removed items.

    `known` are hub numbers that need not be computed. What reads them raises DamagedStore for a vector of a wrong
    size.
    """

    store: Store
    space: Space
    count: int
    known: KnownNumbers | None = None

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[VectorRows]:
        """The rows with their hub numbers, a block at a time, ascending."""
        for rows in blocks_after(self.store, self.space, 0):
            yield with_numbers(self.store, self.space, rows, self.known)

    def sample(self, count: int, seed: int = 0) -> VectorRows:
        """Rows with their hub numbers of items drawn at random: `count` of them, or all that there are."""
        item_ids = self.store.item_ids(self.space.model_id, self.space.modality)
        drawn = np.sort(np.random.default_rng(seed).permutation(len(item_ids))[:count])
        return self.of_items(item_ids[drawn])

    def of_items(self, item_ids: ItemIds) -> VectorRows:
        """The rows of those items, ascending, with their hub numbers."""
        return with_numbers(self.store, self.space, rows_of(self.store, self.space, item_ids), self.known)


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


def with_numbers(store: Store, space: Space, rows: VectorRows, known: KnownNumbers | None = None) -> VectorRows:
    """The rows with their hub numbers: those that are known, and the others computed."""
    if known is None or not space.query_bank:
        return replace(rows, numbers=space.hub_numbers(store, rows.vectors))
    places, there = places_in(known.item_ids, rows.item_ids)
    numbers = np.empty(len(rows), np.float16)
    numbers[there] = known.numbers[places[there]]
    if not there.all():
        numbers[~there] = space.hub_numbers(store, rows.vectors[~there])
    return replace(rows, numbers=numbers)


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
        raise DamagedStore("a vector has a wrong size")
    return space.of_stored(np.frombuffer(b"".join(vectors), "<f2").reshape(-1, space.identity.dimension))
