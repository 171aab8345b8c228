"""A document that is a zip → its members, each in blocks, within bounds. Nothing that the zip says of sizes is trusted.

A zip that has lost its end, where its directory lies, is read by what stands before each member.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from mmsearch.files.zip_directory import (
    DEFLATED,
    LOCAL_BYTES,
    MAGIC,
    SIZES_BEHIND,
    ZipEntry,
    bytes_at,
    directory_in,
    entries_in,
    name_of,
    number_in,
)
from mmsearch.reading.document.xml_events import Walker, walk
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.unpacking import check_method, check_ratio, unpacked_blocks

# All that is unpacked of a document: what it takes itself, and so many members of the largest size.
_LARGEST_MEMBERS = 8


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
        self._members: dict[str, ZipEntry] = {}
        stream, size = self.file.stream, self.file.size
        directory = directory_in(stream, size)
        if directory is None:
            self.trouble.append("truncated")
            found = _found_without_directory(stream, size, self._most)
        else:
            found = entries_in(stream, directory)
        for number, member in enumerate(found):
            if number >= self.file.limits.max_members:
                self.trouble.append(f"more than {self.file.limits.max_members:,} files inside")
                break
            self._members[_name(member.name)] = member
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
        check_method(member)
        return self._bounded(member)

    def _bounded(self, member: ZipEntry) -> Iterator[bytes]:
        limits = self.file.limits
        unpacked = packed = crc = 0
        for block, packed in unpacked_blocks(self.file.stream, member, self.file.size):
            unpacked += len(block)
            self._unpacked += len(block)
            if unpacked > limits.max_member_bytes:
                raise UnreadableFile(f"a part of it is over the limit of {limits.max_member_bytes:,} bytes")
            if self._unpacked > self._most:
                raise UnreadableFile(f"unpacked over the limit of {self._most:,} bytes")
            check_ratio(unpacked, packed)
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


def _found_without_directory(stream: IO[bytes], size: int, most: int) -> Iterator[ZipEntry]:
    """The members as they follow one another, up to where the file breaks off.

    At most so many bytes are unpacked to find where those end of which the zip does not say so.
    """
    place = 0
    while True:
        local = bytes_at(stream, place, LOCAL_BYTES)
        if len(local) < LOCAL_BYTES or not local.startswith(MAGIC):
            return
        name_length, flags, method = number_in(local, 26, 2), number_in(local, 6, 2), number_in(local, 8, 2)
        name = bytes_at(stream, place + LOCAL_BYTES, name_length)
        starts = place + LOCAL_BYTES + name_length + number_in(local, 28, 2)
        packed: int | None = number_in(local, 18, 4)
        if flags & SIZES_BEHIND:
            packed = None
        crc = None if packed is None else number_in(local, 14, 4)
        member = ZipEntry(name, place, method, flags, crc, packed)
        yield member
        if packed is None:
            if method != DEFLATED:
                return
            packed = 0
            try:
                for block, taken in unpacked_blocks(stream, member, size):
                    packed, most = taken, most - len(block)
                    if most < 0:
                        return
            except UnreadableFile:
                return
        place = starts + packed
        if flags & SIZES_BEHIND:  # with a signature or without, in 32 bits or in 64
            place += max(0, bytes_at(stream, place, 40).find(MAGIC))


def _name(name: bytes) -> str:
    """With slashes between folders and none at its front."""
    return name_of(name).lstrip("/")
