"""How texts that are filtered by are compared: by their folded letters, in every store alike."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4_096)
def folded_text(text: str | None) -> str | None:
    """A text without case and accents."""
    from mmsearch.reading.places import folded

    return None if text is None else folded(text)


@lru_cache(maxsize=4_096)
def folded_lines(text: str | None) -> str | None:
    """The words of each line, folded, between spaces: so whole words are found, and none that go over a line's end."""
    return None if text is None else f" {' | '.join(folded_text(line) or '' for line in text.splitlines())} "
