"""Words as they are compared: small letters without accents, which people leave out, and of which script they are."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import NamedTuple

# Letters that Unicode does not take apart, and the apostrophes that are typed for one.
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "’": "'", "ʼ": "'", "`": "'", "´": "'", "ʹ": "'"}
)
# As English writes names: Наташа, Natasha.
_CYRILLIC = str.maketrans(
    dict(zip("абвгґдеёєзиіїйклмнопрстуфыэ", "abvggdeeeziiiyklmnoprstufye", strict=True))
    | {"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ъ": "", "ь": "", "ю": "yu", "я": "ya"}
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_PLAIN = re.compile(r"[A-Za-z0-9]+")
_HAN_AND_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u3400-\u9fff\uf900-\ufaff々〆\U00020000-\U0003134f"
_HANGUL = "\uac00-\ud7a3"

# From the first character of a script's blocks to the last, as far as it is told apart.
_SCRIPTS = (
    ("latin", 0x0041, 0x024F),
    ("latin", 0x1E00, 0x1E9F),  # those beyond are Vietnamese
    ("greek", 0x0370, 0x03FF),
    ("cyrillic", 0x0400, 0x052F),
    ("hangul", 0xAC00, 0xD7A3),
    ("kana", 0x3040, 0x30FF),
    ("kana", 0x31F0, 0x31FF),
    ("kana", 0xFF66, 0xFF9F),
    ("han", 0x3400, 0x9FFF),
    ("han", 0xF900, 0xFAFF),
    ("han", 0x20000, 0x3134F),
)


class Word(NamedTuple):
    """A word as it was typed, and folded, as it is looked up."""

    typed: str
    folded: str


def words_of(text: str) -> list[Word]:
    """The words of a text in order. What is written in Chinese, Japanese or Korean letters is parted from the rest."""
    if text.isascii():
        return [Word(run, run.lower()) for run in _PLAIN.findall(text)]
    within_cyrillic, runs = _parting()
    whole = within_cyrillic.sub("", unicodedata.normalize("NFC", text))
    found = (Word(run, fold(run)) for run in runs.findall(whole))
    return [word for word in found if word.folded]


@cache
def _parting() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Apostrophes within words of Cyrillic, and runs of letters of one kind. They take milliseconds to be made."""
    return (
        # Within a word of Cyrillic an apostrophe parts nothing (дерев'яний); elsewhere words are joined by it (l'été).
        re.compile("(?<=[\u0400-\u04ff])['’ʼ`´](?=[\u0400-\u04ff])"),
        re.compile(f"[{_HAN_AND_KANA}]+|[{_HANGUL}]+|(?:(?![{_HAN_AND_KANA}{_HANGUL}])[^\\W_])+"),
    )


def fold(text: str) -> str:
    """Small letters without accents: ё is е, ß ss; what kana and Hangul are made of stays together."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart))


def in_latin(word: str) -> str:
    """A word in Cyrillic by Latin letters; any other as it is."""
    return word.lower().translate(_CYRILLIC) if scripts_of(word) == {"cyrillic"} else word


def scripts_of(word: str) -> set[str]:
    """Those that the letters of a word belong to; `other` for one that is not told apart, none for digits."""
    return {_script_of(ord(letter)) for letter in word if not letter.isdigit()}


def _script_of(code: int) -> str:
    return next((name for name, first, last in _SCRIPTS if first <= code <= last), "other")
