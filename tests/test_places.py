"""A hit says where in its file it lies, which other moments answer, and opens there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy_medium
from conftest import Mmsearch, Viewer
from made_videos import USUAL, write_film
from PIL import Image

from mmsearch import Hit, Library, reading
from mmsearch.output.places import place_in_file
from mmsearch.searching.moments import Scored, other_moments

HIT = Hit(
    rank=1, id="", path="/a", type="document", score=0.5, similarity=0.1, width=None, height=None, bytes=1,
    modified="2024-05-01T10:00:00+00:00", taken=None, source="body", snippet=None, line=None, offset=None, page=None,
    time=None, region=None, part_name=None, available=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({}, ""),
        ({"type": "video", "time": (222.0, 228.0)}, " 3:42–3:48"),
        ({"type": "video", "time": (3_723.5, 3_723.9)}, " 1:02:03"),
        ({"page": 7, "line": 12}, " p. 7"),
        ({"page": 3, "part_name": "Budget"}, ' p. 3 "Budget"'),
        ({"part_name": "subject/plan.pdf"}, ' "subject/plan.pdf"'),
        ({"part_name": "a\x1b[2Jb"}, ' "a\\x1b[2Jb"'),
        ({"type": "text", "line": 12}, ":12"),
        ({"type": "document", "line": 12}, ""),
    ],
)
def test_a_place_is_said_as_a_person_says_it(where: dict[str, Any], said: str) -> None:
    assert place_in_file(replace(HIT, **where)) == said


def test_other_moments_are_those_that_are_not_the_edge_of_a_better_one() -> None:
    scores = [0.2, 0.9, 0.6, 0.3, 0.5, 0.4, 0.8, 0.8]
    scored = [Scored(place, (2.0 * place, 2.0 * place + 2), score) for place, score in enumerate(scores)]
    moments = other_moments(scored, scored[1])
    assert [(moment.time, moment.score) for moment in moments] == [((12.0, 14.0), 0.8), ((8.0, 10.0), 0.5)]
    many = [Scored(place, (4.0 * place, 4.0 * place + 2), place / 100) for place in range(40)]
    assert [moment.score for moment in other_moments(many, many[39])] == [place / 100 for place in range(38, 28, -1)]
    assert other_moments([], scored[1]) == ()


@pytest.fixture
def films(photos: Path, tmp_path: Path) -> Path:
    """A folder with a film that shows a cup of coffee from 0 and from 16 s on, and with a photo of one."""
    pytest.importorskip("av", reason="the video extra is not installed")
    folder = tmp_path / "films"
    folder.mkdir()
    pictures = [Image.open(photos / "photos" / name) for name in ("coffee.png", "cat.png", "coffee.png", "bricks.png")]
    write_film(folder / "trip.mp4", [(picture, 8.0) for picture in pictures], replace(USUAL, size=(320, 240)))
    (folder / "cup.png").write_bytes((photos / "photos" / "coffee.png").read_bytes())
    return folder


def test_the_other_moments_of_a_film_are_listed(films: Path, command: Mmsearch) -> None:
    command("index", films)
    found = command("search", "a cup of coffee", "--type", "video", "--json").json["hits"]
    (moment,) = found[0]["moments"]
    assert sorted([found[0]["time"], moment["time"]]) == [[0, 8], [16, 24]]
    assert 0 < moment["score"] <= found[0]["score"]
    lines = command("search", "a cup of coffee", "--type", "video", "--moments").out.splitlines()
    assert sorted(line.split("\t")[2] for line in lines) == [
        f"{films}/trip.mp4 0:00–0:08",
        f"{films}/trip.mp4 0:16–0:24",
    ]
    assert len(command("search", "a cup of coffee", "--type", "video").out.splitlines()) == 1
    # An example is compared with everything: still each moment is one, and scenes that are cut off are none.
    (by_example,) = command("search", "--image", films / "cup.png", "--type", "video", "--json").json["hits"]
    assert by_example["moments"][0]["time"] in ([0, 8], [16, 24])
    assert by_example["moments"][0]["score"] > 0.5
    photo = command("search", "a cup of coffee", "--type", "image", "--json").json["hits"][0]
    assert photo["moments"] == []
    assert command("search", "a cup of coffee", "--moments", "--paths").code == 2
    no_picture = command("search", "--image", films / "trip.mp4")
    assert (no_picture.code, "trip.mp4 is no picture; choose one, or" in no_picture.err) == (2, True)
    assert command("search", "--like", films / "trip.mp4", "--min-score", "0").code == 0


def test_a_page_of_an_album_is_named_in_the_table(
    photos: Path, tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmsearch.output.table import print_table

    monkeypatch.setattr(reading, "READERS", [*reading.READERS, toy_medium.READER])
    monkeypatch.setenv("COLUMNS", "100")
    toy_medium.write_album(tmp_path / "family.album", [("Some words.", None), ("", photos / "photos" / "cat.png")])
    library.index([tmp_path / "family.album"])
    print_table(library.search("a cat"), verbose=False, with_moments=True)
    assert "family.album p. 2" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")
def test_the_best_hit_is_opened_at_its_moment(films: Path, command: Mmsearch, viewer: Viewer) -> None:
    opener = "open" if os.uname().sysname == "Darwin" else "xdg-open"
    command("index", films)
    nothing = command("search", "a cat", "--open")
    assert (nothing.code, nothing.out.count("\n") > 0) == (2, True)
    assert nothing.err == (
        f"mmsearch: {films / 'trip.mp4'} cannot be opened: {opener}, which knows the viewers, is not on the PATH.\n"
    )
    called = viewer(opener)
    assert command("search", "a cup of coffee", "--type", "image", "--open").code == 0
    assert called() == [[opener, str(films / "cup.png")]]
    command("search", "a cat", "--open", "--json")
    assert called() == [[opener, str(films / "trip.mp4")]]
    viewer("vlc")
    command("search", "a cat", "--open")
    assert called() == [["vlc", "--start-time=8", str(films / "trip.mp4")]]
    viewer("mpv")
    command("search", "a cat", "--open")
    assert called() == [["mpv", "--start=8", "--", str(films / "trip.mp4")]]
    command("search", "--type", "image", "--open")  # the first of a list
    assert called() == [[opener, str(films / "cup.png")]]
    viewer("mpv", code=3)
    failing = command("search", "a cat", "--open")
    assert (failing.code, failing.err) == (
        2, f"mmsearch: {films / 'trip.mp4'} cannot be opened: mpv ended with code 3.\n"
    )  # fmt: skip
    (films / "trip.mp4").unlink()
    gone = command("search", "a cat", "--open")
    assert gone.code == 2 and "is not there now, and cannot be opened" in gone.err
    assert command("search", "asdf qwer zxcv", "--open").code == 1


def test_a_page_is_opened_where_a_viewer_can(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmsearch.cli.viewing import open_hit

    called = viewer("xdg-open", "open", "okular")
    open_hit(replace(HIT, path="/books/a.pdf", page=7))
    assert called() == [["okular", "--page", "7", "/books/a.pdf"]]
    viewer("evince")
    open_hit(replace(HIT, path="/books/a.pdf", page=7))
    assert called() == [["evince", "--page-index=7", "/books/a.pdf"]]
    open_hit(replace(HIT, path="/slides/a.pptx", page=7))
    assert called()[0][0] in ("xdg-open", "open")


@pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")
def test_subtitles_open_the_film_beside_them_at_its_moment(tmp_path: Path, viewer: Viewer) -> None:
    from mmsearch.cli.viewing import open_hit

    called = viewer("xdg-open", "open", "mpv")
    hit = replace(HIT, type="text", path=str(tmp_path / "trip.en.srt"), time=(74.44, 78.0))
    (tmp_path / "trip.en.srt").touch()
    open_hit(hit)
    assert called()[0][1:] == [str(tmp_path / "trip.en.srt")]  # as the text that it is
    for name in ("trip.mp3", "trip.mkv", "trip.jpg", "trips.mp4"):
        (tmp_path / name).touch()
    open_hit(hit)
    assert called() == [["mpv", "--start=74.44", "--", str(tmp_path / "trip.mkv")]]
    (tmp_path / "trip.en.MP4").touch()
    open_hit(hit)
    assert called()[0][-1] == str(tmp_path / "trip.en.MP4")
