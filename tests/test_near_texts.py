"""One text in several formats, or with small edits, is found; what only follows the same form is another text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import office_files as made
import pdf_writer
import pytest
from conftest import Mmsearch
from test_duplicates import named

from mmsearch import Filters, IndexSettings, Library
from mmsearch.reading import ReadLimits
from mmsearch.records import TextPassage
from mmsearch.searching.near_texts import WordCodes, joined, runs_of, shared

LETTER = (
    "Dear neighbours, as some of you have seen already, the roof of our house is to be mended this spring.",
    "Scaffolding will stand in the yard from the 4 of April on, so please take your bicycles into the cellar before.",
    "The roofers begin at 7 in the morning and promise to be quiet at noon, when the children of the first floor nap.",
    "Costs come to 18400 for all of us together, of which the insurance takes 6200 for what the storm has broken.",
    "If you have questions, ring at my door in the evening, or write to the address that you find below.",
)
CHANGED = "All of it is paid out of what we have put aside since 2019, so that nobody needs to pay anything at all now."


def saved(path: Path, paragraphs: Sequence[str], modified: int) -> None:
    """The paragraphs as a document of the kind that the name says."""
    if path.suffix == ".docx":
        made.docx(path, "".join(made.paragraph(one) for one in paragraphs))
    elif path.suffix == ".pdf":
        lines = [" ".join(one.split()[place : place + 9]) for one in paragraphs for place in range(0, 30, 9)]
        path.write_bytes(pdf_writer.written([pdf_writer.text_page(*(line for line in lines if line))]))
    elif path.suffix == ".html":
        body = "".join(f"<p>{one}</p>\n" for one in paragraphs)
        path.write_text(f"<html><head><title>Roof</title></head><body>{body}</body></html>")
    else:
        path.write_text("\n\n".join(paragraphs) + "\n")
    os.utime(path, (modified, modified))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A letter in several forms and, of another month, another letter."""
    folder = tmp_path / "desk"
    folder.mkdir()
    saved(folder / "letter.docx", LETTER, 1_000)
    saved(folder / "letter.pdf", LETTER, 2_000)
    saved(folder / "letter.html", LETTER, 3_000)
    saved(folder / "wide.txt", [one.replace(" ", "   ").upper() for one in LETTER], 4_000)
    saved(folder / "changed.txt", [*LETTER[:3], CHANGED, LETTER[4]], 5_000)
    saved(
        folder / "longer.txt",
        [*LETTER, "The plants on the balconies must come inside for as long as that takes."],
        6_000,
    )
    saved(folder / "other.txt", ["The library of the town is closed on Mondays, and its café opens at noon."], 7_000)
    return folder


def test_a_text_in_other_formats_and_with_small_edits_is_found(desk: Path, library: Library) -> None:
    library.index([desk])
    found = library.duplicates(classes=["text"])
    assert named(found) == [
        ("text", "letter.docx", ["changed.txt", "letter.html", "letter.pdf", "longer.txt", "wide.txt"])
    ]
    (letter,) = found.groups
    assert letter.why == "as docx, a format to write on in"
    shares = {os.path.basename(one.path): one.similarity for one in letter.files}
    assert shares["letter.docx"] == shares["letter.pdf"] == shares["wide.txt"] == 1
    assert 0.6 <= shares["changed.txt"] < shares["longer.txt"] < 1
    assert letter.bytes == sum(one.bytes for one in letter.others)
    assert found.groups == library.duplicates().groups
    assert named(library.duplicates(Filters(medium="document")))[0][2] == ["letter.pdf"]
    of_texts = library.duplicates(Filters(extensions=(".txt",)))
    assert named(of_texts) == [("text", "longer.txt", ["wide.txt"])]  # the changed one is not near to that
    assert of_texts.groups[0].why == "the newest"
    assert library.duplicates(Filters(medium="image")).groups == ()


def test_what_has_changed_since_or_is_away_is_not_kept(desk: Path, library: Library) -> None:
    library.index([desk])
    (desk / "letter.docx").rename(desk.parent / "letter.docx")
    (desk / "wide.txt").write_text("Another text by now.")
    (group,) = library.duplicates().groups
    assert os.path.basename(group.files[0].path) == "letter.html" and group.why.startswith("there now")
    assert {os.path.basename(one.path): one.available for one in group.files}["letter.docx"] is False
    assert "wide.txt" not in {os.path.basename(one.path) for one in group.files}


