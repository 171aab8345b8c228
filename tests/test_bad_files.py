"""Thousands of damaged files, special files and hostile names: a run takes what is good and names what is not."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bad_files import flipped, png_bomb
from conftest import Mmsearch
from PIL import Image

from mmsearch import Filters, Library, Query
from mmsearch.reading import medium_of
from mmsearch.searching.query import text_term

FLIPS = 130


def writers() -> dict[str, bytes]:
    """A small picture as every format that Pillow writes and mmsearch reads, by extension."""
    Image.init()
    chance = np.random.default_rng(0)
    smooth = np.cumsum(chance.normal(size=(48, 64, 3)), axis=0) * 8 + 128
    picture = Image.fromarray(np.clip(smooth, 0, 255).astype(np.uint8))
    written: dict[str, bytes] = {}
    for extension, name in sorted(Image.EXTENSION.items()):
        if name not in Image.SAVE or medium_of(b"x" + extension.encode()) is None or name in written:
            continue
        for mode in ("RGB", "L", "1"):
            buffer = io.BytesIO()
            try:
                picture.convert(mode).save(buffer, name)
            except (OSError, ValueError, KeyError):
                continue
            written.setdefault(name, buffer.getvalue())
            written[extension] = written[name]
            break
    return {extension: data for extension, data in written.items() if extension.startswith(".")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At least two thousand damaged pictures, a folder for each extension."""
    folder = tmp_path_factory.mktemp("corpus")
    for seed, (extension, data) in enumerate(writers().items()):
        place = folder / extension[1:]
        place.mkdir()
        for cut in range(10):
            (place / f"cut {cut}{extension}").write_bytes(data[: len(data) * cut // 10])
        for number, copy in enumerate(flipped(data, FLIPS, seed)):
            (place / f"flipped {number}{extension}").write_bytes(copy)
    return folder


@pytest.mark.slow
def test_no_damaged_picture_ends_a_run(corpus: Path, home: Path, mmsearch: Mmsearch) -> None:
    made = sum(1 for path in corpus.rglob("*") if path.is_file())
    assert made >= 2000
    done = mmsearch("index", corpus, home, "--json")
    assert done.code == 0, done.err[-2000:]
    report = done.json
    assert report["added"] + report["moved"] + report["failed"] + report["others"] == made + 4
    # Every file that breaks off before its end is noted, but for formats that say nothing of their length.
    cut = [Path(failure["path"]) for failure in report["failures"] if "cut 1" in failure["path"]]
    assert len(cut) > 0.8 * len(list(corpus.iterdir()))
    reasons = Counter(failure["reason"].split()[0] for failure in report["failures"])
    assert reasons["empty"] == len(list(corpus.iterdir()))
    assert set(reasons) <= {"empty", "truncated", "damaged", "not", "picture", "too", "no"}, reasons
    assert "Traceback" not in done.err
    assert mmsearch("search", "a cat", "--in", home, "--paths").out.splitlines()[0] == str(home / "cat.png")
    # None of them is read again.
    again = mmsearch("index", "--json").json
    assert (again["failed"], again["added"], again["updated"]) == (0, 0, 0)
    assert again["failing"] == report["failed"]
    listed = mmsearch("status", "--failed", "--json").json["failures"]
    assert len(listed) == report["failed"]


@pytest.mark.slow
def test_a_photo_that_breaks_off_is_found_and_named(home: Path, mmsearch: Mmsearch) -> None:
    buffer = io.BytesIO()
    Image.open(home / "cat.png").convert("RGB").save(buffer, "JPEG")
    (home / "cut.jpg").write_bytes(buffer.getvalue()[:-2])
    done = mmsearch("index", home, "--json")
    assert done.json["incomplete"] == [{"path": str(home / "cut.jpg"), "reason": "incomplete JPEG"}]
    assert (done.json["added"], done.json["failed"]) == (5, 0)
    assert f"{home / 'cut.jpg'} was read as far as it goes: incomplete JPEG" in done.err
    assert mmsearch("search", "a cat", "--paths", "--limit", "2").out.count("\n") == 2
    assert mmsearch("index", "--json").json["incomplete"] == []
    assert mmsearch("status", "--json").json["incomplete"] == done.json["incomplete"]
    assert mmsearch("status", "--partial").out == f"{home / 'cut.jpg'}\tincomplete JPEG\n"
    assert "1 read as far as they go; `mmsearch status --partial` lists them" in mmsearch("status").out


def test_files_that_never_end_or_are_no_files(home: Path, mmsearch: Mmsearch) -> None:
    os.mkfifo(home / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(home)  # the name of a socket is short
        try:
            listening.bind("socket.txt")
        finally:
            os.chdir(here)
    (home / "endless.txt").symlink_to("/dev/zero")
    (home / "loop").symlink_to(home)
    (home / "self.txt").symlink_to(home / "self.txt")
    (home / "dangling.jpg").symlink_to(home / "no such file")
    with open(home / "huge.log", "wb") as log:
        log.write(b"A line of a log.\n" * 1000)
        log.truncate(2_000_000_000)
    with open(home / "vast.jpg", "wb") as picture:
        picture.write(b"\xff\xd8\xff\xe0")
        picture.truncate(3_000_000_000)
    (home / "bomb.png").write_bytes(png_bomb())
    (home / "wide.bmp").write_bytes(
        b"BM"
        + struct.pack("<IHHI", 70, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 30_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    report = mmsearch("index", home, "--json").json
    assert report["added"] == 4
    failed = {os.path.basename(failure["path"]): failure["reason"] for failure in report["failures"]}
    assert set(failed) == {"huge.log", "vast.jpg", "bomb.png", "wide.bmp"}
    assert "over the limit" in failed["huge.log"] and "over the limit" in failed["vast.jpg"]
    assert "megapixels" in failed["bomb.png"] and "megapixels" in failed["wide.bmp"]
    problems = {os.path.basename(problem["path"]): problem["reason"] for problem in report["problems"]}
    assert set(problems) == {"pipe.jpg", "socket.txt", "endless.txt", "loop", "self.txt", "dangling.jpg"}
    assert problems["endless.txt"] == "a device, not a regular file"


ODD_NAMES = (
    b"caf\xe9.txt",
    "café.txt".encode(),
    b"line\nbreak.txt",
    b"tab\tand\rreturn.txt",
    b"quotes \"'`$(touch hacked)`.txt",
    b"; rm -rf *.txt",
    b"-rf.txt",
    b"--help.txt",
    b"%s%n%d.txt",
    b"\\..\\..\\windows.txt",
    b" leading and trailing .txt",
    b"[red]markup[bold] [link=x]y.txt",
    b"\x1b]0;owned\x07\x1b[2J\x1b[31m.txt",
    "‮txt.gpj ‏.txt".encode(),
    "emoji 🐈‍⬛.txt".encode(),
    "ｆｕｌｌ width.txt".encode(),
    b"\xff\xfe\xfd.txt",
    b"x" * 251 + b".txt",
    b"'; DROP TABLE files; --.txt",
    b"Photos.txt",
    b"photos.txt",
    b"e\xcc\x81.txt",
    b"\xc3\xa9.txt",
)


@pytest.mark.slow
def test_names_of_any_bytes_are_kept_apart_and_printed_without_loss(tmp_path: Path, mmsearch: Mmsearch) -> None:
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    written = {}
    for number, name in enumerate(ODD_NAMES):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(f"Text number {number} is about a boat.")
        written[path] = number
    if len(os.listdir(folder)) < len(ODD_NAMES):
        pytest.skip("this file system takes some of these names for one another")
    before = sorted(os.listdir(tmp_path))
    assert mmsearch("index", folder).code == 0
    options = ("a boat", "--limit", "100", "--min-score", "0")
    nul = mmsearch("search", *options, "-0").raw
    assert set(nul.split(b"\0")[:-1]) == set(written)
    hits = json.loads(mmsearch("search", *options, "--json").raw)["hits"]
    assert {os.fsencode(hit["path"]) for hit in hits} == set(written)
    for hit in hits:
        assert hit["snippet"] == f"Text number {written[os.fsencode(hit['path'])]} is about a boat."
    lines = mmsearch("search", *options).raw
    assert len(lines.splitlines()) == len(ODD_NAMES)
    assert not set(lines) & {*range(9), *range(11, 32), 127}, "control characters reach a terminal"
    # Each can be named on the command line, as a folder to search in and as what is to be forgotten.
    with Library(tmp_path / "library") as library:
        for path in written:
            filters = Filters(folders=(path,))
            own = library.search(Query((text_term("a boat"),), filters, min_score=0.0)).hits
            assert [os.fsencode(hit.path) for hit in own] == [path]
    for path in list(written)[:3]:
        own_path = mmsearch("search", "a boat", "--min-score", "0", "--in", path, "-0").raw
        assert own_path == path + b"\0"
    assert mmsearch("forget", folder).code == 0
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "library"])


@pytest.mark.slow
def test_different_files_of_equal_size_beginning_and_end_share_no_vector(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    start, end = "It begins here. " * 400, " And here it ends." * 400
    (folder / "one.txt").write_text(start + "The cat sleeps in the garden today." + end)
    (folder / "two.txt").write_text(start + "Tax returns are due at end of July!" + end)
    for name in ("one.txt", "two.txt"):
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    assert (folder / "one.txt").stat().st_size == (folder / "two.txt").stat().st_size
    report = library.index([folder])
    assert (report.added, report.moved) == (2, 0)
    assert library.status().counts.contents == 2
    # Put in the place of the other, with another time: it is seen for what it is.
    os.replace(folder / "two.txt", folder / "one.txt")
    os.utime(folder / "one.txt", (1_000_000_001, 1_000_000_001))
    assert library.index([folder]).updated == 1
    assert "Tax" in (library.search("income tax").hits[0].snippet or "")


def test_a_file_written_at_the_moment_it_is_read_is_read_again_when_it_changes(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "busy"
    folder.mkdir()
    note = folder / "note.txt"
    for number in range(8):
        note.write_text(f"Version {number % 10} of a note.")  # always of one size
        library.index([folder])
        snippet = library.search("a version of a note").hits[0].snippet
        assert snippet == f"Version {number % 10} of a note."
