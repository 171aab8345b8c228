"""What a person types, and what is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Mmsearch
from rich.cells import cell_len


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
        (["dog", "--not", "on snow", "on", "beach"], [("dog on beach", 1), ("on snow", -0.5)]),
        (["dog", "--not", "1:snow"], [("dog", 1), ("snow", -1)]),
        (["a", "street", "without", "cars"], [("a street", 1), ("cars", -0.5)]),
        (["2:a beach, no people"], [("a beach", 2), ("people", -1)]),
        (["a man with no hat", "+", "3:at", "night"], [("a man", 1), ("hat", -0.5), ("at night", 3)]),
        (["a room but not the kitchen"], [("a room", 1), ("the kitchen", -0.5)]),
        (["no parking sign"], [("no parking sign", 1)]),
        (['"doctors without borders"'], [('"doctors without borders"', 1)]),
        (["without"], [("without", 1)]),
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
        (["--ext", os.fsdecode(b"\xff")], "is not a file extension"),
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
        (["--library", "/x", "status"], "Options come after the command: `mmsearch status … --library`."),
        (["--json", "search", "cat"], "Options come after the command: `mmsearch search … --json`."),
        (["models", "--library", "/x", "drop", "y"], "the command: `mmsearch models drop … --library`."),
        (["--top", "3", "search", "cat"], "There is no option --top; `mmsearch --help` lists what there is."),
        (["--library", "/x"], "There is no option --library; `mmsearch --help` lists what there is."),
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
        assert "1 failed" in done.out
    assert command("search", "xyzzy", "--ext", "pdf", "-q").err == ""
    assert "nothing found" in command("search", "xyzzy", "--ext", "pdf").err
    assert "no option" in command("search", "-q", "--xyzzy").err
    assert "is not a date" in command("search", "-q", "cat", "--after", "x").err


def test_nothing_to_prune_is_no_failure(command: Mmsearch, home: Path) -> None:
    command("index", home)
    done = command("prune")
    assert (done.code, done.out) == (0, "nothing is gone\n")


def test_the_path_of_a_picture_searches_by_that_picture(
    command: Mmsearch, indexed: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cat = photos / "photos" / "cat.png"
    (tmp_path / "my cat.png").write_bytes(cat.read_bytes())
    (tmp_path / "dog").write_bytes(cat.read_bytes())
    monkeypatch.chdir(tmp_path)
    options = ("--json", "-n", "3", "--min-score", "0")
    for typed, understood in (
        ([str(cat)], [(str(cat), 1)]),
        ([f"2:{cat}", "+", "at", "night"], [(str(cat), 2), ("at night", 1)]),
        (["at", "night", str(cat)], [("at night", 1), (str(cat), 1)]),
        (["my", "cat.png"], [(str(tmp_path / "my cat.png"), 1)]),
        ([cat.as_uri()], [(str(cat), 1)]),
        (["--image", f"0.5:{cat.as_uri()}"], [(str(cat), 0.5)]),
        (["--image", (tmp_path / "my cat.png").as_uri()], [(str(tmp_path / "my cat.png"), 1)]),
        (["dog"], [("dog", 1)]),
        (["gone.png"], [("gone.png", 1)]),
        (["--also", "my cat.png"], [("my cat.png", 1)]),
    ):
        assert terms(command("search", *typed, *options, library=indexed)) == understood, typed


def test_a_path_that_leads_to_no_picture_is_searched_as_words_and_that_is_told(
    command: Mmsearch, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "tax return.txt").write_text("Forms for the tax office, due in July.")
    command("index", home)
    monkeypatch.chdir(home)
    for typed in ("gone.png", str(tmp_path / "gone.txt")):
        assert f"there is no file {typed} here" in command("search", typed).err
    done = command("search", "cat.png", "./tax return.txt", "--limit", "1", "--type", "image")
    like = "`mmsearch search --like './tax return.txt'` finds what is like that file"
    assert like in done.err
    assert command("search", "--like", "./tax return.txt", "--min-score", "0").code == 0
    # Nothing of a picture that is there, of what was found by its name, of words, and to a script.
    for words in (["cat.png"], ["tax return.txt"], ["the tax.office"], ["a node.js"], ["gone.png", "--json"]):
        assert " was looked for" not in command("search", *words).err, words


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["file:///no/such.png"], "file:///no/such.png does not exist"),
        (["--image", "file://elsewhere/a.png"], "lies on another machine"),
        (["--image", "https://example.org/a.png"], "of which nothing is fetched"),
    ],
)
def test_a_picture_that_is_out_of_reach_is_a_sentence(
    command: Mmsearch, indexed: Path, typed: list[str], sentence: str
) -> None:
    done = command("search", *typed, library=indexed)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="this system has no /dev/stdin")
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "0.5:-"])
def test_a_picture_from_a_pipe_leaves_no_file_behind(indexed: Path, photos: Path, tmp_path: Path, name: str) -> None:
    kept = tmp_path / "temporary"
    kept.mkdir()
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(indexed), "TMPDIR": str(kept)}
    arguments = [sys.executable, "-m", "mmsearch", "search", "--image", name, "--paths", "-n", "1"]
    picture = (photos / "photos" / "cat.png").read_bytes()
    done = subprocess.run(arguments, input=picture, env=environment, capture_output=True, check=True)
    assert os.fsdecode(done.stdout).endswith("/photos/cat.png\n")
    nothing = subprocess.run(arguments, input=b"", env=environment, capture_output=True, check=False)
    assert (nothing.returncode, b"Nothing comes through the pipe" in nothing.stderr) == (2, True)
    assert list(kept.glob("mmsearch*")) == []
    arguments[arguments.index("--image") :] = ["-"]
    as_text = subprocess.run(arguments, input=picture, env=environment, capture_output=True, check=False)
    assert (as_text.returncode, b"taken from there by --image -" in as_text.stderr) == (2, True)


@pytest.mark.parametrize("width", [80, 40])
def test_a_table_has_one_line_a_hit_on_any_terminal(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    from mmsearch import Library, Query
    from mmsearch.output.hits import Form, print_result
    from mmsearch.searching.query import text_term

    deep = home / "a folder with a long name" / ("and another one " * 8).strip()
    deep.mkdir(parents=True)
    (deep / "猫の写真について.txt").write_text("A cat in Japan.")
    (home / "cat.png").rename(home / "photo of a cat.png")
    with Library(tmp_path / "library") as library:
        library.index([home])
        result = library.search(Query((text_term("a cat"),), min_score=0))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("HOME", str(home.parent))
    for folder, beginning in ((home, ""), (tmp_path / "library", "~/home/")):
        monkeypatch.chdir(folder)
        print_result(result, Form.TABLE)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["#", "score", "file"]
        assert len(lines) == len(result.hits) + 1
        assert all(cell_len(line) <= width for line in lines)
        shown = {hit.path: line[10:].rstrip() for hit, line in zip(result.hits, lines[1:], strict=True)}
        assert shown[str(home / "photo of a cat.png")] == f"{beginning}photo of a cat.png"
        long = shown[str(deep / "猫の写真について.txt")]
        assert long.startswith(f"{beginning}a ")
        assert long.endswith("写真について.txt:1")
        assert long.count("…") == 1
    print_result(result, Form.TABLE, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert sum("451×300" in line for line in lines) == 1
    assert sum(line.strip().startswith("A cat in Japan.") for line in lines) == 1


def test_copies_are_one_hit_that_names_the_others(command: Mmsearch, home: Path) -> None:
    for name in ("b/cat.png", "a/cat.png", "notes/tax.txt"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes((home / Path(name).name).read_bytes())
    copies = [str(home / name) for name in ("a/cat.png", "b/cat.png", "cat.png")]
    command("index", home)
    options = ("--min-score", "0", "--json")
    found = command("search", "a cat", *options).json
    assert (found["total"], len(found["hits"])) == (4, 4)
    cat = next(hit for hit in found["hits"] if hit["path"].endswith("cat.png"))
    assert [cat["path"], *cat["copies"]] == copies
    each = command("search", "a cat", *options, "--copies").json
    assert (each["total"], len(each["hits"])) == (7, 7)
    assert [hit["path"] for hit in each["hits"] if hit["id"] == cat["id"]] == copies
    assert not any(hit["copies"] for hit in each["hits"])
    pages = [command("search", "a cat", *options, "-n", "1", "--offset", str(skip)).json["hits"] for skip in range(4)]
    assert [hit["id"] for page in pages for hit in page] == [hit["id"] for hit in found["hits"]]
    within = command("search", "a cat", *options, "--in", home / "b").json["hits"]
    assert [(hit["path"], hit["copies"]) for hit in within] == [(copies[1], [])]
    (home / "a").rename(home / "gone")
    moved = next(hit for hit in command("search", "a cat", *options).json["hits"] if hit["id"] == cat["id"])
    assert (moved["path"], moved["copies"], moved["available"]) == (copies[1], [copies[0], copies[2]], True)


def test_an_identical_copy_scores_near_one(command: Mmsearch, home: Path, tmp_path: Path) -> None:
    command("index", home)
    asked = tmp_path / "asked.png"
    asked.write_bytes((home / "cat.png").read_bytes())
    best = command("search", str(asked), "--json").json["hits"][0]
    assert best["path"] == str(home / "cat.png")
    assert best["score"] > 0.99
    best = command("search", (home / "tax.txt").read_text(), "--json").json["hits"][0]
    assert best["path"] == str(home / "tax.txt")
    assert best["score"] > 0.99


def test_a_file_of_a_kind_that_is_not_read_is_told_and_makes_no_root(command: Mmsearch, home: Path) -> None:
    film = home / "film.iso"
    film.write_bytes(b"\0CD001" + bytes(range(256)) * 20)
    alone = command("index", film)
    assert (alone.code, alone.out) == (2, "")
    assert alone.err == f"mmsearch: {film}: files of this kind are not read; pictures, documents and texts are.\n"
    assert not (home.parent / "library" / "library.db").exists()
    among = command("index", film, home / "cat.png", "--json")
    assert (among.code, among.json["added"]) == (0, 1)
    assert among.json["problems"] == [{"path": str(film), "reason": "files of this kind are not read"}]
    assert [root["path"] for root in command("status", "--json").json["roots"]] == [str(home / "cat.png")]


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(command: Mmsearch, home: Path) -> None:
    new = command("index", home, "--dry-run")
    assert (new.code, new.out.split()) == (0, ["4", "would", "be", "added"])
    assert not (home.parent / "library").exists()
    command("index", home)
    database = home.parent / "library" / "library.db"
    before = database.read_bytes()
    (home / "tax.txt").write_text("Another text.")
    (home / "coffee.md").unlink()
    (home / "new.txt").write_text("A new one.")
    (home / "film.iso").write_bytes(b"\0")
    for arguments in ([], [home], [home, home / "new.txt"]):
        done = command("index", *arguments, "--dry-run", "--json").json
        counts = [done[name] for name in ("added", "updated", "removed", "unchanged", "encoded", "others")]
        assert counts == [1, 1, 1, 2, 0, 1]
        assert done["unread"] == {".iso": 1}
    assert database.read_bytes() == before
    done = command("index", "--json").json
    assert [done[name] for name in ("added", "updated", "removed", "unchanged")] == [1, 1, 1, 2]
    assert command("index", "--dry-run", "--rebuild").code == 2
    (home / "none").mkdir()
    empty = command("index", home / "none", "--dry-run")
    assert (empty.code, empty.out) == (1, "")
