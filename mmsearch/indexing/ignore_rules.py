"""gitignore's patterns: typed by a person, or read from an ignore file.

They are translated here rather than by pathspec: its `[[:alpha:]]` and `folder/**` differ from git's, and its patterns
stop at a line end inside a name. A test compares this translation with git itself.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import Any

from mmsearch.errors import Invalid

_IGNORE_FILE_LIMIT = 1_000_000
_SEP = os.fsencode(os.sep)


class _PatternError(ValueError):
    pass


_BRACKET = re.compile(r"\[([!^]?)(\]?(?:\[:\w*:\]|\\.|[^\]\\])*)\]", re.DOTALL)
_BRACKET_PART = re.compile(r"\[:(\w*):\]|(?:\\(.)|(.))(?:-(?:\\(.)|([^\]])))?", re.DOTALL)
_CHARACTER_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    "space": "\\s",
    "xdigit": "0-9a-fA-F",
}


def _bracket_regex(match: re.Match[str]) -> str:
    parts = []
    for part in _BRACKET_PART.finditer(match[2]):
        name, *ends = part.groups()
        if name is not None:
            if name not in _CHARACTER_CLASSES:
                raise _PatternError(f"unknown character class [:{name}:]")
            parts.append(_CHARACTER_CLASSES[name])
            continue
        low, high = ends[0] or ends[1], ends[2] or ends[3]
        if high is not None and high < low:
            raise _PatternError(f"the range {low}-{high} runs backwards")
        parts.append(re.escape(low) + (f"-{re.escape(high)}" if high else ""))
    return f"(?!/)[{'^' if match[1] else ''}{''.join(parts)}]"


def _glob_regex(glob: str) -> str:
    out, at = [], 0
    while at < len(glob):
        char, here = glob[at], at
        at += 1
        if char == "*":
            while glob[at : at + 1] == "*":
                at += 1
            whole = (here == 0 or glob[here - 1] == "/") and glob[at : at + 1] in ("", "/")
            if at - here == 1 or not whole:
                out.append("[^/]*")
            elif at == len(glob):
                out.append(".+")
            else:
                out.append("(?:.*/)?")
                at += 1
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            bracket = _BRACKET.match(glob, here)
            if bracket is None:
                raise _PatternError("a [ is never closed")
            out.append(_bracket_regex(bracket))
            at = bracket.end()
        elif char == "\\":
            if at == len(glob):
                raise _PatternError("it ends in a backslash")
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return "".join(out)


def _line_regex(line: str) -> tuple[bool, str]:
    """Whether the pattern re-includes, and the expression that a whole relative path must match.

    Paths of folders carry a final slash.
    """
    negated = line.startswith("!")
    glob = line[1:] if negated else line
    folders_only = glob.endswith("/")
    glob = glob[:-1] if folders_only else glob
    anchored = "/" in glob
    glob = glob[1:] if glob.startswith("/") else glob
    if not glob:
        raise _PatternError("it names nothing")
    return negated, ("" if anchored else "(?:.*/)?") + _glob_regex(glob) + ("/" if folders_only else "/?")


class Patterns:
    """The patterns of one source, relative to the folder `base`. The last one that matches decides."""

    def __init__(self, base: bytes, lines: Sequence[tuple[bool, str]]) -> None:
        self._cut = len(base) if base.endswith(_SEP) else len(base) + 1
        backwards = lines[::-1]
        # One expression, last pattern first: the first alternative that matches is the deciding one.
        self._regex = re.compile("|".join(f"({regex})" for _, regex in backwards), re.DOTALL)
        self._negated = tuple(negated for negated, _ in backwards)

    def verdict(self, path: bytes, is_folder: bool) -> bool | None:
        """True where a pattern matches, False where a `!` pattern does, None where none does."""
        name = os.fsdecode(path[self._cut :])
        if os.sep != "/":
            name = name.replace(os.sep, "/")
        match = self._regex.fullmatch(name + "/" if is_folder else name)
        return None if match is None else not self._negated[(match.lastindex or 1) - 1]


def typed_patterns(base: bytes, patterns: tuple[str, ...], option: str) -> Patterns | None:
    if not patterns:
        return None
    return Patterns(base, [_typed_line_regex(pattern, option) for pattern in patterns])


def _typed_line_regex(pattern: str, option: str) -> tuple[bool, str]:
    try:
        return _line_regex(pattern)
    except _PatternError as error:
        raise Invalid(
            f"The {option} pattern {pattern!r} is not one: {error}; write it as a line of a .gitignore file."
        ) from None


def _without_end_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    escapes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if escapes % 2 and len(line) > len(stripped) else stripped


def read_ignore_file(folder: bytes, name: bytes, complain: Callable[[bytes, str], None]) -> Patterns | None:
    path = os.path.join(folder, name)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            content = file.read(_IGNORE_FILE_LIMIT)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        complain(path, f"ignore file not read: {reason_of(error)}")
        return None
    lines = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = _without_end_spaces(os.fsdecode(raw.removesuffix(b"\r")))
        if not line or line.startswith("#") or line == "/":
            continue
        try:
            lines.append(_line_regex(line))
        except _PatternError as error:
            complain(path, f"line {number} is not a pattern: {error}")
    return Patterns(folder, lines) if lines else None


def _open_without_waiting(path: Any, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a named pipe would wait for a writer


def reason_of(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
