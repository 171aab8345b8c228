"""The picture at a place in a file, small enough to be drawn."""

from __future__ import annotations

import os

from mmsearch.reading import Shown, UnreadableFile, shown_at
from mmsearch.records import Locator


def picture_at(path: str, place: Locator, size: tuple[int, int]) -> Shown | str:
    """What a person is shown there, a picture within that width and height; or why nothing is."""
    try:
        shown = shown_at(os.fsencode(path), place, min(size))
    except UnreadableFile as error:
        return error.reason
    except (MemoryError, OSError) as error:
        return str(error) or "too large for this machine's memory"
    if shown.picture is not None:
        shown.picture.thumbnail(size)
    return shown
