"""What becomes of labels beside photos."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.searching.labelling import Labelled


@dataclass(frozen=True)
class WrittenSidecars:
    """The paths of the sidecars that were written, and of how many photos none was: they have one, or it failed."""

    written: tuple[str, ...]
    left_alone: int
    failed: int


def write_sidecars(found: Labelled) -> WrittenSidecars:
    """Writes the labels as keywords beside the photos that have no sidecar yet, with the keywords that they have."""
    written: list[str] = []
    left_alone = failed = 0
    for photo in found.photos:
        # What a sidecar says comes before what the photo says itself.
        keywords = dict.fromkeys([*photo.keywords, *(one.label for one in photo.labels)])
        try:
            if write_keywords(os.fsencode(photo.path), list(keywords)):
                written.append(f"{photo.path}.xmp")
            else:
                left_alone += 1
        except OSError:
            failed += 1
    return WrittenSidecars(tuple(written), left_alone, failed)
