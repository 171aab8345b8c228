"""The code file of one space: the ids and sign codes of all its rows, one after another, added to as a library grows.

It is small (56 bytes a row of 384 numbers) and read from beginning to end by a search of a fresh process, which then
asks the catalogue for the full vectors of the rows that seem nearest. So a search reads little, and nothing that it
returns rests on this file alone.

A head (magic number, length of the description, checksum; the description as JSON; the mean, float32 [d]) is
followed by blocks. Each block begins with its own head (`_BLOCK`), then ids, int64 [n], and words, uint64 [w, n].
Blocks are only ever added, and the head of a block is written last: what a killed run has left is no block. The file
is written anew, beside the old one, when too much of it is dead, when it has come to consist of many small blocks, or
when the mean is that of a far smaller library.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, BinaryIO

import numpy as np
import xxhash

from mmsearch import derived
from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.codes import Words, sign_words, words_of
from mmsearch.crash_points import crash_point
from mmsearch.derived import Missing, NotUsable, Owner, Probe
from mmsearch.encoding import FloatMatrix
from mmsearch.spaces import Space
from mmsearch.vectors import StoredVectors, VectorRows, blocks_after

KIND = "codes"
BLOCK_ROWS = 8_192
LARGEST_DEAD_SHARE = 0.25
# Fewer removed rows than this cost a search nothing.
FEWEST_DEAD = 512
# The mean of so many rows stands for any number; that of fewer is taken again when there are so many times as many.
ROWS_FOR_MEAN = 8_192
GROWTH_FOR_MEAN = 8
# So many small blocks beyond what full ones would be do no harm.
MOST_SMALL_BLOCKS = 16

_HEAD = struct.Struct("<8sIQ")
_MAGIC = b"mmcodes1"
_DESCRIPTION_BYTES = 1_024
_MOST_PROBES = 8
_BLOCK = struct.Struct(f"<4sII{2 * _MOST_PROBES}QQ")
_BLOCK_MAGIC = b"rows"
_CHECKSUM_BYTES = 8


@dataclass(frozen=True)
class Description:
    """Whose code file it is, how many rows it had when it was made, and how many items had been removed by then."""

    owner: Owner
    rows: int
    items_removed: int


@dataclass(frozen=True)
class CodeBlock:
    """Codes of some rows: `item_ids` int64 [n], ascending; `words` uint64 [d / 64, n]."""

    item_ids: ItemIds
    words: Words


@dataclass
class OpenCodes:
    """A code file that is being read. What is read is verified first; `probes` grows with it."""

    description: Description
    mean: FloatMatrix
    file: BinaryIO
    probes: list[Probe] = field(default_factory=list)
    end: int = 0
    count: int = 0

    def blocks(self) -> Iterator[CodeBlock]:
        """All blocks. Afterwards `end` is where the next one goes, and `count` how many there are.

        Raises:
            NotUsable: a block is damaged. What follows the last whole block is left by a run that was killed, or
                being written at this moment.
        """
        words = words_of(self.description.owner.dimension)
        while True:
            self.file.seek(self.end)
            head = self.file.read(_BLOCK.size)
            if len(head) < _BLOCK.size or not any(head[: len(_BLOCK_MAGIC)]):
                return
            magic, rows, probes, *numbers, checksum = _BLOCK.unpack(head)
            if magic != _BLOCK_MAGIC or probes > _MOST_PROBES:
                raise NotUsable("damaged")
            payload = _read(self.file, rows * 8 * (1 + words))
            if _checksum(head[:-_CHECKSUM_BYTES], payload) != checksum:
                raise NotUsable("damaged: its checksum is wrong")
            self.probes += [Probe(*numbers[2 * number : 2 * number + 2]) for number in range(probes)]
            self.end += _BLOCK.size + len(payload)
            self.count += 1
            values = np.frombuffer(payload, "<u8")
            yield CodeBlock(values[:rows].view(np.int64), values[rows:].reshape(words, rows))


@contextmanager
def open_codes(folder: str, catalogue: Catalogue, space: Space) -> Iterator[OpenCodes]:
    """The code file of the space, open for reading.

    Raises:
        NotUsable: it is damaged, or of another library or model. Missing, where there is none.
    """
    try:
        file = open(derived.derived_path(folder, space, KIND), "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise Missing("missing") from None
    except OSError as error:
        raise NotUsable(f"not readable ({error.strerror})") from error
    with file:
        try:
            found = _opened(file)
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise NotUsable(f"not readable ({error})") from error
        derived.check_owner(found.description.owner, catalogue, space)
        yield found


@dataclass(frozen=True)
class _State:
    """What a code file covers: rows of items up to `trusted_to`, in so many blocks that end at byte `end`."""

    description: Description
    mean: FloatMatrix
    rows: int
    last_row: int
    trusted_to: int
    blocks: int
    end: int


def check_codes(folder: str, catalogue: Catalogue, space: Space) -> None:
    """Raises NotUsable, or Missing, where the code file cannot be used."""
    _state(folder, catalogue, space)


def refresh_codes(folder: str, catalogue: Catalogue, space: Space) -> tuple[StoredVectors, str | None]:
    """Brings the code file up to date. Returns the space's vectors, and what was wrong with an unusable file."""
    path, trouble = derived.derived_path(folder, space, KIND), None
    if not catalogue.latest_item():
        return StoredVectors(catalogue, space, 0), None
    try:
        state: _State | None = _state(folder, catalogue, space)
    except Missing:
        state = None
    except NotUsable as reason:
        state, trouble = None, str(reason)
    if state is None or _is_worn(state, catalogue, space):
        rows = _write_from_catalogue(path, catalogue, space)
    elif state.last_row > state.trusted_to or _is_in_pieces(state):
        _write_from_codes(path, folder, catalogue, space, state)
        state = _state(folder, catalogue, space)
        rows = state.rows + _add(path, catalogue, space, state)
    else:
        rows = state.rows + _add(path, catalogue, space, state)
    return StoredVectors(catalogue, space, rows), trouble


