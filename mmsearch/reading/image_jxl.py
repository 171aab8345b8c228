"""A JPEG XL → the picture in it, or the JPEG that was packed into it without loss."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from mmsearch.reading.image_dates import date_taken
from mmsearch.reading.image_details import details_of, exif_tags
from mmsearch.reading.image_memory import check_size, decoding
from mmsearch.reading.image_pixels import flattened, shrunk
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import FileFacts, Part

# What libjxl keeps of a picture while it decodes, in bytes a pixel.
_BYTES_OF_PIXEL = 20
_CODESTREAM = b"\xff\x0a"
# The width of a picture by its height, where it has a common shape.
_SHAPES = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZE_BITS = (9, 13, 18, 30)
_BYTES_OF_MODE = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 2, "F": 4}
_MOST_BOXES = 1_000
_TIFF_MAGIC = (b"II*\0", b"MM\0*")


def read_jxl(file: OpenFile, side: int, read_jpeg: Callable[[IO[bytes], int], Reading]) -> Reading:
    """The picture, one part. `read_jpeg` tells what is seen in a stream of so many bytes that is a JPEG.

    Raises UnreadableFile for oversized pictures, and whatever the decoder does for damaged and truncated ones.
    """
    from PIL import Image
    from pillow_jxl import Decoder

    width, height = _size(file.stream, file.size)
    needed = width * height * _BYTES_OF_PIXEL
    check_size(file, width, height, needed)
    file.stream.seek(0)
    with decoding(needed):
        # The files are what is done side by side: one thread for each.
        is_jpeg, told, data, _, boxes = Decoder(num_threads=0)(file.stream.read())
        if is_jpeg:
            return read_jpeg(io.BytesIO(data), len(data))
        # 16-bit floats come as 32-bit ones. Of an animation there may be more than the first picture.
        mode = "F" if told.mode == "F;16" else told.mode
        size = told.width, told.height
        picture = Image.frombuffer(mode, size, data[: size[0] * size[1] * _BYTES_OF_MODE[mode]], "raw", mode, 0, 1)
        small = flattened(shrunk(picture, side))
    tags, xmp = _metadata({bytes(box.box_type): bytes(box.data) for box in reversed(boxes)})
    # By the format's rules orientation is the decoder's matter: what EXIF says of it has been done.
    taken, details = date_taken(tags, xmp, None), details_of(tags, xmp, None)
    return Reading(FileFacts(width=size[0], height=size[1], taken=taken, details=details), (Part("image", small),))


def _metadata(boxes: Mapping[bytes, bytes]) -> tuple[dict[int, Any], bytes | None]:
    """The EXIF tags and the XMP packet."""
    from PIL import Image

    tags: dict[int, Any] = {}
    with contextlib.suppress(Exception):
        data = boxes[b"Exif"]
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + (data if data[:4] in _TIFF_MAGIC else data[4:]))
        tags = exif_tags(exif)
    return tags, boxes.get(b"xml ")


def _size(stream: IO[bytes], length: int) -> tuple[int, int]:
    """Width and height as the first bytes of the picture's own data say, or the other way round.

    Raises UnreadableFile where they are not there.
    """
    data = next((data for data in _beginnings(stream, length) if data.startswith(_CODESTREAM)), None)
    if data is None or len(data) < 16:
        raise UnreadableFile("damaged or truncated JPEG XL")
    bits = int.from_bytes(data[2:], "little")

    def number(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def side(is_small: bool) -> int:
        return 8 * (number(5) + 1) if is_small else 1 + number(_SIZE_BITS[number(2)])

    is_small = bool(number(1))
    height = side(is_small)
    shape = number(3)
    if shape == 0:
        return side(is_small), height
    across, down = _SHAPES[shape]
    return height * across // down, height


def _beginnings(stream: IO[bytes], length: int) -> Iterator[bytes]:
    """The first bytes of the file, and of each of its boxes that holds the picture, or a part of it."""
    stream.seek(0)
    yield stream.read(32)
    at = 0
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        head = stream.read(16)
        size, kind, begin = int.from_bytes(head[:4], "big"), head[4:8], at + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            stream.seek(begin + 4 * (kind == b"jxlp"))
            yield stream.read(32)
        if size < 8 or at + size >= length:
            return
        at += size
