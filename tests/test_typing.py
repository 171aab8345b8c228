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


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["search", "cat", "--top", "5"], "There is no option --top; did you mean --limit? `mmsearch search --help`"),
        (["search", "cat", "--num", "5"], "did you mean --limit?"),
        (["search", "cat", "--limt", "5"], "did you mean --limit?"),
        (["search", "cat", "--exclude", "dog"], "did you mean --not?"),
        (["index", "--exclud", "x"], "did you mean --exclude?"),
        (["index", "--force"], "did you mean --rebuild?"),
        (["prune", "--force"], "did you mean --yes?"),
        (["search", "cat", "--xyzzy"], "There is no option --xyzzy; `mmsearch search --help` lists what there is."),
        (["search", "cat", "-n", "many"], "'many' is not a valid int"),
        (["search", "cat", "--limit"], "requires an argument"),
        (["backup"], "Missing argument 'FILE'"),
        (["status", "x"], "unexpected extra argument"),
        (["serch", "cat"], "There is no command 'serch'; did you mean `mmsearch search`?"),
        (["dog", "on", "beach"], 'to look for it, write `mmsearch search "dog on beach"`.'),
        (["models", "xyzzy"], "There is no command 'xyzzy'; `mmsearch models --help` lists those that there are."),
        (["help", "models", "pul"], "did you mean `mmsearch models pull`?"),
    ],
)
def test_what_is_written_wrong_is_one_sentence_that_says_what_is_meant(
    command: Mmsearch, typed: list[str], sentence: str
) -> None:
    done = command(*typed)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mmsearch: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["search"], ["models", "pull"], ["help"]])
def test_help_on_a_command_is_what_its_help_option_prints(command: Mmsearch, words: list[str]) -> None:
    done = command("help", *words)
    assert done.code == 0
    assert done.out == command(*words, "--help").out
    assert done.out.startswith(" ".join(["Usage: mmsearch", *words]))


def test_the_version_has_a_short_option(command: Mmsearch) -> None:
    assert command("-V").out == command("--version").out != ""


def test_the_command_alone_prints_its_help_and_is_no_success(command: Mmsearch) -> None:
    done = command()
    assert (done.code, done.out) == (2, "")
    assert "search" in done.err


def test_quiet_leaves_out_notes_but_not_errors(command: Mmsearch, home: Path) -> None:
    (home / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "skipped" in command("index", home).err
    for typed in (["index", home, "--retry", "-q"], ["--quiet", "index", home, "--retry"]):
        done = command(*typed)
        assert (done.code, done.err) == (0, "")
        assert "unreadable" in done.out
    assert command("search", "xyzzy", "--ext", "pdf", "-q").err == ""
    assert "nothing found" in command("search", "xyzzy", "--ext", "pdf").err
    assert "no option" in command("search", "-q", "--xyzzy").err
    assert "is not a date" in command("search", "-q", "cat", "--after", "x").err


def test_nothing_to_prune_is_no_failure(command: Mmsearch, home: Path) -> None:
    command("index", home)
    done = command("prune")
    assert (done.code, done.out) == (0, "nothing is gone\n")
