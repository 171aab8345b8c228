"""A person sees the pictures of hits in the terminal, whatever terminal it is."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from conftest import Mmsearch
from PIL import Image
from terminal import Colour, Screen, printed_on_a_terminal, seen

from mmsearch import Invalid, Library
from mmsearch.output.terminal_pictures import Protocol, protocol_of, sixel

TRUE_COLOURS = {"COLORTERM": "truecolor"}


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of a picture, red above blue, twice as wide as high, and a note."""
    folder = tmp_path_factory.mktemp("flag")
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (0, 100, 400, 200))
    (folder / "files").mkdir()
    picture.save(folder / "files" / "a.png")
    (folder / "files" / "b.txt").write_text("A red and blue flag.")
    with Library(folder / "library") as library:
        library.index(folder / "files")
    return folder / "library"


def halves(screen: Screen) -> dict[tuple[int, int], Colour | None]:
    """The colour of each half cell that is drawn, by its row of halves and its column."""
    drawn: dict[tuple[int, int], Colour | None] = {}
    for (row, column), (character, above, below) in screen.cells.items():
        if character == "▀":
            drawn[2 * row, column], drawn[2 * row + 1, column] = above, below
    return drawn


def test_half_blocks_show_the_picture_beside_what_is_said_of_it(flag: Path) -> None:
    code, printed = printed_on_a_terminal(
        "search", "--sort", "name", "--preview", library=flag, environment=TRUE_COLOURS
    )
    assert code == 0
    screen = seen(printed)
    drawn = halves(screen)
    assert {column for _, column in drawn} == set(range(24))
    assert {row for row, _ in drawn} == set(range(2, 14))
    assert {colour for (row, _), colour in drawn.items() if row < 6} == {(255, 0, 0)}
    assert {colour for (row, _), colour in drawn.items() if row > 9} == {(0, 0, 255)}
    lines = screen.text().splitlines()
    assert lines[0].split() == ["#", "file"]
    assert lines[1][26:].split()[0] == "1"
    assert lines[1].endswith("a.png")
    assert "400×200" in lines[2]
    assert lines[8].split()[0] == "2"  # a line without a picture stands where the others do
    assert lines[8].endswith("b.txt")


def test_without_true_colours_the_nearest_of_256_are_taken(flag: Path) -> None:
    _, printed = printed_on_a_terminal("search", "--ext", "png", "--preview", library=flag)
    assert "38;2;" not in printed
    drawn = halves(seen(printed))
    assert (drawn[2, 0], drawn[13, 0]) == ((255, 0, 0), (0, 0, 255))


def test_kitty_gets_the_pixels_as_a_png_in_chunks(indexed: Path) -> None:
    environment = {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}
    code, printed = printed_on_a_terminal(
        *("search", "a cat", "-n", "2", "--min-score", "0", "--type", "image", "--preview"),
        library=indexed,
        environment=environment,
    )
    assert code == 0
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", printed)
    assert all(len(data) <= 4096 for _, data in chunks)
    firsts = [number for number, (settings, _) in enumerate(chunks) if "a=T,f=100" in settings]
    assert len(firsts) == 2
    for begin, end in zip(firsts, [firsts[1], len(chunks)], strict=True):
        assert [settings[-1] for settings, _ in chunks[begin:end]] == [*"1" * (end - begin - 1), "0"]
        data = base64.b64decode("".join(data for _, data in chunks[begin:end]), validate=True)
        width, height = Image.open(io.BytesIO(data)).size
        assert (width <= 240, height <= 160, max(width / 240, height / 160) == 1) == (True, True, True)
    screen = seen(printed)
    assert [(row, column) for row, column, _ in screen.pictures] == [(1, 0), (10, 0)]
    assert screen.line(1)[26:].startswith("1")
    assert screen.line(10)[26:].startswith("2")


def test_iterm2_gets_them_in_its_own_way(flag: Path) -> None:
    _, printed = printed_on_a_terminal(
        "search", "--ext", "png", "--preview", library=flag, environment={"TERM_PROGRAM": "iTerm.app"}
    )
    (picture,) = seen(printed).pictures
    settings, _, data = picture[2].removeprefix("\x1b]1337;File=").removesuffix("\x07").partition(":")
    assert "inline=1" in settings and "width=24;height=8" in settings
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (240, 120)


