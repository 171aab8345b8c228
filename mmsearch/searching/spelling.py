"""A word of a query that nothing holds and no language knows: the word of the library that is one letter away.

Looked for are all words that one edit makes of it (Damerau, "A technique for computer detection and correction of
spelling errors", 1964): a letter more, less or another, or two that have changed places. That is bounded by the length
of the word, whatever the size of the library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from mmsearch.language import is_word
from mmsearch.searching.query import Term
from mmsearch.searching.results import Suggestion
from mmsearch.store.word_index import WordIndex
from mmsearch.store.words import AskedWord, asked_word

# Of shorter words too many are one letter away; longer ones are sentences without spaces.
FEWEST_LETTERS, MOST_LETTERS = 4, 24
# Of a query so many words are looked at: with more of them it is in a language that nothing here knows.
MOST_WORDS = 3
# So many documents that hold a word tell enough of how common it is.
_MOST_COUNTED = 100
# Most spellings are no words: so many are asked for together first.
_AT_ONCE = 32
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_CYRILLIC = "абвгґдежзийклмнопрстуфхцчшщъыьэюяєі"


def suggestions(store: WordIndex, terms: Iterable[Term], missing: Sequence[AskedWord]) -> tuple[Suggestion, ...]:
    """What may be meant by the words of the terms that nothing holds; a phrase in quotation marks is meant as it is."""
    unknown = {word for word in missing if _may_be_wrong(word)}
    if len(unknown) > MOST_WORDS:
        return ()
    found: list[Suggestion] = []
    for term in terms if unknown else ():
        for written in term.value.split() if term.modality == "text" and term.weight > 0 else ():
            word = asked_word(written)
            instead = _nearest(store, word.pieces[0]) if word in unknown and word is not None else None
            if instead is not None:
                text = " ".join(instead if one == written else one for one in term.value.split())
                found.append(Suggestion(written, instead, text))
    return tuple(dict.fromkeys(found))


def _may_be_wrong(word: AskedWord) -> bool:
    (piece, *more) = word.pieces
    is_long = FEWEST_LETTERS <= len(piece) <= MOST_LETTERS
    return not more and is_long and piece.isalpha() and not is_word(piece)


def _nearest(store: WordIndex, word: str) -> str | None:
    """The word one edit away that most documents hold, and of these the first of the alphabet."""
    counts: dict[str, int] = {}
    others = [AskedWord((other,)) for other in sorted(set(_one_edit_away(word)) - {word})]
    for start in range(0, len(others), _AT_ONCE):
        some = others[start : start + _AT_ONCE]
        for other in some if store.holds_any(some) else ():
            count = sum(map(len, store.documents_with([other], _MOST_COUNTED)))
            if count:
                counts[other.pieces[0]] = count
    return max(counts, key=lambda one: counts[one], default=None)


def _one_edit_away(word: str) -> Iterator[str]:
    is_cyrillic = any("CYRILLIC" in unicodedata.name(letter, "") for letter in word)
    letters = sorted({*(_CYRILLIC if is_cyrillic else _LATIN), *word})
    for place in range(len(word) + 1):
        before, after = word[:place], word[place:]
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in letters)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
        yield from (before + letter + after for letter in letters)
