"""Archives as folders: which file lies in one, what the archive says of it, and whether it is there.

A file that lies at a path itself comes before one in an archive that has the same path.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from mmsearch.files.member_paths import is_tar_name, splits
from mmsearch.files.paths import with_parents
from mmsearch.files.regular import open_without_waiting
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.tar_directory import BrokenTar, tar_entries
from mmsearch.files.times import change_time, modification_time
from mmsearch.files.zip_directory import (
    MAGIC,
    STORED,
    ZipEntry,
    directory_in,
    entries_in,
    entries_without_directory,
    entry_called,
    name_of,
    stored_bytes,
)

MOST_MEMBERS = 100_000
"""So many files of an archive are looked at."""

# What is unpacked of an archive at most, counted in files that are not too large to be unpacked at all: a hundred times
# its size, and as much as of a document.
_LARGEST_MEMBER = 64_000_000
_MOST_IN_ALL, _MOST_RATIO = 8 * _LARGEST_MEMBER, 100
# A name within its archive, as it should be: no part of it begins with a point.
_PLAIN_NAME = re.compile(rb"[\w -][\w .()-]*(?:/[\w -][\w .()-]*)*", re.ASCII)
# What the longest link may hold, and what none does.
_LONGEST_TARGET = 4_095
_NO_TARGET = re.compile(rb"[\x00-\x1f\x7f]")
# The clocks of Linux's file systems advance every 1 to 10 ms.
_CLOCK_TICK_NS = 20_000_000


class NotAnArchive(OSError):
    """An archive that cannot be read; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EBADMSG, reason)
        self.reason = reason


