"""A second reading of files comes after the vectors, once for each content, whatever happens meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import toy_stage
from conftest import Mmsearch, refused
from interrupting import hooked
from library_places import FOLDER, Places, rows_at, wait_until_nobody_writes
from postgres_server import PostgresServer
from toy_stage import write_words

from mmsearch import IndexReport, IndexSettings, Library, Progress, Query, reading
from mmsearch.encoding.onnx_model import OnnxEncoder
from mmsearch.files.crash_points import VARIABLE
from mmsearch.indexing import stages
from mmsearch.models.revisions import newest_revision
from mmsearch.reading.opening import OpenFile
from mmsearch.records import BUILTIN_MODEL, CROPS_ENDING, FloatMatrix, Part
from mmsearch.searching.query import text_term

ON = IndexSettings(stages={"ocr": ""})
CROPS = BUILTIN_MODEL + CROPS_ENDING


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the toy stage has read, which takes the place of all others."""
    monkeypatch.setattr(reading, "STAGES", [toy_stage.STAGE])
    monkeypatch.setattr(stages, "STAGES", reading.STAGES)
    toy_stage.READ.clear()
    yield toy_stage.READ


@pytest.fixture
def album(home: Path) -> Path:
    write_words(home / "cat.png", "The harbour office opens on Monday.")
    write_words(home / "coffee.png", "Quarterly report of the railway\nTrains and their drivers")
    return home


def rows(library: Library, query: str) -> list[tuple[object, ...]]:
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        return connection.execute(query).fetchall()


def found(library: Library, text: str, model: str | None = None) -> tuple[str, str]:
    """The name of the first hit, and how that came to be which was found."""
    hit = library.search(Query((text_term(text),), min_score=0), model=model).hits[0]
    return Path(os.fsdecode(hit.path)).name, hit.source


def is_sound(library: Library) -> bool:
    return library.care.examine().sound


def of_ocr(report: IndexReport) -> tuple[int, int, int]:
    (one,) = report.stages
    return one.read, one.found, one.failed


def test_what_a_stage_finds_is_found_at_its_place(toy: list[str], album: Path, library: Library) -> None:
    assert of_ocr(library.index(album, settings=ON)) == (2, 2, 0)
    hit = library.search("the office at the harbour").hits[0]
    assert (hit.type, hit.source, hit.snippet) == ("image", "ocr", "The harbour office opens on Monday.")
    assert (hit.region, hit.line) == (toy_stage.PLACE.region, None)
    assert found(library, "a cat") == ("cat.png", "body")
    assert found(library, "train drivers") == ("coffee.png", "ocr")


def test_the_seconds_of_a_run_are_those_of_its_stages_too(
    toy: list[str], album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = time.monotonic
    # By this clock a picture takes the engine an hour.
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600 * len(toy))
    report = library.index(album, settings=ON)
    assert report.seconds >= 3600 * len(toy) > 0


def test_a_library_remembers_its_stages_until_they_are_ended(toy: list[str], album: Path, library: Library) -> None:
    library.index(album, settings=ON)
    shutil.copy(album / "cat.png", album / "copy.png")
    (album / "coffee.png").rename(album / "moved.png")
    assert library.index().stages[0].read == 0
    assert sorted(toy) == ["cat.png", "coffee.png"]  # a copy and a moved file are not read again
    shutil.copy(Path(__file__).parent / "data" / "libraries" / "README.md", album / "more.md")
    new_picture(album / "new.png", "The lighthouse keeper is away")
    assert of_ocr(library.index()) == (1, 1, 0)
    assert found(library, "keeper of the lighthouse") == ("new.png", "ocr")
    new_picture(album / "newer.png", "Fresh bread at seven", "red")
    assert library.index(settings=IndexSettings(stages={"ocr": None})).stages == []
    assert library.index().stages == []
    assert "newer.png" not in toy
    assert found(library, "keeper of the lighthouse") == ("new.png", "ocr")
    (status,) = library.status().stages
    assert (status.wanted, status.read, status.found, status.left) == (False, 4, 4, None)


def new_picture(path: Path, words: str, colour: str = "navy") -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), colour).save(path)
    write_words(path, words)


def test_an_unchanged_tree_costs_no_reads_and_no_writes(toy: list[str], album: Path, library: Library) -> None:
    new_picture(album / "wordless.png", "")
    assert of_ocr(library.index(album, settings=ON)) == (3, 2, 0)
    database = Path(library.folder) / "library.db"
    library.index()
    library.close()
    before = database.read_bytes()
    report = library.index()
    library.close()
    assert (of_ocr(report), len(toy)) == ((0, 0, 0), 3)
    assert database.read_bytes() == before


