"""Whether what is packed in a PDF can be unpacked: PDFium takes what comes before the damage, and says nothing."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import IO

_BEGIN = re.compile(rb">>[ \t\r\n]{0,4}stream\r?\n")
_END = b"endstream"
_OBJECT = b" obj"
# Only what was packed last of all is looked at.
_PACKED = re.compile(rb"/Filter\s*\[?\s*/(?:FlateDecode|Fl)\b")
# The dictionary of a stream lies before it, and is no longer than that.
_LOOKED_AT = 2_000
_HEADER_BYTES = 2
# What programs end with that write no last block.
_FLUSHED = b"\0\0\xff\xff"
_PADDING = b"\0\r\n "
_CHECKSUM_BYTES = 4
_BLOCK_BYTES = 1 << 20
_PIECE_BYTES = 1 << 14


def has_damage(stream: IO[bytes]) -> bool:
    """Whether something that was packed by zlib in a PDF, which is not encrypted, breaks off, or cannot be read."""
    at = 0
    while True:
        try:
            stream.seek(at)
            block = stream.read(_BLOCK_BYTES)
        except (OSError, ValueError):  # ValueError: it was closed
            return True
        done = 0
        for begin in _BEGIN.finditer(block):
            if begin.start() < done:
                continue  # in what was unpacked
            head = block[max(0, begin.start() - _LOOKED_AT) : begin.start()].rpartition(_OBJECT)[2]
            if not _PACKED.search(head):
                continue
            stream.seek(at + begin.end())
            length = _length_unpacked(stream)
            if length is None:
                return True
            done = begin.end() + length
        if len(block) < _BLOCK_BYTES:
            return False
        at += max(done, len(block) - _LOOKED_AT)


def _length_unpacked(stream: IO[bytes]) -> int | None:
    """How many bytes were unpacked from here on; None where these are damaged.

    The checksum at their end is not compared: some programs write that of something else, or none.
    """
    header = stream.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or header[0] & 15 != zlib.DEFLATED or int.from_bytes(header, "big") % 31:
        return None
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    length, last = _HEADER_BYTES, b""
    for piece in _until_end(stream):
        length += len(piece)
        last = (last + piece)[-_LOOKED_AT:]
        try:
            unpacking.decompress(piece)
        except zlib.error:
            return None
        if len(unpacking.unused_data) > _LOOKED_AT:
            return None
    if unpacking.eof:  # of what was written over, too, sooner or later
        return length if len(unpacking.unused_data.rstrip(_PADDING)) <= _CHECKSUM_BYTES else None
    return length if last.rstrip(_PADDING[1:]).endswith(_FLUSHED) else None


def _until_end(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a stream, piece by piece: what lacks its last block is not gone on with behind its end."""
    kept = b""
    while piece := stream.read(_PIECE_BYTES):
        piece = kept + piece
        end = piece.find(_END)
        if end >= 0:
            yield piece[:end]
            return
        yield piece[: -len(_END)]
        kept = piece[-len(_END) :]
    yield kept
