"""Files behind URLs, `s3://bucket/2021/beach.jpg`: listed folder by folder, asked for their state, read by ranges.

fsspec does so, which is loaded with the first such path; credentials and addresses are those that its packages find in
the environment or in their own files. What they raise comes out as an OSError in a few words that hold no address and
no secret: FileNotFoundError only where the other side has said that there is no such thing.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple

from mmsearch.errors import Remedy, Unsupported
from mmsearch.files.remote_paths import PACKAGES, is_topmost, scheme_of, topmost

# How long it is waited for S3, in seconds, and how often it is asked again: half a minute in all, for each question.
# The packages of other stores wait for minutes, or for ever. So who has not answered after so many seconds is left, be
# it another store or another way to be silent; what is fetched takes as long as a line of so many bytes a second does.
_PATIENCE, _SLOWEST = 40.0, 100_000
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 10, "retries": {"total_max_attempts": 3}}},
}
# Once so many questions in a row had no answer, nobody else is asked there for so many seconds.
_UNANSWERED, _SILENT_SECONDS = 3, 60.0
# Under which names file systems tell when something was modified.
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "last_write_time")
# So many seconds a folder that was listed to see what is gone of it stands for itself; of so many folders.
_KEPT_SECONDS, _MOST_KEPT = 10.0, 64
_NEVER_NAMES = ("", ".", "..")
# What comes behind this in a name is taken for a version of an object by what reads S3.
_VERSION = "?versionId="


class RemoteEntry(NamedTuple):
    """A file or folder: size in bytes, modification time in nanoseconds since 1970, to the second, 0 where not known.

    `mark` stands for the etag, which changes whenever the file is written: a positive number of 63 bits, None where the
    other side has none.
    """

    path: bytes
    is_folder: bool
    size: int
    mtime_ns: int
    mark: int | None


def check_package(path: bytes) -> None:
    """Raises Unsupported where what reads such URLs is not installed, and on Windows."""
    scheme = scheme_of(path)
    if os.sep != "/":
        raise Unsupported(f"{scheme}:// is not read on Windows.")
    package = PACKAGES[scheme]
    for name in ("fsspec", package):
        if importlib.util.find_spec(name) is None:
            remedy = Remedy("extra", "remote") if scheme == "s3" else Remedy("package", package)
            raise Unsupported(f"{scheme}:// is read with the package {name}, which is not installed", remedy)


def listed(folder: bytes) -> Iterator[RemoteEntry]:
    """What lies in a folder, by name; of a file that file itself.

    Names that no folder of a disk can have (an empty one, `.` and `..`), and those that cannot be asked for, come as
    files of size -1.

    Raises:
        FileNotFoundError: there is no such folder. OSError: it cannot be listed.
    """
    with _asked(folder):
        system, path = _system_and_path(folder)
        found = _in_time(system, "ls", path, detail=True)
    base = path.rstrip("/")
    entries = []
    for info in found:
        whole, is_folder = str(info["name"]), info.get("type") == "directory"
        if whole == base and not is_folder:
            return iter([_entry(folder, info)])
        name = whole[len(base) + 1 :]
        if is_folder and len(name) > 1:
            name = name.removesuffix("/")
        if not name and not is_folder and not info.get("size"):
            continue  # the folder itself, as some tools mark it
        name = name.rpartition("/")[2]
        path_of = folder + b"/" + os.fsencode(name)
        is_no_name = name in _NEVER_NAMES or _VERSION in name
        entries.append(RemoteEntry(path_of, False, -1, 0, None) if is_no_name else _entry(path_of, info))
    return iter(sorted(entries))


def entry_at(path: bytes) -> RemoteEntry:
    """The state of the file or folder at `path`, as it is now.

    Raises:
        FileNotFoundError: there is no such thing. OSError: nothing is told of it.
    """
    with _asked(path):
        system, name = _system_and_path(path)
        return _entry(path, _in_time(system, "info", name))


def is_empty(folder: bytes) -> bool:
    """Whether nothing lies in a folder that can be listed."""
    try:
        return not _names_in(folder)
    except OSError:
        return False


def is_gone(path: bytes) -> bool:
    """Whether there is surely nothing at `path`, as the folder around it is there and does not have it.

    A bucket is never gone: another address, or another account, may be all there is to it.
    """
    if is_topmost(path):
        return False
    around, _, name = path.rpartition(b"/")
    try:
        return name not in _names_in(around)
    except FileNotFoundError:
        return is_gone(around)
    except OSError:
        return False


@dataclass
class RemoteFile:
    """An open file. Each read is one request, of a state that is no other than that of `entry`, or fails; `trouble` is
    how the last one failed that did.
    """

    entry: RemoteEntry
    _read: Callable[[int, int], bytes] = field(repr=False)
    _is_pinned: bool
    trouble: OSError | None = None

    def read_at(self, start: int, count: int) -> bytes:
        """So many bytes from a place on, fewer at the end.

        Raises:
            OSError: they are not to be had.
        """
        try:
            with _asked(self.entry.path):
                try:
                    return self._read(start, count)
                except Exception as error:
                    if type(error).__name__ not in _BROKEN_OFF:
                        raise
                return self._read(start, count)
        except OSError as error:
            self.trouble = error
            raise

    def check_unchanged(self) -> None:
        """Raises OSError where it is not as it was when it was opened, or where that cannot be told."""
        if not self._is_pinned and entry_at(self.entry.path) != self.entry:
            raise OSError(errno.ESTALE, _CHANGED)


def open_remote(path: bytes) -> RemoteFile:
    """Opens the file at `path`.

    Raises:
        FileNotFoundError: there is no such file. OSError: it is not to be had.
    """
    with _asked(path):
        system, name = _system_and_path(path)
        if scheme_of(path) != "s3":

            def ranged(start: int, count: int) -> bytes:
                told = _in_time(system, "cat_file", name, longer=count / _SLOWEST, start=start, end=start + count)
                return bytes(told)

            return RemoteFile(_entry(path, _in_time(system, "info", name)), ranged, False)
        file = system.open(name, "rb", cache_type="none")

        def read(start: int, count: int) -> bytes:
            file.seek(start)
            return bytes(file.read(count))

        # S3 gives what is read of it on condition that it has that etag.
        return RemoteFile(_entry(path, file.details), read, True)


class RangedStream(io.RawIOBase):
    """The bytes of an open file from any place, each read a request: to be buffered."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._place = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._file.entry.size}[whence]
        if begin + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._place = begin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = max(0, min(len(buffer), self._file.entry.size - self._place))
        data = self._file.read_at(self._place, count) if count else b""
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


