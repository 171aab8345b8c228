"""What clusters of photos are called: words that are typical of their files, and English words of what they show.

A word is typical of a cluster where far more of its photos than of all others have it in their names, folders, keywords
or places: the share of photos with it times the logarithm of how much more often that is than among the others (a
tf-idf of groups). What the photos show is told by the words of the lexicon whose vectors are nearest to their centre.
These are encoded once for each model, and kept in a file that may be deleted.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import numpy as np
import xxhash

from mmsearch.encoding.protocol import Encoder, text_vectors
from mmsearch.files.replacing import write_whole
from mmsearch.language.lexicon import english_entries
from mmsearch.nearest.derived import derived_path, opened
from mmsearch.nearest.spaces import Space
from mmsearch.records import FloatMatrix, FoundItem, Progress
from mmsearch.searching.function_words import BESIDE_THE_POINT, FUNCTION_WORDS
from mmsearch.store.words import name_and_folders, words_of_name, words_of_text

# So many words at most, and of these so many of files' names.
WORDS, _OF_FILES = 3, 2
# A word of names is typical that so much of a cluster has, and so much more of it than of all others.
_LEAST_SHARE, _LEAST_TIMES = 0.5, 3.0
# Of what was taken by machines.
_SAY_NOTHING = FUNCTION_WORDS | BESIDE_THE_POINT | frozenset(("img", "dsc", "dscf", "dscn", "pxl", "mvimg", "copy"))
_FEWEST_LETTERS = 3
_TEMPLATE = "a photo of a {}"
# Words are encoded so many at a time.
_AT_ONCE = 256
_KIND, _CHECKSUM_BYTES = "words", 8


def words_of_file(item: FoundItem, root: bytes | None) -> frozenset[str]:
    """The words by which a photo may be known, without numbers and what says nothing."""
    name, folders = name_and_folders(item.path, root)
    said = item.facts.details
    words = words_of_name(os.path.splitext(name)[0]) + words_of_name(folders)
    words += words_of_text("\n".join((*said.keywords, said.place or "", said.title or "")))
    return frozenset(word for word in words if len(word) >= _FEWEST_LETTERS and word.isalpha()) - _SAY_NOTHING


def typical_words(clusters: Sequence[Sequence[frozenset[str]]]) -> list[list[str]]:
    """Of each cluster, given by the words of its photos, those that are typical of it, the most typical first."""
    counts = [Counter(word for words in cluster for word in words) for cluster in clusters]
    everywhere = sum(counts, Counter[str]())
    total = sum(map(len, clusters))
    found = []
    for cluster, count in zip(clusters, counts, strict=True):
        worth: dict[str, float] = {}
        for word, times in count.items():
            share = times / len(cluster)
            others = (everywhere[word] - times + 1) / (total - len(cluster) + 1)
            if share >= _LEAST_SHARE and share >= _LEAST_TIMES * others:
                worth[word] = share * math.log(share / others)
        found.append(sorted(worth, key=lambda word: (-worth[word], word))[:_OF_FILES])
    return found


def named(typical: Iterable[str], shown: Iterable[str]) -> tuple[str, ...]:
    """Typical words, and behind them what is shown: no word that one before it has already."""
    chosen: list[str] = []
    for word in (*typical, *shown):
        pieces = words_of_text(word)
        if not any(_is_one(piece, other) for piece in pieces for one in chosen for other in words_of_text(one)):
            chosen.append(word)
    return tuple(chosen[:WORDS])


def _is_one(word: str, other: str) -> bool:
    """Whether two words are one but for an ending of two letters."""
    short, long = sorted((word, other), key=len)
    return long.startswith(short) and len(long) - len(short) <= 2


class ShownWords:
    """English words of what photos show, with their vectors in the space of the pictures."""

    def __init__(
        self,
        folder: str,
        space: Space,
        open_encoder: Callable[[], Encoder],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._on_progress = on_progress
        self._words = [word for word in english_entries() if word and len(word.split()) <= 2]
        vectors = self._vectors(derived_path(folder, space, _KIND), space.identity.dimension, open_encoder)
        # What all texts have in common tells nothing.
        centred = vectors - vectors.mean(axis=0)
        self._rows = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)

    def nearest(self, centre: FloatMatrix) -> list[str]:
        """The words that are nearest to a vector, float32 [dimension], the nearest first."""
        order = np.argsort(-(self._rows @ centre), kind="stable")
        return [self._words[place] for place in order[: 4 * WORDS].tolist()]

    def _vectors(self, path: str, dimension: int, open_encoder: Callable[[], Encoder]) -> FloatMatrix:
        """Those of the words, float32 [n, dimension], as they are kept, else as they are encoded now."""
        mark = xxhash.xxh3_64_digest("\n".join((_TEMPLATE, *self._words)).encode())
        size = len(self._words) * dimension * 2
        with suppress(OSError), opened(path) as file:
            content = file.read(len(mark) + size + _CHECKSUM_BYTES + 1)
            data, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
            if data.startswith(mark) and len(data) == len(mark) + size and xxhash.xxh3_64_digest(data) == checksum:
                return np.frombuffer(data, "<f2", offset=len(mark)).reshape(-1, dimension).astype(np.float32)
        vectors = np.asarray(self._encoded(open_encoder()), "<f2")
        data = mark + vectors.tobytes()
        with suppress(OSError):
            write_whole(path, lambda file: file.write(data + xxhash.xxh3_64_digest(data)))
        return vectors.astype(np.float32)

    def _encoded(self, encoder: Encoder) -> FloatMatrix:
        found: list[FloatMatrix] = []
        for start in range(0, len(self._words), _AT_ONCE):
            self._on_progress(Progress("encoding words, once", start, len(self._words), "words"))
            words = self._words[start : start + _AT_ONCE]
            found.append(text_vectors([_TEMPLATE.format(word) for word in words], encoder))
        return np.concatenate(found)


def root_of(roots: Sequence[bytes], path: bytes) -> bytes | None:
    """The innermost of the roots that the path lies below."""
    above = (root for root in roots if path == root or path.startswith(root.rstrip(b"/") + b"/"))
    return max(above, key=len, default=None)
