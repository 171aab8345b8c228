"""A hit → what is drawn of it: a small picture, words, or why there is neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.output.pictures import picture_at
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
    Over the picture of a hit that is explained lies its heat map.
    """
    if not hit.available:
        return Thumbnail(trouble=AWAY)
    if isinstance(hit, Hit) and hit.type == "text" and hit.snippet:
        return Thumbnail(words=_joined(hit.snippet))
    place = Locator()
    if isinstance(hit, Hit):
        place = Locator(page=hit.page, region=hit.region, time=hit.time, part_name=hit.part_name)
    shown = picture_at(hit.path, place, size)
    if isinstance(shown, str):
        return Thumbnail(trouble=shown)
    if shown.picture is None:
        words = (isinstance(hit, Hit) and hit.snippet) or shown.words
        return Thumbnail(words=_joined(words)) if words else Thumbnail(trouble="nothing to show")
    heat = hit.explanation.heat if isinstance(hit, Hit) and hit.explanation else None
    if heat is None:
        return Thumbnail(picture=shown.picture)
    from mmsearch.output.heat_maps import heated

    return Thumbnail(picture=heated(shown.picture, heat))


def _joined(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _MOST_CHARACTERS else f"{words[: _MOST_CHARACTERS - 1]}…"
