"""The command line: parses, calls Library, hands to output. There is no engine here."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from io import TextIOWrapper
from typing import Annotated

import typer

from mmsearch import __version__, output
from mmsearch.cli.parsing import LazyGroup, UsageError, in_a_sentence
from mmsearch.cli.running import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_NONE, interruptible
from mmsearch.errors import MmsearchError

# Each by the module and the function that it is; a run imports and parses the one that is called.
COMMANDS = {
    "index": "index:index",
    "watch": "watch:watch",
    "worker": "worker:worker",
    "search": "search:search",
    "duplicates": "duplicates:duplicates",
    "label": "label:label",
    "clusters": "clusters:clusters",
    "status": "library:status",
    "forget": "library:forget",
    "prune": "care:prune",
    "compact": "care:compact",
    "backup": "care:backup",
    "copy": "copy:copy",
    "doctor": "care:doctor",
    "eval": "evaluate:evaluate",
    "train": "adapters:train",
    "adapters": "adapters:adapters",
    "models": "models:models",
    "mounts": "mounts:mounts",
    "mcp": "mcp:mcp",
    "serve": "serve:serve",
    "help": "help:help_",
}


class Root(LazyGroup):
    """The command itself."""

    places = COMMANDS


app = typer.Typer(
    name="mmsearch",
    cls=Root,
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
    """Find photos, documents, videos and texts on your own disk by meaning, offline.

    Exit codes: 0 something was found (or done), 1 nothing was, 2 an error.
    """
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(EXIT_ERROR)


def main() -> None:
    """The command `mmsearch`: runs one command and exits with its code."""
    output.be_quiet(False)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            with interruptible():
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
    except KeyboardInterrupt:  # before the command itself has begun
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.exit()  # the reader has seen enough
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            output.complain(f"the output cannot be written ({error.strerror}).")
        else:
            traceback.print_exc()
        sys.exit(EXIT_ERROR)
