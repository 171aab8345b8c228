"""The page of `mmsearch serve`, in a real browser: what a person sees, types, presses and drops."""

from __future__ import annotations

import base64
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import PATIENCE, PHONE, Page, browser, wait_for
from conftest import Mmsearch, place_notes, place_photographs
from PIL import Image, ImageEnhance
from serving import Server, running

from mmsearch import Library
from mmsearch.server.rest.pages import FOLDER

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytest.importorskip("starlette", reason="the serve extra is not installed")
ENTER, ESCAPE, RIGHT, END, TAB = "\ue007", "\ue00c", "\ue014", "\ue010", "\ue004"
YEAR = 365 * 86_400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs and notes; and forty small pictures from eight years, so that there is something to scroll by."""
    folder = tmp_path_factory.mktemp("page") / "home"
    folder.mkdir()
    photos = place_photographs(folder)
    place_notes(folder)
    with Image.open(photos / "cat.png") as cat:
        ImageEnhance.Brightness(cat.convert("RGB")).enhance(1.2).resize((300, 200)).save(folder / "small cat.jpg")
    (folder / "colours").mkdir()
    for number in range(40):
        path = folder / "colours" / f"colour {number:02}.png"
        Image.new("RGB", (120, 80 + number), (number * 6, 255 - number * 6, 120)).save(path)
        when = 1_700_000_000 - number * YEAR / 5
        os.utime(path, (when, when))
    return folder


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    library = tmp_path_factory.mktemp("page_library") / "library"
    with Library(library) as opened:
        opened.index([home])
    with running(library, cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


def test_it_opens_with_all_files_the_newest_first(page: Page, server: Server) -> None:
    assert server.token not in page.driver.current_url
    listed = server.get("search").json
    assert page.text("#summary").split()[0] == str(listed["total"])
    assert page.names[:5] == [os.path.basename(hit["path"]) for hit in listed["hits"][:5]]
    wait_for(lambda: page.run("return [...document.querySelectorAll('#grid img')].every((one) => one.naturalWidth)"))


def test_words_are_found_as_they_are_typed(page: Page) -> None:
    page.press("/")
    page.press("a cup of coffee")
    # What was begun is answered too, one word after the other.
    wait_for(lambda: page.query == "q=a+cup+of+coffee" and "found" in page.text("#summary"))
    wait_for(lambda: {"coffee.png", "coffee.md"} <= set(page.names[:3]))
    wait_for(lambda: "coffee" in map(str.lower, page.texts("#grid mark")))
    assert page.names[0] in ("coffee.png", "coffee.md")


def test_what_fits_nothing_says_so_and_shows_all_when_asked(page: Page) -> None:
    page.open("?q=xqzt+wvvk&min_score=0.99")
    assert "Nothing close." in page.text("#message")
    page.click("#message button")
    wait_for(lambda: page.names)
    assert "min_score=0" in page.query


def test_terms_have_weights_and_may_be_taken_away(page: Page) -> None:
    page.one("#text").send_keys("an animal + 2:milk - kittens", ENTER)
    wait_for(lambda: set(page.query.split("&")) == {"q=an+animal", "q=2:milk", "not=kittens"})
    page.click('[aria-label="More weight for milk"]')
    wait_for(lambda: "q=2.5:milk" in page.query)
    page.click('[aria-label="Without: not kittens"]')
    wait_for(lambda: "not=" not in page.query)
    page.driver.back()
    wait_for(lambda: "not=kittens" in page.query)


def test_a_picture_of_ones_own_is_a_query(page: Page, home: Path) -> None:
    page.one("#picture").send_keys(str(home / "cat.png"))
    wait_for(lambda: page.query.startswith("image="))
    wait_for(lambda: page.names[:2] == ["cat.png", "small cat.jpg"])


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_may_be_dropped_and_pasted(page: Page, home: Path, way: str) -> None:
    picture = base64.b64encode((home / "coffee.png").read_bytes()).decode()
    page.run(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "mine.png", { type: "image/png" }));
        const event = arguments[1] === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
        """,
        picture,
        way,
    )
    wait_for(lambda: page.names[:1] == ["coffee.png"])


