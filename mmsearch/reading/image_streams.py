"""What a decoder gets of a picture file: no metadata that could spoil it, and an end where it lacks one."""

from __future__ import annotations

import io
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import IO, Any, NamedTuple

from mmsearch.reading.image_formats import declared_size

# No more metadata than this is looked at.
_MOST_METADATA = 1_000_000
# Of a file that lacks more than this share of its bytes nothing worth seeing is there.
LEAST_SHARE = 0.1
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE")
_PNG_END = (0).to_bytes(4, "big") + b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")
_CHUNK_NAME = re.compile(rb"[A-Za-z]{4}")
_XMP_KEY = b"XML:com.adobe.xmp"
_EXIF_KEY = b"Raw profile type exif"
_JPEG_END = b"\xff\xd9"
# Between the data of scans; in those a byte of FF is followed by 00 or by the number of a restart.
_JPEG_SEGMENT = re.compile(rb"\xff[\x01-\xcf\xda-\xfe]")
_LONGEST_SEGMENT = 65_537
_PADDED = ("WEBP", "AVIF", "HEIF")


class Piece(NamedTuple):
    """`size` bytes: of the file from `start` on, or `literal` ones, or zeros."""

    size: int
    start: int = -1
    literal: bytes = b""


class Spliced(io.RawIOBase):
    """Pieces of a file and bytes that are not in it, read as one file."""

    def __init__(self, stream: IO[bytes], pieces: Sequence[Piece]) -> None:
        self._stream = stream
        self._pieces = pieces
        self._ends = list(accumulate(piece.size for piece in pieces))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1] if self._ends else 0}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._ends, self._at)
        if number == len(self._pieces):
            return 0
        piece = self._pieces[number]
        within = self._at - (self._ends[number] - piece.size)
        count = min(len(buffer), piece.size - within)
        if piece.start >= 0:
            self._stream.seek(piece.start + within)
            data = self._stream.read(count)
        else:
            data = piece.literal[within : within + count] or bytes(count)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def spliced(stream: IO[bytes], pieces: Sequence[Piece]) -> IO[bytes]:
    """The pieces as one file."""
    return io.BufferedReader(Spliced(stream, pieces), 1 << 16)


def with_an_end(stream: IO[bytes], size: int, name: str) -> tuple[IO[bytes], float] | None:
    """A file that is shorter than it says, with an end for its decoder, and how much of it is there (1 if not known).

    None where that would not help. Zeros are fine with decoders of WebP, AVIF and HEIC: they make a smear of them.
    """
    if name == "JPEG":
        return spliced(stream, [Piece(_end_of_scan(stream, size), 0), _literal(_JPEG_END)]), 1.0
    declared = declared_size(stream, size, name) if name in _PADDED else None
    if declared is None or declared <= size or size < LEAST_SHARE * declared:
        return None
    return spliced(stream, [Piece(size, 0), Piece(declared - size)]), size / declared


def _end_of_scan(stream: IO[bytes], size: int) -> int:
    """Where a JPEG's last whole piece ends: before a segment that breaks off, such as the next scan's tables."""
    begin = max(0, size - _LONGEST_SEGMENT)
    stream.seek(begin)
    tail = stream.read(size - begin)
    last = None
    for last in _JPEG_SEGMENT.finditer(tail):  # noqa: B007 - the last of them
        pass
    if last is None or last.end() + int.from_bytes(tail[last.end() : last.end() + 2], "big") <= len(tail):
        return size
    return begin + last.start()


def png_pixels(stream: IO[bytes], begin: int, size: int) -> IO[bytes]:
    """The PNG that begins at `begin`: what makes its pixels, its EXIF and XMP; no other metadata, right or wrong.

    All data chunks are made one, which ends where the file does. `size` is that of the whole file.
    """
    front = [_literal(_PNG_MARK)]
    data: list[Piece] = []
    for name, start, length in _png_chunks(stream, begin + len(_PNG_MARK), size):
        there = min(length, size - start)
        if name == b"IDAT":
            data.append(Piece(there, start))
        elif name in _PNG_PIXELS and there == length:
            front.append(Piece(length + 12, start - 8))
        elif name in (b"tRNS", b"eXIf", b"iTXt", b"tEXt", b"zTXt") and there == length <= _MOST_METADATA:
            stream.seek(start)
            content, checksum = stream.read(length), stream.read(4)
            chunk = name + content
            is_right = zlib.crc32(chunk).to_bytes(4, "big") == checksum
            if name == b"eXIf" or (is_right and (name == b"tRNS" or _tells_of_the_photo(name, content))):
                front.append(_literal(length.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")))
    total = sum(piece.size for piece in data)
    return spliced(stream, [*front, _literal(total.to_bytes(4, "big") + b"IDAT"), *data, _literal(bytes(4) + _PNG_END)])


def _literal(data: bytes) -> Piece:
    return Piece(len(data), literal=data)


def _png_chunks(stream: IO[bytes], at: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the content of each chunk; it ends at the end of the picture or where no chunk is."""
    while at + 8 < size:
        stream.seek(at)
        head = stream.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if _CHUNK_NAME.fullmatch(name) is None or name == b"IEND":
            return
        yield name, at + 8, length
        at += 12 + length


def _tells_of_the_photo(name: bytes, content: bytes) -> bool:
    """Whether a text chunk holds EXIF or XMP, in a form that can be unpacked within the limit."""
    key, _, rest = content.partition(b"\0")
    if name == b"iTXt":
        return key == _XMP_KEY and rest[:1] == b"\0"
    if key != _EXIF_KEY or name == b"tEXt":
        return key == _EXIF_KEY
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(rest[1:], _MOST_METADATA)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail


class IconPicture(NamedTuple):
    """A picture in an ICO: where it lies, whether it is a PNG or a bitmap, and its size in pixels."""

    start: int
    is_png: bool
    width: int
    height: int


def icon_pictures(stream: IO[bytes]) -> list[IconPicture]:
    """The pictures of an ICO, first the one that it shows: its largest, and of those that with the most colours.

    Raises ValueError where there is none, or where one lies beyond the end.
    """
    stream.seek(4)
    count = int.from_bytes(stream.read(2), "little")
    entries = [entry for _ in range(count) if len(entry := stream.read(16)) == 16]
    if not entries:
        raise ValueError("truncated icon")
    entries.sort(key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[6] + 256 * entry[7]), reverse=True)
    return [_icon_picture(stream, int.from_bytes(entry[12:16], "little")) for entry in entries]


def _icon_picture(stream: IO[bytes], start: int) -> IconPicture:
    stream.seek(start)
    head = stream.read(24)
    if len(head) < 24:
        raise ValueError("truncated icon")
    if head.startswith(_PNG_MARK):
        return IconPicture(start, True, int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big"))
    width = int.from_bytes(head[4:8], "little", signed=True)
    height = int.from_bytes(head[8:12], "little", signed=True)
    return IconPicture(start, False, abs(width), abs(height) // 2)
