"""A skin shows a file by its id: a picture of it made anew, and its text, of nothing but what was indexed."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import camera_raw_file
import pytest
from conftest import refused
from made_videos import write_film
from office_files import docx, paragraph
from pdf_writer import text_page, written
from PIL import Image

from mmsearch import Library, PassagePlace, StoredFile
from mmsearch.reading import UnreachableFile, apart, open_file, open_indexed, opening
from mmsearch.records import Locator
from mmsearch.searching.miniatures import Source
from mmsearch.showing import drawing
from mmsearch.showing.thumbnail_cache import ThumbnailCache
from mmsearch.store.sqlite.store import SqliteStore

RED, BLUE = (210, 30, 30), (20, 40, 200)
UPRIGHT = (300, 600)  # as it is seen: the camera was held on its side
SECRET = "met Ana in secret"
LETTER = "\n".join(f"Line {number} of a letter about ship number {number} and its captain." for number in range(1, 201))


def place_files(folder: Path) -> Path:
    """One of each kind that is shown: a photo that says much of itself, a PDF, a film, a text."""
    folder.mkdir()
    photo = Image.new("RGB", (UPRIGHT[1], UPRIGHT[0]), BLUE)
    photo.paste(RED, (0, 0, 300, 300))  # the left half, which is on top once it is turned
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 42.0, 0.0), 3: "W", 4: (9.0, 8.0, 0.0)})
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- {SECRET} --></x:xmpmeta>'.encode()
    photo.save(folder / "photo.jpg", exif=exif, comment=SECRET.encode(), xmp=xmp, quality=95)
    (folder / "paper.pdf").write_bytes(written([text_page("The first page", "of a paper"), text_page("Ships sail")]))
    write_film(
        folder / "film.mp4", [(Image.new("RGB", (192, 128), RED), 4.0), (Image.new("RGB", (192, 128), BLUE), 4.0)]
    )
    (folder / "letter.txt").write_text(LETTER)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files, and beside it their library. Tests do not change them."""
    folder = tmp_path_factory.mktemp("shown")
    with Library(folder / "library") as library:
        library.index(place_files(folder / "home"))
    return folder


