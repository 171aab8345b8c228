"""Words in writing that does not part them, and in Korean, which joins particles to them."""

from __future__ import annotations

from mmsearch.language.folding import scripts_of
from mmsearch.language.function_words import KOREAN_ENDINGS
from mmsearch.language.lexicon import Lexicon

_LONGEST_FORM = 12
# What joins a word of Japanese to the next adds nothing to it: 海辺の means no more than 海辺.
_OF = "の"
# What a character alone is worth beside a form of two, which is worth 4.
_ALONE = 0.6


def cut(text: str, lexicon: Lexicon, nothing: frozenset[str]) -> list[str]:
    """The forms of the lexicon that a text without spaces is best cut into: long ones, and as much of it as can be.

    Kana alone are particles. A Chinese character alone, and a word in katakana, count only where what they border on
    is known too: they are a piece of a longer word else.
    """
    best: list[tuple[float, tuple[tuple[int, int], ...]]] = [(0.0, ())]
    for end in range(1, len(text) + 1):
        choices = [best[end - 1]]
        for start in range(max(0, end - _LONGEST_FORM), end):
            part = text[start:end]
            if part in nothing or (len(part) == 1 < len(text) and not _is_han(part)) or not lexicon.exact(part):
                continue
            size = len(part.rstrip(_OF))
            worth = _ALONE if size <= 1 else float(size**2)
            choices.append((best[start][0] + worth, (*best[start][1], (start, end))))
        best.append(max(choices, key=lambda one: one[0]))
    places = best[-1][1]
    known = {place for start, end in places for place in range(start, end)}
    unknown = {place for place, one in enumerate(text) if place not in known and one not in nothing}
    return [text[start:end] for start, end in places if not _is_piece(text, start, end, unknown)]


def _is_piece(text: str, start: int, end: int, unknown: set[int]) -> bool:
    """Whether the form from there to there borders on unknown letters of its own kind."""
    part = text[start:end]
    if _is_han(part) and len(part) == 1:
        return any(place in unknown and _is_han(text[place]) for place in (start - 1, end))
    if all(map(_is_katakana, part)):
        return any(place in unknown and _is_katakana(text[place]) for place in (start - 1, end))
    return False


def _is_han(text: str) -> bool:
    return scripts_of(text) == {"han"}


def _is_katakana(letter: str) -> bool:
    return "\u30a1" <= letter <= "\u30fc"


def without_ending(word: str, lexicon: Lexicon) -> list[tuple[int, ...]]:
    """The entries of a Korean word without its particle, or of the forms that it begins with and goes on with."""
    for ending in KOREAN_ENDINGS:
        numbers = lexicon.exact(word.removesuffix(ending)) if word.endswith(ending) else ()
        if numbers:
            return [numbers]
    for size in range(len(word) - 1, 1, -1):
        first = lexicon.exact(word[:size])
        if first:
            rest = word[size:]
            second = [lexicon.exact(rest)] if lexicon.exact(rest) else without_ending(rest, lexicon)
            return [first, *(second if len(rest) > 1 else [])]
    inflected = lexicon.inflected(word, 2)
    return [inflected] if inflected else []