_CHANGED = "changed while it was read"
_UNREACHED, _NO_ANSWER = "cannot be reached", "does not answer"
# By the name of their type: errors of an answer that came and broke off, and what the names of others have in them
# where there was none.
_BROKEN_OFF = ("ClientPayloadError", "IncompleteRead", "ResponseStreamingError")
_WITHOUT_ANSWER = ("Timeout", "Connection", "Connector", "Disconnected", "ServiceRequest", "ServiceResponse")
# What is said of errors that are no OSErrors of a known kind, by the name of their type.
_REASONS = {
    "NoCredentialsError": "no credentials",
    "PartialCredentialsError": "no credentials",
    "FileExpired": _CHANGED,
    "DefaultCredentialsError": "no credentials",
}
# Under which names errors of answers have the status, and what it is where credentials were refused.
_STATUS, _REFUSED = ("status_code", "status", "code"), ("401", "403")
# Who logs at length what is told in few words here: to nobody, unless a program that imports mmsearch listens.
_LOGGING = ("azure", "gcsfs", "google")


class _Silence:
    """Who has not answered of late, by bucket or machine: so that each of its files is not waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # How many questions in a row had no answer, and when the last of them ended.
        self._silent: dict[bytes, tuple[int, float]] = {}

    def check(self, path: bytes) -> None:
        """Raises OSError where it is not to be asked now."""
        with self._lock:
            count, last = self._silent.get(topmost(path), (0, 0.0))
        if count >= _UNANSWERED and time.monotonic() - last < _SILENT_SECONDS:
            raise OSError(errno.EHOSTUNREACH, _NO_ANSWER)

    def note(self, path: bytes, has_answered: bool) -> None:
        """Says what came of a question."""
        top = topmost(path)
        with self._lock:
            if has_answered:
                self._silent.pop(top, None)
            else:
                self._silent[top] = self._silent.get(top, (0, 0.0))[0] + 1, time.monotonic()


_silence = _Silence()
_unheard = logging.NullHandler()


@contextmanager
def _asked(path: bytes) -> Iterator[None]:
    """Turns whatever a file system raises into an OSError; what it says may hold addresses and secrets."""
    _silence.check(path)
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        _silence.note(path, not any(part in name for part in _WITHOUT_ANSWER))
        with _told_in_few_words():
            raise
    _silence.note(path, True)


@contextmanager
def _told_in_few_words() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except PermissionError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except Unsupported as error:
        raise OSError(errno.ENOSYS, error.message) from None
    except Exception as error:
        if _is_refusal(error):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
        name = type(error).__name__
        raise OSError(errno.EHOSTUNREACH, _REASONS.get(name, f"{_UNREACHED} ({name})")) from None


def _is_refusal(error: Exception) -> bool:
    """Whether the other side has answered that these credentials are wrong, or do not suffice."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    is_status = any(str(getattr(error, name, None)) in _REFUSED for name in _STATUS)
    return is_status or "ClientAuthenticationError" in kinds or str(error).startswith("Forbidden: ")


