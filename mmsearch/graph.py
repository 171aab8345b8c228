"""The HNSW graph (hnswlib) over the rows of one space: approximate search for resident and batch use.

hnswlib checks nothing it loads: a flipped bit is a crash, a file of another dimension loads silently. Beside the
graph, a plain hnswlib file, therefore lies a derived file with its checksum and coverage, and both are verified
before hnswlib sees the graph. (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", 2018.)
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import xxhash

from mmsearch import derived
from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.crash_points import crash_point
from mmsearch.derived import Coverage, Missing, NotUsable
from mmsearch.encoding import FloatMatrix
from mmsearch.spaces import Space
from mmsearch.vectors import VectorRows

KIND = "hnsw"
LINKS = 16
EF_CONSTRUCTION = 200
EF_SEARCH = 128
LARGEST_DEAD_SHARE = 0.25
# hnswlib cannot be stopped within a call: half a second of work.
_ADD_ROWS = 1_024
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


def refresh_graph(folder: str, catalogue: Catalogue, space: Space, rows: VectorRows) -> str | None:
    """Brings the graph up to date with `rows`, all rows of the space, if it is unusable or stale.

    New rows are added to the graph that is there and dead ones marked; it is built anew where it is unusable or
    where more than `LARGEST_DEAD_SHARE` of it would be dead. Returns what was wrong with a graph that was unusable.
    """
    path = derived.derived_path(folder, space, KIND)
    if not is_available() or not _can_be_named(path):
        return None
    index, trouble = None, None
    try:
        covered = _verified(path, catalogue, space)
        if not derived.is_stale(covered, len(rows.after(covered.last_item)), catalogue.items_removed()):
            return None
        index = _extended(_load(path, space), rows)
    except Missing:
        pass
    except NotUsable as reason:
        trouble = str(reason)
    index = index if index is not None else built(rows.item_ids, rows.vectors)
    temporary = f"{path}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        index.save_index(temporary)
        if os.path.getsize(temporary) != index.index_file_size():  # hnswlib does not notice that it cannot write
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(temporary, "rb") as saved:
            checksum = _checksum(saved)
            os.fsync(saved.fileno())
        crash_point("graph written")
        os.replace(temporary, path)
        crash_point("graph in place")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
    coverage = derived.coverage_of(catalogue, space, rows.item_ids)
    derived.write_derived(_header_path(path), coverage, lambda file: file.write(checksum))
    return trouble


def read_graph(folder: str, catalogue: Catalogue, space: Space) -> Graph:
    """The graph of the space.

    Raises:
        NotUsable: it is damaged or of another library; Missing, where there is none, or hnswlib is missing.
    """
    path = derived.derived_path(folder, space, KIND)
    if not is_available() or not _can_be_named(path):
        raise Missing("no graph can be read here")
    try:
        before = os.stat(path)
        coverage = _verified(path, catalogue, space)
        index = _load(path, space)
        after = os.stat(path)
    except FileNotFoundError:
        raise Missing("missing") from None
    # hnswlib opens the path itself: what it read is what was verified only if nobody put a newer file there.
    if not os.path.samestat(before, after) or before.st_mtime_ns != after.st_mtime_ns:
        raise Missing("being made anew")
    return Graph(index, coverage)


def check_graph(folder: str, catalogue: Catalogue, space: Space) -> None:
    """Raises NotUsable, or Missing, where the graph cannot be used."""
    _verified(derived.derived_path(folder, space, KIND), catalogue, space)


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
