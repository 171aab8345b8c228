"""`mmsearch duplicates`."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli.filtering import (
    AfterOption,
    BeforeOption,
    ExtOption,
    OnlyOption,
    TypedFilters,
    WhenOption,
    filters_of,
)
from mmsearch.cli.running import EXIT_NONE, JsonOption, LibraryOption, only_form, printing, progress_bar, stoppable

if TYPE_CHECKING:
    from mmsearch.searching.duplicate_groups import DuplicateClass


class ClassChoice(str, Enum):
    """Classes of duplicates."""

    BYTES = "bytes"
    PICTURE = "picture"
    TEXT = "text"
    SHOTS = "shots"


FoldersArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FOLDER]...", help="Only files below these folders, or those that a pattern names; without any, all."
    ),
]
ClassOption = Annotated[
    list[ClassChoice] | None,
    typer.Option(
        "--class",
        metavar="[bytes|picture|text|shots]",
        help="Only this class: the same bytes, the same picture (in another size, format, crop or light), nearly "
        "the same text (in another format, or with small edits), or similar shots of one minute (repeatable).",
    ),
]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="At most so many groups.")]
AsPathsOption = Annotated[
    bool,
    typer.Option(
        "--paths",
        help="Print only the paths that need not be kept, one a line; those of similar shots and of texts "
        "with small edits only with --class shots and --class text.",
    ),
]
AsNullOption = Annotated[
    bool, typer.Option("--null", "-0", help="The same, each path ended by a NUL byte, for xargs -0.")
]


def duplicates(
    folders: FoldersArgument = None,
    classes: ClassOption = None,
    limit: LimitOption = None,
    only: OnlyOption = None,
    ext: ExtOption = None,
    when: WhenOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    as_paths: AsPathsOption = False,
    as_null: AsNullOption = False,
    library: LibraryOption = None,
) -> None:
    """Find files that are there more than once, and which to keep.

    Of each group one is to be kept, and why is said. Four classes are told apart: the same bytes; the same picture in
    another size, format, crop or light; the same text in another format or with small edits; and shots of one subject
    within a minute. Nothing is ever deleted. A RAW photo or live film beside its picture is no duplicate of it, and a
    mirrored picture is another one. Exit code 0 for groups, 1 for none, 2 for an error.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output.duplicates import print_duplicates
    from mmsearch.output.hits import Form

    asked = only_form({Form.JSON: as_json, Form.PATHS: as_paths, Form.NULL: as_null})
    form = asked or (Form.TABLE if sys.stdout.isatty() else Form.LINES)
    named: tuple[DuplicateClass, ...] = tuple(one.value for one in classes or ())
    if not named and form in (Form.PATHS, Form.NULL):
        named = ("bytes", "picture")  # what is no double is not to be lost for want of a word
    typed = TypedFilters(only, folders=folders or (), extensions=ext or (), times=(after, before), when=when)
    with Library(library) as opened, stoppable("stopped; nothing was changed."):
        filters = filters_of(opened, typed)
        with progress_bar(quiet=False) as show_progress:
            found = opened.duplicates(filters, classes=named, limit=limit, on_progress=show_progress)
        with printing():
            notes = print_duplicates(found, form)
    for note in notes:
        output.say(note)
    if not found.groups:
        raise typer.Exit(EXIT_NONE)
