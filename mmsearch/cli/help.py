"""`mmsearch help`."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsearch.cli.parsing import help_on


def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="The command, such as index, or models pull.")
    ] = None,
) -> None:
    """Print what a command does and its options, as --help does."""
    print(help_on(context, command or ()))
