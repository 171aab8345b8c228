"""A file of the library → a small JPEG of it, made in a process apart, of bytes that are those that were indexed.

A decoder that is ended by what it decodes, or that takes too much memory or time, ends that process and no other.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmsearch.reading.apart import done_apart
from mmsearch.reading.reader import UnreadableFile
from mmsearch.records import Locator

if TYPE_CHECKING:
    from mmsearch.searching.miniatures import Source

# More than the largest picture that is read takes, with what its decoder needs beside it.
_MEMORY = 3_000_000_000
_QUALITY = 85
NOTHING = "nothing to show"
# Whatever the number of threads: each may take that memory.
_one_at_a_time = threading.Lock()


def drawn(content: bytes, sources: Sequence[Source], place: Locator, side: int) -> bytes:
    """A JPEG of a place in the content of that digest, its longer side of at most `side` pixels.

    It is made of the first of the files that still holds that content.

    Raises:
        UnreadableFile: none of them does, or there is nothing to be shown.
    """
    refused = UnreadableFile("vanished before it was read")
    where = {"page": place.page, "time": place.time}
    for source in sources:
        known = {"path": os.fsdecode(source.path), "content": content.hex(), "state": [source.size, source.mtime_ns]}
        try:
            with _one_at_a_time:
                return done_apart(f"{__name__}:draw", b"", _MEMORY, known=known, place=where, side=side)[1]
        except UnreadableFile as error:
            refused = error
    raise refused


def draw(data: bytes, known: Mapping[str, Any], place: Mapping[str, Any], side: int) -> tuple[dict[str, Any], bytes]:
    """What `drawn` has done in a process apart.

    Raises:
        UnreadableFile: as `drawn` does.
    """
    from PIL import Image

    from mmsearch.reading import open_indexed, picture_at

    size, mtime_ns = known["state"]
    where = Locator(page=place["page"], time=place["time"] and tuple(place["time"]))
    with open_indexed(os.fsencode(known["path"]), bytes.fromhex(known["content"]), (size, mtime_ns)) as file:
        picture = picture_at(file, where, side)
    if picture is None:
        raise UnreadableFile(NOTHING)
    picture.thumbnail((side, side))
    # Pillow writes comments and XMP of the picture that it has read into the one that it writes: this one has none.
    clean = Image.new("RGB", picture.size)
    clean.paste(picture)
    written = io.BytesIO()
    clean.save(written, "JPEG", quality=_QUALITY)
    return {}, written.getvalue()
