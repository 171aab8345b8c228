"""Films and documents on the page: they open at the place that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import PHONE, Page, browser, wait_for
from conftest import place_photographs
from made_videos import Shape, write_film
from office_files import docx, paragraph
from pdf_writer import text_page, written
from PIL import Image
from serving import Server, running

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")
pytest.importorskip("av", reason="the video extra is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of a film that shows a cat and then a cup of coffee, and of a contract with three pages."""
    folder = tmp_path_factory.mktemp("media")
    photos = place_photographs(folder)
    home = folder / "home"
    home.mkdir()
    with Image.open(photos / "cat.png") as cat, Image.open(photos / "coffee.png") as coffee:
        write_film(home / "film.webm", [(cat, 5), (coffee, 5)], Shape(codec="libvpx"))
    pages = [text_page("Rental contract"), text_page("The pension insurance pays."), text_page("Signed in July.")]
    (home / "contract.pdf").write_bytes(written(pages))
    with Library(folder / "library") as library:
        library.index([home])
    with running(folder / "library", cache=folder / "cache") as one:
        yield one


def test_a_film_plays_from_its_moment(page: Page, server: Server) -> None:
    moment = server.get("search", q="a cup of coffee", type="video", min_score=0).json["hits"][0]["time"][0]
    assert moment > 3
    page.open("?q=a+cup+of+coffee&type=video&min_score=0")
    page.click("#grid li > a", "")
    now = "return document.querySelector('#viewer video')?.currentTime"
    wait_for(lambda: abs((page.run(now) or 0) - moment) < 0.5)


@pytest.mark.parametrize("size", [(1280, 800), PHONE], ids=["wide", "phone"])
def test_a_document_opens_at_its_page_with_the_words_marked(server: Server, size: tuple[int, int]) -> None:
    with browser(size) as driver:
        page = Page(driver, server.address).open("?q=pension+insurance&type=document")
        page.click("#grid li > a", "")
        wait_for(lambda: page.run("return document.querySelector('.page img')?.naturalWidth"))
        assert "page 2 of 3" in page.text(".page")
        assert "page=2" in page.query
        wait_for(lambda: page.texts(".passages mark") == ["pension", "insurance"])
        mark = page.one(".passages mark")
        page.run("arguments[0].scrollIntoView()", mark)
        seen = (
            "const box = arguments[0].getBoundingClientRect();"
            "return document.elementFromPoint(box.x + 2, box.y + 2) === arguments[0]"
        )
        assert page.run(seen, mark)
        if size == PHONE:  # one below the other
            edges = "const at = (name) => document.querySelector(name).getBoundingClientRect();"
            assert page.run(f"{edges} return at('.passages').top >= at('.page').bottom")
            assert page.run(f"{edges} return at('.information').top >= at('.passages').bottom")
        page.click('[aria-label="Next page"]')
        wait_for(lambda: "page 3 of 3" in page.text(".page"))
        assert page.run("return document.documentElement.scrollWidth") <= size[0]
        assert page.complaints() == []


def test_names_of_documents_without_a_picture_are_read_on_a_phone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("budget 2024", "minutes of May", "CV Anna", "letter to Paul", "packing list", "insurance"):
        docx(home / f"{name}.docx", paragraph(f"This is the {name}, and it has few words."))
    with Library(tmp_path / "library") as library:
        library.index([home])
    with running(tmp_path / "library", cache=tmp_path / "cache") as server, browser(PHONE) as driver:
        page = Page(driver, server.address).loaded()
        wait_for(lambda: len(page.all("#grid .card strong")) == 6)
        # In how many lines each word stands of each name.
        lines = page.run(
            """
            return [...document.querySelectorAll("#grid .card strong")].flatMap(({ firstChild: text }) =>
              [...text.data.matchAll(/\\S+/g)].map(({ index, 0: word }) => {
                const range = document.createRange();
                range.setStart(text, index);
                range.setEnd(text, index + word.length);
                return range.getClientRects().length;
              }));
            """
        )
        assert lines == [1] * 13
        assert page.faults() == []
