"""Files derived from the catalogue: what they cover, whether they can be trusted, and how they are replaced.

A derived file may always be deleted: it is made again from the catalogue. It begins with a magic number, three
numbers (the description's length, the payload's length, a checksum of both), the description as JSON, and zeros
up to a multiple of 64 bytes; the payload follows.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, BinaryIO

import xxhash

from mmsearch.catalogue import Catalogue, ItemIds
from mmsearch.crash_points import crash_point
from mmsearch.encoding import ModelIdentity
from mmsearch.items import Modality
from mmsearch.spaces import Space

MAGIC = b"mmsearch"
ALIGNMENT = 64
_NUMBERS = struct.Struct("<IQQ")
_READ_BYTES = 1 << 20
_LARGEST_DESCRIPTION = 65_536

# A derived file is made anew once this share of it is missing or dead; up to then the rest is scanned beside it.
STALE_SHARE = 0.1
# Up to this many rows making it anew costs next to nothing.
CHEAP_ROWS = 20_000


@dataclass(frozen=True)
class Coverage:
    """Which items a derived file covers: those of one space with ids up to `last_item`.

    `last_vector` is a checksum of the last row's vector in the catalogue, so that a file kept from another state of
    the same library is not taken for this one's. `items_removed` is the catalogue's count when the file was made.
    """

    library_id: str
    fingerprint: str
    modality: Modality
    dimension: int
    rows: int
    last_item: int
    last_vector: str
    items_removed: int


@dataclass(frozen=True)
class DerivedFile:
    """A derived file that was found sound, of this library and space, open for reading."""

    file: BinaryIO
    coverage: Coverage
    payload_start: int
    payload_bytes: int


class NotUsable(Exception):
    """A derived file that is missing, damaged or of another library or model; the message says which."""


class Missing(NotUsable):
    """There is no such file yet."""


def derived_path(folder: str, space: Space, kind: str) -> str:
    """Where the derived file of that kind lies in the library `folder`."""
    return os.path.join(folder, "derived", f"{space.identity.fingerprint[:16]}-{space.modality}.{kind}")


def coverage_of(catalogue: Catalogue, space: Space, item_ids: ItemIds) -> Coverage:
    """The coverage of a file made now of the rows of these items, [n], ascending."""
    last_item = int(item_ids[-1]) if len(item_ids) else 0
    return Coverage(
        library_id=catalogue.setting("library_id") or "",
        fingerprint=space.identity.fingerprint,
        modality=space.modality,
        dimension=space.identity.dimension,
        rows=len(item_ids),
        last_item=last_item,
        last_vector=_checksum_of_vector(catalogue.vector_of(last_item) or b"") if last_item else "",
        items_removed=catalogue.items_removed(),
    )


def write_derived(path: str, coverage: Coverage, write_payload: Callable[[IO[bytes]], object]) -> None:
    """Writes to a temporary file beside `path`, syncs it, and puts it in place in one step."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    description = json.dumps(asdict(coverage)).encode()
    payload_start = _payload_start(len(description))
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "w+b") as file:
            file.seek(payload_start)
            write_payload(file)
            payload_bytes = file.tell() - payload_start
            file.truncate(payload_start + payload_bytes)  # an empty payload writes nothing behind the header
            file.seek(payload_start)
            checksum = _checksum(description, file, payload_bytes)
            file.seek(0)
            file.write(MAGIC + _NUMBERS.pack(len(description), payload_bytes, checksum) + description)
            file.flush()
            os.fsync(file.fileno())
        crash_point("derived file written")
        os.replace(temporary, path)
        crash_point("derived file in place")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


@contextmanager
def open_derived(path: str, catalogue: Catalogue, space: Space) -> Iterator[DerivedFile]:
    """The file at `path`, open, if it is whole and covers items of that library and space as they are today.

    Raises:
        NotUsable: it is missing, damaged, or of another library, model, dimension or state of the library.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise Missing("missing") from None
    except OSError as error:
        raise NotUsable(f"not readable ({error.strerror})") from error
    with file:
        try:
            found = _verified(file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotUsable(f"not readable ({error})") from error
        _check_owner(found.coverage, catalogue, space)
        yield found


def _check_owner(coverage: Coverage, catalogue: Catalogue, space: Space) -> None:
    identity = space.identity
    owner = (coverage.library_id, coverage.fingerprint, coverage.modality, coverage.dimension)
    if owner != (catalogue.setting("library_id"), identity.fingerprint, space.modality, identity.dimension):
        raise NotUsable("of another library or model")
    if coverage.rows:
        vector = catalogue.vector_of(coverage.last_item)
        if vector is None:
            raise Missing("its last item is gone")
        if _checksum_of_vector(vector) != coverage.last_vector:
            raise NotUsable("of another state of this library")


def is_stale(coverage: Coverage, newer_rows: int, items_removed: int) -> bool:
    """Whether so much was added or removed since that the file should be made anew."""
    changed = newer_rows + items_removed - coverage.items_removed
    return changed > (0 if coverage.rows + newer_rows <= CHEAP_ROWS else STALE_SHARE * coverage.rows)


def derived_bytes(folder: str) -> int:
    """How much room all derived files of the library take, in bytes."""
    place = os.path.join(folder, "derived")
    if not os.path.isdir(place):
        return 0
    with os.scandir(place) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def remove_all(folder: str) -> None:
    """Deletes all derived files of the library."""
    remove_strangers(folder, own=())


def remove_strangers(folder: str, own: Sequence[ModelIdentity]) -> None:
    """Deletes derived files of all but these models and temporary files of runs that were killed."""
    beginnings = tuple(f"{identity.fingerprint[:16]}-" for identity in own)
    place = os.path.join(folder, "derived")
    if os.path.isdir(place):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            is_own = name.startswith(beginnings) and not name.endswith(".part")
            if not is_own and not os.path.isdir(path):  # nothing of ours is a folder
                os.remove(path)
    crash_point("strangers removed")


def _verified(file: BinaryIO) -> DerivedFile:
    start = file.read(len(MAGIC) + _NUMBERS.size)
    if len(start) < len(MAGIC) + _NUMBERS.size or not start.startswith(MAGIC):
        raise NotUsable("cut short or not a derived file")
    description_bytes, payload_bytes, checksum = _NUMBERS.unpack(start[len(MAGIC) :])
    payload_start = _payload_start(description_bytes)
    sound = description_bytes <= _LARGEST_DESCRIPTION
    if not sound or os.fstat(file.fileno()).st_size != payload_start + payload_bytes:
        raise NotUsable("cut short or damaged")
    description = file.read(description_bytes)
    file.seek(payload_start)
    if _checksum(description, file, payload_bytes) != checksum:
        raise NotUsable("damaged: its checksum is wrong")
    return DerivedFile(file, Coverage(**json.loads(description)), payload_start, payload_bytes)


def _payload_start(description_bytes: int) -> int:
    return -(-(len(MAGIC) + _NUMBERS.size + description_bytes) // ALIGNMENT) * ALIGNMENT


def _checksum(description: bytes, file: IO[bytes], length: int) -> int:
    digest = xxhash.xxh3_64(description)
    while length > 0:
        block = file.read(min(_READ_BYTES, length))
        if not block:
            break
        digest.update(block)
        length -= len(block)
    return digest.intdigest()


def _checksum_of_vector(vector: bytes) -> str:
    return xxhash.xxh3_64_hexdigest(vector)
