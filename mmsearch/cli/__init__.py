"""The command line: parses, calls Library, hands to output. There is no engine here."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from mmsearch import __version__, output
from mmsearch.cli.adapters import adapters, train
from mmsearch.cli.care import backup, compact, doctor, prune
from mmsearch.cli.evaluate import evaluate
from mmsearch.cli.index import index
from mmsearch.cli.library import forget, status
from mmsearch.cli.models import models
from mmsearch.cli.parsing import Command, Group, UsageError, help_on, in_a_sentence
from mmsearch.cli.running import EXIT_ERROR, EXIT_NONE
from mmsearch.cli.search import search
from mmsearch.errors import MmsearchError

app = typer.Typer(
    name="mmsearch",
    cls=Group,
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"mmsearch {__version__}")
        raise typer.Exit()


@app.callback()
def mmsearch(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Find photos and text files on your own disk by meaning, offline.

    Exit codes: 0 something was found (or done), 1 nothing was, 2 an error.
    """
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_ERROR)


def help_(
    context: typer.Context,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="The command, such as index, or models pull.")
    ] = None,
) -> None:
    """Print what a command does and its options, as --help does."""
    print(help_on(context, command or ()))


COMMANDS: tuple[Callable[..., None], ...] = (index, search, status, forget, prune, compact, backup, doctor)
for command in COMMANDS:
    app.command(cls=Command)(command)
app.command("eval", cls=Command)(evaluate)
app.command(cls=Command)(train)
app.command(cls=Command)(adapters)
app.add_typer(models, name="models", cls=Group)
app.command("help", cls=Command)(help_)


def main() -> None:
    """The command `mmsearch`: runs one command and exits with its code."""
    output.be_quiet(False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            code = app(prog_name="mmsearch", standalone_mode=False)
        finally:
            sys.stdout.flush()
        sys.exit(code or 0)
    except MmsearchError as error:
        from mmsearch.cli.remedies import in_words

        output.complain(output.visible(in_words(error)))
        sys.exit(EXIT_ERROR)
    except UsageError as error:
        output.complain(output.visible(in_a_sentence(error)))
        sys.exit(EXIT_ERROR)
    except typer.Abort:
        output.complain("stopped.")
        sys.exit(EXIT_NONE)
    except BrokenPipeError:
        sys.exit()  # the reader has seen enough
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            output.complain(f"the output cannot be written ({error.strerror}).")
        else:
            traceback.print_exc()
        sys.exit(EXIT_ERROR)
