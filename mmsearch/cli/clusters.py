"""`mmsearch clusters`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mmsearch.cli.filtering import AfterOption, BeforeOption, ExtOption, TypedFilters, WhenOption, filters_of
from mmsearch.cli.running import EXIT_NONE, JsonOption, LibraryOption, progress_bar, show, stoppable


def clusters(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Only photos below these folders, or those that a pattern names; without any, all.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", metavar="K", help="So many groups, at most.")] = 10,
    central: Annotated[
        int, typer.Option(metavar="N", help="The N photos of each group that are most like all of it come first.")
    ] = 5,
    ext: ExtOption = None,
    when: WhenOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    library: LibraryOption = None,
) -> None:
    """Put photos into groups by what they show.

    A terminal shows each group, the largest first, with a name and its most central photos; in a pipe each photo is a
    line: the number of its group, its path and the group's name, with tabs between them. Names are words that are
    typical of these files' names, folders, keywords and places, and what they show, in English, as albums are called
    ("tennis", "bathrooms, laundry"); a group that shows nothing in particular has none. The first time they take some
    seconds. The same photos make the same groups. Exit code 0 for groups, 1 for none, 2 for an error.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output.clusters import print_clusters

    typed = TypedFilters(folders=folders or (), extensions=ext or (), times=(after, before), when=when)
    with Library(library) as opened, stoppable("stopped."):
        filters = filters_of(opened, typed)
        with progress_bar(quiet=False) as show_progress:
            found = opened.clusters(filters, count=count, central=central, on_progress=show_progress)
    show(found, as_json, lambda made: print_clusters(made, sys.stdout.isatty()))
    if not found.clusters:
        output.say("there is no photo.")
        raise typer.Exit(EXIT_NONE)