def test_a_model_that_comes_later_takes_the_texts_that_were_found(
    toy: list[str], album: Path, library: Library
) -> None:
    library.index(album, settings=ON)
    assert len(toy) == 2
    library.index(model=CROPS)
    assert len(toy) == 2
    assert found(library, "train drivers", CROPS) == ("coffee.png", "ocr")
    # And what the other model brings in, the first one takes as well.
    new_picture(album / "new.png", "The lighthouse keeper is away")
    library.index(model=CROPS)
    library.index()
    assert len(toy) == 3
    assert found(library, "keeper of the lighthouse") == ("new.png", "ocr")
    library.index(rebuild=True)
    assert len(toy) == 3
    assert found(library, "keeper of the lighthouse") == ("new.png", "ocr")


@contextmanager
def no_railways() -> Iterator[list[str]]:
    """Texts with that word in them are too much for models within the block; those that were."""
    refused: list[str] = []
    encode = OnnxEncoder._encode_texts

    def choosy(self: OnnxEncoder, texts: Sequence[str]) -> FloatMatrix:
        some = [text for text in texts if "railway" in text]
        refused.extend(some)
        if some:
            raise ValueError("no railways, please")
        return encode(self, texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxEncoder, "_encode_texts", choosy)
        yield refused


def test_a_text_that_a_model_cannot_encode_is_noted_for_that_model_alone(
    toy: list[str], album: Path, library: Library
) -> None:
    library.index(album, settings=ON)
    with no_railways() as refused:
        report = library.index(model=CROPS)
        # No later run tries again, unless it is asked to.
        assert of_ocr(library.index(model=CROPS)) == (0, 0, 0)
        assert len(refused) == 1
        assert of_ocr(library.index(model=CROPS, retry=True)) == (0, 0, 1)
        assert len(refused) == 2
    assert of_ocr(report) == (0, 0, 1)
    (failure,) = report.stages[0].failures
    assert Path(os.fsdecode(failure.path)).name == "coffee.png"
    assert failure.reason == f"{CROPS}@{newest_revision()} could not encode what was found: no railways, please"
    assert found(library, "the office at the harbour", CROPS) == ("cat.png", "ocr")
    assert found(library, "train drivers") == ("coffee.png", "ocr")
    (status,) = library.status().stages
    assert (status.read, status.found, status.left, len(status.failures)) == (2, 2, 0, 1)
    assert library.care.examine().sound
    library.models.drop(CROPS)
    assert library.status().stages[0].failures == ()


def test_a_text_that_the_first_model_cannot_encode_is_there_for_another(
    toy: list[str], album: Path, library: Library
) -> None:
    with no_railways():
        assert of_ocr(library.index(album, settings=ON)) == (1, 1, 1)
    library.index(model=CROPS)
    assert sorted(toy) == ["cat.png", "coffee.png"]
    assert found(library, "train drivers", CROPS) == ("coffee.png", "ocr")