def test_filters_count_what_there_is_and_choose(page: Page) -> None:
    counted = wait_for(lambda: dict(text.split("\n") for text in page.texts("#filters .facet") if "\n" in text))
    assert counted["Texts"] == "4" and int(counted["Pictures"]) > 40
    page.click("#filters .facet", "Texts")
    wait_for(lambda: page.query == "type=text")
    wait_for(lambda: sorted(page.names) == ["coffee.md", "kitten.txt", "python.py", "tax.txt"])
    page.driver.back()
    wait_for(lambda: any(name.endswith(".png") for name in page.names))
    page.click("#filters .facet", "colours")
    wait_for(lambda: page.names and all(name.startswith("colour") for name in page.names))


def test_words_that_say_when_choose_by_date_with_one_click(page: Page) -> None:
    page.one("#text").send_keys("a colour in 2019")
    wait_for(lambda: page.text("#period") == "Only 2019 (5 files)")
    assert page.query == "q=a+colour+in+2019"
    page.click("#period")
    wait_for(lambda: page.query == "q=a+colour&when=2019")
    wait_for(lambda: page.one("#text").get_attribute("value") == "a colour")
    wait_for(lambda: not page.one("#period").is_displayed())
    page.open("?q=a+colour&when=2019&min_score=0")
    assert len(page.names) == 5 and all(name.startswith("colour") for name in page.names)
    assert page.faults() == []
    page.click('[aria-label="Without: when 2019"]')
    wait_for(lambda: "when" not in page.query)


def test_words_that_only_say_when_leave_a_list(page: Page) -> None:
    page.open("?q=2018..2019&type=image")
    page.click("#period", "Only 2018..2019 (10 files)")
    wait_for(lambda: page.query == "type=image&when=2018..2019" and len(page.names) == 10)
    assert page.one("#text").get_attribute("value") == ""


def test_a_period_is_typed_among_the_filters(page: Page) -> None:
    box = wait_for(lambda: page.one("#filters .days input[type=text]"))
    box.send_keys("summer 2019", ENTER)
    wait_for(lambda: page.query == "when=summer+2019" and len(page.names) == 1)
    assert page.all('[aria-label="Without: when summer 2019"]')
    wrong = "arguments[0].value = 'soon'; arguments[0].dispatchEvent(new Event('change'))"
    wait_for(lambda: page.run(f"{wrong}; return true", page.one("#filters .days input[type=text]")))
    wait_for(lambda: "'soon' is no period; write it as 2019" in page.text("#message"))
    assert any("400" in one for one in page.complaints())


def test_a_file_opens_large_with_what_is_known_of_it(page: Page, home: Path) -> None:
    page.open("?q=a+cat&type=image&min_score=0")
    page.click('#grid li > a[aria-label^="cat.png"]')
    wait_for(lambda: page.run("return document.querySelector('#viewer img.large')?.naturalWidth > 200"))
    wait_for(lambda: str(home) in page.text(".information"))
    assert "open=" in page.query
    shown = page.text("#viewer h2")
    page.press(RIGHT)
    wait_for(lambda: page.text("#viewer h2") != shown)
    page.press("+")
    assert "scale(1.5)" in str(wait_for(lambda: page.one("#viewer img.large").get_attribute("style")))
    page.press(ESCAPE)
    wait_for(lambda: "open=" not in page.query and not page.all("#viewer[open]"))
    wait_for(lambda: page.focused != "None")
    page.driver.refresh()
    page.loaded()
    assert page.query == "q=a+cat&type=image&min_score=0"


def test_keys_alone_are_enough(page: Page) -> None:
    page.press("/")
    page.press("a rocket", ENTER)
    wait_for(lambda: page.query == "q=a+rocket" and page.names[:1] == ["rocket.jpg"])
    for _ in range(40):
        page.press(TAB)
        if page.focused.startswith("rocket.jpg"):
            break
    page.press(ENTER)
    wait_for(lambda: page.text("#viewer h2") == "rocket.jpg" and page.text(".information"))
    page.press("+")
    wait_for(lambda: page.all("#viewer img.zoomed"))
    page.press("0", "i")
    wait_for(lambda: not page.one(".information").is_displayed())
    page.press("i", ESCAPE)
    wait_for(lambda: not page.all("#viewer[open]") and page.focused.startswith("rocket.jpg"))
    page.press("m")
    wait_for(lambda: "like=" in page.query)


