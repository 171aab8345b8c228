"""The lexicon: what people type in a language for English words of photos. One packaged file a language.

The files are made by recipe/lexicon.py; README.md beside this module says from what. Each is loaded when it is first
asked for, and not taken apart: its lines are sorted, so that a word, and what begins like it, is found by bisection.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from functools import lru_cache

FOLDER = os.path.join(os.path.dirname(__file__), "data")
# The English entries by their numbers; English words; and words with marks of the languages that they occur in.
ENGLISH, ENGLISH_WORDS, WORDS = "english.gz", "english_words.gz", "words.gz"
# The languages that are read, and their names in English.
NAMES = {
    "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch",
    "sv": "Swedish", "pl": "Polish", "cs": "Czech", "tr": "Turkish", "ru": "Russian", "uk": "Ukrainian",
    "zh": "Chinese", "ja": "Japanese", "ko": "Korean",
}  # fmt: skip

# To zlib, that what it reads has the head of gzip: the package gzip itself is not loaded.
_GZIP = 31
# A stem is so long at least, and an ending so long at most.
SHORTEST_STEM = 4
LONGEST_ENDING = 3


class SortedLines:
    """The lines `word<tab>what is told of it` of a packaged file, in the order of their bytes."""

    def __init__(self, name: str) -> None:
        self._data = _read(name)

    def told_of(self, word: str) -> str | None:
        """What is told of the word; None where it is not there."""
        wanted = f"{word}\t".encode()
        start = self._first_from(wanted)
        if not self._data.startswith(wanted, start):
            return None
        return self._data[start + len(wanted) : self._end(start)].decode()

    def beginning_with(self, stem: str) -> Iterator[tuple[str, str]]:
        """Each word that begins so, with what is told of it."""
        wanted = stem.encode()
        start = self._first_from(wanted)
        while start < len(self._data) and self._data.startswith(wanted, start):
            end = self._end(start)
            word, _, told = self._data[start:end].decode().partition("\t")
            yield word, told
            start = end + 1

    def _first_from(self, wanted: bytes) -> int:
        """Where the first line begins that is not before that one."""
        low, high = 0, len(self._data)
        while low < high:
            start = self._data.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = self._end(start)
            if self._data[start:end] < wanted:
                low = min(end + 1, len(self._data))
            else:
                high = start
        return low

    def _end(self, start: int) -> int:
        end = self._data.find(b"\n", start)
        return len(self._data) if end < 0 else end


class Lexicon:
    """The forms of one language, folded, each with the numbers of the English entries that it stands under."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._forms = SortedLines(f"{language}.gz")

    def exact(self, form: str) -> tuple[int, ...]:
        """The numbers of the entries with exactly that form, the best guess first; none where there is no such form."""
        told = self._forms.told_of(form)
        return () if told is None else tuple(map(int, told.split(",")))

    def inflected(
        self, form: str, shortest_stem: int = SHORTEST_STEM, longest_ending: int = LONGEST_ENDING
    ) -> tuple[int, ...]:
        """Those of the form that shares the longest stem with this one, which ends in so many letters beyond it, and
        that form in a few.
        """
        for ending in range(min(longest_ending, len(form) - shortest_stem) + 1):
            stem = form[: len(form) - ending]
            near = [one for one in self._words_on(stem) if len(one) - len(stem) <= LONGEST_ENDING]
            if near:
                return self.exact(min(near, key=lambda one: (abs(len(one) - len(form)), one)))
        return ()

    def _words_on(self, stem: str) -> Iterator[str]:
        return (form for form, _ in self._forms.beginning_with(stem) if " " not in form)


@lru_cache
def lexicon_of(language: str) -> Lexicon:
    """The lexicon of one of the languages in NAMES, loaded once."""
    return Lexicon(language)


@lru_cache
def sorted_lines(name: str) -> SortedLines:
    """A packaged table, loaded once."""
    return SortedLines(name)


@lru_cache
def english_entries() -> tuple[str, ...]:
    """The English words and phrases by their numbers."""
    return tuple(_read(ENGLISH).decode().split("\n"))


def _read(name: str) -> bytes:
    with open(os.path.join(FOLDER, name), "rb") as file:
        return zlib.decompress(file.read(), _GZIP)
