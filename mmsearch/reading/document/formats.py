"""The formats of documents: by which name and bytes each is told, and the module that reads it, which is imported when
a file of it is to be read.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from typing import TYPE_CHECKING

from mmsearch.files.zip_directory import MAGIC as ZIP_MAGIC
from mmsearch.reading.document.format import COMPOUND_MAGIC, Format
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading
from mmsearch.reading.text_encoding import looks_like_text
from mmsearch.records import Locator

if TYPE_CHECKING:
    from PIL.Image import Image

_PDF = frozenset({".pdf"})
_MAIL = frozenset({".eml", ".emlx", ".mbox"})
_NOTEBOOK = frozenset({".ipynb"})
# Not .dot and .pot: most of these are graphs and translations, which are texts.
OLD_WORKBOOKS = frozenset({".xls", ".xlt", ".xlw"})
_OLD_OFFICE = OLD_WORKBOOKS | {".doc", ".ppt", ".pps", ".msg"}
_WORD = (".docx", ".docm", ".dotx", ".dotm")
_EXCEL = (".xlsx", ".xlsm", ".xltx", ".xltm")
_POWERPOINT = (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm")
_OPEN_XML = frozenset({*_WORD, *_EXCEL, *_POWERPOINT})
_OPEN_DOCUMENT = frozenset({".odt", ".ott", ".ods", ".ots", ".odp", ".otp", ".odg", ".otg"})
_FLAT_OPEN_DOCUMENT = frozenset({".fodt", ".fods", ".fodp", ".fodg"})
_EPUB = frozenset({".epub"})
_ZIPPED_FICTION_BOOK = frozenset({".fbz", ".fb2.zip"})
_FICTION_BOOK = frozenset({".fb2"}) | _ZIPPED_FICTION_BOOK
_ZIPPED_HTML = frozenset({".htmlz", ".maff"})
_RICH_TEXT = frozenset({".rtf"})
_NO_NAME = ("", ".")

_PDF_MARK = b"%PDF-"
# Readers of PDF take its mark so far from the front; what mail and printer programs wrote before it is passed over.
_PDF_MARK_WITHIN = 1_024
_RICH_TEXT_MARK = b"{\\rtf"
# Where the name of a zip's first member stands, and what follows it.
_FIRST_NAME_AT = 30
_EPUB_MARK = b"mimetypeapplication/epub+zip"
_OPEN_DOCUMENT_MARK = b"mimetypeapplication/vnd.oasis.opendocument."
_XML = rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>)?\s*"
_FLAT_BEGINS = re.compile(_XML + rb"<office:document[\s>]")
_FICTION_BOOK_BEGINS = re.compile(_XML + rb"(?:<!--.{0,1000}?-->\s*)?<FictionBook[\s>]", re.S)


def _never(head: bytes) -> bool:
    return False


def _is_pdf(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\t\n\f\r ").startswith(_PDF_MARK)


def _read_pdf(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.pdf import read_pdf

    return read_pdf(file, side)


def _drawn_page(file: OpenFile, place: Locator, side: int) -> Image | None:
    from mmsearch.reading.document.pdf import drawn_page

    return drawn_page(file, place, side)


def _may_be_mail(head: bytes, extension: str) -> bool:
    if extension not in _MAIL:
        return False
    from mmsearch.reading.document.mail import begins_as_mail

    return begins_as_mail(head, extension)


def _read_mail(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.mail import read_mail

    return read_mail(file, side)


def _read_notebook(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.notebook import read_notebook

    return read_notebook(file, side)


@functools.cache
def _has_office() -> bool:
    return importlib.util.find_spec("kreuzberg") is not None


def _may_be_old_office(head: bytes, extension: str) -> bool:
    # Documents with the newer names are packages, and compound files where they have a password, or a wrong name.
    return (extension in _OLD_OFFICE or extension in _OPEN_XML or extension in _NO_NAME) and head.startswith(
        COMPOUND_MAGIC
    )


def _read_old_office(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.old_office import read_old_office

    return read_old_office(file, side)


def _may_be_open_xml(head: bytes, extension: str) -> bool:
    if extension in _OPEN_XML:
        return head.startswith((ZIP_MAGIC, COMPOUND_MAGIC))
    return extension in _NO_NAME and head.startswith(ZIP_MAGIC) and b"[Content_Types].xml" in head[:200]


def _read_open_xml(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.open_xml import read_open_xml

    return read_open_xml(file, side)


def _is_open_document(head: bytes) -> bool:
    return head.startswith(_OPEN_DOCUMENT_MARK, _FIRST_NAME_AT) or _FLAT_BEGINS.match(head) is not None


def _read_open_document(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.open_document import read_open_document

    return read_open_document(file, side)


def _read_epub(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.epub import read_epub

    return read_epub(file, side)


def _is_fiction_book(head: bytes) -> bool:
    # The first member of a zip is called so: books are traded one to a zip.
    end = _FIRST_NAME_AT + int.from_bytes(head[26:28], "little")
    is_zipped = head.startswith(ZIP_MAGIC) and head[_FIRST_NAME_AT:end].lower().endswith(b".fb2")
    return is_zipped or _FICTION_BOOK_BEGINS.match(head) is not None


def _may_be_fiction_book(head: bytes, extension: str) -> bool:
    if extension in _ZIPPED_FICTION_BOOK:
        return head.startswith(ZIP_MAGIC)
    return extension == ".fb2" and (head.startswith(ZIP_MAGIC) or looks_like_text(head))


def _read_fiction_book(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.fiction_book import read_fiction_book

    return read_fiction_book(file, side)


def _read_zipped_html(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.zipped_html import read_zipped_html

    return read_zipped_html(file, side)


def _read_rich_text(file: OpenFile, side: int) -> Reading:
    from mmsearch.reading.document.rich_text import read_rich_text

    return read_rich_text(file, side)


FORMATS: tuple[Format, ...] = (
    Format(
        extensions=_PDF,
        is_surely=_is_pdf,
        may_be=lambda head, extension: extension in _PDF and _PDF_MARK in head[:_PDF_MARK_WITHIN],
        read=_read_pdf,
        picture=_drawn_page,
    ),
    Format(extensions=_MAIL, is_surely=_never, may_be=_may_be_mail, read=_read_mail),
    Format(
        extensions=_NOTEBOOK,
        is_surely=_never,
        may_be=lambda head, extension: extension in _NOTEBOOK and looks_like_text(head),
        read=_read_notebook,
    ),
    Format(
        extensions=_OLD_OFFICE,
        is_surely=_never,
        may_be=_may_be_old_office,
        read=_read_old_office,
        extra="office",
        is_installed=_has_office,
    ),
    Format(extensions=_OPEN_XML, is_surely=_never, may_be=_may_be_open_xml, read=_read_open_xml),
    Format(
        extensions=_OPEN_DOCUMENT | _FLAT_OPEN_DOCUMENT,
        is_surely=_is_open_document,
        may_be=lambda head, extension: extension in _OPEN_DOCUMENT and head.startswith(ZIP_MAGIC),
        read=_read_open_document,
    ),
    Format(
        extensions=_EPUB,
        is_surely=lambda head: head.startswith(_EPUB_MARK, _FIRST_NAME_AT),
        may_be=lambda head, extension: extension in _EPUB and head.startswith(ZIP_MAGIC),
        read=_read_epub,
    ),
    Format(extensions=_FICTION_BOOK, is_surely=_is_fiction_book, may_be=_may_be_fiction_book, read=_read_fiction_book),
    Format(
        extensions=_ZIPPED_HTML,
        is_surely=_never,
        may_be=lambda head, extension: extension in _ZIPPED_HTML and head.startswith(ZIP_MAGIC),
        read=_read_zipped_html,
    ),
    Format(
        extensions=_RICH_TEXT,
        is_surely=lambda head: head.startswith(_RICH_TEXT_MARK),
        may_be=lambda head, extension: extension in _RICH_TEXT and head.lstrip().startswith(_RICH_TEXT_MARK),
        read=_read_rich_text,
    ),
)
