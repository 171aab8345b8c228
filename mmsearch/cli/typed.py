"""What is typed as a query → its terms."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mmsearch.errors import Invalid

if TYPE_CHECKING:
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
