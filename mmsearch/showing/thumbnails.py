"""Thumbnails by id: from the cache where they are kept, else drawn."""

from __future__ import annotations

import math

from mmsearch.errors import Invalid, NotFound, Remedy, Unavailable, Unsupported
from mmsearch.reading import CHANGED_SINCE, UnreadableFile
from mmsearch.records import Locator
from mmsearch.searching.stored_files import FileSources
from mmsearch.showing.drawing import NOTHING, drawn
from mmsearch.showing.thumbnail_cache import ThumbnailCache

# In pixels: those of up to KEPT_SIDE are kept, larger ones are made when they are asked for.
SMALLEST_SIDE, KEPT_SIDE, LARGEST_SIDE = 16, 320, 4096
_LONGEST_SECONDS = 1e9


def shown_at(page: int | None, time: float | None) -> Locator:
    """That page, or that moment in seconds; the whole file where neither is given.

    Raises:
        Invalid: there is no such page or moment in any file.
    """
    if page is not None and page < 1:
        raise Invalid(f"The page is {page}; pages count from 1.")
    if time is not None and not (math.isfinite(time) and 0 <= time <= _LONGEST_SECONDS):
        raise Invalid(f"The moment is {time:g}; it must be 0 or more, in seconds.")
    return Locator(page=page, time=None if time is None else (time, time))


def thumbnail(sources: FileSources, cache: ThumbnailCache, place: Locator, side: int) -> bytes:
    """A JPEG of a file, of a page or of a moment of it, its longer side of at most `side` pixels.

    Raises:
        Invalid: such a size is not made, or the file has no such page or moment. NotFound: no file with that content is
            there now. Unavailable: none holds it any more. Unsupported: there is no picture of it.
    """
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise Invalid(f"The side is {side}; it must be {SMALLEST_SIDE} to {LARGEST_SIDE:,} pixels.")
    file = sources.file
    if place.page is not None and file.pages is not None and place.page > file.pages:
        raise Invalid(f"{file.path} has {file.pages:,} pages; there is no page {place.page:,}.")
    if place.time is not None and file.duration is not None and place.time[0] > file.duration:
        raise Invalid(f"{file.path} lasts {file.duration:g} seconds, and has no moment {place.time[0]:g}.")
    name = f"{side} {place.page} {place.time}"
    jpeg = cache.get(sources.library_id, file.id, name) if side <= KEPT_SIDE else None
    if jpeg is not None:
        return jpeg
    if not sources.there:
        raise NotFound(f"{file.path} is not there now", Remedy("index.away"))
    try:
        jpeg = drawn(bytes.fromhex(file.id), sources.there, place, side)
    except UnreadableFile as error:
        if error.reason == CHANGED_SINCE:
            raise Unavailable(f"{file.path} has {CHANGED_SINCE}", Remedy("index.again")) from None
        if error.reason == NOTHING:
            raise Unsupported(f"{file.path} has no picture to show; its text is all there is.") from None
        raise Unsupported(f"{file.path} cannot be shown ({error.reason}).") from None
    if side <= KEPT_SIDE:
        cache.put(sources.library_id, file.id, name, jpeg)
    return jpeg
