"""What is shown: hits and reports as a table, plain lines, JSON, JSON lines, paths, NUL-separated paths.

Names and texts come from other people's files: on a terminal they can neither move the cursor, nor colour, nor be
taken for markup.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from mmsearch.errors import Remedy

    # Adds to a sentence what helps, in the words of a skin.
    Worded = Callable[[str, Remedy | None], str]

# Embeddings, overrides and isolates that turn the direction of what follows.
_DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def visible(text: str) -> str:
    r"""`text` with control characters, direction marks and undecodable bytes as `\xNN` or `\uNNNN`."""
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20 or 0x7F <= code < 0xA0:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code in _DIRECTION or 0xD800 <= code <= 0xDFFF or code in (0x2028, 0x2029):
        return f"\\u{code:04x}"
    return character


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 file`, `12,345 files`: the plural adds an s, unless it is given."""
    return f"1 {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"


_is_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """From now on nothing is said but what is wrong, or again everything."""
    global _is_quiet
    _is_quiet = quiet


def is_quiet() -> bool:
    """Whether a person wants to see neither notes nor progress."""
    return _is_quiet


def say(sentence: str) -> None:
    """A sentence for a person, on stderr, unless it is to be quiet."""
    if not _is_quiet:
        complain(sentence)


def complain(sentence: str) -> None:
    """A sentence on what is wrong, on stderr."""
    print(f"mmsearch: {sentence}", file=sys.stderr)


def stderr_console() -> Console:
    """Where progress is drawn."""
    from rich.console import Console

    return Console(stderr=True)