@pytest.fixture
def opened(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The library, with an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Library(kept / "library") as library:
        yield library


@pytest.fixture
def own(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Library, Path]]:
    """A library and a folder of one's own with the photo, to be changed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy2(kept / "home" / "photo.jpg", home)
    with Library(tmp_path / "library") as library:
        library.index(home)
        yield library, home


def id_of(library: Library, path: Path) -> str:
    return library.id_called(path)


def seen(jpeg: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.format == "JPEG"
    picture.load()
    return picture


def is_like(picture: Image.Image, place: tuple[float, float], colour: tuple[int, int, int]) -> bool:
    pixel: Any = picture.getpixel((int(place[0] * picture.width), int(place[1] * picture.height)))
    return all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=True))


def test_a_photo_is_upright_small_and_says_nothing_of_itself(opened: Library, kept: Path) -> None:
    called = id_of(opened, kept / "home" / "photo.jpg")
    assert opened.file(called).latitude is not None
    jpeg = opened.thumbnail(called, 200)
    picture = seen(jpeg)
    assert picture.size == (100, 200)
    assert is_like(picture, (0.5, 0.2), RED)
    assert is_like(picture, (0.5, 0.8), BLUE)
    assert not dict(picture.getexif())
    assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert SECRET.encode() not in jpeg
    assert b"Exif" not in jpeg


def test_a_page_and_a_moment_are_shown(opened: Library, kept: Path) -> None:
    paper, film = id_of(opened, kept / "home" / "paper.pdf"), id_of(opened, kept / "home" / "film.mp4")
    first, second = opened.thumbnail(paper), opened.thumbnail(paper, page=2)
    assert seen(first).size[1] == seen(second).size[1] == 320
    assert first != second
    assert is_like(seen(opened.thumbnail(film, time=1.0)), (0.5, 0.5), RED)
    assert is_like(seen(opened.thumbnail(film, 64, time=6.0)), (0.5, 0.5), BLUE)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("photo.jpg", {"side": 5}, "The side is 5"),
        ("photo.jpg", {"side": 1_000_000}, "The side is 1000000"),
        ("paper.pdf", {"page": 0}, "pages count from 1"),
        ("paper.pdf", {"page": 3}, "has 2 pages; there is no page 3"),
        ("film.mp4", {"time": -1.0}, "The moment is -1"),
        ("film.mp4", {"time": float("nan")}, "The moment is nan"),
        ("film.mp4", {"time": 1e6}, "has no moment"),
        ("letter.txt", {}, "has no picture to show"),
    ],
)
def test_what_cannot_be_shown_is_said(
    opened: Library, kept: Path, name: str, asked: dict[str, Any], words: str
) -> None:
    with refused(words):
        opened.thumbnail(id_of(opened, kept / "home" / name), **asked)


@pytest.mark.parametrize("called", ["/etc/passwd", "../../etc/passwd", "", "0" * 31, "G" * 32, "\0" * 32])
def test_a_path_names_no_file(opened: Library, called: str) -> None:
    for ask in (opened.file, opened.thumbnail, opened.passages):
        with refused("a path names none"):
            ask(called)


def test_an_id_that_is_not_there_is_said(opened: Library) -> None:
    with refused("Nothing in the library has the id"):
        opened.file("0" * 32)


def test_what_is_known_of_a_file_is_told_by_its_id(opened: Library, kept: Path) -> None:
    film = opened.file(id_of(opened, kept / "home" / "film.mp4"))
    assert isinstance(film, StoredFile)
    assert (film.path, film.type, film.available) == (str(kept / "home" / "film.mp4"), "video", True)
    assert film.duration == pytest.approx(8.0, abs=0.2)
    assert opened.file(id_of(opened, kept / "home" / "paper.pdf")).pages == 2


def test_a_long_text_is_read_on_and_on_without_a_word_twice(opened: Library, kept: Path) -> None:
    called = id_of(opened, kept / "home" / "letter.txt")
    text, first = "", 0
    while True:
        given = opened.passages(called, PassagePlace(first=first), 1_000)
        assert (given.id, given.first) == (called, first)
        for passage in given.passages:
            assert passage.offset is not None and LETTER[passage.offset :].startswith(passage.text)
            assert passage.line == LETTER[: passage.offset].count("\n") + 1
        # From one call to the next what both passages have is given again.
        text = text[: given.passages[0].offset] + "".join(passage.text for passage in given.passages)
        first += len(given.passages)
        if first == given.total:
            break
    assert text == LETTER
    at = opened.passages(called, PassagePlace(line=100)).passages[0]
    assert "Line 100 " in at.text
    paper = id_of(opened, kept / "home" / "paper.pdf")
    assert "Ships" in opened.passages(paper, PassagePlace(page=2)).passages[0].text
    with refused("no text on page 7"):
        opened.passages(paper, PassagePlace(page=7))
    with refused("There is no passage 999"):
        opened.passages(called, PassagePlace(first=999))
    assert opened.passages(id_of(opened, kept / "home" / "photo.jpg")).passages == ()


def test_nothing_is_given_of_a_file_that_was_changed_or_swapped(own: tuple[Library, Path]) -> None:
    library, home = own
    photo = home / "photo.jpg"
    called, was = id_of(library, photo), os.stat(photo)
    outside = home.parent / "outside.jpg"
    # As large and as old as the photo, and another picture.
    Image.new("RGB", (400, 400), (0, 200, 0)).save(outside)
    with open(outside, "ab") as file:
        file.write(b"\0" * (was.st_size - outside.stat().st_size))
    os.utime(outside, ns=(was.st_atime_ns, was.st_mtime_ns))
    original = photo.rename(home.parent / "kept.jpg")
    photo.symlink_to(outside)
    with refused("has changed since it was indexed"):
        library.thumbnail(called)
    photo.unlink()
    shutil.copy2(outside, photo)
    with refused("has changed since it was indexed"):
        library.thumbnail(called)
    photo.unlink()
    photo.symlink_to("/etc/passwd")
    with refused("has changed since it was indexed; run `mmsearch index` and search again"):
        library.thumbnail(called)
    photo.unlink()
    os.mkfifo(photo)
    with refused("has changed since it was indexed"):
        library.thumbnail(called)
    photo.unlink()
    with refused("is not there now; connect the drive"):
        library.thumbnail(called)
    assert not library.file(called).available
    photo.symlink_to(original)  # through a link, and yet the same bytes
    assert seen(library.thumbnail(called)).size == (160, 320)


def test_a_large_file_is_known_by_its_state_and_hashed_where_a_link_leads_to_it(
    own: tuple[Library, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, home = own
    monkeypatch.setattr(opening, "KEPT_BYTES", 100)
    photo = home / "photo.jpg"
    digest, status = bytes.fromhex(id_of(library, photo)), os.stat(photo)
    state = status.st_size, status.st_mtime_ns
    with open_indexed(os.fsencode(photo), digest, state) as file:
        assert file.stream.read() == photo.read_bytes()
    swapped = home.parent / "swapped.jpg"
    swapped.write_bytes(b"\xff\xd8\xff" + b"\0" * (status.st_size - 3))
    os.utime(swapped, ns=(status.st_atime_ns, status.st_mtime_ns))
    photo.unlink()
    photo.symlink_to(swapped)
    with pytest.raises(UnreachableFile, match="changed"), open_indexed(os.fsencode(photo), digest, state):
        pass
    os.utime(swapped)
    with pytest.raises(UnreachableFile, match="changed"), open_indexed(os.fsencode(swapped), digest, state):
        pass


def test_a_digest_of_an_older_library_holds_for_a_file_in_the_same_state_alone(kept: Path, tmp_path: Path) -> None:
    path = os.fsencode(shutil.copy2(kept / "home" / "photo.jpg", tmp_path))
    with open_file(path) as file:
        older, state = file.older_digest(), (file.size, file.mtime_ns)
    with open_indexed(path, older, state) as file:
        assert file.size == state[0]
    os.utime(path)
    with pytest.raises(UnreachableFile, match="changed"), open_indexed(path, older, state):
        pass


def shown_files(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Files of further kinds that show something blue, and the size of their thumbnails."""
    blue = Image.new("RGB", (400, 200), BLUE)
    blue.save(folder / "a.tif", compression="tiff_lzw")
    yield folder / "a.tif", (320, 160)
    body = paragraph("A letter on ships.", before='<a:blip r:embed="p1"/>')
    docx(folder / "b.docx", body, {"word/media/1.png": png(blue)}, [("p1", "image", "media/1.png")])
    yield folder / "b.docx", (320, 160)
    if importlib.util.find_spec("rawpy"):
        (folder / "c.dng").write_bytes(camera_raw_file.dng(blue, blue))
        yield folder / "c.dng", (320, 160)
    if importlib.util.find_spec("resvg_py"):
        head = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
        drawing_of = f'{head}<path fill="#1428c8" d="M0 0h40v20H0z"/></svg>'
        (folder / "d.svg").write_text(drawing_of)
        yield folder / "d.svg", (320, 160)
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
        blue.save(folder / "e.heic")
        yield folder / "e.heic", (320, 160)


