"""The command line: parses, calls Library, hands to output. There is no engine here."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from mmsearch import __version__
from mmsearch.cli.adapters import adapters, train
from mmsearch.cli.care import backup, compact, doctor, prune
from mmsearch.cli.evaluate import evaluate
from mmsearch.cli.index import index
from mmsearch.cli.library import forget, status
from mmsearch.cli.models import models
from mmsearch.cli.running import EXIT_ERROR
from mmsearch.cli.search import search
from mmsearch.errors import MmsearchError

app = typer.Typer(
    name="mmsearch",
    no_args_is_help=True,
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
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Find photos and text files on your own disk by meaning, offline.

    Exit codes: 0 something was found, 1 nothing was, 2 an error.
    """


COMMANDS: tuple[Callable[..., None], ...] = (index, search, status, forget, prune, compact, backup, doctor)
for command in COMMANDS:
    app.command()(command)
app.command("eval")(evaluate)
app.command()(train)
app.command()(adapters)
app.add_typer(models, name="models")


def main() -> None:
    """The command `mmsearch`: runs one command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except MmsearchError as error:
        from mmsearch import output
        from mmsearch.cli.remedies import in_words

        output.say(output.visible(in_words(error)))
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        sys.exit()  # the reader has seen enough
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            print(f"mmsearch: the output cannot be written ({error.strerror}).", file=sys.stderr)
        else:
            traceback.print_exc()
        sys.exit(EXIT_ERROR)
