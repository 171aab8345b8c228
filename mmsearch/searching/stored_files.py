"""A file of the library by its id: what is known of it, where it lies, and the texts that were found in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mmsearch.errors import Invalid, NotFound
from mmsearch.files.remote_paths import is_remote
from mmsearch.files.times import in_utc
from mmsearch.nearest.spaces import ModelInUse
from mmsearch.records import Filters, FoundItem
from mmsearch.searching.miniatures import Source
from mmsearch.searching.presence import Presence, packed_in
from mmsearch.searching.query import is_id
from mmsearch.store.protocol import Store


@dataclass(frozen=True)
class StoredFile:
    """What the library knows of a file; what it says is said of a `Hit` in the same words.

    `duration` is in seconds; `pages` counts those of a document or a scan.
    """

    id: str
    path: str
    type: str
    width: int | None
    height: int | None
    duration: float | None
    pages: int | None
    bytes: int
    modified: str
    taken: str | None
    available: bool
    copies: tuple[str, ...] = ()
    archive: str | None = None
    member: str | None = None
    camera: str | None = None
    lens: str | None = None
    focal_length: float | None = None
    iso: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    rating: int | None = None
    title: str | None = None
    keywords: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True)
class Passage:
    """A stretch of the text of a file, and where it lies; it goes on where the one before it has ended.

    `line` counts from 1, `offset` in characters from 0, `time` is from–to in seconds; None where they mean nothing.
    """

    text: str
    source: str
    line: int | None
    offset: int | None
    page: int | None
    time: tuple[float, float] | None
    part_name: str | None


@dataclass(frozen=True)
class Passages:
    """Some of the passages of the file of that id: those from number `first` on, counted from 0, of `total`."""

    id: str
    first: int
    total: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class PassagePlace:
    """Where passages are to begin: on a page, at a line, at a moment in seconds, or with one of that number."""

    page: int | None = None
    line: int | None = None
    time: float | None = None
    first: int = 0


class FileSources(NamedTuple):
    """A file, the library that it is of, and those of its paths at which something lies now."""

    library_id: str
    file: StoredFile
    there: tuple[Source, ...]


def sources_of(store: Store, presence: Presence, called: str) -> FileSources:
    """The file of that id.

    Raises:
        NotFound: the library has none. Invalid: it is no id.
    """
    items = _items_at(store, called)
    first = items[0]
    statuses = presence.look(item.path for item in items)
    present = [item for item in items if statuses[item.path] is not None]
    present += [item for item in items if is_remote(item.path)]  # nobody was asked: opening it tells
    shown = present[0] if present else first
    facts = shown.facts
    file = StoredFile(
        id=called,
        path=os.fsdecode(shown.path),
        type=shown.medium,
        width=facts.width,
        height=facts.height,
        duration=facts.duration,
        pages=facts.pages,
        bytes=shown.size,
        modified=in_utc(shown.mtime_ns),
        taken=facts.taken,
        available=bool(present),
        copies=tuple(os.fsdecode(item.path) for item in items if item is not shown),
        **packed_in(shown.path, bool(present))._asdict(),
        **vars(facts.details),
    )
    there = (Source(item.path, item.size, item.mtime_ns) for item in present)
    return FileSources(store.state()[0], file, tuple(there))


def passages_of(
    store: Store, models: Sequence[ModelInUse], called: str, place: PassagePlace, most_characters: int
) -> Passages:
    """The texts that were found in the file of that id, from a place on, of so many characters together, or one.

    Raises:
        NotFound: the library has no such file, or the file no text there. Invalid: it is no id, or no such place.
    """
    path = _items_at(store, called)[0].path
    found: list[FoundItem] = []
    for in_use in models:
        item_ids = store.items_of_content(bytes.fromhex(called), in_use.model_id).get("text")
        if item_ids is not None:
            items = store.found_items(map(int, item_ids), Filters())
            found = sorted((one for one in items if one.path == path and one.text), key=lambda one: one.item_id)
            break
    if place.first < 0 or (found and place.first >= len(found)):
        raise Invalid(f"There is no passage {place.first}; there are {len(found):,}, counted from 0.")
    first = _first(found, place, os.fsdecode(path))
    passages: list[Passage] = []
    before: FoundItem | None = None
    for item in found[first:]:
        passage = _after(item, before)
        if passages and sum(len(one.text) for one in passages) + len(passage.text) > most_characters:
            break
        passages.append(passage)
        before = item
    return Passages(called, first, len(found), tuple(passages))


def _items_at(store: Store, called: str) -> list[FoundItem]:
    """One item of the content of that id in each file that holds it, by path."""
    if not is_id(called):
        raise Invalid("A file is named by the id of a hit, of 32 digits; a path names none.")
    item_ids = store.items_of_contents([bytes.fromhex(called)])
    items = store.found_items([min(item_ids)], Filters()) if item_ids else []
    if not items:
        raise NotFound(f"Nothing in the library has the id {called}; search again.")
    return sorted(items, key=lambda item: item.path)


def _first(found: Sequence[FoundItem], place: PassagePlace, path: str) -> int:
    """The number of the passage that lies at a place."""
    numbers = range(len(found))
    if place.page is not None:
        at = next((number for number in numbers if found[number].locator.page == place.page), None)
        if at is None:
            raise NotFound(f"{path} has no text on page {place.page:,}; look at its picture, or at another page.")
        return at
    if place.line is not None:
        lines = [found[number].locator.line for number in numbers]
        return max((number for number, line in enumerate(lines) if line and line <= place.line), default=0)
    if place.time is not None:
        times = [found[number].locator.time for number in numbers]
        return max((number for number, time in enumerate(times) if time and time[0] <= place.time), default=0)
    return place.first


def _after(item: FoundItem, before: FoundItem | None) -> Passage:
    """The passage without what the one before it, of the same text, has had of it."""
    locator, text = item.locator, item.text or ""
    line, offset = locator.line, locator.start
    if before is not None and (before.source, before.locator.page) == (item.source, locator.page):
        end = before.locator.end
        if offset is not None and end is not None and offset < end < offset + len(text):
            doubled, text = text[: end - offset], text[end - offset :]
            line = None if line is None else line + doubled.count("\n")
            offset = end
    return Passage(text, item.source, line, offset, locator.page, locator.time, locator.part_name)
