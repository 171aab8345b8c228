"""A camera's RAW photo as a test makes it: a DNG with the values of a sensor and, where asked for, a preview."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# From sRGB to what an average eye sees, as a camera's maker would tell it of its sensor.
_MATRIX = (3.2404542, -1.5371385, -0.4985314, -0.969266, 1.8760108, 0.041556, 0.0556434, -0.2040259, 1.0572252)


def _directory(tags: dict[int, tuple[int, int, bytes]], at: int, next_at: int = 0) -> bytes:
    """An image file directory that begins at `at`, with the values that do not fit into it after it."""
    begin = at + 2 + 12 * len(tags) + 4
    entries, values = b"", b""
    for tag, (kind, count, value) in sorted(tags.items()):
        if len(value) > 4:
            place, values = struct.pack("<I", begin + len(values)), values + value + bytes(len(value) % 2)
        else:
            place = value.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, count) + place
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_at) + values


def shorts(*values: int) -> tuple[int, int, bytes]:
    return 3, len(values), struct.pack(f"<{len(values)}H", *values)


def longs(*values: int) -> tuple[int, int, bytes]:
    return 4, len(values), struct.pack(f"<{len(values)}I", *values)


def text(value: str) -> tuple[int, int, bytes]:
    return 2, len(value) + 1, value.encode() + b"\0"


def ratios(*values: float, is_signed: bool = False) -> tuple[int, int, bytes]:
    written = b"".join(struct.pack("<iI", round(value * 10_000), 10_000) for value in values)
    return 10 if is_signed else 5, len(values), written


def mosaic(picture: Image.Image) -> NDArray[np.uint16]:
    """What a sensor of 14 bits under a Bayer filter (RGGB) would give of a picture."""
    linear = (np.asarray(picture.convert("RGB")) / 255.0) ** 2.2
    values = np.zeros(linear.shape[:2])
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        values[row::2, column::2] = linear[row::2, column::2, colour]
    return (values * 16_000).astype(np.uint16)


def dng(
    picture: Image.Image, preview: Image.Image | None = None, orientation: int = 1, is_first_last: bool = False
) -> bytes:
    """A DNG taken on 4 May 2021, at 10:11:12+02:00.

    Its first directory is that of the preview or, without one, of a tiny one, as cameras write it; it lies at the
    front, or last of all.
    """
    values = mosaic(picture).astype("<u2").tobytes()
    jpeg = io.BytesIO()
    if preview:
        preview.save(jpeg, "JPEG")
    pixels = jpeg.getvalue() or bytes(8 * 8 * 3)
    pixels += bytes(len(pixels) % 2)

    def first(pixels_at: int, sensor_at: int, exif_at: int, at: int) -> bytes:
        width, height = preview.size if preview else (8, 8)
        tags = {
            254: longs(1),
            256: longs(width),
            257: longs(height),
            258: shorts(8, 8, 8),
            259: shorts(7 if preview else 1),
            262: shorts(6 if preview else 2),
            271: text("Maker"),
            272: text("Maker One"),
            273: longs(pixels_at),
            274: shorts(orientation),
            277: shorts(3),
            278: longs(height),
            279: longs(len(pixels)),
            330: longs(sensor_at),
            34665: longs(exif_at),
            50706: (1, 4, bytes([1, 4, 0, 0])),
            50708: text("Maker One"),
            50721: ratios(*_MATRIX, is_signed=True),
            50728: ratios(1, 1, 1),
            50778: shorts(21),
        }
        return _directory(tags, at)

    begin = 8 if is_first_last else 8 + len(first(0, 0, 0, 0))
    values_at = begin + len(pixels)
    exif_at = values_at + len(values)
    exif = _directory({36867: text("2021:05:04 10:11:12"), 36881: text("+02:00")}, exif_at)
    sensor_at = exif_at + len(exif)
    sensor = _directory(
        {
            254: longs(0),
            256: longs(picture.width),
            257: longs(picture.height),
            258: shorts(16),
            259: shorts(1),
            262: shorts(32803),
            273: longs(values_at),
            277: shorts(1),
            278: longs(picture.height),
            279: longs(len(values)),
            33421: shorts(2, 2),
            33422: (1, 4, bytes([0, 1, 1, 2])),
            50714: shorts(0),
            50717: longs(16_000),
        },
        sensor_at,
    )
    first_at = sensor_at + len(sensor) if is_first_last else 8
    directory = first(begin, sensor_at, exif_at, first_at)
    rest = pixels + values + exif + sensor
    return b"II*\0" + struct.pack("<I", first_at) + (rest + directory if is_first_last else directory + rest)