def test_the_back_button_closes_a_file_and_the_address_opens_it(page: Page) -> None:
    page.open("?q=a+rocket&type=image")
    page.click('#grid li > a[aria-label^="rocket"]')
    wait_for(lambda: page.all("#viewer[open]"))
    address = page.query
    page.driver.back()
    wait_for(lambda: not page.all("#viewer[open]"))
    page.open(f"?{address}")
    assert wait_for(lambda: page.text("#viewer h2")) == "rocket.jpg"


def test_a_text_opens_at_its_words(page: Page) -> None:
    page.open("?q=income+tax")
    page.click('#grid li > a[aria-label^="tax"]')
    assert "rental contract" in wait_for(lambda: page.text(".passages"))
    assert set(map(str.lower, page.texts(".passages mark"))) == {"income", "tax"}


def test_why_a_photo_was_found_is_shown_over_it(page: Page) -> None:
    page.open("?q=a+cup+of+coffee&type=image")
    page.click('#grid li > a[aria-label^="coffee.png"]')
    page.click(".information button", "Why was it found?")
    wait_for(lambda: page.all(".stage .heat"))
    assert "what its picture shows" in page.text(".why")
    assert {"coffee"} <= {term.split()[-1] for term in page.texts(".terms-of-heat button")}
    page.click('.terms-of-heat button[aria-pressed="true"]')
    wait_for(lambda: not page.all(".stage .heat"))


def test_what_a_score_is_made_of_adds_up_to_it(page: Page) -> None:
    page.open("?q=income+tax")
    page.click('#grid li > a[aria-label^="tax.txt"]')
    page.click(".information button", "Why was it found?")
    wait_for(lambda: page.all(".why li"))
    words, text, together, *_ = page.texts(".why li")
    begun = re.fullmatch(r"its words: ([0-9.]+)", words)
    added = re.fullmatch(r"what its text means: ([0-9.]+), which is [0-9.]+ of the ([0-9.]+) left", text)
    whole = re.fullmatch(r"together, its score: ([0-9.]+)", together)
    assert begun and added and whole, (words, text, together)
    assert Decimal(begun[1]) + Decimal(added[1]) == Decimal(whole[1])
    assert Decimal(begun[1]) + Decimal(added[2]) == 1


def test_more_like_this_and_less_like_that(page: Page) -> None:
    page.open("?q=colours&type=image&min_score=0")
    name = page.names[0]
    page.click(f'#grid li > a[aria-label^="{name}"]')
    wait_for(lambda: page.text("#viewer h2"))
    page.click("#viewer button", "More like this")
    wait_for(lambda: "&like=" in page.query)
    wait_for(lambda: page.names and name not in page.names)  # what is judged is no answer
    assert "more like" in page.text("#terms")


def test_many_are_chosen_by_keys_and_come_as_a_zip(page: Page, tmp_path: Path, server: Server) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", behaviour)
    page.open("?sort=name")
    first = page.all("#grid li > a")[0]
    page.run("arguments[0].focus()", first)
    page.press("x")
    for _ in range(3):
        page.press(RIGHT)
    wait_for(lambda: page.focused.startswith(page.names[3]))
    page.run(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'X', shiftKey: true, bubbles: true}))"
    )
    wait_for(lambda: page.text("#chosen-count") == "4 files chosen")
    names = page.names[:4]
    page.one("#chosen-zip").click()
    archive = wait_for(lambda: [path for path in tmp_path.iterdir() if path.suffix == ".zip"])[0]
    with zipfile.ZipFile(archive) as packed:
        assert sorted(map(os.path.basename, packed.namelist())) == sorted(names)
    page.press(ESCAPE)
    wait_for(lambda: not page.one("#chosen").is_displayed())


def test_months_beside_the_list_lead_there(page: Page) -> None:
    page.open("?type=image")
    wait_for(lambda: page.one("#scrubber").is_displayed())
    scrubber = page.one("#scrubber")
    scrubber.send_keys(END)
    wait_for(lambda: page.run("return scrollY") > 0)
    wait_for(lambda: "colour 39.png" in page.names)


