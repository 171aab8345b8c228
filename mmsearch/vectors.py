"""The vectors of one space as memory-mapped rows, and exact search over them.

The sidecar is derived from the catalogue: item ids, int64 [n], ascending, then unit vectors, float16
[n, dimension]. Rows that the catalogue has and the sidecar has not are read from the catalogue beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import numpy as np

from mmsearch import derived
from mmsearch.catalogue import Catalogue, HalfMatrix, ItemIds
from mmsearch.derived import Coverage, Missing, NotUsable
from mmsearch.encoding import FloatMatrix
from mmsearch.spaces import Space

KIND = "vectors"
# Converted to float32 at a time: stays in the processor's cache.
BLOCK_ROWS = 2_048


@dataclass(frozen=True)
class VectorRows:
    """Rows of one space: `item_ids` int64 [n], ascending; `vectors` float16 [n, dimension], unit.

    `coverage` is that of the sidecar behind the first of them, `trouble` why a sidecar could not be used.
    """

    item_ids: ItemIds
    vectors: HalfMatrix
    coverage: Coverage | None = None
    trouble: str | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def cosines(self, queries: FloatMatrix) -> FloatMatrix:
        """Cosines, float32 [n, q], with unit queries, float32 [q, dimension]."""
        found = np.empty((len(self), len(queries)), np.float32)
        for start in range(0, len(self), BLOCK_ROWS):
            block = self.vectors[start : start + BLOCK_ROWS].astype(np.float32)
            np.matmul(block, queries.T, out=found[start : start + BLOCK_ROWS])
        return found

    def positions(self, item_ids: ItemIds) -> ItemIds:
        """Where those items stand among the rows; items that are not there are left out."""
        if len(self) == 0:
            return np.empty(0, np.int64)
        places: ItemIds = np.searchsorted(self.item_ids, item_ids).astype(np.int64)
        places[places == len(self)] = 0
        found: ItemIds = places[self.item_ids[places] == item_ids]
        return found

    def only(self, item_ids: ItemIds) -> VectorRows:
        """The rows of those items alone."""
        places = self.positions(item_ids)
        return VectorRows(self.item_ids[places], self.vectors[places])

    def after(self, item_id: int) -> VectorRows:
        """The rows of items that are newer than `item_id`."""
        first = int(np.searchsorted(self.item_ids, item_id, side="right"))
        return VectorRows(self.item_ids[first:], self.vectors[first:])


def read_rows(folder: str, catalogue: Catalogue, space: Space) -> VectorRows:
    """All rows of the space: from the sidecar where it is sound, the rest from the catalogue."""
    trouble = None
    try:
        rows = _read_sidecar(folder, catalogue, space)
    except Missing:
        rows = _no_rows(space)
    except NotUsable as reason:
        trouble = str(reason)
        rows = _no_rows(space)
    newer = _rows_after(catalogue, space, rows.coverage.last_item if rows.coverage else 0)
    if len(rows) and len(newer):
        return VectorRows(
            np.concatenate([rows.item_ids, newer.item_ids]),
            np.concatenate([rows.vectors, newer.vectors]),
            rows.coverage,
            trouble,
        )
    one = rows if len(rows) else newer
    return VectorRows(one.item_ids, one.vectors, rows.coverage, trouble)


def check_sidecar(folder: str, catalogue: Catalogue, space: Space) -> None:
    """Raises NotUsable, or Missing, where the sidecar cannot be used."""
    _read_sidecar(folder, catalogue, space)


def refresh_sidecar(folder: str, catalogue: Catalogue, space: Space) -> VectorRows:
    """Makes the sidecar anew if it is unusable or stale; leaves it alone otherwise. Returns all rows."""
    rows = read_rows(folder, catalogue, space)
    covered = rows.coverage
    if covered is not None:
        if not derived.is_stale(covered, len(rows.after(covered.last_item)), catalogue.items_removed()):
            return rows
        rows = _rows_after(catalogue, space, 0)  # without the dead rows that the sidecar still has

    def write_payload(file: IO[bytes]) -> None:
        file.write(rows.item_ids.astype("<i8").tobytes())
        file.write(rows.vectors.astype("<f2", copy=False).data)

    coverage = derived.coverage_of(catalogue, space, rows.item_ids)
    derived.write_derived(derived.derived_path(folder, space, KIND), coverage, write_payload)
    return VectorRows(rows.item_ids, rows.vectors, coverage, rows.trouble)


def _read_sidecar(folder: str, catalogue: Catalogue, space: Space) -> VectorRows:
    path = derived.derived_path(folder, space, KIND)
    with derived.open_derived(path, catalogue, space) as found:
        rows, dimension = found.coverage.rows, space.identity.dimension
        if found.payload_bytes != rows * (8 + 2 * dimension):
            raise NotUsable("of another size than its header says")
        if rows == 0:
            return _no_rows(space, found.coverage)
        # Of the open file that was verified: at its path there may be a newer one by now.
        item_ids = np.memmap(found.file, "<i8", "r", found.payload_start, (rows,))
        vectors = np.memmap(found.file, "<f2", "r", found.payload_start + 8 * rows, (rows, dimension))
        return VectorRows(item_ids, vectors, found.coverage)


def _rows_after(catalogue: Catalogue, space: Space, item_id: int) -> VectorRows:
    item_ids, vectors = catalogue.vectors_after(space.model_id, space.modality, item_id)
    matrix = np.frombuffer(b"".join(vectors), "<f2").reshape(-1, space.identity.dimension)
    return VectorRows(item_ids, space.of_stored(matrix))


def _no_rows(space: Space, coverage: Coverage | None = None) -> VectorRows:
    return VectorRows(np.empty(0, np.int64), np.empty((0, space.identity.dimension), np.float16), coverage)
