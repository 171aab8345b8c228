"""Long lists and answers on the page: groups under headings, the months beside them, orders, and where they end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from browsing import PHONE, WIDE, Page, browser, wait_for
from serving import Server, running

from mmsearch import Library

pytest.importorskip("starlette", reason="the serve extra is not installed")
END = "\ue010"
NOTES, DAY = 300, 86_400
LAST = int(datetime(2023, 11, 14, 12).timestamp())  # the day, wherever this runs
# Where the files that are in the page begin and end, in pixels below the window's upper edge,
EDGES = """
const boxes = [...document.querySelectorAll("#grid li")].map((one) => one.getBoundingClientRect());
return { top: Math.min(...boxes.map((one) => one.top)), bottom: Math.max(...boxes.map((one) => one.bottom)) };
"""
# and whether the window is full of them.
NEAR = """
const boxes = [...document.querySelectorAll("#grid li")].map((one) => one.getBoundingClientRect());
const end = Math.min(document.getElementById("grid").getBoundingClientRect().bottom, innerHeight) - 10;
return boxes.some((one) => one.top < 200) && boxes.some((one) => one.bottom >= end);
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders with a hundred notes each, which fit "a boat" less and less; two a day, every sixth day."""
    folder = tmp_path_factory.mktemp("lists") / "home"
    for number in range(NOTES):
        path = folder / f"part {number % 3}" / f"note {number:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"A boat on the water.{' Tax forms.' * (number % 50)} Number {number}.")
        os.utime(path, (moment_of(number), moment_of(number)))
    return folder


def moment_of(number: int) -> int:
    return LAST - number // 2 * 6 * DAY - number % 2


def month_of(number: int) -> str:
    return f"{datetime.fromtimestamp(moment_of(number)):%Y-%m}"


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    library = tmp_path_factory.mktemp("lists_library") / "library"
    with Library(library) as opened:
        opened.index([home])
    with running(library, cache=tmp_path_factory.mktemp("cache")) as one:
        yield one


def headings(page: Page) -> list[str]:
    return page.texts("#grid h2")


# The answer that knows of fewer comes just after the one that knows of all.
LATE = """const asked = window.fetch; let letGo; const other = new Promise((done) => { letGo = done; });
window.fetch = async (address, options) => {
  const answer = await asked(address, options);
  if (String(address).includes("offset=180")) setTimeout(letGo, 10);
  if (String(address).includes("offset=120")) await other;
  return answer; };"""


@pytest.mark.parametrize("delay", ["", LATE], ids=["as they come", "out of order"])
def test_whatever_answers_can_be_scrolled_to(page: Page, server: Server, delay: str) -> None:
    assert server.get("search", q="ships", min_score=0, limit=60).json["total_exact"] is False
    page.open("?q=ships&min_score=0")
    page.run(delay)
    assert "or more found" in page.text("#summary")

    def at_the_end() -> bool:
        page.run("scrollTo(0, document.body.scrollHeight)")
        return bool(page.all(f'#grid li[aria-posinset="{NOTES}"]'))

    wait_for(at_the_end)
    assert page.text("#summary").startswith(f"{NOTES} files found")
    last = server.get("search", q="ships", min_score=0, offset=NOTES - 1).json["hits"][0]["path"]
    assert page.names[-1] == os.path.basename(last)


def test_what_could_not_be_had_comes_once_the_server_can_be_reached_again(page: Page, server: Server) -> None:
    page.open("?q=ships&min_score=0")

    def cut_off(is_offline: bool) -> None:
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": is_offline, **speed})

    page.driver.execute_cdp_cmd("Network.enable", {})
    first, found = {*page.names}, page.text("#summary")
    cut_off(True)
    try:
        page.run("scrollTo(0, document.body.scrollHeight)")
        wait_for(lambda: "more found" not in page.text("#summary"))
    finally:
        cut_off(False)
    # Nobody scrolls.
    wait_for(lambda: {*page.names} - first)
    assert "found" in found and "found" in page.text("#summary")
    assert all("DISCONNECTED" in complaint for complaint in page.complaints())


def test_of_a_long_list_only_what_is_near_the_window_is_in_the_page(page: Page) -> None:
    height = WIDE[1]
    assert page.run(EDGES)["bottom"] < 2 * height
    for step in range(1, 8):
        page.run("scrollTo(0, arguments[0])", step * height)
        wait_for(lambda: page.run(NEAR))
    wait_for(lambda: page.run(EDGES)["top"] > -2 * height)
    assert page.run(EDGES)["bottom"] < 2 * height
    numbers = page.run("return [...document.querySelectorAll('#grid li')].map((one) => Number(one.ariaPosInSet))")
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[0] > 1


def test_days_are_headings_and_the_months_lead_to_them(page: Page) -> None:
    page.one("#group").send_keys("day")
    wait_for(lambda: page.query == "group=day" and headings(page))
    assert headings(page)[:2] == ["14 November 2023", "8 November 2023"]
    assert page.names[:3] == ["note 000.txt", "note 001.txt", "note 002.txt"]
    wait_for(lambda: page.one("#scrubber").is_displayed())
    page.one("#scrubber").send_keys(END)
    first = next(number for number in range(NOTES) if month_of(number) == month_of(NOTES - 1))
    wait_for(lambda: f"note {first}.txt" in page.names)
    assert headings(page)[-1].endswith("2021")
    assert page.faults() == []


def test_folders_are_headings_and_there_are_no_months(page: Page, home: Path) -> None:
    page.open("?group=folder")
    assert page.one("#sort").get_attribute("value") == "name"
    assert headings(page)[0] == str(home / "part 0")
    page.run("document.querySelector('#grid li > a').focus()")
    page.press(END)
    wait_for(lambda: "note 299.txt" in page.names)
    seen = [*headings(page)]
    while page.run("return scrollY") > 0:  # back to the begin, a window at a time
        page.run("scrollBy(0, -innerHeight)")
        wait_for(lambda: page.run(NEAR))
        seen += [heading for heading in headings(page) if heading not in seen]
    assert seen == [str(home / name) for name in ("part 2", "part 1", "part 0")]
    assert not page.one("#scrubber").is_displayed()


def test_an_answer_by_date_is_so_from_its_first_to_its_last(page: Page) -> None:
    page.open("?q=a+boat&min_score=0")
    page.one("#sort").send_keys("date")
    wait_for(lambda: page.names[:2] == ["note 000.txt", "note 001.txt"])
    assert page.text("#summary").startswith(f"{NOTES} files found")
    wait_for(lambda: page.one("#scrubber").is_displayed())
    page.one("#scrubber").send_keys(END)
    wait_for(lambda: page.names[-1:] == [f"note {NOTES - 1}.txt"])
    assert page.names == sorted(page.names)


def test_the_slider_shows_where_nothing_close_begins_wherever_it_stands(page: Page, server: Server) -> None:
    begins = server.get("search", q="a boat").json["thresholds"]["text"]
    page.open("?q=a+boat")
    assert page.text("#score-value") == f"{begins:.2f}, where close begins"
    page.open("?q=a+boat&min_score=0.9")
    wait_for(lambda: page.text("#score-value") == f"0.90 (close from {begins:.2f})")
    assert float(page.run("return document.getElementById('score-begins').style.getPropertyValue('--at')")) == begins


def test_groups_fit_a_phone(server: Server) -> None:
    with browser(PHONE, dark=True) as driver:
        page = Page(driver, server.address).open("?q=a+boat&q=2:water&not=tax&group=day&min_score=0")
        wait_for(lambda: headings(page))
        assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
        assert page.faults() == []
        assert page.complaints() == []
