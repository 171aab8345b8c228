"""The page of `mmsearch serve --allow-index`: a run of index is started, followed and stopped, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browsing import PHONE, Page, browser, wait_for
from conftest import make_home
from interrupting import hooked
from serving import Server, running

from mmsearch import Library
from mmsearch.files.locking import WriterLock

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

pytest.importorskip("starlette", reason="the serve extra is not installed")
# Once all is walked, and before anything is read.
PULL_OUT = """
import os
def changed(module):
    def pulled(name):
        if name == "run begun":
            os.rename({drive!r}, {elsewhere!r})
    module.crash_point = pulled
"""
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two roots, `home` and `more`, and their library."""
    make_home(tmp_path / "home")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "boat.txt").write_text("A note about boats.")
    with Library(tmp_path / "library") as library:
        library.index([tmp_path / "home", tmp_path / "more"])
    return tmp_path


@pytest.fixture
def server(folders: Path) -> Iterator[Server]:
    with running(folders / "library", "--allow-index", cache=folders / "cache") as one:
        yield one


def opened(page: Page) -> Page:
    """With the dialog of runs open, and all folders there to choose from."""
    wait_for(lambda: page.all("#index-button"))
    page.one("#index-button").click()
    wait_for(lambda: len(page.all("#index-root option")) == 3)
    return page


def test_a_run_is_started_by_keys_and_what_came_of_it_is_told(page: Page, folders: Path) -> None:
    (folders / "home" / "new.txt").write_text("A note about whales.")
    (folders / "home" / "torn.png").write_bytes((folders / "home" / "cat.png").read_bytes()[:50])
    (folders / "more" / "later.txt").write_text("A note about trains.")
    wait_for(lambda: page.all("#index-button"))
    page.run("document.getElementById('index-button').focus()")
    page.press(ENTER)
    wait_for(lambda: len(page.all("#index-root option")) == 3)
    options = page.texts("#index-root option")
    assert options[1:] == [f"{folders / 'home'} (4 files)", f"{folders / 'more'} (1 file)"]
    page.one("#index-root").send_keys(str(folders / "home"))
    page.press(TAB, ENTER)
    wait_for(lambda: "1 new, 1 could not be read" in page.text("#index [role=status]"))
    assert "torn.png" in page.text("#index .outcome")
    assert page.run("return document.activeElement.innerText") == "Start"
    assert page.faults() == []
    page.press(ESCAPE)
    wait_for(lambda: "new.txt" in page.names)
    assert "later.txt" not in page.names


def test_a_run_is_stopped(page: Page, folders: Path) -> None:
    for number in range(2_000):
        (folders / "more" / f"{number}.txt").write_text(f"A note about boat number {number}.")
    opened(page).click("#index button", "Start")
    wait_for(lambda: page.one("#job").is_displayed())
    assert "goes on" in page.text("#index [role=status]")
    page.click("#index button", "Stop")
    wait_for(lambda: page.text("#index [role=status]").startswith("Stopped."))
    assert not page.one("#job-progress").is_displayed()


def test_what_is_refused_is_told_and_a_drive_that_is_away(page: Page, folders: Path) -> None:
    shutil.move(folders / "more", folders / "elsewhere")
    opened(page)
    assert page.texts("#index-root option")[2] == f"{folders / 'more'} (not there now)"
    page.click("#index button", "Start")
    wait_for(lambda: "Not there now, and kept" in page.text("#index .outcome"))
    with WriterLock(os.fspath(folders / "library")):
        page.click("#index button", "Start")
        wait_for(lambda: "is being written by process" in page.text("#index .trouble"))
    assert page.faults() == []


def test_a_drive_that_goes_while_it_is_read_is_told(
    driver: WebDriver, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kite.txt", "whale.txt"):
        (folders / "more" / name).write_text(f"A note on a {name}.")
    code = PULL_OUT.format(drive=str(folders / "more"), elsewhere=str(folders / "elsewhere"))
    monkeypatch.setenv("PYTHONPATH", hooked(folders, "mmsearch.files.crash_points", code)["PYTHONPATH"])
    with running(folders / "library", "--allow-index", cache=folders / "cache") as server:
        page = opened(Page(driver, server.address).loaded())
        page.click("#index button", "Start")
        wait_for(lambda: "Not there now, and kept" in page.text("#index .outcome"))
        told = page.text("#index .outcome")
        assert f"{folders / 'more'} went away while it was read; 2 files left to the next run" in told


def test_a_run_of_another_program_is_seen_and_a_phone_shows_it(server: Server, folders: Path) -> None:
    with browser(PHONE, dark=True) as driver:
        page = opened(Page(driver, server.address).loaded())
        assert server.send("index", {}).status == 202
        wait_for(lambda: "5 as before" in page.text("#index [role=status]"))
        assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
        assert page.faults() == []


def test_where_it_is_not_allowed_there_is_nothing_of_it(driver: WebDriver, folders: Path) -> None:
    with running(folders / "library", cache=folders / "cache") as server:
        page = Page(driver, server.address).loaded()
        requests = "return performance.getEntriesByType('resource').map((one) => one.name)"
        wait_for(lambda: any(name.endswith("/status") for name in page.run(requests)))
        assert not page.all("#index") and not page.all("#index-button")
        assert page.texts("header nav button") == ["Filters", "Duplicates", "?"]
