"""The names that photos are given by what they show: those of albums, as people call them, and their vectors.

`album_names.txt` was written for this project. Each of its lines is a kind, a colon, and names of what belongs to it,
some of which are kinds themselves. The names are encoded once for each model, and kept in a file that may be deleted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.files.replacing import write_whole
from mmsearch.nearest.derived import derived_path, opened
from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, Progress

_LIST = os.path.join(os.path.dirname(__file__), "album_names.txt")
_TEMPLATE = "a photo of {}"
# Names are encoded so many at a time.
_AT_ONCE = 256
_KIND, _CHECKSUM_BYTES = "words", 8


@dataclass(frozen=True)
class AlbumNames:
    """Names, and by the places of those that are kinds the places, int64, of all that belongs to each."""

    names: tuple[str, ...]
    kinds: dict[int, npt.NDArray[np.int64]]

    @property
    def are_kin(self) -> npt.NDArray[np.bool_]:
        """Whether one is the other or belongs to it, or the reverse, bool [n, n]."""
        kin = np.eye(len(self.names), dtype=bool)
        for kind, below in self.kinds.items():
            kin[kind, below] = kin[below, kind] = True
        return kin


@lru_cache
def album_names() -> AlbumNames:
    """Those of the list."""
    with open(_LIST, encoding="utf-8") as file:
        return names_in(file.read())


def names_in(text: str) -> AlbumNames:
    """Those of a text that is written as the list is."""
    lines = [line.partition(": ") for line in text.splitlines()]
    direct = {kind: names.split("; ") for kind, _, names in lines}
    names = tuple(dict.fromkeys(name for kind, some in direct.items() for name in (kind, *some)))
    places = {name: place for place, name in enumerate(names)}

    def below(kind: str) -> set[str]:
        found: set[str] = set()
        waiting = [kind]
        while waiting:
            new = set(direct.get(waiting.pop(), ())) - found
            found |= new
            waiting += new
        return found - {kind}

    return AlbumNames(
        names, {places[kind]: np.array(sorted(places[name] for name in below(kind)), np.int64) for kind in direct}
    )


def vectors_of_names(
    names: Sequence[str],
    folder: str,
    space: Space,
    open_encoder: Callable[[], Encoder],
    on_progress: Callable[[Progress], None],
) -> FloatMatrix:
    """The vectors of names in the space of the pictures, unit rows, float32 [n, dimension]: those that are kept in that
    folder, else as they are encoded now. What all have in common, which tells nothing, is taken away.
    """
    path = derived_path(folder, space, _KIND)
    mark = xxhash.xxh3_64_digest("\n".join((_TEMPLATE, *names)).encode())
    vectors = _as_kept(path, mark, (len(names), space.identity.dimension))
    if vectors is None:
        halves = np.asarray(_encoded(names, open_encoder(), on_progress), "<f2")
        data = mark + halves.tobytes()
        with suppress(OSError):
            write_whole(path, lambda file: file.write(data + xxhash.xxh3_64_digest(data)))
        vectors = halves.astype(np.float32)
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12), np.float32)


def _as_kept(path: str, mark: bytes, shape: tuple[int, int]) -> FloatMatrix | None:
    """What the file holds, float32 of that shape; None where it is of other names, damaged or not there."""
    size = len(mark) + 2 * shape[0] * shape[1]
    with suppress(OSError), opened(path) as file:
        content = file.read(size + _CHECKSUM_BYTES + 1)
        data, checksum = content[:size], content[size:]
        if data.startswith(mark) and checksum == xxhash.xxh3_64_digest(data):
            return np.frombuffer(data, "<f2", offset=len(mark)).reshape(shape).astype(np.float32)
    return None


def _encoded(names: Sequence[str], encoder: Encoder, on_progress: Callable[[Progress], None]) -> FloatMatrix:
    found: list[FloatMatrix] = []
    for start in range(0, len(names), _AT_ONCE):
        on_progress(Progress("encoding words, once", start, len(names), "words"))
        found.append(text_vectors([_TEMPLATE.format(name) for name in names[start : start + _AT_ONCE]], encoder))
    return np.concatenate(found)
