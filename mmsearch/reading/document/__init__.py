"""A document → its words by page (slide, sheet, chapter, message), and the pictures in it. One module a format.

A new format is a module with a FORMAT, and one line in FORMATS. What a format needs beyond the standard library it
imports when it reads.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmsearch.reading.document import (
    epub,
    fiction_book,
    mail,
    notebook,
    open_document,
    open_xml,
    pdf,
    rich_text,
    zipped_html,
)
from mmsearch.reading.document.format import Format
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reader, Reading, UnreadableFile

FORMATS: tuple[Format, ...] = (
    pdf.FORMAT,
    mail.FORMAT,
    notebook.FORMAT,
    open_xml.FORMAT,
    open_document.FORMAT,
    epub.FORMAT,
    fiction_book.FORMAT,
    zipped_html.FORMAT,
    rich_text.FORMAT,
)


def read_document(file: OpenFile, side: int) -> Reading:
    """The parts of the document, in its order.

    Raises UnreadableFile for damaged, encrypted or empty documents, and for what is larger than its limits.
    """
    found = _format_of(file.head, file.extension)
    if found is None:
        raise UnreadableFile("not a document of a kind that is known")
    return found.read(file, side)


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
    # Some are texts by their bytes, and another content under the name of a text.
    way_of_reading=lambda extension: 2 if any(extension in one.extensions for one in FORMATS) else 0,
    installed=_installed,
    wanting=_wanting,
)
