"""Globs as git writes them, matched without ever going back.

What stands between two stars has a fixed length, so the leftmost place where it fits is as good as any other; the same
holds for the folders between two `**`. So the time is bounded by the lengths of glob and path, whatever stands in an
ignore file that somebody else has written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Protocol, TypeVar

_CHARACTER_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
_STAR, _STARS, _SLASH = "*", "**", "/"


class GlobError(ValueError):
    """A glob that can match nothing; the message says why."""


@dataclass(frozen=True)
class _Character:
    """One character of a name: that of `literal`, or else one that the expression matches."""

    expression: str
    literal: str = ""


Whole = TypeVar("Whole", bound=Sequence[str], contravariant=True)


class _Piece(Protocol[Whole]):
    """Something of a fixed length that is looked for: characters in a name, or names in a path."""

    def __len__(self) -> int: ...

    def place_in(self, whole: Whole, start: int, end: int, /) -> int:
        """The first place from `start` on where it fits and is over by `end`, or -1."""


def _lie_in(whole: Whole, pieces: Sequence[_Piece[Whole]]) -> bool:
    """Whether the pieces lie in that order: the first at the start, the last at the end, gaps of any length between."""
    size = len(whole)
    first, last = pieces[0], pieces[-1]
    start, end = len(first), size - len(last)
    if len(pieces) == 1:
        return start == size and first.place_in(whole, 0, size) == 0
    if end < start or first.place_in(whole, 0, start) != 0 or last.place_in(whole, end, size) != end:
        return False
    for piece in pieces[1:-1]:
        place = piece.place_in(whole, start, end)
        if place < 0:
            return False
        start = place + len(piece)
    return True


@dataclass(frozen=True)
class _Characters:
    """So many characters, one after the other; `literal` where only they themselves match."""

    expressions: tuple[str, ...]
    literal: str | None

    def __len__(self) -> int:
        return len(self.expressions)

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile("".join(self.expressions), re.DOTALL)

    def place_in(self, name: str, start: int, end: int, /) -> int:
        if self.literal is not None:
            return name.find(self.literal, start, end)
        match = self._regex.search(name, start, end)
        return -1 if match is None else match.start()


@dataclass(frozen=True)
class Segment:
    """What a glob says of one name: fixed characters, and a star between each two pieces of them."""

    pieces: tuple[_Characters, ...]

    @property
    def literal(self) -> str | None:
        """The one name that it matches, if there is but one."""
        return self.pieces[0].literal if len(self.pieces) == 1 else None

    @property
    def ending(self) -> str | None:
        """What all names that it matches end in, if that is all it asks for (`*.jpg`)."""
        return self.pieces[1].literal if len(self.pieces) == 2 and not self.pieces[0] else None

    @cached_property
    def _shortest(self) -> int:
        return sum(map(len, self.pieces))

    def matches(self, name: str) -> bool:
        return len(name) >= max(1, self._shortest) and _lie_in(name, self.pieces)


@dataclass(frozen=True)
class _Names:
    """So many names of a path, one after the other."""

    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return len(self.segments)

    def place_in(self, names: Sequence[str], start: int, end: int, /) -> int:
        for place in range(start, end - len(self) + 1):
            if all(map(Segment.matches, self.segments, names[place : place + len(self)])):
                return place
        return -1


@dataclass(frozen=True)
class Glob:
    """A glob for relative paths: names one after the other, and any number of folders between each two runs of them."""

    runs: tuple[_Names, ...]

    @property
    def literal(self) -> str | None:
        """The one path that it matches, if there is but one."""
        names = [segment.literal for segment in self.runs[0].segments]
        return "/".join(filter(None, names)) if len(self.runs) == 1 and all(names) else None

    @property
    def last(self) -> Segment:
        """What it says of the name at the end of the path."""
        return self.runs[-1].segments[-1]

    @cached_property
    def _fewest(self) -> int:
        return sum(map(len, self.runs))

    def matches(self, names: Sequence[str]) -> bool:
        """Whether it matches the path that consists of these names."""
        return len(names) >= self._fewest and _lie_in(names, self.runs)


def parsed_glob(text: str) -> Glob:
    """The glob that `text` is. Paths have no slash at either end.

    Raises:
        GlobError: it is none.
    """
    runs: list[list[Segment]] = [[]]
    parts = list(_split(_tokens(text), _SLASH))
    for number, part in enumerate(parts, start=1):
        if part != [_STARS]:
            runs[-1].append(_segment(part))
        elif number == len(parts):  # whatever lies in that folder, and not the folder itself
            runs.append([_segment([_STAR])])
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    return Glob(tuple(_Names(tuple(run)) for run in runs))


def _segment(part: Sequence[_Character | str]) -> Segment:
    pieces = []
    for piece in _split((_STAR if token == _STARS else token for token in part), _STAR):
        characters = [token for token in piece if isinstance(token, _Character)]
        is_literal = all(character.literal for character in characters)
        literal = "".join(character.literal for character in characters) if is_literal else None
        pieces.append(_Characters(tuple(character.expression for character in characters), literal))
    return Segment(tuple(pieces))


def _split(tokens: Iterator[_Character | str], separator: str) -> Iterator[list[_Character | str]]:
    part: list[_Character | str] = []
    for token in chain(tokens, [separator]):
        if token == separator:
            yield part
            part = []
        else:
            part.append(token)


def _tokens(text: str) -> Iterator[_Character | str]:
    at = 0
    while at < len(text):
        char = text[at]
        if char == "*":
            end = at
            while text[end : end + 1] == "*":
                end += 1
            yield _STAR if end - at == 1 else _STARS
            at = end
        elif char == "?":
            yield _Character(".")
            at += 1
        elif char == "[":
            expression, at = _set(text, at + 1)
            yield _Character(expression)
        else:
            char, at = _escaped(text, at)
            yield _SLASH if char == "/" else _Character(re.escape(char), char)


def _escaped(text: str, at: int) -> tuple[str, int]:
    """The character at that place, or behind the backslash there, and the place behind it."""
    if text[at] != "\\":
        return text[at], at + 1
    if at + 1 == len(text):
        raise GlobError("it ends in a backslash")
    return text[at + 1], at + 2


def _set(text: str, at: int) -> tuple[str, int]:
    """The expression for a set of characters, of which `at` is the place behind the [, and the place behind its ]."""
    is_negated = text[at : at + 1] in ("!", "^")
    start = at = at + is_negated
    members: list[str] = []
    low = ""
    while text[at : at + 1] != "]" or at == start:
        if at >= len(text):
            raise GlobError("a [ is never closed")
        name, end = _class_name(text, at)
        if name is not None:
            if name not in _CHARACTER_CLASSES:
                raise GlobError(f"unknown character class [:{name}:]")
            members.append(_CHARACTER_CLASSES[name])
            low, at = "", end
        elif text[at] == "-" and low and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _escaped(text, at + 1)
            if low <= high:  # git takes one that runs backwards for its first character
                members.append(f"{re.escape(low)}-{re.escape(high)}")
            low = ""
        else:
            low, at = _escaped(text, at)
            members.append(re.escape(low))
    return f"[{'^' if is_negated else ''}{''.join(members)}]", at + 1


def _class_name(text: str, at: int) -> tuple[str | None, int]:
    """The name in a [:name:] at that place, if there is one, and the place behind it."""
    if not text.startswith("[:", at):
        return None, at
    end = text.find("]", at + 2)
    if end < 0:
        raise GlobError("a [ is never closed")
    return (text[at + 2 : end - 1], end + 1) if end > at + 2 and text[end - 1] == ":" else (None, at)
