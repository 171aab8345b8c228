"""Makers of files that are hard to read: damaged, oversized, or not what their names say."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator

CUTS = (0.05, 0.3, 0.6, 0.85)


def truncations(data: bytes) -> Iterator[bytes]:
    """The beginnings of a file: a copy that broke off."""
    for share in CUTS:
        yield data[: int(len(data) * share)]


def flipped(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """`count` copies with one to thirty bits wrong, mostly near the front, where the structure is."""
    chance = random.Random(seed)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 3, 30))):
            reach = min(len(copy), chance.choice((64, 2000, len(copy))))
            copy[chance.randrange(reach)] ^= 1 << chance.randrange(8)
        yield bytes(copy)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A few hundred bytes that claim to be a picture of billions of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def half_downloaded(jpeg: bytes) -> bytes:
    """A JPEG of full length whose second half never arrived."""
    half = len(jpeg) // 2
    return jpeg[:half] + bytes(len(jpeg) - half)
