"""Errors have kinds and codes; the engine names what helps, and the command line has the words for it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Mmsearch

import mmsearch
from mmsearch import MmsearchError, Remedy
from mmsearch.cli.remedies import SENTENCES, in_words, remedy_in_words

PACKAGE = Path(mmsearch.__file__).parent
SKINS = ("cli", "output", "server")
# A command, or an option, in a text.
WORDS_OF_THE_COMMAND_LINE = re.compile(r"`mmsearch |(?<![\w-])--[a-z]")


def modules(*without: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        within = path.relative_to(PACKAGE)
        if within.parts[0].removesuffix(".py") not in without:
            yield str(within), ast.parse(path.read_text(encoding="utf-8"))


def documentation(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            found |= {id(one.value) for one in body if isinstance(one, ast.Expr)}
    return found


def calls(tree: ast.Module, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def actions(*without: str) -> set[str]:
    """The actions of all remedies, those of a condition's both ends too."""
    found = set()
    for _, tree in modules(*without):
        for call in calls(tree, "Remedy"):
            found |= {one.value for one in ast.walk(call.args[0]) if isinstance(one, ast.Constant)}
    return {action for action in found if isinstance(action, str)}


def test_no_error_is_of_no_kind() -> None:
    bare = [f"{name}:{call.lineno}" for name, tree in modules() for call in calls(tree, "MmsearchError")]
    assert bare == []


def test_the_engine_does_not_speak_the_language_of_the_command_line() -> None:
    wrong = []
    for name, tree in modules(*SKINS):
        exempt = documentation(tree)
        for node in ast.walk(tree):
            said = node.value if isinstance(node, ast.Constant) and id(node) not in exempt else None
            if isinstance(said, str) and WORDS_OF_THE_COMMAND_LINE.search(said):
                wrong.append(f"{name}:{said}")
    assert wrong == []


@pytest.mark.slow
def test_every_remedy_has_words_and_all_words_are_used() -> None:
    assert actions() <= set(SENTENCES)
    assert set(SENTENCES) <= actions()


@pytest.mark.parametrize("action", SENTENCES)
def test_words_name_what_the_remedy_names(action: str) -> None:
    words = remedy_in_words(Remedy(action, "this-one"))
    assert "{" not in words
    assert not words.endswith(".")


def test_an_error_and_what_helps_are_one_sentence() -> None:
    assert in_words(MmsearchError("It is so.")) == "It is so."
    assert in_words(MmsearchError("It is so", Remedy("status"))) == "It is so; `mmsearch status` lists what it holds."
    assert in_words(MmsearchError("It is away", Remedy("prune.gone"))).startswith("It is away, or take out")


def test_an_optimised_model_is_made_and_others_are_fetched() -> None:
    assert "`mmsearch models pull tiny` and `mmsearch models optimise tiny`" in remedy_in_words(
        Remedy("models.install", "tiny-int8")
    )
    assert "`mmsearch models pull tiny`" in remedy_in_words(Remedy("models.install", "tiny"))


def test_every_code_is_documented() -> None:
    page = (Path(__file__).parent.parent / "docs" / "json.md").read_text(encoding="utf-8")
    kinds = [getattr(mmsearch, name) for name in mmsearch.__all__]
    codes = {one.code for one in kinds if isinstance(one, type) and issubclass(one, MmsearchError)}
    assert len(codes) == 8
    assert {code for code in codes if f"`{code}`" not in page} <= {"error"}


def test_where_there_is_no_library_it_is_told_what_named_the_place(mmsearch: Mmsearch, tmp_path: Path) -> None:
    none = tmp_path / "my libary"
    done = mmsearch("status", "--json", library=none)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"mmsearch: There is no library in {none}; correct MMSEARCH_LIBRARY, which names it, or run "
        "`mmsearch index FOLDER` first.\n"
    )
    for command in (["status"], ["search", "a cat"]):
        assert mmsearch(*command, "--library", none, library=tmp_path).err == (
            f"mmsearch: There is no library in {none}; correct --library, which names it, or run "
            f"`mmsearch index --library '{none}' FOLDER` first.\n"
        )


def test_nothing_named_the_usual_place_of_a_library(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MMSEARCH_LIBRARY", "XDG_DATA_HOME")
    }
    command = [sys.executable, "-m", "mmsearch", "status"]
    done = subprocess.run(
        command, env={**environment, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"mmsearch: There is no library in {tmp_path}")
    assert done.stderr.endswith("mmsearch; run `mmsearch index FOLDER` first.\n")
