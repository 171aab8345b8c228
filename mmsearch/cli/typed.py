"""What is typed as a query → its terms and filters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mmsearch.errors import Invalid, NotFound, Remedy

if TYPE_CHECKING:
    from mmsearch.library import Library
    from mmsearch.records import Filters
    from mmsearch.searching.query import Term

BETWEEN_TERMS = "+"
FROM_STDIN = "-"


def terms_of_words(words: Sequence[str]) -> Iterator[Term]:
    """Bare words are one text, as they would be if they were quoted; a word `+` begins another term.

    A single `-` stands for the text on stdin.

    Raises:
        Invalid: there is nothing before or after a `+`.
    """
    from mmsearch.searching.query import text_term

    if list(words) == [FROM_STDIN]:
        yield text_term(sys.stdin.buffer.read().decode("utf-8", "replace").strip())
        return
    groups = [list(group) for is_between, group in groupby(words, BETWEEN_TERMS.__eq__) if not is_between]
    if words and len(groups) != list(words).count(BETWEEN_TERMS) + 1:
        raise Invalid("There is nothing to look for on one side of a +; put a text or a picture on both.")
    for group in groups:
        yield text_term(" ".join(group))


def filters_of(
    library: Library,
    only: str | None,
    folders: Sequence[str],
    extensions: Sequence[str],
    times: tuple[str | None, str | None],
) -> Filters:
    """The filters as they are typed: a type, folders or patterns of them, extensions, and `(after, before)`.

    Raises:
        NotFound: a folder that is not there, or of which the library has nothing. Invalid: what is none of these, or
            two times with none between them.
    """
    from mmsearch.records import Filters
    from mmsearch.searching.query import parse_date, parse_extension, parse_folder, parse_medium

    after, before = (parse_date(time) if time is not None else None for time in times)
    if after is not None and before is not None and after >= before:
        raise Invalid(f"No time lies between --after {times[0]} and --before {times[1]}; --before is the later one.")
    return Filters(
        medium=parse_medium(only) if only is not None else None,
        folders=tuple(name for typed in folders for folder in _held(library, typed) for name in parse_folder(folder)),
        extensions=tuple(name for typed in extensions for name in parse_extension(typed)),
        after=after,
        before=before,
    )


def _held(library: Library, typed: str) -> list[str]:
    """The folders that are meant, as far as the library has something of them."""
    from mmsearch.searching.query import folders_called

    called = folders_called(typed)
    held = [folder for folder in called if library.holds(folder)]
    if held:
        return held
    if not os.path.lexists(called[0]):
        raise NotFound(f"{typed} does not exist, and nothing of it is in the library; check the path given to --in.")
    raise NotFound(f"Nothing of {typed} is in the library", Remedy("index"))
