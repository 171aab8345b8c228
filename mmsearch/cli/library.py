"""`mmsearch status` and `mmsearch forget`."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsearch.cli.running import JsonOption, LibraryOption, printing


def status(
    failed: Annotated[bool, typer.Option("--failed", help="List the files that could not be read, and why.")] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Show what the library holds, where it lies, and what could not be read."""
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output import reports

    with Library(library) as opened:
        found = opened.status()
    with printing():
        if as_json:
            print(output.to_json(reports.status_as_json(found)))
        else:
            reports.print_status(found, failed)


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
        forgotten = opened.forget(path)
    for note in reports.notes_on_forgetting(path, forgotten):
        output.say(note)
    with printing():
        if as_json:
            print(output.to_json(reports.forgotten_as_json(path, forgotten)))
            return
        print(f"{forgotten.files:,} {'file' if forgotten.files == 1 else 'files'} forgotten")
