"""A camera's RAW photo → the preview that its camera put in where that is large enough, else what its sensor saw.

libraw prints, and some files end it: `develop` runs in a process apart.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from mmsearch.reading.apart import done_apart
from mmsearch.reading.image_dates import date_taken, xmp_and_iptc
from mmsearch.reading.image_details import details_of, exif_tags
from mmsearch.reading.image_memory import GIANT_BYTES, check_size, decoding
from mmsearch.reading.image_pixels import share_filled, shrunk, upright
from mmsearch.reading.image_streams import LEAST_SHARE, Piece, spliced
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import FileFacts, Part

if TYPE_CHECKING:
    from PIL.Image import Image
    from rawpy import RawPy

# EXIF's orientation for each of libraw's turns, of which those from 4 on lay the photo on its side.
_ORIENTATIONS = (1, 2, 4, 3, 5, 8, 6, 7)
# What the sensor's values take in bytes a pixel, and with the picture made of them: at half the size, and at the whole.
_UNPACKED, _AT_HALF, _WHOLE = 8, 8, 20
# No camera packs more pixels into a byte.
_DENSEST = 100
# What libraw, numpy and their libraries take beside it all.
_BESIDE_BYTES = 200_000_000
_NAME = "RAW photo"
NOT_KNOWN = f"not supported: {_NAME} of this kind"

JpegReader = Callable[[IO[bytes], int, int], Reading]
"""What is seen in a stream of so many bytes that is a JPEG, turned as EXIF's orientation says unless it has its own."""


def read_raw(file: OpenFile, side: int, read_jpeg: JpegReader) -> Reading:
    """The photo, one part; size and date are those of the photo, whatever it is seen by.

    Raises UnreadableFile for damaged, truncated and oversized photos, and for kinds that libraw does not know.
    """
    from PIL import Image

    limit = file.limits.max_image_bytes
    told, content = _developed_apart(file, side, min(limit, GIANT_BYTES))
    width, height = told["size"]
    if needed := told["needed"]:
        check_size(file, width, height, needed)
        with decoding(needed):
            told, content = _developed_apart(file, side, limit)
    if told["pixels"] is None:
        reading = read_jpeg(io.BytesIO(content), len(content), told["orientation"])
    else:
        picture = Image.frombytes("RGB", tuple(told["pixels"]), content)
        reading = Reading(FileFacts(), (Part("image", picture),))
    facts, tags = reading.facts, _tags(file)
    note = f"incomplete {_NAME}" if told["is_poor"] or facts.note else None
    said = xmp_and_iptc({}, tags)
    taken, details = date_taken(tags, *said) or facts.taken, details_of(tags, *said).completed_by(facts.details)
    facts = replace(facts, width=width, height=height, taken=taken, note=note, details=details)
    return replace(reading, facts=facts)


def _developed_apart(file: OpenFile, side: int, most_bytes: int) -> tuple[dict[str, Any], bytes]:
    file.stream.seek(0)
    memory = most_bytes + _BESIDE_BYTES
    return done_apart(f"{__name__}:develop", file.stream.read(), memory, side=side, most_bytes=most_bytes)


def develop(data: bytes, side: int, most_bytes: int) -> tuple[dict[str, Any], bytes]:
    """What is seen of a RAW photo: the bytes of its preview, a JPEG, or those of a picture in RGB of `pixels`, upright.

    `size` is that of the whole photo, upright, and `orientation` how a JPEG is to be turned unless it says so itself.
    `is_poor` tells that more was asked for than could be read, `needed` how many bytes it would take where these are
    more than `most_bytes`, and nothing was read.

    Raises:
        UnreadableFile: nothing of it can be seen.
    """
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _developed(raw, len(data), side, most_bytes)
    except rawpy.LibRawFileUnsupportedError:
        raise UnreadableFile(NOT_KNOWN) from None
    except rawpy.LibRawIOError:
        raise UnreadableFile(f"truncated {_NAME}") from None
    except rawpy.LibRawError:
        raise UnreadableFile(f"damaged {_NAME}") from None


def _developed(raw: RawPy, file_size: int, side: int, most_bytes: int) -> tuple[dict[str, Any], bytes]:
    import rawpy

    width, height, flip = raw.sizes.width, raw.sizes.height, raw.sizes.flip
    size = (height, width) if flip & 4 else (width, height)
    told = {"size": size, "orientation": _ORIENTATIONS[flip & 7], "is_poor": False, "needed": 0, "pixels": None}
    # Before all else: libraw ends the process where the sensor's values were unpacked first.
    preview, least = _preview(raw)
    wanted = min(side, width, height)
    if preview is not None and least >= wanted:
        return _handed_on(told, preview)
    if width * height > _DENSEST * file_size:
        raise UnreadableFile(f"truncated {_NAME}")
    needed = width * height * _UNPACKED
    picture = None
    if needed <= most_bytes:
        with contextlib.suppress(rawpy.LibRawError):
            is_halved = min(width, height) >= 2 * wanted
            # A photo of three colours a pixel is never halved.
            needed = width * height * (_AT_HALF if is_halved and raw.raw_type is rawpy.RawType.Flat else _WHOLE)
            picture = _of_the_sensor(raw, is_halved, side) if needed <= most_bytes else None
    if picture is not None:
        return _handed_on(told, upright(picture, told["orientation"]))
    if needed > most_bytes:
        return {**told, "needed": needed}, b""
    if preview is None:
        raise UnreadableFile(f"truncated {_NAME}")
    return _handed_on({**told, "is_poor": True}, preview)


def _of_the_sensor(raw: RawPy, is_halved: bool, side: int) -> Image | None:
    """What the sensor saw, not turned yet; None where next to nothing of that is there."""
    from PIL import Image

    values = raw.postprocess(half_size=is_halved, use_camera_wb=True, output_bps=8, user_flip=0)
    picture = shrunk(Image.fromarray(values), side)
    return picture if share_filled(picture, False) >= LEAST_SHARE else None


def _preview(raw: RawPy) -> tuple[bytes | Image | None, int]:
    """The largest preview, as a JPEG or as pixels that are upright, and its shorter side; None and 0 without one.

    libraw writes orientation and date of the photo into a JPEG that has none itself.
    """
    import rawpy
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        preview = raw.extract_thumb()
        if preview.format is rawpy.ThumbFormat.JPEG:
            return preview.data, min(JpegImageFile(io.BytesIO(preview.data)).size)
        return upright(Image.fromarray(preview.data), _ORIENTATIONS[raw.sizes.flip & 7]), min(preview.data.shape[:2])
    except Exception:  # hostile bytes make Pillow raise nearly anything
        return None, 0


def _handed_on(told: dict[str, Any], seen: bytes | Image) -> tuple[dict[str, Any], bytes]:
    return (told, seen) if isinstance(seen, bytes) else ({**told, "pixels": seen.size}, seen.tobytes())


def _tags(file: OpenFile) -> dict[int, Any]:
    """The EXIF tags of a RAW photo that is built like a TIFF, whatever its magic number is; none of another."""
    from PIL import Image

    tags: dict[int, Any] = {}
    if file.head[:2] not in (b"II", b"MM"):
        return tags
    magic = b"II*\0" if file.head[:2] == b"II" else b"MM\0*"
    with contextlib.suppress(Exception):
        exif = Image.Exif()
        exif.load_from_fp(spliced(file.stream, [Piece(4, literal=magic), Piece(file.size - 4, 4)]))
        tags = exif_tags(exif)
    return tags
