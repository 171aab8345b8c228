"""Writes docs/reference.md from the command itself; a test asserts that it is up to date.

Run it as `python docs/make_reference.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.main import get_command

from mmsearch.cli import app

PAGE = Path(__file__).parent / "reference.md"
HEAD = """# Reference

All commands and options, as `mmsearch --help` tells them. This page is made by `docs/make_reference.py`.

Exit codes: 0 something was found (or done), 1 nothing was, 2 an error; 130 after Ctrl-C, 143 after SIGTERM.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *(_section(name, command) for name, command in commands().items())])


def commands() -> dict[str, Any]:
    """The command itself and all that it has, by the words they are called by."""
    root: Any = get_command(app)
    context = root.context_class(root)
    found = {"mmsearch": root}
    for name in root.list_commands(context):
        found[f"mmsearch {name}"] = command = root.get_command(context, name)
        inner = getattr(command, "commands", {})
        found.update({f"mmsearch {name} {word}": one for word, one in inner.items()})
    return found


def _section(title: str, command: Any) -> str:
    lines = [f"## {title}", "", *[line.strip() for line in command.help.splitlines()], ""]
    rows = [row for parameter in command.params if (row := _row(parameter))]
    return "\n".join([*lines, "| | |", "|-|-|", *rows, ""])


def _row(parameter: Any) -> str | None:
    if parameter.name in ("install_completion", "show_completion"):
        return f"| `--{parameter.name.replace('_', '-')}` | {parameter.help} |"
    if parameter.param_type_name == "argument":
        return f"| `{parameter.metavar}` | {parameter.help} |"
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    shown = f"{names} {parameter.metavar or ''}".strip().replace("|", "\\|")
    default = parameter.default
    told = "" if default is None or isinstance(default, bool) else f" Default: {getattr(default, 'value', default)}."
    variable = f" Or set `{parameter.envvar}`." if parameter.envvar else ""
    return f"| `{shown}` | {parameter.help}{told}{variable} |"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
