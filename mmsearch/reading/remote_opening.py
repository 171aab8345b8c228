"""A file behind a URL → an open file: fetched whole to be hashed, by ranges where its bytes are known."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TypeVar

from mmsearch.files.paths import extension_of
from mmsearch.files.remote import RangedStream, RemoteFile, open_remote
from mmsearch.reading.opening import (
    CHANGED_WHILE_READ,
    KEPT_BYTES,
    OpenFile,
    check_size,
    digest_begun,
    most_bytes,
    reader_of_bytes,
)
from mmsearch.reading.reader import HEAD_BYTES, Reader, ReadLimits, UnreachableFile, UnreadableFile, unreachable

FETCHED_BYTES = 8_000_000
"""So much is asked for at a time, and a file of no more is fetched whole whatever is wanted of it."""
# Around a place that is sought so much is fetched.
_RANGE_BYTES = 2_000_000

Given = TypeVar("Given")


@contextmanager
def opened_whole(path: bytes, limits: ReadLimits, readers: Sequence[Reader]) -> Iterator[OpenFile]:
    """The file at that URL, fetched and hashed. Raises as `opening.opened` does."""
    extension = extension_of(path)
    is_promised = any(extension in reader.extensions for reader in readers)
    with _remote_file(path) as file:
        size = file.entry.size
        blocks = _blocks(file, FETCHED_BYTES if is_promised else HEAD_BYTES)
        first = next(blocks)
        head = first[:HEAD_BYTES]
        reader = reader_of_bytes(head, extension, readers)
        check_size(size, most_bytes(reader, limits), reader)
        digest = digest_begun(head, reader.way_of_reading(extension))
        digest.update(first[len(head) :])
        with _kept(size) as stream:
            _told(lambda: stream.write(first))
            for block in blocks:
                digest.update(block)
                _told(lambda block=block: stream.write(block))  # type: ignore[misc]
            stream.seek(0)
            _told(file.check_unchanged)
            state = size, file.entry.mtime_ns
            yield OpenFile(
                path, stream, head, digest.digest(), *state, reader, limits, file.entry.mark, readers=readers
            )


@contextmanager
def opened_by_ranges(
    path: bytes, state: tuple[int, int], limits: ReadLimits, readers: Sequence[Reader]
) -> Iterator[OpenFile]:
    """The file at that URL, of which what is read is fetched. Raises as `opening.opened_as_known` does."""
    with _remote_file(path) as file:
        if (file.entry.size, file.entry.mtime_ns) != state:
            raise UnreachableFile(CHANGED_WHILE_READ)
        if file.entry.size <= FETCHED_BYTES:
            stream: IO[bytes] = io.BytesIO(b"".join(_blocks(file, FETCHED_BYTES)))
        else:
            stream = io.BufferedReader(RangedStream(file), _RANGE_BYTES)
        with stream:
            head = _told(lambda: stream.read(HEAD_BYTES))
            stream.seek(0)
            reader = reader_of_bytes(head, extension_of(path), readers)
            yield OpenFile(path, stream, head, b"", *state, reader, limits, file.entry.mark, readers=readers)
        _told(file.check_unchanged)


def remote_blocks(path: bytes) -> Iterator[bytes]:
    """All bytes of the file at `path`. Raises UnreachableFile where they are not to be had."""
    with _remote_file(path) as file:
        yield from _blocks(file, FETCHED_BYTES)


def remote_bytes(path: bytes, count: int) -> bytes:
    """The first so many bytes of the file at `path`. Raises OSError where they are not to be had."""
    file = open_remote(path)
    return file.read_at(0, min(count, file.entry.size))


@contextmanager
def _remote_file(path: bytes) -> Iterator[RemoteFile]:
    """The file at `path`, of which something lies there. What came of it is nothing if a read has failed."""
    file = _told(lambda: open_remote(path))
    if file.entry.is_folder:
        raise UnreadableFile("not a regular file")
    if file.entry.size == 0:
        raise UnreadableFile("empty file")
    try:
        yield file
    except (OSError, UnreadableFile):
        if file.trouble is not None:  # what a reader has taken for damage
            raise unreachable(file.trouble) from None
        raise
    if file.trouble is not None:
        raise unreachable(file.trouble)


def _blocks(file: RemoteFile, first: int) -> Iterator[bytes]:
    """All bytes of a file, a request a block, of which the first one has so many at most."""
    place, size = 0, file.entry.size
    while place < size:
        at, count = place, min(size - place, FETCHED_BYTES if place else first)
        block = _told(lambda at=at, count=count: file.read_at(at, count))  # type: ignore[misc]
        if not block:
            raise UnreachableFile(CHANGED_WHILE_READ)
        yield block
        place += len(block)


def _kept(size: int) -> IO[bytes]:
    """Where the bytes of a file are put while it is read: memory, or a private file that has no name."""
    return io.BytesIO() if size <= KEPT_BYTES else tempfile.TemporaryFile()


def _told(ask: Callable[[], Given]) -> Given:
    """What is answered. Raises UnreachableFile in the place of an OSError."""
    try:
        return ask()
    except FileNotFoundError:
        raise UnreachableFile("vanished before it was read") from None
    except OSError as error:
        raise unreachable(error) from None
