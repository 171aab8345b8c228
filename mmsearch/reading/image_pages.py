"""The pages of a TIFF, as scanners and fax machines keep them: each picture lies behind a directory of its tags.

Not all pictures in a TIFF are pages: smaller versions of one, and masks, say what they are, or are told by what they
show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from mmsearch.reading.opening import OpenFile
from mmsearch.reading.page_troubles import PageTroubles
from mmsearch.reading.reader import Reading, UnreadableFile
from mmsearch.records import Locator, Part

if TYPE_CHECKING:
    from PIL.Image import Image

# The version of the reader that took the first picture alone: what has one page is to it what it is today.
BEFORE_PAGES = 2
_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC = 254, 255, 256, 257, 262
_ASKED = frozenset((_NEW_SUBFILE, _SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC))
_BYTES_OF_KIND = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
# What a subfile is: a whole picture, or a page of several. All else is a smaller version, a mask or a map of depths.
_PAGES = (0, 2)
_OLD_REDUCED = 2
_A_MASK = 4
_MOST_TAGS = 4_096
# Between two pages there may be a mask and some smaller versions.
_DIRECTORIES_A_PAGE = 8
# Smaller pictures that do not say what they are are compared with what they may be versions of; no more than so many.
_MOST_COMPARED = 32
_COMPARED_SIDE = 16
# How far the brightness of two versions of a picture lies apart at most, of 255, on the mean of all pixels.
_SAME = 8

ReadPage = Callable[[IO[bytes], int], Reading]
"""What is seen of the first picture of a TIFF, so large; raises UnreadableFile."""


class Directory(NamedTuple):
    """A picture of a TIFF: where its tags lie, and its size in pixels."""

    at: int
    width: int
    height: int


class Pages(NamedTuple):
    """The pages of a TIFF, and why there are no more of them, where that is no end as it should be."""

    found: Sequence[Directory]
    trouble: str | None = None


class _Order(NamedTuple):
    """How a TIFF writes numbers: the bytes of its header, of a count of tags, of a tag and of a place."""

    order: Literal["little", "big"]
    header: bytes
    counted: int
    tag: int
    place: int

    def number(self, data: bytes) -> int:
        return int.from_bytes(data, self.order)


class AtPage:
    """A TIFF that begins with another of its pictures: decoders go by the header, and take the rest as it lies."""

    def __init__(self, stream: IO[bytes], at: int) -> None:
        kind = _order_of(stream)
        self._stream = stream
        self._header = kind.header[: -kind.place] + at.to_bytes(kind.place, kind.order)

    def read(self, size: int = -1) -> bytes:
        at = self._stream.tell()
        data = self._stream.read(size)
        return data if at >= len(self._header) else self._header[at : at + len(data)] + data[len(self._header) - at :]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def read_pages(file: OpenFile, side: int, read_page: ReadPage) -> Reading:
    """Each page of the TIFF as a part, one after the other; what has one page alone is as `read_page` gives it.

    A page that cannot be read is left out, with a note.

    Raises UnreadableFile where none can be read, for the reason of the first.
    """
    pages = pages_of(file.stream, file.limits.max_members)
    found = _without_versions(file.stream, pages.found, read_page)
    troubles = PageTroubles(*([pages.trouble] if pages.trouble else []))
    if len(found) <= 1:
        reading = read_page(_page(file.stream, found[0].at) if found else file.stream, side)
        is_first = not found or found[0].at == _first_place(file.stream)
        return replace(reading, since=BEFORE_PAGES if is_first else None, troubles=troubles)
    numbered = iter(enumerate(found, start=1))
    first_reason: UnreadableFile | None = None
    for number, directory in numbered:
        try:
            begun = read_page(_page(file.stream, directory.at), side)
        except UnreadableFile as error:
            first_reason = first_reason or error
            troubles.left_out(number, error.reason)
            continue
        parts = _parts(file.stream, side, read_page, (number, begun), numbered, troubles)
        facts = replace(begun.facts, pages=len(found), note=None)
        if begun.facts.note:
            troubles.in_part(number, begun.facts.note)
        return Reading(facts, parts, troubles=troubles)
    raise first_reason or UnreadableFile("picture without pixels")


def page_at(file: OpenFile, number: int, side: int, read_page: ReadPage) -> Image:
    """The page of that number; of a TIFF that has one alone, that one.

    Raises UnreadableFile: there is none, or it cannot be read.
    """
    found = _without_versions(file.stream, pages_of(file.stream, file.limits.max_members).found, read_page)
    if len(found) > 1 and number > len(found):
        raise UnreadableFile(f"there is no page {number:,}")
    stream = _page(file.stream, found[min(number, len(found)) - 1].at) if found else file.stream
    picture: Image = next(iter(read_page(stream, side).parts)).payload
    return picture


def _parts(
    stream: IO[bytes],
    side: int,
    read_page: ReadPage,
    begun: tuple[int, Reading],
    others: Iterator[tuple[int, Directory]],
    troubles: PageTroubles,
) -> Iterator[Part]:
    """The pages, of which the first that can be read is there."""
    yield from _of_page(*begun)
    for number, directory in others:
        try:
            reading = read_page(_page(stream, directory.at), side)
        except UnreadableFile as error:
            troubles.left_out(number, error.reason)
            continue
        if reading.facts.note:
            troubles.in_part(number, reading.facts.note)
        yield from _of_page(number, reading)


def _of_page(number: int, reading: Reading) -> Iterator[Part]:
    """The first page is the file's own picture, as it is of a TIFF that has no other."""
    for part in reading.parts:
        yield Part("image", part.payload, Locator(page=number), "body" if number == 1 else "page")


