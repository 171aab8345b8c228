"""Which language a query is in: by its script, its words, and letters that few languages have.

English is told first, by a small list of words, so that an English query loads nothing else.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mmsearch.language.folding import Word, scripts_of
from mmsearch.language.function_words import CARRY_NOTHING, JOINING, LETTERS, OF_ENGLISH
from mmsearch.language.lexicon import ENGLISH_WORDS, NAMES, WORDS, lexicon_of, sorted_lines

ENGLISH = "en"
# A language that there is no lexicon of.
UNKNOWN = ""
# The letters by which the table of words tells a language, and in which order of two that fit as well one is taken.
MARKS = {
    "e": ENGLISH, "d": "de", "f": "fr", "s": "es", "i": "it", "p": "pt", "l": "nl", "v": "sv", "o": "pl", "c": "cs",
    "r": "tr",
}  # fmt: skip
# The mark of a word that English texts have now and then: names, and what English has taken over.
RARELY_ENGLISH = "h"
_ENGLISH_ENDINGS = ("s", "es", "d", "ed", "ing", "er", "ly", "y", "less")
_SHORTEST_HALF = 4


def language_of(words: Sequence[Word], locale: str | None = None) -> str:
    """The language that the words are in, as a code of NAMES; "en" for English, and for what tells of none; "" for one
    that there is no lexicon of. `locale` is that of the person, which breaks ties.
    """
    scripts = scripts_in(words)
    if "hangul" in scripts:
        return "ko"
    if "kana" in scripts:
        return "ja"
    if "han" in scripts:
        return _best(("zh", "ja"), words, locale)
    if "cyrillic" in scripts:
        return _best(("ru", "uk"), words, locale)
    if scripts - {"latin"}:
        english = sum(scripts_of(word.typed) == {"latin"} and is_english(word.folded) for word in words)
        is_mixed = any(scripts_of(word.typed) > {"latin"} for word in words)  # Vietnamese
        return ENGLISH if 2 * english >= len(words) and not is_mixed else UNKNOWN
    # A word or two may be of the locale (chat, gift, rode motor); longer texts of English words alone are English.
    if (locale not in NAMES or len(words) > 2) and all(_is_listed(word.folded) for word in words):
        return ENGLISH
    return _latin(words, locale)


def scripts_in(words: Sequence[Word]) -> set[str]:
    """The scripts that the words are written in."""
    return {script for word in words for script in scripts_of(word.typed)}


def locale_language() -> str | None:
    """The language of this person's surroundings, as the variables of the locale tell it: `de` of `de_DE.UTF-8`."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        told = os.environ.get(variable)
        if told:
            return told.partition(".")[0].partition("_")[0].lower()
    return None


def is_english(word: str) -> bool:
    """Whether a folded word is in the English list, or an inflected form of one there; digits and letters are too."""
    stems = (word[: -len(ending)] for ending in _ENGLISH_ENDINGS if word.endswith(ending))
    return _is_listed(word) or any(map(_is_listed, stems))


def _is_listed(word: str) -> bool:
    return word.isdigit() or len(word) == 1 or sorted_lines(ENGLISH_WORDS).told_of(word) is not None


def _best(languages: Sequence[str], words: Sequence[Word], locale: str | None) -> str:
    """Which of two languages of one script the words are in; UNKNOWN where neither lexicon has any of them."""
    text = "".join(word.typed for word in words).casefold()
    for language in languages:
        if set(LETTERS.get(language, "")) & set(text):
            return language
    return max(languages, key=lambda one: (_covered(one, words), one == locale, -languages.index(one)))


def _covered(language: str, words: Sequence[Word]) -> float:
    """How many letters of the words the lexicon has, longer stretches counting more."""
    lexicon, total = lexicon_of(language), 0.0
    for word in words:
        text = word.folded
        if scripts_of(text) <= {"han"}:
            place = 0
            while place < len(text):
                size = next((one for one in (4, 3, 2, 1) if lexicon.exact(text[place : place + one])), 0)
                total += size * size
                place += size or 1
        elif text in CARRY_NOTHING[language].split() or lexicon.exact(text):
            total += 1
        elif lexicon.inflected(text):
            total += 0.5
    return total


def _marks(word: str) -> str:
    return sorted_lines(WORDS).told_of(word) or ""


def _latin(words: Sequence[Word], locale: str | None) -> str:
    """The language that most of the words are in. Words that are not known speak by their stems, and by what they are
    made of, for a language that would be told but for them.
    """
    counts: dict[str, float] = defaultdict(float)
    weights = {word: _weights(word) for word in words}
    for word in words:
        for language, weight in weights[word].items():
            counts[language] += weight
    most = max(counts.values(), default=0.0)
    first = {language for language in MARKS.values() if counts[language] == most}
    for word in words:
        for language in first & _akin(word) if not weights[word] else ():
            counts[language] += 1.0
    typed = {letter for word in words for letter in word.typed.casefold()}
    for language, letters in LETTERS.items():
        if counts[language] and set(letters) & typed:
            counts[language] += 0.5
    if locale is not None and counts[locale]:
        counts[locale] += 0.25
    order = list(MARKS.values())
    return max(order, key=lambda one: (counts[one], -order.index(one)))


def _weights(word: Word) -> dict[str, float]:
    """How much a word speaks for each language that it is known in."""
    marks, weight = _marks(word.folded), 0.5 if len(word.folded) <= 2 else 1.0
    found = {MARKS[mark]: weight for mark in marks if mark in MARKS}
    if RARELY_ENGLISH in marks:
        found[ENGLISH] = weight / 2
    elif not marks and is_english(word.folded):
        found[ENGLISH] = weight
    if ENGLISH in found and not word.typed.isascii():
        found[ENGLISH] /= 2  # English leaves the accents of its loan words out
    elif word.folded in OF_ENGLISH:
        found[ENGLISH] = 1.5
    return found


def _akin(word: Word) -> set[str]:
    """The languages that have words of the same stem, or two that make up this one."""
    if len(word.folded) <= _SHORTEST_HALF or (word.typed[:1].isupper() and len(word.folded) < 2 * _SHORTEST_HALF):
        return set()
    near = set(_near(word.folded)) if not word.typed[:1].isupper() else set()
    return (near or set(_compounded(word.folded))) - {ENGLISH}


def _near(word: str) -> Iterator[str]:
    """The languages of words that share a stem with that word and are not English."""
    for ending in range(min(2, len(word) - 5) + 1):
        stem, found = word[: len(word) - ending], False
        for near, marks in sorted_lines(WORDS).beginning_with(stem):
            if len(near) - len(stem) <= 2 and not {RARELY_ENGLISH, "e"} & set(marks):
                found = True
                yield from (MARKS[mark] for mark in marks)
        if found:
            return


def _compounded(word: str) -> Iterator[str]:
    """The languages in which the word is made of two that are known, of which not both are English."""
    for language, joining in JOINING.items():
        for cut in range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1):
            second = _marks(word[cut:])
            for join in joining:
                first = _marks(word[: cut - len(join)]) if word[:cut].endswith(join) else ""
                if (
                    _mark_of(language) in first
                    and _mark_of(language) in second
                    and not ("e" in first and "e" in second)
                ):
                    yield language


def _mark_of(language: str) -> str:
    return next(mark for mark, one in MARKS.items() if one == language)
