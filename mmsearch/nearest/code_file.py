"""The code file of one space: the ids and codes of all its rows, one after another, added to as a library grows.

It is small (58 bytes a row of 384 numbers; 26 with 128 learned bits) and read from beginning to end by a search of a
fresh process, which then asks the store for the full vectors of the rows that seem nearest.

The head (`nearest.chained`) is followed by the mean, float32 [d], the spread, float32, and, of learned codes, the axes,
float32 [d, b]; each block's head by ids, int64 [n], words, uint64 [w, n], and hub numbers, float16 [n]. The file is
written anew, beside the old one, when too much of it is dead, when it has come to consist of many small blocks, when
mean and axes are those of a far smaller library, or when the library is to have other codes. A search takes the codes
that are there: the head tells how a query is held against them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
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
from mmsearch.nearest.codes import Coder, Words, words_of
from mmsearch.nearest.derived import CODES, NotUsable, Record
from mmsearch.nearest.spaces import Space
from mmsearch.nearest.vectors import KnownNumbers, StoredVectors, VectorRows, blocks_after, with_numbers
from mmsearch.records import HalfMatrix, ItemIds
from mmsearch.store.settings import wanted_code_bits

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

# The mean of so many rows stands for any number; that of fewer is taken again when there are so many times as many.
ROWS_FOR_MEAN = 8_192
GROWTH_FOR_MEAN = 8
# So many small blocks beyond what full ones would be do no harm.
MOST_SMALL_BLOCKS = 16

_MAGIC = b"mmcodes2"


@dataclass(frozen=True)
class CodeBlock:
    """Codes of some rows: `item_ids` int64 [n], ascending; `words` uint64 [w, n]; hub `numbers` float16 [n]."""

    item_ids: ItemIds
    words: Words
    numbers: HalfMatrix


@dataclass
class OpenCodes:
    """A code file that is being read: what is read is verified first. `end`, `checksum`, `rows` and `count` (of blocks)
    tell how far that is; `head` is the checksum of its head.
    """

    description: Description
    coder: Coder
    record: Record
    file: BinaryIO
    end: int
    checksum: int
    rows: int = 0
    count: int = 0
    head: int = 0

    def go_on_from(self, end: int, checksum: int) -> None:
        """Goes to where an earlier reading had come to. The blocks from there on will tell if this is another file."""
        self.end, self.checksum = end, checksum

    def blocks(self) -> Iterator[CodeBlock]:
        """All blocks that the store speaks of.

        Raises:
            NotUsable: a block is damaged, or they are not those.
        """
        while self.end < self.record.end:
            try:
                block = self._next()
            except (OSError, struct.error) as error:
                raise NotUsable(f"not readable ({error})") from error
            self.rows += len(block.item_ids)
            self.count += 1
            yield block
        if (self.end, self.checksum) != (self.record.end, self.record.checksum):
            raise NotUsable("of another state of this library")

    def _next(self) -> CodeBlock:
        words = words_of(self.coder.bits)
        self.file.seek(self.end)
        rows, payload, self.checksum = read_block(self.file, self.checksum, 8 * (1 + words) + 2)
        self.end += BLOCK.size + len(payload)
        values = np.frombuffer(payload, "<u8", count=rows * (1 + words))
        numbers = np.frombuffer(payload, "<f2", offset=values.nbytes)
        return CodeBlock(values[:rows].view(np.int64), values[rows:].reshape(words, rows), numbers)


def open_codes(folder: str, store: Store, space: Space) -> AbstractContextManager[OpenCodes]:
    """The code file of the space, open for reading.

    Raises:
        NotUsable: it is damaged, or of another library or model. Missing, where there is none.
    """
    return open_chained(folder, store, space, CODES, _begun)


def check_codes(folder: str, store: Store, space: Space) -> None:
    """Raises NotUsable, or Missing, where the code file cannot be used."""
    _whole(folder, store, space)


def refresh_codes(folder: str, store: Store, space: Space) -> tuple[StoredVectors, str | None]:
    """Brings the code file up to date. Returns the space's vectors, and what was wrong with an unusable file."""
    path = derived.derived_path(folder, space, CODES)
    if not store.latest_item():
        return StoredVectors(store, space, 0), None
    known, trouble = usable(lambda: _whole(folder, store, space))
    if known is None or _is_worn(known, store, space):
        rows = _write_from_store(path, store, space)
    else:
        if is_in_pieces(known.count, known.rows, MOST_SMALL_BLOCKS):
            known = _in_fewer_pieces(known, path, folder, store, space)
        rows = known.rows + _add(path, store, space, known)
    return StoredVectors(store, space, rows, _known_numbers(folder, store, space)), trouble


