"""Files of several parts: each is found where it lies, a long file goes on where it was, better readers read again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import toy_medium
from conftest import Mmsearch

from mmsearch import Filters, IndexSettings, Library, Query, reading
from mmsearch.files.crash_points import VARIABLE
from mmsearch.reading import ReadLimits, UnreachableFile, UnreadableFile, open_file
from mmsearch.reading import opening as opening_module
from mmsearch.records import Progress
from mmsearch.searching.query import image_term, text_term
from mmsearch.store.sqlite.salvage import salvage

WORDS = ("boats in the harbour", "a cake for the birthday", "mountains under snow", "the red car of my uncle")


@pytest.fixture
def albums(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line that registers the toy medium, for one test."""
    monkeypatch.setattr(reading, "READERS", [*reading.READERS, toy_medium.READER])


@pytest.fixture
def album(albums: None, tmp_path: Path, photos: Path) -> Path:
    """A folder with an album of forty pages; page 17 has the photo of a cat, page 30 that of a cup of coffee."""
    folder = tmp_path / "albums"
    folder.mkdir()
    pictures = {17: photos / "photos" / "cat.png", 30: photos / "photos" / "coffee.png"}
    pages = [(f"Page {n}. We saw {WORDS[n % 4]}.", pictures.get(n)) for n in range(1, 41)]
    toy_medium.write_album(folder / "family.album", pages)
    return folder


def rows(folder: str | Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(os.path.join(folder, "library.db"))) as connection:
        return connection.execute(query).fetchall()


def test_a_new_medium_is_found_page_by_page(album: Path, library: Library) -> None:
    report = library.index([album])
    assert (report.added, report.failed, report.others) == (1, 0, 0)
    (hit,) = library.search(Query((text_term("a photo of a cat"),), min_score=0.0)).hits
    assert (hit.type, hit.page, hit.source) == ("album", 17, "embedded")
    assert hit.region == (0.0, 0.5, 1.0, 1.0)
    assert hit.snippet is None and hit.time is None
    (hit,) = library.search(Query((text_term("a birthday cake"),), min_score=0.0)).hits
    assert hit.page is not None and hit.page % 4 == 1
    assert hit.source == "body" and hit.snippet is not None and "cake for the birthday" in hit.snippet


def test_filters_thresholds_and_examples_work_on_what_its_parts_are(album: Path, library: Library, home: Path) -> None:
    library.index([album, home])
    only = library.search(Query((text_term("a cat"),), Filters(medium="album"), min_score=0.0)).hits
    assert [os.path.basename(hit.path) for hit in only] == ["family.album"]
    images = library.search(Query((text_term("a cat"),), Filters(medium="image"), min_score=0.0)).hits
    assert {hit.type for hit in images} == {"image"}
    result = library.search("a cat")
    assert set(result.thresholds) == {"image", "text"}
    by_example = library.search(Query((image_term(str(home / "cat.png")),))).hits
    assert (os.path.basename(by_example[0].path), by_example[0].page) == ("family.album", 17)


def test_status_doctor_and_json_know_the_new_medium(album: Path, command: Mmsearch, tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert command("index", album, "--json", library=library).json["added"] == 1
    status = command("status", "--json", library=library).json
    assert status["files"] == {"album": 1} and status["items"] == 42
    assert "1 album" in command("status", library=library).out
    assert command("doctor", library=library).code == 0
    hit = command("search", "a photo of a cat", "--json", library=library).json["hits"][0]
    assert (hit["type"], hit["page"], hit["region"], hit["time"]) == ("album", 17, [0.0, 0.5, 1.0, 1.0], None)
    assert command("search", "a cat", "--type", "album", "--paths", library=library).code == 0


def test_what_is_saved_of_a_damaged_library_has_whole_albums_only(album: Path, library: Library, home: Path) -> None:
    library.index([album, home])
    library.close()
    database = Path(library.folder) / "library.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM vectors WHERE item_id = (SELECT id FROM items WHERE page = 20)")
        connection.execute("DELETE FROM items WHERE page = 20")
    saved, kept = salvage(str(database), f"{database}-damaged")
    assert (saved.files, saved.contents) == (4, 4)
    assert os.path.exists(kept)
    assert rows(library.folder, "SELECT DISTINCT medium FROM spaces ORDER BY medium") == [("image",), ("text",)]
    report = library.index()
    assert (report.added, report.unchanged) == (1, 4)
    assert library.status().counts.items == 42 + 4


RUN = """
import sys
sys.path[:0] = {paths!r}
import toy_medium
from mmsearch import Library, reading
reading.READERS.append(toy_medium.READER)
print(Library({library!r}).index([{folder!r}]).encoded)
"""