def test_a_better_version_reads_again_and_leaves_nothing_of_the_older(
    toy: list[str], album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(album, settings=ON)
    library.index(model=CROPS)
    write_words(album / "cat.png", "Closed for the winter")
    monkeypatch.setattr(stages, "STAGES", [toy_stage.with_version("2")])
    assert of_ocr(library.index()) == (2, 2, 0)
    library.index(model=CROPS)
    texts = {(model, text) for model, text in rows(library, "SELECT model_id, text FROM items WHERE source = 'ocr'")}
    lines = ["Closed for the winter", "Quarterly report of the railway", "Trains and their drivers"]
    assert texts == {(model, line) for model in (1, 2) for line in lines}
    ordinals = "SELECT content_id FROM items GROUP BY content_id, model_id HAVING count(*) <= max(ordinal)"
    assert rows(library, ordinals) == []
    assert is_sound(library)


def test_a_bad_file_is_noted_with_its_reason_and_tried_again_when_asked(
    toy: list[str], album: Path, library: Library, command: Mmsearch
) -> None:
    write_words(album / "cat.png", "damaged")
    new_picture(album / "odd.png", "unforeseen")
    report = library.index(album, settings=ON)
    assert of_ocr(report) == (1, 1, 2)
    reasons = {Path(os.fsdecode(one.path)).name: one.reason for one in report.stages[0].failures}
    assert reasons == {"cat.png": "blurred picture", "odd.png": "ended with an error: nobody has thought of that"}
    assert found(library, "a cat") == ("cat.png", "body")
    assert library.index().stages[0].failed == 0
    assert len(toy) == 3
    (status,) = library.status().stages
    assert (status.read, status.found, status.left, len(status.failures)) == (1, 1, 0, 2)
    library.close()
    said = command("status", "--failed", library=Path(library.folder)).out
    assert f"{album / 'cat.png'}\ttext in pictures: blurred picture" in said
    assert (
        "1 file looked through, 1 of them with some, 2 could not be"
        in command("status", library=Path(library.folder)).out
    )
    write_words(album / "cat.png", "Mended words of the harbour")
    assert of_ocr(library.index(retry=True)) == (1, 1, 1)
    assert found(library, "harbour words") == ("cat.png", "ocr")


def test_a_run_is_stopped_between_two_files_and_goes_on(toy: list[str], album: Path, library: Library) -> None:
    stop = threading.Event()

    def stop_after_the_first(progress: Progress) -> None:
        if progress.stage == "reading words" and progress.done == 1:
            stop.set()

    report = library.index(
        album, settings=IndexSettings(stages={"ocr": ""}, stop=stop), on_progress=stop_after_the_first
    )
    assert report.stopped
    assert library.status().stages[0].left == 1
    assert of_ocr(library.index()) == (1, 1, 0)
    assert sorted(toy) == ["cat.png", "coffee.png"]


def test_what_is_left_as_a_run_gives_way_is_done_by_the_next_one(toy: list[str], album: Path, library: Library) -> None:
    library.index(album)
    gives_way = IndexSettings(stages={"ocr": ""}, gives_way=lambda: True)
    (one,) = library.index(settings=gives_way).stages
    assert (one.read, one.left) == (1, 1)
    (one,) = library.index(settings=gives_way).stages
    assert (one.read, one.left) == (1, 0)
    assert sorted(toy) == ["cat.png", "coffee.png"]


def test_what_is_away_is_read_when_it_is_back(toy: list[str], album: Path, library: Library) -> None:
    library.index(album)
    away = album.parent / "away"
    away.mkdir()
    shutil.move(album / "cat.png", away / "cat.png")
    library.index(album / "coffee.md", settings=ON)  # another root: nothing is read in the first one
    assert toy == []
    shutil.move(away / "cat.png", album / "cat.png")
    library.index()
    assert sorted(toy) == ["cat.png", "coffee.png"]


def test_damage_to_what_was_found_is_mended_by_reading_again(toy: list[str], album: Path, library: Library) -> None:
    library.index(album, settings=ON)
    library.close()
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        connection.execute("UPDATE stage_parts SET text = 'Trains and their rivers' WHERE text LIKE 'Trains%'")
        connection.commit()
    assert not is_sound(library)
    library.care.repair()
    assert is_sound(library)
    assert of_ocr(library.index()) == (1, 1, 0)
    assert toy[2:] == ["coffee.png"]
    assert found(library, "train drivers") == ("coffee.png", "ocr")
    assert rows(library, "SELECT count(*) FROM items WHERE source = 'ocr'") == [(3,)]


def test_what_is_forgotten_leaves_no_text_behind(toy: list[str], album: Path, library: Library) -> None:
    library.index(album, settings=ON)
    library.forget(album / "coffee.png")
    assert rows(library, "SELECT text FROM stage_parts") == [("The harbour office opens on Monday.",)]
    assert rows(library, "SELECT count(*) FROM stages") == [(1,)]


def test_what_is_forgotten_while_a_stage_reads_it_leaves_no_text_behind(
    toy: list[str], album: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, read = postgres.new_database(), toy_stage.Engine.parts

    def forgotten(engine: toy_stage.Engine, file: OpenFile) -> Iterator[Part]:
        parts = list(read(engine, file))
        if b"cat" in file.path:
            with Library(url) as other:
                other.forget(os.fsdecode(file.path))
        return iter(parts)

    monkeypatch.setattr(toy_stage.Engine, "parts", forgotten)
    with Library(url) as library:
        library.index(album)
        library.index(settings=IndexSettings(stages={"ocr": ""}, queue=True))
        assert toy == ["cat.png", "coffee.png"] and found(library, "train drivers") == ("coffee.png", "ocr")
    for table in ("stages", "stage_parts", "items"):
        lost = f"SELECT count(*) FROM {table} WHERE content_id NOT IN (SELECT content_id FROM files)"
        assert rows_at(url, lost) == [(0,)]


def test_what_a_stage_needs_and_lacks_hinders_nothing_else(
    album: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.ocr, "find_spec", lambda name: None)
    with refused("needs rapidocr; install it with .*ocr"):
        library.index(album, settings=ON)
    assert not library.exists()
    with refused("There is no stage smell"):
        library.index(album, settings=IndexSettings(stages={"smell": ""}))


def test_a_stage_whose_package_has_gone_is_told_of(
    toy: list[str], album: Path, library: Library, monkeypatch: pytest.MonkeyPatch, command: Mmsearch
) -> None:
    library.index(album, settings=ON)
    library.close()
    monkeypatch.setattr(stages, "STAGES", [reading.ocr.STAGE])
    monkeypatch.setattr(reading, "STAGES", [reading.ocr.STAGE])
    monkeypatch.setattr(reading.ocr, "find_spec", lambda name: None)
    new_picture(album / "new.png", "The lighthouse keeper is away")
    done = command("index", library=Path(library.folder))
    assert done.code == 0
    assert "5 files searchable: 1 added, 4 unchanged" in done.out
    assert "reading text in pictures was not possible: Reading text in pictures needs rapidocr; install it" in done.err


def index(
    location: str | Path, hooks: dict[str, str], *arguments: str | Path, crash: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **hooks, "MMSEARCH_LIBRARY": str(location), VARIABLE: crash}
    paths = [hooks["PYTHONPATH"], *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-m", "mmsearch", "index", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_a_kill_while_found_texts_are_encoded_loses_none_of_them(album: Path, tmp_path: Path, places: Places) -> None:
    hooks, location = hooked(tmp_path, "mmsearch.reading.ocr", toy_stage.HOOK), places.new()
    assert index(location, hooks, album, "--ocr").returncode == 0
    killed = index(location, hooks, "--model", CROPS, crash="found texts encoded")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until_nobody_writes(location)
    assert index(location, hooks, "--model", CROPS).returncode == 0
    counted = "SELECT model_id, count(*) FROM items WHERE source = 'ocr' GROUP BY model_id ORDER BY model_id"
    assert rows_at(location, counted) == [(1, 3), (2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("crash", "left"), [("stage written:2", 2), ("stage committed:1", 2), ("stage committed:3", 0)]
)
def test_a_kill_loses_no_more_than_the_file_in_work(
    album: Path, tmp_path: Path, places: Places, crash: str, left: int
) -> None:
    hooks = hooked(tmp_path, "mmsearch.reading.ocr", toy_stage.HOOK)
    new_picture(album / "wordless.png", "")
    library = Library(places.new())
    killed = index(library.given, hooks, album, "--ocr", crash=crash)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until_nobody_writes(library.given)
    done = index(library.given, hooks)
    assert done.returncode == 0, done.stderr
    assert ("text in pictures" in done.stderr) == (left > 0)
    if left:
        assert f"text in pictures: {left} files were looked through" in done.stderr
    assert found(library, "train drivers") == ("coffee.png", "ocr")
    assert found(library, "the office at the harbour") == ("cat.png", "ocr")
    assert places.kind != FOLDER or is_sound(library)
    assert "text in pictures" not in index(library.given, hooks).stderr


@pytest.mark.slow
def test_a_file_that_ends_the_program_is_set_aside(album: Path, tmp_path: Path, places: Places) -> None:
    hooks = hooked(tmp_path, "mmsearch.reading.ocr", toy_stage.HOOK)
    new_picture(album / "a.png", "deadly")
    library = Library(places.new())
    folder = Path(library.folder)
    killed = index(library.given, hooks, album, "--ocr")
    assert killed.returncode == -signal.SIGKILL
    wait_until_nobody_writes(library.given)
    assert (folder / "in-flight-ocr").exists()
    done = index(library.given, hooks)
    assert done.returncode == 0, done.stderr
    assert f"skipped {album / 'a.png'}: ended the program that read it" in done.stderr
    assert "5 files searchable" in done.stdout
    assert not (folder / "in-flight-ocr").exists()
    assert found(library, "train drivers") == ("coffee.png", "ocr")
    assert index(library.given, hooks).returncode == 0
