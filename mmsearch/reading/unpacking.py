"""A member of a zip or tar → its bytes, block by block, and a file of an archive as a whole."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import IO

from mmsearch.files.archives import Archive, archive_of, member_of
from mmsearch.files.regular import open_without_waiting
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.times import modification_time
from mmsearch.files.zip_directory import (
    BARE,
    ENCRYPTED,
    LOCAL_BYTES,
    MAGIC,
    STORED,
    ZipEntry,
    bytes_at,
    data_begins,
)
from mmsearch.reading.decompressing import LZMA, METHODS, Decompressor, decompressor_of
from mmsearch.reading.reader import ReadLimits, UnreachableFile, UnreadableFile, unreachable

BLOCK_BYTES = 1 << 16
# XML of real documents is packed to a hundredth at most; a bomb to a thousandth.
MOST_RATIO = 300
RATIO_COUNTS_FROM = 4_000_000


def check_ratio(unpacked: int, packed: int) -> None:
    """Raises UnreadableFile where so many bytes have come out of so few."""
    if unpacked > max(RATIO_COUNTS_FROM, MOST_RATIO * packed):
        raise UnreadableFile(f"packed to less than a {MOST_RATIO}th: a zip bomb")


def check_method(member: ZipEntry) -> None:
    """Raises UnreadableFile where it is encrypted, or packed in a way that nothing here undoes."""
    if member.flags & ENCRYPTED:
        raise UnreadableFile("encrypted")
    if member.method not in METHODS:
        raise UnreadableFile("packed in a way that is not known")


def unpacked_blocks(stream: IO[bytes], member: ZipEntry, size: int) -> Iterator[tuple[bytes, int]]:
    """(the next block of a member, how many packed bytes were taken for it and those before), of a zip of `size` bytes.

    More than was needed may have been taken, but for the last block. Raises UnreadableFile where it breaks off or is
    damaged.
    """
    place = _begins(stream, member, size)
    end = size if member.packed is None else min(size, place + member.packed)
    starts, engine = place, _engine_of(member)
    while engine is None or not engine.eof:
        given, is_at_end = b"", False
        if engine is None or engine.needs_input:
            given = bytes_at(stream, place, min(BLOCK_BYTES, end - place)) if place < end else b""
            place += len(given)
            is_at_end = not given
        block = given if engine is None else _unpacked(engine, given)
        if is_at_end and not block:
            is_whole = end == starts + member.packed if member.packed is not None else engine is None
            if is_whole and member.method in (BARE, STORED, LZMA):  # which need not tell their end
                return
            if engine is None or not engine.eof:
                raise UnreadableFile("truncated" if end == size else "damaged zip")
        yield block, place - starts - len(engine.unused_data if engine else b"")


def _begins(stream: IO[bytes], member: ZipEntry, size: int) -> int:
    """Where the bytes of a member begin."""
    if member.method == BARE:
        return member.at
    local = bytes_at(stream, member.at, LOCAL_BYTES) if member.at < size else b""
    if len(local) < LOCAL_BYTES or not local.startswith(MAGIC):
        raise UnreadableFile("damaged zip")
    return data_begins(local, member)


def _engine_of(member: ZipEntry) -> Decompressor | None:
    if member.method in (BARE, STORED):
        return None
    try:
        return decompressor_of(member.method)
    except ImportError:
        raise UnreadableFile("packed in a way that is not known") from None


def _unpacked(engine: Decompressor, given: bytes) -> bytes:
    try:
        return engine.decompress(given, BLOCK_BYTES)
    except MemoryError:
        raise
    except Exception:  # each library has errors of its own
        raise UnreadableFile("damaged zip") from None


def file_bytes(path: bytes, count: int) -> bytes:
    """So many bytes of the file at `path`, which may lie in an archive or behind a URL; of what is longer nothing more.

    Raises:
        OSError: the system does not give it. UnreadableFile: the archive does not.
    """
    if is_remote(path):
        from mmsearch.reading.remote_opening import remote_bytes

        return remote_bytes(path, count)
    inside = archive_of(path)
    if inside is None:
        with open(path, "rb") as file:
            return file.read(count)
    return member_bytes(inside[0], *member_of(*inside), count)


def file_blocks(path: bytes) -> Iterator[bytes]:
    """All bytes of a file that lies in an archive, or behind a URL. Raises as `file_bytes` does."""
    inside = archive_of(path)
    if inside is not None:
        yield member_bytes(inside[0], *member_of(*inside), ReadLimits().max_member_bytes)
        return
    from mmsearch.reading.remote_opening import remote_blocks

    yield from remote_blocks(path)


def member_bytes(path: bytes, archive: Archive, entry: ZipEntry, most: int) -> bytes:
    """A file of the archive at `path`, of which `archive` says what it holds: at most so many bytes.

    Raises:
        UnreadableFile: it is encrypted, damaged, larger than allowed or than it says, or packed as bombs are.
            UnreachableFile: the archive is not as it was, or not to be had.
    """
    check_method(entry)
    if entry.unpacked > most:
        raise UnreadableFile(f"{entry.unpacked:,} bytes unpacked, over the limit of {most:,}")
    blocks, count, crc = [], 0, 0
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            for block, packed in unpacked_blocks(file, entry, archive.size):
                count += len(block)
                check_ratio(count, packed)
                if count > entry.unpacked:
                    break
                crc = zlib.crc32(block, crc)
                blocks.append(block)
            status = os.fstat(file.fileno())
    except OSError as error:
        raise unreachable(error) from None
    if (status.st_size, modification_time(status)) != (archive.size, archive.mtime_ns):
        raise UnreachableFile("changed while it was read")
    # A tar has no checksum: its content is known by a digest over all bytes, as that of any file.
    if count != entry.unpacked or (crc != entry.crc and entry.method != BARE):
        raise UnreadableFile("damaged zip")
    return b"".join(blocks)
