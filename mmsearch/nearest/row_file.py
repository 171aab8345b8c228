"""The row file of one model and modality: all full vectors as the store holds them, mapped into memory.

The store takes 10 µs to hand out a vector, which is most of what a search costs that compares a thousand of them
exactly. A search of a fresh process does not look at this file.

The head (`nearest.chained`) is followed by blocks: a block's head, ids, int64 [n], checksums of the rows, uint64 [n],
and, from the next multiple of their size on, the rows, float16 [n, d], each filled up to eight bytes. The chain of
blocks covers ids and checksums, which are read when the file is opened; a row is held against its checksum when it is
read. The file is made anew from the store when too much of it is dead, and when it is in very many pieces.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from mmsearch.files.crash_points import crash_point
from mmsearch.files.replacing import write_whole
from mmsearch.nearest import derived
from mmsearch.nearest.chained import (
    BLOCK,
    BLOCK_MAGIC,
    BLOCK_ROWS,
    Description,
    block_checksum,
    describe,
    is_in_pieces,
    is_worn,
    open_chained,
    read_block,
    read_head,
    usable,
    write_head,
)
from mmsearch.nearest.derived import ROWS, NotUsable, Record
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import VectorRows, blocks_after, places_in
from mmsearch.records import HalfMatrix, ItemIds
from mmsearch.store.checksums import Words, row_checksums

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# A session keeps fewer rows in memory.
ROWS_FROM = 20_000
MOST_SMALL_BLOCKS = 256

_MAGIC = b"mmrows01"


@dataclass(frozen=True)
class RowFile:
    """An open row file: ids [n], ascending, and checksums [n] of its rows, and the file itself.

    A row of place p lies at `rows[p + shift]`, uint64 words; `starts` holds the first place of each block and `shifts`
    the shift.
    """

    description: Description
    record: Record
    item_ids: ItemIds
    checksums: Words
    starts: ItemIds
    shifts: ItemIds
    mapped: mmap.mmap
    rows: Words

    def read(self, item_ids: ItemIds) -> tuple[VectorRows, ItemIds]:
        """The rows of those items, ascending, as the store holds them, and the ids of those that are damaged.

        Items that it does not cover are in neither.

        Raises:
            NotUsable: somebody has cut the file short.
        """
        if self.mapped.size() < self.record.end:
            raise NotUsable("cut short or not a derived file")
        places, there = places_in(self.item_ids, item_ids)
        places = places[there]
        if not len(places):
            return VectorRows(places, np.empty((0, self.description.owner.dimension), np.float16)), places
        words = self.rows[places + self.shifts[np.searchsorted(self.starts, places, side="right") - 1]]
        sound = row_checksums(self.item_ids[places], words) == self.checksums[places]
        vectors = words.view(np.float16)[:, : self.description.owner.dimension]
        if sound.all():
            return VectorRows(self.item_ids[places], vectors), places[:0]
        return VectorRows(self.item_ids[places[sound]], vectors[sound]), self.item_ids[places[~sound]]


def open_rows(folder: str, store: Store, space: Space) -> RowFile:
    """The row file of the space, which is one without an adapter.

    Raises:
        NotUsable: it is damaged, or of another library or model. Missing, where there is none.
    """
    with open_chained(folder, store, space, ROWS, _read) as found:
        return found


def check_rows(folder: str, store: Store, space: Space) -> None:
    """Raises NotUsable, or Missing, where the row file cannot be used, or a row of it."""
    _whole(folder, store, space)


def refresh_rows(folder: str, store: Store, space: Space, rows: int) -> str | None:
    """Brings the row file of a space without an adapter, of about so many rows, up to date.

    Returns what was wrong with an unusable file.
    """
    path = derived.derived_path(folder, space, ROWS)
    if rows < ROWS_FROM:
        derived.remove(path)
        return None
    known, trouble = usable(lambda: _whole(folder, store, space))
    if known is None or _should_be_made_anew(known, store):
        _write_from_store(path, store, space)
    else:
        _add(path, store, space, known)
    return trouble


def _whole(folder: str, store: Store, space: Space) -> RowFile:
    """The row file with every row of it verified."""
    known = open_rows(folder, store, space)
    if hasattr(known.mapped, "madvise"):
        known.mapped.madvise(mmap.MADV_SEQUENTIAL)
    for start in range(0, len(known.item_ids), BLOCK_ROWS):
        _, damaged = known.read(known.item_ids[start : start + BLOCK_ROWS])
        if len(damaged):
            raise NotUsable("damaged: a row's checksum is wrong")
    return known


def _should_be_made_anew(known: RowFile, store: Store) -> bool:
    rows = len(known.item_ids)
    return is_worn(known.description, rows, store) or is_in_pieces(len(known.starts), rows, MOST_SMALL_BLOCKS)


def _write_from_store(path: str, store: Store, space: Space) -> None:
    latest = store.latest_item()
    description = describe(store, space)

    def write(file: IO[bytes]) -> Record:
        head = write_head(file, _MAGIC, description)
        return Record(latest, _write_rows_after(file, store, space, 0, head), file.tell())

    derived.keep_record(store, space, ROWS, write_whole(path, write))


def _add(path: str, store: Store, space: Space, known: RowFile) -> None:
    """Adds blocks of the rows that the file lacks.

    What a killed run had begun is written over and not cut off: a session may have mapped the file.
    """
    latest, before = store.latest_item(), known.record
    if latest <= before.covers_to:
        return
    with open(path, "r+b") as file:
        file.seek(before.end)
        checksum = _write_rows_after(file, store, space, before.covers_to, before.checksum)
        file.flush()
        os.fsync(file.fileno())
        end = file.tell()
    crash_point("rows added")
    derived.keep_record(store, space, ROWS, Record(latest, checksum, end))


def _write_rows_after(file: IO[bytes], store: Store, space: Space, after: int, checksum: int) -> int:
    """Blocks of all rows of items with higher ids than `after`. Returns the last checksum."""
    for rows in _in_full_blocks(blocks_after(store, space, after)):
        words = _as_words(rows.vectors)
        payload = rows.item_ids.astype("<i8").tobytes() + row_checksums(rows.item_ids, words).astype("<u8").tobytes()
        checksum = block_checksum(checksum, payload)
        file.write(BLOCK.pack(BLOCK_MAGIC, len(rows), checksum) + payload)
        file.flush()
        crash_point("rows begun")
        file.write(bytes(_gap(file.tell(), 8 * words.shape[1])))
        file.write(words.astype("<u8").tobytes())
    return checksum


def _in_full_blocks(pieces: Iterator[VectorRows]) -> Iterator[VectorRows]:
    """The same rows in blocks of BLOCK_ROWS or a little more, the last one as it comes."""
    waiting: list[VectorRows] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(len(one) for one in waiting) >= BLOCK_ROWS:
            yield VectorRows.together(waiting)
            waiting = []
    if waiting:
        yield VectorRows.together(waiting)


def _as_words(vectors: HalfMatrix) -> Words:
    """Rows of whole 64-bit words, uint64 [n, w]."""
    padded = np.pad(vectors.astype("<f2"), ((0, 0), (0, -vectors.shape[1] % 4)))
    return np.ascontiguousarray(padded).view("<u8")


def _gap(position: int, size: int) -> int:
    """How many bytes are missing up to the next multiple of `size`."""
    return -position % size


def _read(file: BinaryIO, record: Record) -> RowFile:
    description, _, checksum = read_head(file, _MAGIC)
    size = 8 * -(-description.owner.dimension // 4)
    item_ids: list[ItemIds] = [np.empty(0, np.int64)]
    checksums: list[Words] = [np.empty(0, np.uint64)]
    starts, shifts, count = [], [], 0
    while file.tell() < record.end:
        rows, payload, checksum = read_block(file, checksum, bytes_a_row=16)
        values = np.frombuffer(payload, "<u8")
        item_ids.append(values[:rows].view(np.int64))
        checksums.append(values[rows:])
        first = file.tell() + _gap(file.tell(), size)
        starts.append(count)
        shifts.append(first // size - count)
        count += rows
        file.seek(first + rows * size)
    if (file.tell(), checksum) != (record.end, record.checksum):
        raise NotUsable("of another state of this library")
    if os.fstat(file.fileno()).st_size < record.end:
        raise NotUsable("cut short or not a derived file")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_RANDOM)  # rows lie far apart: nothing is to be read ahead
    rows_mapped = np.frombuffer(mapped, "<u8", count=record.end // size * (size // 8)).reshape(-1, size // 8)
    places = np.array(starts, np.int64), np.array(shifts, np.int64)
    ids_and_checksums = np.concatenate(item_ids), np.concatenate(checksums)
    return RowFile(description, record, *ids_and_checksums, *places, mapped, rows_mapped)
