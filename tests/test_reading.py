"""Photos and notes as people keep them: what is read, what is seen, and what is told of those that cannot be."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage
from bad_files import CUTS, flipped, half_downloaded, png_bomb, png_chunk, truncations
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin, features

from mmsearch.reading import (
    READERS,
    NotAMedium,
    OpenFile,
    ReadLimits,
    UnreadableFile,
    html_text,
    image_pixels,
    medium_of,
    open_file,
    text_encoding,
    wants_sniffing,
)
from mmsearch.reading import read as read_parts

HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
if HAS_HEIF:
    importlib.import_module("pillow_heif").register_heif_opener()

PHOTOS = Path(skimage.__file__).parent / "data"
posix_only = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    """A photo of a cat, 225 × 150."""
    photo = Image.open(PHOTOS / "chelsea.png").convert("RGB").resize((225, 150))
    photo.info.clear()  # its colour profile would stand at the end of files that are cut there
    return photo


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def put(folder: Path, name: str, content: bytes) -> bytes:
    path = folder / name
    path.write_bytes(content)
    return os.fsencode(path)


@dataclass(frozen=True)
class Seen:
    """What is seen in a picture file."""

    pixels: Image.Image
    width: int
    height: int
    taken: str | None
    note: str | None


@dataclass(frozen=True)
class Words:
    """What is read in a text file."""

    text: str
    encoding: str | None


def read(path: bytes, side: int = 64, limits: ReadLimits | None = None) -> Seen | Words:
    with open_file(path, limits) as file:
        found = read_parts(file, side)
        (part,) = found.parts
    assert part.source == "body"
    facts = found.facts
    if part.modality == "image":
        assert facts.width is not None and facts.height is not None
        return Seen(part.payload, facts.width, facts.height, facts.taken, facts.note)
    return Words(part.payload, facts.encoding)


def load(path: bytes, limits: ReadLimits | None = None) -> OpenFile:
    with open_file(path, limits) as file:
        return file


def see(folder: Path, name: str, content: bytes, side: int = 64) -> Seen:
    seen = read(put(folder, name, content), side)
    assert isinstance(seen, Seen)
    assert seen.pixels.mode == "RGB"
    return seen


def words(folder: Path, name: str, content: bytes) -> Words:
    text = read(put(folder, name, content))
    assert isinstance(text, Words)
    return text


def reason(folder: Path, name: str, content: bytes, limits: ReadLimits | None = None) -> str:
    with pytest.raises(UnreadableFile) as caught:
        read(put(folder, name, content), limits=limits)
    return caught.value.reason


def content_or_reason(path: bytes) -> Seen | Words | str:
    try:
        return read(path)
    except UnreadableFile as error:
        assert error.reason and "\n" not in error.reason
        return error.reason


def values(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture.convert("RGB").resize((32, 32))).astype(np.float64)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures in grey levels, 0 to 255."""
    return float(np.abs(values(one) - values(other)).mean())


FORMATS: list[tuple[str, str, dict[str, Any]]] = [
    ("a.jpg", "JPEG", {}),
    ("progressive.jpeg", "JPEG", {"progressive": True}),
    ("a.png", "PNG", {}),
    ("a.webp", "WEBP", {}),
    ("lossless.webp", "WEBP", {"lossless": True}),
    ("a.gif", "GIF", {}),
    ("a.tif", "TIFF", {}),
    ("lzw.tiff", "TIFF", {"compression": "tiff_lzw"}),
    ("jpeg.tiff", "TIFF", {"compression": "jpeg"}),
    ("a.bmp", "BMP", {}),
    ("a.jp2", "JPEG2000", {}),
    ("a.j2k", "JPEG2000", {"no_jp2": True}),
    ("a.ppm", "PPM", {}),
    ("a.tga", "TGA", {}),
    ("a.pcx", "PCX", {}),
    ("a.ico", "ICO", {"sizes": [(96, 64)]}),
    pytest.param("a.mpo", "MPO", {}, id="mpo"),  # type: ignore[list-item]
    pytest.param(  # type: ignore[list-item]
        *("a.avif", "AVIF", {}), marks=pytest.mark.skipif(not features.check("avif"), reason="no AVIF here")
    ),
    pytest.param(  # type: ignore[list-item]
        *("a.heic", "HEIF", {}), marks=pytest.mark.skipif(not HAS_HEIF, reason="no pillow_heif here")
    ),
]


@pytest.mark.parametrize(("name", "kind", "options"), FORMATS)
def test_a_photo_in_every_common_format_is_the_photo(
    tmp_path: Path, cat: Image.Image, name: str, kind: str, options: dict[str, Any]
) -> None:
    seen = see(tmp_path, name, encoded(cat, kind, **options))
    assert (seen.width, seen.height) == ((96, 64) if kind == "ICO" else (225, 150))
    assert 64 <= min(seen.pixels.size) <= 128
    assert difference(seen.pixels, cat) < 4


# Their decoders give nothing of a file that breaks off, or its directory comes last.
ALL_OR_NOTHING = ("lzw.tiff", "jpeg.tiff", "a.jp2", "a.j2k")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "options"), FORMATS)
def test_of_a_photo_cut_short_what_there_is_is_seen_with_a_note(
    tmp_path: Path, cat: Image.Image, name: str, kind: str, options: dict[str, Any]
) -> None:
    large = cat.resize((900, 600))  # a header is little of it
    for share, cut in zip(CUTS, truncations(encoded(large, kind, **options)), strict=True):
        content = content_or_reason(put(tmp_path, name, cut))
        if name in ALL_OR_NOTHING or (kind == "AVIF" and isinstance(content, str)):
            assert isinstance(content, str) and content.startswith(("truncated", "damaged")), content
            assert kind == "JPEG2000" or content.startswith("truncated"), content
        elif share < 0.1 and kind != "ICO" and "progressive" not in options:
            assert isinstance(content, str) and content.startswith("truncated"), content
        elif share > 0.5:
            assert isinstance(content, Seen), content
            assert content.note is not None and content.note.startswith("incomplete "), content.note
            width, height = content.pixels.size
            from_bottom = kind in ("BMP", "TGA")
            rows = int(height * (share - 0.25))
            there = (0, height - rows, width, height) if from_bottom else (0, 0, width, rows)
            reference = large if kind != "ICO" else cat.resize((96, 64))
            assert difference(content.pixels.crop(there), reference.resize((width, height)).crop(there)) < 8


