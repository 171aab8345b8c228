"""A compound file (OLE2), as Office before 2007 wrote its documents → the streams and folders in it, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from mmsearch.reading.document.format import COMPOUND_MAGIC
from mmsearch.reading.reader import UnreadableFile

_HEADER_BYTES, _ENTRY_BYTES = 512, 128
_LISTED_IN_HEADER = 109
_LAST_SECTOR = 0xFFFFFFF9
_NONE = 0xFFFFFFFF
_SMALL_SECTOR_SHIFT = 6
_FOLDER, _STREAM, _ROOT = 1, 2, 5
# Streams that hold a document that was encrypted as a whole, by a password or by rights; or what is said of one.
_LOCKS = ("encryptedpackage", "\tdrmcontent", "encryptedsummary")
_MOST_ENTRIES = 100_000
# Wider ones are never written: 512 bytes, or 4,096.
_SECTOR_SHIFTS = (9, 12)


@dataclass(frozen=True)
class Entry:
    """A stream or a folder; `children` are those in a folder, by their names in lower case."""

    name: str
    kind: int
    start: int
    size: int
    left: int
    right: int
    child: int

    @property
    def is_folder(self) -> bool:
        return self.kind in (_FOLDER, _ROOT)


class CompoundFile:
    """The entries of an open compound file, and what the streams among them hold. `span` is how many bytes it may have
    by its own tables; some have fewer.

    Raises:
        UnreadableFile: its directory is cut off or damaged.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._size = stream, size
        header = _at(stream, 0, _HEADER_BYTES)
        self._shift = _number(header, 30, 2)
        if not header.startswith(COMPOUND_MAGIC) or self._shift not in _SECTOR_SHIFTS:
            raise UnreadableFile("truncated" if COMPOUND_MAGIC.startswith(header) else "damaged document")
        self._sectors = (size >> self._shift) + 1
        self._small_below = _number(header, 56, 4)
        self._tables = [_number(header, 76 + 4 * place, 4) for place in range(_LISTED_IN_HEADER)]
        self.span = ((_number(header, 44, 4) << (self._shift - 2)) + 1) << self._shift
        self._more_tables = _number(header, 68, 4)
        self._table: tuple[int, bytes] = (-1, b"")
        directory = self._joined(_number(header, 48, 4), _MOST_ENTRIES * _ENTRY_BYTES)
        self._entries = [_entry(directory, at) for at in range(0, len(directory) - _ENTRY_BYTES + 1, _ENTRY_BYTES)]
        if not self._entries or self._entries[0].kind != _ROOT:
            is_cut = _number(header, 48, 4) >= self._sectors - 1
            raise UnreadableFile("truncated" if is_cut else "damaged document")
        self._small_table = _number(header, 60, 4)
        self._small: tuple[bytes, bytes] | None = None
        self.root = self.children(self._entries[0])

    @property
    def is_locked(self) -> bool:
        """Whether a document lies in it that was encrypted as a whole."""
        return any(name in self.root for name in _LOCKS)

    @property
    def is_cut(self) -> bool:
        """Whether some stream breaks off before its end."""
        streams = [entry for entry in self._entries if entry.kind == _STREAM]
        if sum(entry.size for entry in streams) > self._size:
            return True
        return any(len(self.read(entry, entry.size)) < entry.size for entry in streams)

    def children(self, folder: Entry) -> Mapping[str, Entry]:
        """What lies in a folder, by its names in lower case."""
        found: dict[str, Entry] = {}
        seen: set[int] = set()
        waiting = [folder.child]
        while waiting:
            number = waiting.pop()
            if number < len(self._entries) and number not in seen:
                seen.add(number)
                entry = self._entries[number]
                found[entry.name.lower()] = entry
                waiting += (entry.left, entry.right)
        return found

    def read(self, entry: Entry, most: int) -> bytes:
        """The first bytes of a stream, at most so many, or fewer where it is cut off.

        Raises:
            UnreadableFile: it is damaged.
        """
        wanted = min(entry.size, most)
        if entry.size >= self._small_below:
            return self._joined(entry.start, wanted)[:wanted]
        if self._small is None:
            root = self._entries[0]
            self._small = (self._joined(self._small_table, root.size), self._joined(root.start, root.size))
        table, content = self._small
        pieces, number = [], entry.start
        for _ in range(0, wanted, 1 << _SMALL_SECTOR_SHIFT):
            begins = number << _SMALL_SECTOR_SHIFT
            if begins >= len(content) or 4 * number >= len(table):
                break
            pieces.append(content[begins : begins + (1 << _SMALL_SECTOR_SHIFT)])
            number = _number(table, 4 * number, 4)
        return b"".join(pieces)[:wanted]

    def sectors_of(self, entry: Entry) -> tuple[list[int], int]:
        """Where in the file the pieces of a stream lie, and how many bytes each has; none of one that is small.

        Raises:
            UnreadableFile: it is damaged.
        """
        sectors = self._chain(entry.start) if entry.size >= self._small_below else ()
        return [(sector + 1) << self._shift for sector in sectors], 1 << self._shift

    def _joined(self, start: int, most: int) -> bytes:
        """A chain of sectors, up to where it ends, breaks off, or has so many bytes."""
        pieces, length = [], 0
        for sector in self._chain(start):
            if length >= most:
                break
            pieces.append(_at(self._stream, (sector + 1) << self._shift, 1 << self._shift))
            length += len(pieces[-1])
        return b"".join(pieces)

    def _chain(self, start: int) -> Iterator[int]:
        for _ in range(self._sectors):
            if start > _LAST_SECTOR or start >= self._sectors:
                return
            yield start
            start = self._next(start)
        raise UnreadableFile("damaged document")

    def _next(self, sector: int) -> int:
        """The sector after that one."""
        numbers = 1 << (self._shift - 2)
        wanted = sector // numbers
        while wanted >= len(self._tables) and self._more_tables < self._sectors:
            listed = _at(self._stream, (self._more_tables + 1) << self._shift, 1 << self._shift)
            self._tables += [_number(listed, 4 * place, 4) for place in range(numbers - 1)]
            self._more_tables = _number(listed, 4 * (numbers - 1), 4)
            if len(self._tables) > self._sectors + _LISTED_IN_HEADER + numbers:  # they go round in a circle
                raise UnreadableFile("damaged document")
        if wanted >= len(self._tables):
            return _NONE
        if self._table[0] != wanted:
            self._table = wanted, _at(self._stream, (self._tables[wanted] + 1) << self._shift, 1 << self._shift)
        following = self._table[1][4 * (sector % numbers) :][:4]
        return int.from_bytes(following, "little") if len(following) == 4 else _NONE


def _entry(directory: bytes, at: int) -> Entry:
    length = max(0, min(64, _number(directory, at + 64, 2)) - 2)
    return Entry(
        name=directory[at : at + length].decode("utf-16-le", "replace"),
        kind=directory[at + 66],
        start=_number(directory, at + 116, 4),
        size=_number(directory, at + 120, 4),
        left=_number(directory, at + 68, 4),
        right=_number(directory, at + 72, 4),
        child=_number(directory, at + 76, 4),
    )


def _at(stream: IO[bytes], place: int, count: int) -> bytes:
    stream.seek(place)
    return stream.read(count)


def _number(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "little")
