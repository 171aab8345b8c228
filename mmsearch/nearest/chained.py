"""What files of codes and of rows have in common: a head, and blocks of which each vouches for those before it.

A head is a magic number, the length of a description, a checksum, and the description as JSON. A block's checksum
covers that of what is before it, and the store holds the last one with the place where it ends: it knows its file,
and what a killed run has written behind that is nothing.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import IO, Any, BinaryIO

import xxhash

from mmsearch.nearest.derived import NotUsable

BLOCK_ROWS = 8_192
# Removed rows are left out of a file that is made anew once they are this share of it,
LARGEST_DEAD_SHARE = 0.25
# and fewer than so many cost a search nothing.
FEWEST_DEAD = 512
BLOCK = struct.Struct("<4sIQ")
BLOCK_MAGIC = b"rows"

_HEAD = struct.Struct("<8sIQ")


def write_head(file: IO[bytes], magic: bytes, description: Mapping[str, Any], numbers: bytes = b"") -> int:
    """Writes the head and `numbers` that belong to it. Returns its checksum."""
    written = json.dumps(description).encode()
    checksum = _checksum(written, numbers)
    file.write(_HEAD.pack(magic, len(written), checksum) + written + numbers)
    return checksum


def read_head(file: BinaryIO, magic: bytes, bytes_a_number: int = 0) -> tuple[dict[str, Any], bytes, int]:
    """The description, what belongs to it (so many bytes for each dimension of its owner), and the checksum.

    Raises:
        NotUsable: it is damaged, or that of another kind of file.
        OSError, ValueError, KeyError, TypeError, struct.error: it is damaged in other ways.
    """
    found, length, checksum = _HEAD.unpack(read(file, _HEAD.size))
    if found != magic:
        raise NotUsable("cut short or not a derived file")
    written = read(file, length)
    fields = json.loads(written)
    numbers = read(file, bytes_a_number * fields["owner"]["dimension"])
    if _checksum(written, numbers) != checksum:
        raise NotUsable("damaged: its checksum is wrong")
    return fields, numbers, checksum


def read(file: BinaryIO, size: int) -> bytes:
    """So many bytes, of a file whose numbers may be damaged.

    Raises:
        NotUsable: there are not so many.
    """
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise NotUsable("cut short or not a derived file")
    return file.read(size)


def block_checksum(before: int, payload: bytes) -> int:
    """The checksum of a block behind one of the checksum `before`."""
    return _checksum(struct.pack("<Q", before), payload)


def is_worn(dead: int, rows: int) -> bool:
    """Whether a file of so many rows, of which some were removed since, should be made anew. Below 0 it is of another
    line of the library.
    """
    return not 0 <= dead <= max(FEWEST_DEAD, LARGEST_DEAD_SHARE * rows)


def _checksum(*parts: bytes) -> int:
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(part)
    return digest.intdigest()
