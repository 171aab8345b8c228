"""A real browser, headless, that looks at the page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

PATIENCE = 180.0
WIDE, PHONE = (1300, 900), (390, 844)
Seen = TypeVar("Seen")


def wait_for(what: Callable[[], Seen], patience: float = PATIENCE) -> Seen:
    """What `what` gives, once that is something; elements that the page has replaced meanwhile are looked for again."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    end = time.monotonic() + patience
    while True:
        try:
            if seen := what():
                return seen
        except (NoSuchElementException, StaleElementReferenceException):
            pass
        if time.monotonic() > end:
            raise AssertionError("It has not been seen.")
        time.sleep(0.05)


class Page:
    """The page in a browser."""

    def __init__(self, driver: WebDriver, address: str) -> None:
        self.driver = driver
        self.root = address.split("?", 1)[0]
        driver.get(address)  # with the token, which becomes a cookie

    def open(self, query: str = "") -> Page:
        self.driver.get(self.root + query)
        return self.loaded()

    def loaded(self) -> Page:
        """Waits until it has said how many files there are."""
        wait_for(lambda: self.text("#summary") and not self.all("#grid.waiting"))
        return self

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """Those of all such elements that are there at one moment."""
        return list(
            self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)
        )

    def click(self, selector: str, text: str = "") -> None:
        """The first such element that begins with that text, once it is there."""
        script = (
            "const [selector, text] = arguments;"
            "const found = [...document.querySelectorAll(selector)].find((one) => one.innerText.startsWith(text));"
            "found?.click(); return Boolean(found);"
        )
        wait_for(lambda: self.run(script, selector, text))

    @property
    def query(self) -> str:
        """What stands behind the ? of the address."""
        return str(self.run("return decodeURIComponent(location.search).slice(1)"))

    @property
    def names(self) -> list[str]:
        """The names of the files that are shown, in order."""
        labels = self.run("return [...document.querySelectorAll('#grid li > a')].map((one) => one.ariaLabel)")
        return [str(label).split(",")[0] for label in labels]

    @property
    def focused(self) -> str:
        """The label of what has the focus."""
        return str(self.driver.switch_to.active_element.get_attribute("aria-label"))

    def press(self, *keys: str) -> None:
        """Keys to whatever has the focus."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the browser's console says: errors of scripts, and what the page's policy has blocked."""
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def faults(self) -> list[str]:
        """What axe finds wrong for people who do not see, or do not point."""
        from axe_core_python.selenium import Axe

        options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
        found = Axe().run(self.driver, options=options)["violations"]
        return [f"{one['id']}: {node['target']}" for one in found for node in one["nodes"]]


@contextmanager
def browser(size: tuple[int, int] = WIDE, *, dark: bool = False) -> Iterator[WebDriver]:
    """Debian's Chromium. Skips the test where it, or selenium, is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver_path is None:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    width, height = size
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en-US"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        driver.set_script_timeout(PATIENCE)
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        if dark:
            scheme = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        yield driver
    finally:
        driver.quit()