def test_duplicates_lie_side_by_side(page: Page, home: Path) -> None:
    page.one("#duplicates-button").click()
    pair = wait_for(lambda: page.one(".pair"))
    assert "Keep: cat.png" in pair.text
    assert "small cat.jpg" in pair.text
    page.driver.back()
    wait_for(lambda: page.names)


def test_new_files_come_by_themselves(page: Page, home: Path, server: Server, mmsearch: Mmsearch) -> None:
    shutil.copy(home / "coins.png", home / "fresh coins.png")
    with Image.open(home / "coins.png") as coins:
        coins.rotate(180).save(home / "turned coins.png")
    library = Path(server.get("status").json["library"])
    assert mmsearch("index", library=library).code == 0
    wait_for(lambda: "turned coins.png" in page.names)


def test_pages_that_were_left_hold_no_connection_and_are_up_to_date_once_one_comes_back(
    page: Page, home: Path, server: Server, mmsearch: Mmsearch
) -> None:
    """A browser has six connections to one server, for all pages that it keeps to go back to."""
    page.driver.set_page_load_timeout(PATIENCE / 2)
    for word in ("coins", "coffee", "rocket", "cat", "moon", "bricks", "grass"):
        page.open(f"?q={word}")
    page.open("?type=image")
    page.driver.get("about:blank")
    with Image.open(home / "coins.png") as coins:
        coins.rotate(90).save(home / "late coins.png")
    assert mmsearch("index", library=Path(server.get("status").json["library"])).code == 0
    page.driver.back()
    wait_for(lambda: "late coins.png" in page.names)
    with Image.open(home / "coins.png") as coins:
        coins.rotate(270).save(home / "later coins.png")
    assert mmsearch("index", library=Path(server.get("status").json["library"])).code == 0
    wait_for(lambda: "later coins.png" in page.names)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everybody_can_use_it(server: Server, dark: bool) -> None:
    with browser(dark=dark) as driver:
        page = Page(driver, server.address).loaded()
        assert page.faults() == []
        page.open("?q=a+cat&not=milk")
        assert page.faults() == []
        page.click('#grid li > a[aria-label^="cat.png"]')
        wait_for(lambda: page.text(".information"))
        assert page.faults() == []
        page.open("?q=xqzt+wvvk&min_score=0.99")
        assert page.faults() == []
        page.open("?view=duplicates")
        wait_for(lambda: page.all(".pair"))
        assert page.faults() == []


def test_it_fits_a_phone(server: Server) -> None:
    with browser(PHONE) as driver:
        page = Page(driver, server.address).loaded()
        assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
        page.open("?q=a+cat&not=milk&type=image")
        counts = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/facets')).length"
        assert page.run(counts) == 0  # nobody looks at the panel
        page.one("#filters-button").click()
        wait_for(lambda: page.texts("#filters .facet"))
        assert page.run(counts) == 1
        page.one("#filters-button").click()
        page.click('#grid li > a[aria-label^="cat.png"]')
        wait_for(lambda: page.text(".information"))
        assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
        assert page.complaints() == []


def test_without_a_token_it_says_where_to_find_one(driver: WebDriver, server: Server) -> None:
    driver.delete_all_cookies()
    driver.get(server.address.split("?", 1)[0])
    assert "token" in driver.find_element("css selector", "body").text.lower()


def test_a_server_that_has_ended_is_told_of(home: Path, tmp_path: Path, driver: WebDriver) -> None:
    with Library(tmp_path / "library") as opened:
        opened.index([home / "colours"])
    with running(tmp_path / "library", cache=tmp_path / "cache") as server:
        page = Page(driver, server.address).loaded()
        server.end()
        page.one("#text").send_keys("green", ENTER)
        assert "mmsearch serve" in wait_for(lambda: page.text("#message"))


def test_it_is_small_and_asks_nobody_else() -> None:
    from mmsearch.server.rest.pages import Pages

    parts = [path for path in Path(FOLDER).iterdir() if path.is_file()]
    assert sum(len(page.packed) for page in Pages()._pages.values()) < 60_000
    for path in parts:
        links = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in links
        assert "https://" not in links
