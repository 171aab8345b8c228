"""Reads and encodes what comes next of files that come in on stdin, each as the three numbers of how far it was begun
and its path, with a space behind each number, and NUL. Prints a line when a file was read, for each group of parts that
was encoded, and at its end.

Run in a process of its own on files that may end it; that they are damaged does not matter. First, once the model is
loaded, it says "ready".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mmsearch.encoding.protocol import Encoder
from mmsearch.indexing.cutting import Cutting
from mmsearch.indexing.encoding import GROUP_PARTS, rows_of_parts
from mmsearch.indexing.frames import Begun, after
from mmsearch.models.opening import open_encoder
from mmsearch.reading import STAGES, ReadLimits, open_file, read
from mmsearch.records import Sound

if TYPE_CHECKING:
    from mmsearch.encoding.devices import DeviceName

READY, READ, ALIVE, DONE = "ready", "read", "alive", "done"
# Of a long file so many groups are tried: the one that a run was at, and the one that it was about to begin.
GROUPS = 2


@dataclass(frozen=True)
class TrialSettings:
    """By which model a file is encoded, on what device, and the limits within which it is read.

    With a `stage` it is read by that, with a model of the stage's own, and nothing is encoded.
    """

    model: str
    device: DeviceName
    limits: ReadLimits
    stage: str = ""

    def written(self) -> str:
        """As an argument of a process."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, written: str) -> TrialSettings:
        """What `written` gave."""
        values = json.loads(written)
        return cls(values["model"], values["device"], ReadLimits(**values["limits"]), values["stage"])


def main(written: str) -> None:
    """Takes files until stdin ends, by the settings as they were written."""
    settings = TrialSettings.read(written)
    take = _by_stage(settings) if settings.stage else _by_encoder(settings)
    print(READY, flush=True)
    for told in _told():
        items, frames, until, path = told.split(b" ", 3)
        begun = Begun(int(items), int(frames), float(until))
        # What goes wrong within this process does so in a run as well, and is told there.
        with suppress(Exception):
            take(path, begun)
        print(DONE, flush=True)


def _by_encoder(settings: TrialSettings) -> Callable[[bytes, Begun], None]:
    """What reads a file and encodes what comes next of it."""
    encoder = open_encoder(settings.model, settings.device)
    _load(encoder)
    return lambda path, begun: _take(path, begun, encoder, settings.limits)


def _by_stage(settings: TrialSettings) -> Callable[[bytes, Begun], None]:
    """What reads a file as that stage does."""
    engine = next(stage for stage in STAGES if stage.name == settings.stage).open(settings.model)

    def take(path: bytes, begun: Begun) -> None:
        with open_file(path, settings.limits) as file:
            for _ in engine.parts(file):
                print(ALIVE, flush=True)

    return take


def _load(encoder: Encoder) -> None:
    """Loads all that the encoder needs: what ends the process here is no file."""
    import numpy as np
    from PIL import Image

    side, hearing = max(1, encoder.image_side), encoder.hearing
    harmless = {"text": "a text", "image": Image.new("RGB", (side, side))}
    if hearing is not None:
        harmless["audio"] = Sound(np.zeros(hearing.rate, np.float32), hearing.rate)
    for modality in sorted(encoder.modalities & harmless.keys()):
        encoder.encode(modality, [harmless[modality]])


def _told() -> Iterator[bytes]:
    told = b""
    while byte := sys.stdin.buffer.read(1):
        if byte == b"\0":
            yield told
            told = b""
        else:
            told += byte


def _take(path: bytes, begun: Begun, encoder: Encoder, limits: ReadLimits) -> None:
    with open_file(path, limits) as file:
        reading = read(file, encoder.image_side, encoder.hearing)
        parts = Cutting(encoder, limits.max_passages).encodable(reading)
        parts = after(parts, begun)
        for _ in range(GROUPS):
            group = list(islice(parts, GROUP_PARTS))
            print(READ, flush=True)
            if not group:
                return
            rows_of_parts(encoder, group)
            print(ALIVE, flush=True)
