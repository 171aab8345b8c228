"""Small grey pictures of photos, by which two of them are told to be the same one, in a file of the library's folder.

They are made of the few photos that may have a double, when that is asked, and kept by content, so that the next time
nothing is read. The file may be deleted at any time: a mark, and records of a digest, a miniature and a checksum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from mmsearch.files.regular import open_without_waiting
from mmsearch.files.replacing import replacing
from mmsearch.files.times import modification_time
from mmsearch.searching.presence import Presence

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmsearch.store.protocol import Store

MINIATURE_CACHE_NAME = "miniatures.cache"
# Of the picture in grey, and of its colours.
SIDE, COLOUR_SIDE = 64, 16
# 139 MB.
MOST_MINIATURES = 30_000
_MARK = b"mmthumb1"
_DIGEST_BYTES, _CHECKSUM_BYTES = 16, 8
_GREY_BYTES, _COLOUR_BYTES = SIDE**2, 2 * COLOUR_SIDE**2
_RECORD_BYTES = _DIGEST_BYTES + _GREY_BYTES + _COLOUR_BYTES + _CHECKSUM_BYTES
# Of so many contents files are looked for and read at a time.
_AT_ONCE = 256
_MOST_THREADS = 4


class Miniature(NamedTuple):
    """A picture squashed to a square, uint8: brightness [SIDE, SIDE], Cb and Cr [2, COLOUR_SIDE, COLOUR_SIDE]."""

    grey: npt.NDArray[np.uint8]
    colours: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, picture: Image) -> Miniature:
        """Of a picture of Pillow's."""
        from PIL.Image import Resampling

        brightness, *colours = picture.convert("YCbCr").split()
        side = (COLOUR_SIDE, COLOUR_SIDE)
        small = [np.asarray(one.resize(side, Resampling.BOX), np.uint8) for one in colours]
        return cls(np.asarray(brightness.resize((SIDE, SIDE), Resampling.BOX), np.uint8), np.stack(small))

    @classmethod
    def from_bytes(cls, data: bytes) -> Miniature:
        pixels = np.frombuffer(data, np.uint8)
        return cls(pixels[:_GREY_BYTES].reshape(SIDE, SIDE), pixels[_GREY_BYTES:].reshape(2, COLOUR_SIDE, COLOUR_SIDE))

    def to_bytes(self) -> bytes:
        return self.grey.tobytes() + self.colours.tobytes()


class Source(NamedTuple):
    """A file that shows a content, with the size and modification time that it had when it was read."""

    path: bytes
    size: int
    mtime_ns: int

    def is_as_it_was(self, status: os.stat_result | None) -> bool:
        """Whether a file that the system describes so is there, and in the same state."""
        return status is not None and (status.st_size, modification_time(status)) == (self.size, self.mtime_ns)


class MiniatureCache:
    """Miniatures by the digests of contents. What cannot be read or written is done without."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, MINIATURE_CACHE_NAME)
        self._part = f"{self._path}.part"

    def read(self) -> dict[bytes, Miniature]:
        """All that are kept and sound."""
        with suppress(OSError), open(self._path, "rb", opener=open_without_waiting) as file:
            return dict(_sound(file.read(len(_MARK) + MOST_MINIATURES * _RECORD_BYTES)))
        return {}

    def write(self, miniatures: Mapping[bytes, Miniature]) -> None:
        """Keeps the first MOST_MINIATURES of these in the place of those before."""
        records = (_record(*one) for one in islice(miniatures.items(), MOST_MINIATURES))
        with (
            suppress(OSError),
            replacing(self._path, "derived file", temporary=self._part) as part,
            open(part, "wb") as file,
        ):
            file.writelines((_MARK, *records))

    def drop_gone(self, store: Store) -> None:
        """Writes over the miniatures of contents that are not in the library any more: what is forgotten is gone.

        So is what a killed process had begun.
        """
        with suppress(OSError):
            os.remove(self._part)
        with suppress(OSError), open(self._path, "r+b", opener=open_without_waiting) as file:
            content = file.read()
            digests = [digest for digest, _ in _sound(content)]
            gone = set(digests) - store.digests_among(digests)
            for start in range(len(_MARK), len(content) if gone else 0, _RECORD_BYTES):
                if content[start : start + _DIGEST_BYTES] in gone:
                    file.seek(start)
                    file.write(bytes(_RECORD_BYTES))


def _record(digest: bytes, miniature: Miniature) -> bytes:
    data = digest + miniature.to_bytes()
    return data + xxhash.xxh3_64_digest(data)


def _sound(content: bytes) -> Iterator[tuple[bytes, Miniature]]:
    """The digests and miniatures of a file, without damaged ones and those that were written over."""
    if not content.startswith(_MARK):
        return
    for start in range(len(_MARK), len(content) - _RECORD_BYTES + 1, _RECORD_BYTES):
        record = content[start : start + _RECORD_BYTES]
        data, checksum = record[:-_CHECKSUM_BYTES], record[-_CHECKSUM_BYTES:]
        if xxhash.xxh3_64_digest(data) == checksum:
            yield data[:_DIGEST_BYTES], Miniature.from_bytes(data[_DIGEST_BYTES:])


def miniatures_of(
    contents: Mapping[bytes, Sequence[Source]],
    cache: MiniatureCache,
    presence: Presence,
    on_progress: Callable[[int], None],
) -> dict[bytes, Miniature]:
    """Miniatures of contents by their digests; those are left out of which no file is there that can be read.

    `contents` has the files of each. `on_progress` is told of how many contents it is known.
    """
    known = cache.read()
    wanted = {digest: sources for digest, sources in contents.items() if digest not in known}
    made: dict[bytes, Miniature] = {}
    on_progress(len(contents) - len(wanted))
    try:
        for done in _made(wanted, presence, made):
            on_progress(len(contents) - len(wanted) + done)
    finally:
        if made:  # the newest first: those are kept where there is no room for all
            cache.write({**made, **{digest: one for digest, one in known.items() if digest not in made}})
    return {digest: one for digest, one in {**known, **made}.items() if digest in contents}


def _made(wanted: Mapping[bytes, Sequence[Source]], presence: Presence, made: dict[bytes, Miniature]) -> Iterator[int]:
    """Puts miniatures into `made`, and gives how many contents are done, again and again."""
    from concurrent.futures import ThreadPoolExecutor

    digests = list(wanted)
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as executor:
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            there = presence.look(source.path for digest in some for source in wanted[digest])
            sources = [
                [source for source in wanted[digest] if source.is_as_it_was(there[source.path])] for digest in some
            ]
            for number, (digest, found) in enumerate(zip(some, executor.map(_miniature, sources), strict=True), 1):
                if found is not None:
                    made[digest] = found
                yield start + number


def _miniature(sources: Sequence[Source]) -> Miniature | None:
    """That of the first of the files that can be read."""
    from mmsearch.reading import UnreadableFile, known_picture

    for source in sources:
        with suppress(UnreadableFile):
            return Miniature.of(known_picture(*source, side=SIDE))
    return None