def test_paths_of_edited_texts_are_given_only_where_they_are_asked_for(desk: Path, mmsearch: Mmsearch) -> None:
    assert mmsearch("index", desk).code == 0
    none = mmsearch("duplicates", "--paths")
    assert (none.code, none.out) == (1, "")
    paths = mmsearch("duplicates", "--class", "text", "--paths").out.splitlines()
    assert len(paths) == 5 and str(desk / "letter.docx") not in paths
    lines = mmsearch("duplicates").out.splitlines()
    assert lines[0] == f"1\ttext\tkeep\t{desk / 'letter.docx'}"


def test_reports_of_one_form_and_versions_of_a_program_are_no_duplicates(tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for month in range(1, 5):
        lines = [
            f"{one} {17 * month + place}, after {23 * month + place} before." for place, one in enumerate(LETTER[:3])
        ]
        saved(folder / f"report{month}.txt", [f"Report {month}", *lines], month)
    program = "\n".join(f"def step_{name}(value):\n    return value + other_{name}" for name in "abcdefgh")
    (folder / "tool.py").write_text(program)
    (folder / "tool_old.py").write_text(program.replace("+", "-", 1))
    library.index([folder])
    assert library.duplicates(classes=["text"]).groups == ()


def test_a_text_of_which_passages_were_left_out_is_not_compared(tmp_path: Path, library: Library) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    words = [f"{number}th chapter in which nobody{number} meets somebody{number} again." for number in range(200)]
    saved(folder / "one.txt", words, 1)
    saved(folder / "two.txt", [*words, "The end."], 2)
    library.index([folder], settings=IndexSettings(ReadLimits(max_passages=5)))
    assert library.duplicates().groups == ()
    library.index([folder])
    assert named(library.duplicates()) == [("text", "two.txt", ["one.txt"])]


def share(one: str, other: str) -> float:
    mine, others = (runs_of(text, WordCodes()) for text in (one, other))
    assert mine is not None and others is not None
    assert shared(mine, others) == shared(others, mine)
    return shared(mine, others)


def test_the_share_is_that_of_runs_of_three_words() -> None:
    text = "one two three four five six seven eight nine ten"
    assert share(text, text.title().replace(" ", ",\n")) == 1
    assert share(text, text + " eleven") == pytest.approx(8 / 9)
    assert share(text, "ten nine eight seven six five four three two one") == 0
    assert share("京都の写真を見せてくださいお願いします", "京都の写真を見せてください、お願いします") > 0.6
    assert runs_of("only a few words", WordCodes()) is None


def test_texts_with_other_numbers_are_others_however_alike() -> None:
    text = "On {} we had {} guests in the house, of whom many stayed for dinner and some until the morning"
    assert share(text.format(4, 17), text.format(4, 17) + " of the next day") > 0.6
    assert share(text.format(4, 17), text.format(5, 19)) == 0
    assert share(text.format("Monday", "many"), text.format(5, "many")) > 0.6


def test_of_very_long_texts_a_sample_is_compared() -> None:
    letters = ["".join(chr(97 + int(digit)) for digit in str(number * 7919 % 99_991)) for number in range(44_000)]
    letters, words = letters[:40_000], letters[40_000:]
    text = " ".join(letters)
    runs = runs_of(text, WordCodes())
    assert runs is not None and len(runs.runs) == 8_192 and runs.last is not None
    assert share(text, text) == 1
    assert share(text, " ".join([*letters[:36_000], *words])) == pytest.approx(36 / 44, abs=0.03)


def test_what_passages_have_in_common_is_there_once() -> None:
    text = "the cat sat on the mat and looked at the moon"
    passages = [TextPassage(1, 1, None, 0, 15, text[:15]), TextPassage(1, 2, None, 11, 45, text[11:])]
    assert joined(passages[0], passages[1:]) == text
    assert joined(passages[0], [TextPassage(1, 2, 2, 0, 3, "the")]) == "the cat sat on \nthe"
