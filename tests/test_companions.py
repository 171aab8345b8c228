"""A photo that a camera keeps in several files is one hit: the picture, which names the others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from camera_raw_file import dng
from PIL import Image

from mmsearch import Filters, Hit, Library, Query, reading
from mmsearch.output.hits import Form, print_result
from mmsearch.reading import OpenFile, Reader, Reading, image
from mmsearch.records import FileFacts, Locator, Part
from mmsearch.searching.query import image_term, text_term


def read_film(file: OpenFile, side: int) -> Reading:
    """A film of the tests is a picture; the last digit of its name is how long it lasts."""
    (part,) = image.READER.read(file, side).parts
    duration = float(os.path.splitext(file.path)[0][-1:])
    return Reading(FileFacts(duration=duration), [Part("image", part.payload, Locator(time=(0.0, duration)), "frame")])


FILMS = Reader(
    medium="film",
    version=1,
    extensions=frozenset({".mov"}),
    is_surely=lambda head: False,
    may_be=lambda head, extension: extension == ".mov",
    mismatch=lambda head: "no film",
    max_bytes=1_000_000,
    read=read_film,
)


@pytest.fixture
def roll(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cat as JPEG, RAW photo and film, coffee as a live photo, a rocket as RAW photo alone, and a long film."""
    pytest.importorskip("rawpy")
    others = [one for one in reading.READERS if ".mov" not in one.extensions]
    monkeypatch.setattr(reading, "READERS", [FILMS, *others])
    folder = tmp_path / "roll"
    folder.mkdir()

    def put(name: str, source: str, **options: object) -> None:
        with Image.open(photos / "photos" / source) as picture:
            small = picture.convert("RGB").resize((300, 200))
        if name.endswith(".dng"):
            (folder / name).write_bytes(dng(small))
        else:
            small.save(folder / name, "BMP" if name.endswith(".mov") else None)

    for name in ("cat1.jpg", "cat1.dng", "cat1.mov"):
        put(name, "cat.png")
    for name in ("live3.jpg", "live3.mov"):
        put(name, "coffee.png")
    put("rocket.dng", "rocket.jpg")
    for name in ("long9.jpg", "long9.mov"):
        put(name, "astronaut.png")
    return folder


def shown(hits: tuple[Hit, ...]) -> dict[str, list[str]]:
    return {os.path.basename(hit.path): [os.path.basename(path) for path in hit.companions] for hit in hits}


ALL = {
    "cat1.jpg": ["cat1.dng", "cat1.mov"],
    "live3.jpg": ["live3.mov"],
    "rocket.dng": [],
    "long9.jpg": [],
    "long9.mov": [],
}


def everything(words: str = "a cat", filters: Filters | None = None, limit: int = 100, offset: int = 0) -> Query:
    return Query((text_term(words),), filters or Filters(), min_score=0.0, limit=limit, offset=offset)


def test_a_photo_in_several_files_is_one_hit_that_names_them(roll: Path, library: Library) -> None:
    assert library.index([roll]).failed == 0
    result = library.search(everything())
    assert shown(result.hits) == ALL and result.total == 5
    best = result.hits[0]
    assert (os.path.basename(best.path), best.type, best.source, best.time) == ("cat1.jpg", "image", "body", None)
    each = library.search(Query((text_term("a cat"),), min_score=0.0, copies=True, limit=100)).hits
    assert len(each) == 8 and not any(hit.companions for hit in each)
    # As good as the best of them, whichever that is.
    of_cat = [hit.score for hit in each if "cat1" in hit.path]
    assert best.score == max(of_cat)


def test_pages_neither_repeat_nor_skip_one(roll: Path, library: Library) -> None:
    library.index([roll])
    for words in ("a cat", "a cup of coffee", "a rocket"):
        whole = [hit.path for hit in library.search(everything(words)).hits]
        paged = [library.search(everything(words, limit=1, offset=at)) for at in range(6)]
        assert [hit.path for page in paged for hit in page.hits] == whole
        assert {page.total for page in paged} == {5}


def test_what_a_filter_leaves_is_what_is_shown(roll: Path, library: Library) -> None:
    library.index([roll])
    raw = library.search(everything(filters=Filters(extensions=(".dng",)))).hits
    assert shown(raw) == {"cat1.dng": [], "rocket.dng": []}
    films = library.search(everything(filters=Filters(medium="film"))).hits
    assert shown(films) == {"cat1.mov": [], "live3.mov": [], "long9.mov": []}
    no_films = library.search(everything(filters=Filters(medium="image"))).hits
    assert shown(no_films)["cat1.jpg"] == ["cat1.dng"]


def test_the_picture_is_shown_where_only_what_lies_beside_it_is_near_enough(
    roll: Path, library: Library, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    with Image.open(photos / "photos" / "bricks.png") as picture:
        picture.convert("RGB").save(roll / "cat1.jpg")
    (roll / "sub").mkdir()
    (roll / "sub" / "again.jpg").write_bytes((roll / "cat1.jpg").read_bytes())
    library.index([roll])
    monkeypatch.setattr("mmsearch.searching.ranked_files.FIRST_CANDIDATES", 1)
    hit = library.search(everything(limit=1)).hits[0]
    assert shown((hit,)) == {"cat1.jpg": ["cat1.dng", "cat1.mov"]}
    assert [os.path.basename(path) for path in hit.copies] == ["again.jpg"]
    each = library.search(Query((text_term("a cat"),), min_score=0.0, copies=True, limit=100)).hits
    assert hit.score == max(one.score for one in each if one.path.endswith(("cat1.dng", "cat1.mov")))


def test_the_picture_that_is_asked_with_is_no_answer_and_its_raw_photo_is(roll: Path, library: Library) -> None:
    library.index([roll])
    hits = library.search(Query((image_term(str(roll / "cat1.jpg")),), limit=100)).hits
    assert "cat1.jpg" not in shown(hits) and {"cat1.dng", "cat1.mov"} <= shown(hits).keys()


def test_a_list_shows_them_once_too(roll: Path, library: Library) -> None:
    library.index([roll])
    listed = library.list_files(sort="name", limit=100)
    assert [(os.path.basename(one.path), len(one.companions)) for one in listed.hits] == [
        ("cat1.jpg", 2), ("live3.jpg", 1), ("long9.jpg", 0), ("long9.mov", 0), ("rocket.dng", 0),
    ]  # fmt: skip
    assert listed.total == 5
    assert [hit.path for at in range(5) for hit in library.list_files(sort="name", limit=1, offset=at).hits] == [
        hit.path for hit in listed.hits
    ]
    assert library.list_files(sort="name", limit=100, copies=True).total == 8
    assert library.list_files(Filters(extensions=(".dng",))).total == 2


def test_the_table_and_json_tell_of_them(
    roll: Path, library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library.index([roll])
    monkeypatch.setenv("COLUMNS", "200")
    result = library.search(everything(limit=1))
    print_result(result, Form.JSON)
    (hit,) = json.loads(capsys.readouterr().out)["hits"]
    assert hit["companions"] == [str(roll / "cat1.dng"), str(roll / "cat1.mov")]
    print_result(result, Form.TABLE, verbose=True)
    table = capsys.readouterr().out
    assert "cat1.jpg +dng +mov" in table and f"beside it: {roll / 'cat1.dng'}" in table
