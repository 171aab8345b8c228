"""What clusters of photos are called: words that are typical of their files, and names of what they show.

A word is typical of a cluster where far more of its photos than of all others have it in their names, folders, keywords
or places: the share of photos with it times the logarithm of how much more often that is than among the others (a
tf-idf of groups). What the photos show is told by `shown_names`.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence

from mmsearch.files.paths import is_below
from mmsearch.records import FoundItem
from mmsearch.searching.function_words import BESIDE_THE_POINT, FUNCTION_WORDS
from mmsearch.store.words import name_and_folders, words_of_name, words_of_text

# So many words or phrases at most, and of these so many of files' names.
WORDS, _OF_FILES = 3, 2
# A word of names is typical that so much of a cluster has, and so much more of it than of all others.
_LEAST_SHARE, _LEAST_TIMES = 0.5, 3.0
# Of what was taken by machines.
_SAY_NOTHING = FUNCTION_WORDS | BESIDE_THE_POINT | frozenset(("img", "dsc", "dscf", "dscn", "pxl", "mvimg", "copy"))
_FEWEST_LETTERS = 3


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
    """Typical words, and behind them what is shown: nothing of which one before it has a word already."""
    chosen: list[str] = []
    known: list[str] = []
    for name in (*typical, *shown):
        words = [word for word in words_of_text(name) if word not in FUNCTION_WORDS]
        if not any(_is_one(word, other) for word in words for other in known):
            chosen.append(name)
            known += words
    return tuple(chosen[:WORDS])


def _is_one(word: str, other: str) -> bool:
    """Whether two words are one but for an ending of two letters."""
    short, long = sorted((word, other), key=len)
    return long.startswith(short) and len(long) - len(short) <= 2


def root_of(roots: Sequence[bytes], path: bytes) -> bytes | None:
    """The innermost of the roots that the path lies below."""
    return max((root for root in roots if is_below(path, root)), key=len, default=None)
