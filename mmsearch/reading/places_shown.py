"""A place in a file → what a person is shown of it: a picture, or the beginning of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmsearch.files.archives import status_at
from mmsearch.files.times import modification_time
from mmsearch.reading.opening import OpenFile, opened_as_known
from mmsearch.reading.reader import Reader, ReadLimits, UnreadableFile, unreachable
from mmsearch.records import Locator, Part

if TYPE_CHECKING:
    from PIL.Image import Image

# Of a text so many characters are shown.
MOST_CHARACTERS = 600


@dataclass(frozen=True)
class Shown:
    """Either a picture, upright, RGB, or words; neither where the file has nothing to show there."""

    picture: Image | None = None
    words: str = ""


def shown_place(path: bytes, place: Locator, side: int, limits: ReadLimits, readers: Sequence[Reader]) -> Shown:
    """What is shown of a place in the file at `path`; see `reading.shown_at`."""
    try:
        status = status_at(path)
    except OSError as error:
        raise unreachable(error) from None
    state = status.st_size, modification_time(status)
    with opened_as_known(path, state, limits, readers) as file:
        reader = file.reader
        if status.st_size > limits.max_bytes.get(reader.medium, reader.max_bytes):
            raise UnreadableFile(f"{reader.medium} file of {status.st_size:,} bytes, over its limit")
        picture = picture_at(file, place, side)
        if picture is not None:
            return Shown(picture)
        file.stream.seek(0)
        texts = (part.payload for part in reader.read(file, side).parts if part.modality == "text")
        return Shown(words=next(texts, "").strip()[:MOST_CHARACTERS])


def picture_at(file: OpenFile, place: Locator, side: int) -> Image | None:
    """The picture by which a place in an open file is shown; None where there is none. Raises as `shown_place` does."""
    if file.reader.picture is not None:
        return file.reader.picture(file, place, side)
    return picture_among(file.reader.read(file, side).parts, place)


def picture_among(parts: Iterable[Part], place: Locator, only_there: bool = False) -> Image | None:
    """The picture of the parts that lies at a place; else the first on its page; else, unless it is to be `only_there`,
    the first of all, which is what a document is known by. None where there is none.
    """
    found: dict[int, Image] = {}
    try:
        for part in parts:
            if part.modality == "image":
                nearness = _nearness(part.locator, place)
                found.setdefault(nearness, part.payload)
                if nearness == _NEAREST:
                    break
    except UnreadableFile:
        if not found:
            raise
    nearest = max(found, default=0)
    return None if only_there and nearest == 0 else found.get(nearest)


_NEAREST = 2


def _nearness(one: Locator, place: Locator) -> int:
    return _NEAREST if one == place else int(one.page == place.page and one.part_name == place.part_name)
