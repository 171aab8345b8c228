"""The directory at the end of a zip, or what stands before each member: what the zip says of them. Nothing of it is to
be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import IO, NamedTuple

MAGIC = b"PK\3\4"
LOCAL_BYTES = 30
STORED, DEFLATED = 0, 8
# Of members of other archives, whose bytes lie at their place as they are, with nothing before them.
BARE = -1
ENCRYPTED, SIZES_BEHIND = 1, 8
_ENTRY, _ENTRY_BYTES = b"PK\1\2", 46
# Of an entry: its mark, flags, method, time and date, checksum, both sizes, the lengths of its name, extra fields and
# comment, the mode that Unix gave it, and where the member begins.
_FIXED = Struct("<4s4xHHIIIIHHH6xHI")
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\5\6", 22, 65_535
_END64, _LOCATOR64, _LOCATOR64_BYTES = b"PK\6\6", b"PK\6\7", 20
_IN_16_BITS, _IN_64_BITS = 0xFFFF, 0xFFFFFFFF
# A size or a place that is said to be more than this is a lie, and more than systems and databases take.
_LARGEST = (1 << 63) - 1
# The extra fields that hold what 32 bits do not, and when a file was modified in seconds since 1970.
_SIZES_EXTRA, _TIME_EXTRA = 1, 0x5455
# A directory is read at once, and no more of it.
_MOST_BYTES = 64_000_000
# What may stand behind a member: its checksum and both sizes in 32 bits or in 64, and then the next one.
_SIZES, _NEXT = b"PK\7\10", (MAGIC, _ENTRY, _END, _END64)
# Of a zip without a directory so many bytes are looked through for these.
_MOST_LOOKED_THROUGH = 2_000_000_000
# To look at what may be these takes as long as to look through so many bytes.
_LOOKED_AT_BYTES = 2_000
_FIRST_BLOCK_BYTES, _BLOCK_BYTES = 1 << 12, 1 << 22


class ZipEntry(NamedTuple):  # a hundred thousand of them at once are made
    """Where a member begins, at what stands before it, and what the zip says of it; None where it does not. A member of
    a tar is told alike.

    `name` as its bytes are, sizes in bytes, `mode` in the bits of Unix (0 where it does not say).
    """

    name: bytes
    at: int
    method: int
    flags: int
    crc: int | None
    packed: int | None
    unpacked: int = 0
    mode: int = 0
    modified: tuple[int, int | None] = (0, None)

    @property
    def mtime_ns(self) -> int | None:
        """When it was modified, in nanoseconds since 1970: in UTC where the zip says that, else in local time."""
        written, seconds = self.modified
        if seconds is None:
            date, clock = written >> 16, written & 0xFFFF
            day = ((date >> 9) + 1980, date >> 5 & 15, date & 31)
            try:
                seconds = int(datetime(*day, clock >> 11, clock >> 5 & 63, 2 * (clock & 31)).timestamp())
            except (ValueError, OverflowError, OSError):
                return None
        return seconds * 1_000_000_000


def bytes_at(stream: IO[bytes], place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)


def stored_bytes(stream: IO[bytes], entry: ZipEntry) -> bytes:
    """All bytes of a member that is not packed."""
    return bytes_at(stream, data_begins(bytes_at(stream, entry.at, LOCAL_BYTES), entry), entry.unpacked)


def data_begins(local: bytes, entry: ZipEntry) -> int:
    """Where the bytes of a member begin, whose local header (its first LOCAL_BYTES) that is."""
    return entry.at + LOCAL_BYTES + number_in(local, 26, 2) + number_in(local, 28, 2)


def number_in(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "little")


@dataclass(frozen=True)
class Directory:
    """Where the directory of a zip begins and ends, by how much the places that it tells are to be moved, and how many
    members it counts, of which only the last 16 bits count.
    """

    starts: int
    ends: int
    moved: int
    count: int


def directory_in(stream: IO[bytes], size: int) -> Directory | None:
    """Where the directory is of a zip of so many bytes; None where it has none, as one that was cut off."""
    tail_at = max(0, size - _END_BYTES - _LONGEST_COMMENT)
    tail = bytes_at(stream, tail_at, size - tail_at)
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_BYTES:
        return None
    end_at = tail_at + place
    count = number_in(tail, place + 10, 2)
    length, begins = number_in(tail, place + 12, 4), number_in(tail, place + 16, 4)
    is_far = _IN_64_BITS in (length, begins)
    if (is_far or count == _IN_16_BITS) and end_at >= _LOCATOR64_BYTES:
        locator = bytes_at(stream, end_at - _LOCATOR64_BYTES, _LOCATOR64_BYTES)
    else:
        locator = b""
    if locator.startswith(_LOCATOR64):
        far = number_in(locator, 8, 8)
        if far >= size:
            return None
        record = bytes_at(stream, far, 56)
        if not record.startswith(_END64):
            return None
        count, length, begins, end_at = (*(number_in(record, start, 8) for start in (32, 40, 48)), far)
    elif is_far:
        return None
    starts = end_at - length
    if starts < 0 or begins > starts or (length and bytes_at(stream, starts, 4) != _ENTRY):
        return None
    return Directory(starts, end_at, starts - begins, count & 0xFFFF)


def entries_in(stream: IO[bytes], directory: Directory) -> Iterator[ZipEntry]:
    """The members that the directory lists, as far as it makes sense."""
    data = _bytes_of(stream, directory)
    place = 0
    while place + _ENTRY_BYTES <= len(data):
        entry, place = _entry_at(data, place, directory.moved)
        if entry is None:
            return
        yield entry


def entries_without_directory(stream: IO[bytes], size: int) -> Iterator[ZipEntry]:
    """The members that are whole of a zip of so many bytes that breaks off, as they follow one another."""
    place, left = 0, _MOST_LOOKED_THROUGH
    while (local := bytes_at(stream, place, LOCAL_BYTES)).startswith(MAGIC) and len(local) == LOCAL_BYTES:
        flags, method, time = number_in(local, 6, 2), number_in(local, 8, 2), number_in(local, 10, 4)
        crc, packed, unpacked = (number_in(local, start, 4) for start in (14, 18, 22))
        name_length, extra_length = number_in(local, 26, 2), number_in(local, 28, 2)
        names = bytes_at(stream, place + LOCAL_BYTES, name_length + extra_length)
        name, extra = names[:name_length], names[name_length:]
        ends = starts = place + LOCAL_BYTES + len(names)
        if flags & SIZES_BEHIND:
            behind, left = _told_behind(stream, starts, left)
            if behind is None:
                return
            crc, packed, unpacked, ends = behind
        else:
            packed, unpacked, _ = _in_64_bits((packed, unpacked, 0), extra)
            ends += packed
        if ends > size:
            return
        yield ZipEntry(name, place, method, flags, crc, packed, unpacked, 0, (time, _seconds(extra)))
        place = ends


def _told_behind(stream: IO[bytes], starts: int, most: int) -> tuple[tuple[int, int, int, int] | None, int]:
    """(checksum, packed and unpacked size, where that ends) of a member whose bytes begin there, as told behind them;
    None where nothing tells. And how many of `most` bytes may be looked through after that.
    """
    place, count = starts, _FIRST_BLOCK_BYTES
    while most > 0 and len(block := bytes_at(stream, place, count)) >= len(_SIZES):
        most -= len(block)
        found = block.find(_SIZES)
        while found >= 0 and most > 0:
            most -= _LOOKED_AT_BYTES
            at = place + found
            told = bytes_at(stream, at, 28) if found + 28 > len(block) else block[found : found + 28]
            for width in (4, 8):
                packed, ends = number_in(told, 8, width), 8 + 2 * width
                if packed == at - starts and len(told) >= ends and _begins_next(told[ends : ends + 4]):
                    return (number_in(told, 4, 4), packed, number_in(told, 8 + width, width), at + ends), most
            found = block.find(_SIZES, found + 1)
        place += len(block) - len(_SIZES) + 1
        count = min(2 * count, _BLOCK_BYTES)
    return None, most


def _begins_next(data: bytes) -> bool:
    """Whether that may be what comes after a member: also where the zip breaks off there."""
    return any(mark.startswith(data) for mark in _NEXT)


def entry_called(stream: IO[bytes], directory: Directory, name: bytes) -> ZipEntry | None:
    """The last member whose name has just these bytes, without going through all of them; None where none is seen."""
    data = _bytes_of(stream, directory)
    place = data.rfind(name)
    while place >= _ENTRY_BYTES:
        entry, _ = _entry_at(data, place - _ENTRY_BYTES, directory.moved)
        if entry is not None and entry.name == name:
            return entry
        place = data.rfind(name, 0, place)
    return None


def _bytes_of(stream: IO[bytes], directory: Directory) -> bytes:
    return bytes_at(stream, directory.starts, min(_MOST_BYTES, directory.ends - directory.starts))


def _entry_at(data: bytes, place: int, moved: int) -> tuple[ZipEntry | None, int]:
    """The entry that begins there, None where none does, and where the next one begins."""
    mark, flags, method, time, crc, packed, unpacked, *lengths, mode, at = _FIXED.unpack_from(data, place)
    if mark != _ENTRY:
        return None, place
    name_length, extra_length, comment_length = lengths
    begins, ends = place + _ENTRY_BYTES, place + _ENTRY_BYTES + name_length
    seconds = None
    if extra_length:
        extra = data[ends : ends + extra_length]
        packed, unpacked, at = _in_64_bits((packed, unpacked, at), extra)
        seconds = _seconds(extra)
    # By their order, which is quicker than by their names.
    entry = ZipEntry(data[begins:ends], at + moved, method, flags, crc, packed, unpacked, mode, (time, seconds))
    return entry, ends + extra_length + comment_length


def name_of(name: bytes) -> str:
    """The name of a member, with slashes between folders: some programs write others."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = name.decode("cp437")
    return text.replace("\\", "/")


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(extra):
        kind, length = number_in(extra, place, 2), number_in(extra, place + 2, 2)
        yield kind, extra[place + 4 : place + 4 + length]
        place += 4 + length


def _in_64_bits(told: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """The packed and the unpacked size of a member and where it begins, as they were `told`, or as they stand in an
    extra field where 32 bits do not hold them.
    """
    packed, unpacked, at = told
    for kind, values in _extras(extra):
        if kind == _SIZES_EXTRA:
            if unpacked == _IN_64_BITS:
                unpacked, values = _size_in(values), values[8:]
            if packed == _IN_64_BITS:
                packed, values = _size_in(values), values[8:]
            if at == _IN_64_BITS:
                at = _size_in(values)
    return packed, unpacked, at


def _size_in(data: bytes) -> int:
    return min(number_in(data, 0, 8), _LARGEST)


def _seconds(extra: bytes) -> int | None:
    """When a member was modified, in seconds since 1970, where a Unix program says so."""
    for kind, values in _extras(extra):
        if kind == _TIME_EXTRA and len(values) >= 5 and values[0] & 1:
            return int.from_bytes(values[1:5], "little", signed=True)
    return None