def _known_numbers(folder: str, store: Store, space: Space) -> KnownNumbers | None:
    """The hub numbers in the code file, which is up to date."""
    if not space.query_bank:
        return None
    with open_codes(folder, store, space) as codes:
        blocks = list(codes.blocks())
    return KnownNumbers(
        np.concatenate([np.empty(0, np.int64), *(block.item_ids for block in blocks)]),
        np.concatenate([np.empty(0, np.float16), *(block.numbers for block in blocks)]),
    )


def _whole(folder: str, store: Store, space: Space) -> OpenCodes:
    """The code file read to its end; closed."""
    with open_codes(folder, store, space) as codes:
        for _ in codes.blocks():
            pass
        return codes


def _is_worn(known: OpenCodes, store: Store, space: Space) -> bool:
    """Whether the file should be made anew from the vectors themselves."""
    if is_worn(known.description, known.rows, store) or known.description.bits != wanted_code_bits(store):
        return True
    if known.description.rows >= ROWS_FOR_MEAN and not known.description.bits:
        return False
    newer = store.count_items_after(space.model_id, space.modality, known.record.covers_to)
    return known.rows + newer > GROWTH_FOR_MEAN * max(1, known.description.rows)


def _add(path: str, store: Store, space: Space, known: OpenCodes) -> int:
    """Adds blocks of the rows that the file lacks. Returns how many rows."""
    latest, before = store.latest_item(), known.record
    if latest <= before.covers_to:
        return 0
    with open(path, "r+b") as file:
        file.truncate(before.end)  # what a run that was killed had begun
        file.seek(before.end)
        rows, checksum = _write_rows_after(file, store, space, known.coder, before.covers_to, before.checksum)
        file.flush()
        os.fsync(file.fileno())
        end = file.tell()
    crash_point("codes added")
    derived.keep_record(store, space, CODES, Record(latest, checksum, end))
    return rows


def _write_from_store(path: str, store: Store, space: Space) -> int:
    bits, latest = wanted_code_bits(store), store.latest_item()
    coder = _learned(store, space, bits)
    description = replace(describe(store, space), bits=bits)

    def write(file: IO[bytes]) -> tuple[int, int, int]:
        head = _write_head(file, description, coder)
        return *_write_rows_after(file, store, space, coder, 0, head), file.tell()

    count, checksum, end = write_whole(path, write)
    derived.keep_record(store, space, CODES, Record(latest, checksum, end))
    return count


def _in_fewer_pieces(known: OpenCodes, path: str, folder: str, store: Store, space: Space) -> OpenCodes:
    """Writes the file anew from its own blocks. Returns it with its new record."""

    def write(file: IO[bytes]) -> Record:
        checksum = _write_head(file, known.description, known.coder)
        with open_codes(folder, store, space) as codes:
            for block in _in_full_blocks(codes.blocks(), words_of(known.coder.bits)):
                checksum = _write_block(file, block, checksum)
        return Record(known.record.covers_to, checksum, file.tell())

    record = write_whole(path, write)
    derived.keep_record(store, space, CODES, record)
    return replace(known, record=record)


