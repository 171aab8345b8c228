"""What formats of documents find on their pages → the parts of a document: texts, and the pictures seen in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mmsearch.reading.noise import blank_noise
from mmsearch.reading.opening import OpenFile
from mmsearch.reading.reader import NotAMedium, Reading, UnreadableFile
from mmsearch.records import FileFacts, Locator, Part

# Smaller pictures are signs, lines and buttons.
_LEAST_SIDE = 96
# Pages of so many characters together are kept while it is seen how many there are; longer documents are read twice.
_KEPT_CHARACTERS = 4_000_000
# A page of more is cut off, and a document of more ends there: what is packed can repeat a word a billion times.
LONGEST_PAGE = 10_000_000
_LONGEST_DOCUMENT = 200_000_000
_LETTER = re.compile(r"[^\W\d_]")
_SPACES = " \r\f\v\xa0"
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufeff]")
_EMPTY_LINES = re.compile(r"\n{3,}")


@dataclass(frozen=True)
class Picture:
    """A picture in a document: a name with an extension, and what gives its bytes or raises UnreadableFile."""

    name: str
    data: Callable[[], bytes]
    source: str = "embedded"


@dataclass(frozen=True)
class Page:
    """A page, slide, sheet or chapter: its text as it is read, and the pictures on it.

    `number` counts from 1, None where there are no numbers; `name` is what it is called.
    """

    text: str
    number: int | None = None
    name: str | None = None
    pictures: tuple[Picture, ...] = ()


class TextOfPage:
    """Collects the text of a page, up to a length."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def add(self, piece: str) -> None:
        if self._length < LONGEST_PAGE:
            self._pieces.append(piece)
            self._length += len(piece)

    def __bool__(self) -> bool:
        return self._length > 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken."""
        return self._length >= LONGEST_PAGE

    def take(self) -> str:
        """What was collected; the next page begins."""
        text = tidied("".join(self._pieces)[:LONGEST_PAGE])
        self._pieces, self._length = [], 0
        return text


def tidied(text: str) -> str:
    """Without control characters, spaces at the ends of lines, more than one empty line together, or any around it."""
    lines = map(_tidied_line, _CONTROLS.sub("", text).split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


def _tidied_line(line: str) -> str:
    if "\t" in line:
        line = "\t".join([cell.strip(_SPACES) for cell in line.split("\t")])
    return line.lstrip(_SPACES).rstrip()


# The pages in their order; why some could not be read is put into the list, as short reasons.
FindPages = Callable[[list[str]], Iterator[Page]]


@dataclass(frozen=True)
class _Parts:
    """The parts of some pages, made one after the other; how many there are at most is known."""

    file: OpenFile
    side: int
    pages: Callable[[], Iterator[Page]]
    count: int
    troubles: list[str]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Part]:
        seen: set[bytes] = set()
        names: set[str] = set()
        for page in self.pages():
            place = Locator(page=page.number, part_name=page.name)
            if page.text:
                yield Part("text", page.text, place)
            for picture in page.pictures:
                if picture.name in names:
                    continue
                names.add(picture.name)
                part = self._seen(picture, place, seen)
                if part is not None:
                    yield part

    def _seen(self, picture: Picture, place: Locator, seen: set[bytes]) -> Part | None:
        """The picture, if it can be read, is large enough, and is none of those seen before."""
        try:
            data = picture.data()
            digest = hashlib.blake2b(data, digest_size=16).digest()
            if digest in seen:
                return None
            seen.add(digest)
            member = self.file.member(picture.name, data)
            if member.reader.medium != "image":
                return None
            reading = member.reader.read(member, self.side)
            if min(reading.facts.width or 0, reading.facts.height or 0) <= _LEAST_SIDE:
                return None
            payload = next(iter(reading.parts)).payload
        except NotAMedium:
            return None
        except UnreadableFile as error:
            self.troubles.append(left_out(picture.name, error))
            return None
        self.troubles.extend(troubles_within(picture.name, reading))
        return Part("image", payload, place, picture.source)


def left_out(name: str, error: UnreadableFile) -> str:
    """What is told of a file within a document that cannot be read."""
    return f"{_base(name)} left out: {error.reason}"


def troubles_within(name: str, reading: Reading) -> list[str]:
    """What is told of a file within a document, once its parts are through."""
    return [f"{_base(name)}: {trouble}" for trouble in (reading.facts.note, *reading.troubles) if trouble]


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def reading_of(file: OpenFile, side: int, find: FindPages, pages: int | None = None) -> Reading:
    """The parts of the pages that `find` gives, the same ones each time. `pages` is how many there are, where the
    highest number of one does not tell. Pictures that cannot be read are told once the parts are through.

    Raises:
        UnreadableFile: nothing can be read, for the first reason that `find` told; or what it raises.
    """
    trouble: list[str] = []
    kept: list[Page] = []
    length = count = highest = 0
    for page in _cleaned(find(trouble), trouble):
        length += len(page.text)
        count += bool(page.text) + len(page.pictures)
        highest = max(highest, page.number or 0)
        if length <= _KEPT_CHARACTERS:
            kept.append(page)
    if not count:
        raise UnreadableFile(trouble[0] if trouble else "no text inside")
    facts = FileFacts(pages=pages or highest or None, note=f"incomplete document: {trouble[0]}" if trouble else None)
    troubles: list[str] = []
    if length <= _KEPT_CHARACTERS:
        return Reading(facts, _Parts(file, side, lambda: iter(kept), count, troubles), troubles=troubles)
    kept.clear()
    return Reading(facts, _Parts(file, side, lambda: _cleaned(find([]), []), count, troubles), troubles=troubles)


def _cleaned(pages: Iterator[Page], trouble: list[str]) -> Iterator[Page]:
    """Those with words or pictures, what is no language blanked."""
    length = 0
    for page in pages:
        text = page.text if _LETTER.search(page.text) else ""
        text = blank_noise(text) if text else ""
        length += len(text)
        if text or page.pictures:
            yield Page(text if text.strip() else "", page.number, page.name, page.pictures)
        if length > _LONGEST_DOCUMENT:
            trouble.append(f"more than {_LONGEST_DOCUMENT:,} characters")
            return
