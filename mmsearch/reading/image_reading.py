"""What a picture file shows and says of itself: the picture upright, flattened on white, RGB, eight bits."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import threading
import warnings
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from mmsearch.reading.camera_raw import is_camera_raw
from mmsearch.reading.image_dates import date_taken, xmp_and_iptc
from mmsearch.reading.image_details import details_of, exif_tags
from mmsearch.reading.image_formats import (
    OPTIONAL,
    READABLE_NAMES,
    is_read_here,
    is_shorter_than_it_says,
    likely_format,
    sure_format,
)
from mmsearch.reading.image_memory import check_size, decoding
from mmsearch.reading.image_pixels import bytes_of_pixel, flattened, share_filled, shrunk, upright, without_stripes
from mmsearch.reading.image_streams import LEAST_SHARE, icon_pictures, png_pixels, with_an_end
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import Details, FileFacts, Part

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from mmsearch.reading.image_pages import ReadPage

_ORIENTATION = 0x0112
# JPEGs are decoded at an eighth, a quarter or half of their size, at this many times the wanted side or more: then
# vectors have a cosine of 0.997 and more with those of pictures decoded whole.
LEAST_DRAFT = 1.3
# A JPEG of up to so many bytes is handed to its decoder whole, which then has no end of a block to mind: 5 % faster.
_WHOLE_JPEG = 2**25
# What decoders of these formats take for themselves while they work, in bytes a pixel.
_BYTES_BESIDE = {"WEBP": 12, "AVIF": 6, "HEIF": 6, "JPEG2000": 16}
# How many bytes deflate, the densest of them, makes of one at most.
_DENSEST = 1100
_setup = threading.Lock()
_PILLOW_MODULES = r"PIL\.|pi_heif"
_OPTIONAL_IN_PILLOW = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}
_CUT_OFF = re.compile(r"truncat|EOF|end of (?:file|image|data|stream|buffer)|not enough|unexpected end", re.I)
_NOT_SUPPORTED = re.compile(
    r"unsupported|not (?:yet )?supported|unknown \w* ?(?:mode|organization)|cannot handle", re.I
)
# Pillow looks up kinds of pixels and of compression; what it does not find it cannot read.
_LOOKS_UP_KINDS = ("PSD", "TIFF")


def read_image(file: OpenFile, side: int) -> Reading:
    """The picture in the file, one part; its short side has at least `side` pixels if the file has, at most twice that.
    Of a TIFF with several pages each is a part.

    A picture whose file breaks off, or is damaged on its way, is what can be seen of it, with a note; of less than a
    tenth nothing is made.

    Raises UnreadableFile for damaged, truncated and oversized pictures and for kinds that are not supported.
    """
    name = _prepared(file)
    if name == "TIFF":
        from mmsearch.reading.image_pages import read_pages

        return read_pages(file, side, _reader_of_pages(file))
    return _seen_in(file, name, side)


def picture_of_page(file: OpenFile, number: int, side: int) -> Image:
    """The page of that number of a TIFF that has several; of all else, which has none, the picture.

    Raises UnreadableFile as `read_image` does, and where there is no such page.
    """
    name = _prepared(file)
    if name == "TIFF":
        from mmsearch.reading.image_pages import page_at

        return page_at(file, number, side, _reader_of_pages(file))
    picture: Image = next(iter(_seen_in(file, name, side).parts)).payload
    return picture


def _reader_of_pages(file: OpenFile) -> ReadPage:
    """Sees a page of the TIFF, given the TIFF that begins there."""
    return lambda stream, side: _seen_in(replace(file, stream=stream), "TIFF", side)


def _prepared(file: OpenFile) -> str:
    """The format of the file, which can be decoded now."""
    name = _format(file)
    _prepare_pillow()
    if name == "TIFF":
        _silence_libtiff()
    return name


def _seen_in(file: OpenFile, name: str, side: int) -> Reading:
    """The picture in a file of that format. Raises UnreadableFile, and nothing else."""
    try:
        return _read(file, name, side)
    except UnreadableFile:
        raise
    except MemoryError:
        raise UnreadableFile(f"{READABLE_NAMES.get(name, name)} too large for this machine's memory") from None
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise UnreadableFile(_reason(error, name, file)) from error


def _format(file: OpenFile) -> str:
    """The format of a picture that can be read here. Raises UnreadableFile for what is none."""
    name = likely_format(file.head, file.extension)
    if name == "TIFF" and is_camera_raw(file.head, file.stream):
        name = "RAW"
    if name is None or not is_read_here(name):
        raise UnreadableFile(f"not an image: {READABLE_NAMES.get(name, name)} inside" if name else "not an image")
    return name


def _read(file: OpenFile, name: str, side: int) -> Reading:
    """What is seen of a picture of that format."""
    if name not in OPTIONAL:
        return _read_by_pillow(file, name, side)

    def read_jpeg(stream: IO[bytes], size: int, orientation: int | None = None) -> Reading:
        """A JPEG that lies in the file."""
        return _read_by_pillow(replace(file, stream=stream, size=size), "JPEG", side, orientation)

    if name == "JXL":
        from mmsearch.reading.image_jxl import read_jxl

        return read_jxl(file, side, read_jpeg)
    if name == "SVG":
        from mmsearch.reading.image_svg import read_svg

        return read_svg(file, side)
    from mmsearch.reading.image_raw import NOT_KNOWN, read_raw

    try:
        return read_raw(file, side, read_jpeg)
    except UnreadableFile as refused:
        if refused.reason != NOT_KNOWN or sure_format(file.head) != "TIFF":
            raise
        return _read_by_pillow(file, "TIFF", side)  # under the name of a RAW photo


def _read_by_pillow(file: OpenFile, name: str, side: int, orientation: int | None = None) -> Reading:
    """The picture as its decoder gives it, or, where that fails, with an end put to it.

    `orientation` is how it is to be turned where it does not say so itself.
    """
    name, stream = _source(file, name)
    try:
        return _seen(file, name, side, stream, orientation)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:
        ended = with_an_end(file.stream, file.size, name)
        if ended is None:
            raise
        try:
            return _seen(file, name, side, ended[0], orientation, share=ended[1])
        except (UnreadableFile, MemoryError):
            raise
        except Exception:
            raise error from None  # what is wrong with the file, not with what was made of it


def _source(file: OpenFile, name: str) -> tuple[str, IO[bytes]]:
    """What is decoded, and as what."""
    if name == "ICO":
        return _inner(file)
    return name, png_pixels(file.stream, 0, file.size) if name == "PNG" else file.stream


def _inner(file: OpenFile) -> tuple[str, IO[bytes]]:
    """The picture inside an icon. Its true size is checked here: Pillow opens and decodes icons in one."""
    pictures = icon_pictures(file.stream)
    if pictures[0].is_png:
        return "PNG", png_pixels(file.stream, pictures[0].start, file.size)
    for picture in pictures:
        check_size(file, picture.width, picture.height, 2 * 4 * picture.width * picture.height)
    return "ICO", file.stream


def _seen(
    file: OpenFile, name: str, side: int, stream: IO[bytes], orientation: int | None, share: float | None = None
) -> Reading:
    """The picture that a decoder makes of the stream; `share` is how much of it the file has, where it got an end here.

    Raises whatever Pillow does where too little was decoded.
    """
    stream.seek(0)
    with _opened(name, stream) as opened:
        width, height = opened.size
        if width < 1 or height < 1:
            raise UnreadableFile("picture without pixels")
        factor = max(1, int(min(width, height) / (LEAST_DRAFT * side)))
        opened.draft(None, (max(1, width // factor), max(1, height // factor)))
        if name == "JPEG" and file.size <= _WHOLE_JPEG:
            opened.decodermaxblock = max(opened.decodermaxblock, file.size)
        needed = _bytes_needed(opened, name, width * height)
        check_size(file, width, height, needed)
        with decoding(needed):
            # Where an end can be put to it, that is better than what there is without.
            is_interlaced = _is_interlaced(opened)
            trouble = _load(opened, file.size, takes_parts=share is not None or name != "JPEG")
            picture = opened if trouble is None or not is_interlaced else without_stripes(opened)
            if picture is None:
                raise trouble or OSError("truncated")
            small = shrunk(picture, side)
        note = None
        if trouble is not None or share is not None:
            if (share or 1.0) * share_filled(small, name == "JPEG") < LEAST_SHARE:
                raise trouble or OSError("truncated")
            note = f"incomplete {READABLE_NAMES.get(name, name)}"
        # Only now: Pillow turns TIFFs as it loads them and drops their tag.
        exif = _exif(opened)
        orientation = exif.get(_ORIENTATION, orientation)
        xmp, iptc = xmp_and_iptc(opened.info, exif)
        taken, details = date_taken(exif, xmp, iptc), details_of(exif, xmp, iptc)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    picture = upright(flattened(small), orientation)
    facts = FileFacts(width=width, height=height, taken=taken, note=note, details=details)
    return Reading(facts, (Part("image", picture),))


def read_details(file: OpenFile) -> Details:
    """What the picture says of itself; no pixel is decoded. Raises UnreadableFile for what is no picture."""
    name = _prepared(file)
    try:
        if name in OPTIONAL:
            return _read(file, name, 1).facts.details
        name, stream = _source(file, name)
        stream.seek(0)
        with _opened(name, stream) as opened:
            exif = _exif(opened)
            return details_of(exif, *xmp_and_iptc(opened.info, exif))
    except Exception as error:
        raise UnreadableFile(_reason(error, name, file)) from error


def _opened(name: str, stream: IO[bytes]) -> ImageFile:
    """The picture, its header read. Pillow's own opening is passed by: its limit counts pixels and is the process's."""
    if name == "HEIF":
        import pi_heif

        heif: ImageFile = pi_heif.HeifImageFile(stream)
        return heif
    from PIL import Image

    with _setup:
        Image.preinit()
        if name not in Image.OPEN:
            Image.init()
    return Image.OPEN[name][0](stream, "")


def _load(opened: ImageFile, size: int, takes_parts: bool) -> Exception | None:
    """Decodes the pixels of a file of `size` bytes.

    Returns why it ended before the last of them where `takes_parts`; else that is raised.
    """
    try:
        opened.load()
    except MemoryError:
        raise
    except Exception as error:
        if not takes_parts or opened._im is None or not _may_hold_a_part(opened, size):
            raise
        opened.tile = []
        return error
    return None


def _may_hold_a_part(opened: ImageFile, size: int) -> bool:
    """Whether enough of a picture may be in so many bytes: a header that lies makes a large picture of nothing."""
    width, height = opened.size
    is_raw = bool(opened.tile) and opened.tile[0][0] == "raw"
    least = width * height * (1 / 8 if bytes_of_pixel(opened.mode) == 1 else 1)
    return size * (1 if is_raw else _DENSEST) >= LEAST_SHARE * least


def _is_interlaced(opened: ImageFile) -> bool:
    """Whether rows come in another order than they are seen in; asked before they are decoded."""
    arguments = opened.tile[0][3] if opened.format == "GIF" and opened.tile else None
    is_gif_so = isinstance(arguments, tuple) and len(arguments) > 1 and bool(arguments[1])
    return is_gif_so or bool(opened.info.get("interlace"))


def _bytes_needed(opened: ImageFile, name: str, pixels: int) -> int:
    """How much memory the decoded picture takes, with what its decoder needs beside it."""
    width, height = opened.size  # of a JPEG, what will be decoded; `pixels` is what the file holds
    needed = width * height * (bytes_of_pixel(opened.mode) + _BYTES_BESIDE.get(name, 0))
    if opened.info.get("progressive"):
        # All coefficients are kept, two bytes each, whatever part of the size is wanted.
        samplings = [(layer[1], layer[2]) for layer in getattr(opened, "layer", ())]
        most = max((across * down for across, down in samplings), default=1)
        needed += 2 * pixels * sum(across * down for across, down in samplings) // most
    return needed


def _exif(picture: Image) -> dict[int, Any]:
    """The EXIF tags of the picture; damaged EXIF leaves a good picture good."""
    from PIL.Image import Image

    with contextlib.suppress(Exception):
        # Not as PNG has it, which decodes the picture to look for EXIF behind it.
        return exif_tags(Image.getexif(picture))
    return {}


def _prepare_pillow() -> None:
    """Keep Pillow's warnings off stderr.

    These are settings of the process: catch_warnings would not be safe among threads. Repeated because others
    (pytest among them) put the filters back.
    """
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


def _reason(error: Exception, name: str, file: OpenFile) -> str:
    from PIL import Image, features

    readable = READABLE_NAMES.get(name, name)

    if isinstance(error, Image.DecompressionBombError):
        return "picture of too many pixels"
    module = _OPTIONAL_IN_PILLOW.get(name)
    if module is not None and not features.check(module):
        return f"{readable} picture: the installed Pillow was built without it"
    is_unknown_kind = name in _LOOKS_UP_KINDS and isinstance(error.__cause__, KeyError)
    if is_unknown_kind or _NOT_SUPPORTED.search(str(error)):
        return f"not supported: {readable} of this kind"
    cut_off = _CUT_OFF.search(str(error)) or is_shorter_than_it_says(file.stream, file.size, name)
    return f"{'truncated' if cut_off else 'damaged'} {readable}"
