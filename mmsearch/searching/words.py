"""The words of a query, and what a literal match of them is worth: a score that means the same as that of a cosine.

The weight of a word is its inverse document frequency, `w = ln(1 + (N - n + 0.5) / (n + 0.5))` for a word that n of N
documents hold, as in BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). Names, titles and
passages are short, so that a word is there or not, whatever its count: what matches is the sum `e` of the weights of
those that are there, each times a factor of the field it stands in, and the share `c` of it in the weights of all words
of the query. Words that stand in the order in which they were typed are one rare word more, which is no part of that
sum. The score is a logistic function of both, `1 / (1 + exp(-(A + B ln(1 + e) - C (1 - c))))`; how often
matches of a score are right is measured by `benchmarks/word_merge.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from mmsearch.records import WordSource
from mmsearch.searching.function_words import BESIDE_THE_POINT, FUNCTION_WORDS
from mmsearch.searching.literal import name_in, stands_as_name
from mmsearch.searching.query import Term
from mmsearch.store.words import AskedWord, asked_word, is_spaceless, words_of_name, words_of_text

# What a hit that is found by its words has at least.
LEAST_WORD_SCORE = 0.5
# Of a longer query the first so many words are looked for.
MOST_WORDS = 24
_ALONE, _BY_WEIGHT, _BY_SHARE = -0.2, 2.45, 10.0
_IN_NAMES, _IN_TEXTS, _BEGUN = 1.0, 0.9, 0.85
# Of a word that all of a file is called by, beside one that stands in the very passage, where one place is chosen.
_ELSEWHERE = 0.5
# A name in which all words stand in the order in which they were typed tells so much more: no other file is meant as
# surely. Texts say many things in passing: there they tell so where they are written as a name is, and else as one
# word more.
_AS_TYPED = 16.0
_FEWEST_LETTERS_BEGUN = 3

_SAY_NOTHING = FUNCTION_WORDS | BESIDE_THE_POINT
_PHRASE = re.compile(r'(?:(?<=\s)|^)["“„«]([^"“”„«»]+)["”“»](?=[\s.,;:!?]|$)')


class AskedWords(NamedTuple):
    """What a query asks of the word index: words, and phrases that a hit has to hold.

    `typed` are the texts as they were typed, of several words each: where one stands so it is what is meant. Of texts
    that say nothing else (`The Who`) they are all there is, looked for in names, and in texts where they are written as
    one. `names` are those of texts that a session has found to be names (`Doctors without Borders`).
    """

    words: tuple[AskedWord, ...]
    phrases: tuple[AskedWord, ...]
    typed: tuple[tuple[AskedWord, ...], ...] = ()
    names: tuple[AskedWord, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.words or self.phrases or self.typed or self.names)


def words_of_query(terms: Iterable[Term]) -> AskedWords:
    """The words of its wanted texts, each once, and the phrases in quotation marks.

    Where a picture is given as an example its words are none to be looked for, and phrases are.
    """
    terms = tuple(terms)
    texts = [term.value for term in terms if term.modality == "text" and term.weight > 0]
    phrases = [asked_word(phrase) for text in texts for phrase in _PHRASE.findall(text)]
    has_pictures = any(term.modality != "text" for term in terms)
    words = [word for text in texts for word in _bare_words(_PHRASE.sub(" ", text))]
    telling = [word for word in words if not BESIDE_THE_POINT.issuperset(word.pieces)] or words
    wanted = () if has_pictures else tuple(dict.fromkeys(telling))[:MOST_WORDS]
    asked = AskedWords(wanted, tuple(dict.fromkeys(one for one in phrases if one is not None)))
    if has_pictures:
        return asked
    of_texts = [(term.value, name_in(term)) for term in terms if term.value in texts]
    typed = (_as_typed(text) for text, name in of_texts if name is None)
    names = dict.fromkeys(name for _, name in of_texts if name is not None)
    return asked._replace(typed=tuple(filter(None, typed)), names=tuple(names))


def _as_typed(text: str) -> tuple[AskedWord, ...]:
    """The text as one phrase and, less surely meant, without what says nothing at its ends; none of a single word."""
    whole = asked_word(text) if len(text.split()) > 1 and not _PHRASE.search(text) else None
    if whole is None or not 2 <= len(whole.pieces) <= MOST_WORDS:
        return ()
    says = [place for place, piece in enumerate(whole.pieces) if piece not in _SAY_NOTHING]
    core = whole._replace(pieces=whole.pieces[says[0] : says[-1] + 1]) if says else whole
    return tuple(form for form in dict.fromkeys((whole, core)) if len(form.pieces) > 1)


def readings_of_query(terms: Iterable[Term]) -> tuple[AskedWords, ...]:
    """What a query asks of the word index as it is typed and, behind that, by each of its readings in English.

    A text with a phrase in quotation marks stays as it is typed.
    """
    terms = tuple(terms)
    count = max((len(term.read_as.english) for term in terms if term.read_as is not None), default=0)
    english = ([_read(term, number) for term in terms] for number in range(count))
    return tuple(dict.fromkeys(words_of_query(reading) for reading in (terms, *english)))


def _read(term: Term, number: int) -> Term:
    english = () if term.read_as is None else term.read_as.english
    if not english or _PHRASE.search(term.value):
        return term
    return replace(term, value=english[min(number, len(english) - 1)])


def has_phrases(text: str) -> bool:
    """Whether something in a text stands in quotation marks."""
    return _PHRASE.search(text) is not None


def without_quotes(text: str) -> str:
    """The text as a model is to see it: without the marks around phrases."""
    return _PHRASE.sub(lambda match: match[1], text)


def _bare_words(text: str) -> Iterator[AskedWord]:
    for written in text.split():
        word = asked_word(written)
        if word is None:
            continue
        if any(map(is_spaceless, word.pieces)):  # each pair of characters is a word
            yield from parts_of(word)
        elif not FUNCTION_WORDS.issuperset(word.pieces):
            yield word


def parts_of(word: AskedWord) -> list[AskedWord]:
    """Its pieces as words of their own, but for those that say nothing."""
    parts = [AskedWord((piece,)) for piece in word.pieces if piece not in FUNCTION_WORDS]
    return [*parts[:-1], parts[-1]._replace(is_begun=word.is_begun)] if parts else []


def begun(word: AskedWord) -> AskedWord | None:
    """The word as the beginning of another one, where it is long enough for that."""
    is_long = sum(map(len, word.pieces)) >= _FEWEST_LETTERS_BEGUN and not word.is_begun
    return word._replace(is_begun=True) if is_long else None


# What a word is to a query: one of its words; all of them as they were typed, which tells more where it stands and
# nothing where it does not; the name that is meant, so that what lacks it lacks nearly all; or words that say nothing
# apart, which count in names, and where they are written as one.
Part: TypeAlias = Literal["word", "typed", "name", "alone"]
# Those that are made of words which stand beside them.
OF_OTHERS: frozenset[Part] = frozenset(("typed", "name"))


class WeightedWord(NamedTuple):
    """A word of a query, and how much it tells: its inverse document frequency, times a factor where it is begun, or
    all of the query as it was typed.
    """

    word: AskedWord
    weight: float
    factor: float = 1.0
    part: Part = "word"

    @property
    def most(self) -> float:
        """What it tells at most."""
        return self.factor * self.weight


def weighted(word: AskedWord, documents: int, known: int, part: Part = "word") -> WeightedWord:
    """That of a word that so many documents hold, of those that are known."""
    known = max(known, documents)
    weight = math.log(1 + (known - documents + 0.5) / (documents + 0.5))
    if part in OF_OTHERS:
        return WeightedWord(word, weight, _AS_TYPED, part)
    return WeightedWord(word, weight, _BEGUN if word.is_begun and len(word.pieces[-1]) > 2 else 1.0, part)


class WordMatch(NamedTuple):
    """How well a place matches: 0 where it has none of the words; `is_english` where a reading in English matched.

    `here` is the same for choosing among the places of one file: what they are all called tells little then.
    """

    score: float
    is_english: bool = False
    here: float = 0.0


NO_MATCH = WordMatch(0.0)


def matched(source: WordSource, words: Sequence[WeightedWord]) -> WordMatch:
    """How well what is indexed of a place matches the words of a query."""
    named = words_of_name(source.name), words_of_name(source.folders), words_of_text(source.said)
    own = words_of_text(source.text)
    texts = own, words_of_text(source.told)
    evidence = here = 0.0
    for one in words:
        tells = 0.0
        if any(one.word.is_in(field) for field in named):
            tells = _IN_NAMES * one.most
        elif any(one.word.is_in(field) for field in texts):
            tells = _IN_TEXTS * _told_in(source, one)
        evidence += tells
        here += tells if one.word.is_in(own) else _ELSEWHERE * tells
    return WordMatch(score_of(evidence, words), here=score_of(here, words))


def _told_in(source: WordSource, one: WeightedWord) -> float:
    """What a word tells that stands in what a place says."""
    if one.part in ("word", "name") or any(stands_as_name(one.word, text) for text in (source.text, source.told)):
        return one.most
    return one.weight if one.part == "typed" else 0.0


def score_of(evidence: float, words: Sequence[WeightedWord]) -> float:
    """The score of a match of so much weight; 0 where nothing matches."""
    if not evidence:
        return 0.0
    wanted = sum(one.most if one.part == "name" else one.weight for one in words if one.part != "typed")
    share = min(1.0, evidence / wanted)
    return 1 / (1 + math.exp(-(_ALONE + _BY_WEIGHT * math.log1p(evidence) - _BY_SHARE * (1 - share))))


def least_by_name(words: Sequence[WeightedWord]) -> float:
    """The score of a text that holds what is meant as it stands and nothing else; 1 where nothing is."""
    meant = (one.most for one in words if one.part in ("name", "alone"))
    return min((score_of(_IN_TEXTS * most, words) for most in meant), default=1.0)
