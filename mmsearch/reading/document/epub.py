"""An e-book in EPUB → its chapters in the order of reading, and the pictures in them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import unquote

from mmsearch.reading.document.html_pages import resolved, web_page
from mmsearch.reading.document.pages import Page, Picture, reading_of
from mmsearch.reading.document.xml_events import Walker
from mmsearch.reading.document.zipped import Package
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import Reading, UnreadableFile

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
# Fonts are made unusable elsewhere by these: no secret is in it.
_FONT_ALGORITHMS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_LONGEST_LIST = 1_000_000
_LINK = re.compile(
    r"""<a\s[^<>]{0,2000}?href\s{0,9}=\s{0,9}["']([^"'<>]{1,500})["'][^<>]{0,2000}>(.{1,2000}?)</a\s{0,9}>""",
    re.I | re.S,
)
_TAG = re.compile(r"<[^<>]{0,2000}>")


class _Container(Walker):
    """Where the list of what the book consists of lies."""

    path = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "rootfile" and not self.path:
            self.path = unquote(attributes.get("full-path", ""))


@dataclass
class _Book(Walker):
    """What the book consists of: the members by their ids, the order they are read in, and lists of contents."""

    path: str
    members: dict[str, str] = field(default_factory=dict)
    spine: list[str] = field(default_factory=list)
    nav: str = ""
    ncx: str = ""
    cover: str = ""
    _cover_id: str = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "item":
            member = resolved(self.path, unquote(attributes.get("href", "")))
            identifier = attributes.get("id", "")
            self.members[identifier] = member
            properties = attributes.get("properties", "").split()
            if "nav" in properties:
                self.nav = member
            if "cover-image" in properties or (identifier == self._cover_id and identifier):
                self.cover = member
            if attributes.get("media-type") == "application/x-dtbncx+xml":
                self.ncx = member
        elif name == "itemref":
            self.spine.append(attributes.get("idref", ""))
        elif name == "meta" and attributes.get("name") == "cover":
            self._cover_id = attributes.get("content", "")


@dataclass
class _Ncx(Walker):
    """The titles of chapters by their members, as books before EPUB 3 list them."""

    path: str
    titles: dict[str, str] = field(default_factory=dict)
    _label: list[str] = field(default_factory=list)
    _in_label: bool = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "navLabel":
            self._label.clear()
            self._in_label = True
        elif name == "content":
            title = " ".join("".join(self._label).split())[:200]
            if title:
                self.titles.setdefault(resolved(self.path, unquote(attributes.get("src", ""))), title)

    def end(self, name: str) -> None:
        if name == "navLabel":
            self._in_label = False

    def text(self, characters: str) -> None:
        if self._in_label:
            self._label.append(characters)


@dataclass
class _Encryption(Walker):
    """The members that are encrypted, but for fonts."""

    members: set[str] = field(default_factory=set)
    _algorithm: str = ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "EncryptedData":
            self._algorithm = ""
        elif name == "EncryptionMethod" and not self._algorithm:
            self._algorithm = attributes.get("Algorithm", "")
        elif name == "CipherReference" and self._algorithm not in _FONT_ALGORITHMS:
            self.members.add(unquote(attributes.get("URI", "")).lstrip("/"))


def read_epub(file: OpenFile, side: int) -> Reading:
    """A page for each chapter, numbered by its place in the order of reading.

    Raises UnreadableFile as `document.read_document` does.
    """
    return reading_of(file, side, lambda trouble: _pages(Package(file, trouble)))


def _pages(package: Package) -> Iterator[Page]:
    book = _book(package)
    encryption = _Encryption()
    if _ENCRYPTION in package:
        package.tell(_ENCRYPTION, encryption)
    names = [book.members[one] for one in dict.fromkeys(book.spine) if one in book.members]
    if not names:  # its list is lost
        names = sorted(one for one in package.names if one.lower().endswith((".xhtml", ".html", ".htm")))
    if encryption.members.intersection(names):
        raise UnreadableFile("encrypted")
    titles = _titles(package, book)
    for number, name in enumerate(names, start=1):
        page = _chapter(package, name, number, titles)
        if number == 1 and book.cover in package:
            page = Page(page.text, number, page.name, (_picture(package, book.cover), *page.pictures))
        yield page


def _book(package: Package) -> _Book:
    container = _Container()
    if _CONTAINER in package:
        package.tell(_CONTAINER, container)
    path = container.path or next((name for name in package.names if name.lower().endswith(".opf")), "")
    book = _Book(path)
    if path in package:
        package.tell(path, book)
    return book


def _chapter(package: Package, name: str, number: int, titles: Mapping[str, str]) -> Page:
    try:
        if not name.lower().endswith((".svg", ".xhtml", ".html", ".htm", ".xml")):
            return Page("", number, titles.get(name), (_picture(package, name),))
        page = web_page(package.read(name))
    except UnreadableFile as error:
        package.trouble.append(error.reason)
        return Page("", number)
    members = (resolved(name, one) for one in page.pictures)
    pictures = tuple(_picture(package, one) for one in members if one in package)
    return Page(page.text, number, titles.get(name) or page.heading, pictures)


def _titles(package: Package, book: _Book) -> dict[str, str]:
    """The titles of chapters by their members, from the list of contents."""
    titles: dict[str, str] = {}
    if book.nav in package:
        try:
            listed = package.read(book.nav)[:_LONGEST_LIST].decode("utf-8", "replace")
        except UnreadableFile as error:
            package.trouble.append(error.reason)
            listed = ""
        for href, label in _LINK.findall(listed):
            title = " ".join(html.unescape(_TAG.sub(" ", label)).split())[:200]
            if title:
                titles.setdefault(resolved(book.nav, unquote(html.unescape(href))), title)
    if not titles and book.ncx in package:
        ncx = _Ncx(book.ncx, titles)
        package.tell(book.ncx, ncx)
    return titles


def _picture(package: Package, name: str) -> Picture:
    return Picture(name, partial(package.read, name))
