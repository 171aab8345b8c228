"""A path on disk → an open file in one consistent state, with its digest and its reader."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any, BinaryIO, cast

from mmsearch.files.archives import NotAnArchive, archive_of, mark_of, member_of
from mmsearch.files.hashing import blocks_of
from mmsearch.files.paths import extension_of
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.times import change_time, modification_time
from mmsearch.reading.reader import (
    HEAD_BYTES,
    NotAMedium,
    Reader,
    ReadLimits,
    UnreachableFile,
    UnreadableFile,
    unreachable,
)
from mmsearch.reading.unpacking import member_bytes
from mmsearch.records import Hearing

# The clocks of Linux's file systems advance every 1 to 10 ms.
_CLOCK_TICK_NS = 20_000_000
# A named pipe or a terminal put in the file's place must not block or take over.
_MORE_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
# A file of up to so many bytes is kept in memory while it is read: it is not asked of the disk twice.
KEPT_BYTES = 64_000_000
_BLOCK_BYTES = 1 << 20
# Of a file of which only the header is wanted, so much is read at a time.
_HEADER_BYTES = 1 << 16
DIGEST_BYTES = 16
CHANGED_SINCE = "changed since it was indexed"
CHANGED_WHILE_READ = "changed while it was read"
# A file in a mail in a mail is read; what lies deeper is a trap, or nothing that anyone looks for.
DEEPEST = 3


@dataclass(frozen=True)
class OpenFile:
    """A file that is being read.

    `stream` gives its bytes, from any place; `head` are the first of them. `digest` is the 16 bytes of BLAKE2b over
    all of them, `size` is in bytes, `mtime_ns` in nanoseconds since 1970, both as they were when it was opened.
    `ctime_ns` is when the system last changed anything of it, None where it does not tell. `depth` counts the files
    that it lies in, and `readers` are all there are, for what lies in it. `hearing` is the form in which sound is
    wanted, and that nothing else is; None where pictures and words are.
    """

    path: bytes
    stream: IO[bytes] = field(repr=False)
    head: bytes = field(repr=False)
    digest: bytes
    size: int
    mtime_ns: int
    reader: Reader
    limits: ReadLimits
    ctime_ns: int | None = None
    depth: int = 0
    readers: Sequence[Reader] = field(default=(), repr=False)
    hearing: Hearing | None = None

    def member(self, name: str, data: bytes) -> OpenFile:
        """A file that lies in this one, under that name: an attachment, a picture in a document.

        Raises:
            UnreadableFile: it is empty, over its limit, deeper than DEEPEST, or not what its extension says.
                NotAMedium, for files of other kinds.
        """
        if self.depth >= DEEPEST:
            raise UnreadableFile(f"lies in more than {DEEPEST} files")
        if not data:
            raise UnreadableFile("empty file")
        path, head = name.encode("utf-8", "surrogateescape"), data[:HEAD_BYTES]
        reader = reader_of_bytes(head, extension_of(path), self.readers)
        check_size(len(data), min(most_bytes(reader, self.limits), self.limits.max_member_bytes), reader)
        return replace(
            self,
            path=path,
            stream=io.BytesIO(data),
            head=head,
            digest=b"",
            size=len(data),
            reader=reader,
            depth=self.depth + 1,
        )

    def older_digest(self) -> bytes:
        """The digest that contents had in schemas before 6: xxh3_128, which whoever wants to can give to two files."""
        import xxhash

        digest = xxhash.xxh3_128(seed=self.reader.way_of_reading(self.extension))
        self.stream.seek(0)
        for block in blocks_of(self.stream):
            digest.update(block)
        self.stream.seek(0)
        return digest.digest()

    @property
    def extension(self) -> str:
        return extension_of(self.path)


@contextmanager
def opened(path: bytes, limits: ReadLimits, readers: Sequence[Reader]) -> Iterator[OpenFile]:
    """Opens and hashes the file at `path`, once more if it changes meanwhile; links are followed.

    The path may be that of a file in an archive, or a URL: what lies behind one is fetched whole.

    What is read of it within the block is what was hashed, or UnreachableFile is raised at its end.

    Raises:
        UnreadableFile: it cannot be read, is over its limit (nothing beyond its head is read then), is not what its
            extension says, or does not keep still. NotAMedium, for files of other kinds.
    """
    if is_remote(path):
        from mmsearch.reading.remote_opening import opened_whole

        with opened_whole(path, limits, readers) as fetched:
            yield fetched
        return
    inside = archive_of(path)
    if inside is not None:
        yield _opened_member(path, inside, limits, readers)
        return
    try:
        file = _opened_once(path, limits, readers) or _opened_once(path, limits, readers)
    except IsADirectoryError:
        raise UnreadableFile("not a regular file") from None
    except FileNotFoundError:
        raise UnreachableFile("vanished before it was read") from None
    except OSError as error:
        raise unreachable(error) from None
    if file is None:
        raise UnreachableFile(CHANGED_WHILE_READ)
    with file.stream:
        yield file
        if not isinstance(file.stream, io.BytesIO) and _state(file.stream) != (file.size, file.mtime_ns):
            raise UnreachableFile(CHANGED_WHILE_READ)


@contextmanager
def opened_as_known(
    path: bytes, state: tuple[int, int], limits: ReadLimits, readers: Sequence[Reader]
) -> Iterator[OpenFile]:
    """Opens a file of which the bytes are known, by its size and modification time: nothing is hashed.

    Raises:
        UnreachableFile: it is in another state, or not to be had. UnreadableFile: as `opened` does.
    """
    if is_remote(path):
        from mmsearch.reading.remote_opening import opened_by_ranges

        with opened_by_ranges(path, state, limits, readers) as remote:
            yield remote
        return
    inside = archive_of(path)
    if inside is not None:
        member = _opened_member(path, inside, limits, readers)
        if (member.size, member.mtime_ns) != state:
            raise UnreachableFile(CHANGED_WHILE_READ)
        yield member
        return
    try:
        file = cast("BinaryIO", open(path, "rb", buffering=0, opener=_open_without_waiting))  # noqa: SIM115
    except OSError as error:
        raise unreachable(error) from None
    with file:
        try:
            if _state(file) != state:
                raise UnreachableFile(CHANGED_WHILE_READ)
            head = _read_up_to(file, HEAD_BYTES)
            file.seek(0)
        except OSError as error:
            raise unreachable(error) from None
        reader = reader_of_bytes(head, extension_of(path), readers)
        stream = io.BufferedReader(cast("io.RawIOBase", file), _HEADER_BYTES)
        yield OpenFile(path, stream, head, b"", *state, reader, limits, readers=readers)
        if _state(file) != state:
            raise UnreachableFile(CHANGED_WHILE_READ)


@contextmanager
def opened_as_indexed(
    path: bytes, content: bytes, state: tuple[int, int], limits: ReadLimits, readers: Sequence[Reader]
) -> Iterator[OpenFile]:
    """Opens a file only if its bytes are those that were indexed, whatever lies at `path` now and where links lead.

    `content` is their digest, `state` the size and modification time that they had. Of up to KEPT_BYTES all are hashed,
    and what was hashed is what is read; more of them are known by their state, unless a link leads to them. So is what
    lies behind a URL, where it is more than is fetched at a time.

    Raises:
        UnreachableFile: they are others, or not to be had. UnreadableFile: as `opened` does.
    """
    most = KEPT_BYTES
    try:
        if is_remote(path):
            from mmsearch.reading.remote_opening import FETCHED_BYTES

            most, size, is_direct = FETCHED_BYTES, state[0], True
        else:
            size, is_direct = os.stat(path).st_size, os.path.realpath(path) == path
    except OSError as error:
        raise unreachable(error) from None
    if size != state[0]:  # so that nothing is read of what is surely something else
        raise UnreachableFile(CHANGED_SINCE)
    if size > most and is_direct:
        with opened_as_known(path, state, limits, readers) as file:
            yield file
        return
    with opened(path, limits, readers) as file:
        # An older mmsearch's digest could be forged: the state has to be the same as well.
        if file.digest != content and (file.mtime_ns != state[1] or file.older_digest() != content):
            raise UnreachableFile(CHANGED_SINCE)
        yield file


def _opened_once(path: bytes, limits: ReadLimits, readers: Sequence[Reader]) -> OpenFile | None:
    """The file, or None where it changed while it was hashed."""
    file = cast("BinaryIO", open(path, "rb", buffering=0, opener=_open_without_waiting))  # noqa: SIM115 - handed on
    try:
        before = _settled(file)
        if not stat.S_ISREG(before.st_mode):
            raise UnreadableFile("not a regular file")
        if before.st_size == 0:
            raise UnreadableFile("empty file")
        head = _read_up_to(file, HEAD_BYTES)
        reader = reader_of_bytes(head, extension_of(path), readers)
        check_size(before.st_size, most_bytes(reader, limits), reader)
        size, mtime_ns = before.st_size, modification_time(before)
        digest, data = _hashed(file, head, size, reader.way_of_reading(extension_of(path)))
        if digest is None or _state(file) != (size, mtime_ns):
            file.close()
            return None
        stream: IO[bytes] = file
        if data is not None:
            file.close()
            stream = io.BytesIO(data)
        else:
            file.seek(0)
            stream = io.BufferedReader(cast("io.RawIOBase", file), _BLOCK_BYTES)
        return OpenFile(
            path, stream, head, digest, size, mtime_ns, reader, limits, change_time(before), readers=readers
        )
    except BaseException:
        file.close()
        raise


def _opened_member(path: bytes, inside: tuple[bytes, bytes], limits: ReadLimits, readers: Sequence[Reader]) -> OpenFile:
    """The file at `path`, which lies in an archive, unpacked and hashed. Raises as `opened` does."""
    try:
        archive, entry = member_of(*inside)
    except FileNotFoundError:
        raise UnreachableFile("vanished before it was read") from None
    except NotAnArchive as error:
        raise UnreadableFile(error.reason) from None
    except OSError as error:
        raise unreachable(error) from None
    data = member_bytes(inside[0], archive, entry, limits.max_member_bytes)
    if not data:
        raise UnreadableFile("empty file")
    head = data[:HEAD_BYTES]
    reader = reader_of_bytes(head, extension_of(path), readers)
    check_size(len(data), most_bytes(reader, limits), reader)
    digest = digest_begun(head, reader.way_of_reading(extension_of(path)))
    digest.update(data[len(head) :])
    return OpenFile(
        path,
        io.BytesIO(data),
        head,
        digest.digest(),
        len(data),
        archive.modified(entry),
        reader,
        limits,
        mark_of(entry),
        readers=readers,
    )


def digest_begun(head: bytes, way_of_reading: int) -> hashlib.blake2b:
    """The digest of a file's first bytes, to be gone on with."""
    # The way of reading is a part of the content: the same bytes are another text as a web page.
    return hashlib.blake2b(head, digest_size=DIGEST_BYTES, person=way_of_reading.to_bytes(8, "little"))


