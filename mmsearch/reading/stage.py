"""What a stage is: a second reading of files, slower than the first, that comes after the vectors and where it is asked
for. It finds texts in what the first one took for pictures or sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mmsearch.reading.opening import OpenFile
from mmsearch.records import Medium, Part


class Engine(Protocol):
    """What a stage reads with, opened. Its method is called from one thread at a time."""

    def parts(self, file: OpenFile) -> Iterator[Part]:
        """The texts that are found in the file, each with its place, one after the other.

        Raises:
            UnreadableFile: the file is damaged, or nothing that the engine can read.
        """


@dataclass(frozen=True)
class Stage:
    """A stage: its parts are of the modality text, and have its `source`.

    `media` are those of the files that it reads; no two stages read the same ones. `doing` says what it is at. A stage
    may be given a model, "" where it needs none.

    `version` says how it reads with that model: contents that were read in another version are read again. So a version
    rises when other texts are found in the same bytes.

    `resolved` gives the model as it is remembered, `version` and `open` take it so. They raise MmsearchError where what
    the stage needs is not installed, or the model is not there.

    `takes_parts` tells that it looks at the parts that a reader finds: where a newer version of that has found others,
    it reads the content again.

    `takes_wordless` tells that it also reads files in which their reader finds nothing to be found by.
    """

    name: str
    source: str
    media: frozenset[Medium]
    doing: str
    resolved: Callable[[str], str]
    version: Callable[[str], str]
    open: Callable[[str], Engine]
    takes_parts: bool = False
    takes_wordless: bool = False
