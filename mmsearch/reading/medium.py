"""What a medium is, and what passes between the door of this package and its media."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from mmsearch.records import Content, Modality

_SEP = os.fsencode(os.sep)

HEAD_BYTES = 4096
"""How many of a file's first bytes decide what it is. A multiple of 4, so that UTF-32 is not cut."""


def extension_of(path: bytes) -> str:
    """The extension in lower case with its dot, "" where there is none (`.bashrc` has none)."""
    name = path[path.rfind(_SEP) + 1 :]
    dot = name.rfind(b".")
    if dot <= 0 or name.count(b".", 0, dot) == dot:  # leading dots only: a hidden file
        return ""
    return _in_lower_case(name[dot:])


@functools.lru_cache(maxsize=1024)
def _in_lower_case(extension: bytes) -> str:
    return os.fsdecode(extension).lower()


class UnreadableFile(Exception):
    """A file that cannot be read. `reason` is a short phrase for the failure ledger: "truncated JPEG"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreachableFile(UnreadableFile):
    """A file that the system would not give at this moment. Nothing is known of its content: try again later."""


class NotAMedium(UnreadableFile):
    """A file of no known medium. Nothing is wrong with it: it is not for this program."""


@dataclass(frozen=True)
class ReadLimits:
    """The largest files and pictures that are read: bytes of a file, pixels of a picture."""

    max_image_bytes: int = 512_000_000
    max_text_bytes: int = 10_000_000
    max_image_pixels: int = 300_000_000


@dataclass(frozen=True)
class FileReading:
    """What identifies a file's content: `digest` is the 16 bytes of xxh3_128 over all of it.

    `size` is in bytes, `mtime_ns` in nanoseconds since 1970, both as they were when the content was read.
    """

    digest: bytes
    size: int
    mtime_ns: int
    medium: Modality


@dataclass(frozen=True)
class LoadedFile:
    """A file's bytes in a consistent state, not decoded yet. `limits` are those it was loaded under."""

    path: bytes
    data: bytes = field(repr=False)
    digest: bytes
    size: int
    mtime_ns: int
    medium: Modality
    limits: ReadLimits = ReadLimits()

    @property
    def reading(self) -> FileReading:
        """All but the bytes."""
        return FileReading(self.digest, self.size, self.mtime_ns, self.medium)


@dataclass(frozen=True)
class Medium:
    """One kind of file: how it is told from others, and how it is decoded.

    The three tests get a file's first HEAD_BYTES and its extension (lower case, with the dot, "" for none).
    `is_surely` holds for bytes that are of this medium whatever the file is called. `may_be` holds for bytes
    that are of it where the extension says so or says nothing. `mismatch` is the reason to give where the
    extension says so and the bytes do not. `way_of_reading` numbers the ways in which the same bytes are decoded under
    different extensions.
    """

    name: Modality
    extensions: frozenset[str]
    is_surely: Callable[[bytes], bool]
    may_be: Callable[[bytes, str], bool]
    mismatch: Callable[[bytes], str]
    way_of_reading: Callable[[str], int]
    max_bytes: Callable[[ReadLimits], int]
    decode: Callable[[LoadedFile, int], Content]