def _system_and_path(url: bytes) -> tuple[Any, str]:
    """The file system that a URL lies in, one for all threads, and what is called so there.

    Raises:
        Unsupported: what reads it is not installed.
    """
    check_package(url)
    # Else gcsfs asks another service of Google's about each bucket first, by a way of its own.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    for name in _LOGGING:
        logging.getLogger(name).addHandler(_unheard)
    from fsspec import get_filesystem_class

    scheme, text = scheme_of(url), os.fsdecode(url)
    kind = get_filesystem_class(scheme)
    system = kind(**kind._get_kwargs_from_urls(text), use_listings_cache=False, **_OPTIONS.get(scheme, {}))
    if scheme == "s3":
        system.retries = 1  # the client itself asks again
    return system, str(kind._strip_protocol(text))


def _in_time(system: Any, question: str, *asked: Any, longer: float = 0.0, **options: Any) -> Any:
    """What a file system answers in time, or so many seconds later. Raises whatever it raises, and its Timeout."""
    from fsspec.asyn import sync

    return sync(system.loop, getattr(system, f"_{question}"), *asked, timeout=_PATIENCE + longer, **options)


def _entry(path: bytes, info: Mapping[str, Any]) -> RemoteEntry:
    is_folder = info.get("type") == "directory"
    moment = next((info[name] for name in _TIMES if info.get(name)), 0)
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    seconds = int(moment) if isinstance(moment, (int, float)) else 0
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    mark = int.from_bytes(hashlib.blake2b(etag.encode(), digest_size=8).digest(), "big") >> 1 if etag else None
    return RemoteEntry(path, is_folder, int(info.get("size") or 0), seconds * 1_000_000_000, mark)


# What was answered, and when: the names, or why there were none.
_kept: dict[bytes, tuple[float, frozenset[bytes] | OSError]] = {}
_keeping = threading.Lock()


def _names_in(folder: bytes) -> frozenset[bytes]:
    """The names of what lies in a folder, as they were some seconds ago at most. Raises as `listed` does."""
    now = time.monotonic()
    with _keeping:
        kept = _kept.get(folder)
    if kept is None or now - kept[0] >= _KEPT_SECONDS:
        answer: frozenset[bytes] | OSError
        try:
            answer = frozenset(entry.path.rpartition(b"/")[2] for entry in listed(folder) if entry.size >= 0)
        except OSError as error:  # kept too: who does not answer is not asked again for each of its files
            answer = error
        kept = time.monotonic(), answer
        with _keeping:
            _kept.pop(folder, None)
            while len(_kept) >= _MOST_KEPT:
                del _kept[next(iter(_kept))]
            _kept[folder] = kept
    if isinstance(kept[1], OSError):
        raise kept[1]
    return kept[1]
