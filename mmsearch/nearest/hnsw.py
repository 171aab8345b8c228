"""The HNSW graph (hnswlib) over the rows of one space: approximate search for resident and batch use.

hnswlib checks nothing it loads: a flipped bit is a crash, a file of another dimension loads silently. Beside the
graph, a plain hnswlib file, therefore lies a derived file with its checksum and coverage, and both are verified
before hnswlib sees the graph. (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
Hierarchical Navigable Small World graphs", 2018.)
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import xxhash

from mmsearch.files.hashing import blocks_of
from mmsearch.files.replacing import replacing, write_whole
from mmsearch.nearest import derived
from mmsearch.nearest.derived import GRAPH, Missing, NotUsable, Owner, Record
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import StoredVectors, VectorRows
from mmsearch.records import FloatMatrix, ItemIds

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

LINKS = 16
EF_CONSTRUCTION = 200
# Texts among pictures are far from all of them: at a million photos 200 found 95 % of the nearest ten, 512 finds 98 %.
EF_SEARCH = 512
LARGEST_DEAD_SHARE = 0.25
# A graph is extended once this share of the rows is missing in it or dead; up to then the rest is looked at beside it.
STALE_SHARE = 0.1
# Up to this many rows extending it costs next to nothing.
CHEAP_ROWS = 20_000
# A graph takes some 1.7 kB of memory a row of 384 numbers: beyond so many rows it is made where somebody asks for it.
UNASKED_ROWS = 100_000
# How many items of the other modality may come before the record says that none of them concerns this graph.
LARGEST_LAG = 10_000
# hnswlib cannot be stopped within a call: half a second of work.
_ADD_ROWS = 1_024
_MAGIC = b"mmgraph1"


@dataclass(frozen=True)
class Description:
    """Whose graph it is and what it covers; `bytes` and `checksum` are those of hnswlib's file."""

    owner: Owner
    rows: int
    items_removed: int
    bytes: int
    checksum: str


@dataclass(frozen=True)
class Graph:
    """A loaded graph of `rows` rows: those of all items up to `covers_to`. `record` is what the store says of it.

    Threads take turns: how widely hnswlib looks is kept in its index.
    """

    index: Any
    rows: int
    record: Record
    turn: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def covers_to(self) -> int:
        return self.record.covers_to

    def nearest(self, query: FloatMatrix, count: int) -> tuple[ItemIds, FloatMatrix]:
        """The nearest items of a query, float32 [width]: ids [k] and their products with it [k], best first.

        Where rows have hub numbers, the query's last number is the weight of these.

        k is `count`, or less where there are fewer rows, or where fewer can be reached: among many equal rows.
        """
        k = min(count, self.rows)
        while True:
            try:
                with self.turn:
                    self.index.set_ef(max(EF_SEARCH, 2 * k))
                    labels, distances = self.index.knn_query(query[np.newaxis], k=k, num_threads=1)
            except RuntimeError:  # hnswlib gives k or nothing
                if k <= 1:
                    return np.empty(0, np.int64), np.empty(0, np.float32)
                k //= 2
                continue
            return labels[0].astype(np.int64), (1.0 - distances[0]).astype(np.float32)


def is_available() -> bool:
    """Whether hnswlib can be imported; without it there is no graph."""
    try:
        import hnswlib  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def is_stale(covered: int, newer: int, removed: int) -> bool:
    """Whether a graph of `covered` rows should be extended, as that many rows are newer and items removed."""
    return newer + removed > (0 if covered + newer <= CHEAP_ROWS else STALE_SHARE * covered)


def refresh_graph(folder: str, store: Store, stored: StoredVectors, asked: bool | None = None) -> str | None:
    """Brings the graph up to date with the vectors of a space, if it is unusable or stale.

    New rows are added to the graph that is there and dead ones marked; it is built anew where it is unusable or
    where more than `LARGEST_DEAD_SHARE` of it would be dead. Where nobody has `asked` for a graph, or for none,
    there is one up to UNASKED_ROWS. Returns what was wrong with a graph that was unusable.
    """
    space = stored.space
    path = derived.derived_path(folder, space, GRAPH)
    if not is_available() or not _can_be_named(path):
        return None
    if not (len(stored) <= UNASKED_ROWS if asked is None else asked):
        _remove(path)
        return None
    index, trouble = None, None
    try:
        description, record = _described(path, store, space)
        if os.path.getsize(path) != description.bytes:
            raise NotUsable("the graph is not the one its header speaks of")
        newer = store.count_items_after(space.model_id, space.modality, record.covers_to)
        removed = store.items_removed() - description.items_removed
        if removed < 0:
            raise NotUsable("of another state of this library")
        if not is_stale(description.rows, newer, removed):
            latest = store.latest_item()
            if newer == 0 and latest > record.covers_to + LARGEST_LAG:
                derived.keep_record(store, space, GRAPH, replace(record, covers_to=latest))
            return None
        index = _extended(_load(path, space, description), stored)
    except (Missing, FileNotFoundError):
        pass
    except NotUsable as reason:
        trouble = str(reason)
    index = index if index is not None else built(stored.blocks(), space.width, len(stored))
    _save(path, store, space, index)
    return trouble


