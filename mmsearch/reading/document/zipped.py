"""A document that is a zip → its members, each in blocks, within bounds. Nothing that the zip says of sizes is trusted.

A zip that has lost its end, where its directory lies, is read by what stands before each member.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from mmsearch.reading.document.format import ZIP_MAGIC
from mmsearch.reading.document.xml_events import Walker, walk
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import UnreadableFile

_BLOCK_BYTES = 1 << 16
# XML of real documents is packed to a hundredth at most; a bomb to a thousandth.
_MOST_RATIO = 300
_RATIO_COUNTS_FROM = 4_000_000
# All that is unpacked of a document: what it takes itself, and so many members of the largest size.
_LARGEST_MEMBERS = 8
_ENTRY, _ENTRY_BYTES = b"PK\1\2", 46
_END, _END_BYTES, _LONGEST_COMMENT = b"PK\5\6", 22, 65_535
_END64, _LOCATOR64, _LOCATOR64_BYTES = b"PK\6\6", b"PK\6\7", 20
_LOCAL_BYTES = 30
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_BEHIND = 1, 8
_IN_64_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class _Member:
    """Where a member begins, at what stands before it, and what the zip says of it; None where it does not."""

    at: int
    method: int
    flags: int
    crc: int | None
    packed: int | None


@dataclass
class Package:
    """The members of an open document by their names; of several of one name, the last.

    `trouble` collects, as short reasons, why some of it could not be read.

    Raises:
        UnreadableFile: it is no zip, or nothing can be found in it.
    """

    file: OpenFile
    trouble: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unpacked = 0
        self._most = _LARGEST_MEMBERS * self.file.limits.max_member_bytes + self.file.size
        self._members: dict[str, _Member] = {}
        stream, size = self.file.stream, self.file.size
        directory = _directory(stream, size)
        if directory is None:
            self.trouble.append("truncated")
            found = _found_without_directory(stream, size, self._most)
        else:
            found = _entries(stream, directory)
        for number, (name, member) in enumerate(found):
            if number >= self.file.limits.max_members:
                self.trouble.append(f"more than {self.file.limits.max_members:,} files inside")
                break
            self._members[name] = member
        if not self._members:
            raise UnreadableFile("truncated" if directory is None else "damaged zip")
        self._by_lower = {name.lower(): name for name in self._members}

    @property
    def names(self) -> list[str]:
        """Of all members, in the order of the directory."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_lower

    def read(self, name: str) -> bytes:
        """A member as a whole. Raises UnreadableFile as `blocks` does."""
        return b"".join(self.blocks(name))

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member, block by block.

        Raises:
            UnreadableFile: it is not there, encrypted, damaged, cut off, or larger than allowed; all that could be read
                of it has come by then.
        """
        member = self._members.get(self._by_lower.get(name.lower(), ""))
        if member is None:
            raise UnreadableFile("truncated" if "truncated" in self.trouble else "a part of it is missing")
        if member.flags & _ENCRYPTED:
            raise UnreadableFile("encrypted")
        if member.method not in (_STORED, _DEFLATED):
            raise UnreadableFile("packed in a way that is not known")
        return self._bounded(member)

    def _bounded(self, member: _Member) -> Iterator[bytes]:
        limits = self.file.limits
        unpacked = packed = crc = 0
        for block, packed in _unpacked(self.file.stream, member, self.file.size):
            unpacked += len(block)
            self._unpacked += len(block)
            if unpacked > limits.max_member_bytes:
                raise UnreadableFile(f"a part of it is over the limit of {limits.max_member_bytes:,} bytes")
            if self._unpacked > self._most:
                raise UnreadableFile(f"unpacked over the limit of {self._most:,} bytes")
            if unpacked > max(_RATIO_COUNTS_FROM, _MOST_RATIO * packed):
                raise UnreadableFile(f"packed to less than a {_MOST_RATIO}th: a zip bomb")
            crc = zlib.crc32(block, crc)
            yield block
        if member.crc is not None and crc != member.crc:
            raise UnreadableFile("damaged zip")

    def walk(self, name: str, walker: Walker) -> Iterator[None]:
        """Tells the walker of a member that is XML, and stops after each block.

        What could not be read of it is noted in `trouble`; the walker has been told of all before that.
        """
        try:
            yield from walk(self.blocks(name), walker)
        except UnreadableFile as error:
            self.trouble.append(error.reason)

    def tell(self, name: str, walker: Walker) -> None:
        """As `walk`, in one."""
        for _ in self.walk(name, walker):
            pass


def _at(stream: IO[bytes], place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)


def _number(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "little")


def _directory(stream: IO[bytes], size: int) -> tuple[int, int, int] | None:
    """Where the directory begins and ends, and by how much the places it tells are to be moved; None without one."""
    tail_at = max(0, size - _END_BYTES - _LONGEST_COMMENT)
    tail = _at(stream, tail_at, size - tail_at)
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_BYTES:
        return None
    end_at = tail_at + place
    length, begins = _number(tail, place + 12, 4), _number(tail, place + 16, 4)
    if _IN_64_BITS in (length, begins) and end_at >= _LOCATOR64_BYTES:
        locator = _at(stream, end_at - _LOCATOR64_BYTES, _LOCATOR64_BYTES)
        far = _number(locator, 8, 8)
        if not locator.startswith(_LOCATOR64) or far >= size:
            return None
        record = _at(stream, far, 56)
        if not record.startswith(_END64):
            return None
        length, begins, end_at = _number(record, 40, 8), _number(record, 48, 8), far
    starts = end_at - length
    if starts < 0 or begins > starts or (length and _at(stream, starts, 4) != _ENTRY):
        return None
    return starts, end_at, starts - begins


def _entries(stream: IO[bytes], directory: tuple[int, int, int]) -> Iterator[tuple[str, _Member]]:
    """The members that the directory lists, as far as it makes sense."""
    place, end, moved = directory
    while place + _ENTRY_BYTES <= end:
        entry = _at(stream, place, _ENTRY_BYTES)
        if not entry.startswith(_ENTRY):
            return
        name_length, extra_length = _number(entry, 28, 2), _number(entry, 30, 2)
        rest = _at(stream, place + _ENTRY_BYTES, name_length + extra_length)
        packed, at = _in_64_bits(entry, rest[name_length:])
        flags = _number(entry, 8, 2)
        yield (
            _name(rest[:name_length]),
            _Member(at + moved, _number(entry, 10, 2), flags, _number(entry, 16, 4), packed),
        )
        place += _ENTRY_BYTES + name_length + extra_length + _number(entry, 32, 2)


def _in_64_bits(entry: bytes, extra: bytes) -> tuple[int, int]:
    """The packed size of a member and where it begins, which stand in an extra field where 32 bits do not hold them."""
    packed, unpacked, at = _number(entry, 20, 4), _number(entry, 24, 4), _number(entry, 42, 4)
    place = 0
    while place + 4 <= len(extra):
        kind, length = _number(extra, place, 2), _number(extra, place + 2, 2)
        if kind == 1:
            values = extra[place + 4 : place + 4 + length]
            if unpacked == _IN_64_BITS:
                values = values[8:]
            if packed == _IN_64_BITS:
                packed, values = _number(values, 0, 8), values[8:]
            if at == _IN_64_BITS:
                at = _number(values, 0, 8)
        place += 4 + length
    return packed, at


def _found_without_directory(stream: IO[bytes], size: int, most: int) -> Iterator[tuple[str, _Member]]:
    """The members as they follow one another, up to where the file breaks off.

    At most so many bytes are unpacked to find where those end of which the zip does not say so.
    """
    place = 0
    while True:
        local = _at(stream, place, _LOCAL_BYTES)
        if len(local) < _LOCAL_BYTES or not local.startswith(ZIP_MAGIC):
            return
        name_length, flags, method = _number(local, 26, 2), _number(local, 6, 2), _number(local, 8, 2)
        name = _name(_at(stream, place + _LOCAL_BYTES, name_length))
        starts = place + _LOCAL_BYTES + name_length + _number(local, 28, 2)
        packed: int | None = _number(local, 18, 4)
        if flags & _SIZES_BEHIND:
            packed = None
        crc = None if packed is None else _number(local, 14, 4)
        member = _Member(place, method, flags, crc, packed)
        yield name, member
        if packed is None:
            if method != _DEFLATED:
                return
            packed = 0
            try:
                for block, taken in _unpacked(stream, member, size):
                    packed, most = taken, most - len(block)
                    if most < 0:
                        return
            except UnreadableFile:
                return
        place = starts + packed
        if flags & _SIZES_BEHIND:  # with a signature or without, in 32 bits or in 64
            place += max(0, _at(stream, place, 40).find(ZIP_MAGIC))


def _unpacked(stream: IO[bytes], member: _Member, size: int) -> Iterator[tuple[bytes, int]]:
    """(the next block of a member, how many packed bytes were taken for it and those before).

    Raises UnreadableFile where it breaks off or is damaged.
    """
    local = _at(stream, member.at, _LOCAL_BYTES)
    if len(local) < _LOCAL_BYTES or not local.startswith(ZIP_MAGIC):
        raise UnreadableFile("damaged zip")
    place = member.at + _LOCAL_BYTES + _number(local, 26, 2) + _number(local, 28, 2)
    end = size if member.packed is None else min(size, place + member.packed)
    starts, engine = place, zlib.decompressobj(-zlib.MAX_WBITS)
    waiting = b""
    while not engine.eof:
        if not waiting:
            waiting = _at(stream, place, min(_BLOCK_BYTES, end - place))
            place += len(waiting)
        at_end = not waiting
        if member.method == _STORED:
            block, waiting = waiting, b""
            if at_end and (member.packed is None or end == starts + member.packed):
                return
        else:
            try:
                block = engine.decompress(waiting, _BLOCK_BYTES)
            except zlib.error:
                raise UnreadableFile("damaged zip") from None
            waiting = engine.unconsumed_tail
        if at_end and not block and not engine.eof:
            raise UnreadableFile("truncated" if end == size else "damaged zip")
        yield block, place - starts - len(waiting) - len(engine.unused_data)


def _name(name: bytes) -> str:
    """With slashes between folders and none at its front: some programs write others."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = name.decode("cp437")
    return text.replace("\\", "/").lstrip("/")
