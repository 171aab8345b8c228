"""What becomes of labels beside photos."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mmsearch.files.sidecar_writing import write_keywords
from mmsearch.searching.labelling import Labelled


@dataclass(frozen=True)
class FailedSidecar:
    """A photo beside which nothing could be written, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class WrittenSidecars:
    """The paths of the sidecars that were written, how many photos were left alone as they have one, and those beside
    which none could be written.
    """

    written: tuple[str, ...]
    left_alone: int
    failures: tuple[FailedSidecar, ...]

    @property
    def failed(self) -> int:
        """Beside how many photos none could be written."""
        return len(self.failures)


def write_sidecars(found: Labelled) -> WrittenSidecars:
    """Writes the labels as keywords beside the photos that have no sidecar yet, with the keywords that they have."""
    written: list[str] = []
    failures: list[FailedSidecar] = []
    left_alone = 0
    for photo in found.photos:
        # What a sidecar says comes before what the photo says itself.
        keywords = dict.fromkeys([*photo.keywords, *(one.label for one in photo.labels)])
        try:
            if write_keywords(os.fsencode(photo.path), list(keywords)):
                written.append(f"{photo.path}.xmp")
            else:
                left_alone += 1
        except OSError as error:
            failures.append(FailedSidecar(photo.path, error.strerror or type(error).__name__))
    return WrittenSidecars(tuple(written), left_alone, tuple(failures))
