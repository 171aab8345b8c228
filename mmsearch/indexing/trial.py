"""Reads and encodes files whose paths come in, ended by NUL, on stdin; prints a line for each group of parts that it
came through, and "done" for each file.

Run in a process of its own on files that may end it; that they are damaged does not matter. First it says "ready".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.indexing.cutting import Cutting
from mmsearch.indexing.encoding import GROUP_PARTS, rows_of_parts
from mmsearch.models.opening import open_encoder
from mmsearch.reading import ReadLimits, open_file, read

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName

READY, ALIVE, DONE = "ready", "alive", "done"


@dataclass(frozen=True)
class TrialSettings:
    """By which model a file is encoded, on what device, and the limits within which it is read."""

    model: str
    device: DeviceName
    limits: ReadLimits

    def written(self) -> str:
        """As an argument of a process."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, written: str) -> TrialSettings:
        """What `written` gave."""
        values = json.loads(written)
        return cls(values["model"], values["device"], ReadLimits(**values["limits"]))


def main() -> None:
    """Takes files until stdin ends."""
    settings = TrialSettings.read(sys.argv[1])
    encoder = open_encoder(settings.model, settings.device)
    print(READY, flush=True)
    for path in _paths():
        # What goes wrong within this process does so in a run as well, and is told there.
        with suppress(Exception):
            _take(path, encoder, settings.limits)
        print(DONE, flush=True)


def _paths() -> Iterator[bytes]:
    path = b""
    while byte := sys.stdin.buffer.read(1):
        if byte == b"\0":
            yield path
            path = b""
        else:
            path += byte


def _take(path: bytes, encoder: Encoder, limits: ReadLimits) -> None:
    with open_file(path, limits) as file:
        parts = Cutting(encoder, limits.max_passages).encodable(read(file, encoder.image_side))
        while group := list(islice(parts, GROUP_PARTS)):
            rows_of_parts(encoder, group)
            print(ALIVE, flush=True)
