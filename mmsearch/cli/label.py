"""`mmsearch label`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mmsearch.cli.filtering import (
    AfterOption,
    BeforeOption,
    ExtOption,
    FolderOption,
    TypedFilters,
    WhenOption,
    filters_of,
)
from mmsearch.cli.running import EXIT_NONE, DeviceOption, JsonOption, LibraryOption, only_form, printing, stoppable
from mmsearch.errors import Invalid, NotFound

LabelsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[LABEL]...", help="What a photo may be said to be: dog 'birthday party' receipt."),
]
LabelsFileOption = Annotated[
    str | None, typer.Option("--labels", metavar="FILE", help="A file with more labels, one a line.")
]
TopOption = Annotated[int, typer.Option("--top", metavar="N", help="The best N labels of each photo.")]
MinScoreOption = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="Leave out labels with a lower score, between 0 and 1. Without it, what a search for the label would "
        "leave out as not close; 0 names every photo.",
    ),
]
AsJsonlOption = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a photo and line.")]
AsCsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV: path, label, score, share.")]
XmpOption = Annotated[
    bool,
    typer.Option(
        "--xmp",
        help="Write the labels as keywords into FILE.xmp beside each photo that has no sidecar yet; needs --min-score. "
        "The next `mmsearch index` reads them.",
    ),
]


def label(
    labels: LabelsArgument = None,
    labels_file: LabelsFileOption = None,
    top: TopOption = 1,
    min_score: MinScoreOption = None,
    folder: FolderOption = None,
    ext: ExtOption = None,
    when: WhenOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    as_jsonl: AsJsonlOption = False,
    as_csv: AsCsvOption = False,
    as_xmp: XmpOption = False,
    device: DeviceOption = "auto",
    library: LibraryOption = None,
) -> None:
    """Say which of some labels fits each photo, and how well.

    The score is that of a search for the label, between 0 and 1; a photo to which none of the labels is close is left
    out. The share, which CSV and JSON tell too, is that among the labels given: it adds up to 1 over all of them,
    whether one fits or not.
    Photos stay as they are. Exit code 0 for labelled photos, 1 for none, 2 for an error.
    """
    from mmsearch import output
    from mmsearch.library import Library
    from mmsearch.output.labels import LabelForm, print_labels, sidecars_said, without_label

    asked = only_form({LabelForm.JSON: as_json, LabelForm.JSONL: as_jsonl, LabelForm.CSV: as_csv})
    form = asked or LabelForm.LINES
    if as_xmp and min_score is None:
        raise Invalid("--xmp writes what scores enough alone; say how much is enough with --min-score 0.5.")
    named = [*(labels or ()), *(_labels_in(labels_file) if labels_file is not None else ())]
    typed = TypedFilters(folders=folder or (), extensions=ext or (), times=(after, before), when=when)
    with Library(library, device) as opened, stoppable("stopped."):
        filters = filters_of(opened, typed)
        found = opened.label(named, filters, top=top, min_score=min_score)
        with printing():
            print_labels(found, form, sys.stdout.isatty())
        if as_xmp:
            for note in sidecars_said(opened.write_sidecars(found)):
                output.say(note)
    unnamed = found.total - len(found.photos)
    if unnamed:
        output.say(without_label(unnamed, found.total, is_asked=min_score is not None))
    elif not found.total:
        output.say("there is no photo.")
    if not found.photos:
        raise typer.Exit(EXIT_NONE)


def _labels_in(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return [line.strip() for line in file]
    except OSError as error:
        raise NotFound(f"The labels in {path} cannot be read ({error.strerror}); check the path.") from error
