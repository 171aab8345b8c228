"""A picture file → the picture a person sees: upright, flattened on white, RGB, eight bits."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

from mmsearch.reading.image_dates import EXIF_IFD, date_taken, xmp_and_iptc
from mmsearch.reading.image_formats import (
    EXTENSIONS,
    READABLE_NAMES,
    is_shorter_than_it_says,
    likely_format,
    sure_format,
)
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reader, Reading, ReadLimits, UnreadableFile
from mmsearch.reading.text_encoding import looks_like_text
from mmsearch.records import FileFacts, Part

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
# The brightest values of 8 to 16 bits: a sensor's 12 bits stored in 16 do not make a black picture.
_SENSOR_TOPS = (255, 1023, 4095, 16383, 65535)
# JPEGs are decoded at an eighth, a quarter or half of their size, at this many times the wanted side or more: then
# vectors have a cosine of 0.996 and more with those of pictures decoded whole.
LEAST_DRAFT = 1.4
_GIANT_PIXELS = 50_000_000
_one_giant_at_a_time = threading.Lock()
_setup = threading.Lock()
_PILLOW_MODULES = r"PIL\.|pillow_heif"
_OPTIONAL_IN_PILLOW = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}
_CUT_OFF = re.compile(r"truncat|EOF|end of (?:file|image|data|stream|buffer)|not enough|unexpected end", re.I)


def read_image(file: OpenFile, side: int) -> Reading:
    """The picture in the file, one part; its short side has at least `side` pixels if the file has, at most twice that.

    Raises UnreadableFile for damaged, truncated and oversized pictures and for formats that need an install.
    """
    name = likely_format(file.head, ".tga" if file.path.lower().endswith(b".tga") else "")
    if name is None:
        raise UnreadableFile("not an image")
    readable = READABLE_NAMES.get(name, name)
    _prepare_pillow(file.limits.max_image_pixels)
    if name == "HEIF":
        _register_heif()
    if name == "TIFF":
        _silence_libtiff()
    try:
        return _read(file, name, side)
    except UnreadableFile:
        raise
    except MemoryError:
        raise UnreadableFile(f"{readable} too large for this machine's memory") from None
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise UnreadableFile(_reason(error, name, file)) from error


def _read(file: OpenFile, name: str, side: int) -> Reading:
    from PIL import Image

    with Image.open(file.stream, formats=(name,)) as opened:
        width, height = opened.size
        if width < 1 or height < 1:
            raise UnreadableFile("picture without pixels")
        if width * height > file.limits.max_image_pixels:
            raise UnreadableFile(_too_many_pixels(width * height, file.limits))
        giant = width * height > _GIANT_PIXELS
        with _one_giant_at_a_time if giant else contextlib.nullcontext():
            factor = max(1, int(min(width, height) / (LEAST_DRAFT * side)))
            opened.draft(None, (max(1, width // factor), max(1, height // factor)))
            opened.load()
            small = _shrunk(_in_eight_bits(opened), side)
        # Only now: Pillow turns TIFFs as it loads them and drops their tag; a PNG's may follow the pixels.
        exif = _exif(opened)
        orientation = exif.get(_ORIENTATION)
        taken = date_taken(exif, *xmp_and_iptc(opened.info, exif))
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    picture = _upright(_flattened(small), orientation)
    return Reading(FileFacts(width=width, height=height, taken=taken), (Part("image", picture),))


def _in_eight_bits(picture: Image) -> Image:
    """The picture as L, LA, RGB, RGBA or CMYK."""
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;"):
        return _from_wide_values(picture)
    if mode in ("PA", "La", "RGBa") or (mode not in ("LA", "RGBA") and picture.has_transparency_data):
        return picture.convert("RGBA")
    if mode == "1":
        return picture.convert("L")
    return picture if mode in ("L", "LA", "RGB", "RGBA", "CMYK") else picture.convert("RGB")


def _from_wide_values(picture: Image) -> Image:
    """Grey values of 16 or 32 bits or floats, scaled by the range they use rather than clipped at 255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min() if finite.any() else 0)
    low, high = float(values.min()), float(values.max())
    tops: tuple[float, ...] = (1, 255) if picture.mode == "F" else _SENSOR_TOPS
    top = next((top for top in tops if high <= top), None) if low >= 0 else None
    if top is not None:
        low, high = 0.0, float(top)
    scaled = (values - low) * (255 / (high - low)) if high > low else values * 0
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


