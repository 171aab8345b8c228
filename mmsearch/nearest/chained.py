"""What files of codes and of rows have in common: a head, and blocks of which each vouches for those before it.

A head is a magic number, the length of a description, a checksum, and the description as JSON. A block's checksum
covers that of what is before it. The store holds the last checksum, and where that block ends: so it can tell its own
file from others, and ignores what a killed run has written behind.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, BinaryIO, Protocol, TypeVar

import xxhash

from mmsearch.nearest import derived
from mmsearch.nearest.derived import Missing, NotUsable, Owner, Record
from mmsearch.nearest.spaces import Space

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

BLOCK_ROWS = 8_192
# Removed rows are left out of a file that is made anew once they are this share of it,
LARGEST_DEAD_SHARE = 0.25
# and fewer than so many cost a search nothing.
FEWEST_DEAD = 512
BLOCK = struct.Struct("<4sIQ")
BLOCK_MAGIC = b"rows"

_HEAD = struct.Struct("<8sIQ")


@dataclass(frozen=True)
class Description:
    """Whose file it is, how many rows it had when it was made, and how many items had been removed by then.

    `bits` is how many learned bits a code of a code file has; 0 for one bit a number, and in other files.
    """

    owner: Owner
    rows: int
    items_removed: int
    bits: int = 0


class Described(Protocol):
    """What is read of a file, which says whose it is."""

    @property
    def description(self) -> Description: ...


Found = TypeVar("Found", bound=Described)


def describe(store: Store, space: Space) -> Description:
    """The description of a file that is made now of all rows of the space."""
    rows = store.count_items_after(space.model_id, space.modality, 0)
    return Description(derived.owner_of(store, space), rows, store.items_removed())


@contextmanager
def open_chained(
    folder: str, store: Store, space: Space, kind: str, begin: Callable[[BinaryIO, Record], Found]
) -> Iterator[Found]:
    """What `begin` reads of the space's file of that kind, which stays open for the block.

    Raises:
        NotUsable: it is damaged, or of another library or model. Missing, where there is none.
    """
    record = derived.record_of(store, space, kind)
    try:
        file = derived.opened(derived.derived_path(folder, space, kind))
    except FileNotFoundError:
        raise Missing("missing") from None
    except OSError as error:
        raise NotUsable(f"not readable ({error.strerror})") from error
    with file:
        try:
            found = begin(file, record)
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise NotUsable(f"not readable ({error})") from error
        derived.check_owner(found.description.owner, store, space)
        yield found


def write_head(file: IO[bytes], magic: bytes, description: Description, numbers: bytes = b"") -> int:
    """Writes the head and `numbers` that belong to it. Returns its checksum."""
    written = json.dumps(asdict(description)).encode()
    checksum = _checksum(written, numbers)
    file.write(_HEAD.pack(magic, len(written), checksum) + written + numbers)
    return checksum


def read_head(
    file: BinaryIO, magic: bytes, size_of_numbers: Callable[[Description], int] = lambda description: 0
) -> tuple[Description, bytes, int]:
    """The description, what belongs to it (its size in bytes is told by the description), and the checksum.

    Raises:
        NotUsable: it is damaged, or that of another kind of file. Missing, where it is of an older version.
        OSError, ValueError, KeyError, TypeError, struct.error: it is damaged in other ways.
    """
    found, length, checksum = _HEAD.unpack(read(file, _HEAD.size))
    if found[:-1] == magic[:-1] and found < magic:
        raise Missing("of an older version")
    if found != magic:
        raise NotUsable("cut short or not a derived file")
    written = read(file, length)
    fields = json.loads(written)
    description = Description(Owner(**fields.pop("owner")), **fields)
    numbers = read(file, size_of_numbers(description))
    if _checksum(written, numbers) != checksum:
        raise NotUsable("damaged: its checksum is wrong")
    return description, numbers, checksum


def read_block(file: BinaryIO, before: int, bytes_a_row: int) -> tuple[int, bytes, int]:
    """How many rows the next block has, what it holds of them, and its checksum; `before` is that of what is before it.

    Raises:
        NotUsable: it is damaged.
        OSError, struct.error: it is damaged in other ways.
    """
    magic, rows, checksum = BLOCK.unpack(read(file, BLOCK.size))
    if magic != BLOCK_MAGIC:
        raise NotUsable("damaged")
    payload = read(file, rows * bytes_a_row)
    if block_checksum(before, payload) != checksum:
        raise NotUsable("damaged: its checksum is wrong")
    return rows, payload, checksum


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


def usable(read: Callable[[], Found]) -> tuple[Found | None, str | None]:
    """What `read` gives of a file, or None where there is none that can be used; and what was wrong with it then."""
    try:
        return read(), None
    except Missing:
        return None, None
    except NotUsable as reason:
        return None, str(reason)


def is_worn(description: Description, rows: int, store: Store) -> bool:
    """Whether so much of a file of so many rows was removed since it was made that it should be made anew.

    Where less was removed by now than then it is of another line of the library.
    """
    dead = store.items_removed() - description.items_removed
    return not 0 <= dead <= max(FEWEST_DEAD, LARGEST_DEAD_SHARE * rows)


def is_in_pieces(blocks: int, rows: int, most_small: int) -> bool:
    """Whether so many rows lie in more blocks than full ones would be twice, and so many small ones."""
    return blocks > most_small + 2 * (rows // BLOCK_ROWS)


def _checksum(*parts: bytes) -> int:
    digest = xxhash.xxh3_64()
    for part in parts:
        digest.update(part)
    return digest.intdigest()
