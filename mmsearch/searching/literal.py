"""Words that are a name as they stand: `Doctors without Borders`, `The Who`.

A text that says what it is to be without is two terms, what is wanted and what is to be avoided (`query.text_terms`).
Where a file has the words around `without` as they were typed, in its names, its details or its texts, they are meant
as they stand. In what a file says a name is told by its capitals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from mmsearch.records import Filters
from mmsearch.searching.function_words import FUNCTION_WORDS
from mmsearch.searching.query import Query, Term, as_one, as_parts, in_parts
from mmsearch.store.word_index import WordIndex
from mmsearch.store.words import AskedWord, asked_word, without_accents, words_of_text, words_placed

if TYPE_CHECKING:
    from mmsearch.nearest.spaces import ModelInUse

# So many files and passages that have the words are looked at for one that passes the filters.
_MOST = 2_000
# So many words that say nothing stand together, in their order, where somebody is quoted.
_QUOTED = 4


def as_typed(query: Query, store: WordIndex, models: Sequence[ModelInUse]) -> Query:
    """The query; two terms that were one text are one again where a file that passes the filters has these words.

    That term's `typed` is its own text.
    """
    parts = list(in_parts(query.terms))
    if all(len(part) == 1 for part in parts) or not store.has_words():
        return query
    model_ids = [in_use.model_id for in_use in models]
    terms = (
        term
        for part in parts
        for term in ([as_one(*part)] if _stands_somewhere(part, store, query.filters, model_ids) else part)
    )
    return replace(query, terms=tuple(terms))


def name_in(term: Term) -> AskedWord | None:
    """The words around `without` in a text that was made one again."""
    parts = list(as_parts([term]))
    return _phrase(*parts) if len(parts) == 2 else None


def name_as_typed(term: Term) -> str:
    """That name as it was typed, without what stands around it; all of the text where there is none in it."""
    name = name_in(term)
    if name is None:
        return term.value
    placed = words_placed(term.value)
    pieces, count = tuple(piece for piece, _, _ in placed), len(name.pieces)
    starts = (start for start in range(len(placed) - count + 1) if pieces[start : start + count] == name.pieces)
    start = next(starts, None)
    return term.value if start is None else term.value[placed[start][1] : placed[start + count - 1][2]]


def stands_as_name(word: AskedWord, text: str) -> bool:
    """Whether several words stand in a text with capitals, as a name does: two at least, and all that say something.

    Where none of them says anything all have a capital, unless they are so many that only a quotation has them.
    """
    telling = _telling(word)
    if len(word.pieces) >= _QUOTED and FUNCTION_WORDS.issuperset(word.pieces):
        return word.is_in(words_of_text(text))
    # Most texts are told by that, in a hundredth of the time; what is two letters when case is folded is not.
    if "ß" not in text and not _with_capitals(word).search(without_accents(text)):
        return False
    placed, count = words_placed(text), len(word.pieces)
    for start in range(len(placed) - count + 1):
        some = placed[start : start + count]
        if tuple(piece for piece, _, _ in some) != word.pieces:
            continue
        cased = [text[begins] for (_, begins, _), is_telling in zip(some, telling, strict=True) if is_telling]
        if sum(one.isupper() for one in cased) >= 2 and not any(one.islower() for one in cased):
            return True
    return False


def _telling(word: AskedWord) -> tuple[bool, ...]:
    """Of each piece whether it says something; where none does all are to have a capital."""
    says = tuple(piece not in FUNCTION_WORDS for piece in word.pieces)
    return says if any(says) else (True,) * len(says)


@lru_cache(maxsize=64)
def _with_capitals(word: AskedWord) -> re.Pattern[str]:
    """What is in every text without accents in which the words stand as a name."""
    pieces = (
        f"{re.escape(piece[0].upper())}(?i:{re.escape(piece[1:])})" if is_telling else f"(?i:{re.escape(piece)})"
        for piece, is_telling in zip(word.pieces, _telling(word), strict=True)
    )
    return re.compile("[^A-Za-z0-9]*".join(pieces))


def _stands_somewhere(part: Sequence[Term], store: WordIndex, filters: Filters, model_ids: Sequence[int]) -> bool:
    phrase = _phrase(*part) if len(part) == 2 else None
    if phrase is None:
        return False
    files, items = store.documents_with([phrase], _MOST)
    return bool((files or items) and store.word_places(files, items, filters, model_ids))


def _phrase(wanted: Term, avoided: Term) -> AskedWord | None:
    """From the last word that is wanted to the first that is to be avoided and says something.

    Where what is to be avoided comes first (`no country in the world`) it is the whole text.
    """
    whole, before, behind = (asked_word(text) for text in (wanted.typed or "", wanted.value, avoided.value))
    if whole is None or before is None or behind is None:
        return None
    if whole.pieces[: len(before.pieces)] != before.pieces:
        return whole
    says = next((place for place, piece in enumerate(behind.pieces) if piece not in FUNCTION_WORDS), None)
    if says is None:
        return None
    end = len(whole.pieces) - len(behind.pieces) + says + 1
    return AskedWord(whole.pieces[len(before.pieces) - 1 : end])
