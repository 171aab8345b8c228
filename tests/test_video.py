"""Films are found at the moment that shows what was asked for, recordings of sound by their tags."""

from __future__ import annotations

import os
import signal
import sqlite3
import struct
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import Mmsearch
from interrupting import signal_at
from PIL import Image

from mmsearch import Library, Query, reading
from mmsearch.reading import NotAMedium, Reading, ReadLimits, UnreadableFile, open_file, read
from mmsearch.reading.video import frames
from mmsearch.records import Part
from mmsearch.searching.query import text_term

pytest.importorskip("av", reason="the video extra is not installed")
from made_videos import SIZE, USUAL, Shape, write_film, write_sound

RED, GREEN, BLUE = (Image.new("RGB", SIZE, colour) for colour in ("red", "green", "blue"))
Moment = tuple[float, float]


def reading_of(path: Path, side: int = 128, limits: ReadLimits | None = None) -> tuple[str, Reading, list[Part]]:
    """The medium of a file, and what was found in it."""
    with open_file(os.fsencode(path), limits) as file:
        found = read(file, side)
        return found.medium or file.reader.medium, found, list(found.parts)


def refused(path: Path, limits: ReadLimits | None = None) -> str:
    """Why it is not read."""
    with pytest.raises(UnreadableFile) as told:
        reading_of(path, limits=limits)
    return told.value.reason


