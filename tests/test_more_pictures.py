"""Photos as cameras write them, JPEG XL and drawings: seen as they are, and never more than a picture."""

from __future__ import annotations

import base64
import gzip
import io
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from bad_files import CUTS
from camera_raw_file import dng
from PIL import Image

from mmsearch import Library, reading
from mmsearch.reading import NotAMedium, ReadLimits, UnreadableFile, apart, medium_of, open_file
from mmsearch.records import FileFacts

PHOTOS = Path(skimage.__file__).parent / "data"
SVG = 'xmlns="http://www.w3.org/2000/svg"'


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    photo = Image.open(PHOTOS / "chelsea.png").convert("RGB").resize((300, 200))
    photo.info.clear()
    return photo


def see(
    folder: Path, name: str, content: bytes, side: int = 64, limits: ReadLimits | None = None
) -> tuple[Image.Image, FileFacts]:
    path = folder / name
    path.write_bytes(content)
    with open_file(os.fsencode(path), limits) as file:
        assert file.reader.medium == "image"
        found = reading.read(file, side)
        (part,) = found.parts
    assert part.modality == "image" and part.payload.mode == "RGB"
    return part.payload, found.facts


def reason(folder: Path, name: str, content: bytes, limits: ReadLimits | None = None, side: int = 64) -> str:
    with pytest.raises(UnreadableFile) as caught:
        see(folder, name, content, side, limits)
    return caught.value.reason


def difference(one: Image.Image, other: Image.Image) -> float:
    values = [np.asarray(picture.resize((24, 16)), np.float64) for picture in (one, other)]
    return float(np.abs(values[0] - values[1]).mean())


def test_a_raw_photo_is_what_its_sensor_saw(tmp_path: Path, cat: Image.Image) -> None:
    pytest.importorskip("rawpy")
    seen, facts = see(tmp_path, "a.dng", dng(cat))
    assert (facts.width, facts.height, facts.taken, facts.note) == (300, 200, "2021-05-04T10:11:12+02:00", None)
    assert facts.details.camera == "Maker One"
    assert 64 <= min(seen.size) <= 128
    assert np.corrcoef(np.asarray(seen.resize((24, 16))).ravel(), np.asarray(cat.resize((24, 16))).ravel())[0, 1] > 0.95


@pytest.mark.parametrize("side", [64, 140])
def test_the_preview_stands_for_a_raw_photo_where_it_is_large_enough(
    tmp_path: Path, cat: Image.Image, side: int
) -> None:
    pytest.importorskip("rawpy")
    white = Image.new("RGB", (150, 100), "white")
    seen, facts = see(tmp_path, "a.dng", dng(cat, preview=white), side)
    assert (difference(seen, white) < 2) == (side == 64)
    assert (facts.width, facts.height) == (300, 200)
    assert min(seen.size) >= side


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("side", [64, 140])
def test_a_raw_photo_held_sideways_is_turned_once(
    tmp_path: Path, cat: Image.Image, orientation: int, side: int
) -> None:
    pytest.importorskip("rawpy")
    bright = Image.new("RGB", cat.size, "black")
    bright.paste("white", (0, 0, 300, 60))
    seen, facts = see(tmp_path, "a.dng", dng(bright, bright.resize((150, 100)), orientation), side)
    turned = {1: 0, 3: 180, 6: 270, 8: 90}[orientation]
    assert difference(seen.resize(facts_size(facts)), bright.rotate(turned, expand=True)) < 25
    assert facts_size(facts) == bright.rotate(turned, expand=True).size


def facts_size(facts: FileFacts) -> tuple[int, int]:
    assert facts.width is not None and facts.height is not None
    return facts.width, facts.height


def test_raw_photos_are_told_by_their_bytes_whatever_they_are_called(tmp_path: Path, cat: Image.Image) -> None:
    pytest.importorskip("rawpy")
    for name in ("a.dng", "a.tif", "IMG_0001", "a.jpg"):
        for is_first_last in (False, True):
            seen, _ = see(tmp_path, name, dng(cat, is_first_last=is_first_last))
            assert min(seen.size) >= 64, name  # as a TIFF it has eight pixels
    scan = io.BytesIO()
    cat.save(scan, "TIFF")
    seen, _ = see(tmp_path, "scan.nef", scan.getvalue())
    assert difference(seen, cat) < 2
    assert reason(tmp_path, "b.nef", b"Dear diary") == "not an image: text inside"
    assert reason(tmp_path, "b.raf", b"FUJIFILMCCD-RAW" + bytes(400)) == "not supported: RAW photo of this kind"


