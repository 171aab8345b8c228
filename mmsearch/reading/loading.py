"""A path on disk → its bytes in one consistent state, their digest and their medium."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from typing import Any, BinaryIO

from mmsearch.files.times import modification_time
from mmsearch.reading.medium import (
    HEAD_BYTES,
    LoadedFile,
    Medium,
    NotAMedium,
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
    extension_of,
)

# The clocks of Linux's file systems advance every 1 to 10 ms.
_CLOCK_TICK_NS = 20_000_000
# A named pipe or a terminal put in the file's place must not block or take over.
_MORE_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def load_file(path: bytes, limits: ReadLimits, media: Sequence[Medium]) -> LoadedFile:
    """Read `path` whole, once more if it changes meanwhile. Raises UnreadableFile, or NotAMedium."""
    try:
        loaded = _read_once(path, limits, media) or _read_once(path, limits, media)
    except IsADirectoryError:
        raise UnreadableFile("not a regular file") from None
    except FileNotFoundError:
        raise UnreachableFile("vanished before it was read") from None
    except OSError as error:
        raise UnreachableFile((error.strerror or type(error).__name__).lower()) from None
    if loaded is None:
        raise UnreachableFile("changed while it was read")
    return loaded


def _read_once(path: bytes, limits: ReadLimits, media: Sequence[Medium]) -> LoadedFile | None:
    """The file, or None where it changed while it was read."""
    import xxhash

    with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
        before = _settled(file)
        if not stat.S_ISREG(before.st_mode):
            raise UnreadableFile("not a regular file")
        if before.st_size == 0:
            raise UnreadableFile("empty file")
        head = _read_up_to(file, HEAD_BYTES)
        medium = medium_of_bytes(head, extension_of(path), media)
        limit = medium.max_bytes(limits)
        if before.st_size > limit:
            raise UnreadableFile(f"{medium.name} file of {before.st_size:,} bytes, over the limit of {limit:,}")
        # One byte more than there should be shows growth; no endless file can fill memory.
        data = head + _read_up_to(file, before.st_size + 1 - len(head))
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ):
        return None
    # The way of reading is a part of the content: the same bytes are another text as a web page.
    digest = xxhash.xxh3_128_digest(data, seed=medium.way_of_reading(extension_of(path)))
    return LoadedFile(path, data, digest, len(data), modification_time(after), medium.name, limits)


def _settled(file: BinaryIO) -> os.stat_result:
    """The file's status, once the clock of its system has moved on since it was last written.

    Else a change of a moment later could leave it with the same modification time, and never be seen.
    """
    status = os.fstat(file.fileno())
    age = time.time_ns() - status.st_mtime_ns
    if not 0 <= age < _CLOCK_TICK_NS:
        return status
    time.sleep((_CLOCK_TICK_NS - age) / 1e9)
    return os.fstat(file.fileno())


def _open_without_waiting(path: Any, flags: int) -> int:
    return os.open(path, flags | _MORE_FLAGS)


def _read_up_to(file: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def medium_of_bytes(head: bytes, extension: str, media: Sequence[Medium]) -> Medium:
    """The medium of a file with these first bytes. Content wins over the extension.

    Raises UnreadableFile where the extension promises a medium that the bytes are not, NotAMedium where
    neither knows one.
    """
    for medium in media:
        if medium.is_surely(head):
            return medium
    promised = next((medium for medium in media if extension in medium.extensions), None)
    if promised is not None:
        if promised.may_be(head, extension):
            return promised
        raise UnreadableFile(promised.mismatch(head))
    for medium in media:
        if medium.may_be(head, extension):
            return medium
    raise NotAMedium(f"neither {' nor '.join(medium.name for medium in media)}")
