"""A PowerPoint presentation → its slides with what the speaker noted, in their order, and the pictures on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from mmsearch.reading.document.open_packaging import (
    FALLBACK,
    PicturesSeen,
    Relations,
    picture,
    relations_of,
    text_beside,
)
from mmsearch.reading.document.pages import Page, TextOfPage, tidied
from mmsearch.reading.document.xml_events import Walker
from mmsearch.reading.document.zipped import Package

_TITLES = ("title", "ctrTitle")
# Placeholders that are filled with the same on each slide, or with nothing to read.
_FILLED = ("sldNum", "dt", "sldImg")
# And those that have the same text on many.
_EDGES = ("hdr", "ftr")


@dataclass
class _Order(Walker):
    """The ids of slides in the order in which they are shown."""

    ids: list[str] = field(default_factory=list)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        # Its own number is called id as well, without a prefix.
        if name == "sldId":
            self.ids += [value for key, value in attributes.items() if key.endswith(":id")]


class _Slide(PicturesSeen):
    """The text of a slide, or of the page of its notes: a line a paragraph or a row of a table."""

    passed_over = frozenset({FALLBACK})

    def __init__(self, package: Package, relations: Relations) -> None:
        super().__init__(package, relations)
        self.collected = TextOfPage()
        self.title: str | None = None
        self.edges: list[str] = []
        self._shape = TextOfPage()
        self._kind: str | None = None
        self._cells = 0
        self._in_text = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "t":
            self._in_text = True
        elif name == "ph":
            self._kind = attributes.get("type", "body")
        elif name == "br":
            self._shape.add(" " if self._cells else "\n")
        elif name == "tc":
            self._cells += 1
        elif name in ("sp", "graphicFrame", "cxnSp"):
            self._finish_shape()
        else:
            self.see(name, attributes)

    def end(self, name: str) -> None:
        if name == "t":
            self._in_text = False
        elif name == "p":
            self._shape.add(" " if self._cells else "\n")
        elif name == "tc":
            self._cells -= 1
            self._shape.add("\t")
        elif name == "tr":
            self._shape.add("\n")
        elif name in ("sp", "graphicFrame", "cxnSp", "spTree"):
            self._finish_shape()

    def text(self, characters: str) -> None:
        if self._in_text:
            self._shape.add(characters)

    def _finish_shape(self) -> None:
        text, kind, self._kind = self._shape.take(), self._kind, None
        if not text or kind in _FILLED:
            return
        if kind in _EDGES:
            self.edges.append(text)
            return
        if kind in _TITLES and self.title is None:
            self.title = " ".join(text.split())[:200]
        self.collected.add(f"{text}\n")

    def finished(self) -> str:
        """The text, also of a slide that breaks off."""
        self._finish_shape()
        return self.collected.take()


def slide_pages(package: Package, main: str) -> Iterator[Page]:
    """A page for each slide, hidden ones too; what stands at the foot of many of them is with the first.

    The picture that the presentation is shown by is that of its first slide.
    """
    order = _Order()
    package.tell(main, order)
    relations = relations_of(package, main)
    names = [name for name in dict.fromkeys(map(relations.target, order.ids)) if name is not None]
    thumbnails = relations_of(package, "").of_kind("thumbnail")
    told: set[str] = set()
    for number, name in enumerate(names, start=1):
        page = _page(package, name, number, told)
        if number == 1 and thumbnails and thumbnails[0] in package:
            shown = replace(picture(package, thumbnails[0]), source="page")
            page = replace(page, pictures=(shown, *page.pictures))
        yield page


def _page(package: Package, name: str, number: int, told: set[str]) -> Page:
    """A slide with its notes. `told` are footers, and the names of notes, that were with others."""
    relations = relations_of(package, name)
    slide = _Slide(package, relations)
    package.tell(name, slide)
    texts, edges = [slide.finished(), *text_beside(package, relations, "chart", "diagramData")], slide.edges
    for notes in relations.of_kind("notesSlide"):
        if notes not in told:
            told.add(notes)
            spoken = _Slide(package, relations_of(package, notes))
            package.tell(notes, spoken)
            texts.append(spoken.finished())
            edges += spoken.edges
    new = [edge for edge in dict.fromkeys(edges) if edge not in told]
    told.update(new)
    return Page(tidied("\n\n".join([*texts, *new])), number, slide.title, slide.pictures())
