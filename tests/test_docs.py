"""What the documents say is so."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from mmsearch import __version__

HERE = Path(__file__).parent.parent
README = (HERE / "README.md").read_text(encoding="utf-8")
JSON_PAGE = (HERE / "docs" / "json.md").read_text(encoding="utf-8")
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


def test_every_command_that_the_readme_shows_exists() -> None:
    for line in re.findall(r"^ *\$? ?(mmsearch [a-z].*)$", README, re.MULTILINE):
        name = max((name for name in COMMANDS if f"{line} ".startswith(f"{name} ")), key=len)
        assert name != "mmsearch", line
        options = line[len(name) :]
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        shown = re.sub(r'"[^"]*"|\|.*', "", options)
        assert set(re.findall(r"(?<!\S)--[a-z-]+", shown)) <= known, options


def test_every_field_of_the_json_is_documented() -> None:
    from dataclasses import fields

    from mmsearch.adapters.recipe import AdapterReport
    from mmsearch.evaluation.comparison import ComparisonResult
    from mmsearch.evaluation.report import Evaluation
    from mmsearch.evaluation.retrieval import ZeroShot
    from mmsearch.evaluation.separation import Separation
    from mmsearch.indexing.report import IndexReport
    from mmsearch.searching.searcher import Hit

    described = (Hit, IndexReport, Evaluation, ZeroShot, Separation, ComparisonResult, AdapterReport)
    for field in [field for one in described for field in fields(one)]:
        name = field.metadata.get("json", field.name)
        assert name is None or f"`{name}`" in JSON_PAGE, field.name


def test_the_version_is_one() -> None:
    assert version("mmsearch") == __version__


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = re.search(r"<!-- test -->\n+```[a-z]*\n(.+?)\n```", README, re.DOTALL)
    assert command
    assert command[1] in (HERE / ".ci" / "run").read_text(encoding="utf-8")
