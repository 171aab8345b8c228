"""What the page of `mmsearch serve` costs a browser, at 100,000 photos.

    python -m benchmarks.page --photos ~/Pictures

Makes a library whose vectors are grown from those of some real photos (`benchmarks.large_library`), serves it, and
drives Debian's Chromium by chromedriver (`pip install selenium`). The work of the page's main thread is told by
`Performance.getMetrics`, in processor time, which does not depend on what else the machine does as the time from a
keystroke to the hits does. Of what is listed and found there are files of the right size, with nothing in them, and
thumbnails of the real photos, as a server has them that has drawn them before.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from PIL import Image, ImageOps

from benchmarks.large_library import make_library, photos_of, texts_of, vectors_of_photos
from benchmarks.measuring import machine, middle
from benchmarks.tables import table, write_section
from mmsearch import Hit, Library, ListedFile
from mmsearch.searching.query import Query, text_term
from mmsearch.server.filtering import filters_of
from mmsearch.showing.thumbnail_cache import ThumbnailCache
from mmsearch.showing.thumbnails import KEPT_SIDE

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

PHOTOS_ENCODED = 300
SHOWN = 60  # hits of a search that the page asks for at once
TEXTS = 6
PATIENCE = 60.0
WAITED = 300  # milliseconds, in app.js
# From the keystroke, or the change of the address, on: until the hits of the new query are in the page and drawn.
_TYPED = """
const [text, done] = arguments;
const box = document.getElementById("text"), grid = document.getElementById("grid");
const seen = new MutationObserver(() => {
  if (!grid.querySelector("li") || grid.classList.contains("waiting")) return;
  seen.disconnect();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
});
seen.observe(grid, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
grid.replaceChildren();
const begun = performance.now();
if (text.startsWith("?")) {
  history.pushState(null, "", text);
  dispatchEvent(new PopStateEvent("popstate"));
} else {
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
"""
# Through all of a list, a window at a time, as a person drags the scroll bar.
_SCROLLED = """
const [steps, done] = arguments;
let step = 0;
const next = () => {
  if (step > steps) {
    const last = document.querySelector("#grid").lastElementChild?.querySelector("li:last-child");
    if (last && last.ariaPosInSet === last.ariaSetSize) return setTimeout(done, 500);
    return setTimeout(next, 50);
  }
  scrollTo({ top: document.body.scrollHeight * step / steps, behavior: "instant" });
  step += 1;
  setTimeout(next, 50);
};
next();
"""
_LOADED = """
const parts = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
const own = parts.filter((part) => !part.name.includes("/api/"));
const sum = (name) => own.reduce((all, part) => all + part[name], 0);
return [own.length, sum("encodedBodySize"), sum("decodedBodySize")];
"""


def make(place: Path, photos: Path, rows: int, listed: str) -> list[str]:
    """In that folder a library, and of what will be looked at files to be seen and thumbnails to be shown.

    Returns texts that many photos answer.
    """
    library, away = place / "library", place / "photos"
    if not library.exists():
        make_library(library, vectors_of_photos(photos, PHOTOS_ENCODED), rows, root=os.fsencode(away))
    with Library(library) as opened:
        filters = filters_of(dict(parse_qsl(listed)))
        hits: list[ListedFile | Hit] = [*opened.list_files(filters, limit=rows).hits]
        texts: list[str] = []
        for text in dict.fromkeys(texts_of(1_000)):
            found = opened.search(Query((text_term(text),), limit=SHOWN)).hits
            if len(found) == SHOWN:
                texts, hits = [*texts, text], [*hits, *found]
            if len(texts) == TEXTS:
                break
        library_id = opened.session().mark().library_id
    cache = ThumbnailCache(str(place / "cache" / "mmsearch" / "thumbnails"))
    pictures = itertools.cycle([*map(small, photos_of(photos, PHOTOS_ENCODED))])
    for hit, jpeg in zip(hits, pictures, strict=False):
        path = Path(hit.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(hit.bytes)
        cache.put(library_id, hit.id, f"{KEPT_SIDE} None None", jpeg)
    return texts


def small(path: bytes) -> bytes:
    """A JPEG of a photo as thumbnails are, of 4:3."""
    with Image.open(os.fsdecode(path)) as picture, io.BytesIO() as written:
        ImageOps.fit(picture.convert("RGB"), (KEPT_SIDE, KEPT_SIDE * 3 // 4)).save(written, "JPEG", quality=80)
        return written.getvalue()


@contextmanager
def served(place: Path) -> Iterator[str]:
    """The address of a server of the library there."""
    command = [sys.executable, "-m", "mmsearch", "serve", "--library", str(place / "library"), "--no-open"]
    cache = {"XDG_CACHE_HOME": str(place / "cache")}
    process = subprocess.Popen(command, env={**os.environ, **cache}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browser() -> Iterator[WebDriver]:
    """Debian's Chromium, headless, with its own measures turned on."""
    from selenium import webdriver

    program, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver_path is None:
        sys.exit("chromium and chromium-driver are not installed.")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(one)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.set_script_timeout(PATIENCE)
        screen = {"width": 1300, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        yield driver
    finally:
        driver.quit()


def wait_for(what: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            sys.exit("The page does not get ready.")
        time.sleep(0.05)


def metrics(driver: WebDriver) -> dict[str, float]:
    """Milliseconds of the page's main thread until now, by kind; counts of elements as they are."""
    told = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {one["name"]: one["value"] * (1000 if one["name"].endswith("Duration") else 1) for one in told}


def work(before: dict[str, float], after: dict[str, float]) -> list[float]:
    """Milliseconds of all tasks, and of them scripts with styles and layout."""
    spent = {name: after[name] - before[name] for name in after}
    return [spent["TaskDuration"], spent["ScriptDuration"] + spent["LayoutDuration"] + spent["RecalcStyleDuration"]]


def elements(driver: WebDriver) -> float:
    """How many there are in the page."""
    return float(driver.execute_script("return document.querySelectorAll('*').length"))


def measured(address: str, texts: Sequence[str], hits: str) -> dict[str, list[float]]:
    """By what was done: how long it took, and what the main thread did meanwhile."""
    found: dict[str, list[float]] = {}
    with browser() as driver:
        driver.get(address)
        is_ready = "return document.querySelectorAll('#grid li').length && document.querySelector('#filters h2')"
        wait_for(lambda: driver.execute_script(is_ready))
        found["size"] = driver.execute_script(_LOADED)
        taken, spent = [], []
        driver.execute_async_script(_TYPED, texts[0])  # the model is loaded for the first one
        for text in texts[1:]:
            time.sleep(1)
            before = metrics(driver)
            taken.append(driver.execute_async_script(_TYPED, text))
            spent.append(work(before, metrics(driver)))
        found["typed"] = [middle(taken), *(middle(column) for column in zip(*spent, strict=True))]
        before = metrics(driver)
        driver.execute_async_script(_TYPED, f"?{hits}")
        time.sleep(2)  # for the filters beside it
        listed = metrics(driver)
        driver.execute_async_script(_SCROLLED, 100)
        found["listed"] = [elements(driver), *work(before, listed)]
        found["scrolled"] = [elements(driver), *work(listed, metrics(driver))]
        found["hits"] = [driver.execute_script("return Number(document.querySelector('#grid li').ariaSetSize)")]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the library is made, and kept for another time")
    parser.add_argument("--hits", default="after=2005-01-01&before=2005-03-11T11:00", help="the filters of a long list")
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as once:
        place = asked.folder or Path(once)
        texts = make(place, asked.photos, asked.rows, asked.hits)
        with served(place) as address:
            runs = [measured(address, texts, asked.hits) for _ in range(asked.runs)]
    text = f"{_table(runs)}\n\nMedian of {asked.runs} runs. {machine()}."
    print(text)
    if asked.document:
        write_section(asked.document, f"The page in a browser, {asked.rows:,} photos", text)


def _table(runs: Sequence[dict[str, list[float]]]) -> str:
    def of(name: str, place: int) -> float:
        return middle([run[name][place] for run in runs])

    hits = f"{of('hits', 0):,.0f}"
    rows = [
        [
            "first load, compressed as it is served",
            f"{of('size', 1) / 1000:.1f} kB, {of('size', 0):.0f} files",
            "60 kB",
        ],
        ["the same unpacked", f"{of('size', 2) / 1000:.1f} kB", ""],
        [
            "last keystroke → hits drawn, without the 300 ms that are waited for another",
            f"{of('typed', 0) - WAITED:.0f} ms",
            "200 ms",
        ],
        ["of that, work of the main thread", f"{of('typed', 1):.0f} ms", ""],
        [
            f"a list of {hits}, work of the main thread until it is there, pictures and filters too",
            f"{of('listed', 1):.0f} ms",
            "100 ms",
        ],
        ["of that, scripts, styles and layout", f"{of('listed', 2):.0f} ms", ""],
        ["elements in the page then", f"{of('listed', 0):.0f}", ""],
        ["scrolled from its begin to its end in 100 steps, work of the main thread", f"{of('scrolled', 1):.0f} ms", ""],
        ["of that, scripts, styles and layout", f"{of('scrolled', 2):.0f} ms", ""],
        ["elements in the page after that", f"{of('scrolled', 0):.0f}", ""],
    ]
    return table(["", "measured", "to be less than"], rows)


if __name__ == "__main__":
    main()