def colours(parts: list[Part]) -> list[tuple[str, Moment]]:
    """What the frames of a film show in their middle, and when."""
    found = []
    for part in parts:
        if part.source == "frame":
            red, green, blue = part.payload.getpixel((part.payload.width // 2, part.payload.height // 2))
            assert part.locator.time is not None
            strongest = max((red, "red"), (green, "green"), (blue, "blue"))[1]
            found.append((strongest, part.locator.time))
    return found


@pytest.fixture
def trip(photos: Path, tmp_path: Path) -> Path:
    """A folder with a film of thirty seconds: a motorcycle, a cup of coffee from 12 s on, a cat from 20 s on."""
    folder = tmp_path / "films"
    folder.mkdir()
    named = {"motorcycle.png": 12.0, "coffee.png": 8.0, "cat.png": 10.0}
    scenes = [(Image.open(photos / "photos" / name), seconds) for name, seconds in named.items()]
    write_film(folder / "trip.mp4", scenes, replace(USUAL, size=(320, 240), tags={"title": "Our summer"}))
    return folder


@pytest.mark.slow
def test_a_film_is_found_at_its_moment(trip: Path, mmsearch: Mmsearch) -> None:
    done = mmsearch("index", trip, "--json")
    assert (done.code, done.json["added"], done.json["failures"]) == (0, 1, [])
    for query, begins, ends in (("a cup of coffee", 12, 20), ("a cat", 20, 30), ("a motorcycle", 0, 12)):
        (hit,) = mmsearch("search", query, "--json").json["hits"]
        assert (hit["type"], hit["source"], hit["time"]) == ("video", "frame", [begins, ends]), query
        assert (hit["width"], hit["height"], hit["snippet"]) == (320, 240, None)
    (hit,) = mmsearch("search", "our summer", "--min-score", "0", "--json").json["hits"]
    assert hit["path"].endswith("trip.mp4")
    status = mmsearch("status", "--json").json
    assert status["files"] == {"video": 1}
    assert mmsearch("doctor").code == 0


SHAPES = {
    "mpeg4.mp4": Shape("mpeg4"),
    "mpeg4-one-key-frame.mp4": Shape("mpeg4", gop=1_000),
    "h264.mkv": Shape("libx264"),
    "h264-one-key-frame.mkv": Shape("libx264", gop=1_000, options={"sc_threshold": "0"}),
    "h264.avi": Shape("libx264"),
    "hevc-ten-bit.mp4": Shape("libx265", pixels="yuv420p10le", options={"x265-params": "log-level=0"}),
    "vp9.webm": Shape("libvpx-vp9"),
    "vp9-one-key-frame.webm": Shape("libvpx-vp9", gop=1_000),
    "mjpeg.mov": Shape("mjpeg", pixels="yuvj420p"),
    "mjpeg.avi": Shape("mjpeg", pixels="yuvj420p"),
    "mpeg2.mpg": Shape("mpeg2video", rate=25),
    "mpeg2.ts": Shape("mpeg2video", rate=25),
    "camcorder.mts": Shape("libx264", "mpegts", muxing={"mpegts_m2ts_mode": "1"}),
    "h264.flv": Shape("flv"),
    "wmv2.wmv": Shape("wmv2"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_container_gives_the_same_scenes(name: str, tmp_path: Path) -> None:
    path = write_film(tmp_path / name, [(RED, 3), (GREEN, 3), (BLUE, 3.9)], SHAPES[name])
    medium, found, parts = reading_of(path)
    assert medium == "video"
    assert [colour for colour, _ in colours(parts)] == ["red", "red", "green", "blue", "blue"]
    times = [time for _, time in colours(parts)]
    assert [begins for begins, _ in times] == [0, 2, 4, 6, 8]
    assert [ends for _, ends in times[:-1]] == [2, 4, 6, 8] and times[-1][1] == pytest.approx(9.9, abs=0.2)
    assert found.facts.note is None
    assert found.facts.duration == pytest.approx(9.9, abs=1.5)  # MPEG's is that of the last packet's beginning
    assert path.rename(tmp_path / "no extension") and reading_of(tmp_path / "no extension")[0] == "video"


def test_frames_are_no_larger_than_they_need_be(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [(RED, 1)], replace(USUAL, size=(640, 360)))
    sizes = [reading_of(path, side)[2][0].payload.size for side in (64, 200, 400)]
    assert sizes == [(148, 83), (462, 260), (640, 360)]


@pytest.mark.parametrize(("rotation", "place"), [(0, (40, 20)), (90, (20, 150)), (-90, (110, 40)), (180, (150, 110))])
def test_a_film_is_seen_upright(rotation: int, place: tuple[int, int], tmp_path: Path) -> None:
    marked = BLUE.copy()
    marked.paste((255, 0, 0), (0, 0, 60, 40))
    path = write_film(tmp_path / "a.mp4", [(marked, 1)], replace(USUAL, rotation=rotation))
    _, found, parts = reading_of(path)
    shown = SIZE if rotation in (0, 180) else SIZE[::-1]
    assert (found.facts.width, found.facts.height) == shown == parts[0].payload.size
    red, _, blue = parts[0].payload.getpixel(place)
    assert red > 200 and blue < 80


def test_pixels_that_are_no_squares_are_stretched(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", [(RED, 1)], replace(USUAL, aspect=Fraction(16, 11)))
    _, found, parts = reading_of(path)
    assert (found.facts.width, found.facts.height) == (279, 128) == parts[0].payload.size


def test_what_a_film_says_of_itself_is_known(tmp_path: Path) -> None:
    tags = {"title": "Harbour", "comment": "Harbour", "creation_time": "2021-07-08T09:10:11.000000Z"}
    _, found, parts = reading_of(write_film(tmp_path / "a.mp4", [(RED, 3)], replace(USUAL, tags=tags)))
    assert (found.facts.taken, found.facts.duration) == ("2021-07-08T09:10:11+00:00", 3.0)
    assert [(part.source, part.payload) for part in parts if part.modality == "text"] == [("tags", "Harbour")]
    never_set = replace(USUAL, tags={"creation_time": "1904-01-01T00:00:00.000000Z"})
    assert reading_of(write_film(tmp_path / "b.mp4", [(RED, 1)], never_set))[1].facts.taken is None


def test_a_film_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    scenes = [(RED, 6), (GREEN, 6), (BLUE, 6)]
    shape = replace(USUAL, muxing={"movflags": "faststart"})
    for name, note in (("a.mp4", "MP4"), ("a.mkv", "Matroska"), ("a.avi", "AVI")):
        path = write_film(tmp_path / name, scenes, shape if name == "a.mp4" else USUAL)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 6 // 10])
        _, found, parts = reading_of(path)
        seen = [colour for colour, _ in colours(parts)]
        assert found.facts.note == f"incomplete {note}"
        assert seen[:3] == ["red"] * 3 and 4 <= len(seen) < 9, name
    # The index is behind the pictures here.
    path = write_film(tmp_path / "b.mp4", scenes)
    path.write_bytes(path.read_bytes()[:-200])
    assert refused(path) == "truncated MP4"


def test_damaged_films_give_a_reason_or_what_is_left(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", [(RED, 3), (BLUE, 3)], SHAPES["h264.mkv"])
    whole = path.read_bytes()
    for place in range(10, len(whole), len(whole) // 40):
        for damaged in (whole[:place], whole[:place] + b"\xff" * 20 + whole[place + 20 :]):
            path.write_bytes(damaged)
            try:
                _, _, parts = reading_of(path)
            except UnreadableFile as told:
                reasons = ("truncated Matroska", "damaged Matroska", "no picture inside", "not a video file", "neither")
                assert told.reason.startswith(reasons), told.reason
            else:
                assert all(part.modality == "image" for part in parts)


def test_a_film_whose_clock_is_damaged_has_no_endless_moments(tmp_path: Path) -> None:
    """Of a frame each billion seconds no moment between two of them is looked at."""
    path = write_film(tmp_path / "a.avi", [(RED, 3), (BLUE, 3)])
    data = bytearray(path.read_bytes())
    scale = data.index(b"strh") + 28
    for seconds in (100_000, 2**31 - 1):
        data[scale : scale + 8] = struct.pack("<II", seconds, 1)
        path.write_bytes(data)
        _, _, parts = reading_of(path)
        assert len(parts) == 60


def test_a_list_of_other_files_is_no_film(tmp_path: Path) -> None:
    """A program that lets FFmpeg guess opens the file that such a list names."""
    secret = write_film(tmp_path / "secret.mkv", [(RED, 2)])
    path = tmp_path / "holiday.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    assert refused(path) == "not a video file: text inside"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n")
    assert refused(path) == "not a video file: text inside"


def test_typescript_and_transport_streams_have_one_extension(tmp_path: Path, library: Library) -> None:
    stream = write_film(tmp_path / "film.ts", [(RED, 3)], SHAPES["mpeg2.ts"])
    source = tmp_path / "code.ts"
    source.write_text("G".ljust(188) * 40 + "export const answer: number = 42;\n")
    assert reading_of(stream)[0] == "video" and reading_of(source)[0] == "text"
    library.index([tmp_path])
    assert library.status().counts.files == {"video": 1, "text": 1}


def test_what_only_looks_like_a_film_is_none(tmp_path: Path) -> None:
    (tmp_path / "raw.cr3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(4_000))
    with pytest.raises(UnreadableFile) as told:
        reading_of(tmp_path / "raw.cr3")
    assert isinstance(told.value, NotAMedium) or "RAW" in told.value.reason
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(400))
    assert refused(tmp_path / "a.mp4") == "truncated MP4"
    (tmp_path / "a.avi").write_bytes(b"\0" * 400)
    assert refused(tmp_path / "a.avi") == "not a video file: no known container inside"
    path = write_film(tmp_path / "b.mp4", [(RED, 1)])
    assert "over the limit" in refused(path, ReadLimits(max_image_bytes=100_000))


def test_a_long_film_has_a_wider_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_film(tmp_path / "a.mp4", [(RED, 20), (BLUE, 20)])
    monkeypatch.setattr(frames, "MOST_FRAMES", 10)
    parts = reading_of(path)[2]
    assert [begins for _, (begins, _) in colours(parts)] == [4.0 * place for place in range(10)]
    # Where it is longer than it says, the step grows on the way.
    monkeypatch.setattr(frames, "MORE_FRAMES", 4)
    monkeypatch.setattr("mmsearch.reading.video.frames.step_for", lambda duration, size: 1.0)
    begun = [begins for _, (begins, _) in colours(reading_of(path)[2])]
    assert begun == [*range(10), *range(11, 19, 2), *range(21, 36, 4), 41][: len(begun)] and len(begun) <= 20


def test_pictures_that_stand_still_are_taken_once(tmp_path: Path) -> None:
    """A recording of a screen has a frame only when something changes."""
    import av

    path = tmp_path / "screen.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = SIZE
        for picture, at in ((RED, 0.0), (GREEN, 0.3), (BLUE, 30.0), (BLUE, 31.0)):
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = round(at * 10), Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    seen = colours(reading_of(path)[2])
    assert seen[-1][0] == "blue" and 28 <= seen[-1][1][0] <= 30
    assert "green" in [colour for colour, _ in seen[:-1]]
    assert len(seen) <= 4


def test_times_that_begin_anew_or_at_an_odd_place_go_on(tmp_path: Path) -> None:
    first = write_film(tmp_path / "a.ts", [(RED, 6)], SHAPES["mpeg2.ts"]).read_bytes()
    second = write_film(tmp_path / "b.ts", [(BLUE, 4)], SHAPES["mpeg2.ts"]).read_bytes()
    (tmp_path / "both.ts").write_bytes(first + second)
    seen = colours(reading_of(tmp_path / "both.ts")[2])
    assert [colour for colour, _ in seen][:3] == ["red"] * 3 and seen[-1][0] == "blue"
    assert all(one[1] == other[0] for (_, one), (_, other) in pairwise(seen))


SOUNDS = {"a.mp3": "libmp3lame", "a.m4a": "aac", "a.flac": "flac", "a.opus": "libopus", "a.wav": "pcm_s16le"}
TAGS = {"title": "Moonlight Sonata", "artist": "Ludwig van Beethoven", "album": "Piano", "date": "1801"}


@pytest.mark.parametrize("name", [*SOUNDS, "only sound.mp4", "only sound.webm"])
def test_sound_is_found_by_its_tags(name: str, tmp_path: Path) -> None:
    path = write_sound(tmp_path / name, SOUNDS.get(name) or ("aac" if name.endswith("mp4") else "libopus"), TAGS)
    medium, found, (part,) = reading_of(path)
    assert (medium, part.modality, part.source) == ("audio", "text", "tags")
    assert part.payload == "Moonlight Sonata\nLudwig van Beethoven\nPiano\n1801"
    assert found.facts.duration == pytest.approx(1.0, abs=0.1)


def test_the_cover_of_an_album_is_no_film(tmp_path: Path, photos: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", "libmp3lame", TAGS, cover=photos / "photos" / "rocket.jpg")
    medium, _, parts = reading_of(path)
    assert (medium, [part.source for part in parts]) == ("audio", ["tags"])
    untagged = write_sound(tmp_path / "c.mp3", "libmp3lame", {}, cover=photos / "photos" / "rocket.jpg")
    for path in (untagged, write_sound(tmp_path / "b.aac", "aac", {})):
        medium, found, parts = reading_of(path)
        # And not found as "Front cover".
        assert (medium, parts, found.lacking) == ("audio", [], "no words inside: sound without tags")


def test_sound_and_films_are_told_apart_in_the_library(tmp_path: Path, mmsearch: Mmsearch) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    write_sound(folder / "only sound.mp4", "aac", TAGS)
    write_sound(folder / "b.flac", "flac", {"title": "Rain on a tin roof"})
    write_film(folder / "c.mp4", [(RED, 2)])
    mmsearch("index", folder)
    assert mmsearch("status", "--json").json["files"] == {"audio": 2, "video": 1}
    (hit,) = mmsearch("search", "Beethoven", "--type", "audio", "-n", "1", "--min-score", "0", "--json").json["hits"]
    assert hit["path"].endswith("only sound.mp4") and hit["snippet"].startswith("Moonlight Sonata")
    assert (hit["source"], hit["time"]) == ("tags", None)
    assert mmsearch("index", folder, "--json").json["unchanged"] == 3


def places(library: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(library / "library.db")) as connection:
        return connection.execute(
            "SELECT ordinal, source, time_from, time_to, last FROM items ORDER BY ordinal"
        ).fetchall()


@pytest.fixture
def long_film(photos: Path, tmp_path: Path) -> Path:
    """A film of 96 frames that are looked at, of twelve photos and three of them that last longer."""
    folder = tmp_path / "long"
    folder.mkdir()
    names = sorted((photos / "photos").iterdir())
    scenes = [(Image.open(name), 40.0 if place % 5 == 0 else 9.0) for place, name in enumerate(names)]
    write_film(folder / "long.mp4", scenes, replace(USUAL, rate=2, tags={"title": "All of it"}))
    return folder


@pytest.mark.slow
def test_frames_that_look_alike_are_one_and_a_killed_run_goes_on(
    long_film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mmsearch: Mmsearch
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert mmsearch("index", long_film, library=whole).code == 0
    kept = places(whole)
    frame_times = [(begins, ends) for _, source, begins, ends, _ in kept if source == "frame"]
    duration = frame_times[-1][1]
    assert kept[0][1] == "tags" and isinstance(duration, float)
    # Without a gap, far fewer than one each two seconds, and none longer than a group of sixteen.
    assert [ends for _, ends in frame_times[:-1]] == [begins for begins, _ in frame_times[1:]]
    assert 14 <= len(frame_times) < duration / 2 * 0.6
    assert max(float(str(ends)) - float(str(begins)) for begins, ends in frame_times) <= 32
    for times in (1, 3, 5):
        with monkeypatch.context() as patched:
            hook = tmp_path / f"hook{times}"
            hook.mkdir()
            for name, value in signal_at(hook, "batch committed", 1, signal.SIGKILL).items():
                patched.setenv(name, os.pathsep.join([value, os.environ.get("PYTHONPATH", "")]))
            assert mmsearch("index", long_film, library=killed).code == -signal.SIGKILL
        begun = places(killed)
        assert begun == [(*row[:4], 0) for row in kept[: len(begun)]]
    assert mmsearch("index", long_film, library=killed).code == 0
    assert places(killed) == kept


def test_a_search_for_a_film_says_the_whole_moment(long_film: Path, library: Library) -> None:
    library.index([long_film])
    (hit,) = library.search(Query((text_term("a motorcycle"),))).hits
    assert hit.time is not None and hit.time[1] - hit.time[0] >= 4


def test_the_extra_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.output.unread import unread_said
    from mmsearch.reading import audio, video

    monkeypatch.setattr(video, "is_installed", lambda: False)
    absent = [video.recordings("video", "video", frozenset({".mp4"}), lambda head, extension: True), audio.READER]
    assert absent[0].extensions == frozenset() and absent[0].installed() == ()
    assert not absent[0].is_surely(b"fLaC") and not absent[0].may_be(b"fLaC", ".mp4")
    monkeypatch.setattr(reading, "READERS", [reading.image.READER, *absent])
    said = unread_said({".mp4": 3, ".mp3": 2}, (), lambda message, remedy: message)
    assert said == "3 .mp4, 2 .mp3; the extra video reads .mp3, .mp4"