def test_a_jpeg_without_its_last_bytes_is_the_photo(tmp_path: Path, cat: Image.Image) -> None:
    whole = encoded(cat, "JPEG")
    for name, content in (("two.jpg", whole[:-2]), ("one.jpg", whole[:-1]), ("more.jpg", whole[:-40])):
        seen = see(tmp_path, name, content)
        assert (seen.note, seen.width) == ("incomplete JPEG", 225)
        assert difference(seen.pixels, cat) < 4
    assert see(tmp_path, "whole.jpg", whole).note is None
    assert see(tmp_path, "more.jpg", whole + b"more").note is None


def test_of_a_progressive_jpeg_more_than_half_is_nearly_all(tmp_path: Path) -> None:
    photo = Image.open(PHOTOS / "rocket.jpg").convert("RGB")
    data = encoded(photo, "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    for end in (len(data) * 6 // 10, scan + 5, scan - 10):  # within a scan, its header, and the tables before it
        seen = see(tmp_path, "a.jpg", data[:end])
        assert seen.note == "incomplete JPEG" and difference(seen.pixels, photo) < 4


def test_a_jpeg_of_which_next_to_nothing_arrived_is_refused(tmp_path: Path, cat: Image.Image) -> None:
    data = encoded(cat.resize((1800, 1200)), "JPEG", quality=95)
    assert reason(tmp_path, "a.jpg", data[: len(data) * 7 // 100]) == "truncated JPEG"
    assert see(tmp_path, "b.jpg", data[: len(data) * 15 // 100]).note == "incomplete JPEG"


def interlaced_png(picture: Image.Image) -> bytes:
    """A PNG of RGB pixels in the seven passes of Adam7, which Pillow does not write."""
    pixels, rows = np.asarray(picture), b""
    for top, left, down, across in (
        *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
        *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::across])
    header = struct.pack(">IIBBBBB", *picture.size, 8, 2, 0, 0, 1)
    data = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + data + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_an_interlaced_picture_that_breaks_off_is_seen_without_stripes(
    tmp_path: Path, cat: Image.Image, kind: str
) -> None:
    large = cat.resize((900, 600))
    data = interlaced_png(large) if kind == "PNG" else encoded(large.quantize(64), "GIF", interlace=1)
    assert see(tmp_path, "whole", data).note is None
    for share in (0.9, 0.7, 0.4):
        seen = see(tmp_path, "cut", data[: int(len(data) * share)])
        assert seen.note == f"incomplete {kind}"
        assert difference(seen.pixels, large) < 8
    assert reason(tmp_path, "little", data[: len(data) // 100]) == f"truncated {kind}"


def test_a_damage_on_the_way_leaves_what_comes_before_it(tmp_path: Path, cat: Image.Image) -> None:
    data = bytearray(encoded(cat, "PNG"))
    middle = len(data) * 6 // 10
    data[middle : middle + 30] = bytes(30)
    seen = see(tmp_path, "a.png", bytes(data))
    assert seen.note == "incomplete PNG"
    top = (0, 0, seen.pixels.width, seen.pixels.height // 3)
    assert difference(seen.pixels.crop(top), cat.resize(seen.pixels.size).crop(top)) < 8


def test_a_header_that_lies_makes_no_large_picture_of_a_small_file(
    tmp_path: Path, cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitmap = bytearray(encoded(cat, "BMP"))
    bitmap[22:26] = (200_000).to_bytes(4, "little")  # its height
    monkeypatch.setattr(image_pixels, "shrunk", lambda *_: pytest.fail("45 megapixels of nothing were looked at"))
    monkeypatch.setattr("mmsearch.reading.image_reading.shrunk", image_pixels.shrunk)
    assert reason(tmp_path, "a.bmp", bytes(bitmap)) == "truncated BMP"


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks between its header and its pixels."""
    return png[:33] + b"".join(chunks) + png[33:]


def test_metadata_never_decides_on_a_png(tmp_path: Path, cat: Image.Image) -> None:
    png = encoded(cat, "PNG")
    wrong = {name: png_chunk(name, b"\0\1\x86\xa0")[:-4] + b"oops" for name in (b"gAMA", b"tEXt", b"pHYs", b"eXIf")}
    long = b"Comment\0" + b"x" * 1_500_000
    bomb = b"Comment\0\0" + zlib.compress(bytes(5_000_000))
    for number, content in enumerate(
        (
            *(with_chunks(png, chunk) for chunk in wrong.values()),
            with_chunks(png, png_chunk(b"tEXt", long), png_chunk(b"zTXt", bomb)),
            with_chunks(png, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(5_000_000)))),
            with_chunks(png, png_chunk(b"iTXt", b"a\0\1\0\0\0not compressed"), png_chunk(b"iCCP", b"\0\0no")),
            with_chunks(png, png_chunk(b"tRNS", bytes(6))[:-4] + b"oops"),
            with_chunks(png, *(png_chunk(b"tEXt", long[:900_000]) for _ in range(80))),
        )
    ):
        seen = see(tmp_path, f"{number}.png", content)
        assert seen.note is None
        assert difference(seen.pixels, cat) < 1, number
    header = png[:29] + b"oops" + png[33:]
    assert reason(tmp_path, "header.png", header) == "damaged PNG"


def test_good_files_that_cannot_be_read_are_not_called_damaged(tmp_path: Path) -> None:
    psd = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 8, 8, 16, 3) + bytes(12 + 2 + 8 * 8 * 6)
    bitfields = struct.pack("<2sIHHI", b"BM", 66 + 64, 0, 0, 66) + struct.pack(
        "<IiiHHIIiiIIIII", 40, 4, 4, 1, 32, 3, 0, 0, 0, 0, 0, 0x3FF00000, 0xFFC00, 0x3FF
    )
    tiff = bytearray(encoded(Image.new("F", (8, 8)), "TIFF"))
    at = tiff.index(struct.pack("<HHI", 258, 3, 1))
    tiff[at + 8] = 64  # bits a sample
    for name, content, told in (
        ("a.psd", psd, "not supported: PSD of this kind"),
        ("a.bmp", bitfields + bytes(64), "not supported: BMP of this kind"),
        ("a.tif", bytes(tiff), "not supported: TIFF of this kind"),
    ):
        assert reason(tmp_path, name, content) == told


def icon(*pictures: bytes, sizes: int = 16) -> bytes:
    """An ICO whose directory says that each picture has `sizes` pixels a side."""
    entries, at = b"", 6 + 16 * len(pictures)
    for picture in pictures:
        entries += struct.pack("<BBBBHHII", sizes, sizes, 0, 0, 1, 32, len(picture), at)
        at += len(picture)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(pictures)


def test_the_pictures_inside_an_icon_are_measured_before_they_are_decoded(
    tmp_path: Path, cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitmap = struct.pack("<IiiHHIIiiII", 40, 20_000, 40_000, 1, 32, 0, 0, 0, 0, 0, 0)
    seen = see(tmp_path, "a.ico", icon(encoded(cat, "PNG")))
    assert (seen.width, seen.height) == cat.size and difference(seen.pixels, cat) < 1
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("pixels of a bomb were decoded"))
    for bomb in (icon(png_bomb(17_000, 18_000)), icon(bitmap), icon(bitmap, png_bomb(17_000, 18_000))):
        assert "over the limit of 1,200" in reason(tmp_path, "bomb.ico", bomb)


def test_memory_is_what_limits_a_picture_not_its_pixels(tmp_path: Path, cat: Image.Image) -> None:
    limits = ReadLimits(max_image_bytes=200_000)
    grey, colours = cat.convert("L").resize((400, 400)), cat.resize((400, 400))
    assert isinstance(read(put(tmp_path, "grey.png", encoded(grey, "PNG")), limits=limits), Seen)
    told = reason(tmp_path, "colours.png", encoded(colours, "PNG"), limits)
    assert told == "picture of 0 megapixels: it would take 1 MB of memory, over the limit of 0"
    large = cat.resize((1600, 1600))  # decoded at an eighth
    assert isinstance(read(put(tmp_path, "a.jpg", encoded(large, "JPEG")), limits=limits), Seen)
    assert "over the limit" in reason(tmp_path, "b.jpg", encoded(large, "JPEG", progressive=True), limits)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "1", "P", "I;16", "I", "F"])
def test_pictures_worked_through_in_bands_are_the_same(
    cat: Image.Image, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = cat.convert("RGBA")
    picture.putalpha(cat.convert("L"))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(cat.convert("L")).astype(np.uint16) * 16)
    else:
        picture = picture.convert("L").convert(mode) if mode in ("I", "F") else picture.convert("RGB").convert(mode)
    whole = image_pixels.shrunk(picture, 8)
    monkeypatch.setattr(image_pixels, "_BAND_PIXELS", 2000)
    bands = image_pixels.shrunk(picture, 8)
    assert whole.mode == bands.mode and whole.tobytes() == bands.tobytes()


@pytest.mark.parametrize(("name", "kind", "options"), FORMATS)
def test_bit_errors_never_crash(
    tmp_path: Path, cat: Image.Image, capfd: Any, name: str, kind: str, options: dict[str, Any]
) -> None:
    for copy in flipped(encoded(cat.resize((96, 64)), kind, **options), 20, seed=7):
        assert isinstance(content_or_reason(put(tmp_path, name, copy)), str | Seen | Words)
    if sys.platform != "win32":
        assert capfd.readouterr().err == ""


def test_a_half_downloaded_jpeg_with_room_reserved_is_reported(tmp_path: Path) -> None:
    photo = (PHOTOS / "rocket.jpg").read_bytes()
    assert see(tmp_path, "rocket.jpg", half_downloaded(photo)).note == "incomplete JPEG"
    assert see(tmp_path, "padded.jpg", photo + bytes(5000)).width == 640


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photo_held_sideways_is_upright(tmp_path: Path, cat: Image.Image, kind: str, orientation: int) -> None:
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what the camera did; the reader undoes it
    turn = turns[orientation]
    stored = cat if turn is None else cat.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = see(tmp_path, f"a.{kind.lower()}", encoded(stored, kind, exif=exif))
    assert (seen.width, seen.height) == (225, 150)
    assert seen.pixels.width > seen.pixels.height
    assert difference(seen.pixels, cat) < 5


def test_transparency_is_seen_on_white(tmp_path: Path) -> None:
    glass = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    glass.paste((0, 0, 255, 255), (0, 0, 20, 40))
    for name, content in (
        ("rgba.png", encoded(glass, "PNG")),
        ("rgba.webp", encoded(glass, "WEBP", lossless=True)),
        ("palette.png", encoded(glass.quantize(4), "PNG")),
        ("palette.gif", encoded(glass, "GIF")),
        ("rgba.tif", encoded(glass, "TIFF")),
    ):
        seen = see(tmp_path, name, content)
        assert seen.pixels.getpixel((5, 20)) == (0, 0, 255), name
        assert seen.pixels.getpixel((35, 20)) == (255, 255, 255), name
    grey = see(tmp_path, "la.png", encoded(Image.new("LA", (8, 8), (0, 128)), "PNG"))
    assert grey.pixels.getpixel((4, 4)) == (127, 127, 127)
    keyed = see(tmp_path, "key.png", encoded(Image.new("RGB", (8, 8), "lime"), "PNG", transparency=(0, 255, 0)))
    assert keyed.pixels.getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
@pytest.mark.parametrize(("bits", "top"), [(12, 4095), (16, 65535)])
def test_sixteen_bit_grey_is_scaled_not_clipped(
    tmp_path: Path, cat: Image.Image, name: str, bits: int, top: int
) -> None:
    if name == "a.pgm" and bits == 12:
        pytest.skip("Pillow scales PGM files to 16 bits itself")
    grey = np.asarray(cat.convert("L")).astype(np.float64)
    wide = np.round((grey - grey.min()) / (grey.max() - grey.min()) * top).astype(np.uint16)
    kind = {"png": "PNG", "tif": "TIFF", "pgm": "PPM"}[name[2:]]
    seen = see(tmp_path, name, encoded(Image.fromarray(wide), kind))
    expected = Image.fromarray((wide / (top / 255)).astype(np.uint8))
    assert difference(seen.pixels, expected) < 2


@pytest.mark.parametrize("scale", [1 / 255, 1, 1000])
def test_float_tiffs_are_scaled_by_their_range(tmp_path: Path, cat: Image.Image, scale: float) -> None:
    grey = np.asarray(cat.convert("L")).astype(np.float32)
    grey = (grey - grey.min()) / (grey.max() - grey.min()) * 255
    floats = (grey * scale).astype(np.float32)
    floats[0, 0] = np.nan
    seen = see(tmp_path, "depth.tif", encoded(Image.fromarray(floats), "TIFF"))
    assert difference(seen.pixels, Image.fromarray(grey.astype(np.uint8))) < 3


def test_print_colours_and_odd_modes_are_seen_right(tmp_path: Path, cat: Image.Image) -> None:
    big = cat.resize((900, 600))
    for name, picture, kind, reference in (
        ("cmyk.jpg", big.convert("CMYK"), "JPEG", cat),
        ("cmyk.tif", cat.convert("CMYK"), "TIFF", cat),
        ("grey.jpg", big.convert("L"), "JPEG", cat.convert("L")),
        ("palette.png", cat.quantize(256), "PNG", cat),
        ("bits.png", cat.convert("1"), "PNG", cat.convert("L")),
        ("bits.tif", cat.convert("1"), "TIFF", cat.convert("L")),
    ):
        seen = see(tmp_path, name, encoded(picture, kind))
        assert difference(seen.pixels, reference) < 8, name


def test_lab_colours_are_converted(tmp_path: Path) -> None:
    red = Image.new("LAB", (16, 16), (138, 209, 198))  # as Pillow keeps it: a and b from 128
    pixel = see(tmp_path, "lab.tif", encoded(red, "TIFF")).pixels.getpixel((8, 8))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 230 and pixel[1] < 60 and pixel[2] < 60


def test_animated_pictures_show_their_first_frame(tmp_path: Path, cat: Image.Image) -> None:
    other = Image.new("RGB", cat.size, "blue")
    for name, kind in (("a.gif", "GIF"), ("a.webp", "WEBP"), ("a.png", "PNG")):
        content = encoded(cat, kind, save_all=True, append_images=[other])
        assert difference(see(tmp_path, name, content).pixels, cat) < 6, name


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode_pixels(*_: object) -> None:
        pytest.fail("pixels of a bomb were decoded")

    for owner in (Image.Image, ImageFile.ImageFile, PngImagePlugin.PngImageFile):
        monkeypatch.setattr(owner, "load", decode_pixels)
    told = reason(tmp_path, "bomb.png", png_bomb())
    assert told == ("picture of 3,600 megapixels: it would take 14,400 MB of memory, over the limit of 1,200")
    assert "over the limit" in reason(tmp_path, "large.png", png_bomb(20_000, 16_000))
    small = ReadLimits(max_image_bytes=40_000)
    assert "over the limit" in reason(tmp_path, "a.png", png_bomb(101, 100), small)


@pytest.mark.filterwarnings("error")
def test_a_large_picture_within_the_limit_brings_no_warning(tmp_path: Path) -> None:
    large = encoded(Image.new("1", (20_000, 5_000)), "PNG")  # 100 megapixels: Pillow would warn
    assert see(tmp_path, "plan.png", large).width == 20_000


def test_extreme_shapes_are_read(tmp_path: Path) -> None:
    for size in ((10_000, 1), (1, 10_000), (1, 1), (9_000, 300)):
        for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG")):
            seen = see(tmp_path, name, encoded(Image.new("RGB", size, "red"), kind), side=32)
            assert (seen.width, seen.height) == size
            assert min(size[0], 32) <= seen.pixels.width and min(size[1], 32) <= seen.pixels.height


@pytest.mark.parametrize("side", [16, 100, 224, 1000])
def test_pixels_are_as_many_as_asked_for_and_not_many_more(tmp_path: Path, side: int) -> None:
    for name in ("rocket.jpg", "astronaut.png"):
        seen = see(tmp_path, name, (PHOTOS / name).read_bytes(), side)
        short = min(seen.width, seen.height)
        assert min(side, short) <= min(seen.pixels.size) <= 2 * side


def dated(cat: Image.Image, kind: str, tags: dict[int, str], main: dict[int, str] | None = None) -> bytes:
    exif = Image.Exif()
    exif.update({271: "Camera"} | (main or {}))
    exif.get_ifd(0x8769).update(tags)
    return encoded(cat, kind, exif=exif.tobytes())  # an Exif object would lose its inner tags in a TIFF


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_time_of_the_shutter_is_read(tmp_path: Path, cat: Image.Image, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("no AVIF here")
    content = dated(cat, kind, {36867: "2019:07:14 18:03:59", 36881: "+02:00", 36868: "2020:01:01 00:00:00"})
    assert see(tmp_path, f"a.{kind.lower()}", content).taken == "2019-07-14T18:03:59+02:00"


@pytest.mark.parametrize(
    ("tags", "main", "taken"),
    [
        ({36867: "2019:07:14 18:03:59"}, {306: "2024:01:01 00:00:00"}, "2019-07-14T18:03:59"),
        ({36868: "2018:07:14 18:03:59", 36882: "-09:30"}, {}, "2018-07-14T18:03:59-09:30"),
        ({36867: "0000:00:00 00:00:00"}, {306: "2024:01:02 03:04:05"}, "2024-01-02T03:04:05"),
        ({36867: "0000:00:00 00:00:00"}, {}, None),
        ({36867: "    :  :     :  :  "}, {}, None),
        ({36867: "2019:13:45 99:99:99"}, {}, None),
        ({36867: "yesterday"}, {}, None),
        ({36867: "2019:07:14 18:03:59", 36881: "summer"}, {}, "2019-07-14T18:03:59"),
        ({36867: "2019:07:14"}, {}, "2019-07-14T00:00:00"),
        ({36867: "2019:07:14   :  :  "}, {}, "2019-07-14T00:00:00"),
        ({36867: "2019-07-14T18:03"}, {}, "2019-07-14T18:03:00"),
        ({36867: "2019-07-14T18:03:59.25+0200"}, {}, "2019-07-14T18:03:59+02:00"),
        ({36867: "2025:1:4 8:31:30"}, {}, "2025-01-04T08:31:30"),
        ({36867: "2019:07:14 24:00:00"}, {}, "2019-07-15T00:00:00"),
        ({36867: "2019:07:14 23:59:60"}, {}, "2019-07-15T00:00:00"),
        ({36867: "2002:12:08 12:00:00"}, {}, None),
        ({36867: "2002:12:08 12:00:01"}, {}, "2002-12-08T12:00:01"),
        (
            {36867: "1970:01:01 01:00:00", 36868: "1980:01:01 00:00:17"},
            {306: "2024:01:02 03:04:05"},
            "2024-01-02T03:04:05",
        ),
        ({36867: "2000:01:01 00:00:00"}, {}, None),
        ({36867: "1985:01:01 00:00:00"}, {}, "1985-01-01T00:00:00"),
        ({}, {}, None),
    ],
)
def test_odd_dates(
    tmp_path: Path, cat: Image.Image, tags: dict[int, str], main: dict[int, str], taken: str | None
) -> None:
    assert see(tmp_path, "a.jpg", dated(cat, "JPEG", tags, main)).taken == taken


XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {}</rdf:RDF></x:xmpmeta>'
IPTC = b"\x1c\x02\x37\0\x0820190714\x1c\x02\x3c\0\x0b180359+0200"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ('xmp:CreateDate="2019-07-14T18:03:59+02:00"/>', "2019-07-14T18:03:59+02:00"),
        ("><photoshop:DateCreated>2019-07-14</photoshop:DateCreated></rdf:Description>", "2019-07-14T00:00:00"),
        ('xmp:CreateDate="2024-01-01" exif:DateTimeOriginal="2019-07-14T18:03:59Z"/>', "2019-07-14T18:03:59+00:00"),
        ('exif:DateTimeOriginal="1970-01-01T00:00:00" xmp:CreateDate="2024-01-01"/>', "2024-01-01T00:00:00"),
        ('xmp:CreateDate=""/>', None),
    ],
)
def test_where_exif_says_nothing_xmp_does(
    tmp_path: Path, cat: Image.Image, kind: str, said: str, taken: str | None
) -> None:
    packet = XMP.format(said)
    options: dict[str, Any] = {"xmp": packet.encode()}
    if kind == "PNG":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet)
    if kind == "TIFF":
        options = {"tiffinfo": {700: packet.encode()}}
    assert see(tmp_path, f"a.{kind.lower()}", encoded(cat, kind, **options)).taken == taken


def test_where_xmp_says_nothing_iptc_does(tmp_path: Path, cat: Image.Image) -> None:
    resource = b"Photoshop 3.0\0" + b"8BIM" + (1028).to_bytes(2, "big") + bytes(2) + len(IPTC).to_bytes(4, "big") + IPTC
    jpeg = encoded(cat, "JPEG")
    jpeg = jpeg[:2] + b"\xff\xed" + (len(resource) + 2).to_bytes(2, "big") + resource + jpeg[2:]
    assert see(tmp_path, "a.jpg", jpeg).taken == "2019-07-14T18:03:59+02:00"
    assert see(tmp_path, "a.tif", encoded(cat, "TIFF", tiffinfo={33723: IPTC})).taken == "2019-07-14T18:03:59+02:00"
    cut = jpeg.replace(IPTC[-10:], b"\xff" * 10)
    assert see(tmp_path, "b.jpg", cut).taken == "2019-07-14T00:00:00"


def test_damaged_exif_leaves_a_good_photo_good(tmp_path: Path, cat: Image.Image) -> None:
    content = encoded(cat, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xee" * 200)
    seen = see(tmp_path, "a.jpg", content)
    assert (seen.taken, seen.width) == (None, 225)


def test_content_wins_over_the_name(tmp_path: Path, cat: Image.Image) -> None:
    jpeg = encoded(cat, "JPEG")
    assert isinstance(read(put(tmp_path, "holiday.txt", jpeg)), Seen)
    assert isinstance(read(put(tmp_path, "IMG_0001", jpeg)), Seen)
    assert isinstance(read(put(tmp_path, "photo.png", jpeg)), Seen)
    assert isinstance(read(put(tmp_path, "README", b"Read me first.")), Words)
    assert isinstance(read(put(tmp_path, "notes.txt", b"BM is a firm in P5 4 you")), Words)
    assert reason(tmp_path, "a.jpg", b"Dear diary") == "not an image: text inside"
    assert reason(tmp_path, "b.jpg", b"<!DOCTYPE html><p>404") == "not an image: a web page inside"
    assert reason(tmp_path, "c.jpg", b"PK\x03\x04\x14\0" + bytes(40)) == "not an image: ZIP data inside"
    assert reason(tmp_path, "d.txt", bytes(range(256)) * 4) == "binary data in a text file"
    assert reason(tmp_path, "e.txt", b"") == "empty file"
    assert reason(tmp_path, "f.md", b" \n\t\n") == "no text inside"
    for name, content in (("disc", b"\x7fELF" + bytes(40)), ("core", bytes(range(256)))):
        with pytest.raises(NotAMedium):
            load(put(tmp_path, name, content))


def test_a_medium_is_told_by_name_alone() -> None:
    assert medium_of(b"/photos/IMG.JPG") == "image"
    assert medium_of(b"/photos/caf\xe9.HEIC") == "image"
    assert medium_of(b"/notes/Todo.MD") == "text"
    assert {"image", "text"} <= {reader.medium for reader in READERS}
    for other in (b"a.zip", b"a.iso", b"a.dwg", b"a.exe", b"README", b"/some.dir/file", b".txt"):
        assert medium_of(other) is None, other
    assert wants_sniffing(b"/x.y/IMG_0001") and wants_sniffing(b"Makefile")
    assert not wants_sniffing(b"a.zip") and not wants_sniffing(b"a.jpg")


def test_mails_and_notebooks_are_no_plain_texts() -> None:
    for name in (b"a.eml", b"a.mbox", b"a.mht", b"a.mhtml", b"a.ipynb"):
        assert medium_of(name) != "text" and not wants_sniffing(name), name


def test_a_load_identifies_content_and_not_the_path(tmp_path: Path) -> None:
    photo = (PHOTOS / "rocket.jpg").read_bytes()
    one, two = load(put(tmp_path, "a.jpg", photo)), load(put(tmp_path, "b.jpg", photo))
    other = load(put(tmp_path, "c.jpg", photo + b"\0"))
    assert one.digest == two.digest != other.digest
    assert len(one.digest) == 16 and one.size == len(photo)
    assert one.mtime_ns == (tmp_path / "a.jpg").stat().st_mtime_ns
    assert one.reader.medium == "image"


def test_files_over_the_limits_are_named_and_not_read(tmp_path: Path) -> None:
    limits = ReadLimits({"text": 1000, "image": 5000})
    assert reason(tmp_path, "a.txt", b"x" * 1001, limits) == "text file of 1,001 bytes, over the limit of 1,000"
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(b"\xff\xd8\xff\xe0")
    os.truncate(huge, 3_000_000_000)
    with pytest.raises(UnreadableFile, match="image file of 3,000,000,000 bytes, over the limit of 512,000,000"):
        load(os.fsencode(huge))


@posix_only
def test_pipes_devices_and_missing_files_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, told in (
        (tmp_path / "pipe.jpg", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "gone.jpg", "vanished before it was read"),
    ):
        with pytest.raises(UnreadableFile) as caught:
            load(os.fsencode(path))
        assert caught.value.reason == told


def test_a_file_that_never_stands_still_is_told(tmp_path: Path) -> None:
    path = tmp_path / "live.log"
    path.write_bytes(b"line\n" * 12_000_000)
    stop = threading.Event()

    def write() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"more\n")
                file.flush()
                time.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(UnreadableFile, match="changed while it was read"):
            for _ in range(20):
                load(os.fsencode(path), ReadLimits({"text": 1_000_000_000}))
    finally:
        stop.set()
        writer.join()
    assert load(os.fsencode(path), ReadLimits({"text": 1_000_000_000})).size == path.stat().st_size


GERMAN = "Grüße aus Köln! Heute war ein schöner Tag, und wir sind über die Brücke gegangen."
FRENCH = "L’été dernier, nous étions à la plage près de Saint-Malo ; les élèves étaient fatigués, ça va."
JAPANESE = "今日は海に行って、大きな船を見ました。それから家に帰って夕食を食べました。とても楽しかったです。"
RUSSIAN = "Привет, как дела? Сегодня мы ездили на море и видели большой корабль. Потом пошли ужинать."


KOREAN = "오늘은 바다에 가서 큰 배를 보았습니다. 그리고 집에 돌아와서 저녁을 먹었습니다. 아주 즐거웠습니다."
SIMPLIFIED = "今天我们去了海边，看到了一艘大船。后来回家吃了晚饭，大家都很高兴。"
TRADITIONAL = "今天我們去了海邊，看到了一艘大船。後來回家吃了晚飯，大家都很高興。"
GREEK = "Σήμερα πήγαμε στη θάλασσα και είδαμε ένα μεγάλο πλοίο. Μετά φάγαμε στο σπίτι."
HEBREW = "היום נסענו אל הים וראינו אונייה גדולה. אחר כך חזרנו הביתה ואכלנו ארוחת ערב."
ARABIC = "ذهبنا اليوم إلى البحر ورأينا سفينة كبيرة. ثم عدنا إلى البيت وتناولنا العشاء."
THAI = "วันนี้เราไปทะเลและเห็นเรือลำใหญ่ แล้วกลับบ้านกินข้าวเย็น สนุกมาก"
POLISH = "W Szczebrzeszynie chrząszcz brzmi w trzcinie. Dziękuję, miło było cię poznać, to jest święto."
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Děkuji vám za večeři, to je štěstí."
SLOVAK = "Dnes sme išli k moru a videli sme veľkú loď. Potom sme šli domov, to bolo šťastie."
CROATIAN = "Danas smo išli na more i vidjeli veliki čamac. Žao mi je što već odlazite, đače."
HUNGARIAN = "Ma elmentünk a tengerhez, és láttunk egy nagy hajót. A nő azt mondta, hogy időben hazaérünk."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, name) for text in (POLISH, CZECH, SLOVAK, CROATIAN, HUNGARIAN) for name in ("iso8859_2", "cp1250")),
        *((KOREAN, name) for name in ("euc_kr", "iso2022_kr", "johab")),
        *((SIMPLIFIED, "gb2312"), (SIMPLIFIED, "gb18030"), (TRADITIONAL, "big5")),
        *((RUSSIAN, name) for name in ("iso8859_5", "cp866", "mac_cyrillic", "cp855")),
        *((GREEK, "iso8859_7"), (GREEK, "cp1253"), (ARABIC, "cp1256"), (ARABIC, "iso8859_6"), (THAI, "tis_620")),
        *((HEBREW, "cp1255"), (HEBREW, "iso8859_8"), ("Я люблю море.", "koi8_r"), ("Добрый день!", "cp1251")),
        *(
            ("שלום, מה שלומך היום?", "cp1255"),
            ("für", "latin-1"),
            ("ü", "latin-1"),
            ("こんにちは", "euc_jp"),
            ("안녕하세요", "euc_kr"),
        ),
        *((GERMAN, name) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252")),
        *((GERMAN, name) for name in ("utf-8-sig", "utf-16", "utf-32", "latin-1", "cp850", "mac_roman")),
        *((FRENCH, name) for name in ("utf-8", "cp1252")),
        *(("L'été à la plage", name) for name in ("utf-8", "latin-1", "utf-16-be")),
        ("Smörgåsbord på ön", "latin-1"),
        ("A canção não é fácil, estamos à procura de soluções.", "latin-1"),
        ("El niño comió. ¿Dónde está el baño? ¡Mañana!", "latin-1"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy. Děkuji vám za večeři.", "cp1250"),
        ("W Szczebrzeszynie chrząszcz brzmi w trzcinie. Dziękuję, miło było cię poznać.", "cp1250"),
        ("Bugün denize gittik ve büyük bir gemi gördük. Çok güzeldi, teşekkürler, ışık.", "cp1254"),
        *((RUSSIAN, name) for name in ("utf-8", "cp1251", "koi8_r", "utf-16")),
        *((JAPANESE, name) for name in ("utf-8", "shift_jis", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le")),
    ],
)
def test_old_and_new_encodings_come_out_right(tmp_path: Path, text: str, encoding: str) -> None:
    assert words(tmp_path, "a.txt", f"{text}\r\n{text}\r\n".encode(encoding)).text == f"{text}\n{text}\n"


def test_marks_and_line_ends_are_made_one(tmp_path: Path) -> None:
    read_in = words(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_in == Words("one\ntwo\nthree\n", "utf-8")


def test_nearly_good_utf8_stays_utf8(tmp_path: Path) -> None:
    cut = words(tmp_path, "cut.txt", GERMAN.encode() + "ü".encode()[:1])
    assert cut.text == GERMAN + "\ufffd"
    mixed = words(tmp_path, "mixed.log", (GERMAN * 20).encode() + b"\nGr\xfc\xdfe\n")
    assert mixed.text.startswith(GERMAN) and mixed.text.endswith("\nGr\ufffd\ufffde\n")


def test_a_page_says_its_own_encoding(tmp_path: Path) -> None:
    page = '<html><meta charset="koi8-r"><p>Мир</p>'.encode("koi8-r")
    assert words(tmp_path, "a.html", page).text.strip() == "Мир"
    lying = b'# coding: unicode_escape\nx = "\xe9t\xe9 \\u0041"\n'
    assert words(tmp_path, "a.py", lying).text == '# coding: unicode_escape\nx = "été \\u0041"\n'


@pytest.mark.parametrize("name", ["x-sjis", "Shift_JIS", "x-euc-jp", "EUC-JP"])
def test_names_of_encodings_are_known_as_browsers_know_them(tmp_path: Path, name: str) -> None:
    encoding = "euc_jp" if "euc" in name.lower() else "cp932"
    page = f"<meta http-equiv='Content-Type' content='text/html; charset={name}'><p>①髙い山</p>"
    known = page.replace("髙", "高").replace("①", "") if encoding == "euc_jp" else page
    assert words(tmp_path, "a.html", known.encode(encoding)).text.strip() == known[known.index("<p>") + 3 : -4]


def test_a_wrong_name_of_an_encoding_gives_way_to_the_letters(tmp_path: Path) -> None:
    page = f'<?xml version="1.0" encoding="utf-8"?><p>{RUSSIAN}</p>'.encode("cp1251")
    assert RUSSIAN in words(tmp_path, "a.html", page).text


@settings(max_examples=100)
@given(data=st.binary(min_size=1, max_size=60))
def test_no_bytes_are_taken_for_a_mainframe_s(data: bytes) -> None:
    try:
        encoding = text_encoding.decode_text(data)[1]
    except text_encoding.NotText:
        return
    assert encoding not in {"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140", "shift_jis_2004"}


def test_binary_data_is_no_text(tmp_path: Path) -> None:
    for name, content in (
        ("a.log", b"all is well\n" * 9 + b"\0\0\0"),
        ("b.txt", os.urandom(3000)),
        ("c.ts", b"G\x40\x11\x10\0" + os.urandom(500)),
    ):
        assert reason(tmp_path, name, content) == "binary data in a text file"


def test_a_page_is_read_as_a_person_reads_it_and_offsets_stay(tmp_path: Path) -> None:
    page = (
        "<!doctype html>\n<html><head><title>Café</title><style>p { color: red }\n</style>\n"
        "<script>if (a < b) { alert('no') }</script></head>\n<!-- not <b>this</b> -->\n"
        '<body><p title="x > y" class=foo">Tom &amp; Jerry, 3 < 5</p>\n<img alt=\'a>b\'/>the end</body></html>\n'
    )
    text = words(tmp_path, "a.html", page.encode()).text
    assert text.split() == ["Café", "Tom", "&amp;", "Jerry,", "3", "<", "5", "the", "end"]
    assert len(text) == len(page) and text.count("\n") == page.count("\n")
    for word in ("Café", "Jerry", "the end"):
        assert text.index(word) == page.index(word)


class Scanned:
    """How many characters were looked through, by the page's own `find` and by compiled expressions."""

    def __init__(self) -> None:
        self.characters = 0

    def expression(self, compiled: re.Pattern[str]) -> Any:
        def search(text: str, start: int) -> re.Match[str] | None:
            match = compiled.search(text, start)
            self.characters += (len(text) if match is None else match.end()) - start
            return match

        return SimpleNamespace(search=search)

    def page(self, text: str) -> str:
        scanned = self

        class Page(str):
            __slots__ = ()

            def find(self, wanted: str, start: int = 0) -> int:  # type: ignore[override]
                place = str.find(self, wanted, start)
                scanned.characters += (len(self) if place < 0 else place) - start
                return place

        return Page(text)


@pytest.mark.parametrize("piece", ["<", "<a ", "<!--", "<script>", "<a b='", '<a b="x', "<a =\t", "</", "<?"])
def test_hostile_pages_are_looked_through_a_few_times_at_most(
    tmp_path: Path, piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = piece * (100_000 // len(piece)) + " word"
    content = content_or_reason(put(tmp_path, "a.html", text.encode()))
    assert content == "no text inside" or isinstance(content, Words)
    scanned = Scanned()
    monkeypatch.setattr(html_text, "_OPENING", scanned.expression(html_text._OPENING))
    monkeypatch.setattr(html_text, "_TAG_PART", scanned.expression(html_text._TAG_PART))
    ends = {name: scanned.expression(end) for name, end in html_text._NO_TEXT_INSIDE.items()}
    monkeypatch.setattr(html_text, "_NO_TEXT_INSIDE", ends)
    assert len(html_text.blank_markup(scanned.page(text))) == len(text)
    assert len(text) / 2 <= scanned.characters <= 3 * len(text)


HEADS = (b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"P6 3 3 255\n", b"8BPS\0\1")
MORE_HEADS = (
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"\0\0\0\x18ftypavif",
    b"\0\0\0\x18ftypheic",
    b"\0\0\1\0\1\0",
    b"qoif",
    b"\xff\xfe",
)
NAMES = st.sampled_from(["a.jpg", "a.png", "a.tga", "a.txt", "a.html", "a", "a.ico", "a.py", "a.zip"])


@pytest.mark.slow
@settings(max_examples=300)
@given(head=st.sampled_from(HEADS + MORE_HEADS), tail=st.binary(max_size=300), name=NAMES)
def test_any_bytes_are_content_or_a_reason(
    head: bytes, tail: bytes, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    content = content_or_reason(put(folder, name, head + tail))
    assert isinstance(content, str | Seen | Words)


@settings(max_examples=100)
@given(text=st.text(alphabet=st.characters(exclude_categories=["C"]), min_size=1))
def test_utf8_text_comes_back_as_it_was(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = put(tmp_path_factory.getbasetemp(), "any.txt", b"\xef\xbb\xbfword " + text.encode())
    assert read(path) == Words("word " + text, "utf-8")


def test_many_threads_read_at_once_in_silence(tmp_path: Path, cat: Image.Image, capfd: Any) -> None:
    paths = [put(tmp_path, f"{at}.tif", encoded(cat, "TIFF", compression="tiff_lzw")) for at in range(8)]
    paths.append(put(tmp_path, "bad.tif", next(flipped(encoded(cat, "TIFF", compression="jpeg"), 1, seed=3))))
    sizes: list[tuple[int, int]] = []

    def work() -> None:
        for path in paths:
            content = content_or_reason(path)
            if isinstance(content, Seen):
                sizes.append((content.width, content.height))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes.count((225, 150)) >= 32
    assert capfd.readouterr().err == "" or sys.platform == "win32"


def in_a_new_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )


def test_importing_the_reader_loads_no_decoder() -> None:
    heavy = "{'PIL', 'charset_normalizer', 'filetype', 'numpy', 'pi_heif'}"
    run = in_a_new_python(f"import sys, mmsearch.reading; print(sorted({heavy} & set(sys.modules)))")
    assert run.stdout.strip() == "[]"


def test_no_warning_of_pillow_reaches_a_person(tmp_path: Path, cat: Image.Image) -> None:
    content = encoded(cat, "TIFF", compression="jpeg")
    path = put(tmp_path, "cut.tif", content[:-8])  # Pillow itself warns of "Truncated File Read" here
    run = in_a_new_python(
        "from mmsearch.reading import UnreadableFile, picture_in\n"
        f"try: print(picture_in({path!r}, 64).width)\n"
        "except UnreadableFile as error: print(error.reason)"
    )
    assert run.stdout and run.stderr == ""


@pytest.mark.skipif(not HAS_HEIF, reason="needs pillow_heif to make the photo")
def test_an_iphone_photo_is_read_by_what_every_install_has(tmp_path: Path, cat: Image.Image) -> None:
    path = put(tmp_path, "IMG_1.HEIC", encoded(cat, "HEIF"))
    run = in_a_new_python(
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from mmsearch.reading import picture_in\n"
        f"print(picture_in({path!r}, 64).width)\n"
        "from PIL import Image; print('HEIF' in Image.OPEN)"  # nothing is changed for others in the process
    )
    assert run.stdout.split()[1:] == ["False"] and int(run.stdout.split()[0]) > 64
