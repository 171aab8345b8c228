"""What is written in pictures is read by the real engine, and found by words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import Mmsearch, run_mmsearch
from interrupting import started_with
from PIL import Image, ImageDraw, ImageFont

from mmsearch.reading import open_file
from mmsearch.reading.ocr import Line, engine_of, in_reading_order, pieces
from mmsearch.records import Part

pytest.importorskip("rapidocr", reason="the ocr extra is not installed")


def written(path: Path, text: str, size: tuple[int, int] = (640, 320), letters: int = 36, **settings: object) -> Path:
    """A picture with that text, drawn in the font that comes with Pillow."""
    picture = Image.new("RGB", size, "white")
    font = ImageFont.load_default(letters)
    ImageDraw.Draw(picture).multiline_text((40, 60), text, fill="black", font=font, spacing=letters // 2)
    picture.save(path, **settings)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def engine() -> object:
    return engine_of("")


def read_in(path: Path, engine: object) -> list[Part]:
    with open_file(bytes(path)) as file:
        return list(engine.parts(file))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_signs_and_receipts_are_found_by_what_is_written_on_them(home: Path, mmsearch: Mmsearch) -> None:
    written(home / "receipt.jpg", "GROCERY STORE\nMilk 1.19\nBread 2.49\nTOTAL 3.68")
    done = mmsearch("index", home, "--ocr")
    assert done.code == 0, done.err
    assert "text in pictures: 3 files were looked through, 1 of them with some" in done.err
    hit = mmsearch("search", "grocery store milk and bread", "--json").json["hits"][0]
    assert Path(hit["path"]).name == "receipt.jpg"
    assert (hit["type"], hit["source"]) == ("image", "ocr")
    assert hit["snippet"] == "GROCERY STORE\nMilk 1.19\nBread 2.49\nTOTAL 3.68"
    left, top, right, bottom = hit["region"]
    assert 0.0 < left < 0.15 < 0.35 < right < 0.8
    assert 0.1 < top < 0.3 < 0.7 < bottom <= 1.0
    assert "stage     text in pictures: 3 files looked through, 1 of them with some" in mmsearch("status").out
    again = mmsearch("index")
    assert (again.code, again.err) == (0, "")


def test_accents_are_read(tmp_path: Path, engine: object) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="its font has accents")
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 40)
    words = "Bäckerei Müller\nPrzystanek końcowy\nCafé à côté"
    picture = Image.new("RGB", (640, 320), "white")
    ImageDraw.Draw(picture).multiline_text((40, 60), words, fill="black", font=font, spacing=20)
    picture.save(tmp_path / "sign.png")
    (part,) = read_in(tmp_path / "sign.png", engine)
    assert part.payload == words


def test_small_print_of_a_screen_is_read(tmp_path: Path, engine: object) -> None:
    screen = written(tmp_path / "screen.png", "The build failed in line 42", (1920, 1080), 22)
    (part,) = read_in(screen, engine)
    assert part.payload == "The build failed in line 42"


@pytest.mark.slow
def test_a_long_page_is_read_to_its_end_each_line_once(tmp_path: Path, engine: object) -> None:
    lines = [f"Step {number}: open valve {number * 7}" for number in range(1, 25)]
    page = tmp_path / "page.png"
    written(page, "\n".join(lines), (640, 1900), 36, optimize=False)
    (part,) = read_in(page, engine)
    assert part.payload.splitlines() == lines


def test_a_scanned_page_says_its_number(tmp_path: Path, engine: object) -> None:
    scans = [
        Image.open(written(tmp_path / f"{number}.png", text)) for number, text in enumerate(("First", "Second page"))
    ]
    scans[0].save(tmp_path / "scan.pdf", save_all=True, append_images=scans[1:], resolution=72)
    found = [(part.locator.page, part.payload, part.source) for part in read_in(tmp_path / "scan.pdf", engine)]
    assert found == [(1, "First", "ocr"), (2, "Second page", "ocr")]


def test_a_photograph_without_a_word_gives_nothing(home: Path, engine: object) -> None:
    assert read_in(home / "cat.png", engine) == []


def test_fewer_than_three_letters_are_nothing(tmp_path: Path, engine: object) -> None:
    assert read_in(written(tmp_path / "two.png", "42"), engine) == []


def test_one_digit_again_and_again_is_a_pattern(tmp_path: Path, engine: object) -> None:
    assert read_in(written(tmp_path / "pattern.png", "55555 55555\n55555"), engine) == []
    assert read_in(written(tmp_path / "number.png", "55555 55556"), engine)


@pytest.mark.slow
def test_nothing_is_fetched(home: Path, tmp_path: Path) -> None:
    from test_network import HOOK

    written(home / "sign.png", "No swimming here")
    environment = started_with(tmp_path, HOOK)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(environment["PYTHONPATH"])
        patch.setenv("PYTHONPATH", environment["PYTHONPATH"] + ":" + ":".join(sys.path))
        done = run_mmsearch("index", home, "--ocr", library=tmp_path / "library")
    assert "NETWORK" not in done.err
    assert (done.code, "1 of them with some" in done.err) == (0, True)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((4000, 3000), [(0, 3000, 0.0, 3000.0)]),
        ((6000, 500), [(0, 500, 0.0, 500.0)]),
        ((100, 200), [(0, 200, 0.0, 200.0)]),
        ((100, 400), [(0, 200, 0.0, 187.5), (175, 375, 187.5, 362.5), (350, 400, 362.5, 400.0)]),
    ],
)
def test_a_long_picture_is_looked_at_in_pieces(
    size: tuple[int, int], expected: list[tuple[int, int, float, float]]
) -> None:
    assert pieces(*size) == expected


def test_an_endless_picture_has_an_end() -> None:
    assert len(pieces(10, 1_000_000)) == 24


def row(text: str, left: float, top: float, right: float, tilt: float = 0.0) -> Line:
    return Line(text, (left, top), (right, top + tilt), 20.0)


def test_rows_are_read_from_left_to_right_and_downwards() -> None:
    lines = [row("1.19", 300, 98, 360), row("Total", 10, 200, 90), row("Milk", 10, 100, 80), row("3.68", 300, 204, 360)]
    assert in_reading_order(lines) == "Milk 1.19\nTotal 3.68"


def test_a_page_that_lies_askew_is_read_row_by_row() -> None:
    tilt = 0.1
    lines = [
        row(f"{word}{number}", left, 100 + 30 * number + tilt * left, left + 200, tilt * 200)
        for number in range(3)
        for word, left in (("b", 300), ("a", 10))
    ]
    assert in_reading_order(lines) == "a0 b0\na1 b1\na2 b2"


def test_letters_of_another_size_are_a_row_of_their_own() -> None:
    large = Line("SALE", (10, 100), (200, 100), 80.0)
    assert in_reading_order([large, row("until Monday", 230, 110, 400)]) == "SALE\nuntil Monday"


def test_without_the_extra_the_command_says_how_to_get_it(
    home: Path, command: Mmsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmsearch.reading.ocr.find_spec", lambda name: None)
    done = command("index", home, "--ocr")
    assert done.code == 2
    assert "Reading text in pictures needs rapidocr; install it with" in done.err
    assert "[ocr]" in done.err
