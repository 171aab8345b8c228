"""What a person reads on a terminal of 80 columns, as terminals are when they are opened."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import printed_on_a_terminal, python_on_a_terminal, seen

from mmsearch import Library
from mmsearch.models.known import KNOWN_MODELS

HERE = Path(__file__).parent.parent
COMMANDS: dict[str, Any] = runpy.run_path(str(HERE / "docs" / "make_reference.py"))["commands"]()
GROUPS = [name for name, command in COMMANDS.items() if hasattr(command, "commands")]


def lines_of(*arguments: str, library: Path) -> list[str]:
    """What is to be seen of a command that does what it is asked for."""
    code, printed = printed_on_a_terminal(*arguments, library=library, columns=80)
    assert code == 0, printed
    return seen(printed).text().splitlines()


@pytest.mark.parametrize("name", GROUPS)
def test_the_help_says_of_every_command_a_whole_sentence(name: str, tmp_path: Path) -> None:
    group = COMMANDS[name]
    lines = lines_of(*name.split()[1:], "--help", library=tmp_path)
    listed = {line.split()[0]: line for line in lines[lines.index("Commands:") + 1 :]}
    assert list(listed) == group.list_commands(None)
    for word, line in listed.items():
        sentence, _, _ = " ".join(COMMANDS[f"{name} {word}"].help.split()).partition(". ")
        assert line.removesuffix(".").endswith(f" {sentence.removesuffix('.')}"), line


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_of_help_is_wider_than_the_terminal(name: str, tmp_path: Path) -> None:
    lines = lines_of(*name.split()[1:], "--help", library=tmp_path)
    assert len(lines) > 5 and [line for line in lines if len(line) > 80] == []


BAR = """
from mmsearch.cli.running import progress_bar
from mmsearch.records import Progress
with progress_bar(quiet=False, subject="laion/CLIP-ViT-B-32-laion2B-s34B-b79K") as show:
    show(Progress("fetching", 121_000_000, 605_000_000, "bytes"))
"""
STAGES = """
from mmsearch.cli.running import progress_bar
from mmsearch.records import Progress
with progress_bar(quiet=False) as show:
    show(Progress("comparing", 7, 12, "pairs"))
    show(Progress("comparing", 3, None, "texts"))
"""


def test_a_bar_beside_a_long_name_is_one_line() -> None:
    code, printed = python_on_a_terminal("-c", BAR, columns=80)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", printed))
    bars = [line.strip() for line in lines if line.strip()]
    assert code == 0 and all("━" in line for line in bars), bars
    assert bars[-1].startswith("fetching laion/CLIP-ViT-B-32-laion2B-s34B-b79K ━") and "121.0/605.0 MB" in bars[-1]


def test_a_bar_of_something_else_forgets_how_much_there_was() -> None:
    code, printed = python_on_a_terminal("-c", STAGES, columns=80)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", printed))
    assert code == 0 and [line.split()[-1] for line in lines if line.startswith("comparing")][-1] == "3/?", lines


def test_clusters_tells_why_the_first_time_takes_a_while(own: Path) -> None:
    first, second = (printed_on_a_terminal("clusters", library=own, columns=80) for _ in range(2))
    assert first[0] == second[0] == 0
    assert "encoding words, once" in first[1] and "encoding" not in second[1]


def test_no_table_of_an_evaluation_is_wider_or_cuts_a_word(photos: Path, indexed: Path, tmp_path: Path) -> None:
    named = sorted((photos / "photos").iterdir())
    rows = [
        {"file": str(path), "captions": [f"a photo of a {path.stem}"], "label": ("thing", "view")[place % 2]}
        for place, path in enumerate(named)
    ]
    dataset = tmp_path / "captions.jsonl"
    dataset.write_text("\n".join(json.dumps(row) for row in rows))
    lines = lines_of("eval", str(dataset), "--compare", "codes", library=indexed)
    tables = lines[next(place for place, line in enumerate(lines) if line.startswith("mmsearch-mini@")) :]
    assert max(map(len, tables)) <= 80 and not any("…" in line for line in tables)
    assert all(line.count("[") == line.count("]") for line in tables), "an interval is on two lines"
    # Each is a row, with all that was measured.
    assert sum(line.startswith("R@10") for line in tables) > 1
    refused = next(line for line in tables if line.startswith("nonsense refused "))
    assert refused.count("[") == sum(line.count("→") for line in tables if line.startswith("at the threshold "))


def test_models_are_rows_that_fit_and_what_is_said_of_each_stands_below_it(indexed: Path) -> None:
    lines = lines_of("models", library=indexed)
    assert max(map(len, lines)) <= 80
    for model in KNOWN_MODELS[1:]:
        place = next(place for place, line in enumerate(lines) if line.split()[:1] == [model.name])
        assert lines[place].split()[1:3] == [f"{model.megabytes:,}", "MB"]
        assert lines[place + 1].startswith("      ") and f"licence {model.licence}" in lines[place + 1]
        assert model.remark in " ".join(" ".join(lines[place + 1 : place + 3]).split())


def test_in_a_pipe_a_model_is_one_line_with_all_that_is_said_of_it(indexed: Path) -> None:
    environment = {**os.environ, "MMSEARCH_LIBRARY": str(indexed)}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "mmsearch", "models"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, encoding="utf-8")
    for model in KNOWN_MODELS[1:]:
        (line,) = (line for line in done.stdout.splitlines() if line.split()[:1] == [model.name])
        assert line.endswith(f"licence {model.licence}{'; ' if model.remark else ''}{model.remark}")


@pytest.fixture(scope="module")
def far_down(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder that is too long a name for a line, with two photos, a copy and a damaged one; and its library."""
    folder = tmp_path_factory.mktemp("home") / "what the family has kept of all the years" / "photos of grandmother"
    folder.mkdir(parents=True)
    for name, source in (("cat.png", "cat.png"), ("copy of cat.png", "cat.png"), ("coffee.png", "coffee.png")):
        shutil.copy(photos / "photos" / source, folder / name)
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff no photo")
    library = folder.parent.parent / "library"
    with Library(library) as opened:
        opened.index([folder])
    return folder, library


def test_labels_and_clusters_name_files_by_the_end_of_their_paths(far_down: tuple[Path, Path]) -> None:
    _, library = far_down
    ends = {"cat.png": "cat", "coffee.png": "cup of coffee", "copy of cat.png": "cat"}
    lines = lines_of("label", "cat", "cup of coffee", library=library)
    shown = [line for line in lines if "…" in line]
    assert {line.rpartition("/")[2]: line[6:19].rstrip() for line in shown} == ends
    assert {len(line) for line in shown} == {80} and {line[19:21] for line in shown} == {"  "}
    grouped = lines_of("clusters", "--count", "1", library=library)
    assert max(map(len, grouped)) <= 80
    # A copy is the same photo.
    assert {line.rpartition("/")[2] for line in grouped if "…" in line} == {"cat.png", "coffee.png"}


def test_paths_that_are_to_be_copied_stay_whole_and_facts_stand_below_them(far_down: tuple[Path, Path]) -> None:
    folder, library = far_down
    lines = lines_of("duplicates", library=library)
    assert f"  keep  {folder / 'cat.png'}" in lines and f"        {folder / 'copy of cat.png'}" in lines
    assert lines[lines.index(f"        {folder / 'copy of cat.png'}") + 1].startswith("          (451×300, ")
    told = lines_of("status", library=library)
    assert told[told.index(f"root      {folder}:") + 1].startswith("          3 files, last change ")
    assert max(len(line) for line in told if str(folder.parent.parent) not in line) <= 80
