"""What is heard in recordings and films, and when: windows of their sound, as a model of sound takes them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsearch.reading import Reading, UnreadableFile, open_file, read
from mmsearch.reading.video import sound
from mmsearch.records import Hearing, Part

pytest.importorskip("av", reason="the video extra is not installed")
from made_videos import (
    SIZE,
    SOUND_RATE,
    noise,
    silence,
    tone,
    with_sound,
    write_film,
    write_samples,
    write_sound,
    write_with_gaps,
)

HEARING = Hearing(SOUND_RATE, 10.0)
RED = Image.new("RGB", SIZE, "red")


def heard(path: Path, hearing: Hearing = HEARING) -> tuple[str | None, Reading, list[Part]]:
    """The medium of a file, what was found in it, and its windows of sound."""
    with open_file(os.fsencode(path)) as file:
        found = read(file, 64, hearing)
        return found.medium, found, list(found.parts)


def times(parts: list[Part]) -> list[tuple[float, ...]]:
    """From when to when each lasts, to a tenth of a second."""
    return [tuple(round(moment, 1) for moment in part.locator.time or ()) for part in parts]


def pitch(part: Part) -> float:
    """The strongest frequency of a window, in Hz."""
    strengths = np.abs(np.fft.rfft(part.payload.samples))
    return float(np.argmax(strengths) * part.payload.rate / len(part.payload.samples))


def test_sound_comes_in_windows_that_overlap_and_silence_is_none(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.wav", tone(440, 25))
    medium, found, parts = heard(path)
    assert (medium, found.facts.duration) == ("audio", 25.0)
    assert times(parts) == [(0, 10), (8, 18), (16, 25)]
    assert {(part.modality, part.source) for part in parts} == {("audio", "sound")}
    assert all(part.payload.samples.dtype == np.float32 for part in parts)
    path = write_samples(tmp_path / "b.wav", silence(21), tone(440, 4), silence(30), noise(2))
    assert times(heard(path)[2]) == [(16, 26), (24, 34), (48, 57)]
    assert heard(write_samples(tmp_path / "c.wav", silence(12)))[2] == []
    assert times(heard(write_samples(tmp_path / "d.wav", tone(440, 0.1)))[2]) == [(0, 0.1)]


@pytest.mark.parametrize(("channels", "rate", "wanted"), [(1, 48_000, 48_000), (2, 48_000, 16_000), (6, 8_000, 48_000)])
def test_it_is_heard_as_it_sounds_at_the_models_rate(tmp_path: Path, channels: int, rate: int, wanted: int) -> None:
    path = write_samples(tmp_path / "a.wav", tone(600, 1.5, loudness=0.5), channels=channels, rate=rate)
    (part,) = heard(path, Hearing(wanted, 10.0))[2]
    assert part.payload.rate == wanted
    assert len(part.payload.samples) == pytest.approx(1.5 * wanted * SOUND_RATE / rate, abs=50)
    assert pitch(part) == pytest.approx(600 * rate / SOUND_RATE, rel=0.01)
    level = float(np.sqrt(np.mean(np.square(part.payload.samples))))
    assert level == pytest.approx(float(np.sqrt(np.mean(np.square(tone(600, 3, loudness=0.5))))), rel=0.05)


def test_of_a_long_recording_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "a.wav", noise(90))
    with open_file(os.fsencode(path)) as file:
        parts = iter(read(file, 64, HEARING).parts)
        next(parts)
        assert file.stream.tell() < file.size / 4
        assert len(list(parts)) == 10


def test_a_very_long_recording_has_windows_further_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_samples(tmp_path / "a.wav", noise(120))
    monkeypatch.setattr(sound, "MOST_WINDOWS", 5)
    assert times(heard(path)[2]) == [(at, at + 10) for at in (0, 24, 48, 72, 96)]
    # Where it is longer than it says, the step grows on the way.
    monkeypatch.setattr(sound, "LEAST_BYTES_A_SECOND", 1e9)
    monkeypatch.setattr(sound, "MORE_WINDOWS", 2)
    begun = [time[0] for time in times(heard(path)[2])]
    assert begun == [0, 8, 16, 24, 32, 40, 56, 72, 104]


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.flac", "a.opus", "a.aac"])
def test_recordings_of_all_kinds_are_heard(name: str, tmp_path: Path) -> None:
    codecs = {"a.mp3": "libmp3lame", "a.opus": "libopus", "a.flac": "flac"}
    silent = write_sound(tmp_path / name, codecs.get(name, "aac"), {"title": "Silence"})
    medium, found, parts = heard(silent)
    assert (medium, parts, found.lacking) == ("audio", [], "no sound inside")


def test_of_a_film_its_sound_is_heard_and_nothing_else(tmp_path: Path) -> None:
    film = write_film(tmp_path / "silent.mp4", [(RED, 12)])
    medium, found, parts = heard(film)
    assert (medium, parts, found.lacking) == ("video", [], "no sound inside")
    medium, found, parts = heard(with_sound(film, tmp_path / "loud.mp4", np.concatenate([silence(6), tone(500, 6)])))
    assert (medium, {part.modality for part in parts}) == ("video", {"audio"})
    assert [round(time[0]) for time in times(parts)] == [0, 8]
    assert pitch(parts[1]) == pytest.approx(500, rel=0.02)


def test_what_a_damaged_recording_still_holds_is_heard(tmp_path: Path) -> None:
    whole = write_samples(tmp_path / "a.wav", noise(20)).read_bytes()
    path = tmp_path / "short.wav"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    _, found, parts = heard(path)
    assert found.facts.note == "incomplete WAV"
    assert times(parts) == [(0, 10), (8, 13.3)]
    for place in range(0, 4_000, 97):
        path.write_bytes(whole[:place] + b"\xff\x00" * 40 + whole[place + 80 : 200_000])
        try:
            parts = heard(path)[2]
        except UnreadableFile:
            continue
        assert all(np.isfinite(part.payload.samples).all() for part in parts)


def test_a_file_that_would_be_drawn_out_to_no_end_is_not_heard(tmp_path: Path) -> None:
    assert heard(write_samples(tmp_path / "a.wav", noise(2), rate=20))[2] == []


def test_a_gap_in_the_times_is_one_in_the_sound(tmp_path: Path) -> None:
    path = write_with_gaps(tmp_path / "a.mka", (0, tone(440, 3)), (60, tone(880, 3)))
    parts = heard(path)[2]
    assert times(parts) == [(0, 3), (60, 63)]
    assert [round(pitch(part), -1) for part in parts] == [440, 880]
