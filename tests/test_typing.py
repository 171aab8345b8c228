"""What a person types, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch


def terms(answer: Any) -> list[tuple[str, float]]:
    return [(term.get("text") or term["image"], term["weight"]) for term in answer.json["query"]["terms"]]


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        (["dog", "on", "beach"], [("dog on beach", 1)]),
        (["dog on beach"], [("dog on beach", 1)]),
        (["red", "car", "+", "2:at", "night"], [("red car", 1), ("at night", 2)]),
        (["red + blue"], [("red + blue", 1)]),
        (["2:dog", "--also", "a cat", "--also", "0.5:a ship"], [("dog", 2), ("a cat", 1), ("a ship", 0.5)]),
        (["dog", "--not", "on snow", "on", "beach"], [("dog on beach", 1), ("on snow", -1)]),
        (["--also", "a cat"], [("a cat", 1)]),
    ],
)
def test_bare_words_are_one_text_and_a_plus_begins_another(
    command: Mmsearch, indexed: Path, typed: list[str], understood: list[tuple[str, float]]
) -> None:
    done = command("search", *typed, "--json", "--min-score", "0", library=indexed)
    assert terms(done) == understood


@pytest.mark.parametrize("typed", [["+"], ["+", "dog"], ["dog", "+"], ["dog", "+", "+", "cat"]])
def test_a_plus_with_nothing_beside_it_is_told(command: Mmsearch, indexed: Path, typed: list[str]) -> None:
    done = command("search", *typed, library=indexed)
    assert (done.code, done.out) == (2, "")
    assert "nothing to look for on one side of a +" in done.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--in", "/no/such/folder"], "/no/such/folder does not exist, and nothing of it is in the library"),
        (["--in", "/no/such*"], "No folder matches '/no/such*'"),
        (["--in", "/usr"], "Nothing of /usr is in the library; run `mmsearch index FOLDER` first."),
        (["--ext", "*.j?g"], "'*.j?g' is not a file extension"),
        (["--ext", "*"], "'*' is not a file extension"),
        (["--after", "2025", "--before", "2024"], "No time lies between --after 2025 and --before 2024"),
        (["--after", "2024", "--before", "2024-01-01"], "No time lies between"),
    ],
)
def test_a_filter_that_nothing_can_pass_is_a_sentence(
    command: Mmsearch, indexed: Path, options: list[str], sentence: str
) -> None:
    done = command("search", "a cat", *options, library=indexed)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_patterns_of_folders_and_extensions(command: Mmsearch, indexed: Path, photos: Path) -> None:
    options = ("--paths", "--min-score", "0", "-n", "50")
    everything = command("search", "a cat", *options, library=indexed).out.splitlines()
    notes = [path for path in everything if "/notes/" in path]
    assert 0 < len(notes) < len(everything)
    assert command("search", "a cat", *options, "--in", photos / "n*s", library=indexed).out.splitlines() == notes
    assert command("search", "a cat", *options, "--in", photos / "*", library=indexed).out.splitlines() == everything
    assert command("search", "a cat", *options, "--in", f"{photos}/**/t*.txt", library=indexed).out.splitlines() == [
        path for path in notes if path.endswith("tax.txt")
    ]
    pictures = command("search", "a cat", *options, "--ext", "*.PNG,*.jpg", library=indexed).out.splitlines()
    assert sorted(pictures) == sorted(path for path in everything if path.endswith((".png", ".jpg")))


def test_a_folder_that_is_away_can_be_searched_in(command: Mmsearch, home: Path) -> None:
    (home / "away").mkdir()
    (home / "away" / "cat.txt").write_text("A text about cats.")
    command("index", home)
    (home / "away").rename(home / "gone")
    done = command("search", "a cat", "--in", home / "away", "--min-score", "0", "--json")
    assert [hit["available"] for hit in done.json["hits"]] == [False]
    done = command("search", "a cat", "--in", home.parent, "--min-score", "0", "--json")
    assert done.code == 0
