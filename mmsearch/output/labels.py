"""Photos with their labels, as lines, CSV, JSON or JSON lines."""

from __future__ import annotations

import csv
import sys
from enum import Enum

from mmsearch.output import visible
from mmsearch.output.json import to_json
from mmsearch.searching.labelling import Labelled


class LabelForm(str, Enum):
    """How labels are printed."""

    LINES = "lines"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def print_labels(found: Labelled, form: LabelForm) -> None:
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
        for photo in found.photos:
            for one in photo.labels:
                print("\t".join([f"{one.score:.2f}", visible(one.label), visible(photo.path)]))
