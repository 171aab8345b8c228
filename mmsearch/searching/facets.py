"""What files have in common, counted: by month, folder, extension, type, place and camera."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmsearch.files.paths import extension_of
from mmsearch.files.times import in_utc
from mmsearch.records import FileBrief, FoundItem
from mmsearch.searching.results import moment_of

_MONTH = len("2024-05")


@dataclass(frozen=True)
class Facet:
    """A value, and how many files have it."""

    value: str
    count: int


@dataclass(frozen=True)
class Facets:
    """Files counted by what they have in common; `total` is how many were counted, each content once.

    Months (`2024-05`, when taken, else modified) are the newest first, all others those that most files have first.
    Folders are those that files lie in themselves.
    """

    total: int
    months: tuple[Facet, ...]
    folders: tuple[Facet, ...]
    extensions: tuple[Facet, ...]
    types: tuple[Facet, ...]
    places: tuple[Facet, ...]
    cameras: tuple[Facet, ...]


def counted(files: Sequence[FileBrief]) -> Facets:
    """The facets of these files."""
    months = Counter(file.moment[:_MONTH] for file in files)
    return Facets(
        len(files),
        tuple(Facet(month, months[month]) for month in sorted(months, reverse=True)),
        _most_first(os.path.dirname(file.path) for file in files),
        _most_first(extension_of(file.path) for file in files),
        _most_first(file.medium for file in files),
        _most_first(file.place for file in files),
        _most_first(file.camera for file in files),
    )


def brief_of(item: FoundItem) -> FileBrief:
    """What is counted of the file that holds an item."""
    facts = item.facts
    moment = moment_of(in_utc(item.mtime_ns), facts.taken)
    return FileBrief(item.path, item.medium, moment, facts.details.place, facts.details.camera)


def _most_first(values: Iterable[str | bytes | None]) -> tuple[Facet, ...]:
    counts = Counter(value for value in values if value)
    named = [Facet(os.fsdecode(value), count) for value, count in counts.items()]
    return tuple(sorted(named, key=lambda one: (-one.count, one.value)))
