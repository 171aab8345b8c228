"""A scan or a fax of several pages: each is found, and shown, by its number."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage
from conftest import Mmsearch, Viewer
from PIL import Image, ImageDraw, ImageFont, TiffImagePlugin
from serving import running

from mmsearch import IndexSettings, Library, reading
from mmsearch.reading import OpenFile, Reading, ReadLimits, UnreadableFile, image, open_file, opening, shown_at
from mmsearch.reading.image_reading import read_image
from mmsearch.records import FileFacts, Filters, Locator, Part
from mmsearch.searching.query import Query, Term, text_term

PHOTOS = Path(skimage.__file__).parent / "data"
NAMES = ("chelsea.png", "rocket.jpg", "coffee.png")
REDUCED, MASK = {254: 1}, {254: 4}
FIRST = Locator(page=1)


@pytest.fixture
def photos() -> list[Image.Image]:
    """A cat, a rocket and a cup of coffee, of one size; not those of another test, as a picture that was saved as PNG
    cannot be saved as TIFF.
    """
    found = [Image.open(PHOTOS / name).convert("RGB").resize((300, 200)) for name in NAMES]
    for photo in found:
        photo.info.clear()
    return found


def scan(pages: Sequence[Image.Image], **settings: object) -> bytes:
    """A TIFF of these pages."""
    written = io.BytesIO()
    pages[0].save(written, "TIFF", save_all=True, append_images=pages[1:], **settings)
    return written.getvalue()


def tiff_of(pages: Sequence[tuple[Image.Image, dict[int, int]]]) -> bytes:
    """A TIFF of pictures with tags of their own."""
    written = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(written) as file:
        for picture, tags in pages:
            picture.save(file, "TIFF", tiffinfo=tags)
            file.newFrame()
        return written.getvalue()


def see(path: Path, content: bytes, limits: ReadLimits | None = None) -> tuple[list[Part], FileFacts, Sequence[str]]:
    path.write_bytes(content)
    with open_file(os.fsencode(path), limits) as file:
        found = reading.read(file, 64)
        return list(found.parts), found.facts, list(found.troubles)


def shows(part: Part, picture: Image.Image) -> bool:
    """Whether a part is that picture."""
    seen = [np.asarray(one.convert("RGB").resize((24, 16)), np.float64) for one in (part.payload, picture)]
    return float(np.abs(seen[0] - seen[1]).mean()) < 12


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("kept_bytes", [opening.KEPT_BYTES, 1_000])
@pytest.mark.parametrize("packing", ["raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "group4"])
def test_each_page_of_a_scan_is_seen(
    tmp_path: Path,
    photos: list[Image.Image],
    packing: str,
    kept_bytes: int,
    is_large: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "KEPT_BYTES", kept_bytes)  # more is read from the disk
    pages = [photo.convert("1") for photo in photos] if packing == "group4" else photos
    parts, facts, troubles = see(tmp_path / "a.tif", scan(pages, compression=packing, big_tiff=is_large))
    assert [(part.modality, part.locator) for part in parts] == [("image", Locator(page=n)) for n in (1, 2, 3)]
    assert all(map(shows, parts, pages))
    assert (facts.width, facts.height, facts.pages, facts.note) == (300, 200, 3, None)
    assert troubles == []


def test_a_tiff_with_one_page_is_a_picture_like_others(tmp_path: Path, photos: list[Image.Image]) -> None:
    ((part,), facts, troubles) = see(tmp_path / "a.tif", scan(photos[:1]))
    assert (part.locator, part.source) == (Locator(), "body")
    assert (facts.pages, facts.note, list(troubles)) == (None, None, [])


def test_smaller_versions_and_masks_are_no_pages(tmp_path: Path, photos: list[Image.Image]) -> None:
    cat, _, coffee = photos
    half, quarter, stamp = (cat.resize(size) for size in ((150, 100), (75, 50), (60, 40)))
    mask = Image.new("1", cat.size)
    for name, content in (
        ("pyramid", tiff_of([(cat, {}), (half, REDUCED), (quarter, REDUCED)])),
        ("silent pyramid", scan([cat, half, quarter])),
        ("stamp", tiff_of([(cat, {254: 0}), (stamp, {254: 0})])),
        ("old stamp", tiff_of([(cat, {}), (stamp, {255: 2})])),
        ("mask", tiff_of([(cat, {}), (mask, MASK)])),
    ):
        ((part,), facts, _) = see(tmp_path / "a.tif", content)
        assert (part.locator, facts.pages) == (Locator(), None), name
        assert shows(part, cat), name
    # The stamp first, and a page of half the size that shows something else.
    ((part,), _, _) = see(tmp_path / "a.tif", tiff_of([(stamp, REDUCED), (cat, {})]))
    assert min(part.payload.size) >= 64
    parts, facts, _ = see(
        tmp_path / "a.tif",
        tiff_of([(cat, {254: 2}), (stamp, REDUCED), (coffee.resize((150, 100)), {254: 2}), (quarter, {254: 3})]),
    )
    assert [part.locator.page for part in parts] == [1, 2]
    assert shows(parts[1], coffee)


def linked_to(content: bytes, place: int) -> bytes:
    """A TIFF with one picture, whose directory says that another one lies at that place."""
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    end = at + 2 + 12 * count
    return content[:end] + struct.pack("<I", place) + content[end + 4 :]


def test_directories_that_lie_lead_nowhere(tmp_path: Path, photos: list[Image.Image]) -> None:
    one = scan(photos[:1])
    (begin,) = struct.unpack_from("<I", one, 4)
    ((part,), _, troubles) = see(tmp_path / "a.tif", linked_to(one, begin))  # to itself
    assert (part.locator, troubles) == (Locator(), [])
    for place in (len(one) + 100, 9):  # behind the end, and where no directory is
        ((part,), _, troubles) = see(tmp_path / "a.tif", linked_to(one, place))
        assert shows(part, photos[0])
        assert troubles == ["incomplete TIFF"]


def without_pixels(content: bytes, page: int) -> bytes:
    """A TIFF in which the pixels of a page, counted from 0, were written over."""
    broken = bytearray(content)
    with Image.open(io.BytesIO(content)) as opened:
        opened.seek(page)
        tags = opened.tag_v2  # type: ignore[attr-defined]
        for start, size in zip(tags[273], tags[279], strict=True):
            broken[start : start + size] = b"\xff" * size
    return bytes(broken)


def test_of_a_damaged_scan_the_good_pages_are_read(tmp_path: Path, photos: list[Image.Image]) -> None:
    whole = scan(photos, compression="tiff_lzw")
    ends = [len(scan(photos[:count], compression="tiff_lzw")) for count in (1, 2)]
    parts, facts, troubles = see(tmp_path / "a.tif", whole[: ends[1]])
    assert [part.locator.page for part in parts] == [1, 2]
    assert (facts.pages, troubles) == (2, ["incomplete TIFF"])
    broken = without_pixels(whole, 1)
    parts, facts, troubles = see(tmp_path / "a.tif", broken)
    assert [part.locator.page for part in parts] == [1, 3]
    assert shows(parts[0], photos[0]) and shows(parts[1], photos[2])
    assert (facts.pages, list(troubles)) == (3, ["page 2 left out: damaged TIFF"])
    parts, facts, troubles = see(tmp_path / "a.tif", without_pixels(whole, 0))
    assert [part.locator.page for part in parts] == [2, 3]
    assert (facts.width, list(troubles)) == (300, ["page 1 left out: damaged TIFF"])
    with pytest.raises(UnreadableFile, match="damaged TIFF"):
        see(tmp_path / "a.tif", without_pixels(without_pixels(without_pixels(whole, 0), 1), 2))


def test_pages_beyond_the_limits_are_left_out(tmp_path: Path, photos: list[Image.Image]) -> None:
    parts, facts, troubles = see(tmp_path / "a.tif", scan(photos), ReadLimits(max_members=2))
    assert ([part.locator.page for part in parts], facts.pages) == ([1, 2], 2)
    assert list(troubles) == ["only the first 2 pages were read"]
    large = Image.effect_noise((900, 300), 90).convert("RGB")
    parts, facts, troubles = see(
        tmp_path / "a.tif", scan([photos[0], large, photos[2]]), ReadLimits(max_image_bytes=500_000)
    )
    assert ([part.locator.page for part in parts], facts.pages) == ([1, 3], 3)
    assert len(troubles) == 1 and troubles[0].startswith("page 2 left out: picture of 0 megapixels")
    with pytest.raises(UnreadableFile, match="over the limit"):
        see(tmp_path / "a.tif", scan([large, large.rotate(180)]), ReadLimits(max_image_bytes=500_000))


def test_a_page_is_shown_by_its_number(tmp_path: Path, photos: list[Image.Image]) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(scan(photos))
    for page in (None, 1, 2, 3):
        shown = shown_at(os.fsencode(path), Locator(page=page), 64).picture
        assert shown is not None
        assert shows(Part("image", shown), photos[(page or 1) - 1])
    with pytest.raises(UnreadableFile, match="there is no page 4"):
        shown_at(os.fsencode(path), Locator(page=4), 64)


def place_scans(folder: Path, photos: list[Image.Image]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "scan.tif").write_bytes(scan(photos, compression="tiff_lzw"))
    (folder / "one.tif").write_bytes(scan([photos[0].rotate(180)]))
    return folder


def test_a_person_finds_the_page_and_opens_it(
    tmp_path: Path, photos: list[Image.Image], command: Mmsearch, viewer: Viewer
) -> None:
    folder = place_scans(tmp_path / "home", photos)
    done = command("index", folder)
    assert done.code == 0, done.err
    answer = command("search", "a cup of coffee", "--json", "--limit", "1")
    (hit,) = answer.json["hits"]
    assert (Path(hit["path"]).name, hit["type"], hit["source"], hit["page"]) == ("scan.tif", "image", "page", 3)
    assert "scan.tif p. 3" in command("search", "a cup of coffee").out
    explained = command("search", "a cup of coffee", "--limit", "1", "--explain", "--json").json["hits"][0][
        "explanation"
    ]
    assert (explained["page"], explained["trouble"]) == (3, None)
    # The map of a cup on a picture that lies alone is that of the page, and not of the cat on the first one.
    photos[2].save(folder / "cup.png")
    command("index")
    hits = command("search", "a cup of coffee", "--limit", "2", "--explain", "--json").json["hits"]
    maps = {Path(hit["path"]).name: hit["explanation"]["heat"]["maps"][0]["grid"] for hit in hits}
    assert np.allclose(maps["scan.tif"], maps["cup.png"], atol=0.01)
    (folder / "cup.png").unlink()
    command("index")
    called = viewer("zathura", "evince")  # the former shows no TIFF
    assert command("search", "a cup of coffee", "--limit", "1", "--open").code == 0
    assert called() == [["evince", "--page-index=3", str(folder / "scan.tif")]]
    assert command("duplicates", "--json").json["groups"] == []


def test_a_scan_is_one_photo_to_all_that_looks_at_photos(
    tmp_path: Path, library: Library, photos: list[Image.Image]
) -> None:
    folder = place_scans(tmp_path / "home", [photos[0], photos[0], photos[1]])
    photos[0].save(folder / "cat.png")  # looks as the first page: yet the scan has more, and is none to be spared
    library.index(folder)
    assert library.status().counts.items == 5
    assert library.duplicates().groups == ()
    assert library.clusters(count=2).total == 3
    found = library.search(Query((Term("image", str(folder / "scan.tif")),), filters=Filters(medium="image")))
    assert Path(found.hits[0].path).name == "cat.png"
    assert found.hits[0].similarity == pytest.approx(1, abs=1e-2)


def test_the_page_of_the_server_shows_the_page_of_the_scan(tmp_path: Path, photos: list[Image.Image]) -> None:
    folder = place_scans(tmp_path / "home", photos)
    with Library(tmp_path / "library") as library:
        library.index(folder)
    with running(tmp_path / "library", cache=tmp_path / "cache") as server:
        hit = server.get("/api/v1/search", q="a cup of coffee", limit=1).json["hits"][0]
        assert "page=3" in hit["thumb"]
        for picture in (server.get(hit["thumb"]), server.get(f"/api/v1/files/{hit['id']}/page/3")):
            assert shows(Part("image", Image.open(io.BytesIO(picture.body))), photos[2])
        assert server.get(f"/api/v1/files/{hit['id']}").json["pages"] == 3


def test_what_is_missing_of_a_scan_is_said(tmp_path: Path, library: Library, photos: list[Image.Image]) -> None:
    whole = scan(photos, compression="tiff_lzw")
    (tmp_path / "a.tif").write_bytes(whole[: len(scan(photos[:2], compression="tiff_lzw"))])
    # So many pages that they are encoded group by group; of the last one the pixels are damaged.
    many = [photo.rotate(15 * turn) for turn in range(7) for photo in photos]
    (tmp_path / "b.tif").write_bytes(without_pixels(without_pixels(scan(many, compression="tiff_lzw"), 20), 2))
    report = library.index(tmp_path)
    told = {Path(os.fsdecode(one.path)).name: one.reason for one in report.incomplete}
    assert told["a.tif"] == "incomplete TIFF"
    assert told["b.tif"] == "pages 3 and 21 left out: damaged TIFF"
    assert library.status().counts.items == 2 + 19


def first_alone(file: OpenFile, side: int) -> Reading:
    """What readers before version 3 saw."""
    found = read_image(file, side)
    first = next(iter(found.parts))
    return Reading(replace(found.facts, pages=None), (replace(first, locator=Locator()),))


@pytest.fixture
def old_readers(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Reads as readers before version 3 did, until it is called."""
    old = replace(image.READER, versions={}, read=first_alone)
    readers = list(reading.READERS)
    monkeypatch.setattr(reading, "READERS", [old if one is image.READER else one for one in readers])
    return lambda: monkeypatch.setattr(reading, "READERS", readers)


