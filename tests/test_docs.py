"""What the documents say is so."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import json_page
import pytest
from conftest import Mmsearch, place_notes, place_photographs

from mmsearch import (
    AdapterReport,
    AdapterStatus,
    Backup,
    Cluster,
    Clusters,
    Compacted,
    ComparisonResult,
    Copied,
    Diagnosis,
    DirectionResult,
    DroppedModel,
    DuplicateFile,
    DuplicateGroup,
    Duplicates,
    Epoch,
    Evaluation,
    Evaluations,
    ExportedModel,
    Hit,
    IndexReport,
    InstalledModel,
    KnownModel,
    Labelled,
    LabelledPhoto,
    LibraryModel,
    ModelOverview,
    Mount,
    OptimisedModel,
    PhotoLabel,
    QueueState,
    RemovedModel,
    SearchResult,
    Separation,
    StoredFusion,
    WatchEvent,
    WorkReport,
    ZeroShot,
    __version__,
)

HERE = Path(__file__).parent.parent
PAGES = [*sorted(HERE.glob("*.md")), *sorted((HERE / "docs").glob("*.md"))]
README = (HERE / "README.md").read_text(encoding="utf-8")
MADE = runpy.run_path(str(HERE / "docs" / "make_reference.py"))
COMMANDS: dict[str, Any] = MADE["commands"]()


def test_the_reference_is_what_the_command_says() -> None:
    made = MADE["reference"]()
    assert made == (HERE / "docs" / "reference.md").read_text(encoding="utf-8"), "run python docs/make_reference.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_is_documented(name: str) -> None:
    reference = (HERE / "docs" / "reference.md").read_text(encoding="utf-8")
    section = reference.split(f"## {name}\n")[1].split("\n## ")[0]
    command = COMMANDS[name]
    assert command.help
    assert name in README
    for parameter in command.params:
        assert parameter.help, parameter.name
        for option in parameter.opts if parameter.param_type_name == "option" else []:
            assert option in section


# `first-use.md` shows mistakes too; it is played line by line.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "first-use.md"], ids=lambda page: page.name)
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    for line in re.findall(r"^(?: {4}|\$ )(mmsearch [a-z].*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        name = max((name for name in COMMANDS if f"{line} ".startswith(f"{name} ")), key=len)
        assert name != "mmsearch", line
        options = line[len(name) :]
        known = {one for parameter in COMMANDS[name].params for one in (*parameter.opts, *parameter.secondary_opts)}
        shown = re.sub(r'"[^"]*"|\|.*', "", options)
        assert set(re.findall(r"(?<!\S)--[a-z-]+", shown)) <= known, options


# What is printed as JSON by its command, and the field that it stands in (None: it is the object itself).
PRINTED: dict[tuple[str, str | None], type] = {
    ("search", None): SearchResult,
    ("search", "hits"): Hit,
    ("duplicates", None): Duplicates,
    ("duplicates", "groups"): DuplicateGroup,
    ("duplicates", "files"): DuplicateFile,
    ("label", None): Labelled,
    ("label", "photos"): LabelledPhoto,
    ("label", "labels"): PhotoLabel,
    ("clusters", None): Clusters,
    ("clusters", "clusters"): Cluster,
    ("index", None): IndexReport,
    ("watch", None): WatchEvent,
    ("worker", None): WorkReport,
    ("status", "queue"): QueueState,
    ("compact", None): Compacted,
    ("backup", None): Backup,
    ("copy", None): Copied,
    ("doctor", None): Diagnosis,
    ("eval", None): Evaluations,
    ("eval", "evaluations"): Evaluation,
    ("eval", "directions"): DirectionResult,
    ("eval", "zero_shot"): ZeroShot,
    ("eval", "separations"): Separation,
    ("eval", "comparisons"): ComparisonResult,
    ("train", None): AdapterReport,
    ("train", "history"): Epoch,
    ("adapters", "adapters"): AdapterStatus,
    ("adapters", "fusions"): StoredFusion,
    ("mounts", "mounts"): Mount,
    ("models", None): ModelOverview,
    ("models", "installed"): InstalledModel,
    ("models", "library"): LibraryModel,
    ("models", "known"): KnownModel,
    ("models export", None): ExportedModel,
    ("models remove", None): RemovedModel,
    ("models use", None): LibraryModel,
    ("models drop", None): DroppedModel,
    ("models optimise", None): OptimisedModel,
}


def json_names(described: Any) -> set[str]:
    """The names that a dataclass has in JSON, where its fields decide on them."""
    assert not hasattr(described, "json_fields")
    named = {one.name: one.metadata.get("json", one.name) for one in fields(described)}
    listed = getattr(described, "JSON_FIELDS", named)
    return {name for one in listed if (name := named.get(one, one)) is not None}


@pytest.mark.parametrize(("place", "described"), PRINTED.items(), ids=str)
def test_every_field_of_the_json_is_documented_in_its_section(place: tuple[str, str | None], described: Any) -> None:
    command, field = place
    section = json_page.sections()[command]
    lacking = sorted(json_names(described) - (section.fields_within(field) if field else section.own_fields()))
    assert not lacking, f"{lacking} not in the section `mmsearch {command}`" + (f", within `{field}`" if field else "")


@pytest.mark.slow
def test_what_commands_print_is_documented_in_their_sections(command: Mmsearch, home: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "captions.jsonl"
    captions = {"cat": "a cat", "coffee": "a cup of coffee"}
    lines = [{"file": str(home / f"{name}.png"), "captions": [said]} for name, said in captions.items()]
    dataset.write_text("".join(json.dumps({**line, "label": line["captions"][0]}) + "\n" for line in lines))
    (home / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    commands: list[tuple[str, tuple[str | Path, ...]]] = [
        ("index", (home,)),
        ("search", ("2:a cat", "--image", home / "cat.png", "--ext", "png")),
        ("search", ("asdf qwer",)),
        ("duplicates", ()),
        ("clusters", ()),
        ("label", ("cat", "cup of coffee")),
        ("status", ()),
        ("eval", (dataset, "--compare", "codes")),
        ("adapters", ()),
        ("models", ()),
        ("doctor", ()),
        ("prune", ("--dry-run",)),
        ("compact", ()),
        ("backup", (tmp_path / "backup.db",)),
        ("copy", (tmp_path / "library", tmp_path / "copy")),
        ("forget", (home / "tax.txt",)),
    ]
    wrong: list[str] = []
    for name, arguments in commands:
        if name == "prune":
            (home / "coffee.md").unlink()
        done = command(*name.split(), *arguments, "--json")
        assert done.code in (0, 1), done.err
        wrong += [*json_page.undocumented(name, done.json), *json_page.not_printed(name, done.json)]
    assert not wrong, "\n".join(wrong)


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in plain}


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures that lie in the repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"""(?:src|href|srcset)="([^"]+)\"""", text)
    return [target for target in found if not target.startswith(("http:", "https:", "mailto:"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        aim = page.parent / name if name else page
        assert aim.exists(), f"{page.name} links {target}"
        assert not anchor or anchor in anchors(aim.read_text(encoding="utf-8")), f"{page.name} links {target}"


def test_the_readme_links_every_page() -> None:
    linked = {(HERE / target.partition("#")[0]).resolve() for target in links(HERE / "README.md")}
    assert not [page.name for page in PAGES if page.name != "README.md" and page.resolve() not in linked]


def test_the_figure_of_the_rooms_is_what_the_imports_are() -> None:
    drawn = runpy.run_path(str(HERE / "docs" / "draw_rooms.py"))["figure"]()
    assert drawn == (HERE / "docs" / "rooms.svg").read_text(encoding="utf-8"), "run python docs/draw_rooms.py"


def test_the_architecture_tells_of_every_room() -> None:
    page = (HERE / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path for path in (HERE / "mmsearch").iterdir() if path.name[0] not in "_."]
    table = page.split("\n## The rooms\n")[1].split("\n## ")[0]
    for room in rooms:
        name = f"{room.name}/" if room.is_dir() else room.name
        assert f"| `{name}` |" in table or room.name == "py.typed", name


def test_tests_that_the_architecture_names_exist() -> None:
    page = (HERE / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(?:tests/)?(test_\w+\.py)`", page):
        assert (HERE / "tests" / name).is_file(), name
    for name in re.findall(r"`((?:mmsearch|[a-z]+)/[\w/]+\.py)`", page):
        assert any((HERE / place / name).is_file() for place in ("", "mmsearch")), name


@pytest.mark.slow
def test_the_examples_in_python_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (HERE / "docs" / "python.md").read_text(encoding="utf-8")
    home = tmp_path / "home"
    shutil.copytree(photos / "photos", home / "Pictures")
    shutil.copytree(photos / "notes", home / "Notes")
    cat = {"file": str(home / "Pictures" / "cat.png"), "captions": ["a cat"]}
    (home / "captions.jsonl").write_text(json.dumps(cat), encoding="utf-8")
    monkeypatch.chdir(home)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("MMSEARCH_LIBRARY", str(tmp_path / "library"))
    examples = re.findall(r"(<!-- not run: .+ -->\n+)?^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for left_out, example in examples:
        if not left_out:
            exec(compile(example, "docs/python.md", "exec"), names)
        else:
            compile(example, "docs/python.md", "exec")
    names["library"].close()
    assert "coffee" in capsys.readouterr().out.splitlines()[0]


def test_the_version_is_one() -> None:
    assert version("mmsearch") == __version__


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = re.search(r"<!-- test -->\n+```[a-z]*\n(.+?)\n```", README, re.DOTALL)
    assert command
    assert command[1] in (HERE / ".ci" / "run").read_text(encoding="utf-8")


@pytest.fixture
def ana(tmp_path: Path) -> Path:
    """The home folder of the person whose first use is told."""
    place_photographs(tmp_path / "Pictures")
    place_notes(tmp_path / "Notes")
    for note in (tmp_path / "Notes").iterdir():
        os.utime(note, (FIRST_USE_NOTED, FIRST_USE_NOTED))
    return tmp_path


FIRST_USE_NOTED = datetime(2024, 5, 6, 12).timestamp()
# What differs from one machine and run to the next.
CHANGING = (
    (r"\d+\.\d+ s\b( \(\d+ files/s\))?", "SECONDS"),
    (r"\b\d\.\d\d\b", "SCORE"),
    (r"\d+\.\d+ MB", "SIZE"),
    (r"\d{4}-\d\d-\d\dT[\d:+]+", "MOMENT"),
    (r"\t", "  "),
)


def unchanging(text: str) -> str:
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return text


@pytest.mark.slow
def test_the_first_use_is_as_it_is_told(ana: Path) -> None:
    page = (HERE / "docs" / "first-use.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MMSEARCH", "XDG"))}
    environment |= {"HOME": str(ana), "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    for exchange in told.split("$ ")[1:]:
        command, _, answer = exchange.partition("\n")
        done = subprocess.run(
            command, shell=True, env=environment, cwd=ana, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert unchanging(done.stdout.replace(str(ana), "/home/ana")) == unchanging(answer), command
