"""A person puts what was found on one page with small pictures, to look through it or to send it on."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from browsing import PHONE, browser
from conftest import Mmsearch
from made_videos import write_film
from office_files import docx, paragraph, picture
from pdf_writer import text_page, written
from PIL import Image

from mmsearch import Library

HOSTILE = "<img src=x onerror=alert(1)>\"'&\x1b[2J.png"


class Page(HTMLParser):
    """What a browser sees of a contact sheet: its elements with their attributes, and its words."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str, name: str) -> list[str]:
        return [
            attributes[name] or "" for element, attributes in self.elements if element == tag and name in attributes
        ]


def page_at(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pictures_of(page: Page) -> list[Image.Image]:
    sources = [source.removeprefix("data:image/jpeg;base64,") for source in page.all("img", "src")]
    return [Image.open(io.BytesIO(base64.b64decode(source, validate=True))) for source in sources]


def colour_of(picture: Image.Image) -> tuple[int, ...]:
    """The colour in its middle, to the nearest of the eight plain ones."""
    pixel = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(pixel, tuple)
    return tuple(255 * (value > 127) for value in pixel)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one file of each medium. Tests do not change it."""
    folder = tmp_path_factory.mktemp("mixed") / "files"
    folder.mkdir()
    Image.new("RGB", (640, 320), "red").save(folder / "a.png")
    (folder / "b.pdf").write_bytes(written([text_page("The first page."), text_page("Our kittens sleep in a basket.")]))
    body = paragraph("A letter on ships and harbours.", before='<a:blip r:embed="p1"/>')
    members: dict[str, str | bytes] = {"word/media/1.png": picture(colour="blue")}
    docx(folder / "c.docx", body, members, [("p1", "image", "media/1.png")])
    write_film(folder / "d.mp4", [(Image.new("RGB", (192, 128), "lime"), 4), (Image.new("RGB", (192, 128), "blue"), 4)])
    (folder / "e.txt").write_text("Grind the beans & heat <b>water</b>.")
    (folder / "f.csv").write_text("name,town\nAda,London\nGrace,New York\n")
    return folder


@pytest.fixture(scope="module")
def listed(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    with Library(folder) as library:
        assert library.index(mixed).failed == 0
    return folder


def test_each_file_is_shown_by_what_a_person_sees_of_it(
    mmsearch: Mmsearch, listed: Path, mixed: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.html"
    done = mmsearch("search", "--in", mixed, "--sort", "name", "--contact-sheet", sheet, library=listed)
    assert done.code == 0
    assert len(done.out.splitlines()) == 6
    assert done.err == f"mmsearch: a contact sheet of 6 hits is in {sheet}.\n"
    page = page_at(sheet)
    photo, paper, embedded, frame = pictures_of(page)
    assert photo.size == (480, 240)
    assert colour_of(photo) == (255, 0, 0)
    assert paper.height > paper.width
    assert colour_of(paper) == (255, 255, 255)
    assert colour_of(embedded) == (0, 0, 255)
    assert colour_of(frame) == (0, 255, 0)
    assert "Grind the beans & heat" in page.words
    assert "Ada,London Grace,New York" in page.words
    links = [unquote_to_bytes(link.removeprefix("file://")) for link in page.all("a", "href")]
    assert links == [os.fsencode(mixed / name) for name in ("a.png", "b.pdf", "c.docx", "d.mp4", "e.txt", "f.csv")]


def test_a_film_is_shown_at_its_moment_and_a_document_at_its_page(listed: Path, mixed: Path) -> None:
    from mmsearch.reading import shown_at
    from mmsearch.records import Locator

    film = os.fsencode(mixed / "d.mp4")
    for seconds, colour in ((0.0, (0, 255, 0)), (6.0, (0, 0, 255)), (2.0, (0, 255, 0))):
        shown = shown_at(film, Locator(time=(seconds, seconds + 2)), 100).picture
        assert shown is not None
        assert colour_of(shown) == colour, seconds
    pages = [shown_at(os.fsencode(mixed / "b.pdf"), Locator(page=number), 200).picture for number in (1, 2)]
    assert pages[0] is not None and pages[1] is not None
    assert pages[0].tobytes() != pages[1].tobytes()


def test_a_search_shows_scores_ranks_and_the_passage(
    mmsearch: Mmsearch, indexed: Path, photos: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.htm"
    done = mmsearch("search", "a cup of coffee", "-n", "2", "--contact-sheet", sheet, "--json", library=indexed)
    assert done.code == 0
    page = page_at(sheet)
    for hit in done.json["hits"]:
        assert f"#{hit['rank']} · {hit['score']:.2f} · " in page.words
    assert "Grind the beans" in page.words
    assert "a cup of coffee" in page.words
    assert len(pictures_of(page)) == 1


def test_the_page_asks_for_nothing_and_runs_nothing(mmsearch: Mmsearch, listed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    assert mmsearch("search", "--sort", "name", "--contact-sheet", sheet, library=listed).code == 0
    page, markup = page_at(sheet), sheet.read_text(encoding="utf-8")
    assert {tag for tag, _ in page.elements} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "ol", "li", "a", "span", "img",
    }  # fmt: skip
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.all("img", "src"))
    assert all(link.startswith("file:///") for link in page.all("a", "href"))
    (policy,) = [content for content in page.all("meta", "content") if "default-src" in content]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    (style,) = re.findall("<style>(.*)</style>", markup, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "url(" not in style and "@import" not in style
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not page.all("span", "style")


def test_what_is_said_of_a_picture_stands_within_its_card(mmsearch: Mmsearch, listed: Path, tmp_path: Path) -> None:
    """In a real browser, beside an edge and not upon it."""
    sheet = tmp_path / "sheet.html"
    mmsearch("search", "--sort", "name", "--contact-sheet", sheet, library=listed)
    with browser(PHONE) as driver:
        driver.get(sheet.as_uri())
        insets = driver.execute_script(
            """
            return [...document.querySelectorAll("li")].map((card) => {
              const [edge, name] = [card, card.querySelector(".name")].map((one) => one.getBoundingClientRect());
              return [name.left - edge.left, edge.right - name.right];
            });
            """
        )
    assert insets
    assert all(left >= 8 and right >= 8 for left, right in insets)


@pytest.mark.slow
def test_names_from_elsewhere_are_no_markup(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "teal").save(home / "x.png")
    (home / "x.png").rename(home / HOSTILE.replace("/", ""))
    hostile = os.fsencode(home) + b"/\xff<b>.png"
    Image.new("RGB", (300, 300), "olive").save(home / "y.png")
    os.rename(home / "y.png", hostile)
    assert mmsearch("index", home).code == 0
    sheet = tmp_path / "sheet.html"
    query = "<script>alert(1)</script>"
    done = mmsearch("search", query, "--min-score", "0", "--ext", "png", "--contact-sheet", sheet)
    assert done.code == 0
    page = page_at(sheet)
    assert "script" not in {tag for tag, _ in page.elements}
    assert "b" not in {tag for tag, _ in page.elements}
    assert query in page.words
    assert "<img src=x onerror=alert(1)>\"'&\\x1b[2J.png" in page.words
    links = [unquote_to_bytes(link.removeprefix("file://")) for link in page.all("a", "href")]
    assert hostile in links
    assert b"\x1b" not in sheet.read_bytes()


@pytest.mark.slow
def test_what_cannot_be_shown_says_why(mmsearch: Mmsearch, home: Path, tmp_path: Path) -> None:
    assert mmsearch("index", home).code == 0
    (home / "cat.png").unlink()
    (home / "coffee.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for name in ("sheet.html", "sheet.png"):
        done = mmsearch("search", "--type", "image", "--contact-sheet", tmp_path / name)
        assert done.code == 0
    words = page_at(tmp_path / "sheet.html").words
    assert "not there now" in words
    assert "PNG" in words
    assert not pictures_of(page_at(tmp_path / "sheet.html"))


def test_a_png_is_a_grid_of_all_hits(mmsearch: Mmsearch, listed: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert mmsearch("search", "--sort", "name", "--contact-sheet", sheet, library=listed).code == 0
    with Image.open(sheet) as opened:
        assert opened.format == "PNG"
        grid = opened.convert("RGB")
    assert grid.size == (3 * 252 + 12, 2 * 238 + 12)
    middles = [(12 + column * 252 + 120, 12 + row * 238 + 90) for row in range(2) for column in range(3)]
    colours = [tuple(255 * (value > 127) for value in grid.getpixel(middle)) for middle in middles[:4]]  # type: ignore[union-attr]
    assert colours == [(255, 0, 0), (255, 255, 255), (0, 0, 255), (0, 255, 0)]


@pytest.mark.slow
def test_a_contact_sheet_takes_the_place_of_one_and_of_nothing_else(
    mmsearch: Mmsearch, home: Path, tmp_path: Path
) -> None:
    assert mmsearch("index", home).code == 0
    before = (home / "cat.png").read_bytes()
    done = mmsearch("search", "a cat", "--contact-sheet", home / "cat.png")
    assert (done.code, done.out) == (2, "")
    assert "is no contact sheet of mmsearch and is not overwritten" in done.err
    assert (home / "cat.png").read_bytes() == before
    sheet = home / "sheet.html"
    assert mmsearch("search", "a cat", "--contact-sheet", sheet).code == 0
    first = sheet.read_bytes()
    assert mmsearch("index").code == 0  # it lies among what is searched by now
    assert mmsearch("search", "--ext", "png", "--contact-sheet", sheet).code == 0
    assert sheet.read_bytes() != first
    assert os.stat(sheet).st_mode & 0o077 == 0
    assert sorted(path.name for path in home.iterdir()) == [
        "cat.png",
        "coffee.md",
        "coffee.png",
        "sheet.html",
        "tax.txt",
    ]


def test_no_hits_leave_no_sheet(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    assert (
        mmsearch("search", "a cat", "--ext", "xyz", "--contact-sheet", tmp_path / "a.html", library=indexed).code == 1
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("-", "end '-' in .html or .png"),
        ("sheet.pdf", "in .html or .png"),
        ("none/sheet.png", "There is no folder"),
        ("folder.html", "is a folder, not a regular file"),
    ],
)
def test_where_no_sheet_can_be_is_said_before_anything_is_looked_for(
    mmsearch: Mmsearch, indexed: Path, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    place = name if name == "-" else tmp_path / name
    done = mmsearch("search", "a cat", "--contact-sheet", place, library=indexed)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_many_queries_have_no_contact_sheet(mmsearch: Mmsearch, indexed: Path, tmp_path: Path) -> None:
    done = mmsearch("search", "--batch", "-", "--contact-sheet", tmp_path / "a.html", library=indexed, stdin="a cat\n")
    assert done.code == 2
    assert "leave the others out" in done.err
