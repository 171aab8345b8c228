"""An Excel workbook → its sheets: a line a row, tabs between cells, with the values that formulas had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mmsearch.reading.document.open_packaging import FALLBACK, relations_of, text_beside
from mmsearch.reading.document.pages import Page, TextOfPage, tidied
from mmsearch.reading.document.xml_events import Walker, attribute
from mmsearch.reading.document.zipped import Package

# How a text is pronounced stands beside it.
_NOT_SEEN = frozenset({FALLBACK, "rPh", "extLst"})
_DIGITS = 15


@dataclass
class _Workbook(Walker):
    """The sheets of a workbook: (what they are called, their ids), in their order."""

    sheets: list[tuple[str, str]] = field(default_factory=list)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "sheet":
            self.sheets.append((attributes.get("name", ""), attribute(attributes, "id") or ""))


@dataclass
class _SharedStrings(Walker):
    """The texts that cells refer to by their numbers."""

    passed_over = _NOT_SEEN
    strings: list[str] = field(default_factory=list)
    _pieces: list[str] = field(default_factory=list)
    _in_text: bool = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._in_text = name == "t"

    def end(self, name: str) -> None:
        self._in_text = False
        if name == "si":
            self.strings.append("".join(self._pieces))
            self._pieces.clear()

    def text(self, characters: str) -> None:
        if self._in_text:
            self._pieces.append(characters)


class _Sheet(Walker):
    """The cells of a sheet."""

    passed_over = _NOT_SEEN

    def __init__(self, strings: list[str]) -> None:
        self.collected = TextOfPage()
        self._strings = strings
        self._kind = ""
        self._pieces: list[str] = []
        self._in_value = False
        self._is_first = True

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "c":
            self._kind = attributes.get("t", "n")
        elif name in ("v", "t"):
            self._in_value = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._in_value = False
        elif name == "c":
            if value := self._value():
                self.collected.add(value if self._is_first else f"\t{value}")
                self._is_first = False
        elif name == "row":
            if not self._is_first:
                self.collected.add("\n")
            self._is_first = True

    def text(self, characters: str) -> None:
        if self._in_value:
            self._pieces.append(characters)

    def _value(self) -> str:
        """The value of the cell that ends, as a person sees it."""
        value = "".join(self._pieces)
        self._pieces.clear()
        if self._kind == "s":
            index = int(value) if value.isdecimal() and len(value) < 10 else -1
            value = self._strings[index] if 0 <= index < len(self._strings) else ""
        elif self._kind == "b":
            value = "TRUE" if value == "1" else "FALSE"
        elif self._kind == "e":
            value = ""
        elif self._kind == "n" and len(value) > _DIGITS:
            value = _rounded(value)
        return " ".join(value.split()) if "\n" in value or "\t" in value else value


def _rounded(number: str) -> str:
    """0.30000000000000004 as it is shown."""
    try:
        return f"{float(number):.{_DIGITS}g}"
    except ValueError:
        return number


def sheet_pages(package: Package, main: str) -> Iterator[Page]:
    """A page for each sheet, hidden ones too, with its comments and what is written in its drawings."""
    workbook = _Workbook()
    package.tell(main, workbook)
    relations = relations_of(package, main)
    shared = _SharedStrings()
    for name in relations.of_kind("sharedStrings"):
        package.tell(name, shared)
    read: set[str] = set()
    for number, (title, identifier) in enumerate(workbook.sheets, start=1):
        part = relations.target(identifier)
        if part is None or part in read:
            continue
        read.add(part)
        sheet = _Sheet(shared.strings)
        for _ in package.walk(part, sheet):
            if sheet.collected.is_full:
                break
        texts = [sheet.collected.take(), *_beside(package, part)]
        yield Page(tidied("\n\n".join(texts)), number, title or None)


def _beside(package: Package, name: str) -> Iterator[str]:
    relations = relations_of(package, name)
    yield from text_beside(package, relations, "comments", "threadedComment")
    for drawing in relations.of_kind("drawing"):
        yield from text_beside(package, relations, "drawing")
        yield from text_beside(package, relations_of(package, drawing), "chart")
