"""Decoded pixels → the small picture a person sees: eight bits, on white, upright.

Large pictures are worked through in bands: memory holds their pixels once, and nothing else of their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    _Grey = Callable[[Image], Image]

# The brightest values of 8 to 16 bits: a sensor's 12 bits stored in 16 do not make a black picture.
_SENSOR_TOPS = (255, 1023, 4095, 16383, 65535)
_WHOLE = 0.95
_BAND_PIXELS = 4_000_000
# What Pillow keeps a pixel in; all other modes take four bytes.
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1}


def bytes_of_pixel(mode: str) -> int:
    """How many bytes of memory a pixel of a mode of Pillow's takes."""
    return 2 if mode.startswith("I;16") else _BYTES_OF_MODE.get(mode, 4)


def shrunk(picture: Image, side: int) -> Image:
    """The picture as L, LA, RGB, RGBA or CMYK, its short side at least `side` pixels if it can, at most twice that."""
    from PIL.Image import Resampling

    in_eight_bits = _wide_to_grey(picture) if _is_wide(picture.mode) else _in_eight_bits
    width, height = picture.size
    factor = min(width, height) / (2 * side)
    if factor <= 1:
        return in_eight_bits(picture).copy()
    size = (max(2 * side, round(width / factor)), max(2 * side, round(height / factor)))
    # As Pillow's reducing_gap=2.0: by a whole number first, and by twice or more with the better filter.
    step = max(1, int(factor / 2))
    small = _reduced(picture, step, in_eight_bits) if step > 1 else in_eight_bits(picture)
    return small.resize(size, Resampling.BICUBIC, box=(0, 0, width / step, height / step))


def flattened(picture: Image) -> Image:
    """The picture in RGB, seen on white paper where it is transparent."""
    from PIL import Image

    if picture.mode not in ("LA", "RGBA"):
        return picture.convert("RGB")
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return paper


def upright(picture: Image, orientation: object) -> Image:
    """The picture turned as EXIF's orientation says."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def share_filled(picture: Image, is_jpeg: bool) -> float:
    """How much of a picture was decoded before its file broke off: its height without the rows of one colour at an end.

    libjpeg leaves what it has nothing of in middle grey, and Pillow what it has not come to in zeros. Some formats
    begin at the bottom.
    """
    import numpy as np

    values = np.asarray(picture).astype(np.int16).reshape(picture.height, picture.width, -1)
    shares = [1.0]
    for rows in (values, values[::-1]):
        fill = rows[-1, -1]
        if is_jpeg and not (np.abs(fill - 128) <= 1).all() and not (fill == 0).all():
            continue
        seen = np.flatnonzero((np.abs(rows - fill) > 1).any(axis=(1, 2)))
        shares.append(float(seen[-1] + 1) / picture.height if len(seen) else 0.0)
    return min(shares)


def without_stripes(picture: Image) -> Image | None:
    """An interlaced picture that broke off, seen in the finest grid of rows and columns that have all come, or None.

    GIF and PNG give every eighth row first, then those between.
    """
    from PIL.Image import Resampling, Transform

    width, height = picture.size
    for step in (2, 4, 8):
        size = (-(-width // step), -(-height // step))
        first = -(step - 1) / 2  # of each square the pixel at its top left
        grid = picture.transform(size, Transform.AFFINE, (step, 0, first, 0, step, first), Resampling.NEAREST)
        grid = _in_eight_bits(grid)
        # Every second row of a grid came after the others, but in the first.
        newest = grid
        if step < 8:
            newest = grid.transform((size[0], max(1, size[1] // 2)), Transform.AFFINE, (1, 0, 0, 0, 2, 0.5))
        if share_filled(newest, False) > _WHOLE:
            return grid.resize((width, height), Resampling.BICUBIC)
    return None


def _bands(picture: Image, step: int) -> Iterator[tuple[int, Image]]:
    """Stretches of whole rows, each but the last a multiple of `step` high, with the row at which they begin."""
    width, height = picture.size
    rows = max(1, _BAND_PIXELS // (width * step)) * step
    for top in range(0, height, rows):
        yield top, picture.crop((0, top, width, min(top + rows, height)))


def _reduced(picture: Image, step: int, in_eight_bits: _Grey) -> Image:
    from PIL import Image

    reduced: Image.Image | None = None
    for top, band in _bands(picture, step):
        part = in_eight_bits(band).reduce(step)
        if reduced is None:
            reduced = Image.new(part.mode, (part.width, -(-picture.height // step)))
        reduced.paste(part, (0, top // step))
    assert reduced is not None
    return reduced


def _in_eight_bits(picture: Image) -> Image:
    """The picture as L, LA, RGB, RGBA or CMYK."""
    mode = picture.mode
    if mode in ("PA", "La", "RGBa") or (mode not in ("LA", "RGBA") and picture.has_transparency_data):
        return picture.convert("RGBA")
    if mode == "1":
        return picture.convert("L")
    return picture if mode in ("L", "LA", "RGB", "RGBA", "CMYK") else picture.convert("RGB")


def _is_wide(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;")


def _wide_to_grey(picture: Image) -> _Grey:
    """How grey values of 16 or 32 bits or floats become eight bits: scaled by the range in use, not clipped at 255."""
    import numpy as np
    from PIL import Image

    lows, highs = [], []
    for _, band in _bands(picture, 1):
        finite = _finite(band)
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    low, high = (min(lows), max(highs)) if lows else (0.0, 0.0)
    filling = low
    tops: tuple[float, ...] = (1, 255) if picture.mode == "F" else _SENSOR_TOPS
    top = next((top for top in tops if high <= top), None) if low >= 0 else None
    if top is not None:
        low, high = 0.0, float(top)

    def grey(band: Image.Image) -> Image.Image:
        values = np.asarray(band).astype(np.float32)
        values[~np.isfinite(values)] = filling
        scaled = (values - low) * (255 / (high - low)) if high > low else values * 0
        return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))

    return grey


def _finite(band: Image) -> NDArray[np.generic]:
    import numpy as np

    values = np.asarray(band)
    return values[np.isfinite(values)] if band.mode == "F" else values