def test_an_older_library_gets_the_pages_and_encodes_nothing_else(
    tmp_path: Path, library: Library, photos: list[Image.Image], old_readers: Callable[[], None]
) -> None:
    folder = place_scans(tmp_path / "home", photos)
    (folder / "IMG_1").write_bytes((folder / "scan.tif").read_bytes())  # without an extension, as caches keep them
    photos[1].save(folder / "cup.png")
    library.index(folder)
    assert library.status().counts.items == 3
    old_readers()
    report = library.index()
    assert (report.encoded, report.unchanged) == (1, 3)
    assert library.status().counts.items == 5
    assert library.search(Query((text_term("a cup of coffee"),))).hits[0].page == 3
    report = library.index()
    assert (report.encoded, report.unchanged) == (0, 4)


@pytest.mark.slow
def test_each_page_of_a_fax_is_read(tmp_path: Path, library: Library, old_readers: Callable[[], None]) -> None:
    pytest.importorskip("rapidocr", reason="the ocr extra is not installed")
    pages = []
    for text in ("INVOICE OF THE PLUMBER", "MINUTES OF THE GARDEN CLUB"):
        page = Image.new("1", (900, 400), 1)
        ImageDraw.Draw(page).text((60, 150), text, fill=0, font=ImageFont.load_default(40))
        pages.append(page)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "fax.tif").write_bytes(scan(pages, compression="group4"))
    library.index(tmp_path / "home", settings=IndexSettings(stages={"ocr": ""}))
    assert not library.search(Query((text_term("garden club"),))).hits
    old_readers()  # a library from before has had the first page read alone: all are read now
    library.index()
    hit = library.search(Query((text_term("garden club"),))).hits[0]
    assert (hit.source, hit.page, hit.snippet) == ("ocr", 2, "MINUTES OF THE GARDEN CLUB")
    hit = library.search(Query((text_term("plumber"),))).hits[0]
    assert (hit.source, hit.page) == ("ocr", 1)
