"""`mmsearch prune`, `compact`, `backup` and `doctor`: looking after a library."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mmsearch.cli.running import EXIT_NONE, JsonOption, LibraryOption, printing, show, stoppable
from mmsearch.errors import Refused


def prune(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Only what lay below these folders; without any, everywhere."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Drop without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped.")] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Drop files that are not on the disk any more.

    Says what is gone, and asks. An index run drops single files that are gone by itself; it keeps those of a drive that
    is away, and those of a folder that has lost most of its files at once. Connect your drives first. That nothing is
    gone is no error: the exit code is 0.
    """
    from mmsearch import output
    from mmsearch.indexing.pruning import Pruned
    from mmsearch.library import Library
    from mmsearch.output import care
    from mmsearch.output.mounts import PLACING
    from mmsearch.store.locations import is_url

    with Library(library) as opened:
        losses = opened.care.losses(paths or ())
        if not as_json:
            with printing():
                care.print_losses(losses)
        if losses.files and is_url(opened.location):
            output.say(f"other machines may have them still; where their folder has another path here, {PLACING}.")
        agreed = bool(losses.files) and not dry_run and (yes or _agrees(losses.files, as_json))
        done = opened.care.prune(losses) if agreed else Pruned(losses, 0)
    show(done, as_json, lambda pruned: care.pruned(pruned) if agreed else None)


def _agrees(count: int, as_json: bool) -> bool:
    if as_json or not sys.stdin.isatty():
        raise Refused(f"Nothing was dropped: add --yes to drop these {count:,}, or --dry-run to only look.")
    return typer.confirm("Drop them from the library?", err=True)


def compact(as_json: JsonOption = False, library: LibraryOption = None) -> None:
    """Give the room of removed files back to the disk.

    The derived files are made anew. An index run does so by itself once a quarter of the database is free.
    """
    from mmsearch.library import Library
    from mmsearch.output import care

    with Library(library) as opened, stoppable("stopped; nothing is lost."):
        show(opened.care.compact(), as_json, care.compacted)


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; an older backup there is replaced.")],
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Copy the library to one file, also while it is being indexed.

    The copy is checked before it replaces an older one. To go back to it, put it as `library.db` into an empty folder,
    and name that with --library; the other files are made again by the next `mmsearch index`.
    """
    from mmsearch.library import Library
    from mmsearch.output import care

    with Library(library) as opened, stoppable("stopped; no backup was written."):
        show(opened.care.backup(file), as_json, care.backed_up)


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Put right what is wrong, and save what can be read of a damaged database."),
    ] = False,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Look for damage in the library, and say what can be saved.

    Exit code 0 if nothing is wrong or all was put right, 1 if something is wrong. With --repair a damaged database
    is kept beside the new one; `mmsearch index` takes in again what could not be saved.
    """
    from mmsearch.library import Library
    from mmsearch.output import care

    with Library(library) as opened:
        diagnosis = opened.care.repair() if repair else opened.care.examine()
    show(diagnosis, as_json, care.print_diagnosis)
    if not diagnosis.sound and not diagnosis.repaired:
        raise typer.Exit(EXIT_NONE)