def test_of_a_raw_photo_cut_short_the_preview_is_seen(tmp_path: Path, cat: Image.Image) -> None:
    pytest.importorskip("rawpy")
    whole = bytearray(dng(cat, preview=cat.resize((60, 40))))
    at = whole.index(struct.pack("<HHI", 273, 4, 1), 100_000)  # where the sensor's values begin
    whole[at + 8 : at + 12] = struct.pack("<I", len(whole) + 5_000_000)
    seen, facts = see(tmp_path, "a.dng", bytes(whole))
    assert facts.note == "incomplete RAW photo" and min(seen.size) == 40
    assert difference(seen, cat) < 6
    for share in CUTS:
        assert "RAW photo" in reason(tmp_path, "b.dng", dng(cat)[: int(share * 120_000)])


def test_the_limit_of_memory_holds_for_raw_photos(
    tmp_path: Path, cat: Image.Image, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rawpy")
    assert "over the limit" in reason(tmp_path, "a.dng", dng(cat), ReadLimits(max_image_bytes=300_000))
    lying = dng(cat)
    for tag in (256, 257):
        at = lying.index(struct.pack("<HHI", tag, 4, 1), 100_000)
        lying = lying[: at + 8] + struct.pack("<I", 60_000) + lying[at + 12 :]
    assert "RAW photo" in reason(tmp_path, "b.dng", lying)
    assert capfd.readouterr() == ("", "")


def encoded_jxl(picture: Image.Image, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl")
    file = io.BytesIO()
    picture.save(file, "JXL", **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_jpeg_xl_is_the_photo(tmp_path: Path, cat: Image.Image, mode: str) -> None:
    for container in (False, True):
        seen, facts = see(tmp_path, "a.jxl", encoded_jxl(cat.convert(mode), use_container=container))
        assert difference(seen, cat.convert(mode).convert("RGB")) < 3
        assert facts_size(facts) == (300, 200) and min(seen.size) == 128


def test_of_a_jpeg_xl_the_decoder_turns_the_photo_and_exif_tells_the_time(tmp_path: Path, cat: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[306] = "2022:03:04 05:06:07"
    data = encoded_jxl(cat, exif=exif.tobytes())
    seen, facts = see(tmp_path, "a.jxl", data)
    assert facts == FileFacts(width=300, height=200, taken="2022-03-04T05:06:07")
    assert difference(seen, cat) < 3


def test_a_jpeg_that_was_packed_as_jpeg_xl_is_turned_as_it_says(tmp_path: Path, cat: Image.Image) -> None:
    pytest.importorskip("pillow_jxl")
    exif = Image.Exif()
    exif[0x0112] = 6
    cat.save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        data = encoded_jxl(jpeg, lossless_jpeg=True)
    seen, facts = see(tmp_path, "a.jxl", data)
    assert facts_size(facts) == (200, 300)
    assert difference(seen, cat.rotate(270, expand=True)) < 4


def test_damaged_and_oversized_jpeg_xl_are_refused(tmp_path: Path, cat: Image.Image) -> None:
    data = encoded_jxl(cat, use_container=True)
    for share in CUTS:
        assert reason(tmp_path, "a.jxl", data[: int(share * len(data))]).endswith("JPEG XL")
    limits = ReadLimits(max_image_bytes=1_000_000)
    assert "over the limit" in reason(tmp_path, "b.jxl", data, limits)
    # 2**30 by 2**30 pixels, in the few bits that say so
    bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 0 << 33 | 3 << 36 | (2**30 - 1) << 38
    assert "over the limit" in reason(tmp_path, "c.jxl", b"\xff\x0a" + bits.to_bytes(40, "little"))


def drawing(inside: str = '<rect width="50" height="50" fill="red"/>', size: str = 'width="50" height="50"') -> bytes:
    pytest.importorskip("resvg_py")
    return f'<?xml version="1.0"?>\n<svg {SVG} {size}>{inside}</svg>'.encode()


def mean(picture: Image.Image) -> list[int]:
    return [round(float(value)) for value in np.asarray(picture).mean(axis=(0, 1))]


def test_a_drawing_is_seen_on_white_at_the_size_that_is_asked_for(tmp_path: Path) -> None:
    half = drawing('<rect width="25" height="50" fill="#ff0000"/>')
    seen, facts = see(tmp_path, "a.svg", half, 100)
    assert facts_size(facts) == (50, 50) and seen.size == (100, 100)
    assert seen.getpixel((10, 50)) == (255, 0, 0) and seen.getpixel((90, 50)) == (255, 255, 255)
    seen, _ = see(tmp_path, "a.svgz", gzip.compress(half), 100)
    assert seen.getpixel((10, 50)) == (255, 0, 0)
    seen, facts = see(tmp_path, "b.svg", drawing(size='viewBox="0 0 50 25"').decode().encode("utf-16"))
    assert (facts_size(facts), seen.size, mean(seen)) == ((50, 25), (128, 64), [255, 0, 0])
    seen, facts = see(tmp_path, "c.svg", drawing(size=""))
    assert facts.width is None and mean(seen) == [255, 0, 0]
    seen, facts = see(tmp_path, "d.svg", drawing(size='width="1in" height="100%" viewBox="0 0 50 50"'))
    assert facts_size(facts) == (96, 96)
    words = drawing('<text x="0" y="40" font-size="40">WWW</text>')
    assert medium_of(b"a.svg") == "image" and min(mean(see(tmp_path, "e.svg", words)[0])) <= 255


@pytest.mark.parametrize(
    "size",
    ['width="100000" height="100000"', 'width="1e8" height="100"', 'width="3" height="99999" viewBox="0 0 3 99999"'],
)
def test_a_drawing_of_any_size_is_no_larger_than_a_picture(tmp_path: Path, size: str) -> None:
    seen, _ = see(tmp_path, "a.svg", drawing(size=size))
    assert max(seen.size) <= 64 * 16


def test_a_drawing_shows_nothing_of_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (50, 50), "blue").save(tmp_path / "secret.png")
    (tmp_path / "secret.svg").write_bytes(drawing('<rect width="50" height="50" fill="blue"/>'))
    monkeypatch.chdir(tmp_path)
    inner = f'<svg {SVG} width="50" height="50"><image width="50" height="50" href="{tmp_path}/secret.png"/></svg>'
    nested = "data:image/svg+xml;base64," + base64.b64encode(inner.encode()).decode()
    whole = 'width="50" height="50"'
    for href in ("secret.png", f"{tmp_path}/secret.png", f"file://{tmp_path}/secret.png", "secret.svg", nested):
        for inside in (
            f'<image {whole} href="{href}"/>',
            f'<image {whole} xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href=" {href}"/>',
            f'<filter id="f"><feImage href="{href}"/></filter><rect {whole} filter="url(#f)"/>',
            f'<use href="{href}#a"/>',
        ):
            seen, _ = see(tmp_path, "a.svg", drawing(inside))
            assert (0, 0, 255) not in [colour for _, colour in seen.getcolors() or ()], inside
    shown = base64.b64encode((tmp_path / "secret.png").read_bytes()).decode()
    seen, _ = see(tmp_path, "b.svg", drawing(f'<image {whole} href="data:image/png;base64,{shown}"/>'))
    assert mean(seen) == [0, 0, 255]


def with_type(declared: str, inside: str) -> bytes:
    return drawing(inside).replace(b"?>\n", f"?>\n<!DOCTYPE svg [{declared}]>".encode())


def test_entities_are_short_names_or_nothing(tmp_path: Path) -> None:
    named = with_type('<!ENTITY c "lime">', '<rect width="50" height="50" fill="&c;"/>')
    assert mean(see(tmp_path, "a.svg", named)[0]) == [0, 255, 0]
    for declared in (
        '<!ENTITY c SYSTEM "file:///etc/passwd">',
        '<!ENTITY a "lol"><!ENTITY c "&a;&a;&a;&a;">',
        f'<!ENTITY c "{"x" * 2_000}">',
        '<!ENTITY % c "x">',
    ):
        assert reason(tmp_path, "b.svg", with_type(declared, "<text>&c;</text>")) == "SVG with entities"


PATTERN = (
    '<pattern id="p" width="100000" height="100000" patternUnits="userSpaceOnUse"><rect width="5" height="5"/>'
    '</pattern><rect width="50" height="50" fill="url(#p)"/>'
)
MANY = '<g id="a0"><rect width="5" height="5"/></g>' + "".join(
    f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, 12)
)


def test_what_overwhelms_the_drawer_is_refused_and_the_next_drawing_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    deep = "<g>" * 100_000 + "</g>" * 100_000
    assert reason(tmp_path, "deep.svg", drawing(deep)) == "SVG of too many elements"
    assert reason(tmp_path, "tiles.svg", drawing(PATTERN)) == "ended the program that read it"
    monkeypatch.setattr(apart, "SECONDS", 2.0)
    assert reason(tmp_path, "many.svg", drawing(MANY)) in (
        "takes too long to be read", "ended the program that read it", "damaged SVG",
    )  # fmt: skip
    monkeypatch.undo()
    assert mean(see(tmp_path, "good.svg", drawing())[0]) == [255, 0, 0]
    assert capfd.readouterr() == ("", "")


def test_what_is_no_drawing_is_said(tmp_path: Path) -> None:
    good = drawing()
    assert reason(tmp_path, "a.svg", good[:80]) == "truncated SVG"
    assert reason(tmp_path, "a.svg", b"<html><p>404</p></html>") == "damaged SVG"
    assert reason(tmp_path, "a.svg", b"Dear diary") == "not an image: text inside"
    assert reason(tmp_path, "a.svg", drawing(size='width="0" height="3"')) == "picture without pixels"
    assert reason(tmp_path, "a.svgz", gzip.compress(good)[:60]) == "truncated SVG"
    bomb = gzip.compress(bytes(3_000_000))
    assert "more than 1,000,000 bytes" in reason(tmp_path, "a.svgz", bomb, ReadLimits(max_member_bytes=1_000_000))


def test_a_photoshop_file_is_the_picture_that_it_shows(tmp_path: Path, cat: Image.Image) -> None:
    planes = b"".join(channel.tobytes() for channel in cat.split())
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, cat.height, cat.width, 8, 3)
    seen, facts = see(tmp_path, "a.psd", header + bytes(12) + bytes(2) + planes)
    assert difference(seen, cat) < 1 and facts_size(facts) == (300, 200)


def test_they_are_found_by_what_they_show(tmp_path: Path, photos: Path, library: Library) -> None:
    pytest.importorskip("rawpy")
    with Image.open(photos / "photos" / "cat.png") as picture:
        (tmp_path / "IMG_1.dng").write_bytes(dng(picture.resize((300, 200))))
    (tmp_path / "b.svg").write_bytes(drawing())
    report = library.index([tmp_path])
    assert (report.added, report.failed) == (2, 0)
    assert Path(library.search("a photo of a cat").hits[0].path).name == "IMG_1.dng"
    assert library.index().unchanged == 2


BARE = """
import sys
sys.modules.update(rawpy=None, pillow_jxl=None, resvg_py=None)
from mmsearch import reading
names = (".nef", ".dng", ".jxl", ".svg", ".svgz", ".jpg")
print([(reading.extra_of(name), reading.medium_of(b"a" + name.encode())) for name in names])
print(reading.readers_label())
for path in sys.argv[1:]:
    try:
        with reading.open_file(path.encode()) as file:
            print(reading.read(file, 64).facts)
    except reading.UnreadableFile as refused:
        print(type(refused).__name__, refused.reason)
"""


def test_what_is_not_installed_is_wanted_and_nothing_else_reads_it(tmp_path: Path, cat: Image.Image) -> None:
    jxl = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(9)
    files = {"IMG_0001": dng(cat), "a.tif": dng(cat), "b.tif": dng(cat, is_first_last=True), "b": jxl}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in files]
    done = subprocess.run([sys.executable, "-c", BARE, *paths], capture_output=True, text=True, check=True)
    told, label, *media = done.stdout.splitlines()
    assert told == str([("raw", None)] * 2 + [("jxl", None)] + [("svg", None)] * 2 + [(None, "image")])
    assert label.startswith("image 2.1 .tif=3 .tiff=3, ")
    assert media[1] == media[2] == "UnreadableFile not an image: RAW photo inside"
    assert [line.split()[0] for line in (media[0], media[3])] == [NotAMedium.__name__] * 2
