"""A text is shown at the words of the query: line, passage and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Mmsearch, run_mmsearch

from mmsearch.searching.standing import fullest_stretch
from mmsearch.store.words import AskedWord

DIARY = """1 May
We planted tomatoes and beans in the garden, and the neighbours came to help us with the fence. In the evening
we sat outside until it was dark, and the children went to bed much later than they are allowed to.

14 June
The car is at the garage.

9 August
On the way south the car broke down near Lyon; we waited four hours for a tow truck.
"""
# Of each what is asked for is longer than a line of output.
LETTER = (
    "Dear Eleonore, the lighthouse keeper wrote to me of the storm; nets were torn, boats adrift, piers under water, "
)
LETTER += "and two cows of the parson swam to the island, where the mayor milked them"
CLAIM = (
    20 * "x"
    + " "
    + 39 * "y"
    + " insured against hail and frost, flooding, fire and theft, but for what was left in a garden, on a "
)
CLAIM += "terrace or at the side of a public road overnight, or was lent to strangers"
LOG = "".join(f"10:{minute:02d}:00 INFO request {minute} answered in {minute + 3} ms\n" for minute in range(40))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A library of a diary and a log, and the folder of these."""
    place = tmp_path_factory.mktemp("kept")
    (place / "notes").mkdir()
    (place / "notes" / "diary.txt").write_text(DIARY)
    (place / "notes" / "letter.txt").write_text(LETTER)
    (place / "notes" / "claim.txt").write_text(CLAIM)
    (place / "notes" / "server.log").write_text(LOG + "10:40:00 ERROR disk full, backup failed\n" + LOG)
    assert run_mmsearch("index", place / "notes", library=place / "library").code == 0
    return place / "library", place / "notes"


@pytest.mark.parametrize(
    ("asked", "name", "line", "shown"),
    [
        ("the car broke down", "diary.txt", 9, "…On the way south the car broke down near Lyon;"),
        ("disk full", "server.log", 41, "10:40:00 ERROR disk full, backup failed"),
        ("planted tomatoes", "diary.txt", 2, "1 May We planted tomatoes"),
        (f'"{LETTER[14:]}"', "letter.txt", 1, "\tDear Eleonore, the lighthouse keeper"),
        (f'"{CLAIM[61:]}"', "claim.txt", 1, f"\t…{39 * 'y'} insured against hail"),
    ],
)
def test_a_text_is_shown_at_the_words_that_were_asked_for(
    kept: tuple[Path, Path], mmsearch: Mmsearch, asked: str, name: str, line: int, shown: str
) -> None:
    library, notes = kept
    done = mmsearch("search", asked, "-n", "1", library=library)
    _, _, place, snippet = done.out.rstrip("\n").split("\t")
    assert place == f"{notes / name}:{line}"
    assert shown in f"\t{snippet}"
    assert asked.split()[-1].strip('"') in (notes / name).read_text().splitlines()[line - 1]


def test_json_says_where_in_the_passage_they_stand(kept: tuple[Path, Path], mmsearch: Mmsearch) -> None:
    (hit,) = mmsearch("search", "the car broke down", "--json", "-n", "1", library=kept[0]).json["hits"]
    begins, ends = hit["match"]
    assert hit["snippet"][begins:ends] == "car broke down"
    assert hit["line"] == 1  # that of the passage, as ever


def test_what_its_name_or_its_meaning_found_is_shown_from_its_beginning(
    kept: tuple[Path, Path], mmsearch: Mmsearch
) -> None:
    for asked in ("diary.txt", "gardening with children"):
        (hit,) = mmsearch("search", asked, "--in", kept[1] / "diary.txt", "--json", library=kept[0]).json["hits"]
        assert hit["match"] is None
    done = mmsearch("search", "diary.txt", library=kept[0])
    assert f"{kept[1] / 'diary.txt'}:1\t1 May We planted" in done.out


def test_an_explanation_begins_there_too(kept: tuple[Path, Path], mmsearch: Mmsearch) -> None:
    done = mmsearch("search", "the car broke down", "-n", "1", "--explain", library=kept[0])
    (passage,) = (line.strip() for line in done.out.splitlines() if "[car]" in line)
    assert "[car] [broke]" in passage and "planted" not in passage


def test_the_stretch_is_the_shortest_that_tells_most() -> None:
    car, broke, lyon = (AskedWord((word,)) for word in ("car", "broke", "lyon"))
    text = "A car. " + "x " * 100 + "The car broke. " + "y " * 100 + "The car broke in Lyon. " + "z " * 100 + "Lyon."
    assert text[slice(*fullest_stretch(text, {car: 1.0, broke: 1.0}) or ())] == "car broke"
    assert text[slice(*fullest_stretch(text, {car: 1.0, broke: 1.0, lyon: 1.0}) or ())] == "car broke in Lyon"
    apart = "A car that broke. It broke, that car broke, and a car broke once more."
    assert fullest_stretch(apart, {car: 1.0, broke: 1.0}) == (33, 42)
    assert fullest_stretch(text, {AskedWord(("boat",)): 1.0}) is None