def most_bytes(reader: Reader, limits: ReadLimits) -> int:
    """How large a file of that reader may be."""
    return limits.max_bytes.get(reader.medium, reader.max_bytes)


def check_size(size: int, limit: int, reader: Reader) -> None:
    """Raises UnreadableFile where it is larger than that."""
    if size > limit:
        raise UnreadableFile(f"{reader.medium} file of {size:,} bytes, over the limit of {limit:,}")


def _hashed(file: BinaryIO, head: bytes, size: int, way_of_reading: int) -> tuple[bytes | None, bytes | None]:
    """The digest of all bytes, None where there are not `size` of them, and the bytes where they are few enough."""
    digest = digest_begun(head, way_of_reading)
    # One byte more than there should be shows growth; no endless file can fill memory.
    if size <= KEPT_BYTES:
        data = head + _read_up_to(file, size + 1 - len(head))
        digest.update(data[len(head) :])
        return (digest.digest(), data) if len(data) == size else (None, None)
    seen = len(head)
    while seen <= size and (block := file.read(_BLOCK_BYTES)):
        digest.update(block)
        seen += len(block)
    return (digest.digest() if seen == size else None), None


def _state(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, modification_time(status)


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


def reader_of_bytes(head: bytes, extension: str, readers: Sequence[Reader]) -> Reader:
    """The reader of a file with these first bytes. Content wins over the extension.

    Raises UnreadableFile where the extension promises a medium that the bytes are not, NotAMedium where
    neither knows one.
    """
    for reader in readers:
        if reader.is_surely(head):
            return reader
    promised = next((reader for reader in readers if extension in reader.extensions), None)
    if promised is not None:
        if promised.may_be(head, extension):
            return promised
        raise UnreadableFile(promised.mismatch(head))
    for reader in readers:
        if reader.may_be(head, extension):
            return reader
    raise NotAMedium(f"neither {' nor '.join(reader.medium for reader in readers)}")
