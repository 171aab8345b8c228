"""An e-book in FictionBook (.fb2, also zipped) → its sections by their titles, and the pictures in them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from functools import partial

from mmsearch.files.zip_directory import MAGIC as ZIP_MAGIC
from mmsearch.reading.document.pages import Page, Picture, TextOfPage, reading_of
from mmsearch.reading.document.xml_events import Walker, attribute, walk
from mmsearch.reading.document.zipped import Package
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

_BLOCK_BYTES = 1 << 18
_LINES = ("p", "v", "subtitle", "text-author", "empty-line", "book-title", "td", "th")
_ENDINGS = {"image/png": ".png", "image/gif": ".gif"}


class _Book(Walker):
    """The sections of a book: a page each that has a title, and one for all notes."""

    # How the file was made, and from which book.
    passed_over = frozenset({"document-info", "publish-info", "custom-info", "src-title-info", "stylesheet"})

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self._collected = TextOfPage()
        self._number = 1
        self._name: str | None = None
        self._title: list[str] | None = None
        self._is_notes = False
        self._depth_of_text = 0
        # Where each picture is shown, and the one that is being read.
        self._shown: dict[str, tuple[int, str | None]] = {}
        self._binary: list[str] | None = None
        self._binary_id = self._binary_name = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in ("body", "annotation", "book-title", "author"):
            self._depth_of_text += 1
            self._is_notes |= name == "body" and "name" in attributes
            if name == "body" and self._is_notes:
                self.finish_page()
                self._name = attributes.get("name")
        elif name == "title" and not self._is_notes:
            self.finish_page()
            self._title = []
        elif name == "image":
            identifier = (attribute(attributes, "href") or "").lstrip("#")
            self._shown.setdefault(identifier, (self._number, self._name))
        elif name == "binary":
            self._binary = []
            identifier = attributes.get("id", "")
            ending = _ENDINGS.get(attributes.get("content-type", ""), ".jpg")
            self._binary_name = identifier if "." in identifier else f"{identifier}{ending}"
            self._binary_id = identifier

    def end(self, name: str) -> None:
        if name in ("body", "annotation", "book-title", "author"):
            self._depth_of_text -= 1
            self._add("\n")
        elif name == "title" and self._title is not None:
            self._name = " ".join("".join(self._title).split())[:200] or self._name
            self._title = None
        elif name == "binary":
            self._finish_picture()
        if name in _LINES:
            self._add("\t" if name in ("td", "th") else "\n")
        elif name in ("section", "title", "tr", "first-name", "middle-name", "last-name"):
            self._add(" " if name.endswith("name") else "\n")

    def text(self, characters: str) -> None:
        if self._binary is not None:
            self._binary.append(characters)
        elif self._depth_of_text:
            # Any spaces and line ends of the file are one space.
            first, last = characters[0].isspace(), characters[-1].isspace()
            words = " ".join(characters.split())
            self._add(f"{' ' * first}{words}{' ' * (last and bool(words))}")

    def _add(self, characters: str) -> None:
        self._collected.add(characters)
        if self._title is not None:
            self._title.append(characters)

    def taken(self) -> Iterator[Page]:
        pages, self.pages = self.pages, []
        yield from pages

    def finish_page(self) -> None:
        if text := self._collected.take():
            self.pages.append(Page(text, self._number, self._name))
            self._number += 1

    def _finish_picture(self) -> None:
        pieces, self._binary = self._binary or [], None
        number, name = self._shown.get(self._binary_id, (1, None))
        data = partial(_decoded, "".join(pieces))
        self.pages.append(Page("", number, name, (Picture(self._binary_name, data),)))


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        raise UnreadableFile("damaged picture") from None


def read_fiction_book(file: OpenFile, side: int) -> Reading:
    """A page for each section with a title. Raises UnreadableFile as `document.read_document` does."""

    def pages(trouble: list[str]) -> Iterator[Page]:
        book = _Book()
        if file.head.startswith(ZIP_MAGIC):
            package = Package(file, trouble)
            name = next((one for one in package.names if one.lower().endswith(".fb2")), None)
            if name is None:
                raise UnreadableFile(trouble[0] if trouble else "not the kind of document that its name says")
            steps = package.walk(name, book)
        else:
            if file.size > file.limits.max_member_bytes:
                raise UnreadableFile(f"book of {file.size:,} bytes, over the limit of {file.limits.max_member_bytes:,}")
            steps = walk(_blocks(file), book)
        try:
            for _ in steps:
                yield from book.taken()
        except UnreadableFile as error:
            trouble.append(error.reason)
        book.finish_page()
        yield from book.taken()

    return reading_of(file, side, pages)


def _blocks(file: OpenFile) -> Iterator[bytes]:
    file.stream.seek(0)
    while block := file.stream.read(_BLOCK_BYTES):
        yield block
