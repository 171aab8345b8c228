"""Bytes from elsewhere → a small picture of them, made in a process apart: one at a time, whoever sends them."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

from mmsearch.reading.apart import done_apart
from mmsearch.reading.reader import ReadLimits, UnreadableFile

MOST_PIXELS = 50_000_000
# Room for that many pixels in colour while they are decoded, and for the decoder.
_MOST_IMAGE_BYTES, _MEMORY = 4 * MOST_PIXELS, 800_000_000
# More than any model looks at.
_SIDE, _LONGEST_SIDE = 512, 2_048
_one_at_a_time = threading.Lock()


def small_picture(data: bytes, folder: str) -> bytes:
    """A PNG of the picture that these bytes are: upright, RGB, without anything that the file says of itself.

    Meanwhile they lie in a file in that folder, where they stay if what they are ends the process.

    Raises:
        UnreadableFile: they are none, or one of more than MOST_PIXELS.
    """
    with _one_at_a_time:
        return done_apart(f"{__name__}:make_small", data, _MEMORY, folder=folder)[1]


def make_small(data: bytes, folder: str) -> tuple[dict[str, Any], bytes]:
    """What `small_picture` has done in a process apart."""
    import tempfile

    from mmsearch.reading import open_file, read

    limits = ReadLimits(max_image_bytes=_MOST_IMAGE_BYTES)
    descriptor, path = tempfile.mkstemp(dir=folder)
    try:
        with open(descriptor, "wb") as sent:  # closed before it is read: Windows opens no temporary file twice
            sent.write(data)
        with open_file(os.fsencode(path), limits) as file:
            if file.reader.medium != "image":
                raise UnreadableFile("not a picture")
            reading = read(file, _SIDE)
            width, height = reading.facts.width or 0, reading.facts.height or 0
            if width * height > MOST_PIXELS:
                raise UnreadableFile(f"picture of {width * height / 1e6:,.0f} megapixels, over the limit of 50")
            picture = next(iter(reading.parts)).payload
    finally:
        os.remove(path)
    picture.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=1)
    return {}, written.getvalue()
