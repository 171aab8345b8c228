"""Which picture format some bytes are, told by themselves. No picture library is asked.

Pillow is then let at a file with that one format only: some of its others run external programs (EPS, WMF),
and guessing by trial costs time and tells nothing about a damaged file.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import IO, Literal, NamedTuple

from mmsearch.reading.camera_raw import is_camera_raw
from mmsearch.reading.text_encoding import looks_like_text
from mmsearch.records import RAW_EXTENSIONS

_SURE: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"8BPS\0\x01\0\0\0\0\0\0", "PSD"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_PNM = re.compile(rb"P[1-6](?:\s+|\s*#[^\r\n]*[\r\n])+\d{1,9}\s+(?:#[^\r\n]*[\r\n]\s*)*\d{1,9}\s|Pf\s|PF\s")
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}

READABLE_NAMES = {
    "JPEG2000": "JPEG 2000",
    "PPM": "PNM",
    "HEIF": "HEIC",
    "WEBP": "WebP",
    "RAW": "RAW photo",
    "JXL": "JPEG XL",
}


class Optional(NamedTuple):
    """A format that an extra of this project reads, by a package that may be there or not."""

    extra: str
    package: str
    extensions: frozenset[str]


SVG_EXTENSIONS = frozenset({".svg", ".svgz"})
OPTIONAL = {
    "RAW": Optional("raw", "rawpy", RAW_EXTENSIONS),
    "JXL": Optional("jxl", "pillow_jxl", frozenset({".jxl"})),
    "SVG": Optional("svg", "resvg_py", SVG_EXTENSIONS),
}

_EXTENSIONS = (
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .dib .avif .avifs .heic .heif .hif .jp2"
    " .j2k .jpf .jpx .jpc .j2c .ppm .pgm .pbm .pnm .pfm .ico .tga .pcx .qoi .psd"
)
CORE_EXTENSIONS = frozenset(_EXTENSIONS.split())


@functools.cache
def is_read_here(name: str) -> bool:
    """Whether what reads that format is installed."""
    optional = OPTIONAL.get(name)
    return optional is None or importlib.util.find_spec(optional.package) is not None


def way_of_reading(extension: str) -> int:
    """What the same bytes are under such a name: a TIFF or a RAW photo, a text or a drawing."""
    return 3 if extension in RAW_EXTENSIONS else 4 if extension in SVG_EXTENSIONS else 0


def sure_format(head: bytes) -> str | None:
    """The format of bytes that nothing but a picture begins with."""
    if is_camera_raw(head):
        return "RAW"
    for magic, name in _SURE:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _isobmff_format(head)
    return None


def _isobmff_format(head: bytes) -> str | None:
    """HEIC, AVIF and MP4 films share one container; the brands at its front tell them apart."""
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if head[8:12] in _HEIF_BRANDS else None


def likely_format(head: bytes, extension: str) -> str | None:
    """The format of bytes that other files may begin with too: believe it where the name does not object."""
    if (name := sure_format(head)) is not None:
        # Older cameras' RAW photos are told from TIFFs by their names alone.
        return "RAW" if name == "TIFF" and extension in RAW_EXTENSIONS else name
    if head[:2] == b"\xff\x0a" and extension in ("", ".jxl"):
        return "JXL"
    if extension in SVG_EXTENSIONS and (head[:2] == b"\x1f\x8b" or _is_markup(head)):
        return "SVG"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if _PNM.match(head):
        return "PPM"
    if head[:4] == b"qoif":
        return "QOI"
    if head[:4] == b"\0\0\1\0" and 0 < int.from_bytes(head[4:6], "little") < 256 and head[9:10] == b"\0":
        return "ICO"
    if head[:1] == b"\n" and head[1:2] in b"\0\2\3\4\5" and head[2:3] == b"\1" and len(head) >= 128:
        return "PCX"
    return "TGA" if extension == ".tga" and _is_targa(head) else None


def _is_markup(head: bytes) -> bool:
    return b"<" in head and looks_like_text(head)


def _is_targa(head: bytes) -> bool:
    """Targa has no magic number: its header must at least make sense."""
    return (
        len(head) >= 18
        and head[1] in (0, 1)
        and head[2] in (1, 2, 3, 9, 10, 11)
        and head[16] in (1, 8, 15, 16, 24, 32)
        and int.from_bytes(head[12:14], "little") > 0
        and int.from_bytes(head[14:16], "little") > 0
    )


def declared_size(stream: IO[bytes], length: int, name: str) -> int | None:
    """How many bytes a picture says that it has, in the formats that write it at the front; None in others."""
    stream.seek(0)
    head = stream.read(8)
    if name == "WEBP":
        return int.from_bytes(head[4:], "little") + 8
    if name not in ("AVIF", "HEIF"):
        return None
    at = 0
    while at < length:
        stream.seek(at)
        box = stream.read(16)
        size = int.from_bytes(box[:4], "big")
        if size == 1:
            size = int.from_bytes(box[8:], "big")
        if size < 8:  # 0: the box lasts to the end
            return None
        at += size
    return at


def is_shorter_than_it_says(stream: IO[bytes], length: int, name: str) -> bool:
    """Whether a picture's own lengths reach beyond its end, in the formats that write them at the front."""
    if name == "TIFF":
        stream.seek(0)
        head = stream.read(8)
        order: Literal["little", "big"] = "little" if head.startswith(b"II") else "big"
        return int.from_bytes(head[4:], order) >= length
    declared = declared_size(stream, length, name)
    return declared is not None and declared > length