def _write_rows_after(
    file: IO[bytes], store: Store, space: Space, coder: Coder, after: int, checksum: int
) -> tuple[int, int]:
    """Blocks of all rows of items with higher ids than `after`. Returns how many rows, and the last checksum."""
    stored = (with_numbers(store, space, rows) for rows in blocks_after(store, space, after))
    rows = 0
    for block in _in_full_blocks((_coded(one, coder) for one in stored), words_of(coder.bits)):
        checksum = _write_block(file, block, checksum)
        rows += len(block.item_ids)
    return rows, checksum


def _coded(rows: VectorRows, coder: Coder) -> CodeBlock:
    assert rows.numbers is not None
    return CodeBlock(rows.item_ids, coder.words(rows.vectors), rows.numbers)


def _in_full_blocks(pieces: Iterable[CodeBlock], words: int) -> Iterator[CodeBlock]:
    """The same rows in blocks of BLOCK_ROWS, the last one as it comes."""
    waiting = CodeBlock(np.empty(0, np.int64), np.empty((words, 0), np.uint64), np.empty(0, np.float16))
    for piece in pieces:
        waiting = CodeBlock(
            np.concatenate([waiting.item_ids, piece.item_ids]),
            np.concatenate([waiting.words, piece.words], axis=1),
            np.concatenate([waiting.numbers, piece.numbers]),
        )
        while len(waiting.item_ids) >= BLOCK_ROWS:
            yield _cut(waiting, slice(BLOCK_ROWS))
            waiting = _cut(waiting, slice(BLOCK_ROWS, None))
    if len(waiting.item_ids):
        yield waiting


def _cut(block: CodeBlock, places: slice) -> CodeBlock:
    return CodeBlock(block.item_ids[places], block.words[:, places], block.numbers[places])


def _learned(store: Store, space: Space, bits: int) -> Coder:
    """The coder that rows from four parts of the library ask for, or all where there are few."""
    latest = store.latest_item()
    parts: list[VectorRows] = []
    for quarter in range(4):
        block = next(blocks_after(store, space, latest * quarter // 4), None)
        if block is not None:
            parts.append(block)
    nothing = np.empty((0, space.identity.dimension), np.float16)
    return Coder.of(np.concatenate([nothing, *(part.vectors for part in parts)]).astype(np.float32), bits)


def _write_head(file: IO[bytes], description: Description, coder: Coder) -> int:
    """Returns its checksum."""
    axes = np.empty(0, np.float32) if coder.axes is None else coder.axes
    numbers = np.concatenate([coder.mean, [coder.spread], axes.ravel()])
    return write_head(file, _MAGIC, description, numbers.astype("<f4").tobytes())


def _size_of_numbers(description: Description) -> int:
    dimension = description.owner.dimension
    return 4 * (dimension + 1 + dimension * min(description.bits, dimension))


def _write_block(file: IO[bytes], block: CodeBlock, before: int) -> int:
    """Writes the block at the present place; `before` is the checksum of what is before it. Returns its own."""
    payload = b"".join(
        (
            block.item_ids.astype("<i8").tobytes(),
            np.ascontiguousarray(block.words, "<u8").tobytes(),
            block.numbers.astype("<f2").tobytes(),
        )
    )
    checksum = block_checksum(before, payload)
    file.write(BLOCK.pack(BLOCK_MAGIC, len(block.item_ids), checksum))
    file.flush()
    crash_point("codes begun")
    file.write(payload)
    return checksum


def _begun(file: BinaryIO, record: Record) -> OpenCodes:
    description, numbers, checksum = read_head(file, _MAGIC, _size_of_numbers)
    dimension = description.owner.dimension
    mean, spread, axes = np.split(np.frombuffer(numbers, "<f4").astype(np.float32), [dimension, dimension + 1])
    coder = Coder(mean, float(spread[0]), axes.reshape(dimension, -1) if description.bits else None)
    return OpenCodes(description, coder, record, file, file.tell(), checksum, head=checksum)
