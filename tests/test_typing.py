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
