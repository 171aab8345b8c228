"""A Word document → its pages: paragraphs, tables, text boxes and notes as they are read, and the pictures in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mmsearch.reading.document.open_packaging import FALLBACK, PicturesSeen, Relations, relations_of, text_beside
from mmsearch.reading.document.pages import Page, Picture, TextOfPage, tidied
from mmsearch.reading.document.xml_events import Walker, attribute, is_in
from mmsearch.reading.document.zipped import Package

# Deleted or moved away by someone whose changes are tracked; how something looked before; codes of fields; and elements
# that are called as what is looked for.
_NOT_SEEN = frozenset(
    {FALLBACK, "del", "moveFrom", "delText", "instrText", "delInstrText", "pPrChange", "rPrChange", "tabs", "numCache"}
)
_PAGE_END = re.compile(rb"lastRenderedPageBreak|<[\w.-]*:?br [^<>]{0,60}type=[\"']page")
_HEADING = re.compile(r"(?:heading [1-9]|title)$")
_FALSE = ("0", "false", "off")
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes", "commentReference": "comments"}


@dataclass
class _Styles(Walker):
    """Which styles of paragraphs are headings: their ids are in any language, their names are not."""

    headings: set[str] = field(default_factory=set)
    _current: str = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "style":
            self._current = attribute(attributes, "styleId") or ""
        elif name == "name" and _HEADING.match((attribute(attributes, "val") or "").lower()):
            self.headings.add(self._current)


class _Flow(PicturesSeen):
    """Paragraphs and tables: a line a paragraph or a row, tabs between cells."""

    passed_over = _NOT_SEEN

    def __init__(self, package: Package, relations: Relations) -> None:
        super().__init__(package, relations)
        self.collected = TextOfPage()
        self._cells = 0
        self._in_text = self._is_hidden = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "t":
            self._in_text = not self._is_hidden
        elif name == "r":
            self._is_hidden = False
        elif name == "vanish":
            self._is_hidden = (attribute(attributes, "val") or "").lower() not in _FALSE
        elif name in ("tab", "ptab"):
            self.add("\t")
        elif name in ("br", "cr"):
            self.add("\n")
        elif name == "noBreakHyphen":
            self.add("-")
        elif name == "tc":
            self._cells += 1
        else:
            self.see(name, attributes)

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "r":
            self._is_hidden = False
        elif name == "p":
            self.add(" " if self._cells else "\n")
        elif name == "tc":
            self._cells -= 1
            self.add(" " if self._cells else "\t")
        elif name == "tr":
            self.add(" " if self._cells else "\n")

    def text(self, characters: str) -> None:
        if self._in_text:
            self.add(characters)

    def add(self, characters: str) -> None:
        if not self._cells:
            self.collected.add(characters)
        else:  # a cell is on one line
            self.collected.add(characters.replace("\n", " "))


class _Notes(_Flow):
    """Footnotes, endnotes or comments, by their ids."""

    def __init__(self, package: Package, relations: Relations) -> None:
        super().__init__(package, relations)
        self.by_id: dict[str, str] = {}
        self._id = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in ("footnote", "endnote", "comment"):
            self._id = attribute(attributes, "id") or ""
        super().start(name, attributes)

    def end(self, name: str) -> None:
        super().end(name)
        if name in ("footnote", "endnote", "comment"):
            self.by_id[self._id] = self.collected.take()


class _Body(_Flow):
    """The document itself: a page at each of Word's page ends, and a new part of it at each heading."""

    def __init__(self, package: Package, relations: Relations, styles: _Styles, is_paged: bool) -> None:
        super().__init__(package, relations)
        self.pages: list[Page] = []
        self._styles = styles
        self._number = 1 if is_paged else None
        self._name: str | None = None
        self._heading: list[str] | None = None
        self._ended_by_hand = False
        self._notes = {kind: self._read_notes(kind) for kind in _NOTES.values()}
        self._below: list[str] = []

    def _read_notes(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self._relations.of_kind(kind):
            walker = _Notes(self._package, relations_of(self._package, name))
            self._package.tell(name, walker)
            found.update(walker.by_id)
        return found

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "lastRenderedPageBreak":
            self._page_ends(by_hand=False)
        elif name == "br" and attribute(attributes, "type") == "page":
            self._page_ends(by_hand=True)
        elif name == "pStyle" and attribute(attributes, "val") in self._styles.headings and not self._cells:
            self._heading_begins()
        elif name in _NOTES:
            note = self._notes[_NOTES[name]].pop(attribute(attributes, "id") or "", None)
            if note:
                self._below.append(note)
        else:
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if name == "p" and self._heading is not None:
            self._name = " ".join("".join(self._heading).split())[:200] or self._name
            self._heading = None
        super().end(name)

    def add(self, characters: str) -> None:
        super().add(characters)
        if self._heading is not None:
            self._heading.append(characters)
        if self._ended_by_hand and not characters.isspace():
            self._ended_by_hand = False

    def _page_ends(self, by_hand: bool) -> None:
        """What Word has found to be the end of a page behind one that was set by hand is the same end."""
        if self._number is not None and (by_hand or not self._ended_by_hand):
            if self._heading is None or "".join(self._heading).strip():
                self.finish_part()
            self._number += 1
        self._ended_by_hand = by_hand

    def _heading_begins(self) -> None:
        if self._heading is None:
            self.finish_part()
            self._heading = []

    def finish_part(self) -> None:
        """Ends the text under one heading on one page, and puts below it the notes that belong to it."""
        text = tidied("\n\n".join([self.collected.take(), *self._below]))
        self._below.clear()
        pictures = self.pictures()
        if text or pictures:
            self.pages.append(Page(text, self._number, self._name, pictures))

    def taken(self) -> Iterator[Page]:
        """The parts that are whole, since the last time."""
        pages, self.pages = self.pages, []
        yield from pages


def word_pages(package: Package, main: str) -> Iterator[Page]:
    """The pages of the document whose main part has that name. Those of one that Word has not laid out, and where no
    end of a page was set by hand, have no numbers.
    """
    relations = relations_of(package, main)
    styles = _Styles()
    for name in relations.of_kind("styles"):
        package.tell(name, styles)
    body = _Body(package, relations, styles, main in package and is_in(package.blocks(main), _PAGE_END))
    for _ in package.walk(main, body):
        yield from body.taken()
    body.finish_part()
    yield from body.taken()
    for text in text_beside(package, relations, "chart", "diagramData"):
        yield Page(text)
    yield from _edges(package, relations)


def _edges(package: Package, relations: Relations) -> Iterator[Page]:
    """Headers and footers, each of their lines once."""
    lines: dict[str, None] = {}
    pictures: list[Picture] = []
    for name in relations.of_kind("header", "footer"):
        walker = _Flow(package, relations_of(package, name))
        package.tell(name, walker)
        lines.update(dict.fromkeys(walker.collected.take().split("\n")))
        pictures += walker.pictures()
    yield Page(tidied("\n".join(lines)), name="header and footer", pictures=tuple(pictures))