@dataclass(frozen=True)
class Archive:
    """What an archive holds: its files by their names, as bytes with slashes. `size`, `mtime_ns` and `ctime_ns` are
    those of the archive, `trouble` is why some of it was left out, in a few words.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None
    members: dict[bytes, ZipEntry] = field(repr=False)
    trouble: str | None = None

    def modified(self, entry: ZipEntry) -> int:
        """When a member was modified, in nanoseconds since 1970; where it does not say so, when the archive was."""
        return _modified(entry, self.mtime_ns)

    def holds(self, name: bytes) -> bool:
        """Whether there is a file or a folder of that name."""
        return name in self.members or any(one.startswith(name + b"/") for one in self.members)


def archive_of(path: bytes) -> tuple[bytes, bytes] | None:
    """The archive in which the file at `path` lies, and its name there, with slashes; None for a file of its own.

    It need not be there: of several archives that the path may mean one that is there is taken, else the outermost.
    """
    possible = list(splits(path))
    if not possible or is_remote(path) or os.path.lexists(path):
        return None
    return next((one for one in possible if os.path.isfile(one[0])), possible[0])


def archive_at(path: bytes) -> Archive:
    """What the archive at `path` holds; what was read last is kept in memory as long as it has not changed.

    Raises:
        NotAnArchive: it is damaged, cut off, or a bomb. OSError: the system does not give it.
    """
    with open(path, "rb", opener=open_without_waiting) as file:
        state = _state_of(file, path)
        found = _read_last(state)
        if not found:
            found.append(_read_tar(file, state) if is_tar_name(path) else _read(file, state))
        return found[0]


def member_of(archive: bytes, name: bytes) -> tuple[Archive, ZipEntry]:
    """The archive, and what it says of the file of that name.

    Raises:
        OSError: the archive cannot be read, or FileNotFoundError: there is no such file in it.
    """
    found = archive_at(archive)
    entry = found.members.get(name)
    if entry is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), archive)
    return found, entry


def status_at(path: bytes) -> os.stat_result:
    """What `os.stat` gives; of a file in an archive its own size and times, and a number by which it is told. Of one
    behind a URL the other side is asked.

    Raises:
        OSError: it is not there, or the system does not tell. ValueError: it is no path.
    """
    if is_remote(path):
        return _remote_status(path)
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        inside = archive_of(path)
        if inside is None:
            raise
    around = os.stat(inside[0])
    entry = _entry_of(*inside)
    mtime_ns = _modified(entry, modification_time(around))
    number = hash((around.st_ino, inside[1])) & 0xFFFF_FFFF_FFFF_FFFF  # of this process
    times = (around.st_atime, mtime_ns / 1e9, entry.crc or 0)
    mode = stat.S_IFREG | stat.S_IMODE(around.st_mode)
    values = (mode, number, around.st_dev, 1, around.st_uid, around.st_gid, entry.unpacked, *times)
    return os.stat_result(values, {"st_mtime_ns": mtime_ns, "st_ctime_ns": mark_of(entry)})


def mark_of(entry: ZipEntry) -> int:
    """What tells a change of a file in an archive beside its size and time, as `ctime_ns` does of other files."""
    return entry.crc or 0


def is_file_at(path: bytes) -> bool:
    """Whether there is a regular file at `path`, or in the archive that it names."""
    try:
        return stat.S_ISREG(status_at(path).st_mode)
    except (OSError, ValueError):
        return False


def is_gone(path: bytes) -> bool:
    """Whether there is surely nothing at `path`: what cannot be looked at is not gone."""
    if is_remote(path):
        from mmsearch.files import remote

        return remote.is_gone(path)
    try:
        os.lstat(path)
        return False
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a damaged path may hold a NUL
        inside = archive_of(path)
    except OSError:
        return False
    if inside is None:
        return True
    try:
        return not archive_at(inside[0]).holds(inside[1])
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return True
    except OSError:
        return False


def is_there(path: bytes) -> bool:
    """Whether something lies at `path`, or behind that URL, and can be looked at."""
    if not is_remote(path):
        return os.path.exists(path)
    from mmsearch.files import remote_presence

    return remote_presence.is_there(path)


def _remote_status(path: bytes) -> os.stat_result:
    from mmsearch.files.remote import entry_at

    entry = entry_at(path)
    mode = stat.S_IFDIR if entry.is_folder else stat.S_IFREG
    number = hash((path, entry.mark)) & 0xFFFF_FFFF_FFFF_FFFF  # of this process
    values = (mode, number, 0, 1, 0, 0, entry.size, 0, entry.mtime_ns // 1_000_000_000, 0)
    return os.stat_result(values, {"st_mtime_ns": entry.mtime_ns, "st_ctime_ns": entry.mark or 0})


def _modified(entry: ZipEntry, mtime_ns: int) -> int:
    written = entry.mtime_ns
    return mtime_ns if written is None else written


def _entry_of(archive: bytes, name: bytes) -> ZipEntry:
    """What the archive says of the file of that name; as `member_of`, and quicker where that is all that is asked."""
    with open(archive, "rb", opener=open_without_waiting) as file:
        state = _state_of(file, archive)
        if not _read_last(state) and _safe_name(name) == name and not is_tar_name(archive):
            directory = directory_in(file, state.size)
            entry = None if directory is None else entry_called(file, directory, name)
            if entry is not None and _is_file(entry):
                return entry
    return member_of(archive, name)[1]


def _state_of(file: BinaryIO, path: bytes) -> _State:
    """The state of an open archive."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise NotAnArchive("not a regular file")
    age = time.time_ns() - status.st_mtime_ns
    if 0 <= age < _CLOCK_TICK_NS:  # else a change of a moment later could leave it with the same time
        time.sleep((_CLOCK_TICK_NS - age) / 1e9)
        status = os.fstat(file.fileno())
    times = modification_time(status), change_time(status)
    return _State(path, status.st_dev, status.st_ino, status.st_size, *times)


@dataclass(frozen=True)
class _State:
    path: bytes
    device: int
    number: int
    size: int
    mtime_ns: int
    ctime_ns: int | None


@lru_cache(maxsize=4)
def _read_last(state: _State) -> list[Archive]:
    """Where what was read of an archive in that state is kept."""
    return []