def read_graph(folder: str, store: Store, space: Space) -> Graph:
    """The graph of the space.

    Raises:
        NotUsable: it is damaged or of another library; Missing, where there is none, or hnswlib is missing.
    """
    path = derived.derived_path(folder, space, GRAPH)
    if not is_available() or not _can_be_named(path):
        raise Missing("no graph can be read here")
    try:
        before = os.stat(path)
        description, record = _described(path, store, space)
        index = _load(path, space, description)
        after = os.stat(path)
    except FileNotFoundError:
        raise Missing("missing") from None
    # hnswlib opens the path itself: what it read is what was verified only if nobody put a newer file there.
    if not os.path.samestat(before, after) or before.st_mtime_ns != after.st_mtime_ns:
        raise Missing("being made anew")
    return Graph(index, description.rows, record)


def check_graph(folder: str, store: Store, space: Space) -> None:
    """Raises NotUsable, or Missing, where the graph cannot be used."""
    path = derived.derived_path(folder, space, GRAPH)
    description, _ = _described(path, store, space)
    _verify(path, description)


def built(blocks: Iterable[VectorRows], width: int, rows: int) -> Any:
    """A new hnswlib index of those rows of `width` numbers, about `rows` of them, under their items' ids."""
    import hnswlib

    index = hnswlib.Index(space="ip", dim=width)
    index.init_index(max_elements=max(1, rows), M=LINKS, ef_construction=EF_CONSTRUCTION, random_seed=1)
    for block in blocks:
        if index.get_current_count() + len(block) > index.get_max_elements():
            index.resize_index(2 * (index.get_current_count() + len(block)))
        _add(index, block)
    return index


def _save(path: str, store: Store, space: Space, index: Any) -> None:
    with replacing(path, "graph") as temporary:
        index.save_index(temporary)
        size = os.path.getsize(temporary)
        if size != index.index_file_size():  # hnswlib does not notice that it cannot write
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(temporary, "rb") as saved:
            checksum = _checksum(saved)
            os.fsync(saved.fileno())
    description = Description(
        owner=derived.owner_of(store, space),
        rows=len(store.item_ids(space.model_id, space.modality)),
        items_removed=store.items_removed(),
        bytes=size,
        checksum=checksum,
    )
    written = json.dumps(asdict(description)).encode()
    write_whole(_header_path(path), lambda file: file.write(_MAGIC + written))
    record = Record(store.latest_item(), xxhash.xxh3_64_intdigest(written))
    derived.keep_record(store, space, GRAPH, record)


def _remove(path: str) -> None:
    for one in (_header_path(path), path):
        derived.remove(one)


def _can_be_named(path: str) -> bool:
    """hnswlib takes names in UTF-8 only; a library in a folder of another name has no graph."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _described(path: str, store: Store, space: Space) -> tuple[Description, Record]:
    """What the header says, and what the store says of it."""
    record = derived.record_of(store, space, GRAPH)
    try:
        with derived.opened(_header_path(path)) as file:
            content = file.read()
    except FileNotFoundError:
        raise Missing("missing") from None
    except OSError as error:
        raise NotUsable(f"not readable ({error.strerror})") from error
    written = content[len(_MAGIC) :]
    if not content.startswith(_MAGIC):
        raise NotUsable("cut short or not a derived file")
    if xxhash.xxh3_64_intdigest(written) != record.checksum:
        raise NotUsable("damaged, or of another state of this library")
    try:
        fields = json.loads(written)
        description = Description(owner=Owner(**fields.pop("owner")), **fields)
    except (ValueError, KeyError, TypeError) as error:
        raise NotUsable(f"not readable ({error})") from error
    derived.check_owner(description.owner, store, space)
    return description, record


def _header_path(path: str) -> str:
    return f"{path}-header"


def _verify(path: str, description: Description) -> None:
    try:
        with derived.opened(path) as graph:
            found = _checksum(graph)
    except OSError as error:
        raise NotUsable(f"not readable ({error.strerror})") from error
    if found != description.checksum:
        raise NotUsable("the graph is not the one its header speaks of")


def _checksum(file: BinaryIO) -> str:
    digest = xxhash.xxh3_128()
    for block in blocks_of(file):
        digest.update(block)
    return digest.hexdigest()


def _load(path: str, space: Space, description: Description) -> Any:
    import hnswlib

    _verify(path, description)
    index = hnswlib.Index(space="ip", dim=space.width)
    index.load_index(path)
    return index


def _extended(index: Any, stored: StoredVectors) -> Any | None:
    """The graph with new rows added and dead ones marked, or None where too much of it is dead."""
    known, space = np.sort(np.array(index.get_ids_list(), np.int64)), stored.space
    live = stored.store.item_ids(space.model_id, space.modality)
    dead = np.setdiff1d(known, live)
    if len(dead) > LARGEST_DEAD_SHARE * max(1, len(known)):
        return None
    new = np.setdiff1d(live, known)
    index.resize_index(max(1, len(known) + len(new)))
    for item_id in dead:
        # Raised for what an earlier run marked already: hnswlib lists those too and has no way to ask.
        with suppress(RuntimeError):
            index.mark_deleted(int(item_id))
    for start in range(0, len(new), _ADD_ROWS):
        _add(index, stored.of_items(new[start : start + _ADD_ROWS]))
    return index


def _add(index: Any, rows: VectorRows) -> None:
    widened = rows.widened(index.dim)
    for start in range(0, len(rows), _ADD_ROWS):
        end = start + _ADD_ROWS
        index.add_items(widened[start:end], rows.item_ids[start:end])
