"""Real photographs, real notes, the real model and real processes for all tests."""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import Page, browser
from hypothesis import HealthCheck, settings
from library_places import BOTH, FOLDER, Databases, Folders, Places
from postgres_server import PostgresServer, running_server
from s3_server import S3Server
from s3_server import running_server as running_s3
from s3_server import why_there_is_none as why_no_s3
from serving import Server

from mmsearch import Library, MmsearchError
from mmsearch.cli.remedies import in_words

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

# The recipe of the built-in model lies beside the package and is never installed with it.
sys.path.append(str(Path(__file__).parents[1]))

# The same examples each time, however long they take here; `pytest --hypothesis-profile=chance` looks at others.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("chance", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")

PHOTOGRAPHS = {
    "cat.png": "chelsea.png",
    "coffee.png": "coffee.png",
    "astronaut.png": "astronaut.png",
    "rocket.jpg": "rocket.jpg",
    "cameraman.png": "camera.png",
    "coins.png": "coins.png",
    "moon.png": "moon.png",
    "motorcycle.png": "motorcycle_left.png",
    "bricks.png": "brick.png",
    "grass.png": "grass.png",
    "eye.jpg": "retina.jpg",
    "galaxies.jpg": "hubble_deep_field.jpg",
}

NOTES = {
    "coffee.md": "# Morning\n\nGrind the beans, heat the water and pour it slowly over the filter.\n"
    "Then drink the hot coffee from a white cup, with a little milk.\n",
    "tax.txt": "The income tax return is due in July. Send the forms for the rental contract and the pension\n"
    "insurance to the tax office, and keep a copy of each invoice.\n",
    "kitten.txt": "Our cat had three kittens last week. They sleep in a basket and drink milk.\n",
    "python.py": "def quicksort(numbers):\n    pivot = numbers[0]\n    return sorted(numbers)\n",
}


@dataclass(frozen=True)
class Answer:
    """What one run of the command printed, and its exit code."""

    code: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mmsearch = Callable[..., Answer]
# Puts programs of these names on the PATH; what that gives tells how the last of them was called.
Viewer = Callable[..., Callable[[], list[list[str]]]]


@contextmanager
def refused(words: str) -> Iterator[None]:
    """What is done within raises an error that the command line says in such words, a regular expression."""
    with pytest.raises(MmsearchError) as raised:
        yield
    assert re.search(words, in_words(raised.value))


def give_up_roots_powers() -> None:
    """Before a child runs: where tests run as root (Linux), permissions are to hold for it as for anybody."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        drop_from_bounding_set, dac_override, dac_read_search = 24, 1, 2
        for capability in (dac_override, dac_read_search):
            if libc.prctl(drop_from_bounding_set, capability, 0, 0, 0) != 0:
                raise OSError("this root cannot give up its powers")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests leave the user's cache and map of mounts alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMSEARCH_MOUNTS", str(tmp_path_factory.mktemp("settings") / "mounts.json"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def jpeg(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """The bytes of a picture of one colour."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return stream.getvalue()


def place_photographs(folder: Path) -> Path:
    """The photographs that scikit-image and scikit-learn carry, under names that say what they show."""
    import skimage
    import sklearn.datasets

    folder.mkdir(parents=True, exist_ok=True)
    images = Path(skimage.__file__).parent / "data"
    for name, source in PHOTOGRAPHS.items():
        shutil.copy(images / source, folder / name)
    more = Path(sklearn.datasets.__file__).parent / "images"
    shutil.copy(more / "china.jpg", folder / "temple.jpg")
    shutil.copy(more / "flower.jpg", folder / "flower.jpg")
    return folder


