"""A query in another language → what it is in English, in one to a few readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmsearch.language.characters import cut, without_ending
from mmsearch.language.folding import Word, in_latin, scripts_of
from mmsearch.language.function_words import ADJECTIVES, CARRY_NOTHING, JOINING, LOST_IN_COMPOUNDS, PLACES
from mmsearch.language.lexicon import LONGEST_ENDING, Lexicon, english_entries, lexicon_of

# So many words make a phrase of the lexicon at most, and so many readings are made of a query.
LONGEST_PHRASE = 4
MOST_READINGS = 3
_SHORTEST_HALF = 3
# With a stem so long, and so few letters beyond it, two words are forms of one.
SURE_STEM, SURE_ENDING = 5, 2
# Turkish joins endings to endings.
LONGEST_CHAIN = 6
# Languages whose adjectives stand behind what they describe.
_ADJECTIVES_BEHIND = frozenset(["fr", "es", "it", "pt"])


class Piece(NamedTuple):
    """A stretch of the query: its English readings, the best first, or a word as it was typed."""

    readings: tuple[str, ...]
    is_known: bool = True


def readings_of(words: Sequence[Word], language: str) -> tuple[str, ...]:
    """What the words of that language are in English, the best guess first; none where no word is known."""
    pieces = pieces_of(words, language)
    if not any(piece.is_known for piece in pieces):
        return ()
    if language in _ADJECTIVES_BEHIND:
        pieces = _adjectives_first(pieces)
    count = min(MOST_READINGS, max(len(piece.readings) for piece in pieces))
    texts = (
        " ".join(piece.readings[number if number < len(piece.readings) else 0] for piece in pieces)
        for number in range(count)
    )
    return tuple(dict.fromkeys(texts))


def pieces_of(words: Sequence[Word], language: str) -> list[Piece]:
    """The stretches of the words that the lexicon knows, longest first from the left, and what is left as typed."""
    lexicon, nothing = lexicon_of(language), frozenset(CARRY_NOTHING[language].split())
    found: list[Piece] = []
    place = 0
    while place < len(words):
        numbers, taken = _longest(words[place:], lexicon)
        word = words[place]
        place += taken
        if taken == 1 and word.folded in nothing:
            continue
        if numbers:
            found.append(_piece(numbers))
        else:
            found.extend(_within(word, lexicon, nothing))
    return found


def phrase_of(words: Sequence[Word], language: str) -> str | None:
    """What words of that language are in English that the lexicon has as they stand, beside numbers and words that
    carry nothing; None where it lacks one, or has none of them.
    """
    lexicon, nothing = lexicon_of(language), frozenset(CARRY_NOTHING[language].split())
    found: list[str] = []
    place, is_known = 0, False
    while place < len(words):
        numbers, taken = _longest(words[place:], lexicon)
        word = words[place]
        place += taken
        if numbers:
            pieces = [_piece(numbers)]
        elif word.folded in nothing:
            continue
        elif word.folded.isdecimal():
            found.append(word.folded)
            continue
        elif scripts_of(word.folded) & {"han", "kana"}:  # without spaces between words
            pieces = [_piece(lexicon.exact(part)) for part in cut(word.folded, lexicon, nothing)]
        else:
            return None
        found += (piece.readings[0] for piece in pieces)
        is_known = is_known or bool(pieces)
    return " ".join(found) if is_known else None


def _longest(words: Sequence[Word], lexicon: Lexicon) -> tuple[tuple[int, ...], int]:
    for size in range(min(LONGEST_PHRASE, len(words)), 0, -1):
        numbers = lexicon.exact(" ".join(word.folded for word in words[:size]))
        if numbers:
            return numbers, size
    return (), 1


def _piece(numbers: tuple[int, ...]) -> Piece:
    entries = english_entries()
    readings = tuple(entries[number] for number in numbers)
    return Piece(readings[:1] if readings[0] in PLACES else readings)


def _within(word: Word, lexicon: Lexicon, nothing: frozenset[str]) -> list[Piece]:
    """What is known of a word that is no form as it stands."""
    scripts = scripts_of(word.folded)
    if scripts & {"han", "kana"}:
        return [_piece(lexicon.exact(part)) for part in cut(word.folded, lexicon, nothing)]
    if scripts == {"hangul"}:
        return [_piece(numbers) for numbers in without_ending(word.folded, lexicon)]
    known = _known_within(word.folded, lexicon)
    if known:
        return [_piece(numbers) for numbers in known]
    # What is left is a name, or a word that many languages share: poker, покер.
    return [Piece((in_latin(word.typed),), is_known=False)]


def _known_within(word: str, lexicon: Lexicon) -> list[tuple[int, ...]]:
    """The entries of another form of the word, or of two that it is made of."""
    close = lexicon.inflected(word, SURE_STEM, SURE_ENDING)
    if close:
        return [close]
    halves = _halves(word, lexicon)
    if halves:
        return halves
    longest = LONGEST_CHAIN if lexicon.language == "tr" else LONGEST_ENDING
    inflected = lexicon.inflected(word, longest_ending=longest)
    return [inflected] if inflected else []


def _halves(word: str, lexicon: Lexicon) -> list[tuple[int, ...]]:
    """The two words that a compound is made of, the longest second one first."""
    joining, lost = JOINING.get(lexicon.language, ()), LOST_IN_COMPOUNDS.get(lexicon.language, "")
    places = range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1) if joining else ()
    for is_exact in (True, False):
        for place in places:
            second = lexicon.exact(word[place:]) if is_exact else lexicon.inflected(word[place:], SURE_STEM)
            if not second:
                continue
            halves = [word[: place - len(join)] for join in joining if word[:place].endswith(join)]
            for half in (*halves, *([word[:place] + lost] if lost else [])):
                first = lexicon.exact(half) if len(half) >= _SHORTEST_HALF else ()
                if first:
                    return [first, second]
    return []


def _adjectives_first(pieces: Sequence[Piece]) -> list[Piece]:
    """With the adjectives that follow a noun before it, the last one first: `bathroom blue small` is in the order of
    French, `small blue bathroom` in that of English.
    """
    found: list[Piece] = []
    place = 0
    while place < len(pieces):
        behind = place + 1
        if not _is_adjective(pieces[place]):
            while behind < len(pieces) and _is_adjective(pieces[behind]):
                behind += 1
        found.extend(reversed(pieces[place:behind]))
        place = behind
    return found


def _is_adjective(piece: Piece) -> bool:
    return piece.is_known and piece.readings[0] in ADJECTIVES
