"""`mmsearch status` and `mmsearch forget`."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsearch.cli.running import JsonOption, LibraryOption, show


def status(
    failed: Annotated[bool, typer.Option("--failed", help="List the files that could not be read, and why.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="List the files that are searched only in part, and why.")
    ] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Show what the library holds, and what could not be read.

    Where it lies is said, too.
    """
    from mmsearch.cli.remedies import worded
    from mmsearch.library import Library
    from mmsearch.output import reports

    with Library(library) as opened:
        found = opened.status()
    show(found, as_json, lambda status: reports.print_status(status, failed, partial, worded))


def forget(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or file, which need not exist any more.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Take a folder or file out of the library. The files themselves are not touched."""
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import reports

    with Library(library) as opened:
        done = opened.forget(path)
    for note in reports.notes_on_forgetting(path, done):
        output.say(note)
    show(done, as_json, reports.forgotten)