def _state(folder: str, catalogue: Catalogue, space: Space) -> _State:
    with open_codes(folder, catalogue, space) as codes:
        rows, last_row = 0, 0
        for block in codes.blocks():
            rows += len(block.item_ids)
            last_row = int(block.item_ids[-1]) if len(block.item_ids) else last_row
        trusted_to = derived.trusted_to(catalogue, codes.probes)
        return _State(codes.description, codes.mean, rows, last_row, trusted_to, codes.count, codes.end)


def _is_worn(state: _State, catalogue: Catalogue, space: Space) -> bool:
    """Whether the file should be made anew from the vectors themselves."""
    dead = catalogue.items_removed() - state.description.items_removed
    if dead > max(FEWEST_DEAD, LARGEST_DEAD_SHARE * state.rows):
        return True
    if state.description.rows >= ROWS_FOR_MEAN:
        return False
    newer = catalogue.count_items_after(space.model_id, space.modality, state.trusted_to)
    return state.rows + newer > GROWTH_FOR_MEAN * max(1, state.description.rows)


def _is_in_pieces(state: _State) -> bool:
    return state.blocks > MOST_SMALL_BLOCKS + 2 * (state.rows // BLOCK_ROWS)


def _add(path: str, catalogue: Catalogue, space: Space, state: _State) -> int:
    """Adds blocks of the rows that the file lacks. Returns how many rows."""
    if catalogue.latest_item() <= state.trusted_to:
        return 0
    with open(path, "r+b") as file:
        file.truncate(state.end)  # what a run that was killed had begun
        file.seek(state.end)
        rows = _write_rows_after(file, catalogue, space, state.mean, state.trusted_to)
        file.flush()
        os.fsync(file.fileno())
    crash_point("codes added")
    return rows


def _write_from_catalogue(path: str, catalogue: Catalogue, space: Space) -> int:
    mean, rows = _mean(catalogue, space), 0

    def write(file: IO[bytes]) -> None:
        nonlocal rows
        _write_head(file, Description(derived.owner_of(catalogue, space), 0, 0), mean)
        rows = _write_rows_after(file, catalogue, space, mean, 0)
        file.seek(0)
        _write_head(file, Description(derived.owner_of(catalogue, space), rows, catalogue.items_removed()), mean)

    derived.write_whole(path, write)
    return rows


def _write_from_codes(path: str, folder: str, catalogue: Catalogue, space: Space, state: _State) -> None:
    """Writes the file anew in full blocks, without what it can no longer be trusted in."""

    def write(file: IO[bytes]) -> None:
        with open_codes(folder, catalogue, space) as codes:
            _write_head(file, state.description, state.mean)
            pieces = (_up_to(block, state.trusted_to) for block in codes.blocks())
            for block in _in_full_blocks(pieces, words_of(space.identity.dimension)):
                _write_block(file, block, derived.probes_of(catalogue, block.item_ids))

    derived.write_whole(path, write)


def _write_rows_after(file: IO[bytes], catalogue: Catalogue, space: Space, mean: FloatMatrix, after: int) -> int:
    """Blocks of all rows of items with higher ids than `after`. Returns how many rows.

    The last block, which may be empty, also says that all items are covered that there are now, those of the other
    modality among them.
    """
    stored = blocks_after(catalogue, space, after)
    pieces = (CodeBlock(block.item_ids, sign_words(block.vectors.astype(np.float32), mean)) for block in stored)
    rows, last_row = 0, 0
    for block in _in_full_blocks(pieces, words_of(space.identity.dimension)):
        _write_block(file, block, derived.probes_of(catalogue, block.item_ids))
        rows, last_row = rows + len(block.item_ids), int(block.item_ids[-1])
    latest = derived.probe_of(catalogue, catalogue.latest_item())
    if latest is not None and latest.item_id > last_row:
        _write_block(file, _no_rows(space), (latest,))
    return rows


def _no_rows(space: Space) -> CodeBlock:
    return CodeBlock(np.empty(0, np.int64), np.empty((words_of(space.identity.dimension), 0), np.uint64))


def _in_full_blocks(pieces: Iterable[CodeBlock], words: int) -> Iterator[CodeBlock]:
    """The same rows in blocks of BLOCK_ROWS, the last one as it comes."""
    waiting = CodeBlock(np.empty(0, np.int64), np.empty((words, 0), np.uint64))
    for piece in pieces:
        waiting = CodeBlock(
            np.concatenate([waiting.item_ids, piece.item_ids]), np.concatenate([waiting.words, piece.words], axis=1)
        )
        while len(waiting.item_ids) >= BLOCK_ROWS:
            yield CodeBlock(waiting.item_ids[:BLOCK_ROWS], waiting.words[:, :BLOCK_ROWS])
            waiting = CodeBlock(waiting.item_ids[BLOCK_ROWS:], waiting.words[:, BLOCK_ROWS:])
    if len(waiting.item_ids):
        yield waiting


def _up_to(block: CodeBlock, item_id: int) -> CodeBlock:
    count = int(np.searchsorted(block.item_ids, item_id, side="right"))
    return CodeBlock(block.item_ids[:count], block.words[:, :count])


def _mean(catalogue: Catalogue, space: Space) -> FloatMatrix:
    """The mean of rows from four parts of the library, or of all where there are few."""
    latest = catalogue.latest_item()
    parts: list[VectorRows] = []
    for quarter in range(4):
        block = next(blocks_after(catalogue, space, latest * quarter // 4), None)
        if block is not None:
            parts.append(block)
    if not parts:
        return np.zeros(space.identity.dimension, np.float32)
    mean: FloatMatrix = np.concatenate([part.vectors for part in parts]).astype(np.float32).mean(axis=0)
    return mean


def _write_head(file: IO[bytes], description: Description, mean: FloatMatrix) -> None:
    written = json.dumps(asdict(description)).encode().ljust(_DESCRIPTION_BYTES)
    numbers = mean.astype("<f4").tobytes()
    file.write(_HEAD.pack(_MAGIC, len(written), _checksum(written, numbers)) + written + numbers)


def _write_block(file: IO[bytes], block: CodeBlock, probes: Sequence[Probe]) -> None:
    """Writes the block at the present place, its head last."""
    numbers = [number for probe in probes for number in (probe.item_id, probe.checksum)]
    numbers += [0] * (2 * _MOST_PROBES - len(numbers))
    head = _BLOCK.pack(_BLOCK_MAGIC, len(block.item_ids), len(probes), *numbers, 0)[:-_CHECKSUM_BYTES]
    payload = block.item_ids.astype("<i8").tobytes() + np.ascontiguousarray(block.words, "<u8").tobytes()
    start = file.tell()
    file.seek(start + _BLOCK.size)
    file.write(payload)
    file.flush()
    crash_point("codes begun")
    file.seek(start)
    file.write(head + struct.pack("<Q", _checksum(head, payload)))
    file.seek(start + _BLOCK.size + len(payload))


def _opened(file: BinaryIO) -> OpenCodes:
    head = file.read(_HEAD.size + _DESCRIPTION_BYTES)
    if len(head) < _HEAD.size + _DESCRIPTION_BYTES or not head.startswith(_MAGIC):
        raise NotUsable("cut short or not a derived file")
    _, _, checksum = _HEAD.unpack(head[: _HEAD.size])
    written = head[_HEAD.size :]
    fields = json.loads(written)
    owner = Owner(**fields.pop("owner"))
    numbers = _read(file, 4 * owner.dimension)
    if _checksum(written, numbers) != checksum:
        raise NotUsable("damaged: its checksum is wrong")
    return OpenCodes(
        Description(owner, **fields), np.frombuffer(numbers, "<f4").astype(np.float32), file, end=file.tell()
    )


def _read(file: BinaryIO, size: int) -> bytes:
    """So many bytes, of a file whose numbers may be damaged."""
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise NotUsable("cut short")
    return file.read(size)


def _checksum(*parts: bytes) -> int:
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(part)
    return digest.intdigest()
