"""A hit → what is drawn of it: a small picture, words, or why there is neither."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.reading import UnreadableFile, shown_at
from mmsearch.records import Locator
from mmsearch.searching.results import Hit, ListedFile

if TYPE_CHECKING:
    from PIL.Image import Image

AWAY = "not there now"
_MOST_CHARACTERS = 600


@dataclass(frozen=True)
class Thumbnail:
    """A picture, RGB, within the size that was asked for; or words of the file; or, in `trouble`, why it is neither."""

    picture: Image | None = None
    words: str = ""
    trouble: str = ""


def thumbnail(hit: Hit | ListedFile, size: tuple[int, int]) -> Thumbnail:
    """What is drawn of a hit, in a box of that width and height in pixels.

    A document is shown by the page or a picture, a film by the frame at its moment, and a text by the passage found.
    """
    if not hit.available:
        return Thumbnail(trouble=AWAY)
    if isinstance(hit, Hit) and hit.type == "text" and hit.snippet:
        return Thumbnail(words=_joined(hit.snippet))
    place = Locator()
    if isinstance(hit, Hit):
        place = Locator(page=hit.page, region=hit.region, time=hit.time, part_name=hit.part_name)
    try:
        shown = shown_at(os.fsencode(hit.path), place, min(size))
    except UnreadableFile as error:
        return Thumbnail(trouble=error.reason)
    except (MemoryError, OSError) as error:
        return Thumbnail(trouble=str(error) or "too large for this machine's memory")
    if shown.picture is None:
        words = (isinstance(hit, Hit) and hit.snippet) or shown.words
        return Thumbnail(words=_joined(words)) if words else Thumbnail(trouble="nothing to show")
    shown.picture.thumbnail(size)
    return Thumbnail(picture=shown.picture)


def _joined(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MOST_CHARACTERS else f"{words[: _MOST_CHARACTERS - 1]}…"
