"""A file's bytes block by block, and digests of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Protocol, TypeVar

_BLOCK_BYTES = 1 << 20


class Digest(Protocol):
    """What hashlib and xxhash make."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


AnyDigest = TypeVar("AnyDigest", bound=Digest)


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """What is left of an open file, a megabyte at a time."""
    while block := file.read(_BLOCK_BYTES):
        yield block


def updated(digest: AnyDigest, path: str) -> AnyDigest:
    """The digest, with all bytes of the file at `path` added to it."""
    with open(path, "rb") as file:
        for block in blocks_of(file):
            digest.update(block)
    return digest


def sha256_of(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    import hashlib

    return updated(hashlib.sha256(), path).hexdigest()


def place_in_shuffle(path: bytes, seed: int) -> int:
    """A signed number of 64 bits by which paths are put in an order that the seed, 0 to 2**64 - 1, alone decides on."""
    import xxhash

    return xxhash.xxh3_64_intdigest(path, seed) - 2**63
