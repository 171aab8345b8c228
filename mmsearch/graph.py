"""The HNSW graph (hnswlib) over the rows of one space: approximate search for resident and batch use.

hnswlib checks nothing it loads: a flipped bit is a crash, a file of another dimension loads silently. Beside the
graph, a plain hnswlib file, therefore lies a derived file with its checksum and coverage, and both are verified
before hnswlib sees the graph. (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", 2018.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import xxhash

from mmsearch import derived
from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.derived import Coverage, NotUsable
from mmsearch.encoding import FloatMatrix
from mmsearch.spaces import Space
from mmsearch.vectors import VectorRows

KIND = "hnsw"
LINKS = 16
EF_CONSTRUCTION = 200
EF_SEARCH = 128
LARGEST_DEAD_SHARE = 0.25
_ADD_ROWS = 8_192
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Graph:
    """A loaded graph; `coverage` says which items it knows."""

    index: Any
    coverage: Coverage

    def nearest(self, queries: FloatMatrix, count: int) -> tuple[ItemIds, FloatMatrix]:
        """The nearest items of unit queries, float32 [q, dimension]: ids [q, k] and cosines [q, k], best first.

        k is `count`, or the number of rows where there are fewer.
        """
        k = min(count, self.coverage.rows)
        self.index.set_ef(max(EF_SEARCH, 2 * k))
        labels, distances = self.index.knn_query(queries, k=k)
        return labels.astype(np.int64), (1.0 - distances).astype(np.float32)


def is_available() -> bool:
    """Whether hnswlib can be imported; without it every search is exact."""
    try:
        import hnswlib  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def refresh_graph(folder: str, catalogue: Catalogue, space: Space, rows: VectorRows) -> None:
    """Brings the graph up to date with `rows`, all rows of the space, if it is unusable or stale.

    New rows are added to the graph that is there and dead ones marked; it is built anew where it is unusable or
    where more than `LARGEST_DEAD_SHARE` of it would be dead.
    """
    path = derived.derived_path(folder, space, KIND)
    if not is_available() or not _can_be_named(path):
        return
    index = None
    try:
        covered = _verified(path, catalogue, space)
        if not derived.is_stale(covered, len(rows.after(covered.last_item)), catalogue.items_removed()):
            return
        index = _extended(_load(path, space), rows)
    except NotUsable:
        pass
    index = index if index is not None else built(rows.item_ids, rows.vectors)
    temporary = f"{path}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        index.save_index(temporary)
        with open(temporary, "rb") as saved:
            checksum = _checksum(saved)
            os.fsync(saved.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    coverage = derived.coverage_of(catalogue, space, rows.item_ids)
    derived.write_derived(_header_path(path), coverage, lambda file: file.write(checksum))


def read_graph(folder: str, catalogue: Catalogue, space: Space) -> Graph | None:
    """The graph of the space, or None where there is none, it is damaged, or hnswlib is missing."""
    path = derived.derived_path(folder, space, KIND)
    if not is_available() or not _can_be_named(path):
        return None
    try:
        before = os.stat(path)
        coverage = _verified(path, catalogue, space)
        index = _load(path, space)
        after = os.stat(path)
    except (NotUsable, FileNotFoundError):
        return None
    # hnswlib opens the path itself: what it read is what was verified only if nobody put a newer file there.
    if not os.path.samestat(before, after) or before.st_mtime_ns != after.st_mtime_ns:
        return None
    return Graph(index, coverage)


def _can_be_named(path: str) -> bool:
    """hnswlib takes names in UTF-8 only; a library in a folder of another name is searched exactly."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _verified(path: str, catalogue: Catalogue, space: Space) -> Coverage:
    with derived.open_derived(_header_path(path), catalogue, space) as header:
        header.file.seek(header.payload_start)
        expected = header.file.read()
        try:
            with open(path, "rb") as graph:
                found = _checksum(graph)
        except OSError as error:
            raise NotUsable(f"not readable ({error.strerror})") from error
        if found != expected:
            raise NotUsable("the graph is not the one its header speaks of")
        return header.coverage


def _header_path(path: str) -> str:
    return f"{path}-header"


def _checksum(file: BinaryIO) -> bytes:
    digest = xxhash.xxh3_128()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return digest.digest()


def _load(path: str, space: Space) -> Any:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=space.identity.dimension)
    index.load_index(path)
    return index


def built(item_ids: ItemIds, vectors: npt.NDArray[Any]) -> Any:
    """A new hnswlib index of unit vectors, [n, d] of any float type, under those ids, int64 [n]."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=vectors.shape[1])
    index.init_index(max_elements=max(1, len(item_ids)), M=LINKS, ef_construction=EF_CONSTRUCTION, random_seed=1)
    _add(index, VectorRows(item_ids, vectors))
    return index


def _extended(index: Any, rows: VectorRows) -> Any | None:
    """The graph with new rows added and dead ones marked, or None where too much of it is dead."""
    known = np.sort(np.array(index.get_ids_list(), np.int64))
    dead = np.setdiff1d(known, rows.item_ids)
    if len(dead) > LARGEST_DEAD_SHARE * max(1, len(known)):
        return None
    new = rows.only(np.setdiff1d(rows.item_ids, known))
    index.resize_index(max(1, len(known) + len(new)))
    for item_id in dead:
        # Raised for what an earlier run marked already: hnswlib lists those too and has no way to ask.
        with suppress(RuntimeError):
            index.mark_deleted(int(item_id))
    _add(index, new)
    return index


def _add(index: Any, rows: VectorRows) -> None:
    for start in range(0, len(rows), _ADD_ROWS):
        end = start + _ADD_ROWS
        index.add_items(rows.vectors[start:end].astype(np.float32), rows.item_ids[start:end])
