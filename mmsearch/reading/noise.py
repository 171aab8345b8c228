"""What stands in a text and is none: pictures as base64, keys, numbers, packed code. Blanked, so that offsets stay.

A person searches for words. A vector of half a sentence and half a picture finds neither, and one file of such
stretches takes as long as thousands of notes.
"""

from __future__ import annotations

import re

# So many characters without a space are looked at: no word of a language that is written in ASCII is as long.
LONGEST_WORD = 200
# What is long and of mixed kinds is weighed by stretches.
_STRETCH = 1_000
_DATA_URI = re.compile(r"""data:(?:[\w.+-]{1,99}/[\w.+-]{1,99})?(?:;[\w.+=-]{1,99}){0,9},[^\s"'<>)\]]{16,}""", re.I)
_CODED = re.compile(rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{{{LONGEST_WORD},}}")
# As mails, keys and certificates wrap it: at least three lines, and the end of the last.
_WRAPPED = re.compile(
    r"(?:^[ \t]{0,20}[A-Za-z0-9+/]{60,100}\n){3,}(?:[ \t]{0,20}[A-Za-z0-9+/]{1,100}={0,2}$)?", re.MULTILINE
)
# A table of measurements: so many characters without a letter, but for the e of 1e-5.
_MOST_DIGITS = 150
_NUMBERS = re.compile(r"(?<![\W\d_])(?<![\d.][eE](?=[-+\d]))(?:[\W\d_]|(?<=[\d.])[eE](?=[-+\d])){500,}")
_UNBROKEN = re.compile(rf"(?<!\S)\S{{{LONGEST_WORD},}}")
_TOKEN = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[A-Za-z]?[a-z]{2,19}|[A-Z]{3,20}")
_NOT_A_LINE_END = re.compile(r"[^\n]+")


def blank_noise(text: str) -> str:
    """`text` with what is no language turned into spaces: the same length, the same lines.

    Long stretches without a space stay where they are words of a script that writes none (Chinese, Thai), or plain
    words between other signs (a line of a table, a path). Takes time in proportion to the length of the text.
    """
    text = _NUMBERS.sub(_without_numbers, text)
    text = _DATA_URI.sub(_blanked, text)
    text = _WRAPPED.sub(_unless_language, text)
    text = _CODED.sub(_unless_language, text)
    return _UNBROKEN.sub(_stretches_of_language, text)


def _blanked(match: re.Match[str]) -> str:
    return _blank(match[0])


def _without_numbers(match: re.Match[str]) -> str:
    """What stands before the first digit and behind the last one, where most of it is numbers."""
    found = match[0]
    digits = [place for place, char in enumerate(found) if char.isdigit()]
    if len(digits) < _MOST_DIGITS or 3 * len(digits) < sum(not char.isspace() for char in found):
        return found
    first, end = digits[0], digits[-1] + 1
    return found[:first] + _blank(found[first:end]) + found[end:]


def _unless_language(match: re.Match[str]) -> str:
    return match[0] if _is_language(match[0]) else _blank(match[0])


def _stretches_of_language(match: re.Match[str]) -> str:
    found = match[0]
    stretches = (found[start : start + _STRETCH] for start in range(0, len(found), _STRETCH))
    return "".join(stretch if _is_language(stretch) else _blank(stretch) for stretch in stretches)


def _is_language(stretch: str) -> bool:
    """Whether at least half of what letters and digits make up are words, by number and by length."""
    tokens = _TOKEN.findall(stretch)
    words = [token for token in tokens if not token.isascii() or _WORD.fullmatch(token)]
    return bool(words) and 2 * len(words) >= len(tokens) and 2 * _length(words) >= _length(tokens)


def _length(tokens: list[str]) -> int:
    return sum(map(len, tokens))


def _blank(stretch: str) -> str:
    return _NOT_A_LINE_END.sub(lambda line: " " * len(line[0]), stretch)
