"""What a format of documents is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading
from mmsearch.records import Locator

if TYPE_CHECKING:
    from PIL.Image import Image


COMPOUND_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Format:
    """Reads the documents of one format, or of several that are built alike; see `reader.Reader` for the tests.

    `extra` is the extra of this project that brings the package it reads with, "" where it needs none, and
    `is_installed` whether that is there. A document of which only a part can be read is that part, with a note.
    """

    extensions: frozenset[str]
    is_surely: Callable[[bytes], bool]
    may_be: Callable[[bytes, str], bool]
    read: Callable[[OpenFile, int], Reading]
    extra: str = ""
    is_installed: Callable[[], bool] = lambda: True
    picture: Callable[[OpenFile, Locator, int], Image | None] | None = None
