"""What a person reads on a terminal of 80 columns, as terminals are when they are opened."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from terminal import printed_on_a_terminal, seen

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