def _page(stream: IO[bytes], at: int) -> IO[bytes]:
    page: Any = AtPage(stream, at)
    found: IO[bytes] = page
    return found


def pages_of(stream: IO[bytes], most: int) -> Pages:
    """The pictures of a TIFF that are none of its masks and none that say that they are smaller versions, no more than
    `most`; where all say so, the first.
    """
    kind = _order_of(stream)
    at = _first_place(stream)
    seen: set[int] = set()
    found: list[Directory] = []
    first: list[Directory] = []
    while at and at not in seen:
        if len(found) == most or len(seen) == _DIRECTORIES_A_PAGE * most:
            return Pages(found or first, f"only the first {len(found):,} pages were read")
        seen.add(at)
        tags, following = _directory(stream, kind, at)
        if tags is None:
            return Pages(found or first, "incomplete TIFF")
        directory = Directory(at, tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0))
        first = first or [directory]
        if directory.width and directory.height and _is_page(tags):
            found.append(directory)
        at = following
    return Pages(found or first)


def _is_page(tags: dict[int, int]) -> bool:
    says = tags.get(_NEW_SUBFILE, 0)
    return says in _PAGES and tags.get(_SUBFILE) != _OLD_REDUCED and tags.get(_PHOTOMETRIC) != _A_MASK


def _order_of(stream: IO[bytes]) -> _Order:
    stream.seek(0)
    header = stream.read(16)
    order: Literal["little", "big"] = "little" if header.startswith(b"II") else "big"
    if int.from_bytes(header[2:4], order) == 43:
        return _Order(order, header, 8, 20, 8)
    return _Order(order, header[:8], 2, 12, 4)


def _first_place(stream: IO[bytes]) -> int:
    """Where the first directory lies."""
    kind = _order_of(stream)
    return kind.number(kind.header[-kind.place :])


def _directory(stream: IO[bytes], kind: _Order, at: int) -> tuple[dict[int, int] | None, int]:
    """Those tags of a directory that are asked for, None where it is not there whole; and where the next one lies."""
    stream.seek(at)
    count = kind.number(stream.read(kind.counted))
    if not 0 < count <= _MOST_TAGS:
        return None, 0
    data = stream.read(count * kind.tag + kind.place)
    if len(data) < count * kind.tag:
        return None, 0
    tags: dict[int, int] = {}
    for begin in range(0, count * kind.tag, kind.tag):
        tag, form = kind.number(data[begin : begin + 2]), kind.number(data[begin + 2 : begin + 4])
        size = _BYTES_OF_KIND.get(form, 0)
        if tag in _ASKED and 0 < size <= kind.place:
            value = begin + 4 + kind.place
            tags[tag] = kind.number(data[value : value + size])
    return tags, kind.number(data[count * kind.tag :])


def _without_versions(stream: IO[bytes], found: Sequence[Directory], read_page: ReadPage) -> Sequence[Directory]:
    """The pages without those that show the first one, or the one before them, once more and smaller."""
    kept = list(found[:1])
    compared = 0
    for one in found[1:]:
        larger = next((other for other in (kept[-1], kept[0]) if _may_be_version(one, other)), None)
        if larger is not None and compared < _MOST_COMPARED:
            compared += 1
            if _shows_the_same(stream, one, larger, read_page):
                continue
        kept.append(one)
    return kept


def _may_be_version(one: Directory, of: Directory) -> bool:
    """Whether a picture has the shape of another and half of its sides or less."""
    slack = max(of.width, of.height)
    return 2 * one.width <= of.width + 1 and abs(one.width * of.height - one.height * of.width) <= slack


def _shows_the_same(stream: IO[bytes], one: Directory, other: Directory, read_page: ReadPage) -> bool:
    import numpy as np

    try:
        seen = [
            next(iter(read_page(_page(stream, each.at), _COMPARED_SIDE).parts)).payload.convert("L")
            for each in (one, other)
        ]
    except UnreadableFile:
        return False
    size = (_COMPARED_SIDE, _COMPARED_SIDE)
    values = [np.asarray(picture.resize(size), np.int16) for picture in seen]
    return float(np.abs(values[0] - values[1]).mean()) <= _SAME
