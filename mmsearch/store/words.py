"""A text as the words of the word index: one function for what is indexed and for what is asked.

Letters' case, accents and compatibility forms do not matter; words end where letters and digits meet, and at all else.
Scripts that put no spaces between words are cut into overlapping pairs of characters. All of it is done here and not by
a store, so that every store, and every version of one, knows the same words.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from mmsearch.files.member_paths import splits

# Rises when other words are made of the same text: a library then indexes its words anew.
WORDS_VERSION = 1
# What is longer is no word that anybody types.
_LONGEST = 64

# Thai, Lao, Burmese, Khmer, Kana, Chinese characters, and Korean, whose particles stick to the words before them.
_SPACELESS = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PLAIN = re.compile(r"[a-z]+|[0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_CASE_CHANGES = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RUN = re.compile("(?:[^\\W\\d_][\u0300-\u036f]*)+|\\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


class AskedWord(NamedTuple):
    """A word that is looked for: pieces that follow one another, of which the last may go on if it `is_begun`."""

    pieces: tuple[str, ...]
    is_begun: bool = False

    def is_in(self, words: Sequence[str]) -> bool:
        """Whether it stands among those words, in their order."""
        first, count = self.pieces[0], len(self.pieces)
        if self.is_begun:
            last = self.pieces[-1]
            return any(
                word.startswith(last) and tuple(words[place - count + 1 : place]) == self.pieces[:-1]
                for place, word in enumerate(words)
                if place >= count - 1
            )
        if count == 1:
            return first in words
        return any(
            word == first and tuple(words[place : place + count]) == self.pieces for place, word in enumerate(words)
        )


def asked_word(text: str) -> AskedWord | None:
    """What is looked for in the word index where that word, or that phrase, is asked for; None if it has no letter."""
    pieces = _pieces(text)
    if not pieces:
        return None
    # A single character of such a script is the beginning of a pair, or stands alone.
    return AskedWord(tuple(pieces), is_begun=len(pieces[-1]) == 1 and is_spaceless(pieces[-1]))


def words_of_text(text: str) -> list[str]:
    """The words of a passage, in their order."""
    pieces = _pieces(text)
    return pieces if text.isascii() else pieces + _last_characters(text)


def words_placed(text: str) -> list[tuple[str, int, int]]:
    """The words of a passage, each with the characters of it that are that word: from (included), to (excluded)."""
    found: list[tuple[str, int, int]] = []
    for run in _RUN.finditer(text):
        pieces, start = _pieces(run[0]), run.start()
        are_pairs = len(pieces) > 1 and len(pieces) == len(run[0]) - 1
        for place, piece in enumerate(pieces):
            begins, ends = (start + place, start + place + len(piece)) if are_pairs else run.span()
            found.append((piece, begins, ends))
    return found


def words_of_name(name: str) -> list[str]:
    """The words of a file's or folder's name: behind them the parts of `HolidayPhoto`."""
    return words_of_text(name) + [part for run in _LETTERS.findall(name) for part in _parts(run)]


def name_and_folders(path: bytes, root: bytes | None) -> tuple[str, str]:
    """The name of a file, and those of the folders it lies in from the last one of its root's path on."""
    above = os.path.dirname(root) if root is not None and path.startswith(root) else b""
    folders, name = os.path.split(path[len(above) :])
    for archive, member in splits(name):  # it lies in there as in a folder
        folders, name = os.path.join(os.path.dirname(path[len(above) :]), archive), member
    return name.decode("utf-8", "replace"), folders.decode("utf-8", "replace").lstrip(os.sep)


@cache
def _any_pieces() -> re.Pattern[str]:
    """Compiled when it is first needed: a search for plain words starts sooner."""
    return re.compile(rf"([{_SPACELESS}]+)|[^\W\d_{_SPACELESS}]+|\d+")


def is_spaceless(piece: str) -> bool:
    """Whether a piece is of a script without spaces between words."""
    match = None if piece.isascii() else _any_pieces().match(piece)
    return match is not None and match[1] is not None


def _pieces(text: str) -> list[str]:
    if text.isascii():
        pieces = _PLAIN.findall(text.lower())
        return pieces if len(text) <= _LONGEST else [piece[:_LONGEST] for piece in pieces]
    found: list[str] = []
    for match in _any_pieces().finditer(_folded(text)):
        run = match[1]
        if run is None:
            found.append(match[0][:_LONGEST])
        else:
            found += [run[place : place + 2] for place in range(len(run) - 1)] or [run]
    return found


def _last_characters(text: str) -> list[str]:
    """The last character of each run without spaces: the only one that begins no pair."""
    return [run[-1] for run in (match[1] for match in _any_pieces().finditer(_folded(text))) if run and len(run) > 1]


def _parts(run: str) -> Iterator[str]:
    parts = _CASE_CHANGES.split(run)
    if len(parts) > 1:
        for part in parts:
            yield from _pieces(part)


def _folded(text: str) -> str:
    """In small letters, without accents, in compatibility forms: `Ｋöln` → `koln`."""
    return unicodedata.normalize("NFC", without_accents(text)).casefold()


def without_accents(text: str) -> str:
    """In compatibility forms, taken apart, without accents: what of `Café` is `Cafe`."""
    return text if text.isascii() else _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