def _shrunk(picture: Image, side: int) -> Image:
    from PIL.Image import Resampling

    width, height = picture.size
    factor = min(width, height) / (2 * side)
    if factor <= 1:
        return picture.copy()
    size = (max(2 * side, round(width / factor)), max(2 * side, round(height / factor)))
    return picture.resize(size, Resampling.BICUBIC, reducing_gap=2.0)


def _flattened(picture: Image) -> Image:
    from PIL import Image

    if picture.mode not in ("LA", "RGBA"):
        return picture.convert("RGB")
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return paper


def _upright(picture: Image, orientation: object) -> Image:
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


def _exif(picture: Image) -> dict[int, Any]:
    """The EXIF tags of the picture and the camera in one; damaged EXIF leaves a good picture good."""
    tags: dict[int, Any] = {}
    with contextlib.suppress(Exception):
        exif = picture.getexif()
        tags.update(exif)
        tags.update(exif.get_ifd(EXIF_IFD))
    return tags


def _prepare_pillow(max_pixels: int) -> None:
    """Keep Pillow's warnings off stderr and its own size limit at ours or above.

    These are settings of the process: catch_warnings would not be safe among threads. Repeated because others
    (pytest among them) put the filters back.
    """
    from PIL import Image

    # Pillow refuses at twice its setting. Its check covers inner pictures too, those of an ICO for one.
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = (max_pixels + 1) // 2
    with _setup:
        if not any(getattr(entry[3], "pattern", None) == _PILLOW_MODULES for entry in warnings.filters):
            warnings.filterwarnings("ignore", module=_PILLOW_MODULES)
        logger = logging.getLogger("PIL")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


@functools.cache
def _silence_libtiff() -> None:
    """libtiff prints its complaints about damaged files to stderr by itself, and Pillow does not stop it.

    Found through Pillow's own library, so that it is the same libtiff. Where it is linked in and hidden (Windows)
    it goes on talking.
    """
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        from PIL import _imaging

        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableFile("HEIC photo: needs `pip install mmsearch[heif]`") from None
    from PIL import Image

    with _setup:
        if "HEIF" not in Image.OPEN:
            pillow_heif.register_heif_opener()


def _too_many_pixels(pixels: int, limits: ReadLimits) -> str:
    return f"picture of {pixels / 1e6:,.0f} megapixels, over the limit of {limits.max_image_pixels / 1e6:,.0f}"


def _reason(error: Exception, name: str, file: OpenFile) -> str:
    from PIL import Image, UnidentifiedImageError, features

    readable = READABLE_NAMES.get(name, name)

    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\d+", str(error))
        return _too_many_pixels(int(pixels[0]), file.limits) if pixels else "picture of too many pixels"
    if isinstance(error, UnidentifiedImageError):
        module = _OPTIONAL_IN_PILLOW.get(name)
        if module is not None and not features.check(module):
            return f"{readable} picture: the installed Pillow was built without it"
    cut_off = _CUT_OFF.search(str(error)) or is_shorter_than_it_says(file.stream, file.size, name)
    return f"{'truncated' if cut_off else 'damaged'} {readable}"


def _is_surely_image(head: bytes) -> bool:
    return sure_format(head) is not None


def _may_be_image(head: bytes, extension: str) -> bool:
    return likely_format(head, extension) is not None


def _not_an_image(head: bytes) -> str:
    if looks_like_text(head):
        is_page = re.match(rb"\s*(?:<!doctype html|<html)", head.lstrip(b"\xef\xbb\xbf"), re.I)
        return f"not an image: {'a web page' if is_page else 'text'} inside"
    import filetype

    kind = filetype.guess(head)
    return f"not an image: {kind.extension.upper()} data inside" if kind else "not an image: no known picture format"


def _installed() -> tuple[str, ...]:
    return ("pillow_heif",) if importlib.util.find_spec("pillow_heif") else ()


READER = Reader(
    medium="image",
    version=2,
    extensions=EXTENSIONS,
    is_surely=_is_surely_image,
    may_be=_may_be_image,
    mismatch=_not_an_image,
    max_bytes=512_000_000,
    read=read_image,
    installed=_installed,
)
