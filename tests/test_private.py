"""What a library holds of private files is for its owner alone, and what is removed from it is gone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library
from mmsearch.files.private import make_private_file, take_from_others
from mmsearch.files.replacing import write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights of files are of another kind there")

WITH_UMASK = """
import os, sys
os.umask(int(sys.argv.pop(1), 8))
from mmsearch.__main__ import run
run()
"""


def readable_by_others(*folders: Path) -> list[str]:
    places = [place for folder in folders for place in (folder, *folder.rglob("*"))]
    return [str(place) for place in places if place.stat().st_mode & 0o077]


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["022", "000"])
def test_a_library_and_the_cache_are_for_their_owner_alone(umask: str, home: Path, tmp_path: Path) -> None:
    library, cache = tmp_path / "made" / "library", tmp_path / "cache"
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(library), "XDG_CACHE_HOME": str(cache)}

    def run(*arguments: str | Path) -> None:
        command = [sys.executable, "-c", WITH_UMASK, umask, *map(str, arguments)]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        assert readable_by_others(library, cache / "mmsearch") == []

    run("index", home, "--graph")
    run("search", "a cat on a sofa")
    (home / "tax.txt").write_text("Another text.")
    run("index")
    run("forget", home / "tax.txt")
    run("compact")
    assert list((library / "derived").iterdir())
    damaged = bytearray((library / "library.db").read_bytes())
    damaged[-8192:] = b"\xff" * 8192
    (library / "library.db").write_bytes(damaged)
    run("doctor", "--repair")
    assert len(list(library.glob("library.db*"))) > 1
    assert (library / "queries.cache").exists()


def test_another_user_reads_nothing(home: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    library = tmp_path / "library"
    (home / "secret.txt").write_text("The treasure lies below the old lighthouse.")
    Library(library).index([home])
    for folder in (library, *library.parents):
        if folder not in (library, Path("/"), Path("/tmp")):
            folder.chmod(folder.stat().st_mode | 0o011)  # what is around the library lets others through
    command = ["cat", str(library / "library.db")]
    assert b"lighthouse" in subprocess.run(command, capture_output=True, check=True).stdout
    for mode in (None, 0o755):  # the second by its owner, afterwards: the files alone are for no one else
        if mode is not None:
            library.chmod(mode)
        other = subprocess.run(command, capture_output=True, check=False, user=65534, group=65534, extra_groups=[])
        assert (other.returncode, other.stdout) == (1, b"")
        assert b"Permission denied" in other.stderr


@pytest.mark.parametrize("opened_by", ["search", "index"])
def test_an_older_library_is_put_right_when_it_is_opened(own: Path, mmsearch: Mmsearch, opened_by: str) -> None:
    (own / "library.db-before-upgrade").write_bytes(b"")
    (own / "library.db-damaged-2025-01-01").write_bytes(b"")
    for place in (own, *own.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
    mmsearch(*(["search", "a cat"] if opened_by == "search" else ["index"]), library=own)
    assert readable_by_others(own) == []


def test_a_folder_that_holds_other_things_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "things"
    folder.mkdir(mode=0o755)
    (folder / "readme.txt").write_text("For all to read.")
    for place, mode in ((folder, 0o755), (folder / "readme.txt", 0o644)):
        place.chmod(mode)
    with Library(folder) as library:
        library.index([home])
        library.search("a cat")
    kept = {folder, folder / "readme.txt"}
    assert {stat.S_IMODE(place.stat().st_mode) for place in kept} == {0o755, 0o644}
    assert set(readable_by_others(folder)) == {str(place) for place in kept}


def test_private_files_and_links(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("of another place")
    target.chmod(0o644)
    link.symlink_to(target)
    take_from_others(str(link))
    make_private_file(str(target))  # is there already: stays whole
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("of another place", 0o644)
    before = os.umask(0)
    try:
        write_whole(str(tmp_path / "new" / "private"), lambda file: file.write(b"x"))
        write_whole(str(tmp_path / "shared"), lambda file: file.write(b"x"), private=False)
    finally:
        os.umask(before)
    assert readable_by_others(tmp_path / "new") == []
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o666


def holding(folder: Path, words: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


@pytest.fixture
def telling(home: Path, tmp_path: Path) -> Path:
    """A library of many notes, each with a word of its own, and a searcher that stays open beside it."""
    for number in range(40):
        (home / f"{number}.txt").write_text(
            f"The word for it is zanzibar{number:03}x. " + "And more of this. " * number
        )
    library = tmp_path / "library"
    with Library(library) as opened:
        opened.index([home])
        opened.search("zanzibar003x")
    assert holding(library, b"zanzibar003x") == ["library.db"]
    return library


@pytest.mark.parametrize("is_searched_meanwhile", [False, True])
def test_forgotten_text_is_gone_from_the_disk(telling: Path, home: Path, is_searched_meanwhile: bool) -> None:
    with Library(telling) as other, Library(telling) as library:
        if is_searched_meanwhile:
            other.search("a cat")
        for number in range(0, 40, 3):
            library.forget(home / f"{number}.txt")
            assert holding(telling, f"zanzibar{number:03}x".encode()) == []
    assert holding(telling, b"zanzibar001x") == ["library.db"]
    assert [name for number in range(0, 40, 3) for name in holding(telling, f"zanzibar{number:03}x".encode())] == []


def test_edited_and_deleted_text_is_gone_after_the_run_that_drops_it(telling: Path, home: Path) -> None:
    for number in range(20):
        (home / f"{number}.txt").write_text(f"Now it is number {number} of something else.")
    for number in range(20, 26):
        (home / f"{number}.txt").unlink()
    with Library(telling) as library:
        library.index()
        library.index()  # a content is kept for one run, in case that its file has moved to another root
    assert [name for number in range(26) for name in holding(telling, f"zanzibar{number:03}x".encode())] == []
    assert holding(telling, b"zanzibar030x") == ["library.db"]


def test_a_reader_that_stays_in_an_old_state_holds_no_run_up(
    telling: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = sqlite3.connect(telling / "library.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM files").fetchone()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=3_600))  # so long SQLite would wait

    def forget() -> None:
        with Library(telling) as library:
            library.forget(home / "3.txt")

    with ThreadPoolExecutor(1) as threads:
        try:
            threads.submit(forget).result(timeout=120)
        finally:
            reader.rollback()
    with Library(telling) as library:
        library.forget(home / "4.txt")
    reader.close()
    assert holding(telling, b"zanzibar003x") == []
