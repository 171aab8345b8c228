"""A model of sound beside the one that sees and reads: what is heard in recordings and films is found at its time.

Its weights are random, so that what is tested is what is heard, when, and by which model: never what it means.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Mmsearch
from PIL import Image

from mmsearch import Library, MmsearchError, Query
from mmsearch.encoding.protocol import Encoder
from mmsearch.indexing.run import IndexSettings
from mmsearch.indexing.suspects import Suspect, _tried_elsewhere
from mmsearch.indexing.trial import TrialSettings
from mmsearch.models.opening import open_encoder
from mmsearch.reading import ReadLimits
from mmsearch.records import Filters, Hearing, Progress, Sound
from mmsearch.searching.query import image_term, text_term
from mmsearch.store.models import sound_models
from mmsearch.store.sqlite.signing import add_functions, sign
from mmsearch.store.sqlite.store import SqliteStore

pytest.importorskip("av", reason="the video extra is not installed")
pytest.importorskip("sentence_transformers", reason="the clip extra is not installed")
from made_videos import SIZE, SOUND_RATE, noise, silence, tone, with_sound, write_film, write_samples, write_sound
from tiny_clip import make_tiny_clap

HEARING = Hearing(SOUND_RATE, 10.0)
RED = Image.new("RGB", SIZE, "red")
TONES = [Sound(samples, SOUND_RATE) for samples in (tone(200, 10), tone(2_000, 10), noise(10), tone(900, 0.2))]
TEXTS = ["a dog barks", "rain on a tin roof", "x", "music " * 50]


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_clap(tmp_path_factory.mktemp("models") / "clap"))


@pytest.fixture(scope="module", params=["unfused", "fused"])
def encoder(request: pytest.FixtureRequest, clap: str, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    if request.param == "unfused":
        return open_encoder(clap)
    return open_encoder(str(make_tiny_clap(tmp_path_factory.mktemp("models") / "fused", fusion=True)))


def test_sounds_and_texts_become_unit_rows_of_one_space(encoder: Encoder) -> None:
    assert (encoder.modalities, encoder.hearing) == (frozenset({"audio", "text"}), HEARING)
    for modality, payloads in (("audio", TONES), ("text", TEXTS)):
        rows = encoder.encode(modality, payloads)
        assert rows.dtype == np.float32 and rows.shape == (4, encoder.identity.dimension)
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
        one_by_one = np.concatenate([encoder.encode(modality, [one]) for one in payloads])
        assert np.allclose(rows, one_by_one, atol=1e-5)
        assert np.allclose(encoder.encode(modality, payloads[::-1]), rows[::-1], atol=1e-5)
        assert np.array_equal(encoder.encode(modality, payloads), rows)
        assert encoder.encode(modality, []).shape == (0, encoder.identity.dimension)


def test_what_is_longer_than_its_window_is_left_out_and_another_rate_is_refused(encoder: Encoder) -> None:
    longer = Sound(np.concatenate([TONES[0].samples, noise(20)]), SOUND_RATE)
    assert np.array_equal(encoder.encode("audio", [longer]), encoder.encode("audio", TONES[:1]))
    with pytest.raises(ValueError, match="sampling rate"):
        encoder.encode("audio", [Sound(TONES[0].samples, 16_000)])
    with pytest.raises(MmsearchError, match="is a model of sound and encodes no images"):
        encoder.encode("image", [RED])


def test_what_is_known_of_it_is_known_without_loading_it(clap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_encoder(clap)
    known = first.identity, first.hearing
    monkeypatch.setattr("mmsearch.encoding.clap.ClapEncoder._load", lambda *_: pytest.fail("it was loaded"))
    again = open_encoder(clap)
    assert (again.identity, again.hearing) == known


# In a library


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Two recordings without tags, one of silence with a title, a film with sound and a note."""
    folder = tmp_path / "music"
    folder.mkdir()
    write_samples(folder / "low.wav", tone(200, 4), silence(20), tone(900, 12))
    write_samples(folder / "noise.wav", noise(5))
    write_sound(folder / "silent.flac", "flac", {"title": "Four minutes and thirty-three seconds"})
    film = write_film(tmp_path / "silent.mp4", [(RED, 4)])
    with_sound(film, folder / "film.mp4", tone(1_500, 4))
    (folder / "tax.txt").write_text("The income tax return is due in July.")
    return folder


def query(text: str, **options: Any) -> Query:
    return Query((text_term(text),), min_score=0, **options)


def places(library: Library) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection:
        return connection.execute(
            "SELECT ordinal, source, time_from, time_to, last FROM items WHERE modality = 'audio' ORDER BY id"
        ).fetchall()


