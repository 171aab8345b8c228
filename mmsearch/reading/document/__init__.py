"""A document → its words by page (slide, sheet, chapter, message), and the pictures in it. One module a format.

A new format is a module that reads it, and an entry in `formats.py`, which tells it from others. A run that reads no
file of a format imports nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mmsearch.reading.document.format import Format
from mmsearch.reading.document.formats import FORMATS, OLD_WORKBOOKS
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.places_shown import picture_among
from mmsearch.reading.reader import Reader, Reading, UnreadableFile
from mmsearch.records import Locator

if TYPE_CHECKING:
    from PIL.Image import Image

# Files of several documents: what one of them is known by shows none of the others.
_OF_MANY = frozenset({".mbox"})


def read_document(file: OpenFile, side: int) -> Reading:
    """The parts of the document, in its order.

    Raises UnreadableFile for damaged, encrypted or empty documents, and for what is larger than its limits.
    """
    found = _format_of(file.head, file.extension)
    if found is None:
        raise UnreadableFile("not a document of a kind that is known")
    return found.read(file, side)


def picture_of_place(file: OpenFile, place: Locator, side: int) -> Image | None:
    """The page, as it is drawn; of formats that draw none the picture that lies there, else the document's first.

    Raises as `read_document` does, and UnreadableFile where the document has no such page.
    """
    found = _format_of(file.head, file.extension)
    if found is not None and found.picture is not None:
        return found.picture(file, place, side)
    reading = read_document(file, side)
    if place.page is not None and place.page > (reading.facts.pages or 1):
        raise UnreadableFile(f"there is no page {place.page:,}")
    return picture_among(reading.parts, place, only_there=file.extension in _OF_MANY)


def _format_of(head: bytes, extension: str) -> Format | None:
    """Content wins over the extension."""
    installed = [one for one in FORMATS if one.is_installed()]
    sure = next((one for one in installed if one.is_surely(head)), None)
    return sure or next((one for one in installed if one.may_be(head, extension)), None)


def _installed() -> tuple[str, ...]:
    """The optional packages that are there, each by the extra that brings it."""
    return tuple(sorted({one.extra for one in FORMATS if one.extra and one.is_installed()}))


def _wanting() -> Mapping[str, str]:
    return {extension: one.extra for one in FORMATS if not one.is_installed() for extension in one.extensions}


def _mismatch(head: bytes) -> str:
    return "not the kind of document that its name says"


READER = Reader(
    medium="document",
    version=1,
    extensions=frozenset(extension for one in FORMATS if one.is_installed() for extension in one.extensions),
    is_surely=lambda head: any(one.is_installed() and one.is_surely(head) for one in FORMATS),
    may_be=lambda head, extension: _format_of(head, extension) is not None,
    mismatch=_mismatch,
    max_bytes=1_000_000_000,
    read=read_document,
    versions=dict.fromkeys(OLD_WORKBOOKS, 2),
    # Some are texts by their bytes, and another content under the name of a text.
    way_of_reading=lambda extension: 2 if any(extension in one.extensions for one in FORMATS) else 0,
    installed=_installed,
    wanting=_wanting,
    # Parts packed by bzip2 and LZMA, of documents and of archives.
    refusals=1,
    picture=picture_of_place,
)
