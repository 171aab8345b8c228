"""What goes into the catalogue and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmsearch.items import Modality


@dataclass(frozen=True)
class Root:
    """A folder or file that was given to `index`; `rules` is the JSON of its walk rules.

    `changed` is when a run last found something new, changed or gone in it, None before that. `mounts` are folders
    below it that lay on other devices; `absent` counts files that are gone and stay until a person says so.
    """

    id: int
    path: bytes
    rules: str
    changed: str | None
    mounts: tuple[bytes, ...]
    absent: int


class KnownFile(NamedTuple):  # a hundred thousand of them a second are made
    """A file as it was when it was last read; `failed` tells that it could not be read then."""

    id: int
    root_id: int
    size: int
    mtime_ns: int
    failed: bool


@dataclass(frozen=True)
class KnownFiles:
    """What is known at some paths: files of the library and, where there is none, failures of reading or of one model.

    `failing` are the paths of files that the model could not encode as they are, `not_encoded` the ids of failures of
    any model.
    """

    files: dict[bytes, KnownFile]
    failing: set[bytes]
    not_encoded: set[int]


@dataclass(frozen=True)
class EncodedItem:
    """One item with its unit vector; `start`, `end` and `line` are None for pictures."""

    modality: Modality
    vector: npt.NDArray[np.float32]
    start: int | None = None
    end: int | None = None
    line: int | None = None
    text: str | None = None


@dataclass(frozen=True)
class EncodedContent:
    """A file's content with everything that was found in it."""

    digest: bytes
    medium: Modality
    size: int
    items: tuple[EncodedItem, ...]
    width: int | None = None
    height: int | None = None
    taken: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class FoundItem:
    """One item in one file, as a search needs it. A content at two paths gives two of them."""

    item_id: int
    path: bytes
    medium: Modality
    size: int
    mtime_ns: int
    width: int | None
    height: int | None
    taken: str | None
    start: int | None
    line: int | None
    text: str | None


@dataclass(frozen=True)
class Failure:
    """A file that was found but not taken, and why."""

    path: bytes
    reason: str
    noted: str


@dataclass(frozen=True)
class Counts:
    """How much a library holds."""

    images: int
    texts: int
    contents: int
    items: int
    failures: int