def index_elsewhere(folder: Path, library: Path, crash: str = "") -> subprocess.CompletedProcess[str]:
    script = RUN.format(paths=[str(Path(__file__).parent)], library=str(library), folder=str(folder))
    environment = {**os.environ, VARIABLE: crash}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_long_file_that_was_cut_off_goes_on_where_it_was(album: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    killed = index_elsewhere(album, library, crash="batch committed:2")
    assert killed.returncode == -signal.SIGKILL
    before = rows(library, "SELECT id, ordinal, page FROM items ORDER BY id")
    assert 0 < len(before) < 42
    with Library(library) as opened:  # what is there is found already
        assert opened.search(Query((text_term("boats"),), min_score=0.0)).hits
    done = index_elsewhere(album, library)
    assert done.stdout.strip() == "1", done.stderr
    after = rows(library, "SELECT id, ordinal, page FROM items ORDER BY id")
    assert after[: len(before)] == before  # nothing of it was encoded again
    assert [row[1] for row in after] == list(range(42))
    assert rows(library, "SELECT ordinal FROM items WHERE last") == [(41,)]


def test_a_better_reader_reads_again_and_encodes_the_rest_no_more(
    album: Path, library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index([album, home])
    better = replace(toy_medium.READER, version=2)
    monkeypatch.setattr(reading, "READERS", [*reading.READERS[:-1], better])
    report = library.index()
    assert (report.encoded, report.unchanged) == (1, 4)
    assert library.status().counts.items == 46
    assert library.index().unchanged == 5
    library.close()
    assert rows(library.folder, "SELECT reader FROM contents WHERE medium = 'album'") == [(2,)]


def test_what_could_not_be_read_is_tried_again_once_a_reader_is_there(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_medium.write_album(home / "IMG_0001", [("The boats of summer.", None)])
    toy_medium.write_album(home / "old.album", [("The boats of winter.", None)])
    (home / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    first = library.index([home])
    assert (first.added, first.failed, first.unread) == (4, 1, {".album": 1, "": 1})
    assert library.index().failing == 1
    monkeypatch.setattr(reading, "READERS", [*reading.READERS, toy_medium.READER])
    again = library.index()
    assert (again.added, again.failed, again.unread) == (2, 1, {})
    assert library.index().failing == 1


@pytest.mark.slow
def test_kinds_that_nothing_reads_are_counted_and_kept(library: Library, home: Path, mmsearch: Mmsearch) -> None:
    for name in ("a.dwg", "b.DWG", "c.iso", "d.2021-05 (old copy)"):
        (home / name).write_bytes(b"AC1027\0 or so")
    done = mmsearch("index", home, library=Path(library.folder))
    assert "not read: 2 .dwg, 1 .iso, 1 of other kinds" in done.err
    status = mmsearch("status", "--json", library=Path(library.folder)).json
    assert status["unread"] == {".dwg": 2, "": 1, ".iso": 1}
    assert "2 .dwg, 1 .iso, 1 of other kinds" in mmsearch("status", library=Path(library.folder)).out
    (home / "c.iso").unlink()
    assert library.index().unread == {".dwg": 2, "": 1}
    assert library.status().counts.unread == {".dwg": 2, "": 1}
    library.forget(home)
    assert library.status().counts.unread == {}


def test_a_run_is_stopped_in_good_order_and_goes_on_later(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(80):
        (folder / f"{number}.txt").write_text(f"Chapter {number}. It was a dark and stormy night.")
    stop = threading.Event()

    def stop_soon(progress: Progress) -> None:
        if progress.stage == "encoding" and progress.done >= 8:
            stop.set()

    report = library.index([folder], settings=IndexSettings(workers=1, stop=stop), on_progress=stop_soon)
    assert report.stopped and 8 <= report.added < 80
    assert library.status().interrupted
    done = library.index()
    assert done.resumed and not done.stopped
    assert done.added == 80 - report.added


def test_a_file_too_large_to_be_kept_in_memory_is_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    path = os.fsencode(photos / "photos" / "rocket.jpg")
    with open_file(path) as file:
        kept = file.digest
    monkeypatch.setattr(opening_module, "KEPT_BYTES", 1_000)
    with open_file(path) as file:
        assert file.digest == kept
        (part,) = reading.read(file, 64).parts
        assert part.modality == "image"
    changing = tmp_path / "changing.txt"
    changing.write_bytes(b"word " * 1_000)
    with pytest.raises(UnreachableFile, match="changed while it was read"), open_file(os.fsencode(changing)):
        changing.write_bytes(b"other " * 1_000)


def test_an_album_that_is_damaged_in_the_middle_is_noted(album: Path, library: Library) -> None:
    whole = (album / "family.album").read_bytes()
    (album / "family.album").write_bytes(whole.replace(b'"Page 38', b'"Page" 38'))
    report = library.index([album])
    assert [failure.reason for failure in report.failures] == ["damaged album"]
    assert library.index().failing == 1
    with pytest.raises(UnreadableFile), open_file(os.fsencode(album / "family.album")) as file:
        list(reading.read(file, 64).parts)


def test_a_file_of_many_pages_has_no_more_passages_than_a_text_may_have(album: Path, library: Library) -> None:
    report = library.index([album], settings=IndexSettings(ReadLimits(max_passages=10)))
    assert [(os.path.basename(one.path), one.left_out) for one in report.thinned] == [(b"family.album", 30)]
    pages = [page for (page,) in rows(library.folder, "SELECT page FROM items WHERE modality = 'text' ORDER BY id")]
    assert pages == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]
    pictures = rows(library.folder, "SELECT page FROM items WHERE modality = 'image' ORDER BY id")
    assert pictures == [(17,), (30,)]


def test_progress_tells_how_much_of_a_long_file_is_through(album: Path, library: Library) -> None:
    told: list[Progress] = []
    library.index([album], on_progress=told.append)
    encoding = [(one.done, one.total, one.begun) for one in told if one.stage == "encoding"]
    assert encoding[0] == (0, 1, 0.0)
    assert encoding[-1] == (1, 1, 0.0)
    begun = [share for done, _, share in encoding if not done and share]
    assert len(begun) >= 2
    assert begun == sorted(begun) and 0 < begun[0] < begun[-1] < 1
