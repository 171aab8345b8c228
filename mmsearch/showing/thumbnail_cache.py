"""Small JPEGs of contents in the cache folder, so that each is made once. All of it may be deleted at any time.

A file for each, in a folder for each library, so that what is forgotten there is gone here; its last bytes are a
checksum of the others. All together are bounded: those go first that were not asked for for longest.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from mmsearch.files.private import PRIVATE_FILE, make_private_file, make_private_folder
from mmsearch.files.regular import open_without_waiting
from mmsearch.store.protocol import Store

FOLDER_NAME = "thumbnails"
MOST_BYTES = 2_000_000_000
# What is left of the bound where something has to go, so that this is seldom.
_LEFT = 0.9
_LOOK_AFTER = 0.01
# When a file was last asked for is known by its modification time, to the hour: a read is no write.
_HOUR = 3600.0
_CHECKSUM_BYTES, _DIGEST_LETTERS = 8, 32
_MOST_BYTES_OF_ONE = 10_000_000
_PART = ".part"
# How much had been removed from a library when its thumbnails were last compared with it.
_LOOKED_AT = "removed"
_NAME = re.compile("[0-9a-f]{32}-[0-9a-f]{16}[.]jpg")


class _Kept(NamedTuple):
    used: float
    size: int
    path: str


class ThumbnailCache:
    """Thumbnails by library, content and place. What cannot be read or written is done without.

    `asked` is how often one was asked for, `found` how often it was there.
    """

    def __init__(self, folder: str | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder or _default_folder()
        self._most = most_bytes
        self._lock = threading.Lock()
        self._unseen: int | None = None  # bytes written since all of it was looked at; None before that
        self._counting = threading.Lock()
        self.asked = self.found = 0

    def get(self, library_id: str, content: str, place: str) -> bytes | None:
        """The JPEG that is kept of a place in the content of that digest; None where there is none, or a damaged one.

        `place` is what of it is shown and how large: any text.
        """
        path = self._path(library_id, content, place)
        with self._counting:
            self.asked += 1
        with suppress(OSError), open(path, "rb", opener=open_without_waiting) as file:
            written = file.read(_MOST_BYTES_OF_ONE)
            jpeg, checksum = written[:-_CHECKSUM_BYTES], written[-_CHECKSUM_BYTES:]
            if checksum == _checksum(jpeg):
                if time.time() - os.fstat(file.fileno()).st_mtime > _HOUR:
                    os.utime(path)
                with self._counting:
                    self.found += 1
                return jpeg
        return None

    def put(self, library_id: str, content: str, place: str, jpeg: bytes) -> None:
        """Keeps a JPEG."""
        path = self._path(library_id, content, place)
        temporary = f"{path}.{os.getpid()}.{threading.get_ident()}{_PART}"
        with suppress(OSError):
            # One by one: those above the last would be as the umask has it.
            within = os.path.dirname(path)
            for folder in (os.path.dirname(self._folder), self._folder, os.path.dirname(within), within):
                make_private_folder(folder)
            try:
                # Not synced: what a power cut leaves of it does not have its checksum.
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
                with open(descriptor, "wb") as file:
                    file.write(jpeg + _checksum(jpeg))
                os.replace(temporary, path)
            finally:
                with suppress(OSError):
                    os.remove(temporary)
        self._keep_bounded(len(jpeg))

    def drop_gone(self, library_id: str, store: Store) -> None:
        """Deletes what is kept of contents that are not in that library any more: what is forgotten is gone.

        Where nothing was removed from the library since, nothing is looked at.
        """
        folder = os.path.join(self._folder, library_id)
        removed = str(store.items_removed())
        mark = os.path.join(folder, _LOOKED_AT)
        if not os.path.isdir(folder) or _text_at(mark) == removed:
            return
        digests = {path: os.path.basename(path)[:_DIGEST_LETTERS] for path, _ in _files_below(folder)}
        known = store.digests_among(map(bytes.fromhex, set(digests.values())))
        for path, digest in digests.items():
            if bytes.fromhex(digest) not in known:
                with suppress(OSError):
                    os.remove(path)
        with suppress(OSError):
            make_private_file(mark)
            with open(mark, "w", encoding="ascii") as file:
                file.write(removed)

    def _path(self, library_id: str, content: str, place: str) -> str:
        import xxhash

        name = f"{content}-{xxhash.xxh3_64_hexdigest(place.encode())}.jpg"
        return os.path.join(self._folder, library_id, content[:2], name)

    def _keep_bounded(self, written: int) -> None:
        with self._lock:
            if self._unseen is not None:
                self._unseen += written
                if self._unseen <= _LOOK_AFTER * self._most:
                    return
            self._unseen = 0
            kept = [_Kept(status.st_mtime, status.st_size, path) for path, status in _files_below(self._folder)]
            total = sum(one.size for one in kept)
            if total <= self._most:
                return
            for one in sorted(kept):
                if total <= _LEFT * self._most:
                    break
                total -= one.size
                with suppress(OSError):
                    os.remove(one.path)


def _files_below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """The thumbnails below a folder. What a killed process has begun to write is deleted."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with suppress(OSError):
                status = os.lstat(path)
                if _NAME.fullmatch(name):
                    yield path, status
                elif name.endswith(_PART) and time.time() - status.st_mtime > _HOUR:
                    os.remove(path)


def _text_at(path: str) -> str:
    with suppress(OSError), open(path, encoding="ascii", errors="replace", opener=open_without_waiting) as file:
        return file.read(100)
    return ""


def _checksum(jpeg: bytes) -> bytes:
    import xxhash

    return xxhash.xxh3_64_digest(jpeg)


def _default_folder() -> str:
    import platformdirs

    return os.path.join(platformdirs.user_cache_dir("mmsearch", appauthor=False), FOLDER_NAME)
