"""The picture at a place in a file, small enough to be drawn."""

from __future__ import annotations

import os

from mmsearch.reading import Shown, shown_or_trouble
from mmsearch.records import Locator


def picture_at(path: str, place: Locator, size: tuple[int, int]) -> Shown | str:
    """What a person is shown there, a picture within that width and height; or why nothing is."""
    shown = shown_or_trouble(os.fsencode(path), place, min(size))
    if not isinstance(shown, str) and shown.picture is not None:
        shown.picture.thumbnail(size)
    return shown
