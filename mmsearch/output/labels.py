"""Photos with their labels, as lines, CSV, JSON or JSON lines."""

from __future__ import annotations

import csv
import sys
from enum import Enum
from typing import TYPE_CHECKING

from mmsearch.output import counted, visible
from mmsearch.output.json import to_json
from mmsearch.searching.labelling import Labelled, PhotoLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmsearch.library.labels import WrittenSidecars


class LabelForm(str, Enum):
    """How labels are printed."""

    LINES = "lines"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


_SHOWN_FAILURES = 5
# A label takes no more of a line on a terminal.
_LABEL_WIDTH = 30


def sidecars_said(done: WrittenSidecars) -> list[str]:
    """What became of labels beside photos: a sentence, and one for each of the first photos without."""
    left_alone = counted(done.left_alone, "photo has", "photos have")
    counts = f"{counted(len(done.written), 'sidecar')} written"
    counts += f", {left_alone} one that was left alone" if done.left_alone else ""
    counts += f", {done.failed:,} could not be written" if done.failed else ""
    said = [f"{counts}; `mmsearch index` reads them." if done.written else f"{counts}."]
    said += [f"no sidecar beside {visible(one.path)}: {visible(one.reason)}" for one in done.failures[:_SHOWN_FAILURES]]
    if done.failed > _SHOWN_FAILURES:
        said.append(f"no sidecar beside {done.failed - _SHOWN_FAILURES:,} more")
    return said


def without_label(unnamed: int, total: int, is_asked: bool) -> str:
    """How many photos no label was given to, and how they get one; `is_asked` tells that a person has said how much is
    enough.
    """
    which = f"{unnamed:,} of {counted(total, 'photo')}" if unnamed < total else f"any of {counted(total, 'photo')}"
    if is_asked:
        return f"no label scores enough for {which}."
    return f"no label is close to {which}. --min-score 0 names all."


def print_labels(found: Labelled, form: LabelForm, is_for_a_person: bool) -> None:
    """Prints the photos on stdout: a line for each label of each, or an object."""
    if form is LabelForm.JSON:
        print(to_json(found))
    elif form is LabelForm.JSONL:
        for photo in found.photos:
            print(to_json(photo))
    elif form is LabelForm.CSV:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(["path", "label", "score", "share"])
        for photo in found.photos:
            rows.writerows([photo.path, one.label, f"{one.score:.4f}", f"{one.share:.4f}"] for one in photo.labels)
    else:
        named = [(photo.path, one) for photo in found.photos for one in photo.labels]
        if is_for_a_person:
            _print_for_a_person(named)
            return
        for path, one in named:
            print("\t".join([f"{one.score:.2f}", visible(one.label), visible(path)]))


def _print_for_a_person(named: Sequence[tuple[str, PhotoLabel]]) -> None:
    from rich.cells import cell_len

    from mmsearch.output.table import print_files, shortened_at_end

    labels = [shortened_at_end(visible(one.label), _LABEL_WIDTH) for _, one in named]
    widest = max(map(cell_len, labels), default=0)
    print_files(
        (f"{one.score:.2f}  {label}{' ' * (widest - cell_len(label))}  ", path)
        for (path, one), label in zip(named, labels, strict=True)
    )