def unsixeled(written: str) -> Image.Image:
    """The picture that sixels are, as a terminal reads them."""
    size, body = re.fullmatch(r'\x1bP0;1q"1;1;(\d+;\d+)(.*)\x1b\\', written, re.DOTALL).groups()  # type: ignore[union-attr]
    picture = Image.new("RGB", tuple(map(int, size.split(";"))), "black")  # type: ignore[arg-type]
    palette: dict[str, tuple[int, ...]] = {}
    colour, x, y = (0, 0, 0), 0, 0
    for token in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|(?:!(\d+))?([?-~])|([$-])", body):
        number, red, green, blue, times, bits, end = token.groups()
        if end:
            x, y = 0, y + 6 * (end == "-")
        elif red:
            palette[number] = tuple(round(int(share) * 2.55) for share in (red, green, blue))
        elif number:
            colour = palette[number]  # type: ignore[assignment]
        else:
            begins, x = x, x + int(times or 1)
            for across in range(begins, x):
                for bit in range(6):
                    if (ord(bits) - 63) >> bit & 1:
                        picture.putpixel((across, y + bit), colour)
    return picture


def test_sixels_are_the_picture(photos: Path) -> None:
    with Image.open(photos / "photos" / "cat.png") as opened:
        picture = opened.convert("RGB").resize((100, 67))
    again = unsixeled(sixel(picture))
    assert again.size == picture.size
    apart = [
        abs(one - other)
        for place in [(x, y) for x in range(100) for y in range(67)]
        for one, other in zip(picture.getpixel(place), again.getpixel(place), strict=True)  # type: ignore[arg-type]
    ]
    assert sum(apart) / len(apart) < 6


def test_a_terminal_of_sixels_gets_them(flag: Path) -> None:
    _, printed = printed_on_a_terminal(
        "search", "--ext", "png", "--preview", library=flag, environment={"TERM": "foot"}
    )
    (picture,) = seen(printed).pictures
    assert unsixeled(picture[2]).size == (240, 120)


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-256color"}, Protocol.BLOCKS),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "3"}, Protocol.KITTY),
        ({"TERM": "xterm-ghostty"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Protocol.ITERM2),
        ({"TERM": "foot-extra"}, Protocol.SIXEL),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux", "KITTY_WINDOW_ID": "3"}, Protocol.BLOCKS),
        ({"TERM": "screen", "STY": "1.x"}, Protocol.BLOCKS),
        ({"TERM": "xterm", "MMSEARCH_PREVIEW": "sixel"}, Protocol.SIXEL),
        ({}, Protocol.BLOCKS),
    ],
)
def test_the_environment_tells_what_the_terminal_can(environment: dict[str, str], protocol: Protocol) -> None:
    assert protocol_of(environment) is protocol


def test_a_terminal_that_shows_no_pictures_is_said() -> None:
    with pytest.raises(Invalid, match="TERM is dumb"):
        protocol_of({"TERM": "dumb"})
    with pytest.raises(Invalid, match="it is kitty, iterm2, sixel, blocks or nothing"):
        protocol_of({"MMSEARCH_PREVIEW": "ascii"})


def test_in_a_pipe_and_as_json_there_is_no_preview(mmsearch: Mmsearch, indexed: Path) -> None:
    done = mmsearch("search", "a cat", "--preview", library=indexed)
    assert (done.code, done.out) == (2, "")
    assert "the output goes elsewhere" in done.err
    code, printed = printed_on_a_terminal("search", "a cat", "--preview", "--json", library=indexed)
    assert code == 2
    assert "draws beside a table" in printed


def test_a_picture_that_is_away_or_broken_leaves_its_line(home: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "library") as library:
        library.index(home)
    (home / "cat.png").unlink()
    (home / "coffee.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    code, printed = printed_on_a_terminal(
        "search", "--type", "image", "--preview", library=tmp_path / "library", environment={"TERM": "xterm-kitty"}
    )
    assert code == 0
    screen = seen(printed)
    assert screen.pictures == []
    assert "cat.png (not there now)" in screen.text()
    assert "coffee.png" in screen.text()
