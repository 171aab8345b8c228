"""Queries in languages that a model does not know: which language a text is in, and what it says in English.

The lexicon that is read by holds what people type for things in photos, in fifteen languages.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from mmsearch.errors import Invalid
from mmsearch.language.folding import words_of
from mmsearch.language.lexicon import NAMES, WORDS, lexicon_of, sorted_lines
from mmsearch.language.telling import ENGLISH, UNKNOWN, is_english, language_of, locale_language, scripts_in
from mmsearch.records import Reading

__all__ = ["NAMES", "Reading", "check_language", "is_word", "period_in_english", "phrase_in_english", "read"]

# What is longer is no query but a text by which others are looked for.
LONGEST_QUERY = 2_000
_CYRILLIC = ("ru", "uk")


def check_language(code: str) -> None:
    """Raises Invalid where there is no such language among those that are read, English included."""
    if code not in (*NAMES, ENGLISH):
        raise Invalid(f"There is no language {code!r} here; it is {ENGLISH}, {', '.join(sorted(NAMES))}.")


def is_word(folded: str) -> bool:
    """Whether a word, in small letters without accents, is known in English or in a language that is read."""
    if folded.isascii():
        return is_english(folded) or sorted_lines(WORDS).told_of(folded) is not None
    return any(lexicon_of(language).inflected(folded) for language in _CYRILLIC)


def read(text: str, language: str | None = None) -> Reading | None:
    """What a text says in English; None for one that is in English, or tells no language by its words.

    `language` is its code where that is known; else its script and words tell, and the locale breaks ties.

    Raises:
        Invalid: there is no such language.
    """
    if language is not None:
        check_language(language)
    if language == ENGLISH or len(text) > LONGEST_QUERY:
        return None
    return _read(text, language, locale_language())


def phrase_in_english(phrase: str, language: str) -> str | None:
    """What a few words of one of the languages in NAMES are in English; None where the lexicon lacks one as it stands.

    Unlike `read` it guesses nothing from what is written alike.
    """
    from mmsearch.language.reader import phrase_of

    return phrase_of(words_of(phrase), language) if len(phrase) <= LONGEST_QUERY else None


def period_in_english(written: str, language: str) -> Iterator[str]:
    """What words for a period in one of the languages in NAMES may be in English: `since may 2021`, `next week`.

    As `phrase_in_english`, and with words that are there for periods alone.
    """
    from mmsearch.language.period_words import said_around

    if len(written) > LONGEST_QUERY:
        return
    is_around = False
    for english, of in said_around(written, language):
        inner = phrase_in_english(of, language) if any(map(str.isalpha, of)) else of
        if inner is not None:
            is_around = True
            yield f"{english} {inner}".strip()
    phrase = None if is_around else phrase_in_english(written, language)
    if phrase is not None:
        yield phrase


@lru_cache
def _read(text: str, asked: str | None, locale: str | None) -> Reading | None:
    words = words_of(text)
    if not words:
        return None
    language = asked or language_of(words, locale)
    if language == ENGLISH:
        return None
    if language == UNKNOWN:
        return Reading(None)
    from mmsearch.language.reader import readings_of

    english = readings_of(words, language)
    if english and not asked and english[0].split() == [word.folded for word in words]:
        return None  # words that English has too: a baseball match
    # Words of one's own in Latin letters are names: nothing is to be said of them.
    return Reading(language, english) if english or asked or scripts_in(words) != {"latin"} else None