def place_notes(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in NOTES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs and a folder of notes. Tests do not change it."""
    folder = tmp_path_factory.mktemp("home")
    place_photographs(folder / "photos")
    place_notes(folder / "notes")
    return folder


@pytest.fixture(scope="session")
def indexed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library folder of `photos`, indexed with the built-in model. Tests do not change it."""
    folder = tmp_path_factory.mktemp("library")
    with Library(folder) as library:
        library.index([photos])
    return folder


@pytest.fixture(scope="session")
def newer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model's folder of a package one revision on, which keeps the shipped one as the revision before."""
    pytest.importorskip("onnx", reason="the clip extra is not installed")
    from older_revision import make_newer

    return make_newer(tmp_path_factory.mktemp("upgraded") / "builtin")


@pytest.fixture
def own(indexed: Path, tmp_path: Path) -> Path:
    """A copy of the indexed library, to be damaged."""
    return Path(shutil.copytree(indexed, tmp_path / "own"))


def make_home(folder: Path) -> Path:
    """A small folder: two photographs and two notes."""
    import skimage

    folder.mkdir()
    images = Path(skimage.__file__).parent / "data"
    shutil.copy(images / "chelsea.png", folder / "cat.png")
    shutil.copy(images / "coffee.png", folder / "coffee.png")
    (folder / "coffee.md").write_text(NOTES["coffee.md"], encoding="utf-8")
    (folder / "tax.txt").write_text(NOTES["tax.txt"], encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`make_home` of one's own, to be changed."""
    return make_home(tmp_path / "home")


@pytest.fixture
def locked(home: Path) -> Path:
    """A folder within `home` with a note about ships."""
    folder = home / "locked"
    folder.mkdir()
    (folder / "a.txt").write_text("A text about ships.")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """An empty library of one's own."""
    return Library(tmp_path / "library")


def run_mmsearch(
    *arguments: str | bytes | Path, library: Path | str, stdin: str | None = None, as_anybody: bool = False
) -> Answer:
    """The command in a process of its own: `run_mmsearch("search", "a cat", library=folder)`."""
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(library), "COLUMNS": "100"}
    command = [sys.executable, "-m", "mmsearch", *(os.fsdecode(argument) for argument in arguments)]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        input=(stdin or "").encode(),
        timeout=120,
        check=False,
        preexec_fn=give_up_roots_powers if as_anybody else None,
    )
    return Answer(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"), done.stdout
    )


@pytest.fixture
def mmsearch(tmp_path: Path) -> Mmsearch:
    """`run_mmsearch` with an empty library of one's own where none is named."""

    def run(
        *arguments: str | bytes | Path, library: Path | None = None, stdin: str | None = None, as_anybody: bool = False
    ) -> Answer:
        return run_mmsearch(*arguments, library=library or tmp_path / "library", stdin=stdin, as_anybody=as_anybody)

    return run


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own."""
    with running_server() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may do anything to: stop it, kill it, fill its disk."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server of a module's own."""
    if reason := why_no_s3():
        pytest.skip(reason)
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(params=BOTH)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Places of each kind where a library can be kept, one after the other; those on a server are slow."""
    return Folders(tmp_path) if request.param == FOLDER else Databases(request.getfixturevalue("postgres"))


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Mmsearch:
    """The same within this process, where torch is loaded once for all tests."""
    from mmsearch.cli import main

    monkeypatch.setenv("COLUMNS", "100")

    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        monkeypatch.setenv(variable, "1")  # which a search sets, and other tests are to do without

    def run(*arguments: str | bytes | Path, library: Path | None = None) -> Answer:
        monkeypatch.setenv("MMSEARCH_LIBRARY", str(library or tmp_path / "library"))
        monkeypatch.setattr(sys, "argv", ["mmsearch", *(os.fsdecode(argument) for argument in arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return Answer(code, said.out, said.err, said.out.encode())

    return run


@pytest.fixture(scope="module")
def driver() -> Iterator[WebDriver]:
    """One browser for all tests of a file. Skips them where there is none."""
    with browser() as one:
        yield one


@pytest.fixture
def page(driver: WebDriver, server: Server) -> Iterator[Page]:
    """The page of the test's own `server` as it opens first. Whatever a test does, the browser does not complain."""
    one = Page(driver, server.address).loaded()
    one.complaints()
    yield one
    assert one.complaints() == []


@pytest.fixture
def viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Viewer:
    """Puts programs on the PATH, in the place of all others, that note how they are called; gives what was noted."""
    programs, noted = tmp_path / "programs", tmp_path / "called"
    programs.mkdir()
    noted.touch()
    monkeypatch.setenv("PATH", str(programs))

    def install(*names: str, code: int = 0) -> Callable[[], list[list[str]]]:
        for name in names:
            program = programs / name
            program.write_text(f'#!/bin/sh\nfor one in {name} "$@"; do echo "$one"; done > {noted}\nexit {code}\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return lambda: [noted.read_text().splitlines()]

    return install
