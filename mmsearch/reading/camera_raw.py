"""Whether some bytes begin a camera's RAW photo. Most are built like a TIFF, whose first picture is a small preview."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, Literal

_RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_SUBFILE, _PHOTOMETRIC, _MAKE, _FURTHER, _DNG_VERSION = 254, 262, 271, 330, 50706
_SHORT = 3
_LONGEST_MAKER = 16
# How pixels of a sensor are called, one colour each or all three.
_OF_A_SENSOR = (32803, 34892)
_MAKERS = re.compile(rb"nikon|sony|pentax|ricoh|samsung|hasselblad|leica", re.I)


def is_camera_raw(head: bytes, stream: IO[bytes] | None = None) -> bool:
    """Whether a file that begins so is a RAW photo and no TIFF, HEIC or film.

    Of a TIFF what is said of its first picture decides. Some have that at their end: there it is looked for only where
    `stream` gives the whole file.
    """
    if head.startswith(_RAW_MAGIC) or (head[4:8] == b"ftyp" and head[8:12] == b"crx "):
        return True
    if not head.startswith(_TIFF_MAGIC):
        return False
    if head[8:11] == b"CR\x02":
        return True
    source = io.BytesIO(head) if stream is None else stream
    tags = dict(_first_tags(source))
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _OF_A_SENSOR:
        return True
    if tags.get(_SUBFILE) != 1 or _FURTHER not in tags or _MAKE not in tags:
        return False
    # A preview first, what it is one of after it, by a maker whose cameras write that so.
    source.seek(tags[_MAKE])
    return _MAKERS.match(source.read(_LONGEST_MAKER)) is not None


def _first_tags(stream: IO[bytes]) -> Iterator[tuple[int, int]]:
    """The tags of a TIFF's first picture with their values, or the places of these, as far as they are there."""
    stream.seek(0)
    head = stream.read(8)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    stream.seek(int.from_bytes(head[4:], order))
    for _ in range(int.from_bytes(stream.read(2), order)):
        entry = stream.read(12)
        if len(entry) < 12:
            return
        tag, kind, count = (int.from_bytes(entry[at : at + size], order) for at, size in ((0, 2), (2, 2), (4, 4)))
        yield tag, int.from_bytes(entry[8 : 10 if (kind, count) == (_SHORT, 1) else 12], order)