def test_a_sound_is_found_at_its_time_by_the_model_that_hears(library: Library, music: Path, clap: str) -> None:
    before = library.index([music])
    assert {os.path.basename(one.path) for one in before.failures} == {b"low.wav", b"noise.wav"}
    report = library.index([music], model=clap)
    assert (report.model.split("@")[0], report.added, report.failed, report.failing) == ("mmsearch-mini", 2, 0, 0)
    (of_sound,) = report.sound
    assert (of_sound.model.split("@")[0], of_sound.added, of_sound.encoded, of_sound.failed) == (clap, 2, 1, 0)
    wanted = open_encoder(clap).encode("audio", [Sound(tone(900, 12)[: 10 * SOUND_RATE], SOUND_RATE)])[0]
    with closing(SqliteStore.read(library.folder)) as store:
        (model,) = sound_models(store)
        nearest, cosines, *_ = store.nearest(model.id, "audio", wanted, 1, Filters())
        (item,) = store.found_items(nearest.tolist(), Filters())
        assert store.modalities(model.id) == ["audio"]
    assert (os.path.basename(item.path), item.locator.time, item.source) == (b"low.wav", (24, 34), "sound")
    assert cosines[0] > 0.999
    found = library.search(query("a dog barks"))
    assert found.model == f"{before.model}, {of_sound.model}"
    assert set(found.thresholds) == {"image", "text", "audio"}
    sources = {os.path.basename(hit.path): (hit.type, hit.source, hit.time) for hit in found.hits}
    assert sources["noise.wav"] == ("audio", "sound", (0, 5))
    assert sources["film.mp4"][0] == "video" and len(sources) == 5
    # Each of the two is asked alone when it is named.
    assert {hit.source for hit in library.search(query("a dog"), model=clap).hits} == {"sound"}
    assert "sound" not in {hit.source for hit in library.search(query("a dog"), model="mmsearch-mini").hits}
    assert library.care.examine().sound


def test_later_runs_go_on_with_it_and_an_unchanged_tree_costs_no_writes(
    library: Library, music: Path, clap: str
) -> None:
    library.index([music], model=clap)  # the first run of all
    assert [(one.name, one.searched, one.hears) for one in library.models.list()] == [
        ("mmsearch-mini", True, False),
        (clap, False, True),
    ]
    write_samples(music / "new.wav", noise(3, seed=1))
    report = library.index()
    assert (report.added, [one.added for one in report.sound]) == (1, [1])
    library.index()  # what the one has brought in is known to the other
    with closing(SqliteStore.read(library.folder)) as store:
        before = store.state()
    report = library.index()
    assert (report.unchanged, report.failing) == (6, 0)
    with closing(SqliteStore.read(library.folder)) as store:
        assert store.state() == before
    # Neither the note nor the silence is anything that it lacks, or could not encode.
    (of_sound,) = (one for one in library.models.list() if one.hears)
    assert (of_sound.files, of_sound.lacking, of_sound.failed) == (4, 0, 0)
    assert library.status().failures == ()
    (music / "new.wav").unlink()
    assert library.index().removed == 1
    assert "new.wav" not in {os.path.basename(hit.path) for hit in library.search(query("a dog")).hits}


