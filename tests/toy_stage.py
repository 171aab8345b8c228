"""A toy stage: of a picture it reads what a file beside it says. All that a new stage takes is such a module, and its
STAGE among the stages. As a hook of another process it takes the place of the stage that reads text in pictures.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import UnreadableFile
from mmsearch.reading.stage import Stage
from mmsearch.records import Locator, Part

# What the engine has read in this process, and what it says of itself.
READ: list[str] = []
VERSION = ["1"]
PLACE = Locator(region=(0.25, 0.5, 0.75, 1.0))
HOOK = f"""
import sys
sys.path.append({os.path.dirname(__file__)!r})
def changed(module):
    import toy_stage
    toy_stage.take_the_place(module)
"""


def write_words(picture: Path, words: str) -> None:
    """Says what is written in the picture."""
    picture.with_suffix(".words").write_text(words)


class Engine:
    def parts(self, file: OpenFile) -> Iterator[Part]:
        path = Path(os.fsdecode(file.path))
        READ.append(path.name)
        beside = path.with_suffix(".words")
        words = beside.read_text() if beside.exists() else ""
        if words == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if words == "damaged":
            raise UnreadableFile("blurred picture")
        if words == "unforeseen":
            raise ZeroDivisionError("nobody has thought of that")
        for line in words.splitlines():
            yield Part("text", line, PLACE, "ocr")


STAGE = Stage(
    name="ocr",
    source="ocr",
    media=frozenset({"image"}),
    doing="reading words",
    resolved=lambda model: model,
    version=lambda model: VERSION[0],
    open=lambda model: Engine(),
)


def take_the_place(module: ModuleType) -> None:
    """From now on this stage is that of the module."""
    module.STAGE = STAGE  # type: ignore[attr-defined]


def with_version(version: str) -> Stage:
    """The same stage, that reads otherwise."""
    return replace(STAGE, version=lambda model: version)
