"""Frames of a film that look alike are one item; and how far a film was encoded, where a run was cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from mmsearch.records import EncodedItem, Part

if TYPE_CHECKING:
    from mmsearch.store.protocol import Store

FRAME = "frame"
# A frame whose vector has this cosine or more with that of the frame kept before shows the same.
ALIKE = 0.9


class Begun(NamedTuple):
    """How far a file was encoded: so many items of it are there, of which `frames` are frames of a film, up to `until`
    seconds of it.
    """

    items: int = 0
    frames: int = 0
    until: float = 0.0


def begun_of(store: Store, content_id: int, model_id: int, items: int) -> Begun:
    """How far a content was encoded of which a model has so many items."""
    return Begun(items, *store.frames_begun(content_id, model_id)) if items else Begun()


def distinct(items: Sequence[EncodedItem]) -> tuple[EncodedItem, ...]:
    """The items without frames that look like the one kept before them, which lasts as long as these do."""
    kept: list[EncodedItem] = []
    for item in items:
        last = kept[-1] if kept else None
        if last is None or not _look_alike(last, item):
            kept.append(item)
        elif last.locator.time and item.locator.time:
            time = last.locator.time[0], item.locator.time[1]
            kept[-1] = replace(last, locator=replace(last.locator, time=time))
    return tuple(kept)


def after(parts: Iterable[Part], begun: Begun) -> Iterator[Part]:
    """The parts that no item was made of yet. A frame that was left out lies within the time of the one before it."""
    others = begun.items - begun.frames
    parts = iter(parts)
    for part in parts:
        if part.source == FRAME and part.locator.time is not None:
            is_through = part.locator.time[0] < begun.until
        else:
            is_through = others > 0
            others -= 1
        if not is_through:
            return chain([part], parts)
    return iter(())


def _look_alike(one: EncodedItem, other: EncodedItem) -> bool:
    return one.source == other.source == FRAME and float(one.vector @ other.vector) >= ALIKE