def _read(file: BinaryIO, state: _State) -> Archive:
    directory = directory_in(file, state.size)
    if directory is None:
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            raise NotAnArchive("not a zip")
    found = entries_without_directory(file, state.size) if directory is None else entries_in(file, directory)
    members: dict[bytes, ZipEntry] = {}
    listed = refused = packed = unpacked = 0
    for entry in found:
        listed += 1
        if listed > MOST_MEMBERS:
            break
        packed += entry.packed or 0
        unpacked += entry.unpacked if entry.unpacked <= _LARGEST_MEMBER else 0
        if _is_file(entry):
            name = _safe_name(entry.name)
            if name is None:
                refused += 1
            else:
                members[name] = entry
    # Members that lie one over the other are a bomb's.
    if packed > state.size or unpacked > _MOST_IN_ALL + _MOST_RATIO * state.size:
        raise NotAnArchive("a zip bomb")
    if directory is None:
        members = dict(_without_links(file, members))
        if not members:
            raise NotAnArchive("truncated zip")
    troubles = list(_troubles(listed, None if directory is None else directory.count, refused))
    return Archive(state.size, state.mtime_ns, state.ctime_ns, members, "; ".join(troubles) or None)


def _read_tar(file: BinaryIO, state: _State) -> Archive:
    """A tar is read header by header, up to where it makes no sense any more."""
    members: dict[bytes, ZipEntry] = {}
    troubles: list[str] = []
    listed = refused = 0
    try:
        for entry in tar_entries(file, state.size, repr((state.size, state.mtime_ns)).encode()):
            listed += 1
            if listed > MOST_MEMBERS:
                break
            name = _safe_name(entry.name)
            if name is not None and _is_file(entry):
                members[name] = entry
            elif entry.name and _is_file(entry):
                refused += 1
    except BrokenTar as error:
        if not members:
            raise NotAnArchive(str(error)) from None
        troubles.append(str(error))
    troubles += _troubles(listed, listed & 0xFFFF, refused)
    return Archive(state.size, state.mtime_ns, state.ctime_ns, members, "; ".join(troubles) or None)


def _without_links(file: BinaryIO, members: dict[bytes, ZipEntry]) -> Iterator[tuple[bytes, ZipEntry]]:
    """The members of an archive without a directory, which alone says what is a link: a link holds the bare name of its
    target, and nothing else.
    """
    there = {one for name in members for one in with_parents(name)}
    for name, entry in members.items():
        is_short = entry.method == STORED and 0 < entry.unpacked <= _LONGEST_TARGET
        if not is_short or not _is_target(stored_bytes(file, entry), name, there):
            yield name, entry


def _is_target(content: bytes, name: bytes, there: set[bytes]) -> bool:
    """Whether that is what a link of that name leads to: something that is there, or a file of the same kind, which may
    have been cut off.
    """
    if _NO_TARGET.search(content):
        return False
    folder, ending = posixpath.dirname(name), posixpath.splitext(name)[1]
    if ending and content.endswith(ending) and b" " not in content:
        return True
    leads_to = posixpath.normpath(posixpath.join(b"/", folder, content)).lstrip(b"/")
    # A word in a text may be the name of a folder.
    return leads_to in there and not (ending and content.isalnum())


def _troubles(listed: int, count: int | None, refused: int) -> Iterator[str]:
    """Why some is left out of an archive of which so many members were `listed`, and so many are counted by itself."""
    if listed > MOST_MEMBERS:
        yield f"more than {MOST_MEMBERS:,} files inside"
    elif count is None:
        yield "truncated zip"
    elif listed & 0xFFFF != count:
        yield "damaged zip"
    if refused:
        yield f"{refused:,} {'file' if refused == 1 else 'files'} inside with a name that leads out of it"


def _is_file(entry: ZipEntry) -> bool:
    """Whether it is a regular file: links are not followed."""
    return not entry.name.endswith((b"/", b"\\")) and stat.S_IFMT(entry.mode) in (0, stat.S_IFREG)


def _safe_name(raw: bytes) -> bytes | None:
    """The name of a member within its archive; None where it would lead out of it, or is none."""
    if _PLAIN_NAME.fullmatch(raw):  # most are, and this is quicker
        return raw
    if not raw or b"\0" in raw:
        return None
    parts = [part for part in name_of(raw).split("/") if part not in ("", ".")]
    if not parts or ".." in parts or (len(parts[0]) >= 2 and parts[0][1] == ":" and parts[0][0].isalpha()):
        return None
    return "/".join(parts).encode("utf-8", "surrogateescape")