def test_all_that_shows_something_is_drawn(tmp_path: Path) -> None:
    for path, size in shown_files(tmp_path):
        name, status = os.fsencode(path), path.stat()
        with open_file(name) as file:
            digest = file.digest
        picture = seen(drawing.drawn(digest, [Source(name, status.st_size, status.st_mtime_ns)], Locator(), 320))
        assert picture.size == size, path
        assert is_like(picture, (0.5, 0.5), BLUE), path


def png(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


def test_a_copy_that_is_there_stands_for_a_file_that_is_not(own: tuple[Library, Path]) -> None:
    library, home = own
    shutil.copy2(home / "photo.jpg", home / "zz copy.jpg")
    library.index()
    called = id_of(library, home / "photo.jpg")
    (home / "photo.jpg").write_bytes(b"something else")
    assert seen(library.thumbnail(called)).size == (160, 320)
    (home / "photo.jpg").unlink()
    file = library.file(called)
    assert (file.path, file.copies) == (str(home / "zz copy.jpg"), (str(home / "photo.jpg"),))


def test_a_thumbnail_is_drawn_once_and_gone_with_its_file(
    own: tuple[Library, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, home = own
    cache = home.parent / "cache" / "mmsearch" / "thumbnails"
    called = id_of(library, home / "photo.jpg")
    first = library.thumbnail(called)
    library.thumbnail(called, 1_000)  # a large one is made when it is asked for
    (kept,) = cache.rglob("*.jpg")
    for place in (kept, *kept.parents[:4]):  # the folder of all that is cached, too
        assert place.stat().st_mode & 0o077 == 0, place
    calls: list[object] = []
    drawn = apart.done_apart

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return drawn(*arguments, **options)

    monkeypatch.setattr(drawing, "done_apart", counted)
    assert library.thumbnail(called) == first
    assert calls == []
    damaged = bytearray(kept.read_bytes())
    damaged[100] ^= 1
    kept.write_bytes(damaged)
    assert library.thumbnail(called) == first
    assert len(calls) == 1
    library.index()
    assert kept.exists()
    library.forget(home / "photo.jpg")
    assert list(cache.rglob("*.jpg")) == []


def test_the_cache_is_bounded_and_what_was_not_asked_for_goes_first(kept: Path, tmp_path: Path) -> None:
    cache = ThumbnailCache(str(tmp_path / "thumbnails"), most_bytes=20_000)
    contents = [f"{number:032x}" for number in range(30)]
    for age, content in enumerate(reversed(contents[:10])):
        cache.put("library", content, "320", bytes(1_500))
        (made,) = tmp_path.rglob(f"{content}*.jpg")
        os.utime(made, (10_000 * age, 10_000 * age))
    assert cache.get("library", contents[9], "320")  # the oldest, asked for again
    for content in contents[10:16]:
        cache.put("library", content, "320", bytes(1_500))
    left = {path.name[:32] for path in tmp_path.rglob("*.jpg")}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 20_000
    assert contents[9] in left and contents[8] not in left
    assert set(contents[10:16]) <= left
    with closing(SqliteStore.read(str(kept / "library"))) as store:
        cache.drop_gone("library", store)
    assert list(tmp_path.rglob("*.jpg")) == []


def test_a_file_that_ends_what_draws_it_ends_nothing_else(
    opened: Library, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = id_of(opened, kept / "home" / "photo.jpg")
    done = apart.done_apart
    with monkeypatch.context() as patch:
        # What a decoder does that hostile bytes have taken over.
        patch.setattr(drawing, "done_apart", lambda function, *rest, **more: done(f"{__name__}:abort", *rest, **more))
        with refused("ended the program that read it"):
            opened.thumbnail(called, 400)
    assert seen(opened.thumbnail(called, 400)).size == (200, 400)


def abort(data: bytes, **options: Any) -> Any:
    os.abort()
