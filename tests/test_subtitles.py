"""Subtitles and lyrics are found by what is said in them, and a hit tells when."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Mmsearch

from mmsearch import Library, Query, reading
from mmsearch.reading import open_file, read, readers_label
from mmsearch.reading.text import READER
from mmsearch.records import Part
from mmsearch.searching.query import text_term

SRT = """1
00:00:01,000 --> 00:00:04,500
<i>Good morning!</i>
{\\an8}How are you?

2
00:00:20,000 --> 00:00:24,000
Boats lie in the harbour

3
00:01:14,440 --> 00:01:18,000 X1:40 X2:600
She baked a cake
for the birthday &amp; for us
"""


def parts_of(path: Path, text: str | bytes) -> list[Part]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with open_file(os.fsencode(path)) as file:
        assert file.reader.medium == "text"
        return list(read(file, 64).parts)


def stretches(path: Path, text: str | bytes) -> list[tuple[tuple[float, float] | None, int | None, str]]:
    """(time, line, text) of each stretch."""
    return [(part.locator.time, part.locator.line, part.payload) for part in parts_of(path, text)]


def test_a_hit_in_subtitles_tells_when_it_is_said(tmp_path: Path, library: Library, mmsearch: Mmsearch) -> None:
    (tmp_path / "trip.srt").write_text(SRT)
    library.index([tmp_path])
    hit = library.search(Query((text_term("a birthday cake"),), min_score=0.0)).hits[0]
    assert (hit.type, hit.time, hit.line, hit.offset) == ("text", (74.44, 78.0), 12, SRT.index("She baked"))
    assert hit.snippet == "She baked a cake\nfor the birthday & for us"
    shown = mmsearch("search", "a birthday cake", "--min-score", "0", library=Path(library.folder))
    assert "trip.srt 1:14–1:18\t" in shown.out


def test_other_moments_are_those_at_which_the_words_are_said(tmp_path: Path, library: Library) -> None:
    said = ["The ship sails at dawn and the crew is tired", "It rains upon the roofs of the old harbour"] * 15
    said[1] = "In the garden the children waved to old Zebulon and ate ice cream with cherries"
    said[4] = "The market sells fish and bread, and Zebulon buys a blue bicycle for his sister"
    cues = (
        f"{number + 1}\n00:{number:02d}:00,000 --> 00:{number:02d}:02,000\n{text}" for number, text in enumerate(said)
    )
    (tmp_path / "trip to Bregenz.srt").write_text("\n\n".join(cues))
    library.index([tmp_path])
    (hit,) = library.search("Zebulon").hits
    assert {hit.time, *(moment.time for moment in hit.moments)} >= {(60.0, 62.0), (240.0, 242.0)}
    (moment,) = [moment for moment in hit.moments if moment.time in ((60.0, 62.0), (240.0, 242.0))]
    assert moment.score > 0.75  # by its vector alone it has 0.16
    (named,) = library.search("Bregenz").hits  # a word of the name is said at no moment
    assert all(moment.score < 0.5 for moment in named.moments)
    between = (hit.score + moment.score) / 2
    (least,) = library.search(Query((text_term("Zebulon"),), min_score=between)).hits
    assert least.time == hit.time and not least.moments


def test_cues_of_half_a_minute_are_one_passage_without_numbers_and_tags(tmp_path: Path) -> None:
    assert stretches(tmp_path / "a.srt", SRT) == [
        ((1.0, 24.0), 3, "Good morning!\nHow are you?\nBoats lie in the harbour"),
        ((74.44, 78.0), 12, "She baked a cake\nfor the birthday & for us"),
    ]
    talk = "".join(f"{n}\n00:00:{n:02d},0 --> 00:00:{n:02d},9\n{f'words{n} ' * 17}\n\n" for n in range(1, 9))
    assert [time for time, _, _ in stretches(tmp_path / "b.srt", talk)] == [(1.0, 3.9), (4.0, 6.9), (7.0, 8.9)]


def test_what_nobody_sees_of_a_web_track_is_not_read(tmp_path: Path) -> None:
    text = (
        "\ufeffWEBVTT - A talk\n\nSTYLE\n::cue { color: red }\n\nNOTE by me\n\nintro\n"
        "00:03.500 --> 00:05.000 align:start\n"
        "<v Ada>Welcome to <c.loud>the <00:04.000>show</c>\n\nNOTE\nsecret\nwords\n\n"
        "2\n01:00:06.000 --> 01:00:09.000\nGoodbye,\n- all\n\nNOTE the end"
    )
    assert stretches(tmp_path / "a.vtt", text) == [
        ((3.5, 5.0), 10, "Welcome to the show"),
        ((3606.0, 3609.0), 18, "Goodbye,\n- all"),
    ]


def test_speech_that_is_written_while_it_is_spoken_comes_once(tmp_path: Path) -> None:
    lines = ["so today", "we will walk", "to the harbour"]
    cues = [f"00:0{n}.000 --> 00:0{n + 1}.000\n" + "\n".join(lines[max(0, n - 1) : n + 1]) for n in range(3)]
    assert stretches(tmp_path / "a.vtt", "WEBVTT\n\n" + "\n\n".join(cues)) == [((0.0, 3.0), 4, "\n".join(lines))]


def test_lyrics_are_found_at_each_time_at_which_they_are_sung(tmp_path: Path) -> None:
    text = (
        "[ar: The Waves]\n[ti:Harbour song]\n[offset:+500]\n[by:me]\n\n[00:12.00]Boats in the harbour\n"
        "[00:17.20][01:17.20]Sing <00:18.00> of the sea\n[00:22]\n[02:01:50]Good night\n"
    )
    assert stretches(tmp_path / "a.lrc", text) == [
        (None, 1, "The Waves\nHarbour song"),
        ((11.5, 21.5), 6, "Boats in the harbour\nSing of the sea"),
        ((76.7, 121.0), 7, "Sing of the sea"),
        ((121.0, 121.0), 9, "Good night"),
    ]


def test_the_encoding_is_found_as_that_of_other_texts(tmp_path: Path) -> None:
    text = SRT.replace("Boats", "Größere Boote müssen").replace("\n", "\r\n")
    for encoding in ("utf-8-sig", "utf-16", "cp1252"):
        found = stretches(tmp_path / "a.srt", text.encode(encoding))
        assert [(time, line) for time, line, _ in found] == [((1.0, 24.0), 3), ((74.44, 78.0), 12)]
        assert "Größere Boote müssen lie" in found[0][2]


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.lrc"])
def test_what_has_no_times_is_a_text_like_others(tmp_path: Path, name: str) -> None:
    assert stretches(tmp_path / name, "Boats lie\nin the harbour") == [(None, None, "Boats lie\nin the harbour")]


def test_damaged_times_lose_no_words(tmp_path: Path) -> None:
    damaged = SRT.replace("00:00:20,000 --> 00:00:24,000", "00:00:20,0x0 --> 00")
    found = stretches(tmp_path / "a.srt", damaged[:-20])
    assert [time for time, _, _ in found] == [(1.0, 4.5), (74.44, 78.0)]
    assert "Boats lie in the harbour" in found[0][2] and found[1][2] == "She baked a cake\nfor the bi"
    backwards = "1\n00:00:09,0 --> 00:00:08,0\nlate\n\n2\n00:00:01,0 --> 00:00:02,0\nearly\n"
    assert stretches(tmp_path / "b.srt", backwards) == [((1.0, 9.0), 3, "early\nlate")]


def test_after_an_upgrade_only_subtitles_are_read_again(
    tmp_path: Path, library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "trip.srt").write_text(SRT)
    (home / "copy.txt").write_text(SRT)
    older = replace(READER, versions={}, way_of_reading=lambda extension: 0, extensions=READER.extensions)
    with monkeypatch.context() as before:
        before.setattr(reading, "READERS", [one for one in reading.READERS if one is not READER] + [older])
        before.setattr("mmsearch.reading.subtitles.parts_of_subtitles", lambda text, extension: [])
        assert library.index([home]).added == 6
        label = readers_label()
    assert readers_label() != label
    report = library.index()
    assert (report.encoded, report.unchanged) == (1, 5)
    assert library.index().unchanged == 6
    times = [hit.time for hit in library.search(Query((text_term("a birthday cake"),), min_score=0.0)).hits]
    assert (74.44, 78.0) in times
