"""What is said in videos and sound is transcribed, and found by words and moments.

The model is of random weights: what it says means nothing, and only what becomes of it is tried here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import Mmsearch, refused
from fake_hub import FakeHub, serving
from made_videos import write_film, write_with_gaps
from PIL import Image
from tiny_whisper import make_tiny_whisper, speech_like, write_wav

from mmsearch import IndexReport, IndexSettings, Library
from mmsearch.reading import OpenFile, open_file, speech
from mmsearch.reading.speech import RATE, STAGE, Said, blocks, passages
from mmsearch.reading.video import open_container
from mmsearch.records import BUILTIN_MODEL, CROPS_ENDING, Part

for package in ("faster_whisper", "av", "transformers", "torch"):
    pytest.importorskip(package, reason="the speech extra, or the clip extra, is not installed")

NAME = "some/whisper-tiny"


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model."""
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def memos(tmp_path: Path) -> Path:
    """A voice memo without a tag, after two seconds in which nobody speaks, and a recording of silence."""
    folder = tmp_path / "memos"
    folder.mkdir()
    write_wav(folder / "memo.wav", np.zeros(2 * RATE, np.float32), speech_like(6))
    write_wav(folder / "silence.wav", np.zeros(3 * RATE, np.float32))
    return folder


@pytest.fixture
def transcribed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were transcribed in this process."""
    read: list[str] = []
    parts = speech._Speech.parts

    def noting(self: speech._Speech, file: OpenFile) -> Iterator[Part]:
        read.append(os.path.basename(os.fsdecode(file.path)))
        return parts(self, file)

    monkeypatch.setattr(speech._Speech, "parts", noting)
    return read


def of_speech(report: IndexReport) -> tuple[int, int, int]:
    (one,) = report.stages
    return one.read, one.found, one.failed


@pytest.mark.slow
def test_what_is_said_is_found_at_its_moment(memos: Path, whisper: Path, mmsearch: Mmsearch) -> None:
    before = mmsearch("index", memos)
    assert "skipped" in before.err
    assert "no words inside: sound without tags" in before.err
    done = mmsearch("index", "--speech", whisper)
    assert done.code == 0, done.err
    assert "2 files searchable: 2 added" in done.out
    assert "speech: 2 files were looked through, 1 of them with some" in done.err
    hit = mmsearch("search", "the sea is cold", "--json", "--min-score", "0").json["hits"][0]
    assert (Path(hit["path"]).name, hit["type"], hit["source"]) == ("memo.wav", "audio", "transcript")
    assert hit["snippet"]
    assert 1.5 <= hit["time"][0] <= hit["time"][1] <= 8.01
    status = mmsearch("status", "--json").json
    assert status["files"] == {"audio": 2}
    assert [(one["stage"], one["model"], one["read"], one["left"]) for one in status["stages"]] == [
        ("speech", str(whisper), 2, 0)
    ]
    assert "speech: 2 files looked through by" in mmsearch("status").out
    again = mmsearch("index")
    assert (again.code, again.err) == (0, "")
    assert "2 files searchable: 2 unchanged" in again.out


def test_sound_without_a_tag_is_a_file_as_long_as_it_is_transcribed(
    memos: Path, whisper: Path, library: Library, transcribed: list[str]
) -> None:
    on = IndexSettings(stages={"speech": str(whisper)})
    assert of_speech(library.index(memos, settings=on)) == (2, 1, 0)
    shutil.copy(memos / "memo.wav", memos / "copy.wav")
    (memos / "silence.wav").rename(memos / "quiet.wav")
    report = library.index()
    assert (report.moved, report.removed, of_speech(report)) == (2, 0, (0, 0, 0))
    library.index(model=BUILTIN_MODEL + CROPS_ENDING)
    assert sorted(transcribed) == ["memo.wav", "silence.wav"]
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        counted = connection.execute("SELECT model_id, count(*) > 0 FROM items GROUP BY model_id").fetchall()
    assert counted == [(1, 1), (2, 1)]
    library.close()
    database = Path(library.folder) / "library.db"
    library.index()
    library.close()
    before = database.read_bytes()
    assert library.index().unchanged == 3
    library.close()
    assert database.read_bytes() == before
    library.index(settings=IndexSettings(stages={"speech": None}))
    write_wav(memos / "new.wav", speech_like(4, seed=1))
    report = library.index()
    assert (report.unchanged, report.failed, report.stages) == (3, 1, [])
    assert library.care.examine().sound


def test_another_model_transcribes_again(
    memos: Path, whisper: Path, tmp_path: Path, library: Library, transcribed: list[str]
) -> None:
    library.index(memos, settings=IndexSettings(stages={"speech": str(whisper)}))
    moved = shutil.copytree(whisper, tmp_path / "moved")
    library.index(settings=IndexSettings(stages={"speech": str(moved)}))
    assert len(transcribed) == 2  # it is the same one
    other = make_tiny_whisper(tmp_path / "other", seed=7)
    assert of_speech(library.index(settings=IndexSettings(stages={"speech": str(other)}))) == (2, 1, 0)
    assert len(transcribed) == 4
    with closing(sqlite3.connect(Path(library.folder) / "library.db")) as connection:
        (items,) = connection.execute("SELECT count(*) FROM items WHERE source = 'transcript'").fetchone()
        (parts,) = connection.execute("SELECT count(*) FROM stage_parts").fetchone()
    assert items >= parts > 0
    assert library.care.examine().sound


def test_what_is_no_model_is_told_in_a_sentence(memos: Path, whisper: Path, tmp_path: Path, library: Library) -> None:
    with refused("large-v3 is no folder with a Whisper model.*no such folder"):
        library.index(memos, settings=IndexSettings(stages={"speech": "large-v3"}))
    assert not library.exists()
    lacking = shutil.copytree(whisper, tmp_path / "lacking")
    (lacking / "tokenizer.json").unlink()
    with refused("no tokenizer.json in it"):
        library.index(memos, settings=IndexSettings(stages={"speech": str(lacking)}))
    broken = shutil.copytree(whisper, tmp_path / "broken")
    (broken / "model.bin").write_bytes(b"nothing")
    report = library.index(memos, settings=IndexSettings(stages={"speech": str(broken)}))
    assert "cannot be loaded" in (report.stages[0].hindered or "")


@pytest.fixture
def hub(whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that has the model, with and without what it needs; models of this disk are in a folder of the test's."""
    whole = shutil.copytree(whisper, tmp_path / "whole")
    (whole / "README.md").write_text("A tiny model.")
    lacking = shutil.copytree(whisper, tmp_path / "lacking", ignore=shutil.ignore_patterns("tokenizer.json"))
    monkeypatch.setenv("MMSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    with serving({NAME: whole, "some/lacking": lacking}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


def test_a_model_of_speech_is_fetched_and_transcribes_by_its_name(
    hub: FakeHub, memos: Path, command: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    done = command("models", "pull", NAME)
    assert (done.code, f"mmsearch index FOLDER --speech {NAME}" in done.out) == (0, True)
    assert "README.md" not in hub.sent
    listed = command("models")
    assert any(NAME in line and "index --speech NAME" in line for line in listed.out.splitlines())
    assert [one["transcribes"] for one in command("models", "--json").json["installed"]] == [True]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = command("index", memos, "--speech", NAME)
    assert "speech: 2 files were looked through, 1 of them with some" in done.err
    for_searches = command("index", memos, "--model", NAME)
    assert (for_searches.code, f"mmsearch index --speech {NAME}" in for_searches.err) == (2, True)
    (Path(os.environ["MMSEARCH_MODELS"]) / NAME.replace("/", "--") / "model.bin").unlink()
    damaged = command("index", memos, "--speech", NAME)
    assert (damaged.code, f"mmsearch models pull {NAME}" in damaged.err) == (2, True)
    assert command("models", "remove", NAME).code == 0


def test_a_model_of_speech_that_lacks_something_is_not_fetched(hub: FakeHub, command: Mmsearch) -> None:
    done = command("models", "pull", "some/lacking")
    assert (done.code, "is a Whisper model without tokenizer.json" in done.err) == (2, True)
    assert hub.sent == []


def test_without_the_extra_the_command_says_how_to_get_it(
    memos: Path, whisper: Path, command: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    done = command("index", memos, "--speech", whisper)
    assert done.code == 2
    assert "Transcribing speech needs faster-whisper; install it with" in done.err
    both = command("index", memos, "--speech", whisper, "--no-speech")
    assert (both.code, "opposite things" in both.err) == (2, True)


def test_a_silent_film_says_nothing(tmp_path: Path, whisper: Path) -> None:
    silent = write_film(tmp_path / "silent.mp4", [(Image.new("RGB", (64, 48), "navy"), 2.0)])
    with open_file(os.fsencode(silent)) as file:
        assert list(STAGE.open(str(whisper)).parts(file)) == []


def test_long_sound_is_cut_where_it_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "BLOCK_SECONDS", 40)
    loud, pause = np.full(30 * RATE, 0.5, np.float32), np.zeros(RATE, np.float32)
    path = write_wav(tmp_path / "long.wav", loud, pause, loud)
    with open_file(os.fsencode(path)) as file, open_container(file) as container:
        found = list(blocks(container))
    assert [round(begins) for begins, _ in found] == [0, 30]
    assert 30.0 <= found[1][0] <= 31.0
    assert sum(len(sound) for _, sound in found) == 61 * RATE


@pytest.mark.slow
def test_what_is_said_after_a_gap_has_the_time_at_which_it_is_said(
    tmp_path: Path, whisper: Path, mmsearch: Mmsearch
) -> None:
    stretches = (0.0, speech_like(4)), (100.0, speech_like(4, seed=1))
    path = write_with_gaps(tmp_path / "memo.mka", *stretches, rate=RATE)
    with open_file(os.fsencode(path)) as file, open_container(file) as container:
        assert [(begins, round(len(sound) / RATE)) for begins, sound in blocks(container)] == [(0, 4), (100, 4)]
    assert mmsearch("index", path, "--speech", whisper).code == 0
    (hit,) = mmsearch("search", "the sea", "--json", "--min-score", "0", "--moments").json["hits"]
    times = sorted(moment["time"] for moment in [hit, *hit["moments"]])
    assert times[0][1] <= 4.01
    assert times[-1][0] >= 99.9
    assert times[-1][1] <= 104.01


def test_of_several_streams_of_sound_that_is_transcribed_which_players_play(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mka"
    with av.open(str(path), "w") as written:
        streams = [written.add_stream("pcm_s16le", rate=RATE) for _ in range(2)]
        for stream in streams:
            stream.layout = "mono"
        streams[0].disposition = av.stream.Disposition.comment
        streams[1].disposition = av.stream.Disposition.default
        for stream, seconds in zip(streams, (2, 5), strict=True):
            frame = av.AudioFrame.from_ndarray(np.ones((1, seconds * RATE), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            written.mux(stream.encode(frame))
    with open_file(os.fsencode(path)) as file, open_container(file) as container:
        assert [len(sound) for _, sound in blocks(container)] == [5 * RATE]


def test_a_recording_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cut.wav", speech_like(4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_file(os.fsencode(path)) as file, open_container(file) as container:
        assert sum(len(sound) for _, sound in blocks(container)) == pytest.approx(2 * RATE, abs=RATE / 10)


def test_what_is_said_becomes_passages_of_some_length() -> None:
    said = [Said(10.0 * number, 10.0 * number + 9, f" words {number} ") for number in range(5)]
    assert [(one.begins, one.ends, one.text) for one in passages(said)] == [
        (0.0, 29.0, "words 0 words 1 words 2"),
        (30.0, 49.0, "words 3 words 4"),
    ]
    long = [Said(number, number + 1, "x" * 150) for number in range(4)]
    assert [len(one.text) for one in passages(long)] == [301, 301]
    assert list(passages([Said(0, 1, "  ")])) == []


def test_the_models_version_tells_its_weights_and_not_its_place(whisper: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(whisper, tmp_path / "moved")
    assert STAGE.version(str(moved)) == STAGE.version(str(whisper))
    described = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**described, "more": 1}))
    assert STAGE.version(str(moved)) != STAGE.version(str(whisper))