def test_only_queries_that_it_can_hear_are_asked_of_it(
    library: Library, music: Path, clap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmsearch.encoding.clap import ClapEncoder

    picture = music / "red.png"
    RED.save(picture)
    library.index([music], model=clap)
    asked: list[Any] = []
    encode = ClapEncoder.encode

    def counted(self: ClapEncoder, modality: str, payloads: Any) -> Any:
        asked.extend(payloads)
        return encode(self, modality, payloads)

    monkeypatch.setattr(ClapEncoder, "encode", counted)
    by_picture = library.search(Query((image_term(str(picture)),), min_score=0))
    both = library.search(Query((text_term("red"), image_term(str(picture))), min_score=0))
    assert "sound" not in {hit.source for hit in (*by_picture.hits, *both.hits)}
    assert {hit.type for hit in library.search(query("red", filters=Filters(medium="image"))).hits} == {"image"}
    assert asked == []
    assert library.search(query("red", filters=Filters(medium="audio"))).hits[0].type == "audio"
    assert asked == ["red"]
    with pytest.raises(MmsearchError, match="hears, and sees no pictures"):
        library.search(Query((image_term(str(picture)),)), model=clap)


def test_what_one_model_has_seen_or_heard_is_liked_without_the_other(library: Library, music: Path, clap: str) -> None:
    for colour in ("red", "blue"):
        Image.new("RGB", SIZE, colour).save(music / f"{colour}.png")
    library.index([music], model=clap)
    for name, source in (("red.png", "body"), ("low.wav", "sound")):
        liked = library.id_called(music / name)
        hits = library.search(Query((), min_score=0, like=(liked,))).hits
        assert hits and {hit.source for hit in hits if hit.type in ("image", "audio")} >= {source}
        assert name not in {os.path.basename(hit.path) for hit in hits}
    with pytest.raises(MmsearchError, match="Nothing of what is liked was encoded"):
        library.search(Query((), like=(library.id_called(music / "red.png"),)), model=clap)


def test_what_older_versions_refused_is_heard(library: Library, music: Path, clap: str) -> None:
    library.index([music])
    library.close()
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection, connection:
        connection.execute("UPDATE failures SET model_id = NULL, readers = 'of another day'")
        add_functions(connection)
        sign(connection, "failures")
    report = library.index([music], model=clap)
    assert (report.added, report.failed, library.status().failures) == (2, 0, ())


@pytest.mark.slow
def test_a_long_recording_goes_on_where_a_run_was_stopped(library: Library, tmp_path: Path, clap: str) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    write_samples(folder / "long.wav", noise(300))
    with Library(tmp_path / "whole") as whole:
        whole.index([folder], model=clap)
        kept = places(whole)
    assert len(kept) == 38
    settings = IndexSettings(workers=1)

    def stop_once_begun(progress: Progress) -> None:
        if progress.begun > 0:
            settings.stop.set()

    report = library.index([folder], model=clap, settings=settings, on_progress=stop_once_begun)
    assert report.stopped
    begun = places(library)
    assert 16 <= len(begun) < 38 and begun == [(*row[:4], 0) for row in kept[: len(begun)]]
    assert [one.encoded for one in library.index().sound] == [1]
    assert places(library) == kept


def test_it_is_dropped_and_never_in_the_place_of_the_one_that_sees(library: Library, music: Path, clap: str) -> None:
    library.index([music], model=clap)
    with pytest.raises(MmsearchError, match="searches ask it already"):
        library.models.use(clap)
    assert library.models.drop(clap).dropped == 6
    with closing(SqliteStore.read(library.folder)) as store:
        assert sound_models(store) == []
    found = library.search(query("a dog"))
    assert "sound" not in {hit.source for hit in found.hits} and "," not in found.model
    library.index()
    assert {os.path.basename(one.path) for one in library.status().failures} == {b"low.wav", b"noise.wav"}


def test_a_repair_knows_it_again(library: Library, music: Path, clap: str) -> None:
    library.index([music], model=clap)
    library.close()
    with closing(sqlite3.connect(Path(library.folder, "library.db"))) as connection, connection:
        connection.execute("DELETE FROM settings WHERE key IN ('sound_models', 'model_id')")
    library.care.repair()
    assert [(one.searched, one.hears) for one in library.models.list()] == [(True, False), (False, True)]


@pytest.mark.slow
def test_a_recording_that_may_have_ended_a_run_is_tried_as_it_is_heard(music: Path, clap: str) -> None:
    settings = TrialSettings(clap, "cpu", ReadLimits())
    trial = _tried_elsewhere([Suspect(os.fsencode(music / "noise.wav"))], settings, threading.Event(), seconds=300)
    assert (trial.started, trial.done, trial.was_read) == (True, 1, False)


NOT_FOR_SOUND: dict[str, Callable[[Library, str, Path], object]] = {
    "sees no pictures": lambda library, clap, folder: library.index([folder], model=f"{clap}+crops"),
    "only models of pictures and texts": lambda library, clap, folder: library.models.optimise(clap, f"{folder}-int8"),
}


@pytest.mark.parametrize("words", NOT_FOR_SOUND)
def test_what_is_for_pictures_is_refused_in_a_sentence(words: str, library: Library, music: Path, clap: str) -> None:
    with pytest.raises(MmsearchError, match=words):
        NOT_FOR_SOUND[words](library, clap, music)
    assert not library.exists()


def test_the_commands(music: Path, clap: str, tmp_path: Path, command: Mmsearch) -> None:
    done = command("index", music, "--model", clap)
    assert (done.code, done.out.split(":")[0]) == (0, "5 files searchable")
    assert "sound of 3 files encoded" in done.err and "skipped" not in done.err
    assert f"{clap}@" in command("status").out and "3 files heard" in command("status").out
    listed = command("models").out
    assert "searches ask it for sound: 3 files" in listed and "laion/clap-htsat-unfused" in listed
    answer = command("search", "a dog barks", "--min-score", "0", "--type", "audio", "-n", "9")
    assert f"{music / 'noise.wav'} 0:00–0:05" in answer.out
    as_json = command("search", "a dog barks", "--min-score", "0", "--model", clap, "--json").json
    assert {(hit["source"], hit["snippet"]) for hit in as_json["hits"]} == {("sound", None)}
    assert command("eval", music, "--model", clap).code == 2
    assert command("models", "use", clap).code == 2
    assert command("models", "drop", clap).code == 0
