"""OpenDocument: texts, presentations, spreadsheets and drawings of LibreOffice and others, zipped or flat."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from mmsearch.files.zip_directory import MAGIC as ZIP_MAGIC
from mmsearch.reading.document.pages import Page, Picture, TextOfPage, reading_of, tidied
from mmsearch.reading.document.xml_events import Walker, attribute, is_in, walk
from mmsearch.reading.document.zipped import Package
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

_CONTENT, _STYLES, _MANIFEST = "content.xml", "styles.xml", "META-INF/manifest.xml"
_PAGE_END = re.compile(rb"soft-page-break|break-before=[\"']page")
_BLOCK_BYTES = 1 << 18
_NOTES = ("note-body", "annotation")
_EDGES = tuple(f"{edge}{which}" for edge in ("header", "footer") for which in ("", "-left", "-first"))


class _Manifest(Walker):
    """Whether members are encrypted."""

    is_encrypted = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.is_encrypted |= name == "encryption-data"


class _Flow(Walker):
    """Paragraphs and tables: a line a paragraph or a row, tabs between cells."""

    def __init__(self, package: Package | None) -> None:
        self.collected = TextOfPage()
        self._package = package
        self._pictures: dict[str, Picture] = {}
        self._paragraphs = self._cells = 0
        # Where the text goes on after a note, and the notes.
        self._left: list[tuple[TextOfPage, int, int]] = []
        self._notes: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in ("p", "h"):
            self._paragraphs += 1
        elif name in _NOTES:
            self._left.append((self.collected, self._paragraphs, self._cells))
            self.collected, self._paragraphs, self._cells = TextOfPage(), 0, 0
        elif name == "s":
            self.add(" ")
        elif name == "tab":
            self.add("\t")
        elif name == "line-break":
            self.add("\n")
        elif name == "table-cell":
            self._cells += 1
        elif name == "image":
            self._see(attribute(attributes, "href") or "")

    def end(self, name: str) -> None:
        if name in ("p", "h"):
            self._paragraphs -= 1
            self.add("\n")
        elif name == "table-cell":
            self._cells -= 1
            self.add(" " if self._cells else "\t")
        elif name == "table-row":
            self.add("\n")
        elif name in _NOTES:
            self._notes.append(self.collected.take())
            self.collected, self._paragraphs, self._cells = self._left.pop()

    def taken_text(self) -> str:
        """What was collected, with the notes to it below."""
        while self._left:  # it broke off in a note
            self._notes.append(self.collected.take())
            self.collected, self._paragraphs, self._cells = self._left.pop()
        text = tidied("\n\n".join([self.collected.take(), *self._notes]))
        self._notes.clear()
        return text

    def text(self, characters: str) -> None:
        if self._paragraphs:
            # Any spaces and line ends of the file are one space.
            first, last = characters[0].isspace(), characters[-1].isspace()
            words = " ".join(characters.split())
            self.add(f"{' ' * first}{words}{' ' * (last and bool(words))}")

    def add(self, characters: str) -> None:
        # A cell is on one line.
        self.collected.add(characters.replace("\n", " ") if self._cells else characters)

    def _see(self, href: str) -> None:
        name = posixpath.normpath(href)
        if self._package is not None and name in self._package:
            self._pictures[name] = Picture(name, partial(self._package.read, name))


class _Content(_Flow):
    """The document itself: a page a slide or a sheet; of a text at each end of a page, a new part at each heading."""

    # Text that was deleted while changes were tracked; pictures as base64; what all pages have.
    passed_over = frozenset({"tracked-changes", "binary-data", "master-styles", "meta", "settings", "scripts", "forms"})

    def __init__(self, package: Package | None, is_paged: bool) -> None:
        super().__init__(package)
        self.kind = ""
        self.pages: list[Page] = []
        self._is_paged = is_paged
        self._number: int | None = None
        self._name: str | None = None
        self._tables = 0
        self._heading: list[str] | None = None
        self._awaits_title = self._is_title = False
        # Styles of paragraphs that begin a page.
        self._style = ""
        self._breaking: set[str] = set()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self.kind:
            self._before_the_body(name, attributes)
        elif self.kind == "text":
            self._text_begins(name, attributes)
        elif name == "page":
            self._next_page(attribute(attributes, "name"))
            self._awaits_title = True
        elif name == "table":
            self._tables += 1
            if self.kind == "spreadsheet" and self._tables == 1:
                self._next_page(attribute(attributes, "name"))
        elif name == "frame":
            self._is_title = self._awaits_title and attribute(attributes, "class") == "title"
        elif name == "p" and self._is_title:
            self._heading, self._awaits_title, self._is_title = [], False, False
        super().start(name, attributes)

    def end(self, name: str) -> None:
        super().end(name)
        if name in ("p", "h") and self._heading is not None:
            self._name = " ".join("".join(self._heading).split())[:200] or self._name
            self._heading = None
        elif name == "table":
            self._tables -= 1

    def add(self, characters: str) -> None:
        super().add(characters)
        if self._heading is not None:
            self._heading.append(characters)

    def _before_the_body(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in ("text", "presentation", "spreadsheet", "drawing"):
            self.kind = name
            self._number = 1 if name == "text" and self._is_paged else None
        elif name == "style":
            self._style = attribute(attributes, "name") or ""
            if attribute(attributes, "master-page-name"):
                self._breaking.add(self._style)
        elif name == "paragraph-properties" and attribute(attributes, "break-before") == "page":
            self._breaking.add(self._style)

    def _text_begins(self, name: str, attributes: Mapping[str, str]) -> None:
        """A page ends where the program that wrote the text found that one does, or where a person set its end."""
        is_soft = name == "soft-page-break"
        if self._left:
            return
        if is_soft or (name in ("p", "h", "table") and attribute(attributes, "style-name") in self._breaking):
            has_ended = self.finish_page()
            if self._number is not None and (is_soft or has_ended):
                self._number += 1
        if name == "h" and not self._cells:
            self.finish_page()
            self._heading = []

    def _next_page(self, name: str | None) -> None:
        self.finish_page()
        self._number = (self._number or 0) + 1
        self._name = name

    def finish_page(self) -> bool:
        """Whether there was something on it."""
        text, pictures = self.taken_text(), tuple(self._pictures.values())
        self._pictures = {}
        if text or pictures:
            self.pages.append(Page(text, self._number, self._name, pictures))
        return bool(text or pictures)


class _Edges(_Flow):
    """Headers and footers of the pages of a text."""

    passed_over = frozenset({"body", "tracked-changes", "binary-data"})
    _inside = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._inside |= name in _EDGES
        super().start(name, attributes)

    def end(self, name: str) -> None:
        super().end(name)
        if name in _EDGES:
            self._inside = False

    def add(self, characters: str) -> None:
        if self._inside:
            super().add(characters)


def read_open_document(file: OpenFile, side: int) -> Reading:
    """The slides, sheets or pages of the document. Raises UnreadableFile as `document.read_document` does."""

    def pages(trouble: list[str]) -> Iterator[Page]:
        if file.head.startswith(ZIP_MAGIC):
            package = Package(file, trouble)
            manifest = _Manifest()
            if _MANIFEST in package:
                package.tell(_MANIFEST, manifest)
            if manifest.is_encrypted:
                raise UnreadableFile("encrypted")
            yield from _zipped_pages(package)
        else:
            yield from _flat_pages(file, trouble)

    return reading_of(file, side, pages)


def _zipped_pages(package: Package) -> Iterator[Page]:
    content = _Content(package, _CONTENT in package and is_in(package.blocks(_CONTENT), _PAGE_END))
    edges = _Edges(package)
    first = True
    for page in _pages_of(content, package.walk(_CONTENT, content)):
        shown = "Thumbnails/thumbnail.png"
        if first and content.kind == "presentation" and shown in package:
            picture = Picture(shown, partial(package.read, shown), source="page")
            page = replace(page, pictures=(picture, *page.pictures))
        first = False
        yield page
    if content.kind == "text" and _STYLES in package:
        package.tell(_STYLES, edges)
        yield _edges_page(edges)


def _flat_pages(file: OpenFile, trouble: list[str]) -> Iterator[Page]:
    if file.size > file.limits.max_member_bytes:
        raise UnreadableFile(f"XML of {file.size:,} bytes, over the limit of {file.limits.max_member_bytes:,}")
    content = _Content(None, is_in(_blocks(file), _PAGE_END))
    edges = _Edges(None)
    try:
        yield from _pages_of(content, walk(_blocks(file), content))
        if content.kind == "text":
            for _ in walk(_blocks(file), edges):
                pass
    except UnreadableFile as error:
        content.finish_page()
        yield from content.pages
        trouble.append(error.reason)
    yield _edges_page(edges)


def _pages_of(content: _Content, steps: Iterable[None]) -> Iterator[Page]:
    for _ in steps:
        yield from content.pages
        content.pages.clear()
    content.finish_page()
    yield from content.pages
    content.pages.clear()


def _edges_page(edges: _Edges) -> Page:
    lines = dict.fromkeys(edges.taken_text().split("\n"))
    return Page(tidied("\n".join(lines)), name="header and footer")


def _blocks(file: OpenFile) -> Iterator[bytes]:
    file.stream.seek(0)
    while block := file.stream.read(_BLOCK_BYTES):
        yield block
